"""DENS: gates part the relevant in a vector from the rest; a negative should be alike in the rest.

    p_r = p ⊙ σ(W_i p + W_u u),   n_r = n ⊙ σ(W_n n + W_p p_r)      (the W with biases)
    m* = argmax_m <u, (1 - a_e) n_m - n_m,r>,    the negative: n_m* of each layer, without a gate

u, p and n in one layer; the layers are pooled. a_e = min(1, e / ``warmup``) in epoch e (from 0):
at first the hard ones, later those that have little of what matters for the user in them. The four
maps are shared by the layers, and learn by a term that is added to each positive's loss, on pooled
vectors with the pooled user, with p_i = p - p_r and n_i = n - n_r the rest:

    gamma / 4 · (l(p_i, p_r) + l(n_r, n_i) + l(n_r, p_r) + l(p_i, n_i))
    l(x, y) = log(1 + Σ exp(<u, x> - <u, y>))

l sums over the K negatives where there is one in it. ``selection: constant`` has a_e =
``alpha`` in every epoch: what AHNS's program calls DENS (with gamma 0.5). With all maps 0 and
e = 0 the choice is that of DNS(M) in each layer by the layer's own user.

Cost of a batch: B K M L D numbers of the candidates without a graph, in parts.

Where we differ from the authors' program: that picks its epoch by the test set.

Source: R. Lai et al., Disentangled Negative Sampling for Collaborative Filtering, WSDM 2023.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from recbole_bns.common.params import param

from ..base import Mixer
from ..batch import Made, MixBatch
from ..registry import register

AT_ONCE = 1 << 22
"""Numbers of candidates' vectors that are gated at once."""


@dataclass(frozen=True)
class DENSParams:
    """Parameters of DENS."""

    candidate_num: int = param(6, "M, candidates of a negative", low=1)
    gamma: float = param(0.3, "weight of the term that the gates learn by; 0: none", low=0)
    selection: str = param("warmup", "how a_e moves with the epoch", choices=("warmup", "constant"))
    warmup: int = param(100, "epochs until a_e is 1", low=1, when={"selection": "warmup"})
    alpha: float = param(1.0, "a_e of all epochs", low=0, high=1, when={"selection": "constant"})


def pairwise(lower: Tensor, upper: Tensor) -> Tensor:
    """``log(1 + Σ_k exp(x_k - y_k))``: (B, 1) or (B, K) each give (B,)."""
    return softplus((lower - upper).logsumexp(1))


@register
class DENS(Mixer):
    """A candidate that is hard in what does not matter, told by learned gates."""

    name = "dens"
    idea = "candidate of each layer that is hard by its irrelevant part, as learned gates tell it"
    paper = "Lai et al., WSDM 2023"
    Params = DENSParams

    def __init__(self, dim: int, params: DENSParams | None = None) -> None:
        super().__init__(dim, params)
        self.of_user, self.of_positive = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.of_negative, self.of_relevant = nn.Linear(dim, dim), nn.Linear(dim, dim)

    @property
    def progress(self) -> float:
        """a_e of the module's text."""
        if self.params.selection == "constant":
            return float(self.params.alpha)
        return min(1.0, self.epoch / int(self.params.warmup))

    def relevant(self, users: Tensor, positives: Tensor) -> Tensor:
        """p_r ``(B, D)`` of users and positives (B, D)."""
        return positives * torch.sigmoid(self.of_positive(positives) + self.of_user(users))

    def gates(self, negatives: Tensor, relevant: Tensor) -> Tensor:
        """σ(W_n n + W_p p_r) ``(B, ..., D)`` of negatives (B, ..., D) and p_r (B, D)."""
        own = self.of_relevant(relevant)
        own = own.view(len(own), *([1] * (negatives.dim() - 2)), -1)
        return torch.sigmoid(self.of_negative(negatives) + own)

    @torch.no_grad()
    def choose(self, batch: MixBatch, layer: int, relevant: Tensor) -> Tensor:
        """m* ``(B, K)`` of a layer, whose p_r are (B, D)."""
        users, table, parts = batch.users[layer], batch.tables[layer], []
        for rows in self._parts(batch.ids):
            candidates = table[batch.ids[rows]]  # (b, K, M, D)
            kept = (1 - self.progress) - self.gates(candidates, relevant[rows])
            parts.append((candidates * kept * users[rows, None, None]).sum(-1))
        return batch.best(torch.cat(parts) / batch.lengths(layer))

    def _parts(self, ids: Tensor) -> Iterator[slice]:
        size = max(AT_ONCE // (ids[0].numel() * self.dim), 1)
        return (slice(start, start + size) for start in range(0, len(ids), size))

    def forward(self, batch: MixBatch) -> Made:
        """The negatives; see :meth:`Mixer.forward`."""
        relevant = [self.relevant(u, p) for u, p in zip(batch.users, batch.positives, strict=True)]
        ids = [self.choose(batch, layer, each) for layer, each in enumerate(relevant)]
        vectors = [batch.vectors(layer, each) for layer, each in enumerate(ids)]
        extra = self.extra(batch, relevant, vectors) if self.params.gamma else None
        return Made(tuple(vectors), torch.stack(ids, 2), extra)

    def extra(self, batch: MixBatch, relevant: list[Tensor], vectors: list[Tensor]) -> Tensor:
        """The term ``(B,)`` that the gates learn by.

        Args:
            batch: of the step.
            relevant: p_r ``(B, D)`` of each layer.
            vectors: the negatives ``(B, K, D)`` of each layer.
        """
        gated = [n * self.gates(n, each) for n, each in zip(vectors, relevant, strict=True)]
        users = batch.pool(batch.users).unsqueeze(2)
        pos = torch.bmm(batch.pool(batch.positives).unsqueeze(1), users).squeeze(2)  # (B, 1)
        pos_r = torch.bmm(batch.pool(relevant).unsqueeze(1), users).squeeze(2)
        neg, neg_r = (torch.bmm(batch.pool(each), users).squeeze(2) for each in (vectors, gated))
        pos_i, neg_i = pos - pos_r, neg - neg_r
        terms = pairwise(pos_i, pos_r) + pairwise(neg_r, neg_i)
        terms = terms + pairwise(neg_r, pos_r) + pairwise(pos_i, neg_i)
        return terms * (float(self.params.gamma) / 4)
