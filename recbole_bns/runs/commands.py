"""The commands that worked at a run and when they began, in its folder: ``commands.csv``."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path

COMMANDS = "commands.csv"
"""Columns ``date`` (local time with its offset) and ``command``, "" where Python called."""

_GIVEN: ContextVar[str] = ContextVar("given", default="")


@contextmanager
def given(words: Sequence[str]) -> Iterator[None]:
    """While it lasts, a run that begins or goes on was asked for by these words."""
    token = _GIVEN.set(shlex.join(words))
    try:
        yield
    finally:
        _GIVEN.reset(token)


def note(folder: Path) -> None:
    """Add the command that works at the run in ``folder`` from now on."""
    path = folder / COMMANDS
    first = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if first:
            writer.writerow(("date", "command"))
        now = datetime.now().astimezone()
        writer.writerow((now.isoformat(sep=" ", timespec="seconds"), _GIVEN.get()))
