"""Atomic files, read once: what is checked and what is trained on are the same table.

A file is cut into blocks of whole lines. Each is decoded, its lines are counted and measured, and
pandas' C engine parses it with quoting off and no word standing for a missing value. Words are kept
once each, however many lines hold them.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from recbole_bns.common.errors import UsageError

from .encodings import PIECE, decoded

TYPES = ("token", "token_seq", "float", "float_seq")
"""Types of RecBole's atomic files."""
SEPARATORS = {"\t": "a tab", ",": "','", ";": "';'", "|": "'|'", " ": "a space", "::": "'::'"}
"""What files are separated by, and how a sentence calls it."""
SPARE = b"\x1f\x1e\x1d\x1c\x01\x02\x03\x04"
"""Bytes that stand for a separator of more than one byte; one that the block does not hold."""
HEAD = 1 << 16
"""Bytes at once where the header alone is read."""
EXACT = 2**53
"""Up to here a float64 holds every integer."""


def as_written(
    block: bytes,
    separator: str,
    width: int,
    columns: Collection[int],
    dtype: type | None,
    *,
    spaced: bool = False,
) -> pd.DataFrame:
    """Columns of a block of whole lines, by number; each character is one of a value.

    Args:
        block: UTF-8, lines that end in ``\\n``.
        separator: one character.
        width: columns that each line has.
        columns: those that are wanted.
        dtype: of all of them, or None where it is to be found.
        spaced: whether spaces behind a separator are none of a value.
    """
    # pandas drops a byte order mark at the start of what it reads, which here is a value's own
    mark = codecs.BOM_UTF8 if block.startswith(codecs.BOM_UTF8) else b""
    return pd.read_csv(
        io.BytesIO(mark + block),
        sep=separator,
        header=None,
        names=list(range(width)),
        usecols=sorted(set(columns)),
        dtype=dtype,
        quoting=csv.QUOTE_NONE,
        na_filter=False,
        engine="c",
        low_memory=False,
        float_precision="round_trip",
        skipinitialspace=spaced,
        skip_blank_lines=False,
        lineterminator="\n",
        index_col=False,
        encoding="utf-8",
    )


class Column(NamedTuple):
    """A field of the header, ``name:type``."""

    name: str
    type: str

    def __str__(self) -> str:
        return f"{self.name}:{self.type}"


class Format(NamedTuple):
    """How atomic files are written."""

    separator: str
    sequence: str
    encoding: str

    @classmethod
    def of(cls, config: Any) -> Format:
        """From ``field_separator``, ``seq_separator`` and ``encoding`` of a ``Config``.

        Raises:
            UsageError: a separator that cannot be one.
        """
        for key in ("field_separator", "seq_separator"):
            word = config[key]
            if not isinstance(word, str) or not word or set(word) & set("\r\n\0"):
                raise UsageError(
                    f"{key}: got {word!r}, allowed is a word of one character or more that ends no "
                    'line, such as "\\t".'
                )
        separators = config["field_separator"], config["seq_separator"]
        return cls(*separators, config["encoding"] or "utf-8")


@dataclass
class Table:
    """An atomic file.

    Attributes:
        path: of the file.
        columns: those of the header, in order.
        frame: a row a line; words are ``str`` objects that equal words share, numbers float64 (or
            int64 where a float64 could not hold them), sequences arrays.
    """

    path: Path
    columns: tuple[Column, ...]
    frame: pd.DataFrame


def read_header(path: Path, form: Format) -> tuple[Column, ...]:
    """The columns of a file.

    Raises:
        UsageError: the first line is no header, or names a column twice.
    """
    first = next(_blocks(path, form.encoding, HEAD), b"").partition(b"\n")[0]
    return _columns(path, first.decode(), form.separator)


def _columns(path: Path, header: str, separator: str) -> tuple[Column, ...]:
    fields = header.split(separator)
    bad = [word for word in fields if not _is_field(word)]
    if bad:
        raise UsageError(_no_header(path, header, bad[0], separator))
    columns = tuple(Column(*word.split(":")) for word in fields)
    names = [column.name for column in columns]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise UsageError(
                f"{path}, line 1: there are two columns '{name}' ({', '.join(fields)}); allowed is "
                "one of each name."
            )
    return columns


def _is_field(word: str) -> bool:
    name, _, kind = word.partition(":")
    return bool(name) and kind in TYPES


def _no_header(path: Path, header: str, bad: str, separator: str) -> str:
    for other, name in SEPARATORS.items():
        words = header.split(other)
        if other != separator and len(words) > 1 and all(map(_is_field, words)):
            return (
                f"{path}, line 1: its fields are separated by {name}, but field_separator is "
                f"{separator!r}; allowed is the file's: field_separator: {other!r}."
            )
    return (
        f"{path}, line 1: {bad[:80]!r} is no field of a RecBole atomic file; allowed is "
        f"name:type, such as user_id:token, separated by {SEPARATORS.get(separator, separator)} "
        f"(field_separator: {separator!r}); types: {', '.join(TYPES)}."
    )


