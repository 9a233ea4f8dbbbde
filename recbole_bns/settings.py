"""Reading what users write: YAML files, typed strings, layers, the sampler's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import yaml

from .errors import UsageError

NO_SAMPLER = "none"
"""``neg_sampler: none`` leaves sampling to RecBole."""
MERGED = ("neg_sampler_args", "eval_args")
"""Settings whose layers are merged key by key instead of replaced."""
TEXT = {"model", "dataset", "out", "result_file", "data_path", "gpu_id", "user_inter_num_interval",
        "item_inter_num_interval"}  # fmt: skip
"""Settings whose value is text whatever it looks like."""


def _find_properties() -> Path:
    """``properties/`` of the checkout, or the copy that the wheel installed."""
    checkout = Path(__file__).parent.parent / "properties"
    if (checkout / "overall.yaml").is_file():
        return checkout
    return Path(str(files("recbole_bns.properties")))


PROPERTIES = _find_properties()


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
        raise UsageError(f"config file '{path}': got a {type(content).__name__}, allowed is a "
                         "mapping of settings (key: value).")  # fmt: skip
    for key in content:
        if not isinstance(key, str):
            raise UsageError(
                f"config file '{path}': got the key {key!r}, allowed are names of settings."
            )
    return content


def read_own(path: Path) -> dict[str, Any]:
    """One of our property files; nothing where we have none."""
    return read_yaml(path) if path.is_file() else {}


def typed(value: Any, key: str = "") -> Any:
    """A string as the number, boolean, None, list or mapping that it spells; no ``eval``.

    Numbers of NumPy, as search spaces have them, become Python's.
    """
    if isinstance(value, Mapping):
        return {name: v.item() if _is_number(v) else v for name, v in value.items()}
    if _is_number(value):
        return value.item()
    if not isinstance(value, str) or key in TEXT:
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
    for key, value in over.items():
        head, dot, rest = str(key).partition(".")
        if dot:
            inner = base.get(head)
            base[head] = merge(dict(inner) if isinstance(inner, Mapping) else {}, {rest: value})
        elif key in MERGED and isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            base[key] = {**base[key], **value}
        else:
            base[key] = value
    return base


def sampler_settings(config: Any) -> tuple[str, dict[str, Any], int]:
    """Name, arguments and number of negatives from any ``Config``, also one RecBole built.

    Raises:
        UsageError: ``neg_sampler_args`` is not a mapping, or ``neg_sample_num`` not a count.
    """
    source = getattr(config, "final_config_dict", config)
    args = source.get("neg_sampler_args") or {}
    if not isinstance(args, Mapping):
        raise UsageError(f"neg_sampler_args: got {args!r}, allowed is a mapping of parameters.")
    dotted = {k: v for k, v in source.items() if str(k).startswith("neg_sampler_args.")}
    args = merge({"neg_sampler_args": dict(args)}, dotted)["neg_sampler_args"]
    num = source.get("neg_sample_num", 1)
    if isinstance(num, bool) or not isinstance(num, int) or num < 1:
        raise UsageError(f"neg_sample_num: got {num!r}, allowed is an integer >= 1.")
    return str(source["neg_sampler"]).lower(), args, num


def derive_train_neg_sample_args(
    config: Any, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """RecBole's ``train_neg_sample_args`` that make its trainer hand over the model.

    Args:
        config: with ``neg_sampler`` and ``neg_sample_num``.
        given: the settings that the user wrote.

    Raises:
        UsageError: the user's own ``train_neg_sample_args`` contradict ``neg_sampler``.
    """
    name, _, num = sampler_settings(config)
    derived = {"distribution": "uniform", "sample_num": num, "alpha": 1.0, "dynamic": True,
               "candidate_num": 0}  # fmt: skip
    wish = (given or {}).get("train_neg_sample_args", {})
    agrees = isinstance(wish, Mapping) and not (
        wish.get("distribution", "uniform") != "uniform"
        or wish.get("sample_num", num) != num
        or wish.get("dynamic")
    )
    if not agrees:
        raise UsageError(
            f"train_neg_sample_args: got {wish}, which contradicts neg_sampler '{name}'; leave it "
            "out (neg_sampler, neg_sampler_args and neg_sample_num decide), or set neg_sampler: "
            f"{NO_SAMPLER} for RecBole's own."
        )
    return derived
