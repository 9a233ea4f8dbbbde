"""One process at a time in a folder, where the file system can tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UsageError

NAME = ".lock"
"""The file in a folder that is locked; it is empty and stays."""


@contextmanager
def alone(folder: Path, sentence: str) -> Iterator[None]:
    """Hold a folder's lock; without one where the file system has none.

    Args:
        folder: that no second process may work in; it is there.
        sentence: for whoever comes second.

    Raises:
        UsageError: another process holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(sentence) from None
    except (OSError, NotImplementedError):  # a file system without locks
        pass
    try:
        yield
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether a process is :func:`alone` in this folder."""
    from filelock import FileLock, Timeout

    if not (folder / NAME).is_file():
        return False
    try:
        with FileLock(folder / NAME).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):  # a file system without locks
        return False
