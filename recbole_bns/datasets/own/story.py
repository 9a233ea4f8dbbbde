"""What is said of interactions before they are trained on."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np

from .values import DATED

if TYPE_CHECKING:  # which says itself in these words
    from .interactions import Interactions


def story(data: Interactions) -> str:
    """Columns, rows, doubles, dislikes, what was dropped; users, items, density, times."""
    users, items = len(data.user_ids), len(data.item_ids)
    lines = list(data.told)
    lines.append(
        f"data:    {len(data):,} interactions of {users:,} users with {items:,} items, density "
        f"{100 * len(data) / (users * items):.3g} %"
    )
    if data.negatives is not None:
        lines.append(f"known dislikes: {data.negatives.shape[1]:,} pairs")
    lines.append(f"times:   {_times(data.time)}")
    if data.rating is not None:
        low, high = data.rating.min(), data.rating.max()
        rated = "" if low == high else ", each an interaction, whatever it is"
        lines.append(f"ratings: {low:g} to {high:g}{rated}")
    if data.weight is not None:
        lines.append(f"weights: {data.weight.min():g} to {data.weight.max():g}")
    return "\n".join(lines)


def _times(times: np.ndarray | None) -> str:
    if times is None:
        return "none"
    low, high = float(times.min()), float(times.max())
    if max(abs(low), abs(high)) < DATED:
        return f"{low:g} to {high:g} (no dates; the order counts)"
    return f"{_date(low)} to {_date(high)} (UTC)"


def _date(seconds: float) -> str:
    try:
        moment = datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return f"{seconds:g}"
    return f"{moment:%Y-%m-%d %H:%M}"
