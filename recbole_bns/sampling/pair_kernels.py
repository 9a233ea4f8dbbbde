"""The fused loops over pairs and their priors; see :mod:`.kernels` and :mod:`.pair_priors`."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from . import kernels
from .catalogue import Catalogue


@cache
def _compiled() -> Any:
    from . import _numba_pairs

    return _numba_pairs


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
    shared = *kernels.membership(catalogue), ids.numpy(), weights.numpy()
    each = users.numpy(), items.numpy(), out.numpy()
    kernels.spread(_compiled().neighbour_values, shared, each, 2 * items.numel() * ids.shape[1])
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
    kernels.spread(_compiled().choose_gain, shared, each, steps)
    return out
