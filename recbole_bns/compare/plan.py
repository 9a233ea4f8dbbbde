"""What ``recbole-bns compare`` was asked for: samplers, seeds, settings, checked before any run."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.reads import known_keys, read_by_any
from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.common.params import defaults
from recbole_bns.datasets.check import check_files, digest
from recbole_bns.runs.folder import settings_of
from recbole_bns.runs.records import Settings
from recbole_bns.sampling import available, get
from recbole_bns.sampling.capabilities import serves_any_loss
from recbole_bns.settings.declared import NO_SAMPLER, declared, having
from recbole_bns.settings.properties import PROPERTIES, read_own
from recbole_bns.settings.words import flat, merge, read_yaml
from recbole_bns.training.limits import check_alone

METRICS, CUTS = ["Recall", "Precision", "NDCG"], [5, 10, 20]

FIRST = "rns"
"""What the others are compared with where nothing else is said."""

MOST = 2**32
"""Seeds are below."""

DEFAULT_MODEL = "LightGCN"

Own = dict[str, Settings]

Run = tuple[str, int]
"""A sampler and a seed."""


@dataclass(frozen=True)
class Words:
    """What the user has written about the runs.

    Attributes:
        model: name, or None where files or defaults say it.
        dataset: likewise.
        config_files: YAML files of the user.
        settings: of all runs.
        own: row -> the settings that are its alone, as the user wrote them.
    """

    model: str | None
    dataset: str | None
    config_files: list[str] | None
    settings: Settings
    own: Own

    def model_of(self, row: str) -> str | None:
        """A variant's own model, else that of the table."""
        return self.own.get(row, {}).get("model", self.model)

    def given(self, run: Run, own: Settings | None = None) -> Settings:
        """The settings that the words come to for one run.

        Args:
            run: row and seed.
            own: settings of the row alone, where they are not those of the words.
        """
        row, seed = run
        own = self.own.get(row, {}) if own is None else own
        return {
            **self._read_by(own),
            "neg_sampler": row,
            **own,
            "seed": seed,
            "show_progress": False,
            "checkpoint_every": 0,
        }

    def _read_by(self, own: Settings) -> Settings:
        """Settings of all runs; a row with a model of its own is spared what others read alone."""
        if "model" not in own:
            return self.settings
        known = known_keys(str(own["model"]))
        return {
            key: value
            for key, value in self.settings.items()
            if key.partition(".")[0] in known or key not in read_by_any()
        }

    def config(self, run: Run, own: Settings | None = None) -> BNSConfig:
        """The settings of one run, resolved; see :meth:`given`.

        Raises:
            UsageError: one is not allowed.
        """
        model = self.model_of(run[0]) if own is None else own.get("model", self.model)
        return BNSConfig(model, self.dataset, self.config_files, self.given(run, own))

    def says(self, key: str, row: str) -> bool:
        """Whether the words set a dotted key for a row."""
        layers = [self.settings, self.own.get(row, {}), *map(read_yaml, self.config_files or [])]
        return any(key in flat(layer) for layer in layers)


@dataclass(frozen=True)
class Plan:
    """A comparison.

    Attributes:
        words: of the user about its runs.
        samplers: the rows, in the order of the table: samplers and variants of them.
        seeds: of every sampler.
        reference: what the others are tested against.
        jobs: runs at once, or None: as many as there are cores, one on a GPU.
        out: the folder of the comparison.
        config: the settings of the first run, resolved.
    """

    words: Words
    samplers: tuple[str, ...]
    seeds: tuple[int, ...]
    reference: str
    jobs: int | None
    out: Path
    config: BNSConfig

    @property
    def runs(self) -> list[Run]:
        """All runs, seed by seed, so that an unfinished table is a fair one."""
        return [(sampler, seed) for seed in self.seeds for sampler in self.samplers]

    @cached_property
    def data(self) -> str:
        """What tells the data set's files from others of the same name."""
        return digest(self.config)

    @cached_property
    def rows(self) -> dict[str, Settings]:
        """Row -> every setting of its runs but the seed; see :meth:`resolved`."""
        return {row: self.resolved(row) for row in self.samplers}

    def own(self, row: str) -> Settings:
        """The settings that are a row's alone."""
        return self.words.own.get(row, {})

    def resolved(self, row: str, own: Settings | None = None) -> Settings:
        """Every setting of a row's runs but the seed, as it is written to their files.

        Args:
            row: a sampler or variant.
            own: its settings alone, where they are not those of the words.
        """
        values = settings_of(self.words.config((row, self.seeds[0]), own))
        left_out = ["seed", *(() if values["neg_record"] else having("leaves_model_alone"))]
        return dict(json.loads(json.dumps({k: v for k, v in values.items() if k not in left_out})))

    def tuned(self, row: str) -> tuple[str, Settings] | None:
        """The file of tuned settings that a row has, and what it adds to the user's words.

        None where the user wrote no file, or it adds nothing.
        """
        if not self.words.config_files:
            return None
        name = self.words.config((row, self.seeds[0]))["tuned_file"]
        if name is None:
            return None
        content = flat(read_own(PROPERTIES / name.partition("/")[2]))
        added = {key: value for key, value in content.items() if not self.words.says(key, row)}
        return (name, added) if added else None


