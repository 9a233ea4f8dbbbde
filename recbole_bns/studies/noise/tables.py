"""Tables of a study's records: pure functions; a record is what a finished run has left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

LAST = 8
"""The mean over the last epochs is over one in so many: 50 of the paper's 400."""

Record = Mapping[str, Any]


def label(record: Record) -> str:
    """The row, and where nothing is planted, that."""
    return f"{record['row']}, nothing planted" if record["sigma"] is None else str(record["row"])


def by_epoch(records: Iterable[Record]) -> pd.DataFrame:
    """Test metrics: columns row, sigma (NaN: nothing planted), seed, epoch, metric, value."""
    lines = [
        (label(record), record["sigma"], record["seed"], epoch, metric, value)
        for record in records
        for epoch, metrics in record["result"]["evaluations"]
        for metric, value in metrics.items()
    ]
    table = pd.DataFrame(lines, columns=["row", "sigma", "seed", "epoch", "metric", "value"])
    return table.astype({"sigma": float})


def last_epochs(table: pd.DataFrame) -> pd.DataFrame:
    """The mean of each run's last epochs: row, sigma, seed, metric, value."""
    first = table["epoch"].max() - max(table["epoch"].max() // LAST, 1)
    late = table[table["epoch"] > first]
    keys = ["row", "sigma", "seed", "metric"]
    return late.groupby(keys, sort=False, dropna=False)["value"].mean().reset_index()


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """``value`` over the seeds: mean and std (n - 1 in the denominator, NaN of one seed)."""
    keys = [name for name in table.columns if name not in {"seed", "value"}]
    grouped = table.groupby(keys, sort=False, dropna=False)["value"]
    return grouped.agg(["mean", "std"]).reset_index()


def figures_of(records: Iterable[Record], name: str) -> pd.DataFrame:
    """Lines of one of Fig. 1's parts, the mean over the seeds of runs that nothing is planted in.

    Args:
        records: of finished runs.
        name: ``ccdf``, ``errors``, ``levels``, ``medians`` or ``deviations``.
    """
    tables = [
        pd.DataFrame(record["result"]["figures"][name])
        for record in records
        if "figures" in record["result"] and record["result"]["figures"][name]
    ]
    if not tables:
        return pd.DataFrame()
    keys = [key for key in ("epoch", "p", "level", "difficulty") if key in tables[0]]
    return pd.concat(tables).groupby(keys, sort=True).mean().reset_index()
