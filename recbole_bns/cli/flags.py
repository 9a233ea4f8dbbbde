"""``--key=value`` and ``--key value``: the flags of the commands that take every setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from recbole_bns.common.errors import UsageError

from .booleans import is_boolean

Value = TypeVar("Value")


def parse_flags(arguments: Sequence[str]) -> dict[str, Any]:
    """``--key=value`` and ``--key value`` as a mapping; values become what they spell.

    A setting that is yes or no needs no value.

    Raises:
        UsageError: not a flag, no value, or a flag given twice with different values.
    """
    from recbole_bns.settings.words import typed

    flags: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or len(word) == 2:
            raise UsageError(f"argument '{word}': allowed are flags, --key=value or --key value.")
        key, equals, value = word[2:].partition("=")
        key = with_underscores(key)
        if not equals and rest and not rest[0].startswith("--"):
            value = given_value(key, rest.pop(0))
        elif not equals:
            value = "True" if is_boolean(key) else given_value(key, "")
        elif key != "gpu_id":  # --gpu_id= is how RecBole is told to use the CPU
            given_value(key, value)
        add_flag(flags, key, _listed(key, typed(value, key)))
    return flags


DASHED = ("time-aware",)
"""Settings of RecBole whose name has a dash."""


def with_underscores(key: str) -> str:
    """The name of a setting, which may be written with dashes."""
    return key if key in DASHED else key.replace("-", "_")


def given_value(key: str, value: Value) -> Value:
    """The value of a flag.

    Raises:
        UsageError: there is none.
    """
    if not value:
        raise UsageError(f"--{key}: the value is missing; write --{key}=VALUE.")
    return value


def add_flag(flags: dict[str, Any], key: str, value: Any) -> None:
    """Put a flag among the others.

    Raises:
        UsageError: it is there with another value.
    """
    if key in flags and flags[key] != value:
        raise UsageError(f"--{key}: given twice, {flags[key]!r} and {value!r}; write it once.")
    flags[key] = value


def _listed(key: str, value: Any) -> Any:
    """``--topk=5,10`` and ``--metrics=NDCG,Recall`` are lists."""
    from recbole_bns.settings.declared import having
    from recbole_bns.settings.words import typed

    if key not in having("listed") or not isinstance(value, str) or "," not in value:
        return value
    return [typed(part.strip()) for part in value.split(",")]
