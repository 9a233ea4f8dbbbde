"""A chart before it is drawn: a table, what its axes mean, how it is read and how it looks.

:mod:`.figures` makes charts, :mod:`.in_browser` and :mod:`.as_pictures` draw them, in the same
colours, dashes and markers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pandas as pd


@dataclass(frozen=True)
class Chart:
    """A figure before it is drawn.

    Attributes:
        name: of its file.
        title: what it shows.
        sentence: how to read it.
        table: columns panel, series, x and y; of a surface also z; of lines with a band around
            them also low and high.
        x: name and unit of the horizontal axis; of all panels, or a panel's own.
        y: likewise of the vertical axis.
        z: of the colours of a surface; "" where there is none.
        columns: panels side by side.
        markers: False for smooth curves.
        lines: False for points that no line joins.
        order: of the words on the horizontal axis, where it has no numbers.
    """

    name: str
    title: str
    sentence: str
    table: pd.DataFrame
    x: str | dict[str, str]
    y: str | dict[str, str]
    z: str = ""
    columns: int = 2
    markers: bool = True
    lines: bool = True
    order: tuple[str, ...] = ()

    @property
    def panels(self) -> list[str]:
        """Panels in order."""
        return list(dict.fromkeys(self.table["panel"]))

    @property
    def series(self) -> list[str]:
        """Names of the legend in order."""
        return list(dict.fromkeys(self.table["series"]))

    @property
    def banded(self) -> bool:
        """Whether its lines have bands around them."""
        return {"low", "high"} <= set(self.table.columns)

    def axis(self, which: str, panel: str) -> str:
        """Name of the ``x`` or ``y`` axis of a panel."""
        names = self.x if which == "x" else self.y
        return names if isinstance(names, str) else names[panel]


def side_by_side(charts: Mapping[str, Chart]) -> Chart:
    """One chart of several of the same kind, each in panels of its own.

    Args:
        charts: at least one, by what the names of their panels are to begin with.
    """
    titles = {
        (name, panel): f"{name}: {panel}" if panel else name
        for name, chart in charts.items()
        for panel in chart.panels
    }
    tables = [
        chart.table.assign(panel=[titles[name, panel] for panel in chart.table["panel"]])
        for name, chart in charts.items()
    ]
    return replace(
        next(iter(charts.values())),
        sentence=" ".join(dict.fromkeys(chart.sentence for chart in charts.values())),
        table=pd.concat(tables, ignore_index=True),
        x={title: charts[name].axis("x", panel) for (name, panel), title in titles.items()},
        y={title: charts[name].axis("y", panel) for (name, panel), title in titles.items()},
    )


@dataclass
class Charts:
    """What can be drawn of some runs, and in sentences what cannot."""

    found: list[Chart] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#C76B9C", "#B57C00", "#3A94C9", "#8A8A8A")
"""After Okabe and Ito's palette, without black and yellow, which one of the themes would swallow;
the light ones are darker, so that each has a contrast of 3 to both backgrounds."""

DASHES = ("solid", "dash", "dot", "dashdot", "longdash")

MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "cross")

MARKS = 12
"""Markers on a curve at the most."""


class Style(NamedTuple):
    """How a series is drawn; no two of the first 210 are the same."""

    colour: str
    dash: str
    marker: str


def style_of(number: int) -> Style:
    """Style of a series by its number (from 0) in the legend."""
    return Style(
        COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)], MARKERS[number % len(MARKERS)]
    )


def every(points: int) -> int:
    """One point in so many gets a marker."""
    return max(1, -(-points // MARKS))
