"""Which runs are seeds of one row, which rows stand in one table, and what both are called.

Runs share a row where they differ in the seed alone, and in what changes no result; runs of two
losses never do. Rows share a
table where their test parts are the same: the settings that choose it, and the data set's files.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from recbole_bns import losses, mixers
from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import defaults
from recbole_bns.sampling.registry import get
from recbole_bns.settings.declared import NO_MIXER, OWN_LOSS
from recbole_bns.settings.properties import PROPERTIES, read_own
from recbole_bns.settings.splits import READ_BY
from recbole_bns.settings.words import flat, short_names

from .folders import RunData, read_folders

ARGS, LOSS_ARGS, MIXER_ARGS = "neg_sampler_args.", "loss_args.", "mixer_args."

OF_DATA = frozenset(
    {
        "dataset",
        "benchmark_filename",
        "eval_args",
        "split",
        *READ_BY,
        "repeatable",
        "threshold",
        "val_interval",
        "rm_dup_inter",
        "filter_inter_by_user_or_item",
        "user_inter_num_interval",
        "item_inter_num_interval",
        "USER_ID_FIELD",
        "ITEM_ID_FIELD",
        "RATING_FIELD",
        "TIME_FIELD",
        "LABEL_FIELD",
    }
)
"""Settings that choose the test part and how it is tested."""

OF_NO_RESULT = frozenset(
    {
        "seed",
        "data_path",
        "use_gpu",
        "gpu_id",
        "worker",
        "threads",
        "state",
        "reproducibility",
        "show_progress",
        "log_wandb",
        "wandb_project",
        "save_dataset",
        "dataset_save_path",
        "save_dataloaders",
        "dataloaders_save_path",
        "checkpoint_dir",
        "checkpoint_every",
        "train_on",
        "settings_from",
        "tuned",
        "loss_decimal_place",
        "metrics",
        "topk",
        "metric_decimal_place",
        "eval_batch_size",
        "neg_record",
        "neg_record_scores",
        "neg_record_format",
    }
)
"""Settings of the machine and of what is shown or kept, in which seeds of a row may differ."""


def read_runs(paths: Iterable[str | Path]) -> list[RunData]:
    """Finished runs of folders and of what lies below them, labelled by what tells them apart.

    Args:
        paths: folders of runs, comparisons (all that is finished) and sweeps (winners), or folders
            that have such ones below; a run that is found twice counts once.

    Raises:
        UsageError: a folder holds no finished run, or a file in it cannot be read.
    """
    runs = read_folders(paths)
    _name_data(runs)
    _name_rows(runs)
    return runs


def by_data(runs: Sequence[RunData]) -> dict[str, list[RunData]]:
    """Runs by the name of their data: those of one table."""
    tables: dict[str, list[RunData]] = {}
    for run in runs:
        tables.setdefault(run.data, []).append(run)
    return tables


def by_row(runs: Sequence[RunData]) -> dict[tuple[str, str], list[RunData]]:
    """Runs by data and label: the seeds of each row, in the order of the runs."""
    rows: dict[tuple[str, str], list[RunData]] = {}
    for run in runs:
        rows.setdefault((run.data, run.label), []).append(run)
    return rows


def row_settings(run: RunData) -> dict[str, Any]:
    """What makes a run's row: all settings under dotted names but those of the data and the seed.

    A setting that is younger than the run has its default.
    """
    settings = {**_defaults(run.result["model"]), **flat(run.settings)}
    args_of = {each.rstrip(".") for each in (ARGS, LOSS_ARGS, MIXER_ARGS)}
    left_out = OF_DATA | OF_NO_RESULT | args_of | {"loss", "mixer"}
    args = {**_default_args(run.result["neg_sampler"]), **run.result["neg_sampler_args"]}
    return {
        **{f"{ARGS}{name}": _with_content(run, name, value) for name, value in args.items()},
        **{k: v for k, v in settings.items() if k.partition(".")[0] not in left_out},
        **_of_loss(run),
    }


def _of_loss(run: RunData) -> dict[str, Any]:
    """What a run's result says of loss and mixer, with all that the settings leave open."""
    result = run.result
    loss = result.get("loss", OWN_LOSS)
    args = {**_default_loss_args(loss), **result.get("loss_args", {})}
    of_loss = {"loss": loss, **{f"{LOSS_ARGS}{name}": value for name, value in args.items()}}
    for key in ("loss_similarity", "score_similarity"):
        if key in result:
            of_loss[key] = result[key]
    mixer = of_loss["mixer"] = result.get("mixer", NO_MIXER)
    args = {**_default_mixer_args(mixer), **result.get("mixer_args", {})}
    return of_loss | {f"{MIXER_ARGS}{name}": value for name, value in args.items()}


