"""Paired tests over users between rows of runs with common seeds.

Pure functions: tables and arrays in, a pandas table out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

PerUser = Mapping[tuple[str, int], Mapping[str, NDArray[Any]]]
"""(row, seed) -> ``users`` (users,) and one (users,) a metric."""

DECIMALS = 12
"""Values that agree in so many decimals are equal: sums in another order differ by 1e-17."""
TIMES = ("train_seconds", "seconds_to_best", "best_epoch", "epochs")


def metrics_of(runs: pd.DataFrame) -> list[str]:
    """The columns that are metrics, in RecBole's order."""
    return [name for name in runs.columns if name not in {"sampler", "seed", "loss", *TIMES}]


def against_reference(
    runs: pd.DataFrame, per_user: PerUser, samplers: Sequence[str], reference: str
) -> pd.DataFrame:
    """Each sampler against the reference: difference and paired tests, one row a metric.

    Of the seeds that both have finished, a user's metric is averaged over the seeds in which the
    user has test items; the paired t-test and Wilcoxon's signed-rank test (zero differences left
    out) are over the users, two-sided, p-values Holm-corrected over the samplers.

    Args:
        runs: of :func:`runs_table`.
        per_user: of each finished run.
        samplers: in this order.
        reference: one of them.

    Returns:
        columns ``sampler``, ``metric``, ``difference`` (mean over the common seeds), ``users``,
        ``p_t``, ``p_wilcoxon``, ``p_t_holm``, ``p_wilcoxon_holm``; p-values are NaN for a metric
        that is no average over users.
    """
    indexed = runs.set_index(["sampler", "seed"])
    rows = []
    for sampler in samplers:
        seeds = common_seeds(runs, sampler, reference)
        if sampler == reference or not seeds:
            continue
        ours, theirs = (_user_means(per_user, name, seeds) for name in (sampler, reference))
        for metric in metrics_of(runs):
            gaps = (
                indexed.loc[sampler].loc[seeds, metric]
                - (indexed.loc[reference].loc[seeds, metric])
            )
            row = {
                "sampler": sampler,
                "metric": metric,
                "difference": round(gaps.mean(), DECIMALS) + 0.0,
            }
            if metric in ours.columns:
                row |= paired_tests((ours[metric] - theirs[metric]).dropna().to_numpy())
            rows.append(row)
    columns = ["sampler", "metric", "difference", "users", "p_t", "p_wilcoxon"]
    table = pd.DataFrame(rows, columns=columns)
    for test in ("p_t", "p_wilcoxon"):
        table[f"{test}_holm"] = table.groupby("metric")[test].transform(
            lambda values: holm(values.to_numpy(dtype=float))
        )
    return table


def common_seeds(runs: pd.DataFrame, sampler: str, reference: str) -> list[int]:
    """Seeds that both samplers have finished, ascending."""
    done = [set(runs.loc[runs["sampler"] == name, "seed"]) for name in (sampler, reference)]
    return sorted(int(seed) for seed in done[0] & done[1])


def _user_means(per_user: PerUser, sampler: str, seeds: Sequence[int]) -> pd.DataFrame:
    """Metrics (users, metrics), averaged over the seeds; the index is the user."""
    parts = [pd.DataFrame(dict(per_user[sampler, seed])) for seed in seeds]
    return pd.concat(parts).groupby("users").mean()


def paired_tests(differences: NDArray[np.float64]) -> dict[str, float]:
    """Two-sided p-values that differences (users,) are centred at zero.

    Where all are zero, nothing speaks against it: both are 1.
    """
    users, differences = len(differences), differences.round(DECIMALS)
    if not differences.any():
        return {"users": users, "p_t": 1.0, "p_wilcoxon": 1.0}
    return {
        "users": users,
        "p_t": float(stats.ttest_1samp(differences, 0.0).pvalue) if users > 1 else np.nan,
        "p_wilcoxon": float(stats.wilcoxon(differences).pvalue),
    }


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's step-down correction of p-values (m,); NaN stays NaN and does not count.

    The i-th smallest of m is multiplied by m - i + 1; the results never fall, and end at 1.
    """
    corrected = np.full_like(p, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return corrected
