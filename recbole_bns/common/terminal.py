"""Text for a screen: how wide it is, lines that fit it, tables in blocks."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, TextIO

WIDEST = 100
"""Columns beyond which text is not spread out, however wide the screen."""
ELSEWHERE = 80
"""Columns where there is no screen to ask."""
GAP = "  "
"""Between the columns of a table."""


def width_of(stream: TextIO | None = None) -> int:
    """Columns of the screen that a stream goes to; the variable ``COLUMNS`` has the first word.

    Args:
        stream: standard output by default. One that is no screen has :data:`ELSEWHERE`.
    """
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    try:
        found = os.get_terminal_size((stream or sys.stdout).fileno()).columns
    except (OSError, ValueError, AttributeError):  # no file, a closed one, or no screen
        return ELSEWHERE
    return found or ELSEWHERE


def listing_width() -> int:
    """Columns for a list of one line each: the screen's, or without one as many as the lines."""
    return shutil.get_terminal_size((10_000, 24)).columns


def cut(text: str, width: int) -> str:
    """A text that fits, its end left out where it must be: whole words where they are short."""
    if len(text) <= width:
        return text
    kept = text[: max(width - 1, 0)]
    words = kept.rpartition(" ")[0]
    if text[len(kept)] != " " and len(words) > width // 2:
        kept = words
    return kept.rstrip(" ,;:(") + "…"[:width]


def fitting(forms: Sequence[str], width: int) -> str:
    """The first form that fits; the last one is cut where none does."""
    return next((form for form in forms if len(form) <= width), cut(forms[-1], width))


def wrapped(text: str, width: int, *, first: str = "", later: str = "  ") -> list[str]:
    """A text in lines of ``width`` columns at the most; what has no space in it is broken too.

    Args:
        text: one paragraph.
        width: of the lines.
        first: before the first line.
        later: before all others.
    """
    return textwrap.wrap(
        text,
        max(width, len(later) + 8),
        initial_indent=first,
        subsequent_indent=later,
        break_on_hyphens=False,
    )


def headed(text: str, width: int) -> str:
    """A text whose first line is wrapped; what comes after it, tables and paths, stays as it is."""
    first, *others = text.split("\n")
    return "\n".join([*wrapped(first, width), *others])


def table(rows: Sequence[Sequence[Any]], heads: Sequence[str]) -> list[str]:
    """Lines of a table; the first column begins at the left, all others end at the right."""
    cells = [[str(cell) for cell in row] for row in (heads, *rows)]
    widths = _widths(cells)
    lines = [_line(row, widths) for row in cells]
    return [lines[0], GAP.join("-" * width for width in widths), *lines[1:]]


def in_blocks(rows: Sequence[Sequence[Any]], heads: Sequence[str], width: int) -> list[str]:
    """A table whose columns are spread over blocks that fit, each with the first column.

    A column that is too wide by itself is cut.

    Args:
        rows: of cells.
        heads: of the columns.
        width: of the lines.
    """
    cells = [[str(cell) for cell in row] for row in (heads, *rows)]
    first = min(max(len(row[0]) for row in cells), width // 2)
    most = width - first - len(GAP)
    cells = [[cut(row[0], first), *(cut(cell, most) for cell in row[1:])] for row in cells]
    lines: list[str] = []
    for block in _blocks(_widths(cells), width):
        picked = [[row[place] for place in (0, *block)] for row in cells]
        lines += [*([""] if lines else []), *table(picked[1:], picked[0])]
    return lines


def _blocks(widths: Sequence[int], width: int) -> list[list[int]]:
    """Places of the columns, without the first, of each block."""
    blocks: list[list[int]] = [[]]
    used = widths[0]
    for place, own in enumerate(widths[1:], 1):
        if blocks[-1] and used + len(GAP) + own > width:
            blocks.append([])
            used = widths[0]
        blocks[-1].append(place)
        used += len(GAP) + own
    return blocks


def _widths(cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*cells, strict=True)]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    head, *others = (
        cell.rjust(width) if place else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return GAP.join([head, *others]).rstrip()
