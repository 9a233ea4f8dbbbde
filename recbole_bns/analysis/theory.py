"""Tables that need no run: the posterior, the densities of the theory; and sweeps of runs.

Source: B. Liu and B. Wang, Bayesian Negative Sampling for Recommendation, ICDE 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy import stats

from recbole_bns.sampling.methods.bns import unbiasedness

from .tables import RunData

SWEPT = ("lambda", "candidate_num")
SHAPE = 2.0
"""Degrees of freedom are 5, the shape of the gamma distribution is this."""


def posterior_table(size: int = 41) -> pd.DataFrame:
    """Eq. 15 over the unit square: ``F``, ``prior`` (of a false negative) and ``unbias``."""
    axis = torch.linspace(0, 1, size, dtype=torch.float64)
    cdf, prior = torch.meshgrid(axis, axis, indexing="xy")
    values = unbiasedness(cdf, prior)
    columns = {"F": cdf, "prior": prior, "unbias": values}
    return pd.DataFrame({name: value.reshape(-1).numpy() for name, value in columns.items()})


def density_table(size: int = 201) -> pd.DataFrame:
    """Scores of true and false negatives by the theory: law, kind, score, density.

    Of two scores with density f and distribution F, the lower is the true negative's and the
    higher the false one's: ``g = 2 f (1 - F)`` and ``h = 2 f F``.
    """
    laws = {
        "normal": (stats.norm(), -4.0, 4.0),
        "Student (5 degrees of freedom)": (stats.t(5), -4.0, 4.0),
        f"gamma (shape {SHAPE:g})": (stats.gamma(SHAPE), 0.0, 8.0),
    }
    parts = []
    for law, (given, low, high) in laws.items():
        x = np.linspace(low, high, size)
        f, cumulative = given.pdf(x), given.cdf(x)
        for kind, values in (
            ("g: true negatives", 2 * f * (1 - cumulative)),
            ("h: false negatives", 2 * f * cumulative),
        ):
            parts.append(pd.DataFrame({"law": law, "kind": kind, "score": x, "density": values}))
    return pd.concat(parts, ignore_index=True)


def sweep_table(runs: Sequence[RunData]) -> pd.DataFrame:
    """Test NDCG against a swept parameter: parameter, run, value, metric, mean, std.

    A sweep is two or more values of a parameter of a sampler, with all of its other parameters,
    the model and the data the same.
    """
    lines = []
    for run in runs:
        args, test = run.result["neg_sampler_args"], run.result["test_result"]
        metric = next((m for m in reversed(test) if m.startswith("ndcg")), next(iter(test)))
        for parameter in SWEPT:
            value = args.get(parameter)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            others = [f"{k}={v}" for k, v in args.items() if k in SWEPT and k != parameter]
            rest = repr(sorted((k, repr(v)) for k, v in args.items() if k != parameter))
            name = " ".join([run.result["model"], run.result["neg_sampler"], *others])
            lines.append(
                (parameter, name, run.result["dataset"] + rest, value, metric, test[metric])
            )
    columns = ["parameter", "run", "rest", "value", "metric", "score"]
    table = pd.DataFrame(lines, columns=columns)
    several = table.groupby(["parameter", "run", "rest"])["value"].transform("nunique") > 1
    grouped = table[several].groupby(["parameter", "run", "rest", "value", "metric"])["score"]
    return grouped.agg(["mean", "std"]).reset_index()
