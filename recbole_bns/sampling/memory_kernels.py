"""Fused loops over the memory of SRNS; see :mod:`.kernels` and :mod:`.methods.srns`."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from . import kernels


@cache
def _compiled() -> Any:
    from . import _numba_memory

    return _numba_memory


def values(
    vectors: tuple[Tensor, Tensor],
    history: tuple[Tensor, Tensor],
    alpha: float,
    memory: Tensor,
    users: Tensor,
    items: Tensor,
) -> Tensor:
    """What each item of the users' memories is worth: ``P_pos + alpha · std``.

    Args:
        vectors: ``(U, D)`` and ``(I, D)`` float32.
        history: ``(L, U, D)`` and ``(L, I, D)`` float32; L may be 0.
        alpha: weight of the standard deviation.
        memory: ``(U, S)`` item ids.
        users: ``(B,)``.
        items: ``(B,)``.

    Returns:
        ``(B, S)``: the lowest number for a score that is not finite, ``-inf`` for the id 0.
    """
    out = torch.empty((len(users), memory.shape[1]), dtype=torch.float32)
    shared = *(t.detach().numpy() for t in (*vectors, *history)), alpha, memory.numpy()
    each = users.numpy(), items.numpy(), out.numpy()
    steps = out.numel() * (1 + len(history[0])) * vectors[0].shape[1] // 8
    kernels.spread(_compiled().values, shared, each, steps)
    return out


def redraw(
    vectors: tuple[Tensor, Tensor],
    tau: float,
    key: Tensor,
    memory: Tensor,
    users: Tensor,
    new: Tensor,
) -> None:
    """Redraw the memories of users in place, with ``p ∝ exp(score / tau)``, not replacing.

    Args:
        vectors: ``(U, D)`` and ``(I, D)`` float32.
        tau: temperature.
        key: of :mod:`.streams`.
        memory: ``(U, S)`` item ids, written.
        users: ``(R,)`` different users.
        new: ``(R, N)`` items that may enter; those in the memory already do not.
    """
    shared = vectors[0].numpy(), vectors[1].numpy(), float(tau), int(key), memory.numpy()
    each = users.numpy(), new.numpy()
    steps = new.numel() * vectors[0].shape[1]
    kernels.spread(_compiled().redraw, shared, each, steps)
