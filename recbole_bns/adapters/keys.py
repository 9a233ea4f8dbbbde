"""Are all given settings read? Those that nothing reads are refused, with what was meant."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_bns import losses, mixers
from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import outside
from recbole_bns.sampling import available
from recbole_bns.settings.declared import REMOVED, having, ours
from recbole_bns.settings.hints import Chosen, Parameters, meant

from .reads import known_keys, prefixes, read_by_any, read_by_transforms

_RUN_FILES = ("run.log", "checkpoints")
"""Beside the settings that a run has written down."""


def drop_removed(settings: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Settings without those that have gone.

    Args:
        settings: by name.
        where: they stand, for errors: ``config file 'a.yaml': ``.

    Raises:
        UsageError: one that has gone is not at its old default; says what to write instead.
    """
    for key, (default, instead) in REMOVED.items():
        if key in settings and settings[key] != default:
            raise UsageError(f"{where}{key}: got {settings[key]!r}; {instead}")
    kept = {key: value for key, value in settings.items() if key not in REMOVED}
    args = kept.get("neg_sampler_args")
    gone = _removed_parameters(str(kept.get("neg_sampler", "")).lower())
    if isinstance(args, Mapping) and gone:
        kept["neg_sampler_args"] = {
            key: value
            for key, value in args.items()
            if key not in gone or value != gone[key][0]  # another value is refused with the others
        }
    return kept


def _removed_parameters(sampler: str) -> Mapping[str, tuple[Any, str]]:
    cls = available().get(sampler)
    return getattr(cls.Params, "REMOVED", {}) if cls else {}


def check_keys(
    files: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any], model: type, chosen: Chosen
) -> list[str]:
    """Refuse settings that nothing reads, which RecBole would pass over.

    Args:
        files: path -> settings, of the user's YAML files.
        given: settings of the command line or of a dict; dotted keys are allowed.
        model: the class.
        chosen: sampler, loss and mixer.

    Returns:
        remarks: settings of a file that only other models read, and those that were let pass.

    Raises:
        UsageError: one is read by nobody; names what was most likely meant.
    """
    everything = {**{k: v for file in files.values() for k, v in file.items()}, **given}
    known = known_keys(model)
    if everything.get("transform") is not None:
        known |= read_by_transforms()
    lenient = everything.get("allow_unknown") in (True, "True")
    remarks: list[str] = []
    for path, settings in files.items():
        unknown = [key for key in map(str, settings) if not _is_known(key, known, model)]
        others = read_by_any() - set(having("computed"))
        elsewhere = [key for key in unknown if key.partition(".")[0] in others]
        let_pass = lenient or _is_of_a_run(path)
        if elsewhere and not let_pass:
            remarks.append(_of_others(path, elsewhere, known, model, chosen))
        _refuse(
            [key for key in unknown if key not in elsewhere or let_pass],
            f"config file '{path}': ",
            known,
            model,
            chosen,
            remarks if let_pass else None,
        )
    unknown = [key for key in map(str, given) if not _is_known(key, known, model)]
    _refuse(unknown, "", known, model, chosen, remarks if lenient else None)
    return remarks


def _is_known(key: str, known: frozenset[str], model: type) -> bool:
    head = key.partition(".")[0]
    return head in known or head in REMOVED or head.startswith(prefixes(model) or ("\0",))


def _is_of_a_run(path: str) -> bool:
    """Whether a run has written these settings, perhaps one that took what is refused now."""
    folder = Path(path).parent
    return any((folder / name).exists() for name in _RUN_FILES)


def _of_others(path: str, keys: list[str], known: frozenset[str], model: type, of: Chosen) -> str:
    every = parameters()
    own = {name for kind in every.kinds(of) for name in kind.own}
    hints = "".join(hint_for(key, known, of) for key in keys if key in own)
    return (
        f"config file '{path}': {', '.join(keys)}: read by other models of RecBole, not by "
        f"{model.__name__}: no effect here{hints}."
    )


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


def _refuse(
    unknown: list[str],
    where: str,
    known: frozenset[str],
    model: type,
    chosen: Chosen,
    remarks: list[str] | None,
) -> None:
    """Refuse settings that nothing reads, or where remarks are taken, say so there."""
    if not unknown:
        return
    if remarks is not None:
        names = ", ".join(unknown)
        remarks.append(f"{where}{names}: nothing is seen to read what is let pass here.")
        return
    key = unknown[0]
    if key in having("computed"):
        raise UsageError(f"{where}{_computed(key)}")
    if key == "reg_weight":
        raise UsageError(
            f"{where}reg_weight: {model.__name__} has no L2 term with a weight in its loss; "
            "allowed is weight_decay, which is the optimizer's on all weights."
        )
    hint = hint_for(key, known, chosen)
    hint = hint or (
        f"; neither RecBole, {model.__name__}, {chosen.sampler} nor this package reads it (for a "
        "model of your own allow_unknown: True lets it pass)"
    )
    raise UsageError(f"{where}setting '{key}' is not known{hint}.")


def _computed(key: str) -> str:
    words = {
        "device": "it is worked out; did you mean 'use_gpu' (True, False) or 'gpu_id' (0)?",
        "config_files": "it is a flag of recbole-bns run, compare and tune, not a setting",
        "out": "it is a flag of the command line, or an argument, not a setting",
        "result_file": "it is a flag of recbole-bns run, or an argument, not a setting",
    }
    reason = words.get(key, "it follows from others and cannot be set")
    return f"setting '{key}' is not known here: {reason}."


def without_unread(config: Any) -> dict[str, Any]:
    """What the user wrote, without what a file holds for other models."""
    known = known_keys(config.model_class)
    return {
        key: value
        for key, value in config.external_config_dict.items()
        if config["allow_unknown"] or _is_known(key, known, config.model_class)
    }


def near_misses(given: Mapping[str, Any], model: type) -> list[str]:
    """Settings in a ``Config`` of RecBole's own that look like ours and are read by nobody."""
    known = known_keys(model)
    found = []
    for key in map(str, given):
        if not _is_known(key, known, model):
            hint = meant(key.partition(".")[0], ours(), Chosen(), parameters())
            if hint:
                found.append(f"setting '{key}' is not known{hint}.")
    return found
