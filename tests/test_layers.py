"""Who may import whom, how long a file may be, and what an import must not bring along."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import recbole_bns

PACKAGE = Path(recbole_bns.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
CORE = [path for path in FILES if PACKAGE / "sampling" in path.parents]
CORE_MAY_IMPORT = {"recbole_bns.sampling", "recbole_bns.errors"}
LONGEST = 250


def module_of(path: Path) -> str:
    """``recbole_bns.sampling.methods.bns`` of its path; a package of its ``__init__``."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """Absolute names of all that a file imports, at its top or inside of functions."""
    found: set[str] = set()
    package = module_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            parent = ".".join([*base, *(node.module.split(".") if node.module else [])])
            inside = parent == "recbole_bns" or node.module is None
            found |= {f"{parent}.{alias.name}" for alias in node.names} if inside else {parent}
    return found


def belongs(name: str, roots: set[str]) -> bool:
    return any(name == root or name.startswith(root + ".") for root in roots)


def id_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_relative_imports_are_resolved() -> None:
    names = imports_of(PACKAGE / "sampling" / "methods" / "bns.py")
    assert {"recbole_bns.sampling.base", "recbole_bns.sampling.cdf", "torch"} <= names
    assert "recbole_bns.sampling.methods.bns" in imports_of(
        PACKAGE / "sampling" / "methods" / "__init__.py"
    )


@pytest.mark.parametrize("path", CORE, ids=id_of)
def test_the_core_knows_neither_the_host_nor_the_adapters(path: Path) -> None:
    own = {name for name in imports_of(path) if belongs(name, {"recbole_bns"})}
    assert {name for name in own if not belongs(name, CORE_MAY_IMPORT)} == set()
    third_party = {name.split(".")[0] for name in imports_of(path) - own}
    allowed = {"torch", "numpy", "numba", "scipy", "sklearn", "threadpoolctl"} | set(
        sys.stdlib_module_names
    )
    assert third_party - allowed == set()


@pytest.mark.parametrize("path", FILES, ids=id_of)
def test_a_file_fits_in_the_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("recbole_bns", ["ray", "plotly", "matplotlib", "torch", "pandas", "recbole"]),
        ("recbole_bns.cli", ["ray", "plotly", "matplotlib", "torch", "pandas", "recbole"]),
        ("recbole_bns.checks", ["ray", "plotly", "matplotlib", "pandas", "recbole"]),
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
