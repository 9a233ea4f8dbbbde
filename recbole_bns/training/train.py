"""One training in this process: data, model, training, test, results in a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole.utils import init_seed

from recbole_bns.adapters.evaluation import users_of
from recbole_bns.adapters.foresight import split_facts
from recbole_bns.adapters.handover import sampler_of
from recbole_bns.adapters.loss_settings import loss_facts, loss_name
from recbole_bns.adapters.mends import quiet, tensorboard_in
from recbole_bns.adapters.mine_settings import mine_facts
from recbole_bns.adapters.mixer_settings import mixer_name
from recbole_bns.adapters.models import make_model
from recbole_bns.adapters.reads import missing
from recbole_bns.adapters.serving import is_served
from recbole_bns.adapters.split import catalogue_of, open_data, open_whole
from recbole_bns.adapters.team import current
from recbole_bns.adapters.tested_groups import TestedGroups
from recbole_bns.adapters.vectors import has_queries
from recbole_bns.common.errors import UsageError, refusals
from recbole_bns.runs import checkpoint
from recbole_bns.runs.card import Facts, write_card
from recbole_bns.runs.folder import (
    ALL,
    ALL_PLACE,
    BEST,
    CHECKPOINTS,
    LAST,
    LOG,
    log_to,
    settings_of,
)
from recbole_bns.runs.groups import write_groups
from recbole_bns.runs.records import AllFacts, RunConfig, RunResult
from recbole_bns.runs.results import (
    PER_USER,
    EpochReport,
    Outcome,
    epochs_table,
    read_result,
    result_of,
    save,
    with_loss,
    write_result,
)
from recbole_bns.sampling import NegativeSampler
from recbole_bns.settings.declared import ALL_PARTS
from recbole_bns.settings.properties import mined_word

from .device import device_words
from .loaders import make_loaders
from .progress import Progress
from .recording.files import RecordFolder
from .resume import extend
from .state import FILE, PREVIOUS, Keeper, read_state
from .threads import Pace, chosen_threads
from .trainer import TrainerMixin, Watch, get_trainer


def train(
    config: RunConfig, folder: Path, result_file: str | Path | None, per_user: str | Path | None
) -> RunResult:
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
    output = current().output(folder)
    config["checkpoint_dir"] = str(output / CHECKPOINTS)
    with quiet(), log_to(output / LOG, waits=bool(config["show_progress"])):
        try:
            if not current().rank:
                extend(folder, config)
            return _run(config, folder, result_file, per_user)
        except OSError as error:
            file = f" '{error.filename}'" if error.filename else ""
            raise UsageError(
                f"run: {error.strerror or error}{file}; what is done lies in {folder}, and goes "
                f"on with --resume={folder}."
            ) from error
        except ModuleNotFoundError as error:
            raise UsageError(missing(config["model"], str(error.name))) from error


def _run(
    config: RunConfig, folder: Path, result_file: str | Path | None, per_user: str | Path | None
) -> RunResult:
    log_team()
    if config["train_on"] != ALL_PARTS:
        return _select(config, folder, result_file, per_user)
    result = read_result(folder)
    if result is None:
        result = _select(config, folder, None, per_user)
    result["all"] = train_on_all(config, folder, result["best_epoch"])
    write_result(result, folder, result_file)
    return result


def _select(
    config: RunConfig, folder: Path, result_file: str | Path | None, per_user: str | Path | None
) -> RunResult:
    """Train on the training part, choose the epoch by validation, and test."""
    state = _earlier_state(folder / CHECKPOINTS, config)
    held = state.get("threads") if state else None  # one of old does not say
    with chosen_threads(config, held):
        return _train_and_test(config, folder, state, result_file, per_user)


def _train_and_test(
    config: RunConfig,
    folder: Path,
    state: Mapping[str, Any] | None,
    result_file: str | Path | None,
    per_user: str | Path | None,
) -> RunResult:
    team = current()
    opened = open_data(config)
    facts = split_facts(config, opened.parts)
    if facts is not None:
        getLogger().info(facts["sentence"])
    with refusals(f"data set '{config['dataset']}'"):
        loaders = make_loaders(config, opened)
    validates = "valid" in loaders and config["eval_step"] > 0
    weights = folder / CHECKPOINTS / (BEST if validates else LAST)
    trainer = make_trainer(config, loaders["train"], team.output(folder), weights)
    keeper = Keeper(trainer, loaders["train"], folder / CHECKPOINTS, config["checkpoint_every"])
    if state is not None:
        keeper.restore(state)
    team.wait()  # nobody writes before all have read
    core = core_of(loaders["train"])
    valid = loaders["valid"] if validates else None
    # TensorBoard's file is written by a thread, which has the last lines still before it.
    with closing(trainer.tensorboard):
        best = _fit(trainer, loaders["train"], valid, keeper, folder)
        keeper.finish()
        groups = tested_groups(loaders["train"], config["topk"])
        with groups.watching(trainer):
            test = trainer.evaluate(loaders["test"], load_best_model=True)
    if keeper.recorder is not None:
        train = loaders["train"]._dataset
        keeper.recorder.finish(max(config["topk"]), train.field2id_token[train.iid_field])
    trained = Outcome(trainer.reports, trainer.best_epoch, trainer.saved_model_file)
    item_num = loaders["train"]._dataset.item_num
    of_settings = loss_facts(config, item_num), mine_facts(config)
    result = result_of(config, core, trained, best, test, folder, *of_settings)
    if facts is not None:
        result["split"] = facts
    groups.items.gather(team)
    if team.rank == 0:
        values = trainer.evaluator.values
        if values or per_user is not None:
            save(per_user or folder / PER_USER, users_of(loaders["test"]), values)
        write_groups(folder, groups.lines(loaders["test"], values))
        write_card(result, settings_of(config), _facts(opened.parts, trainer), folder)
        write_result(result, folder, result_file)
    return result


def _facts(parts: Mapping[str, Any], trainer: TrainerMixin) -> Facts:
    """What the card says that no other file does."""
    model, values = trainer.model, trainer.evaluator.values
    return Facts.of(parts, values, served=is_served(model), vectors=has_queries(type(model)))


def train_on_all(config: RunConfig, folder: Path, epochs: int) -> AllFacts:
    """Train a second model on all parts together, from scratch and by the same settings.

    Schedules are told the ``epochs`` of the settings, so that each epoch goes as that of the model
    that was tested; it ends with the one that was best. Nothing is recorded (``neg_record``).

    Args:
        config: of the run.
        folder: of the run.
        epochs: how many.

    Returns:
        what ``result.json`` says of it.
    """
    place = folder / ALL_PLACE
    place.mkdir(exist_ok=True)
    getLogger().info(f"train_on all: {epochs} epochs on all interactions")
    state = _earlier_state(place, config)
    recorded, config["neg_record"] = config["neg_record"], False
    try:
        with chosen_threads(config, state.get("threads") if state else None):
            return _train_whole(config, folder, state, epochs)
    finally:
        config["neg_record"] = recorded


def _train_whole(
    config: RunConfig, folder: Path, state: Mapping[str, Any] | None, epochs: int
) -> AllFacts:
    place, weights = folder / ALL_PLACE, folder / CHECKPOINTS / ALL
    opened = open_whole(config)
    train = make_loaders(config, opened)["train"]
    trainer = make_trainer(config, train, place, weights)
    trainer.epochs = epochs
    keeper = Keeper(trainer, train, place, config["checkpoint_every"])
    if state is not None:
        keeper.restore(state)
    with closing(trainer.tensorboard):
        _fit(trainer, train, None, keeper, place, on=" on all interactions")
    checkpoint.save({**trainer.state_of(epochs - 1), "train_on": ALL_PARTS}, weights)
    for name in (FILE, PREVIOUS):
        (place / name).unlink(missing_ok=True)
    return {
        "epochs": epochs,
        "scheduled_epochs": config["epochs"],
        "interactions": len(opened.parts["train"].inter_feat),
        "train_epoch_seconds": [report.seconds for report in trainer.reports],
        "checkpoint": str(weights),
    }


def core_of(train_data: Any) -> NegativeSampler | None:
    """What draws the negatives of a loader; None where RecBole does."""
    sampler = sampler_of(train_data)
    return None if sampler is None else sampler.core


def tested_groups(train_data: Any, cuts: Sequence[int]) -> TestedGroups:
    """Groups of items and users by what they have in a training part, for a test of lists."""
    core = core_of(train_data)
    catalogue = catalogue_of(train_data._dataset) if core is None else core.catalogue.observed
    return TestedGroups(catalogue, cuts)


def _earlier_state(folder: Path, config: RunConfig) -> Mapping[str, Any] | None:
    """The state that the run goes on from, if there is one; what is to be said is logged."""
    state, remarks = read_state(folder, config, config["device"])
    for remark in remarks:
        getLogger().warning(remark)
    return state


def _fit(
    trainer: TrainerMixin,
    train_data: Any,
    valid_data: Any,
    keeper: Keeper,
    folder: Path,
    on: str = "",
) -> Mapping[str, Any] | None:
    """Train, with a bar or lines for who looks on, and ``epochs.csv``.

    Args:
        trainer: of the model.
        train_data: the loader of the training part.
        valid_data: that of the validation part, by which the weights to keep are chosen, or None.
        keeper: of its states.
        folder: for what is written.
        on: what it is trained on, for who looks on, where that is not the training part; the
            weights are then not kept after each epoch.

    Returns:
        the best validation metrics, or None.
    """
    config, core = trainer.config, core_of(train_data)
    beside = loss_name(config), mixer_name(config)
    mined = mined_word(config["mine"])
    label = "RecBole's sampling" if core is None else with_loss(core.label, *beside, mined=mined)
    if keeper.recorder is not None:
        keeper.recorder.write_to(RecordFolder(folder, before=trainer.start_epoch))
    with (
        Progress(
            f"{config['model']} on {config['dataset']} with {label}{on and ','}{on}",
            trainer.epochs,
            len(train_data),
            config["valid_metric"].lower(),
            bigger=config["valid_metric_bigger"],
            device=device_words(trainer.device),
            before=trainer.reports,
            shown=bool(config["show_progress"]),
        ) as progress,
        (current().output(folder) / "epochs.csv").open("w", newline="", encoding="utf-8") as table,
        Pace(core) as pace,
    ):
        after_epoch = epochs_table(table, progress.epoch, trainer.reports)

        def before(epoch: int) -> None:
            keeper(epoch)
            pace.before(epoch)

        def batch() -> None:
            pace.batch()
            progress.batch()

        def after(report: EpochReport) -> None:
            pace.after(report)
            after_epoch(report)

        watch = Watch(before, batch, after)
        _, best = trainer.fit(train_data, valid_data, verbose=True, saved=not on, watch=watch)
    return best


def make_trainer(
    config: RunConfig, train_data: Any, folder: Path, saved_model_file: Path | None = None
) -> TrainerMixin:
    """The model, initialised by the seed, and its trainer.

    Args:
        config: of the run.
        train_data: the loader of the training part.
        folder: for TensorBoard's files.
        saved_model_file: for the weights that are kept; see :class:`.trainer.TrainerMixin`.
    """
    model = make_model(config, train_data._dataset)
    getLogger().info(model)
    trainer_class = get_trainer(config["MODEL_TYPE"], config["model"])
    with tensorboard_in(folder / "tensorboard"):
        trainer = trainer_class(config, model, saved_model_file)
    if current().size > 1:  # the weights are equal, what is drawn from now on is not
        init_seed(current().seed(config["seed"]), config["reproducibility"])
    return trainer


def log_team() -> None:
    """Write to the log who trains."""
    team = current()
    if team.size > 1:
        pids = ", ".join(map(str, team.collect(os.getpid())))
        getLogger().info(f"{team.size} processes train together: {pids}")
