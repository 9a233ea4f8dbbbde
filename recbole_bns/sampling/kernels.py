"""Fused loops for the CPU, compiled by numba; each has a torch twin that gives the same numbers.

``available()`` is False on other devices and where numba is missing or switched off by
``RECBOLE_BNS_NUMBA=0``; callers then take the torch path.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import torch
from torch import Tensor


@cache
def _compiled() -> Any:
    """The compiled module, or None. Compilation is cached on disk; the first run takes seconds."""
    if os.environ.get("RECBOLE_BNS_NUMBA") == "0":
        return None
    try:
        from . import _numba
    except ImportError:
        return None
    return _numba


def available(*tensors: Tensor) -> bool:
    """Whether the compiled loops serve these tensors."""
    return all(t.device.type == "cpu" for t in tensors) and _compiled() is not None


def count_negatives_not_above(
    scores: Tensor, rows: Tensor, users: Tensor, indptr: Tensor, positives: Tensor, values: Tensor
) -> Tensor:
    """Number of a user's negatives that score ``<= value``: one pass, nothing allocated.

    Args:
        scores: ``(S, I)`` float32, one row a distinct user.
        rows: ``(B,)`` row of each user in ``scores``.
        users: ``(B,)``.
        indptr: ``(U + 1,)`` of the catalogue.
        positives: ``(nnz,)`` of the catalogue.
        values: ``(B, K)`` float32.

    Returns:
        ``(B, K)`` int64.
    """
    out = torch.empty(values.shape, dtype=torch.int64)
    _compiled().count_negatives_not_above(
        scores.contiguous().numpy(),
        rows.numpy(),
        users.numpy(),
        indptr.numpy(),
        positives.numpy(),
        values.contiguous().numpy(),
        out.numpy(),
    )
    return out
