"""How a model is tested, ``eval_args``: refused where RecBole would stop late, or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from recbole_bns.common.errors import UsageError, nearest

PARTS = ("split", "order", "group_by", "mode")
LEFT_OUT = ("valid_and_test", "valid_only", "test_only")


def check_protocol(args: Any) -> None:
    """Check ``eval_args``.

    Args:
        args: as the settings have them, before RecBole fills in what is missing.

    Raises:
        UsageError: setting, what was got, what is allowed.
    """
    if not isinstance(args, Mapping):
        return  # check_ranges has a sentence for it
    for key in args:
        if key not in PARTS:
            raise UsageError(
                f"eval_args.{key}: not known{nearest(str(key), PARTS)}; allowed are "
                f"{', '.join(PARTS)}."
            )
    if args.get("order", "RO") not in ("RO", "TO"):
        raise UsageError(
            f"eval_args.order: got {args['order']!r}, allowed are 'RO' (at random) and 'TO' (by "
            "time)."
        )
    if str(args.get("group_by") or "none").lower() not in ("user", "none"):
        raise UsageError(
            f"eval_args.group_by: got {args['group_by']!r}, allowed are 'user' and 'none'."
        )
    _check_mode(args.get("mode", "full"))
    _check_split(args.get("split", {"LS": LEFT_OUT[0]}))


def _check_mode(mode: Any) -> None:
    by_phase = mode if isinstance(mode, Mapping) else {"valid": mode, "test": mode}
    for phase, word in by_phase.items():
        if phase not in ("valid", "test"):
            raise UsageError(f"eval_args.mode.{phase}: allowed are valid and test.")
        if word not in ("full", "labeled") and not (
            isinstance(word, str) and re.fullmatch("(uni|pop)0*[1-9][0-9]*", word)
        ):
            key = "mode" if by_phase is not mode else f"mode.{phase}"
            raise UsageError(
                f"eval_args.{key}: got {word!r}, allowed are full, labeled, uniN and popN: N items "
                "drawn uniformly or by popularity, such as uni100."
            )


def _check_split(split: Any) -> None:
    """``{RS: [0.8, 0.1, 0.1]}`` or ``{LS: valid_and_test}``."""
    kind, value = next(iter(split.items())) if _has_one(split) else (None, None)
    if kind == "LS" and value in LEFT_OUT:
        return
    if kind == "RS" and _are_shares(value):
        return
    raise UsageError(
        f"eval_args.split: got {split!r}, allowed are {{RS: [0.8, 0.1, 0.1]}} (two or three "
        "shares >= 0 of training, validation and test) and {LS: WORD} with one of "
        f"{', '.join(LEFT_OUT)}."
    )


def _has_one(split: Any) -> bool:
    return isinstance(split, Mapping) and len(split) == 1


def _are_shares(value: Any) -> bool:
    if not isinstance(value, list) or len(value) not in (2, 3):
        return False
    numeric = [isinstance(v, (int, float)) and not isinstance(v, bool) for v in value]
    return all(numeric) and all(0 <= v < float("inf") for v in value) and sum(value) > 0
