"""What negatives are worth: one pure function a measure, on tensors, without a model.

A *false negative* is a drawn item that the user chose in the held-out parts, validation and test
together; every other drawn item is a true negative. x: scores, u user, i positive, l negative.

Source: B. Liu and B. Wang, Bayesian Negative Sampling for Recommendation, ICDE 2023 (TNR, INF);
R. Lai et al., Adaptive Hardness Negative Sampling for Collaborative Filtering, AAAI 2024
(hardness).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recbole_bns.sampling.methods.bns import information as information

NOTHING = float("nan")
"""The measure of no negatives at all."""


def true_negative_rate(is_false: Tensor) -> float:
    """``TNR = #TN / (#TN + #FN)``, Eq. 33 of BNS.

    Args:
        is_false: ``(N,)`` bool, whether each negative is a false one.

    Returns:
        a share in [0, 1].
    """
    return 1 - float(is_false.double().mean()) if len(is_false) else NOTHING


def informativeness(info: Tensor, is_false: Tensor) -> float:
    """``INF = mean(info(l) · (+1 if l is a true negative, else -1))``, Eq. 34 of BNS.

    Args:
        info: ``(N,)`` of each negative ``1 - sigmoid(x_ui - x_ul)`` (Eq. 4), in [0, 1].
        is_false: ``(N,)`` bool.

    Returns:
        a number in [-1, 1].
    """
    return mean(torch.where(is_false, -info, info))


def hardness(positive: Tensor, negative: Tensor) -> float:
    """Median of ``x_ul / x_ui`` (AHNS): 1 where negatives score like their positives.

    The median, since the ratio has no bound where a positive scores near 0; 0/0 is left out. A
    positive below 0 turns the sign of the ratio, as AHNS's definition has it.

    Args:
        positive: ``(N,)`` scores of the positives.
        negative: ``(N,)`` scores of their negatives.
    """
    ratio = (negative / positive).cpu().numpy()
    ratio = ratio[~np.isnan(ratio)]
    return float(np.median(ratio)) if len(ratio) else NOTHING


def mean(values: Tensor) -> float:
    """Mean of values (N,)."""
    return float(values.double().mean()) if len(values) else NOTHING


def mean_popularity(draws: Tensor, popularity: Tensor) -> float:
    """Training interactions of the average negative.

    Args:
        draws: ``(I,)`` how often each item was drawn.
        popularity: ``(I,)`` training interactions of each item.
    """
    total = draws.sum()
    return float((draws.double() * popularity).sum() / total) if total else NOTHING


def gini(values: Tensor, weights: Tensor | None = None) -> float:
    """Gini coefficient: 0 where all values are equal, towards 1 where one has everything.

    Args:
        values: ``(N,)`` not negative.
        weights: ``(N,)`` how often each value occurs; once by default.

    Returns:
        half the mean absolute difference of two values over their mean; 0 where all are 0.
    """
    weights = torch.ones_like(values) if weights is None else weights
    kept = weights > 0
    values, order = values[kept].double().sort()
    weights = weights[kept].double()[order]
    if not len(values):
        return NOTHING
    total, size = (values * weights).sum(), weights.sum()
    if total == 0:
        return 0.0
    rank = weights.cumsum(0) - weights / 2  # middle of the places that equal values share
    return float(2 * (rank * values * weights).sum() / (size * total) - 1)


def repeated_share(keys: Tensor, size: int) -> float:
    """Share of the draws that repeat an earlier one.

    Args:
        keys: ``(N,)`` int64 in [0, size), the same for the same item of the same user.
        size: how many different keys there could be.

    Returns:
        ``1 - different / N``, in [0, 1).
    """
    if not len(keys):
        return NOTHING
    if keys.device.type != "cpu":
        different = len(keys.unique())
    elif size <= _MARKED * len(keys):
        marks = np.zeros(size, dtype=bool)
        marks[keys.numpy()] = True
        different = int(np.count_nonzero(marks))
    else:
        different = 1 + int(np.count_nonzero(np.diff(np.sort(keys.numpy()))))
    return 1 - different / len(keys)


_MARKED = 64
"""Possible keys a draw up to which marking them is faster than sorting the draws."""


def coverage(draws: Tensor) -> float:
    """Share of the catalogue drawn at least once.

    Args:
        draws: ``(I,)`` how often each item was drawn; item 0, RecBole's padding, is not counted.
    """
    return float((draws[1:] > 0).double().mean()) if len(draws) > 1 else NOTHING


class Histogram(NamedTuple):
    """Scores of true and of false negatives in the same bins."""

    edges: Tensor
    """``(K + 1,)`` ascending; from the least to the greatest score."""
    true: Tensor
    """``(K,)`` true negatives in each bin."""
    false: Tensor
    """``(K,)`` false negatives in each bin."""


def score_histogram(scores: Tensor, is_false: Tensor, bins: int = 60) -> Histogram:
    """Count scores in ``bins`` bins of equal width: the data of BNS's Fig. 1.

    Args:
        scores: ``(N,)`` finite scores of items that the user has no training interaction with.
        is_false: ``(N,)`` bool.
        bins: K.

    Raises:
        ValueError: no score.
    """
    if not len(scores):
        raise ValueError("scores: got none, needed is at least one.")
    scores = scores.double()
    low, high = float(scores.min()), float(scores.max())
    high = high if high > low else low + 1
    place = ((scores - low) * (bins / (high - low))).long().clamp_(max=bins - 1)
    true, false = (
        torch.bincount(place[kind], minlength=bins).cpu() for kind in (~is_false, is_false)
    )
    return Histogram(torch.linspace(low, high, bins + 1, dtype=torch.float64), true, false)
