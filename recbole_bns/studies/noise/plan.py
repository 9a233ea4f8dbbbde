"""What ``recbole-bns study noise`` was asked for: rows, shares, seeds, checked before any run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.sampler_settings import parsed_settings
from recbole_bns.common.errors import UsageError
from recbole_bns.compare.plan import Words, read_jobs, read_seeds
from recbole_bns.compare.rows import Own, Row, read_rows, read_variants, split
from recbole_bns.datasets.check import check_files, digest
from recbole_bns.runs.folder import settings_of
from recbole_bns.runs.records import Settings
from recbole_bns.sampling import available, get
from recbole_bns.sampling.planted import Plantable
from recbole_bns.settings.declared import NO_SAMPLER, having
from recbole_bns.settings.words import merge, read_yaml
from recbole_bns.training.limits import check_alone

REFERENCE = "rns"
"""What is trained without anything planted; its scores are looked at."""

ALPHA = 10.0
"""Weight of the standard deviation in SRNS's program for this study."""

DEFAULT: Settings = {"samplers": "srns-off,srns-growing,dns", "sigmas": "0,0.5,1", "seeds": 2}
PAPER: Settings = {
    "samplers": "srns-off,srns-flat,srns-growing,srns-falling,dns,bns",
    "sigmas": "0,0.2,0.4,0.6,0.8,1",
    "seeds": 5,
}
"""What is asked for where nothing is said."""

SETTINGS: Settings = {
    "train_batch_size": 1024,
    "embedding_size": 32,
    "metrics": ["Recall", "NDCG"],
    "topk": [1, 3, 5, 10],
    "tuned": False,
}
BY_LENGTH: dict[bool, Settings] = {
    False: {"epochs": 32, "learning_rate": 0.005},
    True: {"epochs": 400, "learning_rate": 0.001},
}
"""Of a short study, and of one of the paper's length."""
DATA = "ml-100k"
ML_100K: Settings = {
    "load_col": {"inter": ["user_id", "item_id", "rating"]},
    "val_interval": {"rating": "[4,inf)"},
    "eval_args": {"split": {"RS": [0.8, 0.0, 0.2]}, "group_by": None, "order": "RO"},
}
"""Ratings of 4 and 5 are positives, a fifth of them the test part."""

FIXED: Settings = {
    "valid_ratio": 0.0,
    "eval_step": 1,
    "stopping_step": 10**9,
    "valid_metric": "NDCG@3",
    "show_progress": False,
    "checkpoint_every": 0,
}
"""Settings that make the study: every epoch is tested, none is the last before its time."""


class Run(NamedTuple):
    """A row with a share of F (None: nothing is planted) and a seed."""

    row: str
    sigma: float | None
    seed: int

    @property
    def stem(self) -> str:
        """``dns-0.5-1``: the name of all that belongs to it."""
        return f"{self.row}-{'none' if self.sigma is None else f'{self.sigma:g}'}-{self.seed}"

    @property
    def name(self) -> str:
        """For people."""
        planted = "nothing planted" if self.sigma is None else f"sigma {self.sigma:g}"
        return f"{self.row} with {planted}, seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """A study.

    Attributes:
        words: of the user about its runs.
        rows: samplers and variants, in the order of tables and legends.
        sigmas: shares of F, ascending.
        seeds: of every row.
        share: of the test records that is F.
        jobs: runs at once, or None: as many as there are cores, one on a GPU.
        out: the folder of the study.
        png: the folder for the figures as files, or None.
        config: the settings of the first run, resolved.
    """

    words: Words
    rows: tuple[str, ...]
    sigmas: tuple[float, ...]
    seeds: tuple[int, ...]
    share: float
    jobs: int | None
    out: Path
    png: Path | None
    config: BNSConfig = field(repr=False)

    @property
    def runs(self) -> list[Run]:
        """All runs, seed by seed, so that an unfinished figure is a fair one."""
        return [
            run
            for seed in self.seeds
            for run in (
                Run(REFERENCE, None, seed),
                *(Run(row, sigma, seed) for sigma in self.sigmas for row in self.rows),
            )
        ]

    @cached_property
    def data(self) -> str:
        """What tells the data set's files from others of the same name."""
        return digest(self.config)

    @cached_property
    def resolved(self) -> dict[str, Settings]:
        """Row -> every setting of its runs but the seed, as it is written to their files."""
        rows = dict.fromkeys((REFERENCE, *self.rows))
        return {row: self._resolved(row) for row in rows}

    def _resolved(self, row: str) -> Settings:
        values = settings_of(self.words.config((row, self.seeds[0])))
        left_out = {"seed", *having("leaves_model_alone")}
        return dict(json.loads(json.dumps({k: v for k, v in values.items() if k not in left_out})))


