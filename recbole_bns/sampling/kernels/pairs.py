"""The fused loops over pairs and their priors; see :mod:`.engine`,
:mod:`recbole_bns.sampling.priors.pairs`."""

from __future__ import annotations

import torch
from torch import Tensor

from ..catalogue import Catalogue
from . import engine


def pairs(user_vectors: Tensor, item_vectors: Tensor, users: Tensor, items: Tensor) -> Tensor:
    """Dot products ``(B, M)`` without gathering the vectors first.

    Args:
        user_vectors: ``(U, D)`` float32.
        item_vectors: ``(I, D)`` float32.
        users: ``(B,)``.
        items: ``(B, M)``.
    """
    out = torch.empty(items.shape, dtype=torch.float32)
    shared = user_vectors.numpy(), item_vectors.numpy()
    each = users.numpy(), items.numpy(), out.numpy()
    engine.spread(
        engine.compiled("pairs").pairs, shared, each, items.numel() * user_vectors.shape[1] // 8
    )
    return out


def choose_nearest(
    vectors: tuple[Tensor, Tensor], users: Tensor, targets: Tensor, candidates: Tensor
) -> Tensor:
    """The candidate whose score is nearest to a target, or the highest where all lie below it.

    Args:
        vectors: ``(U, D)`` and ``(I, D)`` float32.
        users: ``(B,)``.
        targets: ``(B,)`` float32; NaN counts as infinite.
        candidates: ``(B, M)`` item ids; 0 and scores that are not finite are left out.

    Returns:
        ``(B,)`` item ids: the first of equals, the first of all where none can be used.
    """
    out = torch.empty_like(users)
    shared = vectors[0].numpy(), vectors[1].numpy()
    each = users.numpy(), targets.numpy(), candidates.numpy(), out.numpy()
    steps = candidates.numel() * vectors[0].shape[1] // 8
    engine.spread(engine.compiled("pairs").choose_nearest, shared, each, steps)
    return out


def group(users: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which rows belong to the same user.

    Args:
        users: ``(B,)``.

    Returns:
        ``(S,)`` different users, ``(B,)`` rows with those of a user together, and ``(S + 1,)``
        where in them each user's begin.
    """
    different, order = torch.empty_like(users), torch.empty_like(users)
    starts = torch.zeros(len(users) + 1, dtype=torch.long)
    found = engine.compiled("pairs").group(
        users.numpy(), different.numpy(), order.numpy(), starts.numpy()
    )
    return different[:found], order, starts[: found + 1]


def neighbour_values(
    catalogue: Catalogue, ids: Tensor, weights: Tensor, users: Tensor, items: Tensor
) -> Tensor:
    """Sums of the weights of those neighbours of each item that the user has.

    Args:
        catalogue: the training interactions.
        ids: ``(I, k)`` int32.
        weights: ``(I, k)`` float32.
        users: ``(B,)``.
        items: ``(B, M)``.

    Returns:
        ``(B, M)`` float32.
    """
    out = torch.empty(items.shape, dtype=torch.float32)
    shared = *engine.membership(catalogue), ids.numpy(), weights.numpy()
    each = users.numpy(), items.numpy(), out.numpy()
    engine.spread(
        engine.compiled("pairs").neighbour_values, shared, each, 2 * items.numel() * ids.shape[1]
    )
    return out


def choose_gain(
    vectors: tuple[Tensor, Tensor],
    table: Tensor,
    logs: Tensor,
    users: Tensor,
    positives: Tensor,
    candidates: Tensor,
) -> Tensor:
    """The candidate of each row with the greatest gain; see :func:`.methods.bns.gain`.

    Args:
        vectors: ``(U, D)`` and ``(I, D)`` float32.
        table: ``(U, I)`` float16, the prior's values.
        logs: ``(65536,)`` float32, ``gamma · log(1 - P)`` of each number that has 16 bits.
        users: ``(B,)``.
        positives: ``(B,)``.
        candidates: ``(B, M)`` item ids; 0 and scores that are not finite are left out.

    Returns:
        ``(B,)`` item ids: the first of equals, the first of all where none can be used.
    """
    out = torch.empty_like(users)
    codes = table.view(torch.int16).numpy().view("uint16")
    shared = vectors[0].numpy(), vectors[1].numpy(), codes, logs.numpy()
    each = users.numpy(), positives.numpy(), candidates.numpy(), out.numpy()
    steps = candidates.numel() * (10 + vectors[0].shape[1] // 8)
    engine.spread(engine.compiled("pairs").choose_gain, shared, each, steps)
    return out
