"""One self-contained page of what runs did: text, tables and figures, without the network.

What stands on it is put together here, as plain values; ``page.html.j2`` has its looks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import write_text
from recbole_bns.common.tables import spread

from .chart import Chart, Charts
from .figures import charts_of
from .folders import Comparison, RunData
from .groups import KINDS, group_lines, note_of
from .rows import by_data
from .tables import commands_table, metrics_table, settings_table, versions_of
from .tests import reference_of, tests_between

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

TEMPLATE = "page.html.j2"


class Section(NamedTuple):
    """An entry of the table of contents: the id of a heading, and its words."""

    name: str
    title: str


class Cell(NamedTuple):
    """A number as it is shown, and whether it is the best of its line."""

    text: str
    best: bool = False


class Line(NamedTuple):
    """A line of a table of numbers."""

    name: str
    cells: list[Cell]


@dataclass(frozen=True)
class Numbers:
    """A table of numbers, what stands above it and below it; the first column has names."""

    title: str
    columns: list[str]
    rows: list[Line]
    note: str


@dataclass(frozen=True)
class Page:
    """What stands on a page.

    Attributes:
        subject: what was trained on what.
        runs: how many runs it is of.
        command: that asked for it, or "".
        settings: what was run, a line a row.
        versions: of packages.
        metrics: tables of test metrics.
        charts: that are shown, and what cannot be.
        comparisons: folders, and the commands that made them.
        tests: tables of tests.
        groups: tables of metrics by groups of items or users.
        commands: that worked at the runs, a line a command; none where nothing is known.
    """

    subject: str
    runs: int
    command: str
    settings: pd.DataFrame
    versions: Mapping[str, str]
    metrics: Sequence[Numbers]
    charts: Charts
    comparisons: Sequence[tuple[str, str]] = ()
    tests: Sequence[Numbers] = ()
    groups: Sequence[Numbers] = ()
    commands: pd.DataFrame = field(default_factory=pd.DataFrame)

    def html(self) -> str:
        """The page as HTML."""
        missing = [sentence for sentence in self.charts.missing if sentence]
        return template().render(
            subject=self.subject,
            runs=self.runs,
            written=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
            command=self.command,
            contents=contents_of(self.charts, bool(self.tests), bool(missing), bool(self.groups)),
            settings=_plain(self.settings),
            commands=_plain(self.commands),
            comparisons=self.comparisons,
            versions=", ".join(f"{name} {version}" for name, version in self.versions.items()),
            metrics=self.metrics,
            tests=self.tests,
            groups=self.groups,
            figures=[drawn(chart) for chart in self.charts.found],
            missing=missing,
            plotly=plotly_script(),
        )


def _plain(table: pd.DataFrame) -> dict[str, Any]:
    """A table as the template takes it."""
    return {"columns": list(table.columns), "rows": table.to_numpy().tolist()}


def write_report(
    runs: Sequence[RunData], path: str | Path, charts: Charts | None = None, command: str = ""
) -> None:
    """Write the page of some runs; it appears whole or not at all.

    Args:
        runs: of :func:`.rows.read_runs`.
        path: of the HTML file.
        charts: of the same runs, where they are at hand.
        command: that asked for the page, to stand on it.

    Raises:
        UsageError: plotly or jinja2 is not installed, or the file cannot be written.
    """
    write_page(path, lambda: page(runs, charts or charts_of(runs), command))


def write_page(path: str | Path, make: Callable[[], str], asked_by: str = "report") -> None:
    """Write a page; it appears whole or not at all.

    Args:
        path: of the HTML file.
        make: makes the page.
        asked_by: the command that asks for it.

    Raises:
        UsageError: plotly or jinja2 is not installed, or the file cannot be written.
    """
    try:
        text = make()
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{asked_by}: it needs the package '{error.name}', which is not installed; "
            f"pip install {error.name}."
        ) from error
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_text(Path(path), text)
    except OSError as error:
        raise UsageError(f"--out: cannot write '{path}': {error.strerror}.") from error


def page(runs: Sequence[RunData], charts: Charts, command: str = "") -> str:
    """The page of some runs as HTML."""
    comparisons = comparisons_of(runs)
    return Page(
        subject=subject_of(runs),
        runs=len(runs),
        command=command,
        settings=settings_table(runs),
        versions=versions_of(runs),
        metrics=[metrics_of(data, table) for data, table in by_data(runs).items()],
        charts=charts,
        comparisons=[(shown(each.folder), each.command) for each in comparisons],
        tests=[
            *(table for each in comparisons if (table := tests_of(each, runs))),
            *(table for data, of in by_data(runs).items() if (table := tests_here(data, of))),
        ],
        groups=[
            table
            for data, of in by_data(runs).items()
            for kind in KINDS
            if (table := groups_of(data if len(by_data(runs)) > 1 else "", of, kind))
        ],
        commands=commands_table(runs),
    ).html()


def template() -> Template:
    """``page.html.j2``, which escapes whatever is not marked as HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE)


