"""Fused loops that count scores, for distribution functions; see :mod:`.engine`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..catalogue import Catalogue
from . import engine


def count(
    rows: Tensor,
    groups: tuple[Tensor, Tensor, Tensor],
    lists: tuple[Tensor, Tensor],
    items: Tensor,
    values: Tensor,
    counts: Tensor,
) -> None:
    """Scores of items, and how many scores of the user's row are ``<=`` them.

    One pass over the row for each item, nothing of the row's size allocated.

    Args:
        rows: ``(S, I)`` float32, contiguous; padding, in column 0, is not counted.
        groups: users (S,), rows of the batch (B,), starts (S + 1,); see :func:`.pairs.group`.
        lists: ``(U + 1,)`` starts and ``(nnz,)`` columns that each user does not count.
        items: ``(B, K)``.
        values: ``(B, K)`` float32, written: the scores.
        counts: ``(B, K)`` int64, written.
    """
    users, order, starts = groups
    shared = (*lists, order, items, values, counts)
    each = rows, users, starts[:-1], starts[1:]
    engine.spread(
        engine.compiled("counts").count,
        tuple(t.numpy() for t in shared),
        tuple(t.numpy() for t in each),
        len(order) * items.shape[1] * rows.shape[1] // 20,
    )


def score_and_count(
    vectors: tuple[Tensor, Tensor],
    groups: tuple[Tensor, Tensor, Tensor],
    lists: tuple[Tensor, Tensor],
    items: Tensor,
) -> tuple[Tensor, Tensor]:
    """Scores of items, and how many of the user's scores are ``<=`` them, rows never stored.

    Args:
        vectors: ``(U, D)`` and ``(I, D)`` float32.
        groups: users (S,), rows of the batch (B,), starts (S + 1,); see :func:`.pairs.group`.
        lists: ``(U + 1,)`` starts and ``(nnz,)`` columns that each user does not count.
        items: ``(B, K)``.

    Returns:
        ``(B, K)`` float32 and ``(B, K)`` int64.
    """
    users, order, starts = groups
    values = torch.empty(items.shape, dtype=torch.float32)
    counts = torch.empty(items.shape, dtype=torch.long)
    item_vectors = vectors[1].contiguous()
    by_factor = item_vectors.T.contiguous()
    facts = vectors[0].contiguous(), item_vectors, by_factor, *lists
    shared = *facts, order, items, values, counts
    engine.spread(
        engine.compiled("counts").score_and_count,
        tuple(t.numpy() for t in shared),
        tuple(t.numpy() for t in (users, starts[:-1], starts[1:])),
        len(users) * vectors[1].numel() // 16,
    )
    return values, counts


class Rule(NamedTuple):
    """What a choice among candidates depends on beside their scores and F."""

    criterion: str
    """``risk``, ``posterior`` or ``gain``."""
    weight: float
    """lambda of the risk, gamma of the gain."""
    positives: Tensor
    """``(B,)`` float32 scores of the positives."""
    priors: Tensor
    """``(B, n · m)`` float32."""
    totals: Tensor
    """``(B,)`` float64, by which F divides."""


def score_until_certain(
    vectors: tuple[Tensor, Tensor],
    groups: tuple[Tensor, Tensor, Tensor],
    lists: tuple[Tensor, Tensor],
    items: Tensor,
    negatives: int,
    rule: Rule,
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores and counts as :func:`score_and_count`, but only until the choices are certain.

    After each panel of items F is known between two bounds: what was counted, and that and all
    items still to come. The posterior falls as F rises, so each candidate's worth has bounds too.
    Where one candidate's lower bound is above all others' upper ones, with room for the rounding of
    float32, the rest of the catalogue cannot change the choice.

    Args:
        vectors: ``(U, D)`` and ``(I, D)`` float32.
        groups: users (S,), rows of the batch (B,), starts (S + 1,); see :func:`.pairs.group`.
        lists: ``(U + 1,)`` starts and ``(nnz,)`` columns that each user does not count.
        items: ``(B, n · m)``, of each negative m candidates; the id 0 must not be among them.
        negatives: n.
        rule: of the choice.

    Returns:
        ``(B, n · m)`` float32 scores; ``(B, n · m)`` int64 counts, whole where anything in the row
        is not certain; ``(B, n)`` int64 the certain choices in ``[0, m)``, or -1.
    """
    users, order, starts = groups
    values = torch.empty(items.shape, dtype=torch.float32)
    counts = torch.empty(items.shape, dtype=torch.long)
    chosen = torch.empty((len(items), negatives), dtype=torch.long)
    item_vectors = vectors[1].contiguous()
    facts = vectors[0].contiguous(), item_vectors, item_vectors.T.contiguous(), *lists
    compiled = engine.compiled("counts")
    criterion = {"risk": compiled.RISK, "posterior": compiled.POSTERIOR, "gain": compiled.GAIN}
    shared = (
        *(t.numpy() for t in (*facts, order, items)),
        criterion[rule.criterion],
        float(rule.weight),
        *(t.numpy() for t in (rule.positives, rule.priors, rule.totals, values, counts, chosen)),
    )
    engine.spread(
        compiled.score_until_certain,
        shared,
        tuple(t.numpy() for t in (users, starts[:-1], starts[1:])),
        len(users) * vectors[1].numel() // 64,
    )
    return values, counts, chosen


def score_reference(
    vectors: tuple[Tensor, Tensor],
    groups: tuple[Tensor, Tensor, Tensor],
    catalogue: Catalogue,
    reference: Tensor,
    items: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """See :func:`.cdf.scores_and_references`: the references' scores are never stored.

    Args:
        vectors: ``(U, D)`` and ``(I, D)`` float32.
        groups: users (S,), rows of the batch (B,), starts (S + 1,); see :func:`.pairs.group`.
        catalogue: who interacted with what.
        reference: ``(R,)`` item ids, ascending.
        items: ``(B, K)``.

    Returns:
        ``(B, K)`` float32, ``(B, K)`` and ``(B, K)`` int64.
    """
    users, order, starts = groups
    values = torch.empty(items.shape, dtype=torch.float32)
    below = torch.empty(items.shape, dtype=torch.long)
    total = torch.empty(items.shape, dtype=torch.long)
    slots = torch.zeros(catalogue.item_num, dtype=torch.int32)
    # places begin with 1; of a repeated item NumPy keeps the last that it is given: the first
    places = np.arange(1, len(reference) + 1, dtype=np.int32)
    slots.numpy()[reference.flip(0).numpy()] = places[::-1]
    repeats = torch.zeros(len(reference) + 1, dtype=torch.int32)
    repeats.index_add_(0, slots[reference] - 1, torch.ones_like(repeats[1:]))
    repeated = (reference[1:] == reference[:-1]).nonzero().squeeze(1) + 1
    item_vectors = vectors[1].contiguous()
    by_factor = item_vectors[reference].T.contiguous()
    lists = catalogue.indptr, catalogue.positives, slots, repeats, repeated, order
    shared = vectors[0].contiguous(), item_vectors, by_factor, *lists, items, values, below, total
    engine.spread(
        engine.compiled("counts").score_reference,
        tuple(t.numpy() for t in shared),
        tuple(t.numpy() for t in (users, starts[:-1], starts[1:])),
        len(users) * by_factor.numel() // 16,
    )
    return values, below, total
