"""Reads what commands have left in folders: finished runs, comparisons, the winners of sweeps."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import beside
from recbole_bns.datasets.check import digest
from recbole_bns.runs.commands import COMMANDS
from recbole_bns.runs.folder import RESULT, SETTINGS, no_runs
from recbole_bns.runs.results import PER_USER, Values, label_of, load
from recbole_bns.settings.properties import cell, mined_word
from recbole_bns.settings.words import read_yaml, short_names

SWEEP, COMPARISON, WINNER = "sweep.json", "compare.json", "winner"

OF_RESULT = (
    "model",
    "dataset",
    "neg_sampler",
    "neg_sampler_label",
    "neg_sampler_args",
    "seed",
    "versions",
    "valid_metric",
    "test_result",
    "epochs",
)
"""Keys that a ``result.json`` must have."""

OF_TABLES = {
    "epochs": ("epoch", "train_seconds"),
    "negatives": ("epoch",),
    "scores": ("epoch", "low", "high", "true_negatives", "false_negatives"),
    "items": ("popularity", "drawn", "recommended"),
    "groups": ("kind", "group", "members", "interactions", "least", "most", "metric", "value"),
    Path(COMMANDS).stem: ("date", "command"),
}
"""Tables that a run may have left, and the columns that each must have."""


@dataclass(frozen=True)
class Comparison:
    """A comparison as its ``compare.json`` has it.

    Attributes:
        folder: of the comparison, from the root.
        command: that made it.
        reference: the row that the others are tested against.
        rows: in the order of its table.
        tests: columns sampler (a row), metric, difference, users, p_t_holm and p_wilcoxon_holm
            (p-values, NaN where there is no test).
    """

    folder: Path
    command: str
    reference: str
    rows: tuple[str, ...]
    tests: pd.DataFrame


@dataclass
class RunData:
    """A run as its folder has it.

    Attributes:
        folder: of the run.
        result: the content of ``result.json``.
        settings: the content of ``settings.yaml``.
        name: of its row in a comparison, else of its sampler and, behind a +, its loss.
        label: what tables and legends call it; runs that differ in the seed alone share it.
        tables: ``epochs``, ``negatives``, ``scores``, ``items``, ``groups`` and ``commands``, those
            that are there; of the winner of a sweep also ``trials``.
        data: what headings call its data; runs with the same test part share it.
        digest: of the data set's files, None where it was not recorded.
        row: its row in its comparison, "" where it is of none.
        comparison: that it is of, if that has a ``compare.json``.
    """

    folder: Path
    result: dict[str, Any]
    settings: dict[str, Any]
    name: str
    label: str = ""
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    data: str = ""
    digest: str | None = None
    row: str = ""
    comparison: Comparison | None = None


def per_user(run: RunData) -> Values | None:
    """Test metrics of every user, where the run left them in its folder or beside it.

    Raises:
        UsageError: the file cannot be read.
    """
    for path in (run.folder / PER_USER, beside(Path(os.path.abspath(run.folder)), ".npz")):
        if path.is_file():
            with _reading(f"the users' metrics in '{path}'"):
                values = load(path)
                return {"users": values.pop("users"), **values}
    return None


def read_folders(paths: Iterable[str | Path]) -> list[RunData]:
    """The finished runs of folders, each once: as given, those of a comparison in its order.

    Args:
        paths: a folder of a run, or one that has runs, comparisons or sweeps somewhere below.

    Raises:
        UsageError: a folder holds no finished run, or a file in it cannot be read.
    """
    runs: dict[Path, RunData] = {}
    comparisons: dict[Path, Comparison | None] = {}
    for path in map(Path, paths):
        folders = finished_runs(path)
        if not folders:
            raise no_runs(path)
        new = [folder for folder in folders if folder.resolve() not in runs]
        for run in _ordered([_read_run(folder, comparisons) for folder in new]):
            runs[run.folder.resolve()] = run
    return list(runs.values())


def finished_runs(folder: Path) -> list[Path]:
    """The folder itself if it is that of a finished run, else all such folders below it.

    Of a sweep only its winners are looked at, and hidden folders not at all.
    """
    if (folder / RESULT).is_file():
        return [folder]
    runs, visited = [], set()
    for name, inner, files in os.walk(folder, followlinks=True):
        here = Path(name)
        links_back = here.resolve() in visited
        visited.add(here.resolve())
        if links_back or {RESULT, SETTINGS} <= set(files):
            runs += [] if links_back else [here]
            inner.clear()
            continue
        prefix = WINNER if SWEEP in files else ""
        kept = [each for each in inner if each.startswith(prefix) and not each.startswith(".")]
        inner[:] = sorted(kept, key=_natural)
    return runs


def _natural(name: str) -> list[str | int]:
    """A key that sorts ``bns-2`` before ``bns-10``."""
    pieces = re.split(r"(\d+)", name)
    return [int(piece) if i % 2 else piece for i, piece in enumerate(pieces)]


def _ordered(runs: Sequence[RunData]) -> Iterator[RunData]:
    """Runs with those of each comparison in the order of its rows, then of the seeds."""
    for _, siblings in groupby(runs, key=lambda run: run.folder.parent):
        yield from sorted(siblings, key=_position)


def _position(run: RunData) -> tuple[int, str, int]:
    """A key that sorts the runs of a comparison; equal for runs of none."""
    if not run.row:
        return -1, "", 0
    rows = run.comparison.rows if run.comparison else ()
    return rows.index(run.row) if run.row in rows else len(rows), run.row, run.result["seed"]


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Turn what goes wrong while files of a folder are read into one sentence."""
    try:
        yield
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ImportError,
        BadZipFile,
    ) as error:
        missing = isinstance(error, KeyError)
        reason = f"it lacks {error}" if missing else " ".join(str(error).split()).rstrip(".")
        raise UsageError(
            f"report: cannot read {what}: {reason}; make it anew, or name folders without it."
        ) from error


