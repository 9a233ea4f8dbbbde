"""Colours and line styles that colour-blind readers, black-and-white print and dark themes keep."""

from __future__ import annotations

from typing import NamedTuple

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8A8A")
"""Okabe and Ito's palette without black and yellow, which one of the themes would swallow."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "cross")
MARKS = 12
"""Markers on a curve at the most."""


class Style(NamedTuple):
    """How a series is drawn; no two of the first 210 are the same."""

    colour: str
    dash: str
    marker: str


def style_of(place: int) -> Style:
    """Style of the series at ``place`` (0-based) of the legend."""
    return Style(
        COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)], MARKERS[place % len(MARKERS)]
    )


def every(points: int) -> int:
    """One point in so many gets a marker."""
    return max(1, -(-points // MARKS))
