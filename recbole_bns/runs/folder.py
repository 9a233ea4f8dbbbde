"""The folder that holds everything a run writes: its name, the settings in it, the log."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import write_text
from recbole_bns.settings.declared import NO_SAMPLER, declared, having
from recbole_bns.settings.properties import cell, mined_word
from recbole_bns.settings.values import ORIGINS
from recbole_bns.settings.words import HERE

from .records import RunConfig, Settings

SETTINGS, RESULT, CHECKPOINTS = "settings.yaml", "result.json", "checkpoints"
BEST, LAST = "best.pt", "last.pt"
"""In ``checkpoints``: the weights of the best epoch, or, without validation, of the last."""
ALL = "all.pt"
"""Beside them with ``train_on: all``: those of the model that was trained on all interactions."""
ALL_PLACE = "all"
"""In a run's folder: what the training on all interactions leaves beside its weights."""

LOG = "run.log"


def folder_of(path: str | Path, setting: str = "--resume") -> Path:
    """The folder of a run, named by itself or by a file in it.

    Args:
        path: of the folder or the file.
        setting: that names it, for the sentence.

    Raises:
        UsageError: there is no run.
    """
    named = Path(path)
    for folder in (named, named.parent, named.parent.parent):
        if (folder / SETTINGS).is_file():
            return folder
    other = "give --resume=auto" if setting == "--resume" else "a file in its checkpoints/"
    raise UsageError(
        f"{setting}: '{path}' is no folder of a run (there is no {SETTINGS} in it); name one such "
        f"as runs/..., or {other}."
    )


def weights_in(folder: Path, names: Sequence[str] = (ALL, BEST, LAST)) -> Path | None:
    """The first of these files that the run in a folder has; None without any."""
    files = (folder / CHECKPOINTS / name for name in names)
    return next((file for file in files if file.is_file()), None)


def no_runs(path: Path) -> UsageError:
    """For a folder of ``report`` that holds no finished run."""
    reason = "" if path.is_dir() else " (there is no such folder)"
    reason = " (it is a file)" if path.is_file() else reason
    return UsageError(
        f"report: '{path}' holds no finished run{reason}; allowed are folders of "
        f"'recbole-bns run' (with {RESULT}), of 'recbole-bns compare' and of 'recbole-bns "
        "tune', and folders with such ones below."
    )


BUNDLED = "ml-100k"
"""The data set that RecBole brings along; a run on it names no folder, so that it is portable."""


def make_folder(out: str | Path | None, config: RunConfig) -> Path:
    """An empty folder: ``out``, or ``runs/<dataset>-<Model>-<cell>-<seed>-<time>``.

    The cell is ``<sampler>[+<loss>][+<mixer>][+mined|spared]``.

    Raises:
        UsageError: ``out`` is not empty, or cannot be made.
    """
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    chosen = config["neg_sampler"], config["loss"], config["mixer"]
    sampler = cell(*chosen, mined=mined_word(config["mine"]))
    if _is_oracle(config["neg_sampler_args"]) or weighed_by_oracle(config):
        sampler += "-oracle-sees-test-labels"
    name = f"{config['dataset']}-{config['model']}-{sampler}-{config['seed']}-{now}"
    folder = Path(out) if out is not None else Path("runs") / name
    extra = 1
    while out is None and folder.exists():
        extra += 1
        folder = folder.with_name(f"{name}-{extra}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(
                f"out: the folder '{folder}' is not empty; name a new one, so that nothing in it "
                "is lost."
            )
    except OSError as error:
        raise UsageError(f"out: cannot make the folder '{folder}': {error.strerror}.") from error
    return folder


def _is_oracle(args: Settings | None) -> bool:
    prior = (args or {}).get("prior")
    return isinstance(prior, str) and prior == "oracle"


def weighed_by_oracle(config: RunConfig) -> bool:
    """Whether the weights of a loss see test labels, which every output says."""
    return config["loss_weight"] == "posterior" and _is_oracle(config["loss_weight_args"])


def check_file(path: str | Path) -> None:
    """Make sure, before hours of training, that ``result_file`` can be written.

    Raises:
        UsageError: it cannot.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        path.open("a").close()
        if new:
            path.unlink()
    except OSError as error:
        raise UsageError(f"result_file: cannot write '{path}': {error.strerror}.") from error


def write_settings(config: RunConfig, folder: Path) -> None:
    """Write ``settings.yaml``, which ``--config_files`` takes to repeat the run.

    An array among the sampler's parameters becomes a ``.npy`` file beside it. What the settings
    came from is said beside them, and is none: a run that repeats this one may change them.
    """
    args = dict(config["neg_sampler_args"] or {})
    for name, value in args.items():
        if hasattr(value, "shape"):
            file = (folder / f"{name}.npy").resolve()
            np.save(file, np.asarray(value))
            args[name] = str(file)
    values = settings_of(config, args)
    if came_from := {key: config[key] for key in ORIGINS if config[key]}:
        values["settings_from"] = came_from
    data, home = Path(str(values.get("data_path", ""))), folder.resolve()
    if data.is_absolute() and home in data.parents:  # both may be moved
        values["data_path"] = f"{HERE}/{data.relative_to(home).as_posix()}"
    put_settings(values, folder)


def put_settings(settings: Settings, folder: Path) -> None:
    """Write plain values as ``settings.yaml``, whole or not at all."""
    write_text(folder / SETTINGS, yaml.safe_dump(settings, sort_keys=True, allow_unicode=True))


def read_settings(folder: Path) -> Settings:
    """The settings of the run in a folder; empty where they cannot be read."""
    try:
        content = yaml.safe_load((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def settings_of(config: RunConfig, args: Settings | None = None) -> Settings:
    """Every setting that repeats a run, as plain values.

    Args:
        config: of the run.
        args: the sampler's parameters where they are not those of ``config``.
    """
    stock = config["neg_sampler"] == NO_SAMPLER
    unwritten = having("written", "never")
    values = {
        key: value
        for key, value in config.final_config_dict.items()
        if key not in unwritten or (stock and key == "train_neg_sample_args")
    }
    for key in having("written", "changed"):
        default = declared()[key].default
        if key in values and (values[key] == default or (default is None and values[key] == {})):
            del values[key]
    values |= {
        "neg_sampler_args": dict(config["neg_sampler_args"] or {}) if args is None else args,
        "tuned": False,
    }
    if config["dataset"] != BUNDLED or "data_path" in config.external_config_dict:
        values["data_path"] = str(Path(config["data_path"]).resolve().parent)
    return {key: value for key, value in values.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, tuple)


@contextmanager
def log_to(path: Path, waits: bool) -> Iterator[None]:
    """Send RecBole's log to a file; only warnings reach the screen.

    Args:
        path: of the file.
        waits: so do records that are marked (``extra={"waiting": True}``): how far something is
            that takes long before the first epoch.
    """
    logger = logging.getLogger()
    before = logger.level, logger.handlers[:]
    file = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    file.addFilter(_drop_colours)
    screen = logging.StreamHandler()
    screen.addFilter(lambda record: record.levelno >= logging.WARNING or (waits and _waits(record)))
    screen.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger.handlers[:] = [file, screen]
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        file.close()
        logger.setLevel(before[0])
        logger.handlers[:] = before[1]


def _waits(record: logging.LogRecord) -> bool:
    return getattr(record, "waiting", False)


def _drop_colours(record: logging.LogRecord) -> bool:
    record.msg = re.sub(r"\x1b\[[0-9;]*m", "", str(record.msg))
    return True
