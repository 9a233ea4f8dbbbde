"""Fused loops over the memory of SRNS; see :mod:`.engine`,
:mod:`recbole_bns.sampling.methods.srns`."""

from __future__ import annotations

import torch
from torch import Tensor

from ..catalogue import Catalogue
from . import engine


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
        history: ``(U, L, D)`` and ``(I, L, D)`` float32; L may be 0.
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
    steps = out.numel() * (1 + history[0].shape[1]) * vectors[0].shape[1] // 8
    engine.spread(engine.compiled("memory").values, shared, each, steps)
    return out


def redraw(
    vectors: tuple[Tensor, Tensor],
    tau: float,
    keys: tuple[Tensor, Tensor],
    catalogue: Catalogue,
    new_num: int,
    memory: Tensor,
    users: Tensor,
) -> None:
    """Redraw the memories of users in place, with ``p ∝ exp(score / tau)``, not replacing.

    Args:
        vectors: ``(U, D)`` and ``(I, D)`` float32.
        tau: temperature.
        keys: of :mod:`recbole_bns.sampling.streams`, for the new items and for the memory.
        catalogue: the training interactions.
        new_num: items that may enter; those in the memory already do not.
        memory: ``(U, S)`` item ids, written.
        users: ``(R,)`` different users.
    """
    entering, key = (int(k) for k in keys)
    lists = catalogue.indptr.numpy(), catalogue.positives.numpy(), catalogue.item_num
    scores = vectors[0].numpy(), vectors[1].numpy(), float(tau)
    shared = *scores, key, entering, *lists, new_num, memory.numpy()
    steps = len(users) * (memory.shape[1] + new_num) * vectors[0].shape[1] // 2
    engine.spread(engine.compiled("memory").redraw, shared, (users.numpy(),), steps)
