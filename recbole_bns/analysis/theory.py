"""Tables of the theory, which need no run: the posterior, the densities of scores.

Source: B. Liu and B. Wang, Bayesian Negative Sampling for Recommendation, ICDE 2023.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from scipy import stats

from recbole_bns.sampling.methods.bns import unbiasedness

DEGREES, SHAPE = 5, 2.0
"""Degrees of freedom of Student's distribution, shape of the gamma distribution."""


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
        f"Student ({DEGREES} degrees of freedom)": (stats.t(DEGREES), -4.0, 4.0),
        f"gamma (shape {SHAPE:g})": (stats.gamma(SHAPE), 0.0, 8.0),
    }
    densities = []
    for law, (distribution, low, high) in laws.items():
        x = np.linspace(low, high, size)
        f, cumulative = distribution.pdf(x), distribution.cdf(x)
        for kind, values in (
            ("g: true negatives", 2 * f * (1 - cumulative)),
            ("h: false negatives", 2 * f * cumulative),
        ):
            columns = {"law": law, "kind": kind, "score": x, "density": values}
            densities.append(pd.DataFrame(columns))
    return pd.concat(densities, ignore_index=True)