def plotly_script() -> Markup:
    """Plotly's JavaScript, whole, so that the page needs no network."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())


def subject_of(runs: Sequence[RunData]) -> str:
    """``BPR on ml-100k, BPR on ml-1m``."""
    return ", ".join(dict.fromkeys(f"{run.result['model']} on {run.data}" for run in runs))


def contents_of(charts: Charts, tests: bool, missing: bool, groups: bool = False) -> list[Section]:
    """The headings of the page in order.

    Args:
        charts: that are shown.
        tests: whether there are tests.
        missing: whether something is not shown.
        groups: whether there are metrics by groups.
    """
    return [
        Section("runs", "What was run"),
        Section("metrics", "Test metrics"),
        *([Section("tests", "Tests")] if tests else []),
        *([Section("groups", "Metrics by groups")] if groups else []),
        *(Section(chart.name, chart.title) for chart in charts.found),
        *([Section("missing", "What is not shown")] if missing else []),
    ]


def drawn(chart: Chart) -> dict[str, Any]:
    """A chart as the template takes it; Plotly's script on the page draws its panels."""
    from markupsafe import Markup

    from .in_browser import legend, panels

    shown = [
        {
            "title": panel.title,
            "words": panel.words,
            "html": Markup(
                panel.figure.to_html(
                    full_html=False,
                    include_plotlyjs=False,
                    div_id=f"figure-{chart.name}-{number}",
                    default_width="100%",
                    default_height=f"{panel.height}px",
                    config={"displaylogo": False},
                )
            ),
        }
        for number, panel in enumerate(panels(chart), 1)
    ]
    columns = min(chart.columns, len(shown))
    return {"of": chart, "columns": columns, "legend": legend(chart), "panels": shown}


def metrics_of(data: str, runs: Sequence[RunData]) -> Numbers:
    """Test metrics of the runs of one data set: a line a metric, a column a row of runs."""
    table = metrics_table(runs)
    labels, metrics = (list(dict.fromkeys(table[key])) for key in ("run", "metric"))
    means = table.pivot(index="metric", columns="run", values="mean")
    spreads = table.pivot(index="metric", columns="run", values="std")
    lines = []
    for metric in metrics:
        best = _best(metric, means.loc[metric])
        values = [(means.loc[metric, label], spreads.loc[metric, label]) for label in labels]
        cells = [
            Cell("" if math.isnan(mean) else spread(f"{mean:.4f}", std), mean == best)
            for mean, std in values
        ]
        lines.append(Line(metric, cells))
    notes = [
        "Mean ± standard deviation over the seeds." if (table["count"] > 1).any() else "",
        "The best of each row is bold." if len(labels) > 1 else "",
        "Metrics of the test part.",
    ]
    return Numbers(data, ["metric", *labels], lines, " ".join(filter(None, notes)))


def _best(metric: str, means: pd.Series) -> float:
    """The best of several means of a metric; NaN, which equals none, where there are not two."""
    from recbole_bns.adapters.evaluation import SMALLER_IS_BETTER

    if means.count() < 2:
        return math.nan
    less = metric.partition("@")[0] in SMALLER_IS_BETTER
    return float(means.min() if less else means.max())


