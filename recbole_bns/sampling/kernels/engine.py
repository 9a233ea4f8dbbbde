"""Fused loops for the CPU, compiled by numba; each has a torch twin that gives the same numbers.

``available()`` is False on other devices and where numba is missing or switched off by
``RECBOLE_BNS_NUMBA=0``; callers then take the torch path.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..catalogue import Catalogue
from . import cache

SPREAD_FROM = 30_000
"""Elementary steps (about a nanosecond each) from which a loop is worth several threads."""


@functools.cache
def compiled(name: str = "basics") -> Any:
    """A module of :mod:`.compiled`, or None where numba is missing or switched off.

    Compilation is cached on disk (:mod:`.cache`); a machine's first run takes seconds.
    """
    if os.environ.get("RECBOLE_BNS_NUMBA") == "0":
        return None
    try:
        with cache.kept():
            module = import_module(f"{__package__}.compiled.{name}")
    except (ImportError, RuntimeError):  # the latter: numba found no folder for machine code
        return None
    cache.keep(module, cache.folder())
    return module


def available(*tensors: Tensor) -> bool:
    """Whether the compiled loops serve these tensors."""
    return all(t.device.type == "cpu" for t in tensors) and compiled() is not None


@functools.cache
def _openmp() -> Any:
    """The OpenMP library whose threads torch uses, or None where it is not GNU's.

    torch ships its own copy, which is loaded already: opening the same file gives the library that
    torch calls, and with it the same threads. Another one, of the system or of a conda
    environment, would start threads of its own. Where torch was built with LLVM's or Intel's, or
    where what was found says another number of threads than torch does, it is not that library.
    """
    files = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))
    if len(files) != 1:
        return None
    try:
        library = ctypes.CDLL(str(files[0]))
        return library if library.omp_get_max_threads() == torch.get_num_threads() else None
    except (OSError, AttributeError):
        return None


_PROCESS = os.getpid()
"""Where the threads live: a forked child has the library, but none of its threads."""


def spread(
    loop: Callable[..., None], shared: tuple[Any, ...], rows: tuple[Any, ...], steps: int
) -> None:
    """Run ``loop(*shared, *rows)`` with the rows split over torch's own OpenMP threads.

    Why those: a step of training alternates between torch's operations and these loops. After an
    operation torch's threads spin for a while, waiting for the next one. Threads of our own,
    numba's or Python's, would find the cores taken by them, and would have to be woken each time.

    How: ``GOMP_parallel(body, data, threads, flags)`` is what a compiler makes of ``#pragma omp
    parallel``: it calls ``body`` on every thread of the team and returns when all are done. The
    body is compiled too (:mod:`.compiled.bodies`), so that no thread waits for the interpreter.

    One thread does the work where the loop is shorter than :data:`SPREAD_FROM` ``steps``, for which
    waking the others costs more, in a forked child, where torch has another library, and for arrays
    that are not one block of memory.

    Raises:
        MemoryError: a loop found none.
    """
    arguments = (*shared, *rows)
    size, threads = len(rows[0]), torch.get_num_threads()
    alone = threads < 2 or size < threads or steps < SPREAD_FROM or os.getpid() != _PROCESS
    openmp = None if alone else _openmp()
    kinds = () if openmp is None else tuple(map(compiled("bodies").kind_of, arguments))
    if openmp is None or None in kinds:
        loop(*arguments)
        return
    table = compiled("bodies").table(arguments, threads)
    openmp.GOMP_parallel(
        ctypes.c_void_p(_body(loop, kinds, len(rows)).address),
        ctypes.c_void_p(table.ctypes.data),
        threads,
        0,
    )
    if not table[-threads:].all():
        raise MemoryError("a compiled loop found no memory")


@functools.cache
def _body(loop: Callable[..., None], kinds: tuple[Any, ...], row_num: int) -> Any:
    with cache.kept(), cache.alone("bodies.lock"):
        return compiled("bodies").body(loop, kinds, row_num)


def membership(catalogue: Catalogue) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the loops look a pair up in: the bitmap (empty where there is none), or the lists."""
    table = catalogue.bitmap
    bitmap = np.empty((0, 0), dtype=np.uint8) if table is None else table.numpy()
    return bitmap, catalogue.indptr.numpy(), catalogue.positives.numpy()
