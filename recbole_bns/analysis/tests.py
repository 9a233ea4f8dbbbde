"""Paired tests between rows of runs that no comparison has put together."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from recbole_bns.runs.paired import against_reference

from .folders import RunData, per_user

FIRST = "rns"
"""The sampler that others are tested against, where there is a row with it."""


def reference_of(runs: Sequence[RunData]) -> str:
    """The row that the others are tested against: the first of uniform sampling, else the first."""
    uniform = (run.label for run in runs if run.result["neg_sampler"] == FIRST)
    return next(uniform, runs[0].label)


def tests_between(runs: Sequence[RunData], reference: str) -> pd.DataFrame:
    """Each row of one data set against the reference, of the runs that left their users' metrics.

    A seed that was run twice counts with the first of the two.

    Args:
        runs: of one data set.
        reference: a row.

    Returns:
        the table of :func:`recbole_bns.runs.paired.against_reference`.

    Raises:
        UsageError: a file cannot be read.
    """
    users, lines = {}, {}
    for run in runs:
        key = run.label, int(run.result["seed"])
        values = per_user(run) if key not in users else None
        if values is not None:
            users[key] = values
            lines[key] = {"sampler": key[0], "seed": key[1], **run.result["test_result"]}
    table = pd.DataFrame(list(lines.values()), columns=_columns(list(lines.values())))
    labels = list(dict.fromkeys(label for label, _ in users))
    return against_reference(table, users, labels, reference)


def _columns(lines: Sequence[dict[str, object]]) -> list[str]:
    return list(dict.fromkeys(["sampler", "seed", *(name for line in lines for name in line)]))
