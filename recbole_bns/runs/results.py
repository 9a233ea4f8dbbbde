"""What a run leaves behind: ``result.json``, ``epochs.csv``, metrics of users, the table."""

from __future__ import annotations

import csv
import json
import logging
import math
import platform
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import whole_file, write_text
from recbole_bns.common.params import as_mapping
from recbole_bns.common.version import __version__
from recbole_bns.sampling import NegativeSampler
from recbole_bns.settings.declared import NO_MIXER, OWN_LOSS
from recbole_bns.settings.properties import MINED, SPARED, cell, mined_word

from .folder import RESULT, read_settings, weighed_by_oracle
from .records import LossFacts, Metrics, RunConfig, RunResult, Settings

Values = dict[str, NDArray[np.float64]]

PER_USER = "users.npz"
"""In the folder of a run, the test metrics of every user, where no other place is named."""


def save(path: str | Path, users: NDArray[np.str_], values: Mapping[str, Any]) -> None:
    """Write users and their values as ``.npz``; the file appears whole or not at all."""
    with whole_file(path) as file:
        np.savez_compressed(file, users=users, **values)


def load(path: str | Path) -> Values:
    """What :func:`save` wrote: ``users`` (users,) and one (users,) a metric."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def result_table(result: RunResult) -> str:
    """Validation and test metrics, one row a metric, and where things lie."""
    valid, test = result["best_valid_result"], result["test_result"]
    names = list(dict.fromkeys(name.partition("@")[0] for name in test))
    cutoffs = list(dict.fromkeys(name.partition("@")[2] for name in test))
    parts: list[tuple[str, Metrics]] = [("valid", valid)] if valid else []
    parts.append(("test", test))
    rows = [
        [name] + [_four(part.get(_key(name, k))) for _, part in parts for k in cutoffs]
        for name in names
    ]
    heads = ["metric"] + [f"{title} @{k}" if k else title for title, _ in parts for k in cutoffs]
    seconds = result["train_epoch_seconds"]
    median = sorted(seconds)[len(seconds) // 2]
    lines = [
        f"{result['model']} on {result['dataset']} with "
        f"{_words_of(result)}, seed {result['seed']}: {result['epochs']} epochs of {median:.2f} s, "
        f"tested with the weights of epoch {result['best_epoch']}",
        "",
        tabulate(rows, heads, stralign="right", colalign=("left",), disable_numparse=True),
        "",
        *_of_parts(result),
        f"model:   {result['checkpoint']}",
        *_of_all(result),
        f"results: {result['run_dir']}",
    ]
    if result["tuned_file"]:
        lines.append(f"tuned settings: {result['tuned_file']} (--tuned=False switches them off)")
    return "\n".join(lines)


def _of_parts(result: RunResult) -> list[str]:
    """What the split lets a model know of the future."""
    if "split" not in result:
        return []
    return [*textwrap.wrap(result["split"]["sentence"], 96, subsequent_indent=" " * 9), ""]


def _of_all(result: RunResult) -> list[str]:
    """Where the model of ``train_on: all`` lies, and what it has been trained on."""
    if "all" not in result:
        return []
    facts = result["all"]
    return [
        f"live:    {facts['checkpoint']}, trained on all {facts['interactions']:,} interactions "
        f"for {facts['epochs']} epochs and not tested; predict and export take it"
    ]


def with_loss(sampler: str, loss: str | None, mixer: str | None = None, *, mined: str = "") -> str:
    """``dns, loss ssm``; the sampler alone where the loss is the model's own or not said.

    With a mixer ``rns, loss kpair, mixer dens``; what ``mine`` does (:func:`.mined_word`) is last.
    """
    named = sampler if loss in (None, OWN_LOSS) else f"{sampler}, loss {loss}"
    named = named if mixer in (None, NO_MIXER) else f"{named}, mixer {mixer}"
    return f"{named}, {_MINED[mined]}" if mined else named


_MINED = {MINED: "mined positives", SPARED: "likely positives spared"}


def _words_of(result: RunResult) -> str:
    """What a run was trained with, in words."""
    return with_loss(
        result["neg_sampler_label"],
        result.get("loss"),
        result.get("mixer"),
        mined=mined_word(result.get("mine")),
    )


def label_of(result: Mapping[str, Any], *, with_loss: bool = True) -> str:
    """``dns+ssm``, or ``bns+ssm (oracle: sees test labels)``.

    Args:
        result: of a run.
        with_loss: whether the loss is named where it is not the model's own, and the mixer.
    """
    sampler, label = str(result["neg_sampler"]), str(result["neg_sampler_label"])
    if not with_loss:
        return label
    known = sampler if label.startswith(sampler) else label
    beside = result.get("loss"), result.get("mixer")
    return cell(known, *beside, mined=mined_word(result.get("mine"))) + label[len(known) :]


def _key(name: str, k: str) -> str:
    return f"{name}@{k}" if k else name


def _four(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


PACKAGES = ("recbole", "torch", "numpy", "scipy", "pandas")


class Outcome(NamedTuple):
    """What a training comes to."""

    reports: Sequence[EpochReport]
    """Of all epochs."""
    best_epoch: int
    """Whose weights are tested, counted from 1."""
    checkpoint: str
    """The file that holds them."""


def warning_label(config: RunConfig, core: NegativeSampler | None) -> str:
    """The sampler's name for people; it says whether anything sees test labels."""
    label = str(config["neg_sampler"]) if core is None else core.label
    return f"{label} (oracle weights: see test labels)" if weighed_by_oracle(config) else label


