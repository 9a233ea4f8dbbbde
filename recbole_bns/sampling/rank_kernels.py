"""Fused loops over ranks and histories, for AOBPR and SRNS; see :mod:`.kernels`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import kernels
from .catalogue import Catalogue


@cache
def _compiled() -> Any:
    from . import _numba_ranks

    return _numba_ranks


def ranking(scores: Tensor) -> Tensor:
    """See :func:`.ranks.ranking`: scores ``(S, I)`` float32 give int32."""
    out = torch.empty(scores.shape, dtype=torch.int32)
    each = scores.contiguous().numpy(), out.numpy()
    kernels.spread(_compiled().sort_rows, (), each, 10 * scores.numel())
    return out


def by_factor(
    user_vectors: Tensor,
    spread: Tensor,
    lists: Tensor,
    law: tuple[float, float, int],
    catalogue: Catalogue,
    key: Tensor,
    users: Tensor,
    n: int,
) -> Tensor:
    """See :func:`.ranks.by_factor`; ``law`` is lambda, the law's mass within R, and the tries."""
    out = torch.empty((len(users), n), dtype=torch.long)
    vectors = (user_vectors.numpy(), spread.numpy(), lists.numpy())
    shared = (*vectors, *law, kernels.membership(catalogue), int(key))
    each = users.numpy(), np.arange(len(users)), out.numpy()
    kernels.spread(
        _compiled().by_factor, shared, each, len(users) * (200 * n + user_vectors.shape[1])
    )
    return out


def by_rank(
    ranked: Tensor,
    weights: Tensor,
    law: tuple[float, float, int],
    catalogue: Catalogue,
    key: Tensor,
    users: Tensor,
    n: int,
) -> Tensor:
    """See :func:`.ranks.by_rank`; ``weights`` (R,) are ``exp(-rank / lambda)``."""
    out = torch.empty((len(users), n), dtype=torch.long)
    lambda_, reach, tries = law
    shared = (ranked.numpy(), lambda_, reach, tries, weights.numpy(), kernels.membership(catalogue))
    each = users.numpy(), np.arange(len(users)), out.numpy()
    kernels.spread(_compiled().by_rank, (*shared, int(key)), each, 200 * out.numel())
    return out


def deviations(
    user_history: Tensor, item_history: Tensor, users: Tensor, items: Tensor, memory: Tensor
) -> Tensor:
    """Standard deviation over epochs of ``sigmoid(r_uk - r_ui)``; see :mod:`.methods.srns`.

    Args:
        user_history: ``(L, U, D)`` float32.
        item_history: ``(L, I, D)`` float32.
        users: ``(B,)``.
        items: ``(B,)``.
        memory: ``(B, S)`` item ids.

    Returns:
        ``(B, S)``.
    """
    out = torch.empty(memory.shape, dtype=torch.float32)
    shared = user_history.numpy(), item_history.numpy()
    each = users.numpy(), items.numpy(), memory.numpy(), out.numpy()
    kernels.spread(
        _compiled().deviations,
        shared,
        each,
        out.numel() * user_history.shape[0] * user_history.shape[2] // 8,
    )
    return out
