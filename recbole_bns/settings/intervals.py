"""RecBole's intervals, such as ``[5,inf)`` or ``(0,1];[3,4)``, read strictly."""

from __future__ import annotations

import re
from typing import Any

from recbole_bns.common.errors import UsageError

INTERVAL = re.compile(r"\s*([\[(])\s*([^,;\[\]()\s]+)\s*,\s*([^,;\[\]()\s]+)\s*([\])])\s*")
Endpoints = tuple[str, float, float, str]
"""Left bracket, both ends, right bracket."""


def intervals(value: Any, key: str) -> list[Endpoints]:
    """The intervals that a setting names, the way RecBole holds them.

    Args:
        value: text, or the list of two numbers that YAML makes of ``[5, 10]``.
        key: of the setting.

    Raises:
        UsageError: it is none, or one without a number in it.
    """
    text = value
    if isinstance(value, (list, tuple)) and len(value) == 2:
        text = f"[{value[0]},{value[1]}]"
    words = text.split(";") if isinstance(text, str) else []
    ends = [_endpoints(word) for word in words]
    found = [each for each in ends if each is not None]
    if not found or len(found) < len(ends):
        raise UsageError(
            f"{key}: got {value!r}, allowed is an interval that holds a number, such as [5,inf) or "
            "(0,10], or several of them: [1,2];[5,9]."
        )
    return found


def _endpoints(word: str) -> Endpoints | None:
    match = INTERVAL.fullmatch(word)
    if match is None:
        return None
    try:
        low, high = float(match[2]), float(match[3])
    except ValueError:
        return None
    holds = low < high or (low == high and match[1] + match[4] == "[]")
    return (match[1], low, high, match[4]) if holds else None


def admits_all(ends: list[Endpoints]) -> bool:
    """Whether every count, from 0 on, is in one of the intervals."""
    return any(
        (low < 0 or (low == 0 and left == "[")) and high == float("inf")
        for left, low, high, _ in ends
    )
