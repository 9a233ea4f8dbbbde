"""Empirical distribution functions of a user's scores: how many items score no higher."""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor

from .catalogue import Catalogue
from .kernels import counts as count_kernels
from .kernels import engine
from .scoring import FactorScorer, Scorer

SORT_FROM = 24
"""From this many values a row, sorting the scores once beats comparing value by value in torch."""
COMPILED_TO = 512
"""Up to this many values a row, the compiled loop beats sorting."""


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


def scores_and_counts(
    scorer: Scorer, users: Tensor, items: Tensor, catalogue: Catalogue, *, all_items: bool = False
) -> tuple[Tensor, Tensor]:
    """Scores of items, and how many of the user's negatives score no higher.

    An item always counts itself, however scores are rounded.

    Args:
        scorer: this step's view of the model.
        users: ``(B,)``.
        items: ``(B, K)``.
        catalogue: who interacted with what.
        all_items: count over all items, positives included.

    Returns:
        ``(B, K)`` scores and ``(B, K)`` int64 counts.
    """
    lists = catalogue.indptr, catalogue.positives
    if all_items:
        lists = torch.zeros_like(catalogue.indptr), catalogue.positives
    compiled = items.shape[1] <= COMPILED_TO and engine.available(items)
    if compiled and isinstance(scorer, FactorScorer) and scorer.compiled:
        vectors = scorer.users, scorer.items
        return count_kernels.score_and_count(vectors, scorer.groups(users), lists, items)
    counts = torch.empty_like(items)
    scores: Tensor | None = None
    for rows, part in scorer.blocks(users):
        if scores is None:
            scores = rows.new_empty(items.shape)
        if compiled and rows.dtype == torch.float32 and rows.is_contiguous():
            count_kernels.count(rows, part, lists, items, scores, counts)
            continue
        place = part.place
        values = rows[place.unsqueeze(1), items[part.order]]
        counted = torch.ones((len(place), rows.shape[1]), dtype=torch.bool, device=rows.device)
        if not all_items:
            counted = ~catalogue.positive_mask(users[part.order])
        counted[:, 0] = False
        scores[part.order] = values
        counts[part.order] = count_not_above(rows[place], counted, values)
    assert scores is not None
    return scores, counts


def can_stop(scorer: Scorer, items: Tensor) -> TypeGuard[FactorScorer]:
    """Whether :func:`choices_and_counts` serves a scorer and candidates (B, K)."""
    compiled = items.shape[1] <= COMPILED_TO and engine.available(items)
    return compiled and isinstance(scorer, FactorScorer) and scorer.compiled


def choices_and_counts(
    scorer: FactorScorer,
    users: Tensor,
    items: Tensor,
    catalogue: Catalogue,
    negatives: int,
    rule: count_kernels.Rule,
    *,
    all_items: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`scores_and_counts` that stops where a choice by F is certain.

    Args:
        scorer: with vectors that compiled loops read.
        users: ``(B,)``.
        items: ``(B, n · m)`` candidates.
        catalogue: who interacted with what.
        negatives: n.
        rule: of the choice.
        all_items: count over all items, positives included.

    Returns:
        ``(B, n · m)`` scores, ``(B, n · m)`` int64 counts, whole for rows that have an open choice,
        and ``(B, n)`` int64 choices in ``[0, m)``, -1 for an open one.
    """
    lists = catalogue.indptr, catalogue.positives
    if all_items:
        lists = torch.zeros_like(catalogue.indptr), catalogue.positives
    vectors, groups = (scorer.users, scorer.items), scorer.groups(users)
    return count_kernels.score_until_certain(
        vectors, groups, lists, items.contiguous(), negatives, rule
    )


def estimated_cdf(below: Tensor, total: Tensor, negative_num: Tensor, itself: Tensor) -> Tensor:
    """Estimate of the exact form from reference items.

    The item counts itself, if it is a negative of the user, and the other negatives by the share
    of those among the reference that score ``<= value``; over ``n + 1``, so that it stays below 1
    as the exact form does. Where all items are the reference it is the exact form. With R counted
    references the share's error exceeds ``sqrt(log(2 / d) / (2 R))`` with probability at most d
    (Dvoretzky, Kiefer, Wolfowitz; constant by Massart).

    Args:
        below: ``(B, K)`` how many of the user's other negatives among the reference score no
            higher.
        total: ``(B, K)`` how many of the reference are other negatives of the user.
        negative_num: ``(B, 1)`` n.
        itself: ``(B, K)`` bool, whether the item is a negative of the user.

    Returns:
        ``(B, K)``; without a reference the others count half.
    """
    others = negative_num - itself.long()
    scale = others / total.clamp(min=1)  # 1 where all items are the reference: nothing is rounded
    count = torch.where(total > 0, below * scale, others * 0.5)
    return (itself + count) / (negative_num + 1)


def scores_and_references(
    scorer: Scorer, users: Tensor, items: Tensor, reference: Tensor, catalogue: Catalogue
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of items, how many of the user's other negatives among references score no higher.

    An item is none of its own references, however scores are rounded.

    Args:
        scorer: this step's view of the model.
        users: ``(B,)``.
        items: ``(B, K)``.
        reference: ``(R,)`` item ids, ascending; repeated ones count as often.
        catalogue: who interacted with what.

    Returns:
        ``(B, K)`` scores, ``(B, K)`` counts and ``(B, K)`` how many were asked: both int64.
    """
    if isinstance(scorer, FactorScorer) and scorer.compiled:
        vectors, groups = (scorer.users, scorer.items), scorer.groups(users)
        return count_kernels.score_reference(vectors, groups, catalogue, reference, items)
    values, scores = scorer.pairs(users, items), scorer.block(users, reference)
    counted = ~catalogue.is_positive(users.unsqueeze(1), reference)
    below = count_not_above(scores, counted, values)
    items = items.contiguous()
    first = torch.searchsorted(reference, items)
    times = torch.searchsorted(reference, items, right=True) - first
    first.clamp_(max=len(reference) - 1)
    times *= counted.gather(1, first)
    below -= times * (scores.gather(1, first) <= values)
    return values, below, counted.sum(1, keepdim=True) - times
