"""What an import must not bring along; who may import whom is import-linter's (pyproject.toml)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import recbole_bns

PACKAGE = Path(recbole_bns.__file__).parent
TOP = {"__init__.py", "testing.py", "py.typed"}


def test_on_the_top_floor_are_rooms_alone() -> None:
    files = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert files == TOP
    rooms = [path for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert all((room / "__init__.py").is_file() for room in rooms)


@pytest.mark.process
@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("recbole_bns", ["ray", "plotly", "matplotlib", "torch", "pandas", "recbole"]),
        ("recbole_bns.cli", ["ray", "plotly", "matplotlib", "torch", "pandas", "recbole"]),
        ("recbole_bns.adapters.checks", ["ray", "plotly", "matplotlib", "pandas", "recbole"]),
        ("recbole_bns.sampling", ["ray", "plotly", "matplotlib", "recbole"]),
        ("recbole_bns.testing", ["ray", "plotly", "matplotlib", "recbole", "pytest"]),
    ],
)
def test_an_import_stays_light(module: str, unwanted: list[str]) -> None:
    code = f"import sys, {module}; print([m for m in {unwanted} if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "[]"
