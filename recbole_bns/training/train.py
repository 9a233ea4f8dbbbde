"""One training in this process: data, model, training, test, results in a folder."""

from __future__ import annotations

import json
import logging
import os
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole.utils import init_seed

from recbole_bns.adapters.evaluation import PerUserEvaluator, users_of
from recbole_bns.adapters.mends import quiet, tensorboard_in
from recbole_bns.adapters.models import make_model
from recbole_bns.adapters.reads import missing
from recbole_bns.adapters.split import open_data
from recbole_bns.adapters.team import current
from recbole_bns.common.errors import UsageError, refusals
from recbole_bns.common.files import whole_file
from recbole_bns.runs.folder import LOG, log_to
from recbole_bns.runs.results import epochs_table, result_of, save
from recbole_bns.settings.declared import NO_SAMPLER

from .loaders import make_loaders
from .progress import Progress
from .recording.files import RecordFolder
from .resume import extend
from .state import Keeper, read_state
from .trainer import get_trainer


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
            raise UsageError(missing(config["model"], str(error.name))) from error


def _run(
    config: Any, folder: Path, result_file: str | Path | None, per_user: str | Path | None
) -> dict[str, Any]:
    team, own = current(), current().own(folder)
    log_team()
    stock = config["neg_sampler"] == NO_SAMPLER
    opened = open_data(config)
    with refusals(f"data set '{config['dataset']}'"):
        made = make_loaders(config, opened)
    train_data, valid_data, test_data = made["train"], made.get("valid"), made["test"]
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
        trainer.on_epoch = epochs_table(table, progress.epoch, trainer.reports)
        train_data.on_batch = progress.batch
        if keeper.recorder:
            keeper.recorder.folder = RecordFolder(folder, "csv", before=trainer.start_epoch)
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


def log_team() -> None:
    """Write to the log who trains."""
    from recbole_bns.adapters.team import current

    team = current()
    if team.size > 1:
        pids = ", ".join(map(str, team.collect(os.getpid())))
        getLogger().info(f"{team.size} processes train together: {pids}")
