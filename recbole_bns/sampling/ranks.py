"""Draws by rank, with the law ``p(r) ∝ exp(-r / lambda)`` over ranks r = 0, 1, …"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .catalogue import Catalogue
from .kernels import engine
from .kernels import ranks as rank_kernels
from .proposals import first_distinct
from .streams import uniforms


class RankLaw(NamedTuple):
    """How ranks are drawn."""

    lambda_: float
    """Scale of the geometric law, in ranks."""
    tries: int
    """Draws before another way is taken."""

    def reach(self, size: int) -> float:
        """The untruncated law's mass within ``size`` ranks."""
        return -math.expm1(-size / self.lambda_)


def rank_probabilities(item_num: int, lambda_: float) -> Tensor:
    """``p(r) ∝ exp(-r / lambda)`` for r = 0 … item_num - 1: (item_num,) float64."""
    return torch.softmax(-torch.arange(item_num, dtype=torch.float64) / lambda_, 0)


def draw_ranks(u: Tensor, item_num: int, lambda_: float) -> Tensor:
    """Ranks with :func:`rank_probabilities` from uniforms ``u`` in [0, 1): the same shape, int64.

    The inverse of the truncated geometric distribution function, O(1) a draw.
    """
    reach = RankLaw(lambda_, 1).reach(item_num)
    return (-lambda_ * torch.log1p(-u * reach)).clamp_(max=item_num - 1).long()


def factor_weights(users: Tensor, spread: Tensor) -> Tensor:
    """``|v_uf| · sd_f`` for user vectors (B, D) and deviations (D,); ones where all are 0."""
    weights = users.abs() * spread
    return torch.where(weights.sum(1, keepdim=True) > 0, weights, 1.0)


def ranking(scores: Tensor) -> Tensor:
    """Columns of each row (S, I) by falling finite score, the first of equals first."""
    if scores.dtype == torch.float32 and engine.available(scores):
        return rank_kernels.ranking(scores)
    return scores.argsort(dim=1, descending=True, stable=True)


def by_factor(
    vectors: Tensor,
    spread: Tensor,
    lists: Tensor,
    law: RankLaw,
    catalogue: Catalogue,
    key: Tensor,
    users: Tensor,
    n: int,
) -> Tensor:
    """Draw a factor with ``p(f) ∝ |v_uf| · sd_f``, then a rank in its list: from the top where
    v_uf >= 0, else from the bottom; positives are rejected.

    Args:
        vectors: ``(U, D)`` user vectors.
        spread: ``(D,)`` standard deviation of each factor over the items.
        lists: ``(D, R)`` item ids by falling factor.
        law: of the ranks.
        catalogue: who interacted with what.
        key: of :mod:`.streams`.
        users: ``(B,)``.
        n: draws a user, different from one another.

    Returns:
        ``(B, n)`` item ids; 0 where the tries ran out.
    """
    last = lists.shape[1] - 1
    if vectors.dtype == torch.float32 and engine.available(vectors, users):
        scale = law.lambda_, law.reach(last + 1), law.tries
        return rank_kernels.by_factor(vectors, spread, lists, scale, catalogue, key, users, n)
    own = vectors[users].float()
    total = factor_weights(own, spread).double().cumsum(1)
    row = torch.arange(len(users), device=users.device).unsqueeze(1)
    position = 2 * (row * law.tries + torch.arange(law.tries, device=users.device))
    goal = uniforms(key, position) * total[:, -1:]
    factor = torch.searchsorted(total, goal, right=True).clamp_(max=total.shape[1] - 1)
    rank = draw_ranks(uniforms(key, position + 1), last + 1, law.lambda_)
    rank = torch.where(own.gather(1, factor) >= 0, rank, last - rank)
    stream = lists[factor, rank]
    return first_distinct(stream, ~catalogue.is_positive(users.unsqueeze(1), stream), n)


def by_rank(
    ranked: Tensor, law: RankLaw, catalogue: Catalogue, key: Tensor, users: Tensor, n: int
) -> Tensor:
    """Draw a rank in the user's list; positives are rejected.

    When the tries run out, walk along what is left of the list, which gives the same law.

    Args:
        ranked: ``(U, R)`` int32 item ids by falling score; 0 is no item.
        law: of the ranks.
        catalogue: who interacted with what.
        key: of :mod:`.streams`.
        users: ``(B,)``.
        n: draws a user, different from one another.

    Returns:
        ``(B, n)`` item ids; 0 where the list has no more.
    """
    size = ranked.shape[1]
    weights = torch.arange(size, device=users.device).double().div(-law.lambda_).exp()
    if engine.available(users, ranked):
        scale = law.lambda_, law.reach(size), law.tries
        return rank_kernels.by_rank(ranked, weights, scale, catalogue, key, users, n)
    start = torch.arange(len(users), device=users.device).unsqueeze(1) * (law.tries + n)
    u = uniforms(key, start + torch.arange(law.tries + n, device=users.device))
    rank = draw_ranks(u[:, : law.tries], size, law.lambda_)
    stream = ranked[users.unsqueeze(1), rank].long()
    ids = first_distinct(stream, ~catalogue.is_positive(users.unsqueeze(1), stream), n)
    if ids.device.type == "cpu" and bool((ids > 0).all()):
        return ids
    order = ranked[users].long()
    free = (order > 0) & ~catalogue.is_positive(users.unsqueeze(1), order)
    return _walk(ids, order, free, weights, u[:, law.tries :])


def _walk(ids: Tensor, order: Tensor, free: Tensor, weights: Tensor, u: Tensor) -> Tensor:
    """Fill the zeros of ``ids`` (B, n) from the free entries of ``order`` (B, R)."""
    rank = torch.arange(order.shape[1], device=ids.device)
    for k in range(ids.shape[1]):
        left = free & (order.unsqueeze(1) != ids.unsqueeze(2)).all(1)
        behind = rank - left.int().argmax(1, keepdim=True)
        mass = (weights[behind.clamp(min=0)] * left).cumsum(1)
        place = torch.searchsorted(mass, u[:, k : k + 1] * mass[:, -1:], right=True)
        item = order.gather(1, place.clamp(max=len(rank) - 1)).squeeze(1)
        item = item.masked_fill(~left.any(1), 0)
        ids[:, k] = torch.where(ids[:, k] > 0, ids[:, k], item)
    return ids
