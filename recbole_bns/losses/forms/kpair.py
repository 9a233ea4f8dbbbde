"""The K-pair loss of MixGCF, DENS and AHNS's program: ``log(1 + Σ_j exp(s_j - s+))``.

K = 1 is BPR. It is SSM with temperature 1.

Source: K. Sohn, Improved Deep Metric Learning with Multi-class N-pair Loss Objective, NeurIPS
2016; T. Huang et al., MixGCF, KDD 2021.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from ..base import Loss, log_sum_exp
from ..batch import LossBatch
from ..registry import register


def kpair(pos: Tensor, logits: Tensor) -> Tensor:
    """``log(1 + Σ exp(z_j - s+))``: (B,) and logits (B, K), ``-inf`` for none, give (B,)."""
    return softplus(log_sum_exp(logits) - pos)


@register
class KPair(Loss):
    """The positive above all negatives together."""

    name = "kpair"
    idea = "the positive above all negatives together: log(1 + sum of exp(s_j - s+))"
    paper = "Sohn, NeurIPS 2016; Huang et al., KDD 2021"

    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)``; see :meth:`Loss.forward`."""
        return kpair(batch.pos, batch.left_in(batch.neg))
