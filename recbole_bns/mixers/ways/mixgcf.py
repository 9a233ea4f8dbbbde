"""MixGCF: in each layer the hardest candidate, mixed with the positive; the layers are pooled.

    n'_m = a p + (1 - a) n_m,    m* = argmax_m <q, n'_m>,    the negative: n'_m* of each layer

p the positive, n_m candidate m in the layer, q the pooled user (of a model that puts its layers
side by side the layer's own), a uniform in [0, ``share_max``), drawn for each layer of each
negative and shared by candidates and dimensions (positive mixing). The vectors of the layers are
usually of different items (hop mixing). Only the choice is without gradient: p gets its own.

<q, n'_m> = a <q, p> + (1 - a) <q, n_m>, so that m* does not depend on a < 1: the choice is made of
products alone, and only the chosen vectors are gathered. With ``share_max: 0`` and one layer this
is DNS(M).

Cost of a batch: B K M L products of D numbers, B K L D numbers with a gradient.

Where we differ from the authors' program: that picks its epoch by the test set.

Source: T. Huang et al., MixGCF: An Improved Training Method for Graph Neural Network-based
Recommender Systems, KDD 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_bns.common.params import param

from ..base import Mixer
from ..batch import Made, MixBatch
from ..registry import register


@dataclass(frozen=True)
class MixGCFParams:
    """Parameters of MixGCF."""

    candidate_num: int = param(64, "M, candidates of a negative", low=1)
    share_max: float = param(
        1.0, "the positive's share is uniform below it; 0: no mixing", low=0, high=1
    )


def mixed(positives: Tensor, negatives: Tensor, share: Tensor) -> Tensor:
    """``a p + (1 - a) n``: positives (B, D), negatives (B, K, D) and a (B, K) give (B, K, D)."""
    share = share.unsqueeze(2)
    return share * positives.unsqueeze(1) + (1 - share) * negatives


@register
class MixGCF(Mixer):
    """The hardest of each layer, mixed with the positive."""

    name = "mixgcf"
    idea = "hardest candidate of each layer, mixed with the positive at random"
    paper = "Huang et al., KDD 2021"
    Params = MixGCFParams

    def forward(self, batch: MixBatch) -> Made:
        """The negatives; see :meth:`Mixer.forward`."""
        vectors, ids = [], []
        for layer, positives in enumerate(batch.positives):
            chosen = batch.hardest(layer)
            share = self.uniform(*chosen.shape, like=positives) * self.params.share_max
            vectors.append(mixed(positives, batch.vectors(layer, chosen), share))
            ids.append(chosen)
        return Made(tuple(vectors), torch.stack(ids, 2))
