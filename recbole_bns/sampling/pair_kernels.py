"""The fused loop over an item's neighbours; see :mod:`.kernels` and :mod:`.pair_priors`."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from . import kernels
from .catalogue import Catalogue


@cache
def _compiled() -> Any:
    from . import _numba_pairs

    return _numba_pairs


def neighbour_values(
    catalogue: Catalogue, ids: Tensor, weights: Tensor, users: Tensor, items: Tensor
) -> Tensor:
    """Sums of the weights of those neighbours of each item that the user has.

    Args:
        catalogue: the training interactions.
        ids: ``(I, k)`` int32.
        weights: ``(I, k)`` float32.
        users: ``(B,)``.
        items: ``(B, M)``.

    Returns:
        ``(B, M)`` float32.
    """
    out = torch.empty(items.shape, dtype=torch.float32)
    shared = *kernels.membership(catalogue), ids.numpy(), weights.numpy()
    each = users.numpy(), items.numpy(), out.numpy()
    kernels.spread(_compiled().neighbour_values, shared, each, 2 * items.numel() * ids.shape[1])
    return out
