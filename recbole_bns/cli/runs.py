"""``recbole-bns runs``: what lies in a folder of runs, newest first."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recbole_bns.common.terminal import GAP, cut, listing_width, table, wrapped

from .parser import Parser, choice

if TYPE_CHECKING:  # help does without the reader of YAML
    from recbole_bns.runs.listing import Entry

BY: dict[str, Callable[[Entry], Any]] = {
    "date": lambda entry: -entry.changed,
    "name": lambda entry: entry.name,
    "data": lambda entry: entry.data,
    "model": lambda entry: entry.model,
    "sampler": lambda entry: entry.sampler,
    "valid": lambda entry: _best_first(entry.valid),
    "test": lambda entry: _best_first(entry.test),
    "epochs": lambda entry: -(entry.epochs or 0),
    "state": lambda entry: entry.state,
    "size": lambda entry: -entry.size,
}
"""What a list may be sorted by; within equal ones the newest come first."""

HEADS = ("name", "data", "model", "sampler", "valid", "test", "epochs", "state", "size", "date")


def parser() -> Parser:
    """The words and flags of ``runs``, and its help."""
    made = Parser(
        "runs",
        "List the runs in a folder, newest first: data, model, sampler (with loss and mixer), the\n"
        "validation metric in validation and test, epochs done, state, size on the disk, date.\n"
        "A comparison or a sweep is one line, with its best row or its winner.",
        "example: recbole-bns runs --sort=test",
    )
    made.add("folder", "default: runs", metavar="DIR", nargs="?", default="runs", type=Path)
    made.add(
        "--sort",
        f"by {', '.join(BY)} (default: date)",
        metavar="KEY",
        type=choice(list(BY)),
        default="date",
    )
    made.add("--json", "all that is known, for programs", action="store_true")
    return made


def command(words: Sequence[str]) -> int:
    """Print the list.

    Raises:
        UsageError: there is no such folder.
    """
    options = parser().read(words)
    from recbole_bns.runs.listing import read_entries

    found = sorted(read_entries(options.folder), key=BY[options.sort])
    if options.json:
        print(json.dumps([dataclasses.asdict(entry) for entry in found], indent=2))
    elif found:
        print("\n".join(lines(found, listing_width())))
    else:
        print(f"no runs in {options.folder}", file=sys.stderr)
    return 0


def lines(found: Sequence[Entry], width: int) -> list[str]:
    """A table where it fits; else a line with the name of each and another one beneath."""
    rows = [_cells(entry) for entry in found]
    drawn = table(rows, HEADS)
    if max(map(len, drawn)) > width:
        drawn = [line for entry in found for line in _in_two(entry, width)]
    notes = [
        line
        for entry in found
        if entry.note
        for line in wrapped(f"{entry.name}: {entry.note}", width)
    ]
    return [*drawn, *([""] if notes else []), *notes]


def _cells(entry: Entry) -> list[str]:
    """Of a row, as :data:`HEADS` names them."""
    return [
        entry.name,
        entry.data,
        entry.model,
        cut(entry.sampler, 40),
        _metric(entry, entry.valid),
        _metric(entry, entry.test),
        _epochs(entry),
        _state(entry),
        size_of(entry.size),
        date_of(entry.changed),
    ]


def _in_two(entry: Entry, width: int) -> list[str]:
    """Two lines of an entry; a name that is wider than a line is broken."""
    right = f"{size_of(entry.size)}  {date_of(entry.changed)}"
    room = width - len(right) - len(GAP)
    first = (
        [f"{entry.name:<{room}}{GAP}{right}"]
        if len(entry.name) <= room
        else [*wrapped(entry.name, width), *wrapped(right, width, first="  ")]
    )
    values = [
        f"{value:.4f} {part}"
        for value, part in ((entry.valid, "valid"), (entry.test, "test"))
        if value is not None
    ]
    epochs = f"{_epochs(entry)} epochs" if entry.epochs is not None else ""
    on = " ".join(word for word in (entry.data, entry.model, entry.sampler) if word)
    metric = f"{entry.metric} {', '.join(values)}" if values else ""
    text = "; ".join(part for part in (on, metric, epochs, _state(entry)) if part)
    return [*first, *wrapped(text, width, first="  ", later="    ")]


def _metric(entry: Entry, value: float | None) -> str:
    return "" if value is None else f"{entry.metric} {value:.4f}"


def _epochs(entry: Entry) -> str:
    """``30``, or ``3 of 30`` where the run is not finished."""
    planned = "" if entry.planned is None else f" of {entry.planned}"
    return "" if entry.epochs is None else f"{entry.epochs}{planned}"


def _state(entry: Entry) -> str:
    """What it is, where it is no run, and whether it is finished."""
    kind = "" if entry.kind == "run" else entry.kind
    return f"{kind} {entry.state}".strip()


def _best_first(value: float | None) -> float:
    return float("inf") if value is None else -value


def size_of(count: int) -> str:
    """Bytes in words: ``812 kB``, ``1.2 MB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in ("B", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def date_of(seconds: float) -> str:
    """``2026-11-26 08:23``, of the clock here; empty where there is none."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M") if seconds else ""
