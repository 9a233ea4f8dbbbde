"""Are all given settings read? Of the code that is here; see :mod:`recbole_bns.settings.keys`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from recbole_bns import losses, mixers
from recbole_bns.common.params import outside
from recbole_bns.sampling import available
from recbole_bns.settings import keys
from recbole_bns.settings.declared import ours
from recbole_bns.settings.hints import Chosen, Parameters, meant

from .reads import known_keys, prefixes, read_by_any, read_by_transforms


def drop_removed(settings: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Settings without those that have gone; see :func:`recbole_bns.settings.keys.drop_removed`."""
    return keys.drop_removed(settings, _removed_parameters, where)


def _removed_parameters(sampler: str) -> Mapping[str, tuple[Any, str]]:
    cls = available().get(sampler)
    return getattr(cls.Params, "REMOVED", {}) if cls else {}


def known_of(model: type) -> keys.Known:
    """What is read with a model's class."""
    return keys.Known(
        model.__name__,
        known_keys(model),
        prefixes(model),
        read_by_any,
        read_by_transforms,
        parameters,
    )


def check_keys(
    files: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any], model: type, chosen: Chosen
) -> list[str]:
    """Refuse settings that nothing reads; see :func:`recbole_bns.settings.keys.check_keys`."""
    return keys.check_keys(files, given, known_of(model), chosen)


def parameters() -> Parameters:
    """Names of the parameters of samplers, losses and mixers, as users write them."""
    return Parameters(
        {name: _names(cls.Params) for name, cls in available().items()},
        {name: _names(cls.Params) for name, cls in losses.available().items()},
        {name: _names(cls.Params) for name, cls in mixers.available().items()},
    )


def _names(cls: type[Any]) -> list[str]:
    return [outside(spec.name) for spec in dataclasses.fields(cls)]


def hint_for(key: str, known: frozenset[str], chosen: Chosen) -> str:
    """What was most likely meant by a setting that nothing reads; see :func:`meant`."""
    return meant(key.partition(".")[0], known, chosen, parameters())


def without_unread(config: Any) -> dict[str, Any]:
    """What the user wrote, without what a file holds for other models."""
    known = known_of(config.model_class)
    return {
        key: value
        for key, value in config.external_config_dict.items()
        if config["allow_unknown"] or known.reads(key)
    }


def near_misses(given: Mapping[str, Any], model: type) -> list[str]:
    """Settings in a ``Config`` of RecBole's own that look like ours and are read by nobody."""
    known = known_of(model)
    found = []
    for key in map(str, given):
        if not known.reads(key):
            hint = meant(key.partition(".")[0], ours(), Chosen(), parameters())
            if hint:
                found.append(f"setting '{key}' is not known{hint}.")
    return found
