"""What a study says: its tables in Markdown and on a page, its numbers, its pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_bns.analysis.as_pictures import write_pictures
from recbole_bns.analysis.page import Cell, Line, Numbers, Page, write_page
from recbole_bns.common import tables as common
from recbole_bns.common.files import beside
from recbole_bns.settings.words import flat

from .figures import KINDS, charts_of
from .plan import Plan
from .tables import Record, by_epoch, figures_of, last_epochs, over_seeds

PARTS = ("ccdf", "medians", "errors", "deviations", "levels")
HEAD = "planted records that are available (sigma)"


def metric_tables(records: Sequence[Record]) -> list[Numbers]:
    """A table a metric: a line a row, a column a sigma."""
    table = over_seeds(last_epochs(by_epoch(records)))
    return [_table(metric, rows) for metric, rows in table.groupby("metric", sort=False)]


def _table(metric: Any, table: pd.DataFrame) -> Numbers:
    sigmas = sorted(table["sigma"].dropna().unique())
    cells = {
        (line.row, None if math.isnan(line.sigma) else line.sigma): Cell(
            common.spread(f"{line.mean:.4f}", line.std)
        )
        for line in table.itertuples()
    }
    columns = [*([None] if table["sigma"].isna().any() else []), *sigmas]
    lines = [
        Line(row, [cells.get((row, sigma), Cell("")) for sigma in columns])
        for row in dict.fromkeys(table["row"])
    ]
    heads = ["nothing planted" if sigma is None else f"sigma {sigma:g}" for sigma in columns]
    note = (
        "Mean of the last eighth of the epochs on the test part, ± standard deviation over the "
        f"seeds. {HEAD}."
    )
    return Numbers(str(metric), ["row", *heads], lines, note)


def markdown(plan: Plan, command: str, records: Sequence[Record]) -> str:
    """The tables, and what Fig. 1 comes to after the last epoch."""
    parts = [f"`{command}`", _facts(plan, records)]
    for table in metric_tables(records):
        rows = [[line.name, *(cell.text for cell in line.cells)] for line in table.rows]
        parts += [f"**{table.title}**", common.draw(rows, table.columns)]
    parts.append(
        "Mean of the last eighth of the epochs on the test part, ± standard deviation over seeds."
    )
    return "\n\n".join([*parts, *_last_look(records)]) + "\n"


def _facts(plan: Plan, records: Sequence[Record]) -> str:
    planted = next((record["result"]["planted"] for record in records), 0)
    config = plan.config
    return (
        f"{config['model']} on {config['dataset']}, {config['epochs']} epochs, "
        f"{len(plan.seeds)} seed(s); F is {planted} records, {plan.share:.0%} of the test part; "
        f"{len(records)} of {len(plan.runs)} runs are finished."
    )


def _last_look(records: Sequence[Record]) -> list[str]:
    """Fig. 1 b to d after the last epoch, in two tables."""
    parts = []
    medians, deviations = (figures_of(records, name) for name in ("medians", "deviations"))
    if not medians.empty and not deviations.empty:
        score, deviation = medians.iloc[-1], deviations.iloc[-1]
        rows = [[KINDS[k], f"{score[k]:.4f}", f"{deviation[k]:.4f}"] for k in KINDS]
        heads = ["after the last epoch of uniform draws", "median score", "std / mean of P_pos"]
        parts.append(common.draw(rows, heads))
    levels = figures_of(records, "levels")
    if not levels.empty:
        last = levels[levels["epoch"] == levels["epoch"].max()]
        heads = ["std / mean at P_pos", *(f"{level:.2f}" for level in last["level"])]
        rows = [[name, *(f"{value:.4f}" for value in last[name])] for name in ("false", "true")]
        parts.append(common.draw(rows, heads))
    errors = figures_of(records, "errors")
    if not errors.empty:
        last = errors[errors["epoch"] == errors["epoch"].max()]
        heads = ["candidates D", *(f"{d:g}" for d in last["difficulty"])]
        parts.append(
            common.draw([["label errors", *(f"{share:.4f}" for share in last["share"])]], heads)
        )
    return parts


def numbers(plan: Plan, command: str, records: Sequence[Record]) -> dict[str, Any]:
    """All that is tabled and drawn, as plain values."""
    found = {
        "metrics": over_seeds(last_epochs(by_epoch(records))),
        **{name: figures_of(records, name) for name in PARTS},
    }
    tables = {name: json.loads(table.to_json(orient="records")) for name, table in found.items()}
    return {"command": command, "share": plan.share, "seeds": list(plan.seeds), **tables}


def write_pages(plan: Plan, command: str, records: Sequence[Record]) -> list[Path]:
    """Write the page, and the figures as files where they are asked for; the files.

    Raises:
        UsageError: a package is not installed, or a file cannot be written.
    """
    charts = charts_of(records)
    path = beside(plan.out / "noise", ".html")
    page = Page(
        subject=f"{plan.config['model']} on {plan.config['dataset']}, false negatives planted",
        runs=len(records),
        command=command,
        settings=settings_table(plan),
        versions=records[0]["result"]["versions"],
        metrics=metric_tables(records),
        charts=charts,
    )
    write_page(path, page.html, "study noise")
    pictures = write_pictures(charts.found, plan.png) if plan.png else []
    return [path, *pictures]


def settings_table(plan: Plan) -> pd.DataFrame:
    """What was run: a line a row with its sampler, parameters and what all share."""
    lines = []
    for row, settings in plan.resolved.items():
        known = flat(settings)
        args = {
            k.partition(".")[2]: v for k, v in known.items() if k.startswith("neg_sampler_args.")
        }
        lines.append(
            {
                "row": row,
                "sampler": settings["neg_sampler"],
                "parameters": ", ".join(f"{k}={v}" for k, v in args.items()) or "none",
                "epochs": settings["epochs"],
                "learning rate": settings["learning_rate"],
                "batch": settings["train_batch_size"],
                "seeds": ", ".join(map(str, plan.seeds)),
            }
        )
    return pd.DataFrame(lines)