def _with_content(run: RunData, name: str, value: Any) -> Any:
    """A parameter; of an array, which ``result.json`` has the shape of, with what is in it."""
    file = run.folder / f"{name}.npy"
    if not str(value).startswith("array of shape") or not file.is_file():
        return value
    return f"{value} {sha256(file.read_bytes()).hexdigest()[:8]}"


@cache
def _defaults(model: str) -> Mapping[str, Any]:
    """Defaults of our settings, as they are for a model."""
    files = (PROPERTIES / "overall.yaml", PROPERTIES / "model" / f"{model}.yaml")
    return {key: value for path in files for key, value in flat(read_own(path)).items()}


@cache
def _default_args(sampler: str) -> Mapping[str, Any]:
    """Defaults of a sampler's parameters; none of one that is not installed."""
    try:
        return defaults(get(sampler).Params)
    except UsageError:
        return {}


@cache
def _default_loss_args(loss: str) -> Mapping[str, Any]:
    """Defaults of a loss's parameters; none of the model's own, or of one not installed."""
    known = losses.available().get(loss)
    return defaults(known.Params) if known else {}


@cache
def _default_mixer_args(mixer: str) -> Mapping[str, Any]:
    """Defaults of a mixer's parameters; none of no mixer, or of one not installed."""
    known = mixers.available().get(mixer)
    return defaults(known.Params) if known else {}


def canonical(value: Any) -> Hashable:
    """A value that equals another one's where both mean the same: 5 and 5.0, "none" and None."""
    if value is None or value == "none" or value == [] or value == {}:
        return None
    if isinstance(value, Mapping):
        return tuple(sorted((str(key), canonical(each)) for key, each in value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(map(canonical, value))
    return str(value) if isinstance(value, bool) else value


def same_row(settings: Mapping[str, Any]) -> Hashable:
    """A key that settings of the same row have in common."""
    return frozenset((key, canonical(value)) for key, value in settings.items())


def distinct_names(names: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names, each with what differs from others of its name: ``bns lambda=5.0``.

    Args:
        names: one a run; several may be the same.
        settings: of each run, under dotted names.
    """
    texts = list(names)
    for name in dict.fromkeys(names):
        alike = [i for i, each in enumerate(names) if each == name]
        differing = _differing([settings[i] for i in alike])
        for key, short in zip(differing, short_names(differing), strict=True):
            spelled: dict[Hashable, Any] = {}
            for i in alike:
                value = settings[i].get(key)
                shown = spelled.setdefault(canonical(value), value)
                texts[i] += f" {short}={shown}"
    return texts


def _differing(several: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for settings in several for key in settings)
    return [key for key in keys if len({canonical(each.get(key)) for each in several}) > 1]


def _name_rows(runs: Sequence[RunData]) -> None:
    """Label every run: model, where there are several, name, and what differs in the same table."""
    several = len({run.result["model"] for run in runs}) > 1
    for table in by_data(runs).values():
        names = [f"{run.result['model']} {run.name}" if several else run.name for run in table]
        labels = distinct_names(names, [row_settings(run) for run in table])
        for run, label in zip(table, labels, strict=True):
            run.label = label


def _name_data(runs: Sequence[RunData]) -> None:
    """Name the data of every run: data set, then settings of the test part, then its files."""
    settings = [
        {
            k: v
            for k, v in flat(run.settings).items()
            if k.partition(".")[0] in OF_DATA - {"dataset"}
        }
        for run in runs
    ]
    names = distinct_names([run.result["dataset"] for run in runs], settings)
    for name in dict.fromkeys(names):
        alike = [run for run, each in zip(runs, names, strict=True) if each == name]
        files = _files(alike)
        for run, which in zip(alike, files, strict=True):
            run.data = f"{name} ({which})" if len(set(files)) > 1 else name


def _files(runs: Sequence[RunData]) -> list[str]:
    """What tells the files of each run's data from others: their digest, else their folder.

    A run without a digest has that of the runs in the same folder, where they have but one.
    """
    folders = [str(run.settings.get("data_path")) for run in runs]
    digests: dict[str, set[str]] = {folder: set() for folder in folders}
    for run, folder in zip(runs, folders, strict=True):
        digests[folder] |= {run.digest} if run.digest else set()
    names = []
    for run, folder in zip(runs, folders, strict=True):
        here = digests[folder]
        digest = run.digest or (next(iter(here)) if len(here) == 1 else None)
        names.append(f"files {digest[:8]}" if digest else f"in {folder}")
    return names
