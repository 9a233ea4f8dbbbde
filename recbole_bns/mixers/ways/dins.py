"""DINS: in each layer, dimension by dimension, a mean of the hardest candidate and the positive.

    n'_d = w_d h_d + (1 - w_d) p_d,    w_d = exp(q_d h_d) / (exp(q_d h_d) + alpha exp(q_d p_d))

h the candidate of the highest <q, n_m> in the layer, p the positive, q the pooled user (of a model
that puts its layers side by side the layer's own), d a dimension. The layers are pooled. w is
computed as σ(q_d h_d - q_d p_d - log alpha), which does not overflow; gradients flow through it.
alpha → 0 with one layer is DNS(M).

Cost of a batch: as MixGCF.

Where we differ from the authors' program, from which the formula is read: LightGCN there leaves
layer 0 out of its mean, here the model's own layers are pooled as the model does. The program's
default of alpha is 0.5; the paper's settings by data set are not known to us.

Source: X. Wu et al., Dimension Independent Mixup for Hard Negative Sample in Collaborative
Filtering, CIKM 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_bns.common.params import param

from ..base import Mixer
from ..batch import Made, MixBatch
from ..registry import register


@dataclass(frozen=True)
class DINSParams:
    """Parameters of DINS."""

    candidate_num: int = param(64, "M, candidates of a negative", low=1)
    alpha: float = param(0.5, "pull of the positive; near 0 the hardest stays as it is", above=0)


def mixed_by_dimension(queries: Tensor, positives: Tensor, hardest: Tensor, alpha: float) -> Tensor:
    """Queries and positives (B, D) and hardest candidates (B, K, D) give (B, K, D)."""
    queries, positives = queries.unsqueeze(1), positives.unsqueeze(1)
    weight = torch.sigmoid(queries * (hardest - positives) - math.log(alpha))
    return weight * hardest + (1 - weight) * positives


@register
class DINS(Mixer):
    """A mean of the hardest and the positive with a weight for each dimension."""

    name = "dins"
    idea = "hardest candidate of each layer and the positive, weighed by dimension"
    paper = "Wu et al., CIKM 2023"
    Params = DINSParams

    def forward(self, batch: MixBatch) -> Made:
        """The negatives; see :meth:`Mixer.forward`."""
        vectors, ids = [], []
        for layer, positives in enumerate(batch.positives):
            chosen = batch.hardest(layer)
            hardest, queries = batch.vectors(layer, chosen), batch.query(layer)
            vectors.append(mixed_by_dimension(queries, positives, hardest, self.params.alpha))
            ids.append(chosen)
        return Made(tuple(vectors), torch.stack(ids, 2))
