"""``split`` in a ``Config``: RecBole's ``eval_args`` and the column of times follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recbole.utils import ModelType

from recbole_bns.common.errors import UsageError
from recbole_bns.settings.checks import check_parts
from recbole_bns.settings.splits import (
    KINDS,
    NONE,
    Split,
    check_split,
    chosen_split,
    plain_moments,
)

from .acting import STOCK_PROTOCOL


def put_into(final: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Put what ``split`` stands for in the place of what says nothing of it.

    What is not allowed stays, and is refused by :func:`check`.

    Args:
        final: all settings, changed in place.
        given: what the user wrote.
    """
    if final.get("split_time") is not None:
        final["split_time"] = plain_moments(final["split_time"])
    if final.get("split") is None:
        final["split"] = NONE
    chosen = _chosen(final)
    if chosen is None:
        return
    if isinstance(final.get("eval_args"), Mapping):
        final["eval_args"] = {**final["eval_args"], **chosen.eval_args()}
    if chosen.needs_times and "load_col" not in given:
        _load_times(final)


def _chosen(final: Mapping[str, Any]) -> Split | None:
    """The split, unless a setting of it has yet to be refused."""
    if final["split"] not in KINDS:
        return None
    try:
        return chosen_split(final)
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def _load_times(final: dict[str, Any]) -> None:
    load = final.get("load_col")
    columns = load.get("inter") if isinstance(load, Mapping) else None
    if load and isinstance(columns, list) and final["TIME_FIELD"] not in columns:
        final["load_col"] = {**load, "inter": [*columns, final["TIME_FIELD"]]}


def check(config: Any) -> None:
    """Refuse a split that contradicts other settings, or that the model cannot have.

    Raises:
        UsageError: names both, and what to write.
    """
    final = config.final_config_dict
    check_parts(final.get("benchmark_filename"))
    check_split(final, _said(config))
    kind = final["split"]
    if kind == "ratio" and config.model_class.type == ModelType.SEQUENTIAL:
        raise UsageError(
            f"split: got 'ratio', but {config.model} is a sequential model, whose histories are in "
            "the order of time; allowed are last, last_k and time."
        )


def _said(config: Any) -> dict[str, Any]:
    """Entries of ``eval_args`` that the user has written; those of files unless at the default."""
    default = config.internal_config_dict.get("eval_args") or {}
    said: dict[str, Any] = {}
    for file in config.files.values():
        for name, value in _entries(file).items():
            if value not in (default.get(name), STOCK_PROTOCOL.get(name)):
                said[name] = value
    return said | _entries(config.variable_config_dict)


def _entries(settings: Mapping[str, Any]) -> dict[str, Any]:
    args = settings.get("eval_args")
    return dict(args) if isinstance(args, Mapping) else {}
