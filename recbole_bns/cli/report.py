"""``recbole-bns report``: a page, and pictures, of what runs did."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from .begin import say
from .parser import Parser


def parser() -> Parser:
    """The words and flags of ``report``, and its help."""
    made = Parser(
        "report",
        "Write a page that shows what runs did: metrics, learning curves, and of recorded runs\n"
        "(--neg_record) the quality of their negatives. It opens offline in any browser.",
        "example: recbole-bns report runs/compare-ml-100k-BPR --out report.html",
    )
    made.add(
        "folders",
        "a folder of recbole-bns run, of compare, or of tune, or one that has such below it (.): "
        "runs with other settings get other rows, other data other tables",
        metavar="RUN_DIR",
        nargs="+",
        type=Path,
    )
    page = Path("report.html")
    made.add("--out", "the page (default: report.html)", metavar="FILE", type=Path, default=page)
    made.add(
        "--png",
        "the figures as files too; needs pip install 'recbole-bns[plot]'",
        metavar="DIR",
        type=Path,
    )
    return made


def command(words: Sequence[str]) -> int:
    """Write the page.

    Raises:
        UsageError: a folder holds no run, or the page cannot be written.
    """
    options = parser().read(words)
    from recbole_bns.runs.folder import no_runs

    for folder in options.folders:
        if not folder.is_dir():
            raise no_runs(folder)
    say(f"report on {', '.join(map(str, options.folders))}", "PyTorch, pandas and Plotly")
    from recbole_bns import analysis

    runs = analysis.read_runs(options.folders)
    charts = analysis.charts_of(runs)
    analysis.write_report(runs, options.out, charts, f"recbole-bns report {shlex.join(words)}")
    print(f"report: {options.out}")
    if options.png is not None:
        for path in analysis.write_pictures(charts.found, options.png):
            print(f"picture: {path}")
    return 0
