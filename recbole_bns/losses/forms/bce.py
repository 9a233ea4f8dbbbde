"""BCE with K negatives, and gBCE: logistic losses of the positive and of each negative.

    BCE-K  1/(K+1) · [ -log σ(s+) - Σ_j log(1 - σ(s_j)) ]
    gBCE   1/(K+1) · [ -β log σ(s+) - Σ_j log(1 - σ(s_j)) ],   β = a (t (1 - 1/a) + 1/a)

K is the number of negatives, a = K / (|I| - 1) the share of the catalogue that they are, t the
calibration. β below 1 takes back the overconfidence that few negatives give. t = 0 is BCE-K, t = 1
makes β = a. A row without a negative has loss 0.

Where we differ: the authors' program clamps and works in float64; softplus does without. β is
written 1 - t (1 - a), which is the same, and a is at most 1.

Source: A. Petrov and C. Macdonald, gSASRec: Reducing Overconfidence in Sequential Recommendation
Trained with Negative Sampling, RecSys 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from recbole_bns.common.params import param

from ..base import Loss
from ..batch import LossBatch
from ..registry import register


@dataclass(frozen=True)
class GBCEParams:
    """Parameters of gBCE."""

    t: float = param(0.75, "calibration: 0 is BCE, 1 takes back all overconfidence", low=0, high=1)


def positive_exponent(negatives: int, items: int, t: float) -> float:
    """β for K negatives of a catalogue of ``items`` real items."""
    rate = min(negatives / max(items - 1, 1), 1.0)
    return 1 - t * (1 - rate)


def pointwise(batch: LossBatch, exponent: float) -> Tensor:
    """``1/(K+1) [β softplus(-s+) + Σ softplus(s_j)]``: (B,)."""
    negatives = batch.terms(softplus(batch.neg)).sum(1)
    values = (exponent * softplus(-batch.pos) + negatives) / (batch.neg.shape[1] + 1)
    return batch.rows(values)


@register
class BCE(Loss):
    """Binary cross-entropy of the positive and of each negative."""

    name = "bce"
    idea = "binary cross-entropy of the positive and of each negative"
    paper = "Kang & McAuley, ICDM 2018; with many negatives Petrov & Macdonald, RecSys 2023"
    negatives = 64

    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)``; see :meth:`Loss.forward`."""
        return pointwise(batch, 1.0)


@register
class GBCE(Loss):
    """Binary cross-entropy whose positive term has the exponent that calibrates it."""

    name = "gbce"
    idea = "binary cross-entropy with a positive term that takes back confidence"
    paper = "Petrov & Macdonald, RecSys 2023"
    negatives = 64
    Params = GBCEParams

    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)``; see :meth:`Loss.forward`."""
        items, negatives = batch.item_num - 1, batch.neg.shape[1]
        return pointwise(batch, positive_exponent(negatives, items, self.params.t))
