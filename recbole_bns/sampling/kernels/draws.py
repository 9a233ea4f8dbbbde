"""Fused loops that draw a user's negatives; see :mod:`.engine`."""

from __future__ import annotations

import torch
from torch import Tensor

from ..catalogue import Catalogue
from . import engine


def draw(
    catalogue: Catalogue, key: Tensor, users: Tensor, index: Tensor, k: int, distinct: bool
) -> Tensor:
    """Uniform negatives; see :meth:`.proposals.Proposal.draw`.

    Args:
        catalogue: the training interactions.
        key: of :mod:`recbole_bns.sampling.streams`.
        users: ``(B,)``.
        index: ``(B,)`` row of random numbers that each user takes.
        k: draws a user.
        distinct: without replacement.

    Returns:
        ``(B, k)`` item ids.
    """
    out = torch.empty((len(users), k), dtype=torch.long)
    bitmap, indptr, positives = engine.membership(catalogue)
    shared = indptr, positives, catalogue.item_num, int(key)
    each = users.numpy(), index.numpy(), out.numpy()
    if distinct:
        engine.spread(
            engine.compiled("draws").draw_distinct, shared, each, len(users) * k * (50 + k // 8)
        )
    else:
        engine.spread(engine.compiled("draws").draw, (bitmap, *shared), each, 30 * len(users) * k)
    return out


def first_distinct(stream: Tensor, allowed: Tensor, k: int) -> Tensor:
    """See :func:`.proposals.first_distinct`; a row costs its length and not the square of it."""
    out = torch.zeros((len(stream), k), dtype=stream.dtype)
    if not stream.numel():
        return out
    items = int(stream.max()) + 1
    each = stream.numpy(), allowed.numpy(), out.numpy()
    engine.spread(engine.compiled("draws").first_distinct, (items,), each, 3 * stream.numel())
    return out


def positives_before(keys: Tensor, users: Tensor, indptr: Tensor, free_before: Tensor) -> Tensor:
    """How many of a user's positives lie before each free mass, by a search among that user's own.

    Args:
        keys: ``(B, k)`` int64, mass plus ``user * stride``.
        users: ``(B,)``.
        indptr: ``(U + 1,)`` of the catalogue.
        free_before: ``(nnz,)`` of the proposal.

    Returns:
        ``(B, k)`` int64.
    """
    out = torch.empty_like(keys)
    shared = indptr.numpy(), free_before.numpy()
    each = keys.numpy(), users.numpy(), out.numpy()
    engine.spread(engine.compiled("draws").positives_before, shared, each, 50 * keys.numel())
    return out
