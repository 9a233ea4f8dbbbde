"""Draws charts with matplotlib, into files, where no browser is installed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import pandas as pd

from recbole_bns.common.errors import UsageError

from .chart import Chart, every, style_of

# Names of matplotlib for the dashes and markers of :mod:`.chart`.
DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-.", "longdash": (0, (8, 3))}
MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "x": "x", "cross": "P"}
DPI = 96
WIDE = 52
"""Characters in a line of a panel's title."""


def write_pictures(charts: Sequence[Chart], folder: str | Path) -> list[Path]:
    """Write ``<name>.png`` of each chart into ``folder``; the files.

    Raises:
        UsageError: matplotlib is not installed, or the folder cannot be written.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError(
            "--png: it needs the package 'matplotlib', which is not installed; "
            "pip install 'recbole-bns[plot]'."
        ) from error
    matplotlib.use("Agg")
    folder = Path(folder)
    files = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for chart in charts:
            path = folder / f"{chart.name}.png"
            picture(chart).savefig(path, dpi=DPI)
            files.append(path)
    except OSError as error:
        raise UsageError(f"--png: cannot write '{folder}': {error.strerror}.") from error
    return files


def picture(chart: Chart) -> Any:
    """A matplotlib figure of the chart."""
    from matplotlib.figure import Figure

    panels = chart.panels
    columns = min(chart.columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    size = (4.4 * columns if columns > 1 else 6.4, 3.1 * rows + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    lines: dict[str, Any] = {}
    for axes, panel in zip(grid, panels, strict=False):
        table = chart.table[chart.table["panel"] == panel]
        if chart.order:
            axes.xaxis.update_units(list(chart.order))
        if chart.z:
            _surface(figure, axes, table, chart)
        else:
            lines = {**_lines(axes, table, chart), **lines}
            axes.grid(color="#dddddd", linewidth=0.6)
            axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(fill(panel, WIDE), fontsize=10)
        axes.set_xlabel(chart.axis("x", panel))
        axes.set_ylabel(chart.axis("y", panel))
    for axes in grid[len(panels) :]:
        axes.remove()
    if lines:
        names = [name for name in chart.series if name in lines]
        figure.legend(
            [lines[name] for name in names],
            names,
            loc="outside upper center",
            ncols=max(1, int(size[0] * 11 // (max(map(len, names)) + 8))),
            frameon=False,
            handlelength=3.5,
        )
    return figure


def _lines(axes: Any, table: pd.DataFrame, chart: Chart) -> dict[str, Any]:
    """Draw the series of a panel's table; the lines by name."""
    drawn = {}
    for number, name in enumerate(chart.series):
        line = table[table["series"] == name]
        if line.empty:
            continue
        style = style_of(number)
        if chart.banded:
            axes.fill_between(
                line["x"], line["low"], line["high"], color=style.colour, alpha=0.15, linewidth=0
            )
        drawn[name] = axes.plot(
            line["x"],
            line["y"],
            color=style.colour,
            linestyle=DASHES[style.dash] if chart.lines else "",
            marker=MARKERS[style.marker] if chart.markers else None,
            markevery=every(len(line)) if chart.lines else 1,
            markersize=5,
        )[0]
    return drawn


def _surface(figure: Any, axes: Any, table: pd.DataFrame, chart: Chart) -> None:
    grid = table.pivot_table(index="y", columns="x", values="z")
    levels = [i / 10 for i in range(11)]
    filled = axes.contourf(grid.columns, grid.index, grid.to_numpy(), levels, cmap="cividis")
    axes.contour(
        grid.columns, grid.index, grid.to_numpy(), levels, colors="#444444", linewidths=0.4
    )
    figure.colorbar(filled, ax=axes, label=chart.z)
