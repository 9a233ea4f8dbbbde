"""What a run leaves behind: ``result.json`` and, epoch by epoch, ``epochs.csv``."""

from __future__ import annotations

import csv
import logging
import math
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from . import __version__
from .progress import Progress
from .sampling import NegativeSampler
from .sampling.params import as_mapping
from .trainer import EpochReport

PACKAGES = ("recbole", "torch", "numpy", "scipy", "pandas")


def result_of(
    config: Any,
    core: NegativeSampler | None,
    trainer: Any,
    best: Mapping[str, Any] | None,
    test: Mapping[str, Any],
    folder: Path,
) -> dict[str, Any]:
    """The content of ``result.json``.

    Args:
        config: of the run.
        core: the sampler, or None where RecBole samples.
        trainer: after the training.
        best: validation metrics of the weights that were tested, or None.
        test: test metrics.
        folder: of the run.
    """
    return {
        "model": config["model"],
        "dataset": config["dataset"],
        "neg_sampler": config["neg_sampler"],
        "neg_sampler_label": config["neg_sampler"] if core is None else core.label,
        "neg_sampler_args": {} if core is None else as_mapping(core.params),
        "neg_sample_num": config["neg_sample_num"],
        "tuned_file": config["tuned_file"],
        "seed": config["seed"],
        "versions": versions(),
        "valid_metric": config["valid_metric"].lower(),
        "best_valid_result": plain_metrics(best),
        "test_result": plain_metrics(test),
        "best_epoch": trainer.best_epoch,
        "epochs": len(trainer.reports),
        "train_epoch_seconds": [report.seconds for report in trainer.reports],
        **({"nproc": config["nproc"]} if (config["nproc"] or 1) > 1 else {}),
        "run_dir": str(folder),
        "checkpoint": trainer.saved_model_file,
    }


def versions() -> dict[str, str]:
    """Versions of what decides a result."""
    found = {"python": platform.python_version(), "recbole-bns": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def plain_metrics(metrics: Mapping[str, Any] | None) -> dict[str, float] | None:
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


def epochs_table(table: Any, progress: Progress, before: list[EpochReport]) -> Any:
    """Write a line of ``epochs.csv`` as soon as an epoch is done, after those ``before``."""
    lines = [_line(report) for report in before]
    columns: list[str] = []

    def record(report: EpochReport) -> None:
        nonlocal columns
        lines.append(_line(report))
        before, columns = columns, list(dict.fromkeys([*columns, *lines[-1]]))
        writer = csv.DictWriter(table, columns, restval="")
        if columns == before:
            writer.writerow(lines[-1])
        else:  # the first metrics may come with a later epoch
            table.seek(0)
            table.truncate()
            writer.writeheader()
            writer.writerows(lines)
        table.flush()
        progress.epoch(report)
        if not math.isfinite(report.train_loss):
            logging.getLogger().warning(f"epoch {report.epoch}: the loss is {report.train_loss}.")

    return record
