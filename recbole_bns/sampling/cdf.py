"""Empirical distribution functions of a user's scores: how many items score no higher."""

from __future__ import annotations

import torch
from torch import Tensor

from . import kernels
from .catalogue import Catalogue

SORT_FROM = 24
"""From this many values a row, sorting the scores once beats comparing value by value."""


def count_not_above(scores: Tensor, counted: Tensor, values: Tensor) -> Tensor:
    """Number of counted scores ``<= value``; a NaN never is.

    Args:
        scores: ``(B, I)``.
        counted: ``(B, I)`` bool, which scores count.
        values: ``(B, K)``.

    Returns:
        ``(B, K)`` int64. Cost O(B I K), or O(B (I + K) log I) for many values.
    """
    scores = scores.masked_fill(~counted, float("inf"))
    if values.shape[1] >= SORT_FROM:
        ordered = scores.nan_to_num(float("inf"), float("inf"), float("-inf")).sort(1).values
        return torch.searchsorted(ordered, values.contiguous(), right=True)
    columns = [
        (scores <= value.unsqueeze(1)).view(torch.uint8).sum(1, dtype=torch.int32)
        for value in values.unbind(1)
    ]
    return torch.stack(columns, 1).long()


def count_negatives(
    rows: Tensor, place: Tensor, users: Tensor, catalogue: Catalogue, values: Tensor
) -> Tensor:
    """Number of each user's negatives that score ``<= value``.

    Args:
        rows: ``(S, I)`` scores, a row a distinct user.
        place: ``(B,)`` the row of each user.
        users: ``(B,)``.
        catalogue: who interacted with what.
        values: ``(B, K)``.

    Returns:
        ``(B, K)`` int64.
    """
    few = values.shape[1] < SORT_FROM
    if few and rows.dtype == torch.float32 and kernels.available(rows, values):
        return kernels.count_negatives_not_above(
            rows, place, users, catalogue.indptr, catalogue.positives, values
        )
    counted = ~catalogue.positive_mask(users)
    counted[:, 0] = False
    return count_not_above(rows[place], counted, values)


def count_items(rows: Tensor, place: Tensor, values: Tensor) -> Tensor:
    """Number of items, positives included, that score ``<= value``; see :func:`count_negatives`."""
    counted = torch.ones(len(place), rows.shape[1], dtype=torch.bool, device=rows.device)
    counted[:, 0] = False
    return count_not_above(rows[place], counted, values)


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
