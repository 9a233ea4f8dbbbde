"""Empirical distribution functions of a user's scores: how many items score no higher."""

from __future__ import annotations

import torch
from torch import Tensor

SORT_FROM = 24
"""From this many values a row, sorting the scores once beats comparing value by value."""


def count_not_above(scores: Tensor, counted: Tensor, values: Tensor) -> Tensor:
    """Number of counted scores ``<= value``.

    Args:
        scores: ``(B, I)``.
        counted: ``(B, I)`` bool, which scores count.
        values: ``(B, K)``.

    Returns:
        ``(B, K)`` int64. Cost O(B I K), or O(B (I + K) log I) for many values.
    """
    scores = scores.masked_fill(~counted, float("inf"))
    if values.shape[1] >= SORT_FROM:
        return torch.searchsorted(scores.sort(1).values, values.contiguous(), right=True)
    columns = [
        (scores <= value.unsqueeze(1)).view(torch.uint8).sum(1, dtype=torch.int32)
        for value in values.unbind(1)
    ]
    return torch.stack(columns, 1).long()


def estimated_cdf(
    reference: Tensor, counted: Tensor, values: Tensor, negative_num: Tensor
) -> Tensor:
    """Estimate of the exact form from reference items.

    The share of a user's negatives among the reference that score ``<= value``, times
    ``n / (n + 1)`` so that it stays below 1 as the exact form does. With R counted references the
    error exceeds ``sqrt(log(2 / d) / (2 R))`` with probability at most d (Dvoretzky, Kiefer,
    Wolfowitz; constant by Massart).

    Args:
        reference: ``(B, R)`` scores of the reference items.
        counted: ``(B, R)`` bool, which of them are negatives of the user.
        values: ``(B, K)``.
        negative_num: ``(B,)`` n.

    Returns:
        ``(B, K)``; 1/2 for a user none of whose negatives is among the references.
    """
    below = count_not_above(reference, counted, values)
    total = counted.sum(1, keepdim=True)
    share = torch.where(total > 0, below / total.clamp(min=1), 0.5)
    n = negative_num.unsqueeze(1)
    return share * (n / (n + 1))
