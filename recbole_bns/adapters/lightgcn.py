"""LightGCN that propagates once a step, with a fast product.

The sampler needs the propagated vectors and the loss needs them again, from the same weights. So
``forward()`` keeps its output, with its graph, until the weights change or the loss has used it.
The adjacency is symmetric, so one matrix in compressed rows serves forward and backward, where
RecBole multiplies with an uncoalesced list of coordinates. Loss and gradients are those of
RecBole's LightGCN up to the rounding of sums in another order. A mixer is given the layers too,
which are kept while they are summed once somebody has asked for them.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import torch
from recbole.model.general_recommender import LightGCN
from torch import Tensor

from .vectors import Layers, layers


class SymmetricProduct(torch.autograd.Function):
    """``A @ x`` for a symmetric sparse A; the gradient of x is ``A @ gradient``.

    With mixed precision too it is one of float32: the CPU has no other for rows in compressed
    form, and the sampler, which is not under it, would keep other vectors than the loss.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, x: Tensor) -> Tensor:
        """A (N, N) in compressed rows and x (N, D) give (N, D)."""
        ctx.matrix = matrix
        with torch.autocast(x.device.type, enabled=False):
            return matrix @ x.to(matrix.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        """No gradient for A; ``A @ gradient`` for x."""
        return None, ctx.matrix @ gradient.contiguous()


class Propagated(NamedTuple):
    """What one propagation gives."""

    users: Tensor
    """``(U, D)``."""
    items: Tensor
    """``(I, D)``."""
    layers: tuple[Tensor, ...]
    """``(U + I, D)`` each, from layer 0 on; none where nobody has asked for them."""


class SharedLightGCN(LightGCN):
    """RecBole's LightGCN; see the module's text."""

    _kept: tuple[tuple[int, ...], Propagated] | None = None
    _rows: Tensor | None = None
    _with_layers = False

    def forward(self) -> tuple[Tensor, Tensor]:
        """Propagated vectors of users (U, D) and items (I, D)."""
        found = self._of_this_step()
        return found.users, found.items

    def layer_vectors(self) -> Layers:
        """Those that :meth:`forward` gives the mean of, layer by layer."""
        if not self._with_layers:
            self._with_layers = True
            self.forget_kept()
        parts = [
            torch.split(layer, [self.n_users, self.n_items])
            for layer in self._of_this_step().layers
        ]
        users, items = zip(*parts, strict=True)
        return Layers(users, items)

    def _of_this_step(self) -> Propagated:
        if not self.training:
            return self._propagate()
        if self._kept is None or self._kept[0] != self._versions():
            with torch.enable_grad():
                self._kept = (self._versions(), self._propagate())
        return self._kept[1]

    def calculate_loss(self, interaction: Any) -> Tensor:
        """RecBole's loss on the kept vectors, which are then forgotten with their graph."""
        try:
            return super().calculate_loss(interaction)
        finally:
            self.forget_kept()

    def forget_kept(self) -> None:
        """Let go of the kept vectors and their graph, once a loss has used them."""
        self._kept = None

    def _propagate(self) -> Propagated:
        layer = self.get_ego_embeddings()
        if self._rows is None or self._rows.device != layer.device:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sparse CSR tensor support", UserWarning)
                self._rows = self.norm_adj_matrix.to(layer.device).coalesce().to_sparse_csr()
        total, kept = layer, [layer]
        for _ in range(self.n_layers):
            layer = SymmetricProduct.apply(self._rows, layer)
            total = total + layer
            if self._with_layers:
                kept.append(layer)
        mean = total / (self.n_layers + 1)
        users, items = torch.split(mean, [self.n_users, self.n_items])
        return Propagated(users, items, tuple(kept) if self._with_layers else ())

    def _versions(self) -> tuple[int, ...]:
        """Changes whenever the weights do: an optimiser step, a checkpoint, another tensor."""
        weights = self.user_embedding.weight, self.item_embedding.weight
        return tuple(number for w in weights for number in (w._version, w.data_ptr()))


@layers.register
def _(model: SharedLightGCN) -> Layers:
    return model.layer_vectors()
