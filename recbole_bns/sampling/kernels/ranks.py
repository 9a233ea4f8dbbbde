"""Fused loops over ranks, for AOBPR; see :mod:`.engine`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..catalogue import Catalogue
from . import engine


def ranking(scores: Tensor) -> Tensor:
    """See :func:`.ranks.ranking`: scores ``(S, I)`` float32 give int32."""
    out = torch.empty(scores.shape, dtype=torch.int32)
    each = scores.contiguous().numpy(), out.numpy()
    engine.spread(engine.compiled("ranks").sort_rows, (), each, 10 * scores.numel())
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
    shared = (*vectors, *law, engine.membership(catalogue), int(key))
    each = users.numpy(), np.arange(len(users)), out.numpy()
    engine.spread(
        engine.compiled("ranks").by_factor,
        shared,
        each,
        len(users) * (200 * n + user_vectors.shape[1]),
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
    shared = (ranked.numpy(), lambda_, reach, tries, weights.numpy(), engine.membership(catalogue))
    each = users.numpy(), np.arange(len(users)), out.numpy()
    engine.spread(engine.compiled("ranks").by_rank, (*shared, int(key)), each, 200 * out.numel())
    return out
