"""The run recipe: settings, data, model, training, test, results in a folder."""

from __future__ import annotations

import csv
import json
import logging
import math
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .compat import quiet, tensorboard_in
from .config import BNSConfig

# isort: split
from recbole.data import create_dataset
from recbole.utils import get_model, init_seed

from . import __version__
from .analysis.record_file import RecordFolder
from .data import data_preparation, stock_data_preparation
from .datasets import check_files
from .errors import UsageError, refusals
from .per_user import PerUserEvaluator, save, users_of
from .progress import Progress
from .run_folder import check_file, log_to, make_folder, write_settings
from .sampling import NegativeSampler
from .sampling.params import as_mapping
from .settings import NO_SAMPLER
from .trainer import EpochReport, get_trainer

INSTALLED_AS = {"faiss": "faiss-cpu"}
PACKAGES = ("recbole", "torch", "numpy", "scipy", "pandas")


def run_recbole_bns(
    model: str | type | None = None,
    dataset: str | None = None,
    config_file_list: list[str] | None = None,
    config_dict: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    result_file: str | Path | None = None,
    per_user: str | Path | None = None,
) -> dict[str, Any]:
    """Train a RecBole model with a negative sampler, test it, and keep everything in a folder.

    Args:
        model: RecBole's name of the model, or a class; LightGCN where nothing says otherwise.
        dataset: name of the data set; ml-100k where nothing says otherwise.
        config_file_list: YAML files.
        config_dict: settings; dotted keys are allowed (``neg_sampler_args.candidate_num``).
        out: folder for all that the run writes; by default
            ``runs/<dataset>-<Model>-<sampler>-<seed>-<time>``.
        result_file: a second place for ``result.json``.
        per_user: an ``.npz`` file for the test metrics of every user; see :mod:`.per_user`.

    Returns:
        the content of ``result.json``: metrics flat and unrounded, epochs counted from 1.

    Raises:
        UsageError: bad settings or data, or a training that diverged.
    """
    config = BNSConfig(model, dataset, config_file_list, config_dict)
    check_files(config)
    if result_file is not None:
        check_file(result_file)
    folder = make_folder(out, config)
    config["checkpoint_dir"] = str(folder / "checkpoints")
    with quiet(), log_to(folder / "run.log"):
        try:
            return _run(config, folder, result_file, per_user)
        except ModuleNotFoundError as error:
            package = str(error.name)
            raise UsageError(
                f"model: {config['model']} of RecBole needs the package '{package}', which is not "
                f"installed; pip install {INSTALLED_AS.get(package, package)}."
            ) from error


def _run(
    config: Any, folder: Path, result_file: str | Path | None, per_user: str | Path | None
) -> dict[str, Any]:
    write_settings(config, folder)
    init_seed(config["seed"], config["reproducibility"])
    stock = config["neg_sampler"] == NO_SAMPLER
    prepare = stock_data_preparation if stock else data_preparation
    with refusals(f"data set '{config['dataset']}'"):
        dataset = create_dataset(config)
        logging.getLogger().info(dataset)
        train_data, valid_data, test_data = prepare(config, dataset)
    init_seed(config["seed"], config["reproducibility"])
    name = config["model"]
    model_class = config.model_class or get_model(name)
    model = model_class(config, train_data._dataset).to(config["device"])
    logging.getLogger().info(model)
    with tensorboard_in(folder / "tensorboard"):
        trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
    if trainer.eval_step <= 0:
        valid_data = None
    file = "best.pt" if valid_data else "last.pt"
    trainer.saved_model_file = str(folder / "checkpoints" / file)
    core = None if stock else train_data._sampler.core
    label = "RecBole's sampling" if core is None else core.label
    with (
        Progress(
            f"{name} on {config['dataset']} with {label}",
            trainer.epochs,
            len(train_data),
            config["valid_metric"].lower(),
            bigger=config["valid_metric_bigger"],
            shown=bool(config["show_progress"]),
        ) as progress,
        (folder / "epochs.csv").open("w", newline="", encoding="utf-8") as table,
    ):
        trainer.on_epoch = _recorder(table, progress)
        train_data.on_batch = progress.batch
        recorder = getattr(train_data, "recorder", None)
        if recorder:
            recorder.folder = RecordFolder(folder, config["neg_record_format"])
        _, best = trainer.fit(train_data, valid_data, verbose=True, saved=True)
    trainer.evaluator = PerUserEvaluator(config)
    test = trainer.evaluate(test_data, load_best_model=True)
    trainer.tensorboard.close()
    if recorder:
        items = train_data._dataset.field2id_token[train_data._dataset.iid_field]
        recorder.finish(max(config["topk"]), items)
    if per_user is not None:
        save(per_user, users_of(test_data), trainer.evaluator.values)
    result = _result(config, core, trainer, best, test, folder)
    text = json.dumps(result, indent=2) + "\n"
    for path in (folder / "result.json", result_file):
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
    return result


def _result(
    config: Any,
    core: NegativeSampler | None,
    trainer: Any,
    best: Mapping[str, Any] | None,
    test: Mapping[str, Any],
    folder: Path,
) -> dict[str, Any]:
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
        "best_valid_result": None if best is None else _plain(best),
        "test_result": _plain(test),
        "best_epoch": trainer.best_epoch,
        "epochs": len(trainer.reports),
        "train_epoch_seconds": [report.seconds for report in trainer.reports],
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


def _plain(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name.lower(): float(value) for name, value in metrics.items()}


def _recorder(table: Any, progress: Progress) -> Any:
    """Write a line of ``epochs.csv`` as soon as an epoch is done."""
    lines: list[dict[str, Any]] = []
    columns: list[str] = []

    def record(report: EpochReport) -> None:
        nonlocal columns
        lines.append(
            {
                "epoch": report.epoch,
                "train_loss": report.train_loss,
                "train_seconds": report.seconds,
                "learning_rate": report.learning_rate,
                **(report.valid_result or {}),
            }
        )
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
