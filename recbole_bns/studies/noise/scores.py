"""What scores tell false negatives from true ones by: the quantities of SRNS's Fig. 1.

Pure functions of tensors. For a user u one training item i is fixed, and P_pos(k | u, i) =
sigmoid(r_uk - r_ui) is looked at for all k that u has no training interaction with.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

HARD = 20
"""Hard negatives of a user: so many true ones with the highest scores, as many as a memory has."""
HISTORY = 5
"""Epoch ends that a standard deviation is of."""


def share_above(values: Tensor, points: Tensor) -> list[float]:
    """Complementary distribution function: the share of values (N,) >= each of points (P,)."""
    ordered = values.sort().values
    below = torch.searchsorted(ordered, points.to(ordered.dtype))
    return [float(share) for share in 1 - below / max(len(ordered), 1)]


def hardest(scores: Tensor, true: Tensor, number: int = HARD) -> Tensor:
    """``(U, I)`` bool: each user's true negatives (U, I) with the highest scores (U, I)."""
    kept = scores.masked_fill(~true, float("-inf"))
    best = kept.topk(min(number, kept.shape[1]), 1).indices
    return torch.zeros_like(true).scatter(1, best, True) & true


def median(values: Tensor) -> float:
    """Of (N,); NaN of nothing."""
    return float(values.median()) if len(values) else float("nan")


def medians(values: Tensor, kinds: Mapping[str, Tensor]) -> dict[str, float]:
    """The median of values (U, I) over the pairs of each kind (U, I) bool."""
    return {name: median(values[pairs]) for name, pairs in kinds.items()}


def label_errors(
    scores: Tensor, negative: Tensor, false: Tensor, weight: Tensor, difficulty: int
) -> float:
    """Expected share of false ones where the highest of D uniform candidates is taken.

    With n negatives in ascending order, that of rank r (from 1) is taken with probability
    (r / n)^D - ((r - 1) / n)^D.

    Args:
        scores: ``(U, I)``.
        negative: ``(U, I)`` bool, what is drawn from.
        false: ``(U, I)`` bool, the false ones of these.
        weight: ``(U,)`` how often a user is drawn for.
        difficulty: D.
    """
    order = scores.masked_fill(~negative, float("-inf")).argsort(1)
    number = negative.sum(1, keepdim=True).double()
    place = torch.arange(1, scores.shape[1] + 1, device=scores.device) - (scores.shape[1] - number)
    upper, lower = ((place - less).clamp_min(0) / number.clamp_min(1) for less in (0, 1))
    taken = upper**difficulty - lower**difficulty
    of_user = (taken * false.gather(1, order)).sum(1)
    weight = weight.double() * (number[:, 0] > 0)
    return float((of_user * weight).sum() / weight.sum().clamp_min(1))


def relative_deviation(history: Tensor) -> Tensor:
    """Population standard deviation over mean of P_pos: (L, U, I) gives (U, I)."""
    return history.std(0, unbiased=False) / history.mean(0).clamp_min(1e-12)


def by_level(
    probability: Tensor, deviation: Tensor, kinds: Mapping[str, Tensor], levels: int = 10
) -> list[dict[str, float]]:
    """The median deviation of pairs that are about as hard, level by level of P_pos.

    Args:
        probability: ``(U, I)`` P_pos.
        deviation: ``(U, I)``.
        kinds: name -> ``(U, I)`` bool.
        levels: equal ones, from 0 to 1.

    Returns:
        a mapping a level: ``level``, its middle, and a median a kind.
    """
    place = (probability * levels).long().clamp_(max=levels - 1)
    return [
        {
            "level": (k + 0.5) / levels,
            **medians(deviation, {name: pairs & (place == k) for name, pairs in kinds.items()}),
        }
        for k in range(levels)
    ]
