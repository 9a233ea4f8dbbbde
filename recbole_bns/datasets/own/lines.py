"""JSON lines: an object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_bns.common.errors import UsageError

from ..encodings import decoded
from .pieces import HEAD, PIECE, Piece, lines_of


class JsonLines:
    """A file with a JSON object a line; empty lines are passed over."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Open it.

        Raises:
            UsageError: there is no object in it.
        """
        self.where, self._path = str(path), path
        if next(self._objects(), None) is None:
            raise UsageError(f"{path}: there is no line in it; allowed is a JSON object a line.")

    def head(self) -> pd.DataFrame:
        """See :class:`.sources.Source`."""
        found = [content for _, content in islice(self._objects(), HEAD)]
        names = dict.fromkeys(name for content in found for name in content)
        return self._frame(found, list(names))

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """See :class:`.sources.Source`."""
        objects = self._objects()
        while found := list(islice(objects, PIECE)):
            numbers = [number for number, _ in found]
            frame = self._frame([content for _, content in found], columns)
            yield Piece(frame, lines_of(self.where, numbers))

    @staticmethod
    def _frame(objects: Sequence[dict[str, Any]], names: Sequence[str]) -> pd.DataFrame:
        columns = {name: [content.get(name) for content in objects] for name in names}
        return pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in columns.items()})

    def _line(self, number: int) -> str:
        return f"{self.where}, line {number}"

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Number of a line, from 1, and its object."""
        for number, line in enumerate(self._lines(), 1):
            if not line.strip():
                continue
            try:
                content = json.loads(line)
            except ValueError as error:
                raise UsageError(
                    f"{self._line(number)}: it is no JSON ({error}); allowed is an object a line."
                ) from error
            if not isinstance(content, dict):
                raise UsageError(
                    f"{self._line(number)}: got {line.decode()[:60]!r}, allowed is a JSON object a "
                    'line, such as {"user": 1, "item": 7}.'
                )
            yield number, content

    def _lines(self) -> Iterator[bytes]:
        held = b""
        for block in decoded(self._path, "utf-8"):
            *whole, held = (held + block).split(b"\n")
            yield from whole
        if held:
            yield held
