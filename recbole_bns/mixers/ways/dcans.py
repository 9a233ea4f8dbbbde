"""DCANS: in each layer a mean of the hardest candidate and of the positive amid its user's history.

    p~ = Σ_x v_x x + v_p p,      v_x ∝ exp<q, x>,  v_p ∝ alpha exp<q, p>
    n' = w h + (1 - w) p~,       w = exp<q, h> / (exp<q, h> + alpha exp<q, p~>)

h the candidate of the highest <q, n_m> in the layer, p the positive, x the ``window`` training
items that are drawn of the user, q the pooled user (of a model that puts its layers side by side
the layer's own). The layers are pooled; gradients flow through all weights. They are computed as a
softmax and a sigmoid, which do not overflow. Without history (``window: 0``) p~ is p, and alpha → 0
with one layer is then DNS(M).

Cost of a batch: as MixGCF, and B ``window`` L D numbers more with a gradient.

Where we differ from the authors' program, from which the formula is read: LightGCN there leaves
layer 0 out of its mean, here the model's own layers are pooled as the model does; it has one
negative, here there may be K, whose p~ is one. Published settings of alpha and window: 5.3 and 5
(ali), 0.02 and 8 (gowalla), 2 and 5 (amazon).

Source: X. Wu et al., DCANS, CIKM 2025 (the authors' program; the paper's full title is not quoted
here).
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
class DCANSParams:
    """Parameters of DCANS."""

    candidate_num: int = param(64, "M, candidates of a negative", low=1)
    alpha: float = param(1.0, "pull of the positive; near 0 the hardest stays as it is", above=0)
    window: int = param(5, "training items of the user about the positive; 0: none", low=0)


def amid_history(
    queries: Tensor, positives: Tensor, history: Tensor, there: Tensor, alpha: float
) -> Tensor:
    """p~ of the module's text: ``(B, D)``.

    Args:
        queries: ``(B, D)``.
        positives: ``(B, D)``.
        history: ``(B, W, D)``.
        there: ``(B, W)`` bool, False: no item.
        alpha: the positive's factor.
    """
    items = torch.cat((history, positives.unsqueeze(1)), 1)
    logits = torch.bmm(items, queries.unsqueeze(2)).squeeze(2)
    own = logits[:, -1:] + math.log(alpha)
    logits = torch.cat((logits[:, :-1].masked_fill(~there, float("-inf")), own), 1)
    return torch.bmm(logits.softmax(1).unsqueeze(1), items).squeeze(1)


def mixed_by_relevance(queries: Tensor, positives: Tensor, hardest: Tensor, alpha: float) -> Tensor:
    """n' of the module's text: queries and p~ (B, D) and h (B, K, D) give (B, K, D)."""
    positives = positives.unsqueeze(1)
    gap = torch.bmm(hardest - positives, queries.unsqueeze(2))
    weight = torch.sigmoid(gap - math.log(alpha))
    return weight * hardest + (1 - weight) * positives


@register
class DCANS(Mixer):
    """A mean of the hardest and of the positive amid its user's history."""

    name = "dcans"
    idea = "hardest candidate of each layer and the positive amid the user's history"
    paper = "Wu et al., CIKM 2025"
    Params = DCANSParams

    def forward(self, batch: MixBatch) -> Made:
        """The negatives; see :meth:`Mixer.forward`."""
        alpha = self.params.alpha
        drawn = self.uniform(len(batch.ids), self.params.window, like=batch.users[0].double())
        history = batch.history(drawn)
        vectors, ids = [], []
        for layer, positives in enumerate(batch.positives):
            queries, chosen = batch.query(layer), batch.hardest(layer)
            about = batch.vectors(layer, history)
            augmented = amid_history(queries, positives, about, history > 0, alpha)
            hardest = batch.vectors(layer, chosen)
            vectors.append(mixed_by_relevance(queries, augmented, hardest, alpha))
            ids.append(chosen)
        return Made(tuple(vectors), torch.stack(ids, 2))
