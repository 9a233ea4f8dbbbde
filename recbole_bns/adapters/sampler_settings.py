"""The sampler's settings in any ``Config``, and RecBole's that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, NamedTuple

from recbole_bns.common.errors import UsageError
from recbole_bns.losses import get as get_loss
from recbole_bns.mixers import get as get_mixer
from recbole_bns.runs.records import RunConfig, Settings
from recbole_bns.sampling import get, parse
from recbole_bns.settings.declared import NO_MIXER, NO_SAMPLER, OWN_LOSS
from recbole_bns.settings.words import merge


def sampler_settings(config: RunConfig) -> tuple[str, Settings, int]:
    """Name, arguments and number of negatives from any ``Config``, also one RecBole built.

    Raises:
        UsageError: ``neg_sampler_args`` is not a mapping, or ``neg_sample_num`` not a count.
    """
    source = config.final_config_dict
    args = source.get("neg_sampler_args") or {}
    if not isinstance(args, Mapping):
        raise UsageError(f"neg_sampler_args: got {args!r}, allowed is a mapping of parameters.")
    dotted = {k: v for k, v in source.items() if str(k).startswith("neg_sampler_args.")}
    args = merge({"neg_sampler_args": dict(args)}, dotted)["neg_sampler_args"]
    num = source.get("neg_sample_num", _negatives(source.get("loss"), source.get("mixer")))
    if isinstance(num, bool) or not isinstance(num, int) or num < 1:
        raise UsageError(f"neg_sample_num: got {num!r}, allowed is an integer >= 1.")
    return str(source["neg_sampler"]).lower(), args, num


def mapping_of(config: RunConfig, key: str) -> Mapping[str, Any]:
    """Parameters of any ``Config``, also those that are written with dots.

    Raises:
        UsageError: no mapping.
    """
    source = config.final_config_dict
    given = source.get(key) or {}
    if not isinstance(given, Mapping):
        raise UsageError(f"{key}: got {given!r}, allowed is a mapping of parameters.")
    dotted = {k: v for k, v in source.items() if str(k).startswith(f"{key}.")}
    inner: Mapping[str, Any] = merge({key: dict(given)}, dotted)[key]
    return inner


def _negatives(loss: Any, mixer: Any) -> int:
    """How many negatives a positive meets where nothing is said, as in RecBole's own Config."""
    if str(mixer or NO_MIXER).lower() != NO_MIXER:
        return get_mixer(str(mixer).lower()).negatives
    name = str(loss or OWN_LOSS).lower()
    return 1 if name == OWN_LOSS else get_loss(name).negatives


class Parsed(NamedTuple):
    """What a Config keeps of its sampler's parameters once they are parsed."""

    name: str
    args: Settings
    """As they were written: with others they are parsed anew."""
    params: Any
    """An instance of the sampler's ``Params``."""


def parsed_settings(config: RunConfig) -> tuple[str, Any, int]:
    """Name, parsed parameters and number of negatives from any ``Config``, which keeps them.

    Raises:
        UsageError: unknown name or parameter, wrong type, out of range.
    """
    name, args, num = sampler_settings(config)
    kept: Parsed | None = getattr(config, _KEPT, None)
    if kept is None or kept.name != name or not _same(kept.args, args):
        copies = {key: copy(v) if isinstance(v, (dict, list)) else v for key, v in args.items()}
        kept = Parsed(name, copies, parse(get(name).Params, args, "neg_sampler_args"))
        setattr(config, _KEPT, kept)
    return name, kept.params, num


_KEPT = "parsed_sampler"


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two mappings hold the same values; arrays only where they are the same object."""
    return one.keys() == other.keys() and all(
        value is other[key] or (not hasattr(value, "shape") and value == other[key])
        for key, value in one.items()
    )


def is_sampled(config: RunConfig) -> bool:
    """Whether a sampler of ours draws the training negatives; by default RecBole does."""
    name = config["neg_sampler"]
    return name is not None and str(name).lower() != NO_SAMPLER


def derive_train_neg_sample_args(
    config: RunConfig, given: Mapping[str, Any] | None = None
) -> Settings:
    """RecBole's ``train_neg_sample_args`` that make its trainer hand over the model.

    Args:
        config: with ``neg_sampler`` and ``neg_sample_num``.
        given: the settings that the user wrote.

    Raises:
        UsageError: the user's own ``train_neg_sample_args`` contradict ``neg_sampler``.
    """
    name, _, num = sampler_settings(config)
    derived = {
        "distribution": "uniform",
        "sample_num": num,
        "alpha": 1.0,
        "dynamic": True,
        "candidate_num": 0,
    }
    wish = (given or {}).get("train_neg_sample_args", {})
    agrees = isinstance(wish, Mapping) and not (
        wish.get("distribution", "uniform") != "uniform"
        or wish.get("sample_num", num) != num
        or wish.get("dynamic")
        or wish.get("alpha", 1.0) != 1.0
        or wish.get("candidate_num", 0) != 0
        or set(wish) - set(derived)
    )
    if not agrees:
        raise UsageError(
            f"train_neg_sample_args: got {wish}, which contradicts neg_sampler '{name}'; leave it "
            "out (neg_sampler, neg_sampler_args and neg_sample_num decide), or set neg_sampler: "
            f"{NO_SAMPLER} for RecBole's own."
        )
    return derived
