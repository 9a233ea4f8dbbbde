"""The shipped property files, in a checkout or in an installed wheel."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from .words import read_yaml


def _find_properties() -> Path:
    """``properties/`` of the checkout, or the copy that the wheel installed."""
    checkout = Path(__file__).parents[2] / "properties"
    if (checkout / "overall.yaml").is_file():
        return checkout
    return Path(str(files("recbole_bns.properties")))


PROPERTIES = _find_properties()


def read_own(path: Path) -> dict[str, Any]:
    """One of our property files; nothing where we have none."""
    return read_yaml(path) if path.is_file() else {}
