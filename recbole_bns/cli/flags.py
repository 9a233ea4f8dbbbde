"""``--key=value`` and ``--key value``: the flags of the commands that take every setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recbole_bns.common.errors import UsageError


def parse_flags(arguments: Sequence[str], short: Mapping[str, str] | None = None) -> dict[str, Any]:
    """``--key=value`` and ``--key value`` as a mapping; values become what they spell.

    ``--config_files`` takes one or more paths.

    Args:
        arguments: the words.
        short: words without a value, and what each stands for.

    Raises:
        UsageError: not a flag, no value, or a flag given twice with different values.
    """
    from recbole_bns.settings.words import typed

    flags: dict[str, Any] = {}
    rest = [(short or {}).get(word, word) for word in arguments]
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or len(word) == 2:
            raise UsageError(f"argument '{word}': allowed are flags, --key=value or --key value.")
        key, equals, value = word[2:].partition("=")
        key = key.replace("-", "_")
        if key == "config_files":
            paths = value.split() if equals else []
            while not equals and rest and not rest[0].startswith("--"):
                paths.append(rest.pop(0))
            _set(flags, key, _given(key, paths))
            continue
        if not equals:
            value = _given(key, rest.pop(0) if rest and not rest[0].startswith("--") else "")
        elif key != "gpu_id":  # --gpu_id= is how RecBole is told to use the CPU
            _given(key, value)
        _set(flags, key, _listed(key, typed(value, key)))
    return flags


def _given(key: str, value: Any) -> Any:
    if not value:
        raise UsageError(f"--{key}: the value is missing; write --{key}=VALUE.")
    return value


def _listed(key: str, value: Any) -> Any:
    """``--topk=5,10`` and ``--metrics=NDCG,Recall`` are lists."""
    from recbole_bns.settings.declared import having
    from recbole_bns.settings.words import typed

    if key not in having("listed") or not isinstance(value, str) or "," not in value:
        return value
    return [typed(part.strip()) for part in value.split(",")]


def _set(flags: dict[str, Any], key: str, value: Any) -> None:
    if key in flags and flags[key] != value:
        raise UsageError(f"--{key}: given twice, {flags[key]!r} and {value!r}; write it once.")
    flags[key] = value
