"""Fused loops for the CPU, compiled by numba; each has a torch twin that gives the same numbers.

``available()`` is False on other devices and where numba is missing or switched off by
``RECBOLE_BNS_NUMBA=0``; callers then take the torch path.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..catalogue import Catalogue

SPREAD_FROM = 100_000
"""Elementary steps (about a nanosecond each) from which a loop is worth several threads."""


@cache
def compiled(name: str = "basics") -> Any:
    """A module of :mod:`.compiled`, or None where numba is missing or switched off.

    Compilation is cached on disk; the first run takes seconds.
    """
    if os.environ.get("RECBOLE_BNS_NUMBA") == "0":
        return None
    try:
        return import_module(f"{__package__}.compiled.{name}")
    except ImportError:
        return None


def available(*tensors: Tensor) -> bool:
    """Whether the compiled loops serve these tensors."""
    return all(t.device.type == "cpu" for t in tensors) and compiled() is not None


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
