"""Tables of what ``recbole-bns tune`` has left in its folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_bns.common.errors import UsageError
from recbole_bns.settings.words import read_yaml


def is_sweep(folder: Path) -> bool:
    """Whether ``recbole-bns tune`` wrote the folder."""
    return (folder / "sweep.json").is_file()


def trials_table(folder: Path) -> pd.DataFrame:
    """Trials of a sweep, a line a trial and searched number.

    Returns:
        columns parameter, value (log10 of those searched log-uniformly), status, metric, score.

    Raises:
        UsageError: a file of the sweep cannot be read.
    """
    try:
        held = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))["held"]
        trials = pd.read_csv(folder / "trials.csv")
        trials = trials[trials[held["metric"]].notna()]
        parts = []
        for key, kind in held["space"].items():
            values = pd.to_numeric(trials[key], errors="coerce")
            name = key.removeprefix("neg_sampler_args.")
            if "loguniform" in kind:
                values, name = np.log10(values), f"log10 of {name}"
            columns = {
                "parameter": name,
                "value": values,
                "status": trials["status"],
                "metric": held["metric"],
                "score": trials[held["metric"]],
            }
            parts.append(pd.DataFrame(columns).dropna())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"report: cannot read the sweep in '{folder}': {error}.") from error
    return pd.concat(parts, ignore_index=True)


@dataclass
class RunData:
    """A run as its folder has it.

    Attributes:
        folder: of the run.
        result: the content of ``result.json``.
        settings: the content of ``settings.yaml``.
        name: of its row in a comparison, else of its sampler.
        label: what tables and legends call it; runs that differ in the seed alone share it.
        tables: ``epochs``, ``negatives``, ``scores`` and ``items``, those that are there; of the
            winner of a sweep also ``trials``.
    """

    folder: Path
    result: dict[str, Any]
    settings: dict[str, Any]
    name: str
    label: str = ""
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


NAMES = ("epochs", "negatives", "scores", "items")


def read_runs(paths: Iterable[str | Path]) -> list[RunData]:
    """Runs of these folders: of a run, a comparison (all that it has finished), a sweep (winner).

    Raises:
        UsageError: a folder holds no finished run, or a file in it cannot be read.
    """
    runs: list[RunData] = []
    for path in map(Path, paths):
        pattern = "winner*/result.json" if is_sweep(path) else "runs/*/result.json"
        found = (
            [path]
            if (path / "result.json").is_file()
            else sorted(file.parent for file in path.glob(pattern))
        )
        if not found:
            raise UsageError(
                f"report: '{path}' holds no finished run; allowed are folders of 'recbole-bns run' "
                "(with result.json), of 'recbole-bns compare' and of 'recbole-bns tune'."
            )
        runs += [_read_run(folder) for folder in found]
        if is_sweep(path):
            runs[-1].tables["trials"] = trials_table(path)
    _label(runs)
    return runs


def _read_run(folder: Path) -> RunData:
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        name = result["neg_sampler_label"]
        record = folder.with_name(f"{folder.name}.json")
        if folder.parent.name == "runs" and record.is_file():
            row = json.loads(record.read_text(encoding="utf-8"))["sampler"]
            name = name if row == result["neg_sampler"] else row
        run = RunData(folder, result, read_yaml(folder / "settings.yaml"), name)
        for table in NAMES:
            for path, read in (
                (folder / f"{table}.csv", pd.read_csv),
                (folder / f"{table}.parquet", pd.read_parquet),
            ):
                if path.is_file():
                    run.tables[table] = read(path)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise UsageError(f"report: cannot read the run in '{folder}': {error}.") from error
    return run


def _label(runs: Sequence[RunData]) -> None:
    """Name every run by what tells it from others: sampler, then parameters, model, data."""
    for key in ("model", "dataset"):
        several = len({run.result[key] for run in runs}) > 1
        for run in runs:
            run.label = f"{run.result[key]} {run.label}".strip() if several else run.label
    for run in runs:
        run.label = f"{run.label} {run.name}".strip()
    for label in {run.label for run in runs}:
        alike = [run for run in runs if run.label == label]
        for key in _differing([run.result["neg_sampler_args"] for run in alike]):
            for run in alike:
                run.label += f" {key}={run.result['neg_sampler_args'].get(key)}"


def _differing(many: Sequence[dict[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for one in many for key in one)
    return [key for key in keys if len({repr(one.get(key)) for one in many}) > 1]


def labels(runs: Sequence[RunData]) -> list[str]:
    """Labels in the order of the runs, each once."""
    return list(dict.fromkeys(run.label for run in runs))


def settings_table(runs: Sequence[RunData]) -> pd.DataFrame:
    """What was run: a line a label, with seeds, epochs and parameters."""
    lines = []
    for label in labels(runs):
        alike = [run for run in runs if run.label == label]
        first = alike[0].result
        args = ", ".join(f"{key}={value}" for key, value in first["neg_sampler_args"].items())
        lines.append(
            {
                "run": label,
                "model": first["model"],
                "data": first["dataset"],
                "sampler": first["neg_sampler_label"],
                "parameters": args or "none",
                "seeds": ", ".join(str(run.result["seed"]) for run in alike),
                "epochs": ", ".join(dict.fromkeys(str(run.result["epochs"]) for run in alike)),
                "learning rate": alike[0].settings.get("learning_rate"),
                "batch": alike[0].settings.get("train_batch_size"),
            }
        )
    return pd.DataFrame(lines)


def metrics_table(runs: Sequence[RunData]) -> pd.DataFrame:
    """Test metrics: a line a label and metric with mean and standard deviation over the seeds."""
    lines = [
        {"run": run.label, "metric": metric, "value": value}
        for run in runs
        for metric, value in run.result["test_result"].items()
    ]
    grouped = pd.DataFrame(lines).groupby(["run", "metric"], sort=False)["value"]
    return grouped.agg(["mean", "std", "count"]).reset_index()


def versions_of(runs: Sequence[RunData]) -> dict[str, str]:
    """Versions of the packages that the runs were made with."""
    names = dict.fromkeys(name for run in runs for name in run.result["versions"])
    return {
        name: "/".join(dict.fromkeys(str(run.result["versions"].get(name, "?")) for run in runs))
        for name in names
    }


def by_epoch(runs: Sequence[RunData], table: str) -> pd.DataFrame:
    """``epochs`` or ``negatives`` averaged over seeds: a line a label and epoch.

    Epochs that not every seed of a label has reached are left out. Of ``epochs``, ``seconds`` is
    the training time until the end of the epoch.
    """
    parts = []
    for label in labels(runs):
        alike = [run.tables[table] for run in runs if run.label == label and table in run.tables]
        if not alike:
            continue
        shared = min(part["epoch"].max() for part in alike)
        if table == "epochs":
            alike = [part.assign(seconds=part["train_seconds"].cumsum()) for part in alike]
        joined = pd.concat(alike)
        mean = joined[joined["epoch"] <= shared].groupby("epoch").mean(numeric_only=True)
        parts.append(mean.reset_index().assign(run=label))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _firsts(runs: Sequence[RunData], table: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each label with this table of its first seed, where that has it."""
    for label in labels(runs):
        first = next(run for run in runs if run.label == label)
        if table in first.tables:
            yield label, first.tables[table]


