"""PNS: popular items are drawn more often.

``p(j | u) ∝ r_j ** a`` over the user's non-positives, r_j the interactions of item j in the
*training* part (the sum of their weights, where they have some), a = 0.75. Static: built once, one
draw a negative, O(log nnz).

Where we differ: RecBole's own popularity sampler counts the training, validation and test parts
together (a leak) and has a = 1. Items without training interactions are never drawn; a user whose
negatives all have none is served uniformly. ``exponent: 0`` is RNS.

A list that a batch shares is drawn by ``q(j) ∝ r_j ** a`` over the whole catalogue, with
repetition, as the second mode of SSM's program does (a = 1 there).

Source: the baseline of B. Liu and B. Wang, Bayesian Negative Sampling for Recommendation,
ICDE 2023; the exponent is that of T. Mikolov et al., NeurIPS 2013; the list that of J. Wu et al.,
On the Effectiveness of Sampled Softmax Loss for Item Recommendation, TOIS 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from recbole_bns.common.params import param

from ..base import NegativeSampler
from ..registry import register
from ..scoring import Scorer
from ..shared import SharedList
from ..weighted import WeightedProposal, popularity_weights


@dataclass(frozen=True)
class PNSParams:
    """Parameters of PNS."""

    exponent: float = param(
        0.75, "power of the training popularity; 0 is uniform", low=0.0, high=10.0
    )


@register
class PNS(NegativeSampler, SharedList):
    """Popularity-biased over the user's non-positives."""

    name = "pns"
    idea = "popular items are drawn more often: popularity ** exponent"
    paper = "baseline in Liu & Wang, ICDE 2023"
    Params = PNSParams

    def setup(self) -> None:
        """Weigh the items once."""
        weights = popularity_weights(self.catalogue.item_weights, self.params.exponent)
        self.weighted = WeightedProposal(self.catalogue, weights)

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Draw ``(B, n)`` negatives; see :meth:`NegativeSampler.sample`."""
        drawn = self.weighted.draw(users, n, self.generator, distinct=n > 1)
        return drawn if n == 1 else self.complete(drawn, users)

    def log_prob(self, users: Tensor, ids: Tensor) -> Tensor:
        """``(B, n)``: ``r_j ** a`` over that of all the user's negatives, as a logarithm.

        Items without interactions count as :meth:`.WeightedProposal.log_prob` says; see
        :meth:`NegativeSampler.log_prob`.
        """
        return self.weighted.log_prob(users, ids)

    def sample_shared(self, users: Tensor, items: Tensor, n: int) -> Tensor:
        """Draw ``(n,)`` items with repetition; see :meth:`SharedList.sample_shared`."""
        return self.weighted.draw_any(n, self.generator)

    def shared_log_prob(self, ids: Tensor) -> Tensor:
        """``(m,)``: ``r_j ** a`` over that of all items, as a logarithm.

        See :meth:`SharedList.shared_log_prob`.
        """
        return self.weighted.log_share(ids)
