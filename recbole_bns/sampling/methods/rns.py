"""RNS: uniform negatives.

``p(j | u) = 1 / n_u`` over the items that user u has not interacted with in the training part;
n_u is their number. Cost: one draw a negative, O(log nnz). Where we differ from common programs:
draws are exact, without rejection, so that users with few negatives cost nothing extra; training
positives are always excluded (the programs of DNS(M, N) and AdaSIR keep them).

Source: S. Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009.
"""

from __future__ import annotations

from torch import Tensor

from ..base import NegativeSampler
from ..registry import register
from ..scoring import Scorer


@register
class RNS(NegativeSampler):
    """Uniform over the user's non-positives."""

    name = "rns"
    idea = "uniform over the items that the user has not touched"
    paper = "Rendle et al., UAI 2009"

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Draw ``(B, n)`` uniform negatives; see :meth:`NegativeSampler.sample`."""
        drawn = self.proposal.draw(users, n, self.generator, distinct=n > 1)
        return drawn if n == 1 else self.complete(drawn, users)
