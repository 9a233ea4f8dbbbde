"""What finished runs say together: means over seeds, paired tests over users, ranks.

Pure functions: records and arrays in, pandas tables out; :mod:`.report` writes them. The tests are
those of :mod:`recbole_bns.runs.paired`. A record is what a run leaves in
``runs/<sampler>-<seed>.json``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from recbole_bns.runs.paired import DECIMALS as DECIMALS
from recbole_bns.runs.paired import TIMES as TIMES
from recbole_bns.runs.paired import PerUser as PerUser
from recbole_bns.runs.paired import against_reference as against_reference
from recbole_bns.runs.paired import common_seeds as common_seeds
from recbole_bns.runs.paired import holm as holm
from recbole_bns.runs.paired import metrics_of as metrics_of
from recbole_bns.runs.paired import paired_tests as paired_tests
from recbole_bns.runs.records import RunRecord
from recbole_bns.settings.declared import OWN_LOSS


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
