"""BPR: the positive above each negative, ``mean_j -log σ(s+ - s_j)``.

With one negative this is RecBole's BPR but for its ``1e-10`` inside the logarithm; with K it is
RecBole's on K repeated rows.

Source: S. Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from ..base import Loss
from ..batch import LossBatch
from ..registry import register


def bpr(pos: Tensor, neg: Tensor) -> Tensor:
    """``-log σ(s+ - s_j)``: scores (B,) and (B, n) give (B, n)."""
    return softplus(neg - pos.unsqueeze(1))


@register
class BPR(Loss):
    """The mean of the pairs' logistic losses."""

    name = "bpr"
    idea = "the positive above each negative: mean of -log sigmoid(s+ - s_j)"
    paper = "Rendle et al., UAI 2009"

    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)``; see :meth:`Loss.forward`."""
        return batch.terms(bpr(batch.pos, batch.neg)).sum(1) / batch.neg.shape[1]
