"""One self-contained page of what runs did: text, tables and figures, without the network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import pandas as pd

from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import whole_file

from .chart import Chart, Charts
from .figures import charts_of
from .tables import RunData, metrics_table, settings_table, versions_of

STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --text: #1d1d1f; --soft: #5b5b62;
        --line: #dcdce0; --mark: #e4f0fa; }
@media (prefers-color-scheme: dark) { @media screen { :root { --back: #16171a; --text: #ececf0;
        --soft: #a9a9b3; --line: #3a3b42; --mark: #1d3a52; } } }
body { background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif;
       max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.88rem; }
th, td { padding: 0.3rem 0.7rem; border-bottom: 1px solid var(--line); text-align: left;
         vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.best { font-weight: 700; background: var(--mark); }
p.read, figcaption, .soft { color: var(--soft); font-size: 0.92rem; }
figure { margin: 0.5rem 0 0; break-inside: avoid; }
.js-plotly-plot .main-svg text { fill: var(--text) !important; }
.js-plotly-plot .hoverlayer text { fill: #ffffff !important; }
.js-plotly-plot .hoverlayer path { fill: #33343a !important; stroke: #ffffff !important; }
.js-plotly-plot .gridlayer path { stroke: var(--line) !important; }
.js-plotly-plot .legend .bg { fill: none !important; }
@media print { body { max-width: none; margin: 0; font-size: 11pt; }
  .scroll { overflow: visible; } table { font-size: 8pt; width: 100%; }
  th, td { padding: 0.15rem 0.3rem; }
  .modebar { display: none !important; } h2 { break-after: avoid; } tr { break-inside: avoid; } }
"""

SCRIPT = """
const plots = () => [...document.querySelectorAll('.js-plotly-plot')];
addEventListener('beforeprint', () => plots().forEach(p => {
  p.screenHeight = p.layout.height;
  const height = Math.min(p.layout.height, 860);
  p.style.height = height + 'px';
  Plotly.relayout(p, {width: 680, height: height, 'font.size': 9});
}));
addEventListener('afterprint', () => plots().forEach(p => {
  p.style.height = p.screenHeight + 'px';
  Plotly.relayout(p, {width: null, height: p.screenHeight, 'font.size': 13, autosize: true});
}));
"""


def write_report(runs: Sequence[RunData], path: str | Path, charts: Charts | None = None) -> None:
    """Write the page; it appears whole or not at all.

    Args:
        runs: of :func:`.tables.read_runs`.
        path: of the HTML file.
        charts: of the same runs, where they are at hand.

    Raises:
        UsageError: plotly is not installed, or the file cannot be written.
    """
    try:
        text = page(runs, charts or charts_of(runs))
    except ModuleNotFoundError as error:
        raise UsageError(
            f"report: it needs the package '{error.name}', which is not installed; "
            f"pip install {error.name}."
        ) from error
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise UsageError(f"--out: cannot write '{path}': {error.strerror}.") from error


def page(runs: Sequence[RunData], charts: Charts) -> str:
    """The page as HTML."""
    from plotly.offline import get_plotlyjs

    data = ", ".join(dict.fromkeys(f"{r.result['model']} on {r.result['dataset']}" for r in runs))
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Negative samplers: {escape(data)}</title>",
        f"<style>{STYLE}</style>",
        f"<script>{get_plotlyjs()}</script></head><body>",
        "<h1>What the negative samplers did</h1>",
        f"<p>{escape(data)}; {len(runs)} run{'s' * (len(runs) > 1)}.</p>",
        "<h2>What was run</h2>",
        _table(settings_table(runs)),
        f'<p class="soft">Versions: {escape(_versions(runs))}.</p>',
        "<h2>Test metrics</h2>",
        _metrics(runs),
        *(_figure(chart) for chart in charts.found),
    ]
    missing = [sentence for sentence in charts.missing if sentence]
    if missing:
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in missing)
        parts.append(f'<h2>What is not shown</h2><ul class="soft">{items}</ul>')
    return "\n".join([*parts, f"<script>{SCRIPT}</script></body></html>"])


def _versions(runs: Sequence[RunData]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions_of(runs).items())


def _figure(chart: Chart) -> str:
    from .in_browser import figure

    drawn = figure(chart).to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=f"figure-{chart.name}",
        default_width="100%",
        config={"responsive": True, "displaylogo": False},
    )
    return (
        f"<h2>{escape(chart.title)}</h2><figure>{drawn}"
        f"<figcaption>{escape(chart.sentence)}</figcaption></figure>"
    )


def _metrics(runs: Sequence[RunData]) -> str:
    """A row a metric, a column a label, the best of each row marked."""
    from recbole_bns.adapters.evaluation import SMALLER_IS_BETTER

    table = metrics_table(runs)
    names, metrics = (list(dict.fromkeys(table[key])) for key in ("run", "metric"))
    cells = {(line.run, line.metric): line for line in table.itertuples()}
    best = {}
    for metric in metrics:
        means = [cells[name, metric].mean for name in names if (name, metric) in cells]
        less = metric.partition("@")[0] in SMALLER_IS_BETTER
        best[metric] = min(means) if less else max(means)
    head = "".join(f'<th class="number">{escape(name)}</th>' for name in names)
    rows = []
    for metric in metrics:
        row = [f"<td>{escape(metric)}</td>"]
        for name in names:
            cell = cells.get((name, metric))
            won = cell is not None and cell.mean == best[metric] and len(names) > 1
            row.append(f'<td class="number{" best" * won}">{_value(cell)}</td>')
        rows.append(f"<tr>{''.join(row)}</tr>")
    several = bool((table["count"] > 1).any())
    note = "Mean ± standard deviation over the seeds. " * several
    note += "The best of each row is bold. " * (len(names) > 1)
    return (
        f'<div class="scroll"><table><tr><th>metric</th>{head}</tr>{"".join(rows)}</table></div>'
        f'<p class="read">{note}Metrics of the test part.</p>'
    )


def _value(cell: object) -> str:
    if cell is None:
        return ""
    mean, spread = cell.mean, cell.std  # type: ignore[attr-defined]
    return f"{mean:.4f}" if pd.isna(spread) else f"{mean:.4f} ± {spread:.4f}"


def _table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{escape(str(name))}</th>" for name in table.columns)
    rows = [
        "<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in line) + "</tr>"
        for line in table.itertuples(index=False)
    ]
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'
