"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


def beside(folder: Path, ending: str) -> Path:
    """The file of a run that lies beside its folder; the name may hold dots of its own."""
    return folder.with_name(folder.name + ending)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON in a file that appears whole or not at all."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    with whole_file(path) as file:
        file.write(text.encode())


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