def read_plan(flags: Mapping[str, Any]) -> Plan:
    """Make a plan of the flags of the command line, already typed, and check all of it.

    Raises:
        UsageError: unknown sampler, setting or parameter, bad seeds or jobs, no data.
    """
    rest = dict(flags)
    model, dataset, files, out = (
        rest.pop(key, None) for key in ("model", "dataset", "config_files", "out")
    )
    variants = read_variants(rest.pop("variants", None))
    samplers = _samplers(rest.pop("samplers", None), variants)
    seeds = _seeds(rest.pop("seeds", 5))
    reference = _reference(rest.pop("reference", None), samplers)
    jobs = _jobs(rest.pop("jobs", None))
    _check_heads(flags)
    settings, own = _split(rest, samplers)
    own |= {name: variants[name] for name in samplers if name in variants}
    in_files = merge({}, {k: v for path in files or [] for k, v in read_yaml(path).items()})
    _check_parameters(settings, samplers, str(model or in_files.get("model") or DEFAULT_MODEL))
    for key, default in (("metrics", METRICS), ("topk", CUTS)):
        if key not in in_files:
            settings.setdefault(key, default)
    words = Words(model, dataset, files, settings, own)
    config = _config_of_first(words, samplers, seeds[0])
    check_files(config)
    folder = Path(out or f"runs/compare-{config['dataset']}-{config['model']}")
    return Plan(words, samplers, seeds, reference, jobs, folder, config)


def _config_of_first(words: Words, samplers: Sequence[str], seed: int) -> BNSConfig:
    """The settings of the first row, resolved; those of all others are checked too.

    Raises:
        UsageError: a setting or parameter of a row is not allowed.
    """
    for sampler in reversed(samplers):  # the first one is left
        with _named_after(sampler):
            config = words.config((sampler, seed))
        check_alone(config, "compare trains a run in each process and --jobs=N of them at once")
    return config


