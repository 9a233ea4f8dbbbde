"""Draws charts with Plotly, for a browser."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .chart import Chart, every, style_of

ROW = 330
"""Height of a row of panels in pixels."""


def figure(chart: Chart) -> Any:
    """A Plotly figure of the chart, transparent, so that the page's theme shows."""
    panels = chart.panels
    columns = min(chart.columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    height = 110 + ROW * rows
    found = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=panels if len(panels) > 1 else None,
        horizontal_spacing=0.24 / columns,
        vertical_spacing=min(110 / height, 0.9 / max(rows - 1, 1)),
    )
    for place, panel in enumerate(panels):
        where = {"row": place // columns + 1, "col": place % columns + 1}
        part = chart.table[chart.table["panel"] == panel]
        for trace in _surface(part, chart) if chart.z else _lines(part, chart, place == 0):
            found.add_trace(trace, **where)
        found.update_xaxes(title_text=chart.axis("x", panel), **where)
        found.update_yaxes(title_text=chart.axis("y", panel), **where)
    found.update_xaxes(automargin=True, title_standoff=8, zeroline=False)
    found.update_yaxes(automargin=True, title_standoff=8, zeroline=False)
    _show_all_in_legend(found, chart)
    return found.update_layout(
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


def _lines(part: Any, chart: Chart, first: bool) -> list[Any]:
    traces = []
    for place, name in enumerate(chart.series):
        line = part[part["series"] == name]
        if line.empty:
            continue
        style = style_of(place)
        step = every(len(line)) if chart.lines else 1
        sizes = [8 if i % step == 0 else 0 for i in range(len(line))]
        traces.append(
            go.Scatter(
                x=line["x"].tolist(),
                y=line["y"].tolist(),
                name=name,
                legendgroup=name,
                showlegend=first,
                mode="+".join(["lines"] * chart.lines + ["markers"] * chart.markers),
                line={"color": style.colour, "dash": style.dash, "width": 2},
                marker={
                    "color": style.colour,
                    "symbol": style.marker,
                    "size": sizes,
                    "opacity": 1,
                    "line": {"width": 0},
                }
                if chart.markers
                else None,
            )
        )
    return traces


def _surface(part: Any, chart: Chart) -> list[Any]:
    grid = part.pivot_table(index="y", columns="x", values="z")
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


def _show_all_in_legend(found: Any, chart: Chart) -> None:
    """A series that the first panel lacks appears in the legend once too."""
    seen = {trace.name for trace in found.data if trace.showlegend}
    for trace in found.data:
        if trace.name in chart.series and trace.name not in seen:
            trace.showlegend = True
            seen.add(trace.name)
