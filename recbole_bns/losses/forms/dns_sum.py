"""DNS(M, N) as its paper's program has it: BPR summed over the N best of the M negatives.

The sampler ``dns`` with ``best_num`` takes one of the N at random; this loss takes them all.
Equal scores at the edge: the one that comes first is in.

Source: W. Shi et al., On the Theories Behind Hard Negative Sampling for Recommendation, WWW 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_bns.common.params import param

from ..base import Loss, LossBatch, register
from .bpr import bpr


@dataclass(frozen=True)
class DNSSumParams:
    """Parameters of the sum."""

    best_num: int = param(1, "N, negatives of the highest scores that are summed over", low=1)


def among_best(logits: Tensor, best_num: int) -> Tensor:
    """Which logits (B, n) are among the highest of their row: bool, never one of ``-inf``."""
    size = min(best_num, logits.shape[1])
    places = logits.detach().topk(size, 1).indices
    chosen = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, places, True)
    return chosen & logits.isfinite()


@register
class DNSSum(Loss):
    """BPR over the hardest of the negatives."""

    name = "dns_sum"
    idea = "BPR summed over the N negatives that score highest"
    paper = "Shi et al., WWW 2023"
    Params = DNSSumParams

    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)``; see :meth:`Loss.forward`."""
        best = among_best(batch.left_in(batch.neg), self.params.best_num)
        return (batch.terms(bpr(batch.pos, batch.neg)) * best).sum(1)