def result_of(
    config: RunConfig,
    core: NegativeSampler | None,
    trained: Outcome,
    best: Mapping[str, Any] | None,
    test: Mapping[str, Any],
    folder: Path,
    loss: LossFacts | None = None,
    mine: Settings | None = None,
) -> RunResult:
    """The content of ``result.json``.

    Args:
        config: of the run.
        core: the sampler, or None where RecBole samples.
        trained: what the training came to.
        best: validation metrics of the weights that were tested, or None.
        test: test metrics.
        folder: of the run.
        loss: over many negatives; None: the model's own.
        mine: all parameters of mined positives; None: there are none.
    """
    # Of the file, since the settings of a run that went on do not say it.
    origin = read_settings(folder).get("settings_from") or {}
    result: RunResult = {
        "model": config["model"],
        "dataset": config["dataset"],
        "neg_sampler": config["neg_sampler"],
        "neg_sampler_label": warning_label(config, core),
        "neg_sampler_args": {} if core is None else as_mapping(core.params),
        "neg_sample_num": config["neg_sample_num"],
        "tuned_file": origin.get("tuned_file"),
        "seed": config["seed"],
        "versions": versions(),
        "valid_metric": config["valid_metric"].lower(),
        "best_valid_result": plain_metrics(best),
        "test_result": plain_metrics(test) or {},
        "best_epoch": trained.best_epoch,
        "epochs": len(trained.reports),
        "train_epoch_seconds": [report.seconds for report in trained.reports],
        "run_dir": str(folder),
        "checkpoint": trained.checkpoint,
    }
    if loss is not None:
        result = cast(RunResult, {**result, **loss})
    if mine is not None:
        result["mine"] = mine
    if "preset" in origin:
        result["preset"] = origin["preset"]
    if config["batch_decided"]:
        result["batch_decided"] = config["batch_decided"]
    idle = getattr(config, "idle", [])
    if idle:
        result["idle"] = idle
    if (config["nproc"] or 1) > 1:
        result["nproc"] = config["nproc"]
    return result


def write_result(result: RunResult, folder: Path, copy: str | Path | None = None) -> None:
    """Write ``result.json``, whole or not at all: by it a run is known to be finished.

    Args:
        result: of :func:`result_of`.
        folder: of the run.
        copy: a second place; see :func:`write_copy`.
    """
    write_text(folder / RESULT, _text(result))
    if copy is not None:
        write_copy(result, copy)


def write_copy(result: RunResult, path: str | Path) -> None:
    """Write a result to a second place, perhaps a pipe."""
    Path(path).write_text(_text(result), encoding="utf-8")


def _text(result: RunResult) -> str:
    return json.dumps(result, indent=2) + "\n"


def read_result(folder: Path) -> RunResult | None:
    """The result of the run in a folder; None for one that is not finished.

    Raises:
        UsageError: the file cannot be read, or is none that a run wrote.
    """
    path = folder / RESULT
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"result of a run: '{path}' cannot be read ({error}).") from error
    if not isinstance(result, dict) or "test_result" not in result:
        raise UsageError(
            f"result of a run: '{path}' is none that a run wrote (it has no test_result)."
        )
    return cast(RunResult, result)


def versions() -> dict[str, str]:
    """Versions of what decides a result."""
    own = {"python": platform.python_version(), "recbole-bns": __version__}
    return own | {package: _version(package) for package in PACKAGES}


@cache
def _version(package: str) -> str:
    """Of an installed package, looked up once a process."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def plain_metrics(metrics: Mapping[str, Any] | None) -> Metrics | None:
    """Metrics as plain numbers under lower-case names; None where there are none."""
    return {name.lower(): float(value) for name, value in metrics.items()} if metrics else None


def _line(report: EpochReport) -> dict[str, Any]:
    """A line of ``epochs.csv``."""
    return {
        "epoch": report.epoch,
        "train_loss": report.train_loss,
        "train_seconds": report.seconds,
        "learning_rate": report.learning_rate,
        **(report.valid_result or {}),
    }


def epochs_table(
    table: IO[str], then: Callable[[EpochReport], None], before: list[EpochReport]
) -> Callable[[EpochReport], None]:
    """What writes a line of ``epochs.csv`` as soon as an epoch is done.

    Args:
        table: the open file.
        then: is told of the epoch too.
        before: epochs of an earlier process, whose lines come first.
    """
    lines = [_line(report) for report in before]
    columns = dict.fromkeys(key for line in lines for key in line)
    header: list[str] = []

    def record(report: EpochReport) -> None:
        nonlocal header
        lines.append(_line(report))
        columns.update(dict.fromkeys(lines[-1]))
        writer = csv.DictWriter(table, list(columns), restval="")
        if header == list(columns):
            writer.writerow(lines[-1])
        else:  # the first metrics may come with a later epoch
            header = list(columns)
            table.seek(0)
            table.truncate()
            writer.writeheader()
            writer.writerows(lines)
        table.flush()
        then(report)
        if not math.isfinite(report.train_loss):
            logging.getLogger().warning(f"epoch {report.epoch}: the loss is {report.train_loss}.")

    return record


@dataclass
class EpochReport:
    """What is known after an epoch; epochs are counted from 1."""

    epoch: int
    train_loss: float
    seconds: float
    learning_rate: float
    valid_result: Metrics | None = None
