"""The hinge: ``mean_j max(0, margin - s+ + s_j)``.

Source: J. Weston, S. Bengio and N. Usunier, WSABIE, IJCAI 2011, without its rank weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from recbole_bns.common.params import param

from ..base import Loss
from ..batch import LossBatch
from ..registry import register


@dataclass(frozen=True)
class HingeParams:
    """Parameters of the hinge."""

    margin: float = param(1.0, "how far the positive is to score above a negative", above=0)


def hinge(pos: Tensor, neg: Tensor, margin: float) -> Tensor:
    """``max(0, margin - s+ + s_j)``: scores (B,) and (B, n) give (B, n)."""
    return (margin - pos.unsqueeze(1) + neg).relu()


@register
class Hinge(Loss):
    """The mean of the pairs' hinges."""

    name = "hinge"
    idea = "the positive above each negative by a margin"
    paper = "Weston et al., IJCAI 2011"
    Params = HingeParams

    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)``; see :meth:`Loss.forward`."""
        values = hinge(batch.pos, batch.neg, self.params.margin)
        return batch.terms(values).sum(1) / batch.neg.shape[1]
