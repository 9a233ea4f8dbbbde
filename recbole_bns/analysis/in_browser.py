"""Draws charts with Plotly, for a browser."""

from __future__ import annotations

import math
from textwrap import wrap
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .chart import Chart, Style, every, style_of

ROW = 330
"""Height of a row of panels in pixels."""
WIDE = 52
"""Characters in a line of a panel's title."""


def figure(chart: Chart) -> Any:
    """A Plotly figure of the chart, transparent, so that the page's theme shows."""
    panels = chart.panels
    columns = min(chart.columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    height = 110 + ROW * rows
    drawn = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=["<br>".join(wrap(p, WIDE)) for p in panels] if len(panels) > 1 else None,
        horizontal_spacing=0.24 / columns,
        vertical_spacing=min(110 / height, 0.9 / max(rows - 1, 1)),
    )
    for number, panel in enumerate(panels):
        cell = {"row": number // columns + 1, "col": number % columns + 1}
        table = chart.table[chart.table["panel"] == panel]
        for trace in _surface(table, chart) if chart.z else _lines(table, chart, number == 0):
            drawn.add_trace(trace, **cell)
        drawn.update_xaxes(title_text=chart.axis("x", panel), **cell)
        drawn.update_yaxes(title_text=chart.axis("y", panel), **cell)
    drawn.update_xaxes(automargin=True, title_standoff=8, zeroline=False)
    drawn.update_yaxes(automargin=True, title_standoff=8, zeroline=False)
    _show_all_in_legend(drawn, chart)
    return drawn.update_layout(
        template="none",
        height=height,
        margin={"l": 70, "r": 20, "t": 70, "b": 60},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1 + 34 / (ROW * rows),
            "x": 0,
            "entrywidth": 0,
        },
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": "#8A8A8A", "activecolor": "#0072B2"},
        hovermode="closest",
    )


def _lines(table: pd.DataFrame, chart: Chart, first: bool) -> list[Any]:
    """A trace a series of a panel's table; the ``first`` panel's stand in the legend."""
    traces = []
    for number, name in enumerate(chart.series):
        line = table[table["series"] == name]
        if line.empty:
            continue
        if chart.banded:
            traces.append(_band(line, name, style_of(number)))
        traces.append(_line(line, chart, name, style_of(number), first))
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
        showlegend=False,
        hoverinfo="skip",
    )


def _line(line: pd.DataFrame, chart: Chart, name: str, style: Style, in_legend: bool) -> Any:
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
        showlegend=in_legend,
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
            colorbar={"title": {"text": chart.z, "side": "right"}},
        )
    ]


def _show_all_in_legend(drawn: Any, chart: Chart) -> None:
    """Put a series that the first panel lacks into the legend, once too."""
    shown = {trace.name for trace in drawn.data if trace.showlegend}
    for trace in drawn.data:
        if trace.name in chart.series and trace.name not in shown:
            trace.showlegend = True
            shown.add(trace.name)
