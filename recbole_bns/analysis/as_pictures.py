"""Draws charts with matplotlib, into files, where no browser is installed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError

from .chart import Chart, every, style_of

DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-.", "longdash": (0, (8, 3))}
MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "x": "x", "cross": "P"}
DPI = 96


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
    found = Figure(figsize=size, layout="constrained")
    grid = found.subplots(rows, columns, squeeze=False).ravel()
    lines: dict[str, Any] = {}
    for axes, panel in zip(grid, panels, strict=False):
        part = chart.table[chart.table["panel"] == panel]
        if chart.z:
            _surface(found, axes, part, chart)
        else:
            lines = {**_lines(axes, part, chart), **lines}
            axes.grid(color="#dddddd", linewidth=0.6)
            axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(panel, fontsize=10)
        axes.set_xlabel(chart.axis("x", panel))
        axes.set_ylabel(chart.axis("y", panel))
    for axes in grid[len(panels) :]:
        axes.remove()
    if lines:
        wide = max(1, int(size[0] * 11 // (max(map(len, lines)) + 8)))
        names = [name for name in chart.series if name in lines]
        found.legend(
            [lines[name] for name in names],
            names,
            loc="outside upper center",
            ncols=wide,
            frameon=False,
            handlelength=3.5,
        )
    return found


def _lines(axes: Any, part: Any, chart: Chart) -> dict[str, Any]:
    drawn = {}
    for place, name in enumerate(chart.series):
        line = part[part["series"] == name]
        if line.empty:
            continue
        style = style_of(place)
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


def _surface(found: Any, axes: Any, part: Any, chart: Chart) -> None:
    grid = part.pivot_table(index="y", columns="x", values="z")
    levels = [i / 10 for i in range(11)]
    filled = axes.contourf(grid.columns, grid.index, grid.to_numpy(), levels, cmap="cividis")
    axes.contour(
        grid.columns, grid.index, grid.to_numpy(), levels, colors="#444444", linewidths=0.4
    )
    found.colorbar(filled, ax=axes, label=chart.z)
