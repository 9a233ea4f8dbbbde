"""DNS(M, N) as its paper's program has it: BPR summed over the N best of the M negatives.

    Σ_{j among the N greatest s_j} -log σ(s+ - s_j)

The sampler ``dns`` with ``best_num`` takes one of the N at random; this loss takes them all. A
weight multiplies a term and does not change which are best.

Source: W. Shi et al., On the Theories Behind Hard Negative Sampling for Recommendation, WWW 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from recbole_bns.common.params import param

from ..base import Loss
from ..batch import LossBatch
from ..registry import register
from .bpr import bpr


@dataclass(frozen=True)
class DNSSumParams:
    """Parameters of the sum."""

    best_num: int = param(4, "N, negatives of the highest scores that are summed over", low=1)


def best_places(batch: LossBatch, best_num: int) -> Tensor:
    """Places (B, min(best_num, n)) of the highest scores; terms left out come last."""
    scores = batch.neg.detach()
    if batch.left_out is not None:
        scores = scores.masked_fill(batch.left_out, float("-inf"))
    return scores.topk(min(best_num, scores.shape[1]), 1).indices


@register
class DNSSum(Loss):
    """BPR over the hardest of the negatives."""

    name = "dns_sum"
    idea = "BPR summed over the N negatives that score highest"
    paper = "Shi et al., WWW 2023"
    negatives = 16
    Params = DNSSumParams

    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)``; see :meth:`Loss.forward`."""
        terms = batch.terms(bpr(batch.pos, batch.neg))
        return terms.gather(1, best_places(batch, self.params.best_num)).sum(1)
