"""Are all given settings read? Those that nothing reads are refused, with what was meant.

What is read with a model stands in a :class:`Known`: of the code itself
(:mod:`recbole_bns.adapters.keys`), or, before that is imported, of the table that was written from
it (:mod:`.known`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from recbole_bns.common.errors import UsageError

from .declared import REMOVED, having
from .hints import Chosen, Parameters, meant

_RUN_FILES = ("run.log", "checkpoints")
"""Beside the settings that a run has written down."""

RemovedParameters = Callable[[str], Mapping[str, Any]]
"""Name of a sampler -> its parameters that have gone, as ``REMOVED`` of its ``Params`` has them."""


class Known(NamedTuple):
    """Settings that are read with a model, and what may have been meant by others."""

    model: str
    """Its name."""
    keys: frozenset[str]
    """Every setting that RecBole, the model or this package reads."""
    prefixes: tuple[str, ...]
    """Beginnings of settings that the model passes on."""
    by_any: Callable[[], frozenset[str]]
    """Settings that some model of RecBole reads."""
    by_transforms: Callable[[], frozenset[str]]
    """Settings that are read with ``transform`` alone."""
    parameters: Callable[[], Parameters]
    """Of all samplers, losses and mixers."""

    def reads(self, key: str) -> bool:
        """Whether a setting, perhaps with a dot, is read or was once."""
        head = key.partition(".")[0]
        return head in self.keys or head in REMOVED or head.startswith(self.prefixes or ("\0",))

    def hint(self, key: str, chosen: Chosen) -> str:
        """What was most likely meant by a setting that nothing reads; see :func:`.hints.meant`."""
        return meant(key.partition(".")[0], self.keys, chosen, self.parameters())


def drop_removed(
    settings: Mapping[str, Any], gone_of: RemovedParameters, where: str = ""
) -> dict[str, Any]:
    """Settings without those that have gone.

    Args:
        settings: by name.
        gone_of: of samplers.
        where: they stand, for errors: ``config file 'a.yaml': ``.

    Raises:
        UsageError: one that has gone is not at its old default; says what to write instead.
    """
    for key, (default, instead) in REMOVED.items():
        if key in settings and settings[key] != default:
            raise UsageError(f"{where}{key}: got {settings[key]!r}; {instead}")
    kept = {key: value for key, value in settings.items() if key not in REMOVED}
    args = kept.get("neg_sampler_args")
    gone = gone_of(str(kept.get("neg_sampler", "")).lower())
    if isinstance(args, Mapping) and gone:
        kept["neg_sampler_args"] = {
            key: value
            for key, value in args.items()
            if key not in gone or value != gone[key][0]  # another value is refused with the others
        }
    return kept


def check_keys(
    files: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any], known: Known, chosen: Chosen
) -> list[str]:
    """Refuse settings that nothing reads, which RecBole would pass over.

    Args:
        files: path -> settings, of the user's YAML files.
        given: settings of the command line or of a dict; dotted keys are allowed.
        known: what is read with the model.
        chosen: sampler, loss and mixer.

    Returns:
        remarks: settings of a file that only other models read, and those that were let pass.

    Raises:
        UsageError: one is read by nobody; names what was most likely meant.
    """
    everything = {**{k: v for file in files.values() for k, v in file.items()}, **given}
    if everything.get("transform") is not None:
        known = known._replace(keys=known.keys | known.by_transforms())
    lenient = everything.get("allow_unknown") in (True, "True")
    remarks: list[str] = []
    for path, settings in files.items():
        unknown = [key for key in map(str, settings) if not known.reads(key)]
        others = known.by_any() - set(having("computed"))
        elsewhere = [key for key in unknown if key.partition(".")[0] in others]
        let_pass = lenient or _is_of_a_run(path)
        if elsewhere and not let_pass:
            remarks.append(_of_others(path, elsewhere, known, chosen))
        _refuse(
            [key for key in unknown if key not in elsewhere or let_pass],
            f"config file '{path}': ",
            known,
            chosen,
            remarks if let_pass else None,
        )
    unknown = [key for key in map(str, given) if not known.reads(key)]
    _refuse(unknown, "", known, chosen, remarks if lenient else None)
    return remarks


def _is_of_a_run(path: str) -> bool:
    """Whether a run has written these settings, perhaps one that took what is refused now."""
    folder = Path(path).parent
    return any((folder / name).exists() for name in _RUN_FILES)


def _of_others(path: str, keys: list[str], known: Known, of: Chosen) -> str:
    own = {name for kind in known.parameters().kinds(of) for name in kind.own}
    hints = "".join(known.hint(key, of) for key in keys if key in own)
    return (
        f"config file '{path}': {', '.join(keys)}: read by other models of RecBole, not by "
        f"{known.model}: no effect here{hints}."
    )


def _refuse(
    unknown: list[str], where: str, known: Known, chosen: Chosen, remarks: list[str] | None
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
            f"{where}reg_weight: {known.model} has no L2 term with a weight in its loss; "
            "allowed is weight_decay, which is the optimizer's on all weights."
        )
    hint = known.hint(key, chosen)
    hint = hint or (
        f"; neither RecBole, {known.model}, {chosen.sampler} nor this package reads it (for a "
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
