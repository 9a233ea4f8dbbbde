"""The rows of a comparison: samplers and variants, crossed with losses, and the flags of each.

A row is a name and the settings that make it one. ``dns`` is the sampler with the model's own loss,
``dns+ssm`` the sampler with a loss over many negatives; ``mixgcf`` is the mixer over the sampler
that is meant to draw its candidates, with its own loss, ``mixgcf+ssm`` with another; a variant is
what its file says, and is crossed with the losses as a sampler is where it says none itself.
``mixer`` may be a setting of all rows, too; its loss is that of the rows where none is named.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from recbole_bns import losses as all_losses
from recbole_bns import mixers, sampling
from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.common.params import defaults
from recbole_bns.runs.records import Settings
from recbole_bns.sampling.capabilities import serves_any_data, serves_any_loss
from recbole_bns.settings.checks import check_losses, check_samplers, words_of
from recbole_bns.settings.declared import NO_MIXER, NO_SAMPLER, OWN_LOSS, declared, having
from recbole_bns.settings.presets import over_preset
from recbole_bns.settings.properties import cell
from recbole_bns.settings.words import read_yaml

FIRST = "rns"
"""What the others are compared with where nothing else is said."""

Own = dict[str, Settings]
"""Row -> settings that are its alone."""


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        sampler: its name, a mixer's, or a variant's.
        loss: its name; that of the model where nothing is said.
        crossed: whether the loss comes from outside, not from the variant's file.
        settings: that make it what it is; none of a sampler with the model's own loss.
        mixes: whether it is a mixer by name.
    """

    sampler: str
    loss: str = OWN_LOSS
    crossed: bool = True
    settings: Settings = field(default_factory=dict)
    mixes: bool = False

    @property
    def name(self) -> str:
        """``dns``, ``dns+ssm``, or a variant's name."""
        return cell(self.sampler, self.loss) if self.crossed else self.sampler

    @property
    def parts(self) -> tuple[str, ...]:
        """What names it beside its own name: its sampler or variant, and its loss."""
        return (self.sampler, self.loss)


def read_rows(
    samplers: Any, losses: Any, variants: Own, of_files: Any = None, mixer: Any = None
) -> list[Row]:
    """The rows that the flags come to, in the order of the table.

    Args:
        samplers: ``--samplers``: samplers, mixers, variants and whole rows (``dns+ssm``), or None:
            all variants, else all samplers.
        losses: ``--losses``, or None: that of the user's files, else the model's own.
        variants: of :func:`read_variants`.
        of_files: the loss that the user's files name.
        mixer: of all rows; None: there is none.

    Raises:
        UsageError: unknown sampler, loss or mixer, or two rows of one name.
    """
    known = _losses(losses, of_files or loss_of({"mixer": mixer}))
    names = _samplers(samplers, variants)
    rows = [row for name in names for row in _rows_of(name, known, variants)]
    mixed = str(mixer or NO_MIXER).lower() != NO_MIXER
    if samplers is None and not variants:
        rows = [row for row in rows if not _lacking(row) and not (mixed and _has_lists(row))]
        rows = [row for row in rows if serves_any_data(sampling.get(row.sampler))]
    found: dict[str, Row] = {}
    for row in rows:
        if mixed and row.mixes:
            raise UsageError(
                f"--samplers: got '{row.sampler}', a mixer, beside --mixer={mixer}, which is for "
                "all rows; leave one of them out."
            )
        if lacking := _lacking(row):
            raise UsageError(f"--samplers: {row.name}: {lacking}")
        if found.setdefault(row.name, row) != row:
            raise UsageError(
                f"--variants: '{row.name}' is the name of two rows; give the variant another name."
            )
    return list(found.values())


def _lacking(row: Row) -> str:
    """Why a sampler cannot be trained with a loss, and what to write; nothing where it can."""
    sampler = str(row.settings.get("neg_sampler", row.sampler)).lower()
    if sampler == NO_SAMPLER and row.loss != OWN_LOSS:
        return (
            f"neg_sampler '{NO_SAMPLER}' is RecBole's own sampling, which gives the model's own "
            f"loss its negatives; name the rows one by one, as in --samplers=none,rns+{row.loss}."
        )
    if sampler != NO_SAMPLER and row.loss == OWN_LOSS and not _serves_any(sampler):
        return (
            f"neg_sampler '{sampler}' needs a loss over many negatives; name losses with --losses, "
            f"or the rows one by one, as in --samplers=rns,{sampler}+ssm."
        )
    return ""


