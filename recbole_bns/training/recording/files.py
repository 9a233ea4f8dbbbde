"""The files in which a recorder leaves its tables: a line as soon as it is known."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from recbole_bns.common.files import whole_file
from recbole_bns.common.table_files import check_format

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


class RecordFolder:
    """Writes ``negatives``, ``scores`` and ``items`` into a run's folder.

    CSV files grow by the line. Parquet files are written anew, whole or not at all.

    Args:
        folder: of the run.
        file_format: ``csv`` or ``parquet``.
        before: epochs whose lines, of a process that was ended, stay in the files.
    """

    def __init__(self, folder: str | Path, file_format: str = "csv", before: int = 0) -> None:
        check_format(file_format, "neg_record_format")
        self.folder, self.format = Path(folder), file_format
        self._lines: dict[str, list[Mapping[str, Any]]] = {}
        for name in ("negatives", "scores"):
            path = self.folder / f"{name}.{file_format}"
            if path.is_file():
                self._take_over(name, path, before)

    def _take_over(self, name: str, path: Path, before: int) -> None:
        table = pd.read_parquet(path) if self.format == "parquet" else pd.read_csv(path)
        table = table[table["epoch"] <= before]
        self._lines[name] = table.to_dict("records")
        if before:
            self._whole(name, table)
        else:
            path.unlink()
            self._lines.pop(name)

    def negatives(self, row: Mapping[str, float]) -> None:
        """Add the measures of an epoch."""
        counts = {name: int(row.get(name, 0)) for name in ("epoch", "negatives", "scored")}
        self._add("negatives", [{**{n: row.get(n) for n in COLUMNS}, **counts}])

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
        known = self._lines.setdefault(name, [])
        first = not known
        known += lines
        if self.format == "parquet":
            self._whole(name, pd.DataFrame(known))
            return
        with (self.folder / f"{name}.csv").open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            if first:
                writer.writeheader()
            writer.writerows(lines)

    def _whole(self, name: str, table: pd.DataFrame) -> None:
        with whole_file(self.folder / f"{name}.{self.format}") as file:
            if self.format == "parquet":
                table.to_parquet(file, index=False)
            else:
                table.to_csv(file, index=False)
