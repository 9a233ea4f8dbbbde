"""The shipped property files, in a checkout or in an installed wheel, and RecBole's."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache, lru_cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .declared import NO_MIXER, OWN_LOSS
from .words import merge, read_yaml


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


OWN = ".settings.yaml"
"""Behind a data set's name: the file beside its data with what must be set to read them."""


def of_data(name: str, root: Any, shipped: Sequence[Path]) -> dict[str, Any]:
    """Settings of a data set: those that lie beside its files, else the shipped ones of its name.

    Data of somebody's own may have the name of a public set, whose settings are not theirs.

    Args:
        name: of the data set.
        root: ``data_path``, as far as it is known.
        shipped: files, later ones win.
    """
    if has_own(name, root):
        return read_own(_beside(name, root))
    merged: dict[str, Any] = {}
    for path in shipped:
        merge(merged, read_own(path))
    return merged


def has_own(name: str, root: Any) -> bool:
    """Whether settings lie beside a data set's files."""
    return _beside(name, root).is_file()


def _beside(name: str, root: Any) -> Path:
    return Path(os.path.join(str(root), name)) / f"{name}{OWN}"


MINED, SPARED = "mined", "spared"
"""What names a run with ``mine``, whose sampler and loss may be anything."""


def mined_word(mine: Mapping[str, Any] | None) -> str:
    """:data:`MINED`, or :data:`SPARED` where no positive makes way; empty where nothing is done.

    Args:
        mine: the setting, or all of its parameters.
    """
    if not mine:
        return ""
    if mine.get("share") != 0:
        return MINED
    return SPARED if mine.get("spare") else ""


def cell(sampler: str, loss: str | None, mixer: str | None = None, *, mined: str = "") -> str:
    """``dns+ssm``, ``rns+kpair+mixgcf``: by what tuned settings, runs and rows of tables go.

    A model's own loss is not named: ``dns``. With ``mine`` its word is last (:func:`mined_word`):
    ``rns+ssm+mined``.
    """
    parts = [sampler]
    parts += [] if loss in (None, OWN_LOSS) else [str(loss)]
    parts += [] if mixer in (None, NO_MIXER) else [str(mixer)]
    parts += [mined] if mined else []
    return "+".join(parts)
