"""The shipped property files, in a checkout or in an installed wheel, and RecBole's."""

from __future__ import annotations

from copy import deepcopy
from functools import cache, lru_cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .declared import NO_MIXER, OWN_LOSS
from .words import read_yaml


def _find_properties() -> Path:
    """``properties/`` of the checkout, or the copy that the wheel installed."""
    checkout = Path(__file__).parents[2] / "properties"
    if (checkout / "overall.yaml").is_file():
        return checkout
    return Path(str(files("recbole_bns.properties")))


PROPERTIES = _find_properties()


@cache
def host_folder() -> Path:
    """Where RecBole's package lies; it is not imported for it.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    found = find_spec("recbole")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("No module named 'recbole'", name="recbole")
    return Path(found.origin).parent


def models_of(host: Path) -> tuple[str, ...]:
    """Names of the models that have a file of settings in RecBole."""
    return tuple(sorted(path.stem for path in (host / "properties" / "model").glob("*.yaml")))


def read_own(path: Path) -> dict[str, Any]:
    """A property file that ships with us or with RecBole; nothing where there is none."""
    return deepcopy(_parsed(path, path.stat().st_mtime_ns)) if path.is_file() else {}


@lru_cache(maxsize=256)
def _parsed(path: Path, changed: int) -> dict[str, Any]:
    """A file's content; each is parsed once, though every Config reads a dozen of them."""
    return read_yaml(path)


MINED = "mined"
"""What names a run with mined positives, whose sampler and loss may be anything."""


def cell(sampler: str, loss: str | None, mixer: str | None = None, *, mined: bool = False) -> str:
    """``dns+ssm``, ``rns+kpair+mixgcf``: by what tuned settings, runs and rows of tables go.

    A model's own loss is not named: ``dns``. With mined positives ``rns+ssm+mined``.
    """
    parts = [sampler]
    parts += [] if loss in (None, OWN_LOSS) else [str(loss)]
    parts += [] if mixer in (None, NO_MIXER) else [str(mixer)]
    parts += [MINED] if mined else []
    return "+".join(parts)
