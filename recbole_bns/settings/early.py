"""What can be refused of a command before PyTorch and RecBole are imported, which takes seconds.

The checks are those that ask again later, with the same sentences; what they go by is the table of
:mod:`.known`. What the table does not have passes here and is checked later.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from recbole_bns.common.errors import unknown
from recbole_bns.common.params import parse

from . import known
from .checks import (
    check_cuts,
    check_interactions,
    check_losses,
    check_metric_names,
    check_parts,
    check_ranges,
    check_samplers,
    unknown_model,
    words_of,
)
from .declared import NO_SAMPLER, declared
from .hints import FLAGS, Chosen
from .keys import check_keys, drop_removed
from .presets import over_preset
from .properties import PROPERTIES, cell, host_folder, models_of, of_data
from .words import merge, read_yaml, typed

BUNDLED = "ml-100k"
"""The data set that RecBole brings along."""

OWNERS = {"neg_sampler": "", "loss": "loss {}", "mixer": "mixer {}"}
"""Settings that name a class, and whose its parameters are called in a refusal."""


class Asked(NamedTuple):
    """What a command is asked for, as far as words and files say it."""

    model: str
    dataset: str
    settings: Mapping[str, Any]
    """Of the user, files and words merged, over those of a preset."""

    @property
    def chosen(self) -> Chosen:
        """Sampler, loss and mixer; a mixer decides what is not said."""
        kinds = known.kinds()
        mixer = self._name(kinds["mixer"], declared()["mixer"].default)
        of_mixer = kinds["mixer"].classes.get(mixer, {})
        given = {
            kind: of_mixer.get(kind, declared()[setting].default)
            for setting, kind in (("neg_sampler", "sampler"), ("loss", "loss"))
        }
        sampler = self._name(kinds["neg_sampler"], given["sampler"])
        return Chosen(sampler, self._name(kinds["loss"], given["loss"]), mixer)

    def _name(self, kind: known.Kind, default: Any) -> str:
        value = self.settings.get(kind.setting, default)
        return str(value or [*kind.beside, NO_SAMPLER][0]).lower()

    @property
    def shown(self) -> bool:
        """Whether progress is shown."""
        return bool(self.settings.get("show_progress", True))


class Words(NamedTuple):
    """Settings of the user, read but not checked."""

    files: dict[str, dict[str, Any]]
    """Path -> content."""
    given: dict[str, Any]
    """Of the command line."""

    def asked(self, model: Any, dataset: Any) -> Asked:
        """All of it in one, with what holds where nothing is said."""
        merged: dict[str, Any] = {}
        for content in self.files.values():
            merge(merged, content)
        written = drop_removed(merge(merged, self.given), known.removed_parameters)
        settings = over_preset(written)
        model = model or settings.get("model") or "LightGCN"
        dataset = dataset or settings.get("dataset") or BUNDLED
        return Asked(str(model), str(dataset), settings)


def read_words(config_files: Sequence[str] | None, given: Mapping[str, Any]) -> Words:
    """Read the user's files, and what was written beside them.

    Raises:
        UsageError: a file cannot be read, or a setting has gone.
    """
    files = {
        str(path): drop_removed(
            read_yaml(path), known.removed_parameters, f"config file '{path}': "
        )
        for path in config_files or []
    }
    words = merge({}, {key: typed(value, key) for key, value in given.items()})
    return Words(files, drop_removed(words, known.removed_parameters))


def check_run(
    model: Any,
    dataset: Any,
    config_files: Sequence[str] | None,
    given: Mapping[str, Any],
    *,
    data: bool = True,
) -> Asked:
    """Check what was asked of one run, or of the trials of a sweep.

    Args:
        model: name, or None where files or defaults say it.
        dataset: likewise.
        config_files: YAML files of the user.
        given: settings of the command line.
        data: whether the data set is to be there already.

    Returns:
        what was asked for.

    Raises:
        UsageError: a name, a key or a value is wrong for sure, or the data set is not there.
    """
    words = read_words(config_files, given)
    asked = words.asked(model, dataset)
    _check_model(asked.model)
    _check_keys(words, asked.model, asked.chosen)
    with known.unless_others():
        _check_names(asked.settings)
    _check_values(asked)
    if data:
        _check_data(asked)
    return asked


def check_comparison(
    model: Any,
    dataset: Any,
    config_files: Sequence[str] | None,
    flags: Mapping[str, Any],
    *,
    data: bool = True,
) -> Asked:
    """Check what was asked of a comparison: its rows, the settings that they share, the data set.

    Args:
        model: see :func:`check_run`.
        dataset: see there.
        config_files: see there.
        flags: all others of the command line.
        data: see there.

    Returns:
        what was asked for; no sampler or loss but that of the files.

    Raises:
        UsageError: see :func:`check_run`.
    """
    shared = {key: value for key, value in flags.items() if key not in NO_SETTINGS}
    words = read_words(config_files, {k: v for k, v in shared.items() if "." not in k})
    asked = words.asked(model, dataset)
    _check_model(asked.model)
    if flags.get("variants") is None:  # a variant is a row, and may have a model of its own
        with known.unless_others():
            _check_rows(flags)
        last = _last_row(flags, asked.chosen.loss)
        if last.sampler != NO_SAMPLER:  # whose refusals begin with the row's name
            _check_keys(_without_parameters(words), asked.model, last)
        _check_values(_of_all_rows(asked))
    if data:
        _check_data(asked)
    return asked


NO_SETTINGS = (*FLAGS["compare"], *FLAGS["run"])
"""Flags of a comparison that are no settings, or that are refused in another way."""


OF_A_SWEEP = (*FLAGS["tune"], "metric", "out", "resume")
"""Flags of a sweep that are no settings."""


def title(asked: Asked) -> str:
    """What is trained, as the display of a run has it: ``BPR on ml-100k with dns+ssm``."""
    of = asked.chosen
    drawn = "RecBole's sampling" if of.sampler == NO_SAMPLER else cell(*of)
    return f"{asked.model} on {asked.dataset} with {drawn}"


def title_of_rows(asked: Asked, flags: Mapping[str, Any]) -> str:
    """What is compared: ``comparison of rns, dns: BPR on ml-100k``."""
    rows = [", ".join(words_of(flags[k])) for k in ("samplers", "losses") if flags.get(k)]
    named = " crossed with ".join(rows) or ("all samplers" if not flags.get("variants") else "rows")
    return f"comparison of {named}: {asked.model} on {asked.dataset}"


def check_listed(setting: str, names: Sequence[str]) -> None:
    """Check the names of classes that a command lists.

    Args:
        setting: whose values they are.
        names: as they were written.

    Raises:
        UsageError: an unknown one.
    """
    kind = known.kinds()[setting]
    with known.unless_others():
        for name in names:
            if name not in kind.classes:
                raise unknown(setting, name, kind.names, known.elsewhere(name))


def _check_rows(flags: Mapping[str, Any]) -> None:
    """Check ``--samplers`` and ``--losses``."""
    losses, samplers = (known.kinds()[kind].names for kind in ("loss", "neg_sampler"))
    mixers = known.kinds()["mixer"].classes
    if flags.get("losses") is not None:
        check_losses(words_of(flags["losses"]), losses)
    check_samplers(_samplers(flags), [*samplers, NO_SAMPLER, *mixers], losses)


def _samplers(flags: Mapping[str, Any]) -> list[str]:
    """Samplers and rows that are asked for; where none is, those that any loss can be had with."""
    asked = flags.get("samplers")
    if asked is None:
        classes = known.kinds()["neg_sampler"].classes
        return [name for name in sorted(classes) if classes[name]["any_loss"]]
    return list(dict.fromkeys(words_of(NO_SAMPLER if asked is False else asked)))


def _last_row(flags: Mapping[str, Any], loss: str) -> Chosen:
    """Sampler and loss of the row that a comparison checks first."""
    of_rows = [loss] if flags.get("losses") is None else words_of(flags["losses"])
    sampler, plus, own = _samplers(flags)[-1].partition("+")
    loss = own if plus else of_rows[-1]
    of_mixer = known.kinds()["mixer"].classes.get(sampler)
    if of_mixer is not None:
        of_its_own = loss == declared()["loss"].default
        return Chosen(of_mixer["sampler"], of_mixer["loss"] if of_its_own else loss, sampler)
    return Chosen(sampler, loss)


def _of_all_rows(asked: Asked) -> Asked:
    """Without what the rows put something else in the place of."""
    own = {key for setting in known.kinds() for key in (setting, f"{setting}_args")}
    return asked._replace(settings={k: v for k, v in asked.settings.items() if k not in own})


def _without_parameters(words: Words) -> Words:
    """Without what is a parameter of a sampler or a loss, about which a comparison says more."""
    every = known.parameters()
    names = {n for of in every for some in of.values() for n in some}
    return words._replace(given={k: v for k, v in words.given.items() if k not in names})


def _check_model(model: str) -> None:
    entry = known.host()
    if entry is not None:
        names = models_of(host_folder())
        if model not in names and model not in entry["models"]:
            raise unknown_model(model, names)


def _check_keys(words: Words, model: str, chosen: Chosen) -> None:
    read = known.known_of(model)
    if read is not None:
        with known.unless_others():
            check_keys(words.files, words.given, read, chosen)


def _named(kind: known.Kind, settings: Mapping[str, Any]) -> str | None:
    """The class that settings name; None where they name none."""
    value = settings.get(kind.setting)
    if value is None or (kind.beside and not value):  # of a loss or a mixer: none
        return None
    if str(value).lower() in (*kind.beside, NO_SAMPLER):
        return None
    return str(value).lower()


def _check_names(settings: Mapping[str, Any]) -> None:
    """Check names of losses, samplers and whatever else has a name in the table."""
    for setting in sorted(known.kinds()):
        kind = known.kinds()[setting]
        name = _named(kind, settings)
        if name is not None and name not in kind.classes:
            raise unknown(setting, name, kind.names, known.elsewhere(name))


def _check_values(asked: Asked) -> None:
    """Check the values of settings and parameters, each by itself."""
    settings = dict(asked.settings)
    check_ranges(settings)
    _check_parameters(settings, asked.chosen)
    if "metrics" in settings and known.host() is not None:
        check_metric_names(_listed(settings["metrics"]), (known.host() or {})["metrics"])
    if "topk" in settings:
        check_cuts(_listed(settings["topk"]))


def _check_parameters(settings: Mapping[str, Any], chosen: Chosen) -> None:
    given = {**settings, "neg_sampler": chosen.sampler, "loss": chosen.loss}
    for setting, owner in OWNERS.items():
        kind, args = known.kinds()[setting], f"{setting}_args"
        name = _named(kind, given)
        if name in kind.classes:
            parse(kind.params(str(name)), settings.get(args) or {}, args, owner.format(name))
    for setting, params in known.mappings().items():
        parse(params, settings.get(setting) or {}, setting)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _check_data(asked: Asked) -> None:
    """Check that the files of the interactions are there."""
    settings, name = asked.settings, asked.dataset
    if name == BUNDLED and "data_path" not in settings:
        return
    shipped = [PROPERTIES / "dataset" / f"{name}.yaml"]
    if known.host() is not None:
        shipped.insert(0, host_folder() / "properties" / "dataset" / f"{name}.yaml")
    default = declared()["data_path"].default
    own = of_data(name, settings.get("data_path", default), shipped)
    root = settings.get("data_path", own.get("data_path", default))
    parts = settings.get("benchmark_filename", own.get("benchmark_filename"))
    check_parts(parts)
    check_interactions(name, Path(os.path.join(str(root), name)), parts, own.get("how_to_get"))