def read_table(
    path: Path,
    form: Format,
    keep: Callable[[str], bool] = lambda name: True,
    filled: Collection[str] | None = None,
) -> Table:
    """Read a file and check all its lines.

    Args:
        path: the file.
        form: how it is written.
        keep: whether a column of this name is one of the frame's; the others are checked too.
        filled: names of the columns without an empty field; all of them where it is None.

    Raises:
        UsageError: names file and line.
    """
    blocks = _blocks(path, form.encoding)
    header, _, rest = next(blocks, b"").partition(b"\n")
    columns = _columns(path, header.decode(), form.separator)
    parser = _Parser(path, form, columns, keep, filled)
    for block in _with(rest, blocks):
        parser.add(block)
    if not parser.rows:
        raise UsageError(f"{path}: there is no line in it but the first.")
    return Table(path, columns, parser.frame())


def _with(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from others


def _blocks(path: Path, encoding: str, size: int = PIECE) -> Iterator[bytes]:
    """Whole lines in UTF-8, each ended by a line feed; empty lines at the file's end are none."""
    held = b""
    for piece in decoded(path, encoding, size):
        held += piece
        full = held.rstrip(b"\n")
        end = full.rfind(b"\n") if len(full) == len(held) else len(full)
        if full and end >= 0:
            yield held[: end + 1]
            held = held[end + 1 :]
    if full := held.rstrip(b"\n"):
        yield full + b"\n"


TENS = 10 ** np.arange(1, 19)
"""An integer has one digit more than there are of these up to it."""


def _are_written_so(values: np.ndarray, lengths: np.ndarray) -> bool:
    """Whether integers, written out, are the very words that they were parsed from.

    Args:
        values: ``(lines,)`` what was parsed.
        lengths: ``(lines,)`` how long the words are; those with zeros, signs or spaces in front are
            longer than their integers.
    """
    if values.dtype.kind != "i" or values.min() < 0:
        return False
    return bool((np.searchsorted(TENS, values, "right") + 1 == lengths).all())


def _words(parts: Sequence[np.ndarray]) -> np.ndarray:
    """``(lines,)`` words, of blocks of words or of integers that stand for them."""
    if all(part.dtype.kind == "i" for part in parts):
        codes, values = pd.factorize(np.concatenate(parts))
        return values.astype(str).astype(object)[codes]
    return np.concatenate([p if p.dtype.kind == "O" else _words([p]) for p in parts])


class _Parser:
    """Blocks of lines that become the columns of a frame."""

    def __init__(
        self,
        path: Path,
        form: Format,
        columns: Sequence[Column],
        keep: Callable[[str], bool],
        filled: Collection[str] | None,
    ) -> None:
        self.path, self.form, self.columns = path, form, columns
        self.rows = 0
        names = [column.name for column in columns]
        self.filled = [i for i, name in enumerate(names) if filled is None or name in filled]
        kept = [i for i, name in enumerate(names) if keep(name)]
        self.words: dict[int, list[np.ndarray]] = {
            i: [] for i in kept if columns[i].type != "float"
        }
        self.numbers: dict[int, list[np.ndarray]] = {
            i: [] for i, column in enumerate(columns) if column.type == "float"
        }
        self.kept = kept

    def add(self, block: bytes) -> None:
        """Check and parse a block of whole lines.

        Raises:
            UsageError: names the line.
        """
        block, separator = self._one_byte(block)
        lengths = self._check_shape(block, separator)
        first = block.partition(b"\n")[0].decode().split(chr(separator))
        tried = [i for i, parts in self.words.items() if self._may_be_numbers(first[i], parts)]
        parsed = self._parse(block, separator, [*tried, *self.numbers], None)
        for i, parts in self.numbers.items():
            values = self._numbers(parsed[i], i, block, separator)
            if i in self.kept:
                parts.append(values)
        whole = {i for i in tried if _are_written_so(parsed[i], lengths[:, i])}
        parsed |= self._parse(block, separator, [i for i in self.words if i not in whole], str)
        for i, parts in self.words.items():
            parts.append(parsed[i])
        self.rows += len(lengths)

    @staticmethod
    def _may_be_numbers(word: str, before: Sequence[np.ndarray]) -> bool:
        return word.isascii() and word.isdecimal() and (not before or before[-1].dtype.kind == "i")

    def _parse(
        self, block: bytes, separator: int, columns: Sequence[int], dtype: type | None
    ) -> dict[int, np.ndarray]:
        """Column -> ``(lines,)`` its values, of a type that all have where none is named."""
        if not columns:
            return {}
        frame = as_written(block, chr(separator), len(self.columns), columns, dtype)
        return {i: frame[i].to_numpy() for i in columns}

    def _one_byte(self, block: bytes) -> tuple[bytes, int]:
        """The block with a separator of one byte, and that byte."""
        separator = self.form.separator.encode()
        if len(separator) == 1:
            return block, separator[0]
        spare = next((byte for byte in SPARE if byte not in block), None)
        if spare is None:
            raise UsageError(
                f"{self.path}: there are control characters in it; allowed beside field_separator "
                f"{self.form.separator!r} is text without them."
            )
        return block.replace(separator, bytes([spare])), spare

    def _check_shape(self, block: bytes, separator: int) -> np.ndarray:
        """``(lines, columns)`` bytes of each field.

        Raises:
            UsageError: a line has more or fewer fields than the header, or none where one must be.
        """
        width = len(self.columns)
        if (nul := block.find(b"\0")) >= 0:
            raise UsageError(
                f"{self.path}, line {self.rows + 2 + block.count(10, 0, nul)}: it holds a NUL "
                f"character, as UTF-16 does where it is read as {self.form.encoding}; allowed is "
                "text: name the file's encoding, such as encoding: utf-16."
            )
        marks = np.frombuffer(block, np.uint8)
        ends = marks == 10
        places = np.flatnonzero(ends | (marks == separator))
        ends = ends[places]
        lines = np.flatnonzero(ends)
        if len(places) != width * len(lines) or not ends[width - 1 :: width].all():
            bad = np.diff(lines, prepend=-1) != width
            raise UsageError(self._malformed(block, separator, int(bad.argmax())))
        lengths = np.diff(places, prepend=-1).reshape(-1, width) - 1
        empty = (lengths[:, self.filled] == 0).any(1)
        if empty.any():
            row = int(empty.argmax())
            names = [self.columns[i].name for i in self.filled if not lengths[row, i]]
            raise UsageError(self._malformed(block, separator, row, names))
        return lengths

    def _malformed(self, block: bytes, separator: int, row: int, empty: Sequence[str] = ()) -> str:
        words, width = ", ".join(map(str, self.columns)), len(self.columns)
        filled = ", none of them empty" * (len(self.filled) == width)
        if empty and not filled:
            filled = f", '{empty[0]}' not empty"
        return (
            f"{self._where(block, separator, row)} is malformed; allowed are {width} fields "
            f"({words}){filled}."
        )

    def _where(self, block: bytes, separator: int, row: int) -> str:
        """File, number and beginning of a line."""
        line = block.split(b"\n", row + 1)[row].replace(bytes([separator]), self._separator())
        return f"{self.path}, line {self.rows + row + 2}: {line.decode()[:80]!r}"

    def _separator(self) -> bytes:
        return self.form.separator.encode()

    def _numbers(self, values: np.ndarray, column: int, block: bytes, separator: int) -> np.ndarray:
        """``(lines,)`` numbers; an empty field is NaN."""
        if values.dtype.kind in "iuf" and np.isfinite(values).all():
            return values
        mark = bytes([separator])
        words = [line.split(mark)[column].decode() for line in block.split(b"\n")[:-1]]
        found = np.array([_number(word) for word in words])
        if np.isinf(found).any():
            row = int(np.isinf(found).argmax())
            raise UsageError(
                f"{self._where(block, separator, row)} is malformed; allowed in column "
                f"'{self.columns[column]}' are finite numbers, got {words[row][:80]!r}."
            )
        return found

    def frame(self) -> pd.DataFrame:
        """The kept columns of all blocks."""
        made = {self.columns[i].name: self._column(i) for i in self.kept}
        return pd.DataFrame(made, copy=False)

    def _column(self, i: int) -> np.ndarray:
        column = self.columns[i]
        if column.type == "float":
            values = np.concatenate(self.numbers.pop(i))
            large = values.dtype.kind == "i" and np.abs(values).max() > EXACT
            return values if large else values.astype(np.float64, copy=False)
        words = _words(self.words.pop(i))
        if column.type == "token":
            if i not in self.filled:
                words[words == ""] = math.nan
            return words
        codes, distinct = pd.factorize(words)
        values = np.empty(len(distinct), object)
        if column.type == "token_seq":
            values[:] = [self._tokens(word) for word in distinct]
        else:
            values[:] = [self._floats(word, column, words) for word in distinct]
        return values[codes]

    def _tokens(self, word: str) -> np.ndarray:
        return np.array(list(filter(None, word.split(self.form.sequence))), object)

    def _floats(self, word: str, column: Column, words: np.ndarray) -> np.ndarray:
        values = np.array([_number(w) for w in filter(None, word.split(self.form.sequence))], float)
        if not np.isfinite(values).all():
            row = int((words == word).argmax())
            raise UsageError(
                f"{self.path}, line {row + 2}: {word[:80]!r} in column '{column}' is malformed; "
                f"allowed are finite numbers, separated by {self.form.sequence!r} (seq_separator)."
            )
        return values


def _number(word: str) -> float:
    """The number that is written, NaN where nothing is, infinity where it is none."""
    if not word:
        return math.nan
    try:
        value = float(word) if word.isascii() and "_" not in word else math.inf
    except ValueError:
        return math.inf
    return value if math.isfinite(value) else math.inf