def variants_of(epochs: int) -> Own:
    """SRNS without its standard deviation, and with its weight over the epochs as in Fig. 3.

    T0 is an eighth of the epochs, as 50 of the paper's 400.
    """
    t0 = max(epochs // 8, 1)
    weights: dict[str, Settings] = {
        "srns-off": {"alpha": 0.0},
        "srns-flat": {"alpha": ALPHA, "warmup_epochs": 0},
        "srns-growing": {"alpha": ALPHA, "warmup_epochs": t0},
        "srns-falling": {"alpha": {"start": ALPHA, "step": -ALPHA / t0, "stop": 0.0}},
    }
    return {
        name: {"neg_sampler": "srns", "neg_sampler_args": args} for name, args in weights.items()
    }


def read_plan(flags: Mapping[str, Any]) -> Plan:
    """Make a plan of the flags of the command line, already typed, and check all of it.

    Raises:
        UsageError: unknown sampler, setting or parameter, one that nothing can be planted with,
            bad shares, seeds or jobs, no data.
    """
    rest = dict(flags)
    model, dataset, files, out, png = (
        rest.pop(key, None) for key in ("model", "dataset", "config_files", "out", "png")
    )
    paper = bool(rest.pop("paper", False))
    in_files = merge({}, {k: v for path in files or [] for k, v in read_yaml(path).items()})
    _refuse_fixed({**in_files, **rest})
    asked = {key: rest.pop(key, value) for key, value in (PAPER if paper else DEFAULT).items()}
    sigmas, seeds = _sigmas(asked["sigmas"]), read_seeds(asked["seeds"])
    share, jobs = _share("share", rest.pop("share", 0.5), 0.5), read_jobs(rest.pop("jobs", None))
    dataset = dataset or in_files.get("dataset", DATA)
    settings = {**SETTINGS, **BY_LENGTH[paper], **(ML_100K if dataset == DATA else {})}
    settings = {k: v for k, v in settings.items() if not _says(k, {**in_files, **rest})}
    epochs = {**in_files, **settings, **rest}["epochs"]
    rows, own, more = _rows(asked["samplers"], rest, epochs if isinstance(epochs, int) else 1)
    model = model or in_files.get("model", "BPR")
    words = Words(model, dataset, files, {**settings, **more, **FIXED}, own)
    config = _checked(words, rows, seeds[0])
    check_files(config)
    folder = Path(out or f"runs/noise-{config['dataset']}-{config['model']}")
    names = tuple(row.name for row in rows)
    return Plan(words, names, sigmas, seeds, share, jobs, folder, png and Path(png), config)


def _says(key: str, given: Mapping[str, Any]) -> bool:
    return any(name == key or name.startswith(f"{key}.") for name in given)


def _refuse_fixed(given: Mapping[str, Any]) -> None:
    for key in given:
        if key.partition(".")[0] in {*FIXED, "neg_record", "neg_record_scores"}:
            raise UsageError(
                f"{key}: not a setting of this study, which tests after every epoch and stops at "
                "none; allowed are the others, such as --epochs=100."
            )


def _rows(samplers: Any, flags: Mapping[str, Any], epochs: int) -> tuple[list[Row], Own, Settings]:
    """Rows, the settings that are theirs alone, and those of all."""
    rest = dict(flags)
    variants = {**variants_of(epochs), **read_variants(rest.pop("variants", None))}
    rows = read_rows(samplers, None, variants)
    settings, own = split(rest, rows)
    return rows, own, settings


def _checked(words: Words, rows: Sequence[Row], seed: int) -> BNSConfig:
    """The settings of the first row, resolved; those of all others are checked too."""
    for row in reversed(rows):  # the first one is left
        try:
            config = words.config((row.name, seed))
            _check_plantable(config)
        except UsageError as error:
            raise UsageError(f"{row.name}: {error}") from error
        check_alone(config, "a study trains a run in each process and --jobs=N of them at once")
    words.config((REFERENCE, seed))
    return config


def _check_plantable(config: BNSConfig) -> None:
    """Refuse a sampler that has nothing an item could be put among."""
    name = config["neg_sampler"]
    cls = None if name == NO_SAMPLER else get(name)
    if cls is None or not issubclass(cls, Plantable):
        able = [each for each, known in sorted(available().items()) if issubclass(known, Plantable)]
        raise UsageError(
            f"neg_sampler '{name}' draws its negative without candidates or a memory, so that a "
            "planted item would be every negative or none; allowed in this study are "
            f"{', '.join(able)}, and {REFERENCE} stands beside them with nothing planted."
        )
    if reason := cls.unplantable(parsed_settings(config)[1]):
        raise UsageError(f"{reason}.")


def _sigmas(value: Any) -> tuple[float, ...]:
    words = value if isinstance(value, list) else str(value).split(",")
    return tuple(sorted({_share("sigmas", word, 0.5) for word in words}))


def _share(flag: str, value: Any, example: float) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1 or isinstance(value, bool) or (flag == "share" and number == 0):
        low = "above 0" if flag == "share" else "from 0"
        raise UsageError(
            f"--{flag}: got {value!r}, allowed are shares {low} to 1, such as {example}."
        )
    return number