def _read_run(folder: Path, comparisons: dict[Path, Comparison | None]) -> RunData:
    """Read a run.

    Args:
        folder: of the run.
        comparisons: those read so far by their folder; that of the run is added.
    """
    with _reading(f"the run in '{folder}'"):
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        for key in OF_RESULT:
            result[key]
        run = RunData(folder, result, read_yaml(folder / SETTINGS), label_of(result))
        run.digest = result.get("data") or _digest_of_own(run)
        run.tables = dict(_tables(folder))
        _read_record(run)
    place = Path(os.path.abspath(folder)).parent
    if run.row:
        if place.parent not in comparisons:
            comparisons[place.parent] = _read_comparison(place.parent)
        run.comparison = comparisons[place.parent]
    if (place / SWEEP).is_file() and folder.name == _last_winner(place):
        run.tables["trials"] = trials_table(place)
    return run


def _digest_of_own(run: RunData) -> str | None:
    """What tells the data from others that lie in the run's own folder, made of a file or frame."""
    root, name = Path(str(run.settings.get("data_path", ""))), str(run.result["dataset"])
    if run.folder.resolve() not in root.parents or not (root / name).is_dir():
        return None
    return digest({"data_path": root / name, "dataset": name, "negatives": None})


def _tables(folder: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """The tables that are there, by name; earlier versions could write Parquet."""
    for name, columns in OF_TABLES.items():
        for path, read in (
            (folder / f"{name}.csv", pd.read_csv),
            (folder / f"{name}.parquet", pd.read_parquet),
        ):
            if path.is_file():
                table = read(path)
                for column in columns:
                    if column not in table:
                        raise ValueError(f"{path.name} lacks the column '{column}'")
                yield name, table


def _read_record(run: RunData) -> None:
    """Add what the record of a comparison, beside the run's folder, says of it."""
    folder = Path(os.path.abspath(run.folder))
    record = beside(folder, ".json")
    if folder.parent.name != "runs" or not record.is_file():
        return
    content = json.loads(record.read_text(encoding="utf-8"))
    run.row = content["sampler"]
    run.digest = content.get("data", run.digest)
    if run.row != _cell_of(run.result):
        run.name = run.row


def _cell_of(result: dict[str, Any]) -> str:
    beside = result.get("loss"), result.get("mixer")
    return cell(result["neg_sampler"], *beside, mined=mined_word(result.get("mine")))


def _read_comparison(folder: Path) -> Comparison | None:
    """What ``compare.json`` says; None where the comparison has not come to its tables."""
    path = folder / COMPARISON
    if not path.is_file():
        return None
    with _reading(f"the comparison in '{folder}'"):
        content = json.loads(path.read_text(encoding="utf-8"))
        columns = ("sampler", "metric", "difference", "users", "p_t_holm", "p_wilcoxon_holm")
        tests = [{name: line.get(name) for name in columns} for line in content["tests"]]
        return Comparison(
            folder,
            content["command"],
            content["reference"],
            tuple(dict.fromkeys(line["sampler"] for line in content["metrics"])),
            pd.DataFrame(tests, columns=list(columns)),
        )


def _last_winner(sweep: Path) -> str:
    """Name of the folder of the sweep's last winner; earlier ones stay beside it."""
    winners = [path.parent.name for path in sweep.glob(f"{WINNER}*/{RESULT}")]
    return max(winners, key=_natural)


def trials_table(folder: Path) -> pd.DataFrame:
    """Trials of a sweep, a line a trial and searched number.

    Returns:
        columns parameter, value (log10 of those searched log-uniformly), status, metric, score.

    Raises:
        UsageError: a file of the sweep cannot be read.
    """
    with _reading(f"the sweep in '{folder}'"):
        held = json.loads((folder / SWEEP).read_text(encoding="utf-8"))["held"]
        trials = pd.read_csv(folder / "trials.csv")
        trials = trials[trials[held["metric"]].notna()]
        tables = []
        names = short_names(held["space"])
        for (key, kind), name in zip(held["space"].items(), names, strict=True):
            values = pd.to_numeric(trials[key], errors="coerce")
            if "loguniform" in kind:
                values, name = np.log10(values), f"log10 of {name}"
            columns = {
                "parameter": name,
                "value": values,
                "status": trials["status"],
                "metric": held["metric"],
                "score": trials[held["metric"]],
            }
            tables.append(pd.DataFrame(columns).dropna())
        return pd.concat(tables, ignore_index=True)