def shown(folder: Path) -> str:
    """A folder as it is seen from the working directory, whole where it lies elsewhere."""
    here = Path.cwd()
    below = here in folder.parents
    return str(folder.relative_to(here) if below else folder)


def groups_of(data: str, runs: Sequence[RunData], kind: str) -> Numbers | None:
    """Metrics of groups of items or users of one data set: a line a metric and group.

    Args:
        data: what to call it; "" where there is no other.
        runs: of it.
        kind: ``items`` or ``users``.

    Returns:
        None where the runs left none.
    """
    table = group_lines(runs, kind)
    if table.empty:
        return None
    lines = []
    for name, values in table.iterrows():
        best = math.nan if "share" in str(name) else _best(str(name), values)
        cells = [Cell("" if math.isnan(v) else f"{v:.4f}", v == best) for v in values]
        lines.append(Line(str(name), cells))
    title = ": ".join(filter(None, (data, KINDS[kind])))
    return Numbers(title, [kind, *table.columns], lines, note_of(runs, kind))


def tests_here(data: str, runs: Sequence[RunData]) -> Numbers | None:
    """Tests between the rows of one data set whose runs are of no comparison: a line a row.

    Returns:
        None where there is none.
    """
    alone = [run for run in runs if run.comparison is None]
    if len({run.label for run in alone}) < 2:
        return None
    reference = reference_of(alone)
    tests = tests_between(alone, reference)
    if tests.empty:
        return None
    brackets = _IN_BRACKETS.format(users=_users(tests))
    note = (
        f"Difference of the means to {reference} over common seeds; {brackets} over the rows of "
        "this table, from the metrics of every user in the folders of the runs."
    )
    return _tests_table(data, tests, note)


def comparisons_of(runs: Sequence[RunData]) -> list[Comparison]:
    """The comparisons that the runs are of, each once."""
    comparisons = {run.comparison.folder: run.comparison for run in runs if run.comparison}
    return list(comparisons.values())


def tests_of(comparison: Comparison, runs: Sequence[RunData]) -> Numbers | None:
    """The tests of a comparison between rows that the runs are of: a line a row.

    Returns:
        None where there is none.
    """
    here = {run.row for run in runs if run.comparison is comparison}
    tests = comparison.tests[comparison.tests["sampler"].isin(here)]
    if tests.empty or comparison.reference not in here:
        return None
    where = shown(comparison.folder)
    brackets = _IN_BRACKETS.format(users=_users(tests))
    note = (
        f"Difference of the means to {comparison.reference}; {brackets} over the rows of the "
        f"comparison, as compare.json in {where} has them."
    )
    return _tests_table(where, tests, note)


_IN_BRACKETS = (
    "in brackets the p-values of a paired t-test and of Wilcoxon's signed-rank test over {users} "
    "users, two-sided, Holm-corrected"
)


def _users(tests: pd.DataFrame) -> str:
    """How many users the tests are over: ``943``, or ``943/940``."""
    return "/".join(dict.fromkeys(f"{count:.0f}" for count in tests["users"].dropna()))


def _tests_table(title: str, tests: pd.DataFrame, note: str) -> Numbers:
    """Tests, with columns of ``Comparison.tests``: a line a row, a column a metric."""
    metrics = list(dict.fromkeys(tests["metric"]))
    cells = {(test.sampler, test.metric): Cell(test_text(test)) for test in tests.itertuples()}
    lines = [
        Line(row, [cells.get((row, metric), Cell("")) for metric in metrics])
        for row in dict.fromkeys(tests["sampler"])
    ]
    return Numbers(title, ["row", *metrics], lines, note)


def test_text(test: Any) -> str:
    """``+0.0123 (0.0042, 2e-05)``; without p-values where there was no test.

    Args:
        test: a row of ``Comparison.tests``.
    """
    text = f"{test.difference:+.4f}"
    values = (test.p_t_holm, test.p_wilcoxon_holm)
    if any(value is None or math.isnan(value) for value in values):
        return text
    return f"{text} ({', '.join(f'{value:.2g}' for value in values)})"
