"""A comparison on a screen: metrics down, rows of the comparison across, in blocks that fit."""

from __future__ import annotations

import math
from typing import Any

from recbole_bns.common.tables import plus_minus, spread
from recbole_bns.common.terminal import in_blocks, wrapped

from .report import Report, title

BEST = ">"
"""Before the best value of a metric."""
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
"""Bounds of a p-value, and the mark below each."""


def headline_of(metrics: list[str], valid_metric: str) -> str:
    """The metric that comes first: that of the validation, else NDCG@20, else the first one."""
    wanted = (valid_metric.lower(), "ndcg@20")
    return next((name for name in wanted if name in metrics), metrics[0])


def mark(p_t: float, p_wilcoxon: float) -> str:
    """``**`` where both corrected p-values are below 0.01; NaN is none."""
    larger = max(p_t, p_wilcoxon)
    if math.isnan(p_t) or math.isnan(p_wilcoxon):
        return ""
    return next((stars for bound, stars in STARS if larger < bound), "")


def screen(report: Report, valid_metric: str, width: int) -> str:
    """What a terminal shows of a report; the Markdown has all of it.

    Args:
        report: of the comparison.
        valid_metric: that decided which epoch was tested.
        width: of the lines.
    """
    first = headline_of(report.metrics, valid_metric)
    names = [first, *(name for name in report.metrics if name != first)]
    columns = [_column(report, row, names, first) for row in report.samplers]
    heads = ["test", *report.samplers]
    down = [*map(title, names), "training, s", "runs"]
    rows = [[name, *(column[place] for column in columns)] for place, name in enumerate(down)]
    lines = in_blocks(rows, heads, width)
    warnings = [*report.warnings(), *report.of_the_split()]
    notes = [_caption(report, first), *warnings, *_labels(report), *_failed(report)]
    for note in notes:
        for text in note.replace("`", "").split("\n"):
            lines += ["", *wrapped(text, width)] if text.strip() else []
    n = len(report.seeds)
    head = f"{report.origin.model} on {report.origin.dataset}, {n} seed{'s' * (n != 1)}"
    return "\n".join([*wrapped(head, width), "", *lines])


def _column(report: Report, row: str, names: list[str], first: str) -> list[str]:
    """Cells of a row of the comparison, from top to bottom."""
    means = report.means[report.means["sampler"] == row].set_index("metric")
    state = report.state(row)
    if not len(means):
        blank = "failed" if "failed" in state else "not run"
        return [blank] * len(names) + ["", state]
    cells = [_cell(means.loc[name]) for name in names]
    cells[0] += _mark_of(report, row, first)
    times = report.times.loc[row]
    return [*cells, plus_minus(times["train_seconds"], 1), state]


def _cell(row: Any) -> str:
    text = spread(f"{row['mean']:.4f}", row["std"])
    return f"{BEST if int(row['rank']) == 1 else ''}{text}"


def _mark_of(report: Report, row: str, metric: str) -> str:
    tests = report.tests
    found = tests[(tests["sampler"] == row) & (tests["metric"] == metric)]
    if not len(found):
        return ""
    stars = mark(float(found.iloc[0]["p_t_holm"]), float(found.iloc[0]["p_wilcoxon_holm"]))
    return f" {stars}" if stars else ""


def _caption(report: Report, first: str) -> str:
    over = f"Mean ± standard deviation over {len(report.seeds)} seeds" * (len(report.seeds) > 1)
    said = f"{over or 'One seed'}; {BEST} is the best of a line."
    if any(report.state(row) != str(len(report.seeds)) for row in report.samplers):
        said += " Not all runs are finished: means are over those that are."
    if not len(report.tests):
        return said
    return (
        f"{said} {title(first)} against {report.reference}: * p < 0.05, ** p < 0.01, *** p < 0.001 "
        "in both tests over users (paired t and Wilcoxon, Holm-corrected)."
    )


def _labels(report: Report) -> list[str]:
    """Rows whose name does not say what they are; one that sees test labels is one of them."""
    return [f"{row}: {label}" for row, label in report.labels().items() if label != row]


def _failed(report: Report) -> list[str]:
    return [
        f"failed: {record['sampler']} with seed {record['seed']}: {record['error']}"
        for record in report.records
        if record["status"] == "failed"
    ]
