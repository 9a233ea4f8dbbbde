"""Tables for a screen and for Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate


def draw(rows: Sequence[Sequence[Any]], heads: Sequence[str]) -> str:
    """A table of GitHub's Markdown."""
    return str(tabulate(rows, heads, tablefmt="github", disable_numparse=True))


def plus_minus(pair: pd.Series, digits: int) -> str:
    """Mean ± standard deviation, the latter left out where there is none."""
    return spread(f"{pair['mean']:.{digits}f}", pair["std"], digits)


def spread(mean: str, std: float, digits: int = 4) -> str:
    """``0.2150 ± 0.0071`` of a mean in words; without a spread where there is one value."""
    return mean if math.isnan(std) else f"{mean} ± {std:.{digits}f}"
