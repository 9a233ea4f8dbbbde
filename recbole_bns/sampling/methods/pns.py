"""PNS: popular items are drawn more often.

``p(j | u) ∝ r_j ** a`` over the user's non-positives, r_j the interactions of item j in the
*training* part, a = 0.75. Static: built once, one draw a negative, O(log nnz).

Where we differ: RecBole's own popularity sampler counts the training, validation and test parts
together (a leak) and has a = 1. Items without training interactions are never drawn; a user whose
negatives all have none is served uniformly. ``exponent: 0`` is RNS.

Source: the baseline of B. Liu and B. Wang, Bayesian Negative Sampling for Recommendation,
ICDE 2023; the exponent is that of T. Mikolov et al., NeurIPS 2013.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from recbole_bns.common.params import param

from ..base import NegativeSampler
from ..registry import register
from ..scoring import Scorer
from ..weighted import WeightedProposal


@dataclass(frozen=True)
class PNSParams:
    """Parameters of PNS."""

    exponent: float = param(
        0.75, "power of the training popularity; 0 is uniform", low=0.0, high=10.0
    )


def popularity_weights(item_counts: Tensor, exponent: float) -> Tensor:
    """``r_j ** exponent`` for each item (I,), float64; 1 for every item when the exponent is 0."""
    return item_counts.double() ** exponent


@register
class PNS(NegativeSampler):
    """Popularity-biased over the user's non-positives."""

    name = "pns"
    idea = "popular items are drawn more often: popularity ** exponent"
    paper = "baseline in Liu & Wang, ICDE 2023"
    Params = PNSParams

    def setup(self) -> None:
        """Weigh the items once."""
        weights = popularity_weights(self.catalogue.item_counts, self.params.exponent)
        self.weighted = WeightedProposal(self.catalogue, weights)

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Draw ``(B, n)`` negatives; see :meth:`NegativeSampler.sample`."""
        drawn = self.weighted.draw(users, n, self.generator, distinct=n > 1)
        return drawn if n == 1 else self.complete(drawn, users)
