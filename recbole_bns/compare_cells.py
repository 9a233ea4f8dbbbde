"""Cells of the tables of a comparison."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate

ABBREVIATED = {"ndcg", "mrr", "map", "auc", "gauc", "mae", "rmse"}


def plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as mappings of Python's own types; NaN becomes None."""
    return [
        {key: _plain_value(value) for key, value in row.items()}
        for row in table.astype(object).to_dict("records")
    ]


def _plain_value(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and math.isnan(value) else value


def draw(rows: Sequence[Sequence[Any]], heads: Sequence[str]) -> str:
    """A table of GitHub's Markdown."""
    return str(tabulate(rows, heads, tablefmt="github", disable_numparse=True))


def title(metric: str) -> str:
    """``ndcg@5`` as ``NDCG@5``."""
    name, at, k = metric.partition("@")
    return (name.upper() if name in ABBREVIATED else name.capitalize()) + at + k


def mean_cell(row: pd.Series) -> str:
    """``**0.1234** ± 0.0010`` of a row of the table of means."""
    mean = f"{row['mean']:.4f}"
    mean = {1: f"**{mean}**", 2: f"<u>{mean}</u>"}.get(int(row["rank"]), mean)
    return mean if math.isnan(row["std"]) else f"{mean} ± {row['std']:.4f}"


def test_cell(row: pd.Series) -> str:
    """``+0.0123 (0.004, 2e-05)`` of a row of the table of tests."""
    text = f"{row['difference']:+.4f}"
    if math.isnan(row["p_t_holm"]):
        return text
    return f"{text} ({_p(row['p_t_holm'])}, {_p(row['p_wilcoxon_holm'])})"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def plus_minus(pair: pd.Series, digits: int) -> str:
    """Mean ± standard deviation, the latter left out where there is none."""
    mean = f"{pair['mean']:.{digits}f}"
    return mean if math.isnan(pair["std"]) else f"{mean} ± {pair['std']:.{digits}f}"


def defined(metrics: Collection[str]) -> str:
    """What those of the papers are, in a sentence."""
    kinds = {name.partition("@")[0] for name in metrics}
    what = {
        "recall": "recall divides by all test items",
        "precision": "precision divides by k",
        "ndcg": "the ideal NDCG counts min(k, test items)",
    }
    said = [text for kind, text in what.items() if kind in kinds]
    return f" Averaged over the users with test items; {', '.join(said)}." if said else ""
