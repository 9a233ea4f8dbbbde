"""One process at a time in a folder, where the system can tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from .errors import UsageError


@contextmanager
def alone(path: Path, sentence: str) -> Iterator[None]:
    """Hold a file's lock, the file made where it is missing.

    Args:
        path: of the file; it must not be replaced meanwhile, only written to.
        sentence: for whoever comes second.

    Raises:
        UsageError: another process holds it.
    """
    with path.open("a", encoding="utf-8") as file:
        if not _lock(file):
            raise UsageError(sentence)
        yield


def is_held(path: Path) -> bool:
    """Whether another process is :func:`alone` with this file."""
    if not path.is_file():
        return False
    with path.open("a", encoding="utf-8") as file:
        return not _lock(file)


def _lock(file: IO[Any]) -> bool:
    """Lock an open file until it is closed; whether nobody else has."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
