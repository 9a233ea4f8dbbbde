"""The files in which a recorder leaves its tables: a line as soon as it is known."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from recbole_bns.common.files import whole_file

from .quality import Histogram

COLUMNS = (
    "epoch",
    "negatives",
    "scored",
    "true_negative_rate",
    "informativeness",
    "information",
    "hardness",
    "popularity",
    "popularity_gini",
    "item_gini",
    "repeated",
    "coverage",
    "sampling_share",
    "recording_share",
)
"""Of ``negatives.csv``. epoch counts from 1; ``negatives`` were drawn, ``scored`` of them scored;
popularity is training interactions, hardness a ratio, all others are shares or means in [-1, 1]."""
WHEN_MINED = ("mined", "mined_held_out")
"""More columns of a run with mined positives: how many there were, and the share of them that the
user chose in the held-out parts."""
_COUNTS = ("epoch", "negatives", "scored", "mined")


class RecordFolder:
    """Writes ``negatives``, ``scores`` and ``items`` into a run's folder.

    The files are CSV and grow by the line.

    Args:
        folder: of the run.
        before: epochs whose lines, of a process that was ended, stay in the files.
    """

    def __init__(self, folder: str | Path, before: int = 0) -> None:
        self.folder = Path(folder)
        for name in ("negatives", "scores"):
            if self._path(name).is_file():
                self._take_over(name, before)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.csv"

    def _take_over(self, name: str, before: int) -> None:
        table = pd.read_csv(self._path(name), float_precision="round_trip")
        table = table[table["epoch"] <= before]
        if len(table):
            self._whole(name, table)
        else:
            self._path(name).unlink()

    def negatives(self, row: Mapping[str, float]) -> None:
        """Add the measures of an epoch."""
        columns = COLUMNS + (WHEN_MINED if WHEN_MINED[0] in row else ())
        counts = {name: int(row.get(name, 0)) for name in _COUNTS if name in columns}
        self._add("negatives", [{**{n: row.get(n) for n in columns}, **counts}])

    def scores(self, epoch: int, counted: Histogram) -> None:
        """Add the histogram of an epoch: a line a bin."""
        low, high = counted.edges[:-1].tolist(), counted.edges[1:].tolist()
        columns = (low, high, counted.true.tolist(), counted.false.tolist())
        names = ("epoch", "low", "high", "true_negatives", "false_negatives")
        lines = [
            dict(zip(names, (epoch, *values), strict=True)) for values in zip(*columns, strict=True)
        ]
        self._add("scores", lines)

    def items(
        self, names: Sequence[str], popularity: Tensor, drawn: Tensor, recommended: Tensor
    ) -> None:
        """Write a line an item, without padding; all arguments (I,)."""
        columns = {"popularity": popularity, "drawn": drawn, "recommended": recommended}
        table = pd.DataFrame({name: column.numpy() for name, column in columns.items()})
        table.insert(0, "item", list(names))
        self._whole("items", table[1:])

    def _add(self, name: str, lines: Sequence[Mapping[str, Any]]) -> None:
        first = not self._path(name).is_file()
        with self._path(name).open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            if first:
                writer.writeheader()
            writer.writerows(lines)

    def _whole(self, name: str, table: pd.DataFrame) -> None:
        with whole_file(self._path(name)) as file:
            table.to_csv(file, index=False)
