"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: str | Path, *, previous: Path | None = None) -> Iterator[BinaryIO]:
    """A new file to write, flushed and renamed over ``path`` at the end.

    Whatever ends the writing early leaves what was there before, and no trace of the new one.
    With ``previous`` the file that was there is kept under that name.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            _keep(path, previous)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _keep(path: Path, previous: Path) -> None:
    """Give a file a second name, so that it is never without one; else rename it."""
    second = previous.with_name(f".{previous.name}.{os.getpid()}.tmp")
    try:
        os.link(path, second)
    except OSError:  # no links on this file system
        path.replace(previous)
    else:
        second.replace(previous)