def _has_lists(row: Row) -> bool:
    """Whether a row's sampler gives a batch one list, of which nothing is mixed."""
    return bool(getattr(sampling.available().get(row.sampler), "only_shared", False))


def _serves_any(sampler: str) -> bool:
    return serves_any_loss(sampling.get(sampler))


def _rows_of(name: str, losses: Sequence[str], variants: Own) -> list[Row]:
    """A sampler or variant with each loss; a whole row is itself alone."""
    if name in variants:
        own = variants[name]
        if own.get("loss") or own.get("mixer"):
            return [Row(name, loss_of(own), False, own)]
        return [
            Row(name, loss, True, own if loss == OWN_LOSS else {**own, "loss": loss})
            for loss in losses
        ]
    sampler, plus, alone = name.partition("+")
    return [_crossed(sampler, loss) for loss in ([alone] if plus else losses)]


def _crossed(sampler: str, loss: str) -> Row:
    if sampler in mixers.available():
        cls = mixers.get(sampler)
        own = {"neg_sampler": cls.sampler, "mixer": sampler}
        if loss == OWN_LOSS:
            return Row(sampler, cls.loss, False, own, mixes=True)
        return Row(sampler, loss, True, {**own, "loss": loss}, mixes=True)
    if loss == OWN_LOSS:
        return Row(sampler)
    return Row(sampler, loss, True, {"neg_sampler": sampler, "loss": loss})


def loss_of(settings: Mapping[str, Any]) -> str:
    """The loss that settings come to: the named one, else that of their mixer, else the model's.

    Raises:
        UsageError: unknown mixer.
    """
    if settings.get("loss"):
        return str(settings["loss"]).lower()
    mixer = str(settings.get("mixer") or NO_MIXER).lower()
    return OWN_LOSS if mixer == NO_MIXER else mixers.get(mixer).loss


def known_losses() -> list[str]:
    """Names of losses, the model's own first."""
    return [OWN_LOSS, *all_losses.available()]


def _losses(value: Any, of_files: Any) -> list[str]:
    if value is None:
        return [str(of_files or OWN_LOSS).lower()]
    names = words_of(value)
    check_losses(names, known_losses())
    return list(dict.fromkeys(names))


def _samplers(value: Any, variants: Collection[str]) -> list[str]:
    """Named ones, else all variants, else all samplers."""
    if value is None and variants:
        return list(variants)
    if value is None:
        return sorted(sampling.available(), key=lambda name: (name != FIRST, name))
    written = {name.lower(): name for name in variants}
    known = [*sampling.available(), NO_SAMPLER, *mixers.available(), *written]
    names = words_of("none" if value is False else value)
    check_samplers(names, known, known_losses())
    return [written.get(name, name) for name in dict.fromkeys(names)]


def reference_of(value: Any, rows: Sequence[Row]) -> str:
    """The row that the others are tested against.

    Args:
        value: ``--reference``: a row, or a sampler, variant or loss that only one row has; None:
            the first of ``rns``, else the first.
        rows: of the table.

    Raises:
        UsageError: no row, or several.
    """
    names = [row.name for row in rows]
    if value is None:
        of_first = [name for name in names if name.partition("+")[0] == FIRST]
        return FIRST if FIRST in names else [*of_first, *names][0]
    word = str(value).lower()
    found = [name for name in names if name.lower() == word]
    found = found or [row.name for row in rows if word in map(str.lower, row.parts)]
    if not found:
        raise UsageError(
            f"--reference: got '{value}'{nearest(word, names)}; allowed is one of --samplers: "
            f"{', '.join(names)}."
        )
    if len(found) > 1:
        raise UsageError(
            f"--reference: got '{value}', which {len(found)} rows have; allowed is one of "
            f"{', '.join(found)}."
        )
    return found[0]


