"""Fused loops for the CPU, compiled by numba; each has a torch twin that gives the same numbers.

``available()`` is False on other devices and where numba is missing or switched off by
``RECBOLE_BNS_NUMBA=0``; callers then take the torch path.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .catalogue import Catalogue

SPREAD_FROM = 100_000
"""Elementary steps (about a nanosecond each) from which a loop is worth several threads."""


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
def _team() -> Any:
    """The OpenMP library that torch has loaded, or None where it is not GNU's."""
    found = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))
    if len(found) != 1:
        return None
    try:
        library = ctypes.CDLL(str(found[0]))
        return library if library.omp_get_max_threads() == torch.get_num_threads() else None
    except (OSError, AttributeError):
        return None


_BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_PROCESS = os.getpid()


def spread(
    loop: Callable[..., None], shared: tuple[Any, ...], rows: tuple[Any, ...], steps: int
) -> None:
    """Run ``loop(*shared, *rows)`` with the rows split over torch's own OpenMP threads.

    Those are awake between two operations of torch. Threads of our own, numba's or Python's, would
    fight with them for the cores. Waking them is worth it from :data:`SPREAD_FROM` ``steps`` on; a
    forked child has lost them, and where torch has another library one thread does the work.
    """
    size, threads = len(rows[0]), torch.get_num_threads()
    alone = threads < 2 or size < threads or steps < SPREAD_FROM or os.getpid() != _PROCESS
    team = None if alone else _team()
    if team is None:
        loop(*shared, *rows)
        return
    step = -(-size // threads)
    parts = [tuple(row[i : i + step] for row in rows) for i in range(0, size, step)]
    errors: list[BaseException] = []
    done: list[int] = []

    def body(_: Any) -> None:
        try:
            first, apart = team.omp_get_thread_num(), team.omp_get_num_threads()
            for number in range(first, len(parts), apart):
                loop(*shared, *parts[number])
                done.append(number)
        except BaseException as error:  # ctypes would swallow it, Ctrl-C too
            errors.append(error)

    team.GOMP_parallel(_BODY(body), None, threads, 0)
    if errors:
        raise errors[0]
    if len(done) < len(parts):  # swallowed all the same: a signal came before the try
        raise KeyboardInterrupt


def membership(catalogue: Catalogue) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the loops look a pair up in: the bitmap (empty where there is none), or the lists."""
    table = catalogue.bitmap
    bitmap = np.empty((0, 0), dtype=np.uint8) if table is None else table.numpy()
    return bitmap, catalogue.indptr.numpy(), catalogue.positives.numpy()


def draw(
    catalogue: Catalogue, key: Tensor, users: Tensor, index: Tensor, k: int, distinct: bool
) -> Tensor:
    """Uniform negatives; see :meth:`.proposals.Proposal.draw`.

    Args:
        catalogue: the training interactions.
        key: of :mod:`.streams`.
        users: ``(B,)``.
        index: ``(B,)`` row of random numbers that each user takes.
        k: draws a user.
        distinct: without replacement.

    Returns:
        ``(B, k)`` item ids.
    """
    out = torch.empty((len(users), k), dtype=torch.long)
    bitmap, indptr, positives = membership(catalogue)
    shared = indptr, positives, catalogue.item_num, int(key)
    each = users.numpy(), index.numpy(), out.numpy()
    if distinct:
        spread(_compiled().draw_distinct, shared, each, len(users) * k * (50 + k // 8))
    else:
        spread(_compiled().draw, (bitmap, *shared), each, 30 * len(users) * k)
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
    each = keys.numpy(), users.numpy(), out.numpy()
    spread(_compiled().positives_before, shared, each, 50 * keys.numel())
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
    each = users.numpy(), items.numpy(), out.numpy()
    spread(_compiled().pairs, shared, each, items.numel() * user_vectors.shape[1] // 8)
    return out


def choose_nearest(
    vectors: tuple[Tensor, Tensor], users: Tensor, targets: Tensor, candidates: Tensor
) -> Tensor:
    """The candidate whose score is nearest to a target, or the highest where all lie below it.

    Args:
        vectors: ``(U, D)`` and ``(I, D)`` float32.
        users: ``(B,)``.
        targets: ``(B,)`` float32; NaN counts as infinite.
        candidates: ``(B, M)`` item ids; 0 and scores that are not finite are left out.

    Returns:
        ``(B,)`` item ids: the first of equals, the first of all where none can be used.
    """
    out = torch.empty_like(users)
    shared = vectors[0].numpy(), vectors[1].numpy()
    each = users.numpy(), targets.numpy(), candidates.numpy(), out.numpy()
    steps = candidates.numel() * vectors[0].shape[1] // 8
    spread(_compiled().choose_nearest, shared, each, steps)
    return out


def group(users: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which rows belong to the same user.

    Args:
        users: ``(B,)``.

    Returns:
        ``(S,)`` different users, ``(B,)`` rows with those of a user together, and ``(S + 1,)``
        where in them each user's begin.
    """
    different, order = torch.empty_like(users), torch.empty_like(users)
    starts = torch.zeros(len(users) + 1, dtype=torch.long)
    found = _compiled().group(users.numpy(), different.numpy(), order.numpy(), starts.numpy())
    return different[:found], order, starts[: found + 1]
