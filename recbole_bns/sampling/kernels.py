"""Fused loops for the CPU, compiled by numba; each has a torch twin that gives the same numbers.

``available()`` is False on other devices and where numba is missing or switched off by
``RECBOLE_BNS_NUMBA=0``; callers then take the torch path.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from torch import Tensor

SPREAD_FROM = 256
"""Rows from which a loop is worth several threads."""


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


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads of this process: a forked child inherits the object, but not its threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix="recbole_bns")


def _spread(loop: Callable[..., None], shared: tuple[Any, ...], rows: tuple[Any, ...]) -> None:
    """Run ``loop(*shared, *rows)`` with the rows split over as many threads as torch uses.

    Plain threads that sleep between calls: numba's own would spin on the cores that torch needs.
    """
    size, threads = len(rows[0]), torch.get_num_threads()
    if threads < 2 or size < SPREAD_FROM:
        loop(*shared, *rows)
        return
    step = -(-size // threads)
    parts = [tuple(row[i : i + step] for row in rows) for i in range(0, size, step)]
    waiting = [_pool(threads, os.getpid()).submit(loop, *shared, *part) for part in parts[1:]]
    loop(*shared, *parts[0])
    for future in waiting:
        future.result()


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
    shared = scores.contiguous().numpy(), indptr.numpy(), positives.numpy()
    each = rows.numpy(), users.numpy(), values.contiguous().numpy(), out.numpy()
    _spread(_compiled().count_negatives_not_above, shared, each)
    return out


def positives_before(keys: Tensor, users: Tensor, indptr: Tensor, free_before: Tensor) -> Tensor:
    """How many of a user's positives lie before each free mass, by a search among that user's own.

    Args:
        keys: ``(B, k)`` int64, mass plus ``user * stride``.
        users: ``(B,)``.
        indptr: ``(U + 1,)`` of the catalogue.
        free_before: ``(nnz,)`` of the proposal.

    Returns:
        ``(B, k)`` int64.
    """
    out = torch.empty_like(keys)
    shared = indptr.numpy(), free_before.numpy()
    _spread(_compiled().positives_before, shared, (keys.numpy(), users.numpy(), out.numpy()))
    return out


def pairs(user_vectors: Tensor, item_vectors: Tensor, users: Tensor, items: Tensor) -> Tensor:
    """Dot products ``(B, M)`` without gathering the vectors first.

    Args:
        user_vectors: ``(U, D)`` float32.
        item_vectors: ``(I, D)`` float32.
        users: ``(B,)``.
        items: ``(B, M)``.
    """
    out = torch.empty(items.shape, dtype=torch.float32)
    shared = user_vectors.numpy(), item_vectors.numpy()
    _spread(_compiled().pairs, shared, (users.numpy(), items.numpy(), out.numpy()))
    return out