ELSEWHERE = {
    "neg_sampler": "--samplers=A,B",
    "neg_sampler_args": "--SAMPLER.KEY=VALUE for one of the samplers",
    "loss": "--losses=A,B",
    "loss_args": "--LOSS.KEY=VALUE for one of the losses",
    "seed": "--seeds=N or --seeds=3,7,9",
    "result_file": "--out=DIR, which gets a file for each run",
    "resume": "--out=DIR, which goes on where it was stopped",
    "checkpoint_every": "--out=DIR, which keeps each finished run",
}
"""Settings of a run that no comparison has, and what to write."""


def split(flags: Mapping[str, Any], rows: Sequence[Row]) -> tuple[Settings, Own]:
    """Flags into those of all runs and those of some rows.

    ``dns.candidate_num`` is a parameter of all rows with that sampler or mixer, ``ssm.temperature``
    of all with that loss, and ``dns+ssm.KEY`` or ``VARIANT.KEY`` a setting of the row alone, which
    counts more. What a variant's file names, its sampler and perhaps its loss, is the variant's
    alone.

    Returns:
        settings of all runs, and by row those that make it one.

    Raises:
        UsageError: a setting that no comparison has, or one of a row that is not asked for.
    """
    settings: Settings = {}
    own = {row.name: dict(row.settings) for row in rows if row.settings}
    alone: Own = {}
    for key, value in flags.items():
        row, rest = _of_row(key, rows)
        head, dot, parameter = key.partition(".")
        if row:
            alone.setdefault(row, {})[rest] = value
        elif head in ELSEWHERE:
            remedy = ELSEWHERE[head].replace("KEY", parameter or "KEY")
            raise UsageError(f"--{key}: not a setting of a comparison; write {remedy}.")
        elif dot and (mapping := _mapping_of(head, rows)):
            for name in _rows_with(head, key, mapping, rows):
                own.setdefault(name, {})[f"{mapping}.{parameter}"] = value
        else:
            settings[key] = value
    for name, added in alone.items():
        own.setdefault(name, {}).update(added)
    return settings, own


def _of_row(key: str, rows: Sequence[Row]) -> tuple[str, str]:
    """``dns+ssm.KEY`` as row and setting; nothing where the key is of no row's own.

    ``dns.KEY`` is a parameter of the sampler, also where there is such a row.

    Raises:
        UsageError: the setting is what makes the row, or is the same for all.
    """
    for row in rows:
        name = row.name.replace("-", "_")  # as flags are read
        if not key.startswith(f"{name}.") or _mapping_of(row.name, rows) or row.name in declared():
            continue
        setting = key[len(name) + 1 :]
        if setting.partition(".")[0] in {
            "neg_sampler",
            "loss",
            "mixer",
            *having("shared_in_comparison"),
        }:
            raise UsageError(
                f"--{key}: {setting} is no setting of one row; allowed are the others, such as "
                f"--{name}.learning_rate=0.01."
            )
        return row.name, setting
    return "", ""


def _mapping_of(head: str, rows: Sequence[Row]) -> str:
    """What holds the parameters of a sampler, a loss or a mixer; nothing for another word.

    A mixer's name is meant as such where it is a row: a variant may be called so.

    Raises:
        UsageError: it is the name of a sampler and of a loss.
    """
    if any(row.mixes and row.sampler == head for row in rows):
        return "mixer_args"
    kinds = [
        mapping
        for mapping, names in (
            ("neg_sampler_args", sampling.available()),
            ("loss_args", all_losses.available()),
        )
        if head in names
    ]
    if len(kinds) > 1:
        raise UsageError(
            f"--{head}.KEY: '{head}' is the name of a sampler and of a loss; write "
            f"--ROW.{kinds[0]}.KEY=VALUE or --ROW.{kinds[1]}.KEY=VALUE for a row as "
            "--samplers=A+LOSS names it."
        )
    return kinds[0] if kinds else ""


def _rows_with(head: str, key: str, mapping: str, rows: Sequence[Row]) -> list[str]:
    """Rows that a parameter is for: those whose sampler, mixer or loss the command line names.

    Raises:
        UsageError: there is none.
    """
    of_sampler = mapping != "loss_args"
    names = [
        row.name
        for row in rows
        if (row.sampler if of_sampler else row.crossed and row.loss) == head
    ]
    if not names:
        asked = dict.fromkeys(row.sampler if of_sampler else row.loss for row in rows)
        flag = "--samplers" if of_sampler else "--losses"
        raise UsageError(f"--{key}: '{head}' is not among {flag}: {', '.join(asked)}.")
    return names


