"""Samplers that draw a few uniform candidates and take one of them: propose, then pick."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from recbole_bns.common.errors import UsageError

from .base import NegativeSampler
from .capabilities import ALL
from .planted import Plantable
from .scoring import Scorer


class ProposingSampler(NegativeSampler, Plantable):
    """Draws candidates; a subclass writes :meth:`pick`.

    Its ``Params`` hold ``candidate_num`` and ``replacement``.
    """

    needs = Scorer
    cost = "few scores"

    def setup(self) -> None:
        """Refuse more candidates than there are items."""
        wanted, available = self.params.candidate_num, self.catalogue.item_num - 1
        if wanted != ALL and wanted > available:
            raise UsageError(
                f"neg_sampler_args.candidate_num: got {wanted}, but the data set has only "
                f"{available} items; allowed is 1 to {available}."
            )

    @classmethod
    def unplantable(cls, params: Any) -> str:
        """Among all items nothing can be planted, nor where no second candidate is to choose from.

        A planted item is the first candidate of a positive's first negative; a warm-up, which draws
        without candidates, has none. See :meth:`.Plantable.unplantable`.
        """
        if params.candidate_num in (1, ALL):
            return (
                f"neg_sampler_args.candidate_num: got {params.candidate_num}, with which a planted "
                "item would be every negative, or as likely as any other; allowed is a number >= 2"
            )
        return ""

    @abstractmethod
    def pick(self, candidates: Tensor, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        """Take one of the m candidates of each negative.

        Args:
            candidates: ``(B, n, m)`` item ids; 0 where a user has run out of negatives.
            users: ``(B,)``.
            items: ``(B,)`` positives.
            scorer: this step's view of the model.

        Returns:
            ``(B, n)`` item ids; 0 where none can be told from the others.
        """

    def choose_directly(
        self, candidates: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor | None:
        """The negatives ``(B, n)`` where a faster way than :meth:`pick` is open, else None."""
        return None

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Propose and pick; see :meth:`NegativeSampler.sample`."""
        if self.warming_up():
            ids = self.proposal.draw(users, n, self.generator, distinct=n > 1)
            return self.complete(ids, users)
        assert scorer is not None, f"{self.name} needs a scorer"
        candidates = self.propose(users, n)
        direct = self.choose_directly(candidates, users, items, scorer)
        ids = self.pick(candidates, users, items, scorer) if direct is None else direct
        ids = torch.where(ids > 0, ids, candidates.amax(2))
        return ids if n == 1 else self.complete(ids, users)

    def propose(self, users: Tensor, n: int) -> Tensor:
        """Candidates ``(B, n, m)``.

        With n > 1 the n sets of a positive have no item in common, so what is chosen from them
        differs. A user with fewer than n·m negatives has smaller sets, filled up with 0.
        """
        m = self.params.candidate_num
        if m == ALL:
            return self._propose_all(users, n)
        distinct = n > 1 or not self.params.replacement
        drawn = self.draw_candidates(users, m * n, distinct)
        if self.planted is not None:
            drawn = self.planted.among(users, drawn)
        return drawn.view(-1, m, n).transpose(1, 2)

    def draw_candidates(self, users: Tensor, k: int, distinct: bool) -> Tensor:
        """``(B, k)`` candidates; 0 where a user has no more. Uniform by default."""
        return self.proposal.draw(users, k, self.generator, distinct=distinct)

    def _propose_all(self, users: Tensor, n: int) -> Tensor:
        """All negatives, dealt at random into n sets."""
        items = self.catalogue.item_num - 1
        order = torch.randperm(items, generator=self.generator, device=users.device) + 1
        order = nn.functional.pad(order, (0, -items % n)).view(1, -1, n).transpose(1, 2)
        taken = self.catalogue.is_positive(users.view(-1, 1, 1), order)
        return order.expand(len(users), -1, -1).masked_fill(taken, 0)


class CandidateSampler(ProposingSampler):
    """Scores the candidates and chooses: a subclass writes :meth:`choose`."""

    @abstractmethod
    def choose(
        self, candidates: Tensor, scores: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor:
        """Choose one of the m candidates of each negative.

        Args:
            candidates: ``(B, n, m)`` item ids; 0 where a user has run out of negatives.
            scores: ``(B, n, m)`` their scores; ``-inf`` marks what must not be chosen.
            users: ``(B,)``.
            items: ``(B,)`` positives.
            scorer: for scores beyond the candidates'.

        Returns:
            ``(B, n)`` positions in ``[0, m)``; the first of equals.
        """

    def score(self, users: Tensor, candidates: Tensor, scorer: Scorer) -> Tensor:
        """Scores of candidates (B, M), the same shape. The scorer's by default."""
        return scorer.pairs(users, candidates)

    def pick(self, candidates: Tensor, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        """Score, choose, gather; see :meth:`ProposingSampler.pick`."""
        scores = self.score(users, candidates.flatten(1), scorer).view(candidates.shape)
        scores = usable(scores, candidates)
        return gathered(candidates, self.choose(candidates, scores, users, items, scorer))


def usable(scores: Tensor, candidates: Tensor) -> Tensor:
    """Scores (B, n, m), ``-inf`` where they are not finite or the candidate is no item."""
    return scores.masked_fill((candidates == 0) | ~scores.isfinite(), float("-inf"))


def gathered(candidates: Tensor, positions: Tensor) -> Tensor:
    """The candidates (B, n, m) at positions (B, n): ``(B, n)``."""
    return candidates.gather(2, positions.unsqueeze(2)).squeeze(2)


def at_rank(scores: Tensor, rank: Tensor) -> Tensor:
    """Positions ``(B, n)`` of the scores (B, n, m) with a rank (B, n), from 0 for the highest."""
    order = scores.argsort(dim=2, descending=True, stable=True)
    return order.gather(2, rank.unsqueeze(2)).squeeze(2)
