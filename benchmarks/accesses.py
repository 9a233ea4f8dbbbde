"""results/tests.log: every time that a test part was looked at, with what, and why.

A line: date, data set, model, cell, the file that has its settings, why; tabs between. Written
before the look, so that one that is broken off is there too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

LOG = Path(__file__).parent.parent / "results" / "tests.log"


def log(data: str, model: str, cells: Iterable[str], settings: str, why: str) -> None:
    """Write a line for each cell that will be tested.

    Args:
        data: name of the data set.
        model: RecBole's name of it, or of the table.
        cells: what is tested.
        settings: the file that has their settings, from the project's root.
        why: in a few words.
    """
    with LOG.open("a", encoding="utf-8") as lines:
        for cell in cells:
            lines.write(f"{date.today()}\t{data}\t{model}\t{cell}\t{settings}\t{why}\n")
