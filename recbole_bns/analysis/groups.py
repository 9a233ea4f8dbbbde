"""Metrics by groups of items and users: the lines of their tables, and what the groups are."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from recbole_bns.runs.groups import ITEMS, USERS

from .folders import RunData
from .tables import chosen_metrics, drawn_by_group, group_metrics, group_sizes

KINDS = {"items": "Items by popularity", "users": "Users by activity"}
"""What groups are of, and what to call them."""

DEFINED = {
    "items": "Items in the order of their training interactions, the most popular first, equals "
    "together: head are those in the first fifth of all training interactions, tail those in the "
    "last fifth and items without any, mid the others. recall and NDCG are of the group's test "
    "items alone, in lists for which all items compete, averaged over the users that have some; a "
    "share is the group's part of the places of all lists, of the negatives drawn, or of the "
    "training interactions.",
    "users": "Users of the test part in the order of their training interactions, cut into thirds, "
    "equals together.",
}


def group_lines(runs: Sequence[RunData], kind: str) -> pd.DataFrame:
    """A line a metric and group, a column a row of runs; NaN where a row has no such number.

    Args:
        runs: of one data set.
        kind: ``items`` or ``users``.

    Returns:
        an empty table where no run left groups.
    """
    names = chosen_metrics(runs, kind)
    if not names:
        return pd.DataFrame()
    table = group_metrics(runs)
    table = table[(table["kind"] == kind) & table["metric"].isin(names)]
    parts = [(name, table[table["metric"] == name]) for name in names]
    if kind == "items":
        parts = [(_long(name), part) for name, part in parts]
        drawn, sizes = drawn_by_group(runs), group_sizes(runs, kind)
        parts += [] if drawn.empty else [("share of negatives drawn", drawn)]
        share = sizes["interactions"] / sizes["interactions"].sum()
        labels = list(dict.fromkeys(table["run"]))
        of_training = [{"run": r, "group": g, "value": v} for r in labels for g, v in share.items()]
        parts.append(("share of training interactions", pd.DataFrame(of_training)))
    order = [group for group in (*ITEMS, *USERS) if group in set(table["group"])]
    wide = [
        part.pivot(index="group", columns="run", values="value")
        .reindex(order)
        .rename(index=lambda group, name=name: f"{name}, {group}")
        for name, part in parts
    ]
    return pd.concat(wide)[list(dict.fromkeys(table["run"]))]


def _long(metric: str) -> str:
    """``share of first 20 places`` of ``share@20``."""
    name, _, cut = metric.partition("@")
    return f"share of first {cut} places" if name == "share" else metric


def note_of(runs: Sequence[RunData], kind: str) -> str:
    """How the groups are made and how large they are, in sentences."""
    sizes = [
        f"{group}: {line.members:,} {kind} with {line.least:,} to {line.most:,} each, "
        f"{line.interactions:,} together"
        for group, line in group_sizes(runs, kind).iterrows()
    ]
    return f"{DEFINED[kind]} Training interactions here: {'; '.join(sizes)}."
