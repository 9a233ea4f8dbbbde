"""Signals that ask a process to end: Ctrl-C and SIGTERM, which are treated alike."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_asked = False


@contextmanager
def terminated_is_interrupted() -> Iterator[None]:
    """SIGTERM ends as Ctrl-C does, with ``KeyboardInterrupt``; see also :func:`check`.

    Where nobody can catch it, Python does not print that it was ignored: it is not.
    """
    global _asked
    _asked = False

    def interrupt(number: int, frame: Any) -> None:
        global _asked
        _asked = True
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # no signals to be had
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before, hook = [signal.signal(kind, interrupt) for kind in kinds], sys.unraisablehook

    def unraisable(found: Any) -> None:
        if not (_asked and issubclass(found.exc_type, KeyboardInterrupt)):
            hook(found)

    sys.unraisablehook = unraisable
    try:
        yield
    finally:
        _asked = False
        sys.unraisablehook = hook
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


def check() -> None:
    """Raise what was raised where nobody could catch it (a finaliser, a callback of C).

    Raises:
        KeyboardInterrupt: the process was asked to end.
    """
    if _asked:
        raise KeyboardInterrupt