def histograms(runs: Sequence[RunData]) -> pd.DataFrame:
    """Score densities of the first seed of each label: run, epoch, score, density, kind."""
    parts = []
    for label, table in _firsts(runs, "scores"):
        for kind in ("true_negatives", "false_negatives"):
            total = table.groupby("epoch")[kind].transform("sum").clip(lower=1)
            parts.append(
                pd.DataFrame(
                    {
                        "run": label,
                        "epoch": table["epoch"],
                        "score": (table["low"] + table["high"]) / 2,
                        "density": table[kind] / total / (table["high"] - table["low"]),
                        "kind": kind.replace("_", " "),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


GROUPS = 10


def popularity_groups(runs: Sequence[RunData]) -> pd.DataFrame:
    """Where negatives and recommendations lie: run, kind, group (1 to 10), share.

    Items are ordered by training interactions and cut into ten groups of equal size. ``share`` is
    that of a group in what ``kind`` names. Of each label the first seed.
    """
    parts = []
    for label, table in _firsts(runs, "items"):
        order = table["popularity"].rank(method="first")
        group = ((order - 1) * GROUPS // len(table)).astype(int) + 1
        for kind, column in (
            ("negatives drawn", "drawn"),
            ("recommended places", "recommended"),
            ("training interactions", "popularity"),
        ):
            share = table[column].groupby(group).sum() / max(table[column].sum(), 1)
            lines = {"run": label, "kind": kind, "group": share.index, "share": share.to_numpy()}
            parts.append(pd.DataFrame(lines))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
