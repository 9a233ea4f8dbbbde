"""The run recipe: settings, data, model, training, test, results in a folder."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .compat import quiet, tensorboard_in
from .config import BNSConfig

# isort: split
from recbole.data import create_dataset
from recbole.utils import init_seed

from .analysis.record_file import RecordFolder
from .data import data_preparation, stock_data_preparation
from .datasets import check_cuts, check_files
from .errors import UsageError, refusals
from .model import make_model
from .nproc import check_run, number_of
from .per_user import PerUserEvaluator, save, users_of
from .progress import Progress
from .rank import log_team
from .results import epochs_table, result_of
from .resume import (
    AUTO,
    LOG,
    SETTINGS,
    alone,
    check_same,
    extend,
    find,
    finished,
    folder_of,
    is_finished,
)  # fmt: skip
from .run_folder import check_file, log_to, make_folder, write_settings
from .run_state import Keeper, read_state
from .settings import NO_SAMPLER
from .several import launch
from .team import current
from .trainer import get_trainer
from .whole_file import whole_file

INSTALLED_AS = {"faiss": "faiss-cpu"}


def run_recbole_bns(
    model: str | type | None = None,
    dataset: str | None = None,
    config_file_list: list[str] | None = None,
    config_dict: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    result_file: str | Path | None = None,
    per_user: str | Path | None = None,
    resume: str | Path | None = None,
    nproc: int | None = None,
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
        resume: folder of a run that goes on, with its own settings but for more epochs; ``auto``:
            the newest unfinished run with these settings below the current folder, else a new one.
        nproc: processes that train it together, each on a GPU or all on the CPU; the same as the
            setting. ``train_batch_size`` stays the size of a step's batch, which they share.

    Returns:
        the content of ``result.json``: metrics flat and unrounded, epochs counted from 1.

    Raises:
        UsageError: bad settings or data, a training that diverged, or one of several processes
            that died.
    """
    if nproc is not None:
        config_dict = {**(config_dict or {}), "nproc": nproc}
    if resume is not None and out is not None:
        raise UsageError(f"out: got '{out}', but a run that goes on stays in its folder.")
    going_on = resume is not None and str(resume) != AUTO
    if going_on:
        held = folder_of(str(resume))
        config_file_list = [str(held / SETTINGS), *(config_file_list or [])]
    config = BNSConfig(model, dataset, config_file_list, config_dict)
    check_run(config)
    check_files(config)
    if result_file is not None:
        check_file(result_file)
    found = held if going_on else find(config) if resume is not None else None
    if found is None:
        if resume is not None:
            print("--resume=auto: no unfinished run with these settings was found; a new one.")
        folder = make_folder(out, config)
        write_settings(config, folder)
    else:
        folder = found
        check_same(folder, config)
        if is_finished(folder, config["epochs"]):
            return finished(folder, result_file)
        print(f"the run in {folder} goes on")
    with alone(folder):
        try:
            if number_of(config) == 1:
                return train(config, folder, result_file, per_user)
            given = (model, dataset, config_file_list, dict(config_dict or {}))
            return launch(config, given, folder, result_file, per_user)
        except KeyboardInterrupt:
            raise Stopped(
                f"stopped; all that is done lies in {folder}; go on with: "
                f"recbole-bns run --resume={shlex.quote(str(folder))}"
            ) from None


def train(
    config: Any, folder: Path, result_file: str | Path | None, per_user: str | Path | None
) -> dict[str, Any]:
    """Train and test in this process, which may be one of several; the first one writes for all.

    Args:
        config: of the run.
        folder: of the run, with its settings; the state in it is gone on from.
        result_file: see :func:`run_recbole_bns`.
        per_user: see there.

    Returns:
        the content of ``result.json``.

    Raises:
        UsageError: bad data, no room to write, or a training that diverged.
    """
    own = current().own(folder)
    config["checkpoint_dir"] = str(own / "checkpoints")
    with quiet(), log_to(own / LOG):
        try:
            if not current().rank:
                extend(folder, config["epochs"])
            return _run(config, folder, result_file, per_user)
        except OSError as error:
            place = f" '{error.filename}'" if error.filename else ""
            raise UsageError(
                f"run: {error.strerror or error}{place}; what is done lies in {folder}, and goes "
                f"on with --resume={folder}."
            ) from error
        except ModuleNotFoundError as error:
            package = str(error.name)
            raise UsageError(
                f"model: {config['model']} of RecBole needs the package '{package}', which is not "
                f"installed; pip install {INSTALLED_AS.get(package, package)}."
            ) from error


class Stopped(KeyboardInterrupt):
    """Ctrl-C or SIGTERM during a run; the text says where it lies and how it goes on."""


def _run(
    config: Any, folder: Path, result_file: str | Path | None, per_user: str | Path | None
) -> dict[str, Any]:
    team, own = current(), current().own(folder)
    log_team()
    init_seed(config["seed"], config["reproducibility"])
    stock = config["neg_sampler"] == NO_SAMPLER
    prepare = stock_data_preparation if stock else data_preparation
    with refusals(f"data set '{config['dataset']}'"):
        dataset = create_dataset(config)
        logging.getLogger().info(dataset)
        check_cuts(config, dataset)
        train_data, valid_data, test_data = prepare(config, dataset)
    name = config["model"]
    trainer = make_trainer(config, train_data, own)
    if trainer.eval_step <= 0:
        valid_data = None
    file = "best.pt" if valid_data else "last.pt"
    trainer.saved_model_file = str(folder / "checkpoints" / file)
    keeper = Keeper(trainer, train_data, folder / "checkpoints", config["checkpoint_every"])
    state, remark = read_state(keeper.folder, config, config["device"])
    if remark:
        logging.getLogger().warning(remark)
    if state is not None:
        keeper.restore(state)
    team.wait()  # nobody writes before all have read
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
        (own / "epochs.csv").open("w", newline="", encoding="utf-8") as table,
    ):
        trainer.on_epoch = epochs_table(table, progress, trainer.reports)
        train_data.on_batch = progress.batch
        if keeper.recorder:
            keeper.recorder.folder = RecordFolder(
                folder, config["neg_record_format"], before=trainer.start_epoch
            )
        _, best = trainer.fit(train_data, valid_data, verbose=True, saved=True)
    keeper.finish()
    trainer.evaluator = PerUserEvaluator(config)
    test = trainer.evaluate(test_data, load_best_model=True)
    trainer.tensorboard.close()
    if keeper.recorder:
        items = train_data._dataset.field2id_token[train_data._dataset.iid_field]
        keeper.recorder.finish(max(config["topk"]), items)
    if per_user is not None and team.rank == 0:
        save(per_user, users_of(test_data), trainer.evaluator.values)
    result = result_of(config, core, trainer, best, test, folder)
    text = json.dumps(result, indent=2) + "\n"
    if team.rank == 0:
        with whole_file(folder / "result.json") as kept:  # by which a run is known to be finished
            kept.write(text.encode())
        if result_file is not None:  # perhaps a pipe
            Path(result_file).write_text(text, encoding="utf-8")
    return result


def make_trainer(config: Any, train_data: Any, folder: Path) -> Any:
    """The model, initialised by the seed, and its trainer.

    Args:
        config: a ``Config``.
        train_data: the loader of the training part.
        folder: for TensorBoard's files.
    """
    model = make_model(config, train_data._dataset)
    logging.getLogger().info(model)
    with tensorboard_in(folder / "tensorboard"):
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    if current().size > 1:  # the weights are equal, what is drawn from now on is not
        init_seed(current().seed(config["seed"]), config["reproducibility"])
    return trainer
