"""Where rows come from: text, JSON lines, Parquet, a data frame; read in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pandas as pd

from recbole_bns.common.errors import UsageError

from .lines import JsonLines
from .pieces import HEAD, PIECE, Piece, readable
from .text import Text


class Source(Protocol):
    """Rows with named columns."""

    where: str
    """What it is called in sentences."""

    def head(self) -> pd.DataFrame:
        """The first rows, all columns."""

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """All rows of some columns."""


class Kind(NamedTuple):
    """A kind of file, by the end of its name."""

    endings: tuple[str, ...]
    zipped: bool
    """Whether it may be packed: ``.gz``."""
    open: Callable[..., Source]


def open_file(path: Path, columns: Sequence[str] = ()) -> Source:
    """A file of interactions.

    Args:
        path: of it; the end of its name says what it is.
        columns: that the user names; numbers alone mean a text file without a line of names.

    Raises:
        UsageError: there is none, it is empty, or of another kind.
    """
    kind = _kind_of(path)
    if not path.is_file():
        reason = "is a folder" if path.is_dir() else "is not there"
        raise UsageError(f"'{path}' {reason}; allowed is a file that ends in {endings()}.")
    with readable(str(path)):
        return kind.open(path, columns)


def is_file_name(path: Path) -> bool:
    """Whether a name ends as a file of interactions does."""
    name = path.name.lower()
    plain = name.removesuffix(".gz")
    return any(
        plain.endswith(kind.endings) and (plain == name or kind.zipped) for kind in KINDS
    ) and bool(stem_of(path))


def stem_of(path: Path) -> str:
    """A file's name without its end: ``clicks`` of ``clicks.csv.gz``."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return Path(name).stem


def endings() -> str:
    """How names may end, in words."""
    words = [ending for kind in KINDS for ending in kind.endings]
    return f"{', '.join(words)} (text and JSON also packed: .csv.gz)"


def _kind_of(path: Path) -> Kind:
    if is_file_name(path):
        plain = path.name.lower().removesuffix(".gz")
        return next(kind for kind in KINDS if plain.endswith(kind.endings))
    raise UsageError(f"'{path}' is no file of interactions; allowed are names in {endings()}.")


class Parquet:
    """A Parquet file, read by pyarrow in pieces."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Open it.

        Raises:
            UsageError: pyarrow is missing, or the file is no such one.
        """
        if find_spec("pyarrow") is None:
            raise UsageError(
                f"{path}: to read Parquet the package 'pyarrow' is needed, which is not installed; "
                "pip install pyarrow, or write the file as CSV."
            )
        import pyarrow
        from pyarrow import parquet

        self.where = str(path)
        try:
            self._file = parquet.ParquetFile(path)
        except pyarrow.ArrowException as error:
            raise UsageError(f"{path}: it is no Parquet file: {error}.") from error
        self._names = list(self._file.schema_arrow.names)

    def head(self) -> pd.DataFrame:
        """See :class:`Source`."""
        for batch in self._file.iter_batches(HEAD):
            return batch.to_pandas()
        return self._file.schema_arrow.empty_table().to_pandas()

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """See :class:`Source`."""
        first = 0
        for batch in self._file.iter_batches(PIECE, columns=list(columns)):
            yield Piece(batch.to_pandas(), rows_from(self.where, first))
            first += batch.num_rows


class Frame:
    """A data frame in memory."""

    def __init__(self, frame: pd.DataFrame, where: str = "the frame") -> None:
        self.where = where
        self._frame = frame.set_axis([str(name) for name in frame.columns], axis=1)

    def head(self) -> pd.DataFrame:
        """See :class:`Source`."""
        return self._frame.iloc[:HEAD]

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """See :class:`Source`."""
        for first in range(0, len(self._frame), PIECE):
            part = self._frame[list(columns)].iloc[first : first + PIECE]
            yield Piece(part, rows_from(self.where, first))


def rows_from(where: str, first: int) -> Callable[[int], str]:
    """What names a row of a piece whose first row has the number ``first``, from 0."""
    return lambda row: f"{where}, row {first + row + 1}"


def frame_of(data: Any) -> pd.DataFrame | None:
    """A data frame of pandas, of what speaks the Arrow or the interchange protocol; else None."""
    if isinstance(data, pd.DataFrame):
        return data
    if hasattr(data, "__arrow_c_stream__") and find_spec("pyarrow") is not None:
        import pyarrow

        return pyarrow.table(data).to_pandas()
    if hasattr(data, "__dataframe__"):
        from pandas.api.interchange import from_dataframe

        return from_dataframe(data)
    if hasattr(data, "__arrow_c_stream__"):
        raise UsageError(
            f"interactions: to read a {type(data).__name__} the package 'pyarrow' is needed, which "
            "is not installed; pip install pyarrow, or hand over a DataFrame of pandas."
        )
    return None


KINDS = (
    Kind((".csv", ".tsv", ".txt", ".dat", ".data", ".inter"), True, Text),
    Kind((".jsonl", ".ndjson"), True, JsonLines),
    Kind((".parquet", ".pq"), False, Parquet),
)
