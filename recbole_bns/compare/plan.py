"""What ``recbole-bns compare`` was asked for: rows, seeds, settings, checked before any run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from recbole_bns import losses as all_losses
from recbole_bns.adapters.checks import check_model
from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.loss_settings import OF_A_LOSS
from recbole_bns.adapters.mixer_settings import OF_A_MIXER
from recbole_bns.adapters.reads import known_keys, read_by_any
from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.datasets.check import check_files, digest
from recbole_bns.runs.folder import settings_of
from recbole_bns.runs.records import Settings
from recbole_bns.sampling import available
from recbole_bns.settings.declared import OWN_LOSS, declared, having
from recbole_bns.settings.properties import PROPERTIES, read_own
from recbole_bns.settings.words import flat, merge, read_yaml
from recbole_bns.training.limits import check_alone

from .rows import (
    Own,
    Row,
    loss_of,
    parameters_of,
    read_rows,
    read_variants,
    reference_of,
    refuse_preset,
    split,
)

METRICS, CUTS = ["Recall", "Precision", "NDCG"], [5, 10, 20]

MOST = 2**32
"""Seeds are below."""

DEFAULT_MODEL = "LightGCN"

Run = tuple[str, int]
"""A row and a seed."""


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
            **self._acting(own),
            "neg_sampler": row,
            "loss": loss_of(own),
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

    def _acting(self, own: Settings) -> Settings:
        """Settings of all runs; one with its model's own loss is spared those of other losses."""
        settings = self._read_by(own)
        if loss_of(own) != OWN_LOSS or {*map(loss_of, self.own.values())} <= {OWN_LOSS}:
            return settings
        idle = (*OF_A_LOSS, *OF_A_MIXER)
        return {k: v for k, v in settings.items() if k.partition(".")[0] not in idle}

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
        samplers: the rows, in the order of the table: samplers and variants of them, with
            ``+loss`` where they are crossed with a loss over many negatives.
        seeds: of every row.
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

    @property
    def losses(self) -> dict[str, str]:
        """Row -> its loss, the model's own too."""
        return {row: loss_of(self.own(row)) for row in self.samplers}

    def resolved(self, row: str, own: Settings | None = None) -> Settings:
        """Every setting of a row's runs but the seed, as it is written to their files.

        Args:
            row: its name.
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
        UsageError: unknown sampler, loss, setting or parameter, bad seeds or jobs, no data.
    """
    rest = dict(flags)
    model, dataset, files, out = (
        rest.pop(key, None) for key in ("model", "dataset", "config_files", "out")
    )
    file = rest.pop("variants", None)
    in_files = merge({}, {k: v for path in files or [] for k, v in read_yaml(path).items()})
    refuse_preset(in_files | rest)
    variants = read_variants(file, in_files | rest)
    asked = (rest.pop("samplers", None), rest.pop("losses", None))
    mixer = flags.get("mixer", in_files.get("mixer"))
    rows = read_rows(*asked, variants, in_files.get("loss"), mixer)
    seeds = read_seeds(rest.pop("seeds", 5))
    reference = reference_of(rest.pop("reference", None), rows)
    jobs = read_jobs(rest.pop("jobs", None))
    _check_heads(flags, rows)
    settings, own = split(rest, rows)
    _check_parameters(settings, rows, str(model or in_files.get("model") or DEFAULT_MODEL))
    for key, default in (("metrics", METRICS), ("topk", CUTS)):
        if key not in in_files:
            settings.setdefault(key, default)
    words = Words(model, dataset, files, settings, own)
    config = _config_of_first(words, rows, seeds[0])
    check_files(config)
    folder = Path(out or f"runs/compare-{config['dataset']}-{config['model']}")
    names = tuple(row.name for row in rows)
    left = [name for name in variants if name not in {row.sampler for row in rows}]
    if left:
        config.remarks.append(f"--variants: not among --samplers, and not run: {', '.join(left)}.")
    return Plan(words, names, seeds, reference, jobs, folder, config)


def _config_of_first(words: Words, rows: Sequence[Row], seed: int) -> BNSConfig:
    """The settings of the first row, resolved; those of all others are checked too.

    Raises:
        UsageError: a setting or parameter of a row is not allowed.
    """
    for row in reversed(rows):  # the first one is left
        with _named_after(row):
            config = words.config((row.name, seed))
        check_alone(config, "compare trains a run in each process and --jobs=N of them at once")
    return config


def read_jobs(value: Any) -> int | None:
    """``--jobs``: None where nothing is said.

    Raises:
        UsageError: no integer from 1.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise UsageError(f"--jobs: got {value!r}, allowed is an integer >= 1.")
    return value


def _check_parameters(settings: Settings, rows: Sequence[Row], model: str) -> None:
    """Refuse ``--candidate_num=9``, which says not of which sampler or loss.

    Raises:
        UsageError: names the samplers and losses that have such a parameter.
    """
    check_model(model)
    known, parameters = known_keys(model), parameters_of(rows)
    for key, value in settings.items():
        names = [name for name, own in parameters.items() if key in own and key not in known]
        if names:
            remedy = " or ".join(f"--{name}.{key}={value}" for name in names)
            raise UsageError(f"--{key}: is a parameter of {', '.join(names)}; write {remedy}.")


@contextmanager
def _named_after(row: Row) -> Iterator[None]:
    """Name a parameter in a refusal as it is written in a comparison."""
    try:
        yield
    except UsageError as error:
        if row.sampler not in available() and not row.mixes:
            raise UsageError(f"{row.name}: {error}") from error
        mapping = "mixer_args." if row.mixes else "neg_sampler_args."
        text = str(error).replace(mapping, f"--{row.sampler}.", 1)
        if text.startswith("loss_args."):
            text = text.replace("loss_args.", f"--{row.loss}.", 1)
        raise UsageError(text) from error


def read_seeds(value: Any) -> tuple[int, ...]:
    """``--seeds``: a number of seeds from 1, or the seeds themselves.

    Raises:
        UsageError: neither.
    """
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


def _check_heads(flags: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Refuse ``--dsn.candidate_num``, which as a setting of a run would be read by nobody."""
    losses, names = all_losses.available(), [row.name for row in rows]
    mixed = {row.sampler for row in rows if row.mixes}
    known = {*declared(), *read_by_any(), *available(), *losses, *mixed}
    starts = tuple(f"{name.replace('-', '_')}." for name in names)
    for key in flags:
        head, dot, _ = key.partition(".")
        if dot and head not in known and not key.startswith(starts):
            near = nearest(head, [*available(), *losses, *names])
            raise UsageError(
                f"--{key}: got '{head}'{near}; allowed before the dot are samplers "
                f"({', '.join(available())}), losses ({', '.join(losses)}), rows "
                f"({', '.join(names)}) and settings that are mappings."
            )
