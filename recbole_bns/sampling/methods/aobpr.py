"""AOBPR: adaptive oversampling of negatives that rank high, by a geometric law over ranks.

Two definitions circulate; both are here. lambda is in ranks, ranks r start at 0.

*factor* (the original; default): ``p(f | u) ∝ |v_uf| · sd_f`` picks a factor, sd_f its standard
deviation over items; ``p(r) ∝ exp(-r / lambda)`` picks a rank in the list of all items sorted by
that factor, from the top where v_uf >= 0, else from the bottom; a training positive is rejected
and drawn again. The lists are sorted anew every ``ceil(|I| log |I|)`` draws, which makes a draw
O(D) amortised. Needs user and item vectors; for LightGCN these are the propagated ones.

*global*: ``p(j | u) ∝ exp(-rank(j | u) / lambda)`` over the user's non-positives, rank in the
user's list of all items by score; the n highest of ``-rank / lambda`` plus Gumbel noise are n
draws without replacement. Needs all scores and a sort: O(I D + I log I) a positive.

Where we differ: division is in floating point (LibRec divides integers, which makes its ranks
uniform), sd is the standard deviation (LibRec: the variance), v_uf = 0 goes to the top list.
A user with a zero vector has a uniform factor. After ``max_tries`` rejections the negative is
uniform over the user's non-positives. Neither paper that uses AOBPR as a baseline gives lambda.

Source: S. Rendle and C. Freudenthaler, Improving Pairwise Learning for Item Recommendation from
Implicit Feedback, WSDM 2014; the global form as in Liu & Wang (ICDE 2023) and Ding et al.
(NeurIPS 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..base import NegativeSampler
from ..params import param
from ..proposals import first_distinct
from ..registry import register
from ..scoring import FactorScorer, Scorer


@dataclass(frozen=True)
class AOBPRParams:
    """Parameters of AOBPR."""

    definition: str = param(
        "factor", "ranks of one factor, or of the score", choices=("factor", "global")
    )
    lambda_: float = param(200.0, "scale of the geometric law, in ranks", above=0)
    max_tries: int = param(16, "factor: draws before a uniform one takes over", low=1, high=1000)


def rank_probabilities(item_num: int, lambda_: float) -> Tensor:
    """``p(r) ∝ exp(-r / lambda)`` for r = 0 … item_num - 1: (item_num,) float64."""
    return torch.softmax(-torch.arange(item_num, dtype=torch.float64) / lambda_, 0)


def draw_ranks(u: Tensor, item_num: int, lambda_: float) -> Tensor:
    """Ranks with :func:`rank_probabilities` from uniforms ``u`` in [0, 1): the same shape, int64.

    The inverse of the truncated geometric distribution function, O(1) a draw.
    """
    reach = -math.expm1(-item_num / lambda_)
    return (-lambda_ * torch.log1p(-u * reach)).clamp_(max=item_num - 1).long()


def factor_weights(users: Tensor, spread: Tensor) -> Tensor:
    """``|v_uf| · sd_f`` for user vectors (B, D) and deviations (D,); ones where all are 0."""
    weights = users.abs() * spread
    return torch.where(weights.sum(1, keepdim=True) > 0, weights, 1.0)


@register
class AOBPR(NegativeSampler):
    """Geometric over ranks, of a factor or of the whole score."""

    name = "aobpr"
    idea = "oversamples negatives that rank high, with p(rank) ∝ exp(-rank / lambda)"
    paper = "Rendle & Freudenthaler, WSDM 2014"
    needs = FactorScorer
    growing = ("lists", "spread")
    Params = AOBPRParams

    lists: Tensor
    """``(D, R)`` item ids sorted by each factor, highest first; empty before the first use."""
    spread: Tensor
    """``(D,)`` standard deviation of each factor over the items."""

    def setup(self) -> None:
        """Leave room for the lists, which are sorted when there is a model."""
        items = self.catalogue.item_num - 1
        self.refresh_every = max(1, math.ceil(items * math.log(max(items, 2))))
        self.counters["draws"] = 0
        self.register_buffer(
            "lists", torch.empty(0, dtype=torch.long, device=self.catalogue.device)
        )
        self.register_buffer("spread", torch.empty(0, device=self.catalogue.device))

    def scorer_needed(self) -> type[Scorer] | None:
        """Vectors for the factor form, any scores for the global one."""
        return FactorScorer if self.params.definition == "factor" else Scorer

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Draw ``(B, n)`` negatives; see :meth:`NegativeSampler.sample`."""
        assert scorer is not None, "aobpr needs a scorer"
        if self.params.definition == "global":
            ids = self._by_score(users, n, scorer)
        else:
            assert isinstance(scorer, FactorScorer), "aobpr (factor) needs a FactorScorer"
            ids = self._by_factor(users, n, scorer)
        return self.complete(ids, users)

    def refresh(self, scorer: FactorScorer) -> None:
        """Sort the items by each factor anew; those with NaN or infinite factors stay out."""
        vectors = scorer.items[1:].float()
        usable = vectors.isfinite().all(1).nonzero().squeeze(1)
        if len(usable):
            vectors = vectors[usable]
        else:
            usable = torch.arange(len(vectors), device=vectors.device)
        self.lists = usable[vectors.T.argsort(dim=1, descending=True, stable=True)] + 1
        self.spread = vectors.std(0, correction=0)

    def _by_factor(self, users: Tensor, n: int, scorer: FactorScorer) -> Tensor:
        if not self.lists.numel() or self.counters["draws"] >= self.refresh_every:
            self.refresh(scorer)
            self.counters["draws"] = 0
        self.counters["draws"] += len(users) * n
        vectors = scorer.users[users].float()
        total = factor_weights(vectors, self.spread).cumsum(1)
        tries = self.params.max_tries * n
        u = torch.rand(2, len(users), tries, generator=self.generator, device=users.device)
        factor = torch.searchsorted(total, u[0] * total[:, -1:], right=True)
        factor = factor.clamp_(max=total.shape[1] - 1)
        last = self.lists.shape[1] - 1
        rank = draw_ranks(u[1].double(), last + 1, self.params.lambda_)
        rank = torch.where(vectors.gather(1, factor) >= 0, rank, last - rank)
        stream = self.lists[factor, rank]
        accepted = ~self.catalogue.is_positive(users.unsqueeze(1), stream)
        ids = first_distinct(stream, accepted, n)
        return torch.where(
            ids > 0, ids, self.proposal.draw(users, n, self.generator, distinct=n > 1)
        )

    def _by_score(self, users: Tensor, n: int, scorer: Scorer) -> Tensor:
        scores = scorer.catalogue(users)[:, 1:]
        usable = scores.isfinite()
        scores = scores.masked_fill(~usable, torch.finfo(scores.dtype).min)
        order = scores.argsort(dim=1, descending=True, stable=True)
        usable, order = usable.gather(1, order), order + 1
        free = ~self.catalogue.is_positive(users.unsqueeze(1), order)
        free = torch.where((free & usable).any(1, keepdim=True), free & usable, free)
        rank = torch.arange(order.shape[1], device=users.device)
        u = torch.rand(order.shape, generator=self.generator, device=users.device)
        gumbel = -torch.log(-torch.log(u.clamp(min=torch.finfo(u.dtype).tiny)))
        keys = (gumbel - rank / self.params.lambda_).masked_fill(~free, float("-inf"))
        best, place = keys.topk(min(n, keys.shape[1]), 1)
        ids = order.gather(1, place).masked_fill(best == float("-inf"), 0)
        return torch.nn.functional.pad(ids, (0, n - ids.shape[1]))
