"""Text with separators: CSV and its kin, quotes, line ends and all.

A block of whole lines without a quote in it, whose lines all have as many fields as there are
columns, is parsed by pandas; from the first quote on Python's ``csv`` reads on, which is several
times slower and knows what a quote means. What is wrong has the number of its line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_bns.common.errors import UsageError

from ..encodings import MARKS, decoded, start_of
from ..read import as_written
from .pieces import HEAD, PIECE, Piece, lines_of
from .roles import is_known, listed

SEPARATORS = (",", "\t", ";", "|", " ")
BLOCK = 1 << 22
"""Characters at once."""
START = 1 << 16
"""Bytes by which separator and names are found."""
LONGEST = 1 << 24
"""Characters of a first line."""


class Text:
    """A text file with a line of names, or without one where columns are named by numbers."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Find separator and names.

        Args:
            path: the file.
            columns: that the user names.

        Raises:
            UsageError: it is empty, or there is no line of names.
        """
        self.where, self._path = str(path), path
        self._encoding = _encoding(path)
        start, whole = self._start()
        self._separator = _separator(start, whole, self.where)
        rows = _parsed(start, self._separator, whole)
        first = rows[0]
        self._spaced = any(name != name.lstrip() for name in first[1:])
        self.names = [name.strip() for name in first]
        numbers = [word for word in columns if word not in self.names]
        by_number = bool(numbers) and all(word.isdecimal() for word in numbers)
        self._skipped = 0 if by_number else _lines_of_first(start, self._separator)
        if by_number:
            self._check_no_names(first, numbers)
            self.names = [str(number + 1) for number in range(len(first))]
        else:
            self._check_names(first)

    def _start(self) -> tuple[str, bool]:
        """The file's beginning, and whether it is all of it.

        Raises:
            UsageError: there is nothing in it.
        """
        blocks = decoded(self._path, self._encoding, START)
        text = next(blocks, b"").decode()
        whole = False
        while not whole and "\n" not in text.strip("\n") and len(text) < LONGEST:
            more = next(blocks, None)
            text, whole = text + (more or b"").decode(), more is None
        if "\0" in text:
            raise UsageError(
                f"{self.where}: there is a NUL character in it, so that it is no text in "
                f"{self._encoding}; save it as CSV in UTF-8."
            )
        if not text.strip():
            raise UsageError(
                f"{self.where}: there is no line in it; allowed is a line of names, such as "
                "user,item, and a line an interaction."
            )
        return text, whole

    def _check_names(self, first: Sequence[str]) -> None:
        """Refuse a first line that is one of the data."""
        if any(_is_number(word) for word in first) and not any(map(is_known, first)):
            raise UsageError(
                f"{self.where}, line 1: {listed(list(first))} look like values, not like names of "
                "columns; name the columns by their numbers, such as --user=1 --item=2, or write a "
                "line of names above."
            )

    def _check_no_names(self, first: Sequence[str], numbers: Sequence[str]) -> None:
        if any(map(is_known, first)):
            raise UsageError(
                f"{self.where}: got column {numbers[0]!r}, but its first line has names: "
                f"{listed(self.names)}; name one of these."
            )

    def head(self) -> pd.DataFrame:
        """See :class:`.sources.Source`."""
        rows = [row for _, row in islice(self._rows(iter(self._blocks())), HEAD)]
        columns = list(zip(*rows, strict=True)) or [()] * len(self.names)
        frame = pd.DataFrame({n: pd.Series(c, dtype=object) for n, c in enumerate(columns)})
        return frame.set_axis(self.names, axis=1)

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """See :class:`.sources.Source`."""
        places = [self.names.index(name) for name in columns]
        blocks = iter(self._blocks())
        for number, block in blocks:
            if '"' in block:
                yield from self._slowly(chain([(number, block)], blocks), places)
                return
            data = block.encode()
            if self._is_even(data):
                yield self._quickly(number, data, places)
            else:
                yield from self._slowly(iter([(number, block)]), places)

    def _blocks(self) -> Iterator[tuple[int, str]]:
        """The number of the first line, from 1, and whole lines, without the names'."""
        held, number, skipped = "", 1, self._skipped
        for block in decoded(self._path, self._encoding, BLOCK):
            held += block.decode()
            while skipped and "\n" in held:
                held = held.partition("\n")[2]
                number, skipped = number + 1, skipped - 1
            end = held.rfind("\n") + 1
            if not skipped and end:
                yield number, held[:end]
                number += held.count("\n", 0, end)
                held = held[end:]
        if held and not skipped:
            yield number, held + "\n"

    def _is_even(self, block: bytes) -> bool:
        """Whether each line has as many fields as there are columns; none is empty then."""
        marks = np.frombuffer(block, np.uint8)
        ends = marks == 10
        kinds = ends[np.flatnonzero(ends | (marks == ord(self._separator)))]
        width = len(self.names)
        if len(kinds) % width or b"\0" in block:
            return False
        of_lines = kinds.reshape(-1, width)
        even = bool(of_lines[:, -1].all() and not of_lines[:, :-1].any())
        return even and (width > 1 or b"\n\n" not in b"\n" + block)

    def _quickly(self, number: int, block: bytes, places: Sequence[int]) -> Piece:
        frame = as_written(
            block, self._separator, len(self.names), places, str, spaced=self._spaced
        )
        frame = frame[list(places)].set_axis([self.names[place] for place in places], axis=1)
        return Piece(frame, lambda row: self._line(number + row))

    def _slowly(self, blocks: Iterator[tuple[int, str]], places: Sequence[int]) -> Iterator[Piece]:
        rows = self._rows(blocks)
        while some := list(islice(rows, PIECE)):
            numbers = [number for number, _ in some]
            columns = {
                self.names[place]: pd.Series([row[place] for _, row in some], dtype=object)
                for place in places
            }
            yield Piece(pd.DataFrame(columns), lines_of(self.where, numbers))

    def _rows(self, blocks: Iterator[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
        """The number of the last line of a row, and its fields.

        Raises:
            UsageError: a row has more or fewer fields than there are columns, or a quote has no
                end.
        """
        before = 0

        def lines() -> Iterator[str]:
            nonlocal before
            for number, block in blocks:
                before = before or number
                yield from io.StringIO(block, newline="\n")

        reader = csv.reader(
            lines(), delimiter=self._separator, skipinitialspace=self._spaced, strict=True
        )
        while True:
            begun = reader.line_num
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise UsageError(
                    f"{self._line(before + begun)}: it is malformed ({error}); allowed is a value "
                    'with quotes on both sides, those within it twice: "a ""b"" c".'
                ) from error
            if row is None:
                return
            if len(row) == len(self.names) and (len(row) > 1 or row[0].strip()):
                yield before + begun, row
            elif any(field.strip() for field in row) or len(row) > 1:
                raise UsageError(self._malformed(before + begun, row))

    def _malformed(self, number: int, row: Sequence[str]) -> str:
        return (
            f"{self._line(number)}: it has {len(row)} fields ({listed(row, 8)}), but there are "
            f"{len(self.names)} columns ({listed(self.names, 8)}), separated by "
            f"{self._separator!r}; a value with the separator in it stands in quotes."
        )

    def _line(self, number: int) -> str:
        return f"{self.where}, line {number}"


def _encoding(path: Path) -> str:
    """That of the byte order mark, UTF-8 where there is none."""
    start = start_of(path)
    return next((name for mark, name in MARKS.items() if start.startswith(mark)), "utf-8")


def _parsed(text: str, separator: str, whole: bool) -> list[list[str]]:
    """Rows of a text; its last line may be a part of one where it is not the whole file."""
    lines = text if whole else text[: text.rfind("\n") + 1] or text
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(lines, newline="\n"), delimiter=separator):
            if row and (len(row) > 1 or row[0].strip()):
                rows.append(row)
    except csv.Error:  # whoever reads all of it says where
        pass
    return rows or [lines.split("\n")[0].split(separator)]


def _separator(text: str, whole: bool, where: str) -> str:
    """What stands between the fields: what cuts the first rows into most fields, as many in each.

    Raises:
        UsageError: it is more than one character.
    """
    best, most = ",", (0, 0, 0)
    for separator in SEPARATORS:
        rows = _parsed(text, separator, whole)[:50]
        width = len(rows[0])
        even = sum(len(row) == width for row in rows) == len(rows)
        # a space is one in words, too
        worth = (int(width > 1 and separator != " "), int(even and width > 1), width)
        if worth > most:
            best, most = separator, worth
    if "::" in text.split("\n")[0] and most[0] == 0:
        raise UsageError(
            f"{where}, line 1: its fields are separated by '::', allowed is one character (a comma,"
            " tab, semicolon, bar or space); replace it, such as by: sed 's/::/,/g'."
        )
    return best


def _lines_of_first(text: str, separator: str) -> int:
    """How many lines the first row takes, with empty ones above it."""
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=separator)
    try:
        for row in reader:
            if row and (len(row) > 1 or row[0].strip()):
                break
    except csv.Error:
        return 1
    return reader.line_num


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
