"""RNS: uniform negatives.

``p(j | u) = 1 / n_u`` over the items that user u has not interacted with in the training part;
n_u is their number. Cost: one draw a negative, O(log nnz). Where we differ from common programs:
draws are exact, without rejection, so that users with few negatives cost nothing extra; training
positives are always excluded (the programs of DNS(M, N) and AdaSIR keep them).

A list that a batch shares holds different items of the whole catalogue, ``q(j) = 1 / (I - 1)``
each; all of them where more are asked for than there are.

Source: S. Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from ..base import NegativeSampler
from ..registry import register
from ..scoring import Scorer
from ..shared import SharedList, uniform_list


@register
class RNS(NegativeSampler, SharedList):
    """Uniform over the user's non-positives."""

    name = "rns"
    idea = "uniform over the items that the user has not touched"
    paper = "Rendle et al., UAI 2009"

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Draw ``(B, n)`` uniform negatives; see :meth:`NegativeSampler.sample`."""
        drawn = self.proposal.draw(users, n, self.generator, distinct=n > 1)
        return drawn if n == 1 else self.complete(drawn, users)

    def log_prob(self, users: Tensor, ids: Tensor) -> Tensor:
        """``(B, n)``: ``-log(n_u)``; see :meth:`NegativeSampler.log_prob`."""
        return self.proposal.log_prob(users, ids)

    def sample_shared(self, users: Tensor, items: Tensor, n: int) -> Tensor:
        """Draw ``(m,)`` different items, m at most all; see :meth:`SharedList.sample_shared`."""
        return uniform_list(self.catalogue, n, self.generator)

    def shared_log_prob(self, ids: Tensor) -> Tensor:
        """``(m,)``: ``-log(I - 1)``; see :meth:`SharedList.shared_log_prob`."""
        return torch.full(ids.shape, -log(self.catalogue.item_num - 1), device=ids.device)

    def list_length(self, rows: int, n: int) -> int:
        """At most all items; see :meth:`SharedList.list_length`."""
        return min(n, self.catalogue.item_num - 1)
