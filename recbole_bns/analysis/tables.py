"""Tables of runs: what was run, test metrics, curves, densities, popularity, swept parameters.

Pure functions of :class:`.folders.RunData`; a row is what runs share that differ in the seed alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from recbole_bns.runs.groups import ITEMS, item_groups
from recbole_bns.settings.declared import NO_MIXER, OWN_LOSS
from recbole_bns.settings.properties import cell, mined_word

from .folders import RunData
from .rows import ARGS, by_row, distinct_names, row_settings, same_row

SWEPT = ("lambda", "candidate_num")
"""Parameters of samplers whose sweeps are tabled."""

GROUPS = 10
"""Groups of items by popularity."""


def settings_table(runs: Sequence[RunData]) -> pd.DataFrame:
    """What was run: a line a row, with seeds, epochs and parameters.

    The loss is there where a row has another one than its model's, the mixer where a row has one.
    """
    rows = [_settings_of(*row, seeds) for row, seeds in by_row(runs).items()]
    table = pd.DataFrame(rows)
    for key, columns in (("loss", ["loss", "its parameters"]), ("mixer", ["mixer", "mixed by"])):
        if not any(key in run.result for run in runs):
            table = table.drop(columns=columns)
    return table


def _settings_of(data: str, label: str, seeds: Sequence[RunData]) -> dict[str, Any]:
    """A line of :func:`settings_table`."""
    first = seeds[0].result
    settings = {**seeds[0].settings, **first.get("batch_decided", {})}
    return {
        "run": label,
        "model": first["model"],
        "data": data,
        "sampler": first["neg_sampler_label"],
        "parameters": _words(first["neg_sampler_args"]),
        "loss": first.get("loss", OWN_LOSS),
        "its parameters": _words(first.get("loss_args", {})),
        "mixer": first.get("mixer", NO_MIXER),
        "mixed by": _words(first.get("mixer_args", {})),
        "seeds": ", ".join(dict.fromkeys(str(run.result["seed"]) for run in seeds)),
        "epochs": ", ".join(dict.fromkeys(str(run.result["epochs"]) for run in seeds)),
        "learning rate": settings.get("learning_rate"),
        "batch": settings.get("train_batch_size"),
    }


def _words(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in parameters.items()) or "none"


def metrics_table(runs: Sequence[RunData]) -> pd.DataFrame:
    """Test metrics: a line a row and metric, with what they are over the seeds.

    Returns:
        columns data, run, metric, mean, std (n - 1 in the denominator, NaN for one seed) and count
        (of seeds; a seed that was run twice counts once, with its mean).
    """
    lines = [
        (run.data, run.label, metric, run.result["seed"], value)
        for run in runs
        for metric, value in run.result["test_result"].items()
    ]
    table = pd.DataFrame(lines, columns=["data", "run", "metric", "seed", "value"])
    keys = ["data", "run", "metric"]
    seeds = table.groupby([*keys, "seed"], sort=False)["value"].mean().reset_index()
    grouped = seeds.groupby(keys, sort=False)["value"]
    return grouped.agg(["mean", "std", "count"]).reset_index()


def commands_table(runs: Sequence[RunData]) -> pd.DataFrame:
    """Commands that worked at the runs: run, seed, begun, command; those of Python have none.

    Runs of a comparison are left out: its own command made them.
    """
    lines = [
        {
            "run": run.label,
            "seed": run.result["seed"],
            "begun": str(line["date"])[:16],
            "command": line["command"] or "(called from Python)",
        }
        for run in runs
        if "commands" in run.tables and run.comparison is None
        for line in run.tables["commands"].fillna("").to_dict("records")
    ]
    return pd.DataFrame(lines)


def versions_of(runs: Sequence[RunData]) -> dict[str, str]:
    """Versions of the packages that the runs were made with: ``2.0``, or ``2.0/2.1``."""
    names = dict.fromkeys(name for run in runs for name in run.result["versions"])
    return {
        name: "/".join(dict.fromkeys(str(run.result["versions"].get(name, "?")) for run in runs))
        for name in names
    }


def by_epoch(runs: Sequence[RunData], table: str) -> pd.DataFrame:
    """``epochs`` or ``negatives`` averaged over seeds: a line a row (data, run) and epoch.

    Epochs that not every seed of a row has reached are left out. Of ``epochs``, ``seconds`` is
    the training time until the end of the epoch.
    """
    curves = []
    for (data, label), seeds in by_row(runs).items():
        tables = [run.tables[table] for run in seeds if table in run.tables]
        if not tables:
            continue
        shared = min(each["epoch"].max() for each in tables)
        if table == "epochs":
            tables = [each.assign(seconds=each["train_seconds"].cumsum()) for each in tables]
        joined = pd.concat(tables)
        mean = joined[joined["epoch"] <= shared].groupby("epoch").mean(numeric_only=True)
        curves.append(mean.reset_index().assign(data=data, run=label))
    return _joined(curves)


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables below one another; an empty one where there are none."""
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _firsts(runs: Sequence[RunData], table: str) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Data and label of each row with this table of the first of its seeds that has it."""
    for (data, label), seeds in by_row(runs).items():
        tables = [run.tables[table] for run in seeds if table in run.tables]
        if tables:
            yield data, label, tables[0]


def histograms(runs: Sequence[RunData]) -> pd.DataFrame:
    """Score densities of a seed of each row: data, run, epoch, score, density, kind."""
    densities = []
    for data, label, table in _firsts(runs, "scores"):
        for kind in ("true_negatives", "false_negatives"):
            total = table.groupby("epoch")[kind].transform("sum").clip(lower=1)
            columns = {
                "data": data,
                "run": label,
                "epoch": table["epoch"],
                "score": (table["low"] + table["high"]) / 2,
                "density": table[kind] / total / (table["high"] - table["low"]),
                "kind": kind.replace("_", " "),
            }
            densities.append(pd.DataFrame(columns))
    return _joined(densities)


def popularity_groups(runs: Sequence[RunData]) -> pd.DataFrame:
    """Where negatives and recommendations lie: data, run, kind, group (1 to 10), share.

    Items are ordered by training interactions and cut into ten groups of equal size. ``share`` is
    that of a group in what ``kind`` names. Of each row a seed: the first that has the table.
    """
    shares = []
    for data, label, table in _firsts(runs, "items"):
        order = table["popularity"].rank(method="first")
        group = ((order - 1) * GROUPS // len(table)).astype(int) + 1
        for kind, column in (
            ("negatives drawn", "drawn"),
            ("recommended places", "recommended"),
            ("training interactions", "popularity"),
        ):
            share = table[column].groupby(group).sum() / max(table[column].sum(), 1)
            columns = {"data": data, "run": label, "kind": kind, "group": share.index}
            shares.append(pd.DataFrame({**columns, "share": share.to_numpy()}))
    return _joined(shares)


def group_metrics(runs: Sequence[RunData]) -> pd.DataFrame:
    """What ``groups.csv`` says, averaged over seeds: data, run, kind, group, metric, value."""
    means = []
    for (data, label), seeds in by_row(runs).items():
        tables = [run.tables["groups"] for run in seeds if "groups" in run.tables]
        if tables:
            keys = ["kind", "group", "metric"]
            mean = pd.concat(tables).groupby(keys, sort=False)["value"].mean().reset_index()
            means.append(mean.assign(data=data, run=label))
    return _joined(means)


def group_sizes(runs: Sequence[RunData], kind: str) -> pd.DataFrame:
    """Of the first run with ``groups.csv``, a line a group: members, interactions, least, most.

    Args:
        runs: of one data set.
        kind: ``items`` or ``users``.
    """
    for _, _, table in _firsts(runs, "groups"):
        lines = table[table["kind"] == kind].drop_duplicates("group").set_index("group")
        return lines[["members", "interactions", "least", "most"]].astype(int)
    return pd.DataFrame()


def drawn_by_group(runs: Sequence[RunData]) -> pd.DataFrame:
    """Shares of negatives drawn from head, mid and tail: data, run, group, value.

    Of each row a seed: the first that was recorded.
    """
    shares = []
    for data, label, table in _firsts(runs, "items"):
        group = item_groups(table["popularity"].to_numpy())
        drawn = np.bincount(group, weights=table["drawn"].to_numpy(), minlength=len(ITEMS))
        columns = {"data": data, "run": label, "group": ITEMS, "value": drawn / max(drawn.sum(), 1)}
        shares.append(pd.DataFrame(columns))
    return _joined(shares)


def chosen_metrics(runs: Sequence[RunData], kind: str) -> list[str]:
    """Metrics of groups that are shown: with the cut of the validation metric where they have it.

    Args:
        runs: of one data set.
        kind: ``items`` or ``users``.
    """
    table = group_metrics(runs)
    if table.empty:
        return []
    known = list(dict.fromkeys(table[table["kind"] == kind]["metric"]))
    cut = runs[0].result["valid_metric"].partition("@")[2]
    cuts = [name.partition("@")[2] for name in known]
    cut = cut if cut in cuts else (cuts or [""])[-1]
    at = [name for name in known if name.partition("@")[2] == cut]
    liked = [name for name in at if name.partition("@")[0] in {"recall", "ndcg", "share"}]
    return liked or at[:2]


def sweep_table(runs: Sequence[RunData]) -> pd.DataFrame:
    """Test NDCG against a swept parameter: data, parameter, run, value, metric, mean, std.

    A sweep is two or more values of a parameter of a sampler, with all other parameters and
    settings, the model and the data the same.
    """
    lines = [line for run in runs for parameter in SWEPT for line in _swept(run, parameter)]
    columns = ["parameter", "name", "settings", "value", "metric", "score", "data"]
    table = pd.DataFrame(lines, columns=columns)
    table["rest"] = [same_row(each) for each in table["settings"]]
    sweeps = table.groupby(["parameter", "name", "data", "rest"], sort=False)
    table = table[sweeps["value"].transform("nunique") > 1]
    named = [
        one.assign(run=distinct_names(list(one["name"]), list(one["settings"])))
        for _, one in table.groupby(["data", "parameter"], sort=False)
    ]
    keys = ["data", "parameter", "run", "value", "metric"]
    if not named:
        return pd.DataFrame(columns=[*keys, "mean", "std"])
    return pd.concat(named).groupby(keys)["score"].agg(["mean", "std"]).reset_index()


def _swept(run: RunData, parameter: str) -> Iterator[tuple[Any, ...]]:
    """The line of a run in a sweep of ``parameter``, where it has a number for it."""
    args, test = run.result["neg_sampler_args"], run.result["test_result"]
    value = args.get(parameter)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    metric = next((name for name in reversed(test) if name.startswith("ndcg")), next(iter(test)))
    others = [f"{name}={args[name]}" for name in SWEPT if name != parameter and name in args]
    beside = run.result.get("loss"), run.result.get("mixer")
    of = cell(run.result["neg_sampler"], *beside, mined=mined_word(run.result.get("mine")))
    name = " ".join([run.result["model"], of, *others])
    rest = {k: v for k, v in row_settings(run).items() if k != f"{ARGS}{parameter}"}
    yield parameter, name, rest, value, metric, test[metric], run.data
