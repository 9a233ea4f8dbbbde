"""Who may import whom (import-linter's contracts in the pyproject), and what stays light."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from tiny import ROOT, run_fresh, run_quickly

import recbole_bns

PACKAGE = Path(recbole_bns.__file__).parent
TOP = {"__init__.py", "__main__.py", "py.typed"}


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
        ("recbole_bns.losses", ["ray", "plotly", "matplotlib", "recbole"]),
        ("recbole_bns.mixers", ["ray", "plotly", "matplotlib", "recbole"]),
        ("recbole_bns.testing", ["ray", "plotly", "matplotlib", "recbole", "pytest"]),
    ],
)
def test_an_import_stays_light(module: str, unwanted: list[str], tmp_path: Path) -> None:
    code = (
        f"import sys, {module}\nfound = set({unwanted}) & set(sys.modules)\nassert not found, found"
    )
    run = run_fresh if {"torch", "pandas"} & set(unwanted) else run_quickly
    run(code, tmp_path)


LINT = """
import sys
from importlinter.cli import lint_imports

sys.exit(lint_imports(config_filename=sys.argv[1], no_cache=True))
"""


@pytest.mark.process
@pytest.mark.skipif(not find_spec("importlinter"), reason="import-linter is missing")
def test_the_contracts_of_the_layers_hold(tmp_path: Path) -> None:
    """In a process of its own, since it sets up logging for all."""
    run_fresh(LINT, tmp_path, str(ROOT / "pyproject.toml"))


@pytest.mark.process
@pytest.mark.skipif(not find_spec("importlinter"), reason="import-linter is missing")
def test_a_broken_layer_is_seen(tmp_path: Path) -> None:
    """With ``common`` above all others, every import of it runs upward."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    config = tmp_path / "pyproject.toml"
    turned = text.replace('\n  "common",\n]', "\n]").replace(
        "layers = [", 'layers = [\n  "common",'
    )
    assert turned != text
    config.write_text(turned, encoding="utf-8")
    with pytest.raises(AssertionError, match="BROKEN"):
        run_fresh(LINT, tmp_path, str(config))
