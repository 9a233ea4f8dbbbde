"""PSL: a pairwise softmax loss whose exponential gives way to a bounded function.

    log Σ_j σ(d_j)^(1/τ),   d_j = (s_j - s+) / 2,   σ(d) = tanh d + 1, max(d + 1, 0) or atan d + 1

With σ = exp it is SL of twice the temperature. A difference of cosines is halved so that it lies in
[-1, 1], where all three are defined; they are held above :data:`LEAST`, since at d = -1 the
logarithm of max(d + 1, 0) has no gradient, and with ``halved: False``, which takes the differences
as they are, atan d + 1 falls below 0. A row without a negative has loss 0.

Source: W. Yang et al., PSL: Rethinking and Improving Softmax Loss from Pairwise Perspective for
Recommendation, NeurIPS 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_bns.common.params import param

from ..base import Loss
from ..batch import LossBatch
from ..registry import register
from .sl import softmax_loss

LEAST = 1e-12
"""Below which no surrogate falls."""


@dataclass(frozen=True)
class PSLParams:
    """Parameters of PSL."""

    surrogate: str = param(
        "tanh", "in place of the exponential", choices=("tanh", "relu", "atan", "exp")
    )
    temperature: float = param(0.08, "half of what SL has", above=0)
    halved: bool = param(True, "halve the differences, which cosines need")


def log_surrogate(gap: Tensor, surrogate: str) -> Tensor:
    """``log σ(d)`` of differences (B, n), the same shape."""
    if surrogate == "exp":
        return gap
    bent = {"tanh": gap.tanh, "relu": gap.clone, "atan": gap.atan}[surrogate]()
    return torch.log((bent + 1).clamp(min=LEAST))


@register
class PSL(Loss):
    """Softmax over bounded functions of pairs' differences."""

    name = "psl"
    idea = "softmax loss over pairs, a bounded function in place of the exponential"
    paper = "Yang et al., NeurIPS 2024"
    similarity = "cosine"
    negatives = 64
    Params = PSLParams

    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)``; see :meth:`Loss.forward`."""
        gap = batch.neg - batch.pos.unsqueeze(1)
        if self.params.halved:
            gap = gap / 2
        logits = log_surrogate(gap, self.params.surrogate) / self.params.temperature
        return softmax_loss(torch.zeros_like(batch.pos), batch.left_in(logits))
