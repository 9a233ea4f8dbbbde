"""Values of the flags of ``recbole-bns tune``, each checked with a sentence."""

from __future__ import annotations

import math
import re
from typing import Any

from ..errors import UsageError, nearest

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def one_of(value: Any, allowed: tuple[str, ...], flag: str) -> str:
    """One of some words.

    Raises:
        UsageError: another one.
    """
    word = "none" if value in (None, False) else str(value).lower()
    if word not in allowed:
        raise UsageError(
            f"--{flag}: got '{value}'{nearest(word, allowed)}; allowed: {', '.join(allowed)}."
        )
    return word


def number(value: Any, flag: str, low: float, whole: bool) -> Any:
    """A number, or None where none is given.

    Raises:
        UsageError: no number, or one below ``low``.
    """
    if value is None:
        return None
    right = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not right or not math.isfinite(value) or value < low or (whole and value != int(value)):
        kind = "an integer" if whole else "a number"
        raise UsageError(f"--{flag}: got {value!r}, allowed is {kind} >= {low}.")
    return value


def seconds(value: Any) -> float | None:
    """``90``, ``90s``, ``30m`` or ``2h``; None where nothing is given.

    Raises:
        UsageError: something else.
    """
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip().lower())
    if isinstance(value, bool) or not match or not float(match[1]):
        raise UsageError(
            f"--time_budget: got {value!r}, allowed are seconds, or a number with s, m or h: 30m."
        )
    return float(match[1]) * _UNITS[match[2]]


def gpus() -> int:
    """GPUs of a trial where nothing is said: one where there is one."""
    import torch

    return int(torch.cuda.is_available())
