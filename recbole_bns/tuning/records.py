"""What trials have reported, in a file of our own that any end of the driver leaves whole.

``trials.jsonl`` holds lines of three kinds: a trial's configuration, a report, an end. A trial that
starts again from a checkpoint reports some epochs anew; the last line counts.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = "trials.jsonl"
OWN = ("epoch", "train_loss", "train_seconds")
"""What a report tells beside validation metrics."""
FINISHED, STOPPED, FAILED, RUNNING = "finished", "stopped early", "failed", "not finished"


@dataclass
class Record:
    """A trial: number, what was drawn, reports by epoch, how it ended."""

    trial: str
    found: dict[str, Any] = field(default_factory=dict)
    reports: dict[int, dict[str, float]] = field(default_factory=dict)
    status: str = RUNNING
    error: str = ""
    node: str = ""

    @property
    def epochs(self) -> int:
        """Of the last report."""
        return max(self.reports, default=0)

    @property
    def seconds(self) -> float:
        """Of training, as far as it is reported."""
        return self.reports[self.epochs]["train_seconds"] if self.reports else 0.0

    def best(self, metric: str, bigger: bool) -> tuple[float, int] | None:
        """Best finite value of a metric, and the first epoch that reached it."""
        values = [
            (r[metric], e)
            for e, r in sorted(self.reports.items())
            if metric in r and math.isfinite(r[metric])
        ]
        sign = 1 if bigger else -1
        return max(values, key=lambda pair: sign * pair[0]) if values else None


def append(folder: Path, **content: Any) -> None:
    """Add a line, a new one even where the last was torn."""
    line = json.dumps(content) + "\n"
    with (folder / FILE).open("ab+") as lines:
        if lines.tell():  # the end of the file
            lines.seek(-1, os.SEEK_END)
            if lines.read(1) != b"\n":
                line = "\n" + line
        lines.write(line.encode())


def read(folder: Path) -> dict[str, Record]:
    """Trials by number, in the order in which they began; a torn last line is left out."""
    records: dict[str, Record] = {}
    for line in _lines(folder / FILE):
        take(records, line)
    return records


def take(records: dict[str, Record], line: Mapping[str, Any]) -> Record:
    """Add what a line says to the trials by number; the trial that it is about."""
    trial = records.setdefault(str(line["trial"]), Record(str(line["trial"])))
    if "found" in line:
        trial.found, trial.node = line["found"], line.get("node", "")
        trial.status, trial.error = RUNNING, ""
    elif "status" in line:
        trial.status, trial.error = line["status"], line.get("error", "")
    else:
        trial.reports[int(line["epoch"])] = line["metrics"]
        trial.node = line.get("node", trial.node)
    return trial


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # the driver was killed while it wrote
            continue


def best_of(records: Mapping[str, Record], metric: str, bigger: bool) -> Record | None:
    """The trial with the best value, failed ones left out; the first of equals."""
    good = [r for r in records.values() if r.status != FAILED and r.best(metric, bigger)]
    sign = 1 if bigger else -1
    return max(good, key=lambda r: sign * (r.best(metric, bigger) or (0.0, 0))[0], default=None)
