"""What a mixer sees of a batch, and what it makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding

from recbole_bns.sampling import Catalogue, FactorScorer
from recbole_bns.sampling.streams import integers

POOLINGS = ("mean", "concat")
"""How a model puts the vectors of its layers together."""


class Made(NamedTuple):
    """The K negatives of each of B positives, and what they were made of."""

    vectors: tuple[Tensor, ...]
    """``(B, K, D)`` of each layer, with their graph."""
    ids: Tensor
    """``(B, K, L)`` the candidate that each layer's vector was made of."""
    extra: Tensor | None = None
    """``(B,)`` what is added to the loss of each positive; None: nothing."""


def pooled(vectors: Sequence[Tensor], pooling: str) -> Tensor:
    """L vectors ``(..., D)`` as a model compares them: ``(..., D)``, or ``(..., LD)``."""
    if pooling == "concat":
        return torch.cat(tuple(vectors), -1)
    total = vectors[0]
    for each in vectors[1:]:
        total = total + each
    return total / len(vectors)


@dataclass(frozen=True)
class MixBatch:
    """Vectors of a batch in each of L layers, and the candidates of its negatives.

    Layer 0 is the trained table. Gathering is done by layer: B · K · M vectors of candidates, which
    would be most of a step's memory, are never there with a graph.
    """

    users: Sequence[Tensor]
    """``(B, D)`` of each layer, with their graph."""
    positives: Sequence[Tensor]
    """``(B, D)`` of each layer, with their graph."""
    tables: Sequence[Tensor]
    """``(I, D)`` of all items in each layer, with their graph."""
    ids: Tensor
    """``(B, K, M)`` the candidates of each negative."""
    pooling: str = "mean"
    """One of :data:`POOLINGS`."""
    similarity: str = "dot"
    """``dot`` or ``cosine``: by what candidates are compared, as the loss compares."""
    user_ids: Tensor | None = None
    """``(B,)`` whose history :meth:`history` gives; None: nobody has one."""
    catalogue: Catalogue | None = None
    """The training interactions; None as above."""

    @property
    def layer_num(self) -> int:
        """L."""
        return len(self.tables)

    def query(self, layer: int) -> Tensor:
        """``(B, D)`` what the items of a layer are compared with: the pooled user under ``mean``.

        The product with it, averaged over layers, is then the model's score. Under ``concat`` it is
        the layer's own user.
        """
        return self.users[layer] if self.pooling == "concat" else self.pool(self.users)

    def pool(self, vectors: Sequence[Tensor]) -> Tensor:
        """Vectors of the layers as the model compares them; see :func:`pooled`."""
        return pooled(vectors, self.pooling)

    def vectors(self, layer: int, ids: Tensor) -> Tensor:
        """Vectors ``(..., D)`` of items (...) in a layer, with their graph."""
        return embedding(ids, self.tables[layer])

    @torch.no_grad()
    def scores(self, layer: int, queries: Tensor) -> Tensor:
        """``(B, K, M)`` of the candidates in a layer for queries (B, D), without a graph.

        Products; under ``cosine`` divided by the length of the candidate's vector.
        """
        rows = torch.arange(len(queries), device=queries.device)
        scorer = FactorScorer(queries.contiguous(), self.tables[layer].contiguous())
        products = scorer.pairs(rows, self.ids.reshape(len(rows), -1)).view(self.ids.shape)
        return products.div_(self.lengths(layer))

    @torch.no_grad()
    def lengths(self, layer: int) -> Tensor:
        """``(B, K, M)``, or ``()``: by what a candidate's product is divided; 1 under ``dot``."""
        table = self.tables[layer]
        if self.similarity != "cosine":
            return table.new_ones(())
        lengths: Tensor = table.norm(dim=1).clamp_min(torch.finfo(table.dtype).tiny)
        return lengths[self.ids]

    def best(self, scores: Tensor) -> Tensor:
        """``(B, K)`` the candidate with the highest of scores (B, K, M), the first of equals."""
        place = scores.argmax(2, keepdim=True)
        return self.ids.gather(2, place).squeeze(2)

    def hardest(self, layer: int) -> Tensor:
        """``(B, K)`` the candidate of the highest score in a layer: what DNS picks there."""
        return self.best(self.scores(layer, self.query(layer)))

    def history(self, uniforms: Tensor) -> Tensor:
        """``(B, W)`` training items of each user, drawn; 0 for a user without any.

        Different ones where the user has more than W of them, else with replacement. The row's
        positive may be among them.

        Args:
            uniforms: ``(B, W)`` in [0, 1).
        """
        if self.catalogue is None or self.user_ids is None:
            return torch.zeros_like(uniforms, dtype=torch.long)
        first, end = (self.catalogue.indptr[self.user_ids + shift] for shift in (0, 1))
        count = end - first
        place = first.unsqueeze(1) + places(count, uniforms)
        place = place.clamp(max=max(len(self.catalogue.positives) - 1, 0))
        return self.catalogue.positives[place].long() * (count > 0).unsqueeze(1)


def places(count: Tensor, uniforms: Tensor) -> Tensor:
    """W numbers below ``count`` (B,) of each row, from uniforms (B, W): (B, W).

    Different ones where there are more than W: each subset is as likely as another (R. Floyd's
    way, J. Bentley, Programming Pearls: a number that was drawn before gives way to the next).
    """
    width = uniforms.shape[1]
    several = count > width
    chosen = torch.full_like(uniforms, -1, dtype=torch.long)
    for number in range(width):
        bound = torch.where(several, count - width + number + 1, count)
        drawn = integers(bound, uniforms[:, number])
        again = several & (chosen == drawn.unsqueeze(1)).any(1)
        chosen[:, number] = torch.where(again, bound - 1, drawn)
    return chosen
