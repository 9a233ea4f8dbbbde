"""Whether torch's threads spin while they wait for one another, or sleep: switched at any time.

On free cores spinning gains: the next loop comes within microseconds, and to wake a thread takes
some. Where other processes want the cores it loses by an order of magnitude: the waiting thread
holds the core that the thread it waits for needs.

How long it spins is read from the environment when GNU's OpenMP is loaded, and fixed from then,
but for one rule: while there are more of its threads than cores, each looks 100 times for work and
not 300,000 before it sleeps (``do_spin`` in libgomp's ``config/linux/wait.h``). So a team that
is asleep, one thread larger than the cores, makes all others sleep soon; when it ends they spin.
"""

from __future__ import annotations

import ctypes
import os
import threading

from .engine import _openmp


def can_sleep() -> bool:
    """Whether torch's threads can be switched here: its OpenMP is GNU's."""
    return _openmp() is not None


class Sleep:
    """While it is on, torch's threads sleep soon when they wait. It is off at first."""

    def __init__(self) -> None:
        self._end: threading.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_on(self) -> bool:
        """Whether they sleep."""
        return self._thread is not None

    def switch(self, on: bool) -> None:
        """Let them sleep, or spin; nothing happens where it cannot be switched."""
        if on == self.is_on or not can_sleep():
            return
        if on:
            self._begin()
        else:
            self._stop()

    def _begin(self) -> None:
        self._end, ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(
            target=_keep_team, args=(ready, self._end), name="sleep", daemon=True
        )
        self._thread.start()
        ready.wait()

    def _stop(self) -> None:
        assert self._end is not None
        assert self._thread is not None
        self._end.set()
        self._thread.join()  # OpenMP ends the team of a thread with it
        self._thread = None


def _keep_team(ready: threading.Event, end: threading.Event) -> None:
    """Make a team larger than the cores, which does nothing, and keep it until ``end``."""
    try:
        nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)  # free(NULL) does nothing
        _openmp().GOMP_parallel(nothing, None, (os.cpu_count() or 1) + 1, 0)
    finally:
        ready.set()
    end.wait()
