"""AOBPR: adaptive oversampling of negatives that rank high, by a geometric law over ranks.

Two definitions circulate; both are here. lambda is in ranks, ranks r start at 0.

*factor* (the original; default): ``p(f | u) ∝ |v_uf| · sd_f`` picks a factor, sd_f its standard
deviation over items; ``p(r) ∝ exp(-r / lambda)`` picks a rank in the list of all items sorted by
that factor, from the top where v_uf >= 0, else from the bottom; a training positive is rejected
and drawn again. The lists are sorted anew every ``ceil(|I| log |I|)`` draws, which makes a draw
O(D) amortised. Needs user and item vectors; for LightGCN these are the propagated ones.

*global*: ``p(j | u) ∝ exp(-rank(j | u) / lambda)`` over the user's non-positives, rank in the
user's list of all items by score. ``ranks: epoch`` (default) keeps the lists as they are when the
epoch begins, as the factor form keeps its own for a while: O(1) a draw, ``4 U I`` bytes (90 MB for
ML-1M), refused beyond :data:`RANKS_LIMIT`. ``ranks: step`` ranks by the scores of the moment,
O(I D + I log I) a positive. Draws are without replacement.

Where we differ: division is in floating point (LibRec divides integers, which makes its ranks
uniform), sd is the standard deviation (LibRec: the variance), v_uf = 0 goes to the top list.
A user with a zero vector has a uniform factor. After ``max_tries`` rejections the factor form takes
a uniform negative of the user, the global one walks along the list, which is exact. Neither paper
that uses AOBPR as a baseline gives lambda.

Source: S. Rendle and C. Freudenthaler, Improving Pairwise Learning for Item Recommendation from
Implicit Feedback, WSDM 2014; the global form as in Liu & Wang (ICDE 2023) and Ding et al.
(NeurIPS 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import param

from ..base import NegativeSampler
from ..capabilities import Negatives, Requirement, Scores, ScoresBetweenBatches, Vectors
from ..peers import Peers
from ..proposals import Announced
from ..ranks import RankLaw, by_factor, by_rank, ranking
from ..registry import register
from ..scoring import FactorScorer, Scorer
from ..streams import new_key

RANKS_LIMIT = 2 << 30
"""Largest table of ranks in bytes."""


@dataclass(frozen=True)
class AOBPRParams:
    """Parameters of AOBPR."""

    definition: str = param(
        "factor", "ranks of one factor, or of the score", choices=("factor", "global")
    )
    lambda_: float = param(200.0, "scale of the geometric law, in ranks", above=0)
    max_tries: int = param(
        16, "rejected draws before a uniform one (factor) or a walk (global)", low=1, high=1000
    )
    ranks: str = param(
        "epoch",
        "global: ranks as of the epoch's start, or of the step",
        choices=("epoch", "step"),
        when={"definition": "global"},
    )


@register
class AOBPR(NegativeSampler):
    """Geometric over ranks, of a factor or of the whole score."""

    name = "aobpr"
    idea = "oversamples negatives that rank high, with p(rank) ∝ exp(-rank / lambda)"
    paper = "Rendle & Freudenthaler, WSDM 2014"
    cost = "few scores"  # as much as one: a factor is drawn by the D numbers of a vector
    needs = FactorScorer
    growing = ("lists", "spread", "ranked")
    Params = AOBPRParams

    lists: Tensor
    """``(D, R)`` item ids sorted by each factor, highest first; empty before the first use."""
    spread: Tensor
    """``(D,)`` standard deviation of each factor over the items."""
    ranked: Tensor
    """``(U, I - 1)`` int32, a user's items by falling score; 0 where there is no finite score."""

    def setup(self) -> None:
        """Leave room for the lists, which are sorted when there is a model."""
        items, params = self.catalogue.item_num - 1, self.params
        self.by_epoch = params.definition == "global" and params.ranks == "epoch"
        if self.by_epoch and 4 * self.catalogue.user_num * items > RANKS_LIMIT:
            raise UsageError(
                f"neg_sampler_args.ranks: the ranks of {self.catalogue.user_num} x {items} pairs "
                f"take more than {RANKS_LIMIT >> 30} GiB; allowed here are ranks: step (slow) and "
                "definition: factor."
            )
        self.refresh_every = max(1, math.ceil(items * math.log(max(items, 2))))
        if self.by_epoch:
            self.refresh_every = max(1, int(self.catalogue.item_counts.sum()))
        self.counters["draws"] = 0
        device = self.catalogue.device
        self.register_buffer("lists", torch.empty(0, dtype=torch.long, device=device))
        self.register_buffer("spread", torch.empty(0, device=device))
        self.register_buffer("ranked", torch.empty(0, dtype=torch.int32, device=device))

    def begin_epoch(self, epoch: int, scorer: Scorer | None) -> None:
        """With ``ranks: epoch`` rank anew; without a scorer the next draw does."""
        super().begin_epoch(epoch, scorer)
        if self.by_epoch:  # not in a step, whose scorer may score the rows of a batch alone
            self.counters["draws"] = self.refresh_every if scorer is None else 0
            if scorer is not None:
                self.rank(scorer)

    def announce(self, users: Tensor) -> Announced | None:
        """With ``ranks: epoch`` the lists serve exactly these draws, (N,), then are forgotten."""
        if self.by_epoch:
            self.refresh_every = max(1, len(users))
        return super().announce(users)

    def divide(self, peers: Peers) -> None:
        """Each process has lists of its own, from the same weights, as old as one alone has."""
        self.draw_apart(peers)
        if not self.by_epoch:
            self.refresh_every = max(1, self.refresh_every // peers.size)

    @classmethod
    def requirements_of(cls, params: AOBPRParams) -> tuple[Requirement, ...]:
        """Vectors for the factor form, any scores for the global one, between batches or not."""
        if params.definition == "factor":
            return Vectors(hint="aobpr works with neg_sampler_args.definition: global"), Negatives()
        if params.ranks == "step":
            return Scores(), Negatives()
        between = ScoresBetweenBatches(hint="aobpr with neg_sampler_args.ranks: step")
        return Scores(), between, Negatives()

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Draw ``(B, n)`` negatives; see :meth:`NegativeSampler.sample`."""
        assert scorer is not None, "aobpr needs a scorer"
        if self.params.definition == "factor":
            assert isinstance(scorer, FactorScorer), "aobpr (factor) needs a FactorScorer"
            if self._due(self.lists, len(users) * n):
                self.refresh(scorer)
            key, tables = new_key(self.generator), (scorer.users, self.spread, self.lists)
            ids = by_factor(*tables, self._law(n), self.catalogue, key, users, n)
            ids = self._served(ids, users)
        elif self.by_epoch:
            if self._due(self.ranked, len(users)):
                self.rank(scorer)
            key = new_key(self.generator)
            ids = by_rank(self.ranked, self._law(n), self.catalogue, key, users, n)
            ids = self._served(ids, users)
        else:
            ids = self._by_score(users, n, scorer)
        return ids if n == 1 else self.complete(ids, users)

    def _due(self, table: Tensor, draws: int) -> bool:
        """Whether ``table`` is to be made anew before so many draws."""
        due = not table.numel() or self.counters["draws"] >= self.refresh_every
        self.counters["draws"] = draws if due else self.counters["draws"] + draws
        return due

    def refresh(self, scorer: FactorScorer) -> None:
        """Sort the items by each factor anew; those with NaN or infinite factors stay out."""
        vectors = scorer.items[1:].float()
        usable = vectors.isfinite().all(1).nonzero().squeeze(1)
        if len(usable):
            vectors = vectors[usable]
        else:
            usable = torch.arange(len(vectors), device=vectors.device)
        self.lists = usable[ranking(vectors.T.contiguous())] + 1
        self.spread = vectors.std(0, correction=0)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Leave out ranks that are not going to be used again: at the end of an epoch."""
        super()._save_to_state_dict(destination, prefix, *rest)
        if self.counters["draws"] >= self.refresh_every:
            destination[prefix + "ranked"] = self.ranked.new_empty(0)

    def rank(self, scorer: Scorer) -> None:
        """Rank all items for every user."""
        users, items = self.catalogue.user_num, self.catalogue.item_num
        every = torch.arange(users, device=self.catalogue.device)
        self.ranked = torch.empty((users, items - 1), dtype=torch.int32, device=every.device)
        for part in torch.split(every, 1024):
            for rows, groups in scorer.blocks(part):
                scores = rows[:, 1:].float()
                usable = scores.isfinite()
                scores = scores.where(usable, torch.finfo(scores.dtype).min)
                order = ranking(scores).long()
                self.ranked[groups.users] = (order + 1).where(usable.gather(1, order), 0).int()

    def _law(self, n: int) -> RankLaw:
        return RankLaw(self.params.lambda_, self.params.max_tries * n)

    def _served(self, ids: Tensor, users: Tensor) -> Tensor:
        """A uniform negative in place of every 0."""
        n = ids.shape[1]
        return ids.where(ids > 0, self.proposal.draw(users, n, self.generator, distinct=n > 1))

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
