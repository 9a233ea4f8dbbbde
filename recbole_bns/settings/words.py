"""What users write: YAML files, words that spell a number or a list, dotted keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

from recbole_bns.common.errors import UsageError

from .declared import having


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the entries of mappings under dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            flat[key] = value
    return flat


ARGS = ("neg_sampler_args.", "loss_args.")
"""Beginnings of dotted keys that need not be shown where the name behind the dot says it all."""


def short_names(keys: Iterable[str]) -> list[str]:
    """``lambda`` for ``neg_sampler_args.lambda``, ``temperature`` for ``loss_args.temperature``.

    Where two would be called the same, both keep their whole names.
    """
    short = {key: key.removeprefix(ARGS[0]).removeprefix(ARGS[1]) for key in keys}
    names = list(short.values())
    return [name if names.count(name) == 1 else key for key, name in short.items()]


HERE = "{here}"
"""At the beginning of ``data_path`` in a file of settings: the folder of that file."""


_SIXTIETHS = ("tag:yaml.org,2002:str", re.compile(r"^[-+]?\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?$"))


class _Loader(yaml.SafeLoader):
    """Safe YAML that reads 1e-3 as a number, as RecBole does, and 1:30 not as ninety."""

    yaml_implicit_resolvers: ClassVar = {
        first: [_SIXTIETHS, *found] if first in "-+0123456789" else found
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file as a mapping.

    Raises:
        UsageError: missing, not YAML, or not a mapping.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise UsageError(f"config file '{path}': {error.strerror or error}.") from error
    except Exception as error:  # PyYAML raises half a dozen kinds for a bad tag
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise UsageError(f"config file '{path}', line {line}: not valid YAML.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(
            f"config file '{path}': got a {type(content).__name__}, allowed is a "
            "mapping of settings (key: value)."
        )
    for key in content:
        if not isinstance(key, str):
            raise UsageError(
                f"config file '{path}': got the key {key!r}, allowed are names of settings."
            )
    return _placed(content, Path(path))


def _placed(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """Settings of a file whose data lie beside it, wherever both have been moved to."""
    root = content.get("data_path")
    if isinstance(root, str) and root.startswith(HERE):
        content["data_path"] = str(path.resolve().parent) + root.removeprefix(HERE)
    return content


def typed(value: Any, key: str = "") -> Any:
    """A string as the number, boolean, None, list or mapping that it spells; no ``eval``.

    Numbers of NumPy, as search spaces have them, become Python's.
    """
    if isinstance(value, Mapping):
        return {name: v.item() if _is_number(v) else v for name, v in value.items()}
    if _is_number(value):
        return value.item()
    if not isinstance(value, str) or key in having("text"):
        return value
    if value == "None":
        return None
    try:
        read = yaml.load(value, Loader=_Loader)
    except yaml.YAMLError:
        return value
    return read if isinstance(read, (int, float, bool, list, dict)) or read is None else value


def _is_number(value: Any) -> bool:
    return getattr(value, "shape", None) == () and hasattr(value, "item")


def merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``over`` on ``base``, in place; dotted keys set entries of nested mappings."""
    merged = having("merged")
    for key, value in over.items():
        head, dot, rest = str(key).partition(".")
        inner = base.get(head)
        if dot:
            base[head] = merge(dict(inner) if isinstance(inner, Mapping) else {}, {rest: value})
        elif key in merged and isinstance(value, Mapping) and isinstance(inner, Mapping):
            base[key] = {**inner, **value}
        else:
            base[key] = value
    return base
