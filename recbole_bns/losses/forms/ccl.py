"""CCL, the cosine contrastive loss of SimpleX: ``(1 - s+) + w · mean_j max(0, s_j - margin)``.

s+ and s_j are cosines. RecBole has SimpleX as a model; here its loss serves every model with
vectors. A row without a negative has loss 0.

Source: K. Mao et al., SimpleX: A Simple and Strong Baseline for Collaborative Filtering, CIKM 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from recbole_bns.common.params import param

from ..base import Loss
from ..batch import LossBatch
from ..registry import register


@dataclass(frozen=True)
class CCLParams:
    """Parameters of CCL."""

    margin: float = param(0.4, "cosine below which a negative is far enough", low=-1, high=1)
    negative_weight: float = param(10.0, "w, weight of the negative side", above=0)


def far_enough(neg: Tensor, margin: float) -> Tensor:
    """``max(0, s_j - margin)``: (B, n), the same shape."""
    return (neg - margin).relu()


@register
class CCL(Loss):
    """Cosine near 1 for the positive, below a margin for the negatives."""

    name = "ccl"
    idea = "cosine near 1 for the positive, below a margin for the negatives"
    paper = "Mao et al., CIKM 2021"
    similarity = "cosine"
    negatives = 64
    Params = CCLParams

    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)``; see :meth:`Loss.forward`."""
        terms = batch.terms(far_enough(batch.neg, self.params.margin))
        negative: Tensor = self.params.negative_weight * terms.sum(1) / batch.neg.shape[1]
        return batch.rows(1 - batch.pos + negative)