def parameters_of(rows: Sequence[Row]) -> dict[str, set[str]]:
    """Sampler, mixer or loss of the rows -> names of its parameters."""
    kinds = [
        *((row.sampler, mixers) for row in rows if row.mixes),
        *((row.sampler, sampling) for row in rows if row.sampler in sampling.available()),
        *((row.loss, all_losses) for row in rows if row.crossed and row.loss != OWN_LOSS),
    ]
    return {name: set(defaults(room.get(name).Params)) for name, room in dict(kinds).items()}


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=+-]*")


def read_variants(path: Any, beside: Mapping[str, Any] | None = None) -> Own:
    """Read ``{NAME: {neg_sampler: bns, neg_sampler_args: {...}, loss: ssm, ...}, ...}``.

    A variant may have a model of its own: ``{EASE: {neg_sampler: none, model: EASE}}``, and a
    preset, whose settings it begins with: ``{mined: {preset: mined-ssm}}``. Settings of the whole
    table count more than those of the preset, and the variant's own most.

    Args:
        path: of the YAML file, or None.
        beside: settings of the whole table.

    Returns:
        name -> settings of its runs, in the file's order.

    Raises:
        UsageError: a name that is no file name or is a sampler's, or settings that are no mapping,
            lack ``neg_sampler``, or are those of the whole table.
    """
    if path is None:
        return {}
    where = f"--variants: '{path}'"
    variants: Own = {}
    for name, settings in read_yaml(str(path)).items():
        _check_name(name, variants, where)
        if isinstance(settings, Mapping) and settings.get("preset") is not None:
            with _in_variant(where, name):
                settings = over_preset(settings, beside)
        _check_variant(name, settings, where)
        variants[name] = dict(settings)
    if not variants:
        raise UsageError(f"{where}: no variants in it.")
    return variants


@contextmanager
def _in_variant(where: str, name: str) -> Iterator[None]:
    """Say of a refusal in which variant it was."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{where}: {name}: {error}") from error


def refuse_preset(settings: Mapping[str, Any]) -> None:
    """Refuse a preset for all rows, which name sampler and loss themselves.

    Raises:
        UsageError: says where one can be.
    """
    if settings.get("preset") is not None:
        raise UsageError(
            f"preset: got '{settings['preset']}', but the rows of a table name their sampler and "
            "loss themselves; write it into a row of --variants=FILE, as in "
            "{mined: {preset: mined-ssm}}."
        )


def _check_name(name: str, taken: Collection[str], where: str) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{where}: got the name '{name}'; allowed are letters, digits and _ . = + -"
            " (it becomes the name of files)."
        )
    if name.lower() in {*sampling.available(), NO_SAMPLER, *map(str.lower, taken)}:
        raise UsageError(f"{where}: '{name}' is taken; give the variant another name.")


def _check_variant(name: str, settings: Any, where: str) -> None:
    if not isinstance(settings, Mapping) or "neg_sampler" not in settings:
        raise UsageError(
            f"{where}: {name} is {settings!r}; allowed is a mapping of settings with at least "
            "neg_sampler, as in {neg_sampler: bns, neg_sampler_args: {prior: uniform}}."
        )
    for key, known in (
        ("neg_sampler", [*sampling.available(), NO_SAMPLER]),
        ("loss", known_losses()),
        ("mixer", [NO_MIXER, *mixers.available()]),
    ):
        value = str(settings.get(key) or known[0]).lower()
        if value not in known:
            raise UsageError(
                f"{where}: {name} has {key} '{value}'{nearest(value, known)}; allowed: "
                f"{', '.join(known)}."
            )
    shared = next(
        (setting for setting in settings if setting in having("shared_in_comparison")), None
    )
    if shared:
        raise UsageError(
            f"{where}: {name} sets {shared}, which all rows of a table share; write "
            f"{'--seeds' if shared == 'seed' else f'--{shared}'} on the command line."
        )
