"""Known dislikes on disk: pairs of users and items that were shown and not taken.

``<data set>.neg`` beside the interactions, or the file that the setting ``negatives`` names, is an
atomic file with the columns of users and items; others are passed over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from recbole_bns.common.errors import UsageError
from recbole_bns.settings.declared import NO_NEGATIVES

from .read import Column, Format, read_header, read_table

SUFFIX = ".neg"


class Dislikes(NamedTuple):
    """A file of known dislikes in the data set's numbers."""

    path: Path
    pairs: np.ndarray
    """``(2, N)`` int64 users and items, each pair once."""
    lines: int
    """Of the file."""
    unknown: int
    """Lines of users or items that the data set does not have."""
    doubles: int
    """Lines that say once more what was said."""


def default_path(config: Any) -> Path:
    """Where the file is looked for when nothing names it."""
    return Path(config["data_path"]) / f"{config['dataset']}{SUFFIX}"


def path_of(config: Any) -> Path | None:
    """The file of known dislikes that holds for a ``Config``; None where there is none.

    Raises:
        UsageError: the setting names a file that is not there.
    """
    named = config["negatives"]
    if named is None:
        path = default_path(config)
        return path if path.is_file() else None
    if str(named).lower() == NO_NEGATIVES:
        return None
    if not Path(named).is_file():
        raise UsageError(
            f"negatives: there is no file '{named}'; allowed is a file with the columns "
            f"{_names(config)}, one pair a line that was shown and not taken, or {NO_NEGATIVES}."
        )
    return Path(named)


def check_dislikes(config: Any) -> None:
    """Make sure that the file's header serves; its lines are checked when it is read.

    Raises:
        UsageError: a named file is missing, or has not the columns of users and items.
    """
    path = path_of(config)
    if path is not None:
        _check_columns(config, path, read_header(path, Format.of(config)))


def _ids(config: Any) -> tuple[str, str]:
    return config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]


def _names(config: Any) -> str:
    return " and ".join(f"{name}:token" for name in _ids(config))


def _check_columns(config: Any, path: Path, columns: tuple[Column, ...]) -> None:
    types = {column.name: column.type for column in columns}
    if any(types.get(name) != "token" for name in _ids(config)):
        raise UsageError(
            f"{path}, line 1: got the columns {', '.join(map(str, columns))}, allowed for known "
            f"dislikes are {_names(config)} (USER_ID_FIELD and ITEM_ID_FIELD name them)."
        )


def read_dislikes(config: Any, path: Path, numbers: tuple[Any, Any]) -> Dislikes:
    """Read a file of known dislikes.

    Args:
        config: a ``Config``.
        path: of the file.
        numbers: of the data set: word -> number, of users and of items.

    Raises:
        UsageError: names file and line; or there is no pair in it.
    """
    names = _ids(config)
    table = read_table(path, Format.of(config), lambda name: name in names, set(names))
    _check_columns(config, path, table.columns)
    found = [
        table.frame[name].map(known).fillna(0).to_numpy(np.int64)
        for name, known in zip(names, numbers, strict=True)
    ]
    pairs = pd.DataFrame(dict(zip(names, found, strict=True)))
    known = (pairs > 0).all(axis=1)
    again = pairs[known].duplicated()
    kept = pairs[known][~again].to_numpy().T
    return Dislikes(path, kept, len(pairs), int((~known).sum()), int(again.sum()))
