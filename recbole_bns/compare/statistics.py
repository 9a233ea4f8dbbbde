"""What finished runs say together: means over seeds, paired tests over users, ranks.

Pure functions: records and arrays in, pandas tables out; :mod:`.report` writes them.
A record is what a run leaves in ``runs/<sampler>-<seed>.json``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from recbole_bns.runs.records import RunRecord
from recbole_bns.settings.declared import OWN_LOSS

PerUser = Mapping[tuple[str, int], Mapping[str, NDArray[Any]]]
"""(row, seed) -> ``users`` (users,) and one (users,) a metric."""

DECIMALS = 12
"""Values that agree in so many decimals are equal: sums in another order differ by 1e-17."""
TIMES = ("train_seconds", "seconds_to_best", "best_epoch", "epochs")


def runs_table(records: Sequence[RunRecord]) -> pd.DataFrame:
    """One row a finished run: sampler, seed, loss, test metrics, seconds of training, epochs.

    ``seconds_to_best`` is the training up to the end of the epoch whose weights were tested;
    both times leave evaluation out.
    """
    rows = []
    for record in records:
        if record["status"] == "done":
            result = record["result"]
            seconds, best = result["train_epoch_seconds"], result["best_epoch"]
            rows.append(
                {
                    "sampler": record["sampler"],
                    "seed": record["seed"],
                    "loss": record.get("loss", OWN_LOSS),
                    **result["test_result"],
                    "train_seconds": sum(seconds),
                    "seconds_to_best": sum(seconds[:best]),
                    "best_epoch": best,
                    "epochs": result["epochs"],
                }
            )
    return pd.DataFrame(rows)


def metrics_of(runs: pd.DataFrame) -> list[str]:
    """The columns that are metrics, in RecBole's order."""
    return [name for name in runs.columns if name not in {"sampler", "seed", "loss", *TIMES}]


def means_table(
    runs: pd.DataFrame, samplers: Sequence[str], smaller: Collection[str] = ()
) -> pd.DataFrame:
    """Mean, standard deviation over seeds and rank, one row a sampler and metric.

    Args:
        runs: of :func:`runs_table`.
        samplers: in this order; those without a finished run are left out.
        smaller: metrics of which less is better, without the cut.

    Returns:
        columns ``sampler``, ``metric``, ``runs``, ``mean``, ``std`` (n - 1 in the denominator, NaN
        for one run), ``rank`` (1 is best; equal means share a rank, the next one follows it).
    """
    groups = runs.groupby("sampler")
    parts = []
    for metric in metrics_of(runs):
        values = groups[metric].agg(["count", "mean", "std"])
        values = values.loc[[name for name in samplers if name in values.index]]
        ascending = metric.partition("@")[0] in smaller
        ranks = values["mean"].round(DECIMALS).rank(method="dense", ascending=ascending)
        parts.append(
            pd.DataFrame(
                {
                    "sampler": values.index,
                    "metric": metric,
                    "runs": values["count"].to_numpy(),
                    "mean": values["mean"].to_numpy(),
                    "std": values["std"].to_numpy(),
                    "rank": ranks.to_numpy(dtype=int),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


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


def times_table(runs: pd.DataFrame, samplers: Sequence[str]) -> pd.DataFrame:
    """Mean and standard deviation over seeds of times (seconds) and epochs; index: sampler."""
    table = runs.groupby("sampler")[list(TIMES)].agg(["mean", "std"])
    return table.loc[[name for name in samplers if name in table.index]]


def different_test_parts(per_user: PerUser) -> list[int]:
    """Seeds under which the samplers were not tested on the same users."""
    found: dict[int, set[bytes]] = {}
    for (_, seed), values in per_user.items():
        found.setdefault(seed, set()).add("\t".join(map(str, values["users"])).encode())
    return sorted(seed for seed, kinds in found.items() if len(kinds) > 1)


def still_improving(records: Sequence[RunRecord]) -> dict[str, list[int]]:
    """Row -> seeds of the runs that were best when they were last evaluated, after all epochs.

    A run that was stopped early, or had no validation part, is none of them.
    """
    rows: dict[str, list[int]] = {}
    for record in records:
        if record["status"] != "done" or record["result"]["best_valid_result"] is None:
            continue
        result, epochs = record["result"], record["settings"]["epochs"]
        last = epochs - epochs % record["settings"].get("eval_step", 1)
        if result["epochs"] == epochs and result["best_epoch"] == last:
            rows.setdefault(record["sampler"], []).append(record["seed"])
    return rows


def settings_that_differ(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each row's settings those that differ between rows, the sampler's and loss's left out."""
    own = {"neg_sampler", "neg_sampler_args", "loss", "loss_args"}
    keys = sorted({key for row in settings.values() for key in row} - own)
    differ = [key for key in keys if len({repr(row.get(key)) for row in settings.values()}) > 1]
    return {name: {key: row.get(key) for key in differ} for name, row in settings.items()}
