"""A piece of rows, and how many there are in one."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import pandas as pd

from recbole_bns.common.errors import UsageError

HEAD = 1000
"""Rows by which columns are recognised."""
PIECE = 1 << 18
"""Rows at once."""


class Piece(NamedTuple):
    """Some rows."""

    frame: pd.DataFrame
    """``(N, columns)``"""
    place: Callable[[int], str]
    """Names a row, counted from 0 in the piece: ``clicks.csv, line 17``."""


def lines_of(where: str, numbers: Sequence[int]) -> Callable[[int], str]:
    """What names a row of a piece whose rows stand in these lines of a file."""
    return lambda row: f"{where}, line {numbers[row]}"


@contextmanager
def readable(where: str) -> Iterator[None]:
    """Turn what the system says of a file, or of one that is packed, into a sentence."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        said = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise UsageError(f"{where}: it cannot be read: {said}.") from error
