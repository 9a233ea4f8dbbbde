"""Draws charts with Plotly, for a browser: a figure a panel, so that the page arranges them.

The legend of all panels is the page's own (:func:`legend`), with the same dashes and markers.
"""

from __future__ import annotations

from textwrap import wrap
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from .chart import Chart, Style, every, style_of

HEIGHT, OF_SURFACE = 300, 420
"""Of a panel, and of one with a surface, in pixels."""

WIDE = 40
"""Characters in a line of an axis's name: those of a panel on a telephone."""

DASHES = {"solid": "", "dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3", "longdash": "11 4"}
"""Dashes of :mod:`.chart` in the legend, as SVG has them."""
MARKERS = {
    "circle": "M21 7a4 4 0 1 1-8 0a4 4 0 1 1 8 0Z",
    "square": "M13 3h8v8h-8Z",
    "diamond": "M17 2l5 5-5 5-5-5Z",
    "triangle-up": "M17 2l5 9h-10Z",
    "x": "M13.5 2l3.5 3.5L20.5 2 22 3.5 18.5 7 22 10.5 20.5 12 17 8.5 13.5 12 "
    "12 10.5 15.5 7 12 3.5Z",
    "cross": "M15.5 2h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5Z",
}
"""Markers of :mod:`.chart` in the legend: SVG paths in a box of 34 by 14, around (17, 7)."""


class Panel(NamedTuple):
    """A panel of a chart."""

    title: str
    """"" where the chart has but one."""
    words: str
    """What it shows, for who does not see it."""
    height: int
    """In pixels."""
    figure: Any
    """Of Plotly."""


class Entry(NamedTuple):
    """A series in the legend; paths and dashes are as SVG has them."""

    name: str
    colour: str
    dash: str | None
    """None where no line joins the points."""
    marker: str
    """"" where the points have none."""


def legend(chart: Chart) -> list[Entry]:
    """The series of a chart in order; none of a surface."""
    if chart.z:
        return []
    entries = []
    for number, name in enumerate(chart.series):
        style = style_of(number)
        dash = DASHES[style.dash] if chart.lines else None
        marker = MARKERS[style.marker] if chart.markers else ""
        entries.append(Entry(name, style.colour, dash, marker))
    return entries


def panels(chart: Chart) -> list[Panel]:
    """The panels of a chart, transparent, so that the page's theme shows."""
    return [_panel(chart, title) for title in chart.panels]


def _panel(chart: Chart, title: str) -> Panel:
    table = chart.table[chart.table["panel"] == title]
    x, y = ("<br>".join(wrap(chart.axis(axis, title), WIDE)) for axis in ("x", "y"))
    height = OF_SURFACE if chart.z else HEIGHT
    drawn = go.Figure(_surface(table, chart) if chart.z else _lines(table, chart))
    drawn.update_xaxes(title_text=x, automargin=True, title_standoff=8, zeroline=False)
    drawn.update_yaxes(title_text=y, automargin=True, title_standoff=8, zeroline=False)
    if chart.order:
        drawn.update_xaxes(type="category", categoryorder="array", categoryarray=chart.order)
    drawn.update_layout(
        template="none",
        height=height,
        margin={"l": 55, "r": 15, "t": 25, "b": 45},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
        showlegend=False,
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": "#8A8A8A", "activecolor": "#0072B2"},
        hovermode="closest",
    )
    words = _words(chart, title, list(dict.fromkeys(table["series"])))
    return Panel(title, words, height, drawn)


def _words(chart: Chart, title: str, series: list[str]) -> str:
    """``Learning curves, by epoch: ndcg@20 against epoch; bns, dns``."""
    shown = chart.z or chart.axis("y", title)
    over = [chart.axis("x", title), *([chart.axis("y", title)] if chart.z else [])]
    named = ", ".join(filter(None, (chart.title, title)))
    of = "; " + ", ".join(series) if any(series) else ""
    return f"{named}: {shown} against {' and '.join(over)}{of}"


def _lines(table: pd.DataFrame, chart: Chart) -> list[Any]:
    """A trace a series of a panel's table."""
    traces = []
    for number, name in enumerate(chart.series):
        line = table[table["series"] == name]
        if line.empty:
            continue
        if chart.banded:
            traces.append(_band(line, name, style_of(number)))
        traces.append(_line(line, chart, name, style_of(number)))
    return traces


def _band(line: pd.DataFrame, name: str, style: Style) -> Any:
    """The area between ``low`` and ``high`` of a series."""
    backwards = line.iloc[::-1]
    return go.Scatter(
        x=[*line["x"], *backwards["x"]],
        y=[*line["high"], *backwards["low"]],
        fill="toself",
        fillcolor=style.colour,
        opacity=0.15,
        line={"width": 0},
        mode="lines",
        name=f"{name}: band",
        legendgroup=name,
        hoverinfo="skip",
    )


def _line(line: pd.DataFrame, chart: Chart, name: str, style: Style) -> Any:
    step = every(len(line)) if chart.lines else 1
    marker = {
        "color": style.colour,
        "symbol": style.marker,
        "size": [8 if i % step == 0 else 0 for i in range(len(line))],
        "opacity": 1,
        "line": {"width": 0},
    }
    return go.Scatter(
        x=line["x"].tolist(),
        y=line["y"].tolist(),
        name=name,
        legendgroup=name,
        mode="+".join(
            word for word, wanted in (("lines", chart.lines), ("markers", chart.markers)) if wanted
        ),
        line={"color": style.colour, "dash": style.dash, "width": 2},
        marker=marker if chart.markers else None,
    )


def _surface(table: pd.DataFrame, chart: Chart) -> list[Any]:
    grid = table.pivot_table(index="y", columns="x", values="z")
    return [
        go.Contour(
            x=grid.columns.tolist(),
            y=grid.index.tolist(),
            z=grid.to_numpy().tolist(),
            colorscale="Cividis",
            contours={"start": 0, "end": 1, "size": 0.1},
            colorbar={"title": {"text": chart.z, "side": "right"}, "thickness": 15},
        )
    ]