def _jobs(value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise UsageError(f"--jobs: got {value!r}, allowed is an integer >= 1.")
    return value


def _check_parameters(settings: Settings, samplers: Sequence[str], model: str) -> None:
    """Refuse ``--candidate_num=9``, which says not of which sampler.

    Raises:
        UsageError: names the samplers that have such a parameter.
    """
    known = known_keys(model)
    for key, value in settings.items():
        rows = [
            name
            for name in samplers
            if name in available() and key in defaults(get(name).Params) and key not in known
        ]
        if rows:
            remedy = " or ".join(f"--{name}.{key}={value}" for name in rows)
            raise UsageError(f"--{key}: is a parameter of {', '.join(rows)}; write {remedy}.")


@contextmanager
def _named_after(sampler: str) -> Iterator[None]:
    """Name a sampler's parameter in a refusal as it is written in a comparison."""
    try:
        yield
    except UsageError as error:
        if sampler not in available():
            raise UsageError(f"{sampler}: {error}") from error
        raise UsageError(str(error).replace("neg_sampler_args.", f"--{sampler}.", 1)) from error


def _words(value: Any) -> list[str]:
    """``a,b`` or a list of names."""
    words = value if isinstance(value, list) else str(value).split(",")
    return [str(word).strip().lower() for word in words]


def _samplers(value: Any, variants: Collection[str]) -> tuple[str, ...]:
    """The rows: named ones, else all variants, else all samplers that serve any loss."""
    written = {name.lower(): name for name in variants}
    known = [*available(), NO_SAMPLER, *written]
    if value is None and variants:
        return tuple(variants)
    if value is None:
        served = [name for name, cls in available().items() if serves_any_loss(cls)]
        return tuple(sorted(served, key=lambda name: (name != FIRST, name)))
    names = _words("none" if value is False else value)
    for name in names:
        if name not in known:
            raise UsageError(
                f"--samplers: got '{name}'{nearest(name, known)}; allowed: {', '.join(known)}."
            )
    return tuple(dict.fromkeys(written.get(name, name) for name in names))


def _seeds(value: Any) -> tuple[int, ...]:
    several = isinstance(value, list) or (isinstance(value, str) and "," in value)
    words = value if isinstance(value, list) else str(value).split(",")
    try:
        numbers = [int(str(word)) for word in words]
    except ValueError:
        numbers = []
    fits = all(0 <= number < MOST for number in numbers) and len(set(numbers)) == len(numbers)
    if not numbers or not fits or not (several or 1 <= numbers[0] <= 1000):
        raise UsageError(
            f"--seeds: got {value!r}, allowed are a number of seeds from 1 to 1000, or different "
            "seeds separated by commas, each from 0 to 2**32 - 1; a single one is --seeds=[7]."
        )
    return tuple(numbers) if several else tuple(range(1, numbers[0] + 1))


def _reference(value: Any, samplers: tuple[str, ...]) -> str:
    if value is None:
        return FIRST if FIRST in samplers else samplers[0]
    rows = {name.lower(): name for name in samplers}
    name = str(value).lower()
    if name not in rows:
        raise UsageError(
            f"--reference: got '{value}'{nearest(name, samplers)}; allowed is one of --samplers: "
            f"{', '.join(samplers)}."
        )
    return rows[name]


def _split(flags: Mapping[str, Any], samplers: tuple[str, ...]) -> tuple[Settings, Own]:
    """Flags into those of all runs and those of one sampler (``dns.candidate_num``)."""
    settings: Settings = {}
    own: Own = {}
    for key, value in flags.items():
        head, dot, rest = key.partition(".")
        if head in {
            "neg_sampler",
            "neg_sampler_args",
            "seed",
            "result_file",
            "resume",
            "checkpoint_every",
        }:
            remedy = {
                "neg_sampler": "--samplers=A,B",
                "neg_sampler_args": f"--SAMPLER.{rest or 'KEY'}=VALUE for one of the samplers",
                "seed": "--seeds=N or --seeds=3,7,9",
                "result_file": "--out=DIR, which gets a file for each run",
                "resume": "--out=DIR, which goes on where it was stopped",
                "checkpoint_every": "--out=DIR, which keeps each finished run",
            }[head]
            raise UsageError(f"--{key}: not a setting of a comparison; write {remedy}.")
        if dot and head in samplers and head in available():
            own.setdefault(head, {})[f"neg_sampler_args.{rest}"] = value
        elif dot and head in available():
            raise UsageError(f"--{key}: '{head}' is not among --samplers: {', '.join(samplers)}.")
        else:
            settings[key] = value
    return settings, own


def _check_heads(flags: Mapping[str, Any]) -> None:
    """Refuse ``--dsn.candidate_num``, which as a setting of a run would be read by nobody."""
    known = {*declared(), *read_by_any()}
    for key in flags:
        head, dot, _ = key.partition(".")
        if dot and head not in known and head not in available():
            raise UsageError(
                f"--{key}: got '{head}'{nearest(head, available())}; allowed before the dot are "
                f"samplers ({', '.join(available())}) and settings that are mappings."
            )


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=+-]*")


def read_variants(path: Any) -> Own:
    """Read ``{NAME: {neg_sampler: bns, neg_sampler_args: {...}, ...}, ...}``.

    A variant may have a model of its own: ``{EASE: {neg_sampler: none, model: EASE}}``.

    Args:
        path: of the YAML file, or None.

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
        _check_variant(name, settings, where)
        variants[name] = dict(settings)
    if not variants:
        raise UsageError(f"{where}: no variants in it.")
    return variants


def _check_name(name: str, taken: Collection[str], where: str) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{where}: got the name '{name}'; allowed are letters, digits and _ . = + -"
            " (it becomes the name of files)."
        )
    if name.lower() in {*available(), NO_SAMPLER, *map(str.lower, taken)}:
        raise UsageError(f"{where}: '{name}' is taken; give the variant another name.")


def _check_variant(name: str, settings: Any, where: str) -> None:
    if not isinstance(settings, Mapping) or "neg_sampler" not in settings:
        raise UsageError(
            f"{where}: {name} is {settings!r}; allowed is a mapping of settings with at least "
            "neg_sampler, as in {neg_sampler: bns, neg_sampler_args: {prior: uniform}}."
        )
    sampler = str(settings["neg_sampler"]).lower()
    if sampler not in {*available(), NO_SAMPLER}:
        raise UsageError(
            f"{where}: {name} has neg_sampler '{sampler}'{nearest(sampler, available())}; "
            f"allowed: {', '.join(available())}."
        )
    shared = next(
        (setting for setting in settings if setting in having("shared_in_comparison")), None
    )
    if shared:
        raise UsageError(
            f"{where}: {name} sets {shared}, which all rows of a table share; write "
            f"{'--seeds' if shared == 'seed' else f'--{shared}'} on the command line."
        )
