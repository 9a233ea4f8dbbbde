"""SL and BSL: softmax losses whose denominator has the negatives alone.

    SL   -s+/τ + log Σ_j exp(s_j/τ)
    BSL  -s+/τ + c · log Σ_j exp(s_j/τ)

``negative_weight`` is c; 1 makes BSL SL. Published values are 1.06 to 1.32 with τ .11 to .17 and
800 to 1,024 negatives. A row without a negative has loss 0.

Sources: J. Wu et al., BSL: Understanding and Improving Softmax Loss for Recommendation, ICDE 2024;
the same authors' Adap-τ, WWW 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_bns.common.params import param

from ..base import Loss, log_sum_exp
from ..batch import LossBatch
from ..registry import register
from ..softmax_pass import SoftmaxForm


@dataclass(frozen=True)
class SLParams:
    """Parameters of SL."""

    temperature: float = param(0.15, "divides the scores", above=0)


@dataclass(frozen=True)
class BSLParams(SLParams):
    """Parameters of BSL."""

    negative_weight: float = param(1.1, "c, weight of the negative side; 1 is SL", above=0)


def softmax_loss(pos: Tensor, logits: Tensor, weight: float = 1.0) -> Tensor:
    """``-s+ + c log Σ exp``: logits (B,) and (B, n), ``-inf`` for none, give (B,).

    0 for a row without a negative.
    """
    total = log_sum_exp(logits)
    return torch.where(total.isneginf(), 0.0, weight * total - pos)


@register
class SL(Loss):
    """Softmax loss without the positive in the denominator."""

    name = "sl"
    idea = "softmax loss without the positive in its denominator"
    paper = "Wu et al., ICDE 2024"
    similarity = "cosine"
    negatives = 64
    log_q = ("none", "negatives", "both")
    Params = SLParams

    @property
    def negative_weight(self) -> float:
        """c."""
        return 1.0

    def softmax_form(self, item_num: int) -> SoftmaxForm:
        """With the negatives alone in the denominator; see :meth:`Loss.softmax_form`."""
        temperature, weight = self.params.temperature, self.negative_weight
        return SoftmaxForm(temperature, with_positive=False, weight=weight)

    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)``; see :meth:`Loss.forward`."""
        positive, logits = (
            f(self.params.temperature) for f in (batch.positive_logit, batch.logits)
        )
        return softmax_loss(positive, logits, self.negative_weight)


@register
class BSL(SL):
    """Softmax loss whose negative side has a weight of its own."""

    name = "bsl"
    idea = "softmax loss whose negative side has a weight of its own"
    Params = BSLParams

    @property
    def negative_weight(self) -> float:
        """The parameter of this name."""
        return float(self.params.negative_weight)
