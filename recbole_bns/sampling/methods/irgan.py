"""IRGAN: a generator over the whole catalogue plays against the recommender, the discriminator.

Negatives of the recommender: ``p(j) ∝ exp(g(u, j) / tau)`` over the items that the user
has not touched, g the generator's score. After the recommender's step the generator learns. With
``p = softmax(g(u, ·))`` over all items, positives included, it draws ``feedback_num`` items x for
each row of the batch from ``q = (1 - share) p + share · uniform(positives of u)`` and follows the
gradient of::

    -mean over x of log p(x) · R(x),   R(x) = 2 (sigmoid(s_ux) - 1/2) · p(x) / q(x)

s the recommender's score. The weight p / q makes the expected gradient that of ``-Σ p(x) ·
2 (sigmoid(s_ux) - 1/2)`` whatever q is; there is no baseline. It begins as a copy of the
recommender's vectors with a bias for each item, after ``pretrain_epochs`` epochs on uniform
negatives, or at once with the weights of another run (``pretrained``).

Symbols: tau ``generator_tau``, share ``positive_share``. Cost a positive: I scores of the
generator to draw its negatives, as many again, forward and backward, to learn.

Where we differ from the authors' program: users' positives are never drawn as negatives (there
they may be); the recommender is trained by its own loss (there: binary cross-entropy of one
positive and one drawn item), and a step of it is followed by one of the generator, by Adam, where
the program alternates passes over all users, 50 of the generator for each refresh of the drawn
items, by plain gradient descent. A positive has 2 draws an epoch in either. The program tests its
generator (``tested: generator``), pretrained with dns; SRNS's table calls the recommender IRGAN.

Source: J. Wang et al., IRGAN: A Minimax Game for Unifying Generative and Discriminative
Information Retrieval Models, SIGIR 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from recbole_bns.common.params import param

from ..generators import GeneratorParams, LearnedSampler, Tables, reinforce
from ..registry import register
from ..scoring import Scorer
from ..streams import integers

SCORES_AT_ONCE = 1 << 22
"""Scores of the generator that are held at a time."""
LOWEST = -1e30
"""What a score that is no number counts as."""


@dataclass(frozen=True)
class IRGANParams(GeneratorParams):
    """Parameters of IRGAN."""

    generator_tau: float = param(
        0.2, "temperature of the softmax that negatives are drawn by", above=0
    )
    feedback_num: int = param(2, "items a positive that the generator learns from", low=1)
    positive_share: float = param(0.2, "share of the user's positives among these", low=0, below=1)


def proposal_law(p: Tensor, positive: Tensor, number: Tensor, share: float) -> Tensor:
    """``q = (1 - share) p + share · uniform(positives)``, of the shape of p.

    Args:
        p: probabilities of items (B, R) by the generator.
        positive: bool, whether they are positives of their row's user.
        number: ``(B, 1)`` positives of the user; with none it is p alone.
        share: of the positives.
    """
    mixed = (1 - share) * p + share * positive / number.clamp(min=1)
    return torch.where(number > 0, mixed, p)


def reward(scores: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """``2 (sigmoid(s) - 1/2) · p / q``, all of one shape."""
    return 2 * (torch.sigmoid(scores) - 0.5) * p / q


@register
class IRGAN(LearnedSampler):
    """A reinforced generator over all items."""

    name = "irgan"
    idea = "a learned generator over all items, rewarded for what the model takes for a positive"
    paper = "Wang et al., SIGIR 2017"
    cost = "all scores, learns"
    Params = IRGANParams

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Draw ``(B, n)`` from the generator; see :meth:`NegativeSampler.sample`."""
        if self.warming_up():
            ids = self.proposal.draw(users, n, self.generator, distinct=n > 1)
        else:
            ids = torch.cat([self._draw(part, n) for part in self._parts(users)])
        return ids if n == 1 else self.complete(ids, users)

    def _parts(self, users: Tensor) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = users.split(max(1, SCORES_AT_ONCE // self.catalogue.item_num))
        return parts

    def _draw(self, users: Tensor, n: int) -> Tensor:
        """Different negatives ``(b, n)``; 0 where a user has no more that are likely at all."""
        scores = finite(self.tables.catalogue(users)) / self.params.generator_tau
        taken = self.catalogue.positive_mask(users)
        taken[:, 0] = True
        p = scores.masked_fill_(taken, -torch.inf).softmax(1)
        some = min(n, p.shape[1])
        ids = torch.multinomial(p, some, generator=self.generator)
        ids = ids.masked_fill_(p.gather(1, ids) == 0, 0)
        return torch.nn.functional.pad(ids, (0, n - some))

    def after_step(self, users: Tensor, items: Tensor, ids: Tensor, scorer: Scorer) -> None:
        """Learn what the model takes for a positive; see :meth:`NegativeSampler.after_step`."""
        if self.warming_up():
            return
        number = len(users) * self.params.feedback_num

        def term(part: Tensor, tables: Tables) -> Tensor:
            log_p = log_law(tables.catalogue(part))
            drawn, rewards = self.feedback(part, log_p.detach().exp(), scorer)
            return reinforce(log_p.gather(1, drawn), rewards / number)

        self.learn(partial(term, part) for part in self._parts(users))

    @torch.no_grad()
    def feedback(self, users: Tensor, p: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        """Items that the generator learns from, and their rewards R; both ``(b, feedback_num)``.

        Args:
            users: ``(b,)``.
            p: ``(b, I)`` probabilities of the generator.
            scorer: the recommender.
        """
        many, share = self.params.feedback_num, self.params.positive_share
        drawn = torch.multinomial(p, many, replacement=True, generator=self.generator)
        number = self.catalogue.indptr.diff()[users].unsqueeze(1)
        u = torch.rand(2, *drawn.shape, generator=self.generator, device=p.device)
        place = self.catalogue.indptr[users].unsqueeze(1) + integers(number, u[0].double())
        mine = self.catalogue.positives[place.clamp(max=len(self.catalogue.positives) - 1)].long()
        drawn = torch.where((u[1] < share) & (number > 0), mine, drawn)
        of_drawn = p.gather(1, drawn)
        positive = self.catalogue.is_positive(users.unsqueeze(1), drawn)
        q = proposal_law(of_drawn, positive, number, share)
        return drawn, reward(scorer.pairs(users, drawn), of_drawn, q)


def log_law(scores: Tensor) -> Tensor:
    """``log softmax`` over all items of scores (b, I), of which the first is padding."""
    padding = torch.arange(scores.shape[1], device=scores.device) == 0
    return finite(scores).masked_fill(padding, -torch.inf).log_softmax(1)


def finite(scores: Tensor) -> Tensor:
    """Scores, :data:`LOWEST` where they are no finite numbers."""
    return scores.masked_fill(~scores.isfinite(), LOWEST)
