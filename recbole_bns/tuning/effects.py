"""How the metric of a sweep goes with each hyper-parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from ..compare_cells import draw
from .plan import Plan
from .records import FAILED, Record
from .space import LISTS


def effects(plan: Plan, found: Sequence[Record]) -> list[str]:
    """How the metric goes with each hyper-parameter, the others left as they were drawn."""
    good = [r for r in found if r.status != FAILED and r.best(plan.metric, plan.bigger)]
    if len(good) < 3:
        return []
    y = np.array([(r.best(plan.metric, plan.bigger) or (0.0, 0))[0] for r in good])
    rows = []
    for key, dimension in plan.space.items():
        drawn = [value_of(record, key) for record in good]
        groups = _groups(drawn, discrete=dimension.kind in LISTS)
        means = "; ".join(
            f"{label}: {y[rows_].mean():.4f} ({len(rows_)})" for label, rows_ in groups
        )
        share = explained(y, [part for _, part in groups])
        rows.append(
            [
                f"`{key}`",
                "" if share is None else f"{share:.2f}",
                _rank_correlation(drawn, y),
                means,
            ]
        )
    rows.sort(key=lambda row: -float(row[1] or -1))
    return [
        "## Effects",
        draw(rows, ["hyper-parameter", "share of variance", "rank correlation",
                     f"mean {plan.metric} (trials)"]),
        f"Over the {len(good)} trials with a result: the share of the variance of {plan.metric} "
        "that the groups in the last column explain, adjusted for their number (ranges are cut "
        "into thirds of the trials; empty where there are too few trials), "
        "Spearman's correlation, and the mean in each group. The other hyper-parameters differ "
        "within a group, so that few trials show large effects only.",
    ]  # fmt: skip


def explained(y: Any, groups: Sequence[Sequence[int]]) -> float | None:
    """Share of the variance of y (n,) between groups of its rows: adjusted R², at least 0.

    None where there are no more rows than groups, or y is constant.
    """
    n, k = len(y), len(groups)
    total = ((y - y.mean()) ** 2).sum()
    if n <= k or total == 0:
        return None
    within = sum(((y[list(rows)] - y[list(rows)].mean()) ** 2).sum() for rows in groups)
    return max(0.0, 1 - (within / (n - k)) / (total / (n - 1)))


def _groups(drawn: Sequence[Any], *, discrete: bool) -> list[tuple[str, list[int]]]:
    """Rows of each value, or of each third of the trials in order of the value."""
    if discrete:
        values = sorted(set(map(cell, drawn)), key=lambda word: (_as_number(word), word))
        return [(v, [i for i, d in enumerate(drawn) if cell(d) == v]) for v in values]
    order = np.argsort(np.array(drawn, dtype=float), kind="stable")
    thirds = [part.tolist() for part in np.array_split(order, 3) if len(part)]
    return [(f"{cell(drawn[p[0]])} to {cell(drawn[p[-1]])}", p) for p in thirds]


def _rank_correlation(drawn: Sequence[Any], y: Any) -> str:
    try:
        x = np.array(drawn, dtype=float)
    except (TypeError, ValueError):
        return ""
    if len(np.unique(x)) < 2 or len(np.unique(y)) < 2:
        return ""
    return f"{stats.spearmanr(x, y).statistic:+.2f}"


def _as_number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("inf")


def cell(value: Any) -> str:
    """A drawn value as it is shown."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def value_of(record: Record, key: str) -> Any:
    """What was drawn for a dotted key."""
    head, dot, name = key.partition(".")
    inner = record.found.get(head)
    return inner.get(name) if dot and isinstance(inner, Mapping) else inner
