"""``enable()``: RecBole's own calls understand ``neg_sampler``.

Two functions that RecBole's ``data_preparation`` looks up in its module, ``create_samplers`` and
``get_dataloader``, and two methods of its trainers are wrapped. A ``Config`` without
``neg_sampler`` is served as before.
"""

from __future__ import annotations

from contextlib import ExitStack
from logging import getLogger
from typing import Any

import recbole.data.utils as host
from recbole.data.dataloader import TrainDataLoader
from recbole.trainer import NCLTrainer, Trainer

from recbole_bns import losses, mixers
from recbole_bns.adapters.dataloader import BNSTrainDataLoader
from recbole_bns.adapters.dataset import read_truly
from recbole_bns.adapters.handover import begin_epoch, hand_over, sampler_of, steps_told
from recbole_bns.adapters.keys import near_misses
from recbole_bns.adapters.mends import mend
from recbole_bns.adapters.mine_settings import mine_params
from recbole_bns.adapters.models import upgrade
from recbole_bns.adapters.own_quick_start import mend_quick_start
from recbole_bns.adapters.sampler import BNSSampler
from recbole_bns.adapters.sampler_settings import derive_train_neg_sample_args, is_sampled
from recbole_bns.adapters.saved import keep_keyed
from recbole_bns.adapters.split import PHASES, refuse_stock
from recbole_bns.adapters.tested import generator_is_tested
from recbole_bns.adapters.wraps import wrap
from recbole_bns.common.errors import UsageError
from recbole_bns.runs.records import RunConfig

from .loaders import create_samplers
from .threads import set_threads
from .trainer import TrainerMixin


def enable() -> None:
    """Let RecBole's own calls use our samplers; call it before them, once or more often.

    Afterwards ``neg_sampler: bns`` (with ``neg_sampler_args``, ``neg_sample_num``) in any of
    RecBole's settings decides what ``recbole.quick_start.run_recbole``, ``data_preparation`` and
    ``Trainer.fit`` train on, and RecBole's quick start runs on today's NumPy, SciPy and PyTorch.
    """
    mend()
    mend_quick_start()
    read_truly(everybody=True)
    keep_keyed()
    wrap(host, "create_samplers", _create_samplers)
    wrap(host, "get_dataloader", _get_dataloader)
    for trainer in (Trainer, NCLTrainer):  # NCL's has a loop of its own
        wrap(trainer, "__init__", _init)
        wrap(trainer, "fit", _fit)
        wrap(trainer, "_train_epoch", _train_epoch)


def _create_samplers(original: Any, config: RunConfig, dataset: Any, built_datasets: Any) -> Any:
    for remark in near_misses(config.external_config_dict, config.model_class):
        getLogger().warning(remark)
    if not is_sampled(config):
        for key, known in (("loss", losses.available()), ("mixer", mixers.available())):
            if config[key] in known:  # a model of theirs may have a setting of this name
                getLogger().warning(
                    f"{key}: got '{config[key]}', which acts only with a neg_sampler; without one "
                    "RecBole trains the model's own loss."
                )
        if config["mine"]:
            getLogger().warning(
                "mine: it acts only with a neg_sampler; without one RecBole's batches stay as they "
                "are."
            )
        return original(config, dataset, built_datasets)
    refuse_stock(config)
    derive_train_neg_sample_args(config, config.external_config_dict)
    for key in ("valid_ratio", "neg_record"):
        _refuse(config, key, "data_preparation")
    train, evaluation = create_samplers(config, dict(zip(PHASES, built_datasets, strict=True)))
    config["train_neg_sample_args"]["dynamic"] = False  # a loader of others just asks its sampler
    return train, *(evaluation[phase].set_phase(phase) for phase in PHASES[1:])


def _refuse(config: RunConfig, key: str, function: str) -> None:
    """Refuse a setting that only a function of ours reads."""
    if config[key] not in (None, False):
        raise UsageError(
            f"{key}: got {config[key]!r}, which RecBole's {function} does not know; use "
            f"recbole_bns.{function} in its place."
        )


def _get_dataloader(original: Any, config: RunConfig, phase: str) -> Any:
    chosen = original(config, phase)
    if phase != "train" or not is_sampled(config):
        return chosen
    if chosen is TrainDataLoader:
        return BNSTrainDataLoader
    if chosen.__module__.startswith("recbole."):
        raise UsageError(
            f"neg_sampler: got '{config['neg_sampler']}', but {config['model']} trains with "
            f"RecBole's {chosen.__name__}, which takes no negatives from a sampler; leave it out."
        )
    if mine_params(config) is not None:
        raise UsageError(
            f"mine: {config['model']} trains with a loader of its own, {chosen.__name__}, whose "
            "batches stay as they are; leave it out."
        )
    return chosen


def _init(original: Any, trainer: Any, config: RunConfig, model: Any, *more: Any) -> None:
    """Make a model whole before its optimiser is made: a mixer may have weights to be trained."""
    if not isinstance(trainer, TrainerMixin) and is_sampled(config):
        upgrade(model, config)
    original(trainer, config, model, *more)


def _fit(original: Any, trainer: Any, train_data: Any, *args: Any, **kwargs: Any) -> Any:
    with ExitStack() as around:
        if not isinstance(trainer, TrainerMixin):  # which does all of this itself
            if sampler_of(train_data) is not None:
                _refuse(trainer.config, "lr_schedule", "get_trainer")
            if trainer.config["neg_sampler"] is not None:
                upgrade(trainer.model, trainer.config)
                _train_all(trainer)
            _refuse_generator(trainer.config, sampler_of(train_data))
            hand_over(trainer, train_data)
            around.enter_context(steps_told(trainer, train_data))
        around.enter_context(set_threads(trainer.config))
        return original(trainer, train_data, *args, **kwargs)


def _refuse_generator(config: RunConfig, sampler: BNSSampler | None) -> None:
    """Refuse to test a generator, of which RecBole's trainers know nothing."""
    if sampler is not None and generator_is_tested(config):
        raise UsageError(
            "neg_sampler_args.tested: got 'generator', but RecBole's trainer tests the model that "
            "it trains; allowed is recommender, or recbole_bns.get_trainer in its place."
        )


def _train_all(trainer: Any) -> None:
    """Have the optimiser of a trainer that is older than ``enable`` train what was added."""
    known = {id(w) for group in trainer.optimizer.param_groups for w in group["params"]}
    added = [weight for weight in trainer.model.parameters() if id(weight) not in known]
    if added:
        trainer.optimizer.add_param_group({"params": added})


def _train_epoch(
    original: Any, trainer: Any, train_data: Any, epoch_idx: int, *args: Any, **kwargs: Any
) -> Any:
    if not isinstance(trainer, TrainerMixin):
        begin_epoch(train_data, epoch_idx)
    return original(trainer, train_data, epoch_idx, *args, **kwargs)
