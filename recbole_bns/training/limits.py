"""``nproc``: what several processes cannot do is refused with the reason, before any starts."""

from __future__ import annotations

import os
from typing import Any

from recbole.utils import ModelType

from recbole_bns.adapters.acting import check_commands
from recbole_bns.adapters.batch import LEAST
from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.handover import pretrained_file
from recbole_bns.adapters.loss_settings import chosen_loss
from recbole_bns.adapters.sampler_settings import parsed_settings
from recbole_bns.adapters.team import current
from recbole_bns.common.errors import UsageError
from recbole_bns.common.processes import count_cores, started_by_torchrun
from recbole_bns.common.threads import AUTO
from recbole_bns.runs.records import RunConfig
from recbole_bns.sampling import get
from recbole_bns.sampling.capabilities import HeldOutPairs, Learns, Pretrained, of_type
from recbole_bns.settings.declared import ALL_PARTS, NO_SAMPLER, refuse_unread

AT_LEAST = 4
"""Processes that a machine with fewer cores may still start."""


def number_of(config: RunConfig) -> int:
    """How many processes train, 1 where nothing is said."""
    return int(config["nproc"] or 1)


def check_run(config: BNSConfig, new: bool = True) -> None:
    """Make sure that a run can be done here, by several processes where they are asked for.

    Args:
        config: of the run.
        new: it does not go on, so that weights of another run that it begins with must be there.

    Raises:
        UsageError: it cannot; the sentence says why.
    """
    if started_by_torchrun():
        _check_started(config, int(os.environ["WORLD_SIZE"]))
    if number_of(config) > 1:
        _check_divided(config, number_of(config))
    check_commands(config)
    _check_all(config)
    if new:
        _check_pretrained(config)


def _check_all(config: BNSConfig) -> None:
    """Make sure that a second model can be trained on all interactions, where that is asked for.

    Raises:
        UsageError: it cannot.
    """
    if config["train_on"] != ALL_PARTS:
        return
    reason = _why_not_on_all(config)
    if reason:
        raise UsageError(f"train_on: got 'all', but {reason}; allowed is valid_best.")


def _why_not_on_all(config: BNSConfig) -> str:
    if number_of(config) > 1:
        return f"nproc is {number_of(config)}, and it is a training of one process"
    if config["MODEL_TYPE"] == ModelType.DECISIONTREE:
        return f"{config['model']} is not trained by epochs"
    if config["neg_sampler"] == NO_SAMPLER:
        return ""
    name, params, _ = parsed_settings(config)
    choice = chosen_loss(config)
    weights = choice.weight.requirements() if choice and choice.weight else ()
    needs = (*get(name).requirements_of(params), *weights)
    if of_type(needs, HeldOutPairs) is not None:
        return "prior: oracle reads the labels of the test part, and then there is none"
    if of_type(needs, Pretrained) is not None:
        return "the weights of a run on the training part alone (pretrained) are not of all of them"
    return ""


def _check_pretrained(config: RunConfig) -> None:
    """Make sure, before the data are read, that a run whose weights are to be taken is there.

    Raises:
        UsageError: it is not.
    """
    if config["neg_sampler"] == NO_SAMPLER:
        return
    name, params, _ = parsed_settings(config)
    run = of_type(get(name).requirements_of(params), Pretrained)
    if run is not None:
        pretrained_file(run.path)


def _check_started(config: BNSConfig, size: int) -> None:
    asked = {config["nproc"], *(file.get("nproc", size) for file in config.files.values())}
    if asked - {size}:
        raise UsageError(
            f"nproc: got {min(asked - {size})}, but torchrun has started {size} processes; start "
            "as many (--nnodes times --nproc-per-node), or leave it out."
        )


def _check_divided(config: RunConfig, nproc: int) -> None:
    reason = _reason(config, nproc)
    if reason:
        raise UsageError(f"nproc: got {nproc}, but {reason}.")
    if started_by_torchrun():  # each process runs the script itself
        return
    for what, cls in (("model", config.model_class), ("neg_sampler", get(config["neg_sampler"]))):
        if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
            raise UsageError(
                f"nproc: got {nproc}, but the {what} {cls.__name__} is defined in the script that "
                "runs, where other processes do not find it; put it into a module of its own that "
                "the script imports."
            )


def _reason(config: RunConfig, nproc: int) -> str:
    """Why ``nproc`` processes cannot train this; empty where they can."""
    sources = (_machine_is_too_small, _sampling_is_not_divided, _training_is_not_divided)
    reasons = (source(config, nproc) for source in sources)
    return next((reason for reason in reasons if reason), "")


def on_this_machine(nproc: int) -> int:
    """How many of the processes are here; ``torchrun`` may have started some elsewhere."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if started_by_torchrun() else nproc


def _machine_is_too_small(config: RunConfig, nproc: int) -> str:
    import torch.distributed

    cores, here = max(count_cores(), AT_LEAST), on_this_machine(nproc)
    if not torch.distributed.is_available():
        return "this PyTorch was built without torch.distributed; allowed is 1"
    if config["device"].type == "cpu" and here > cores:
        return f"this machine has {count_cores()} cores; allowed is 1 to {cores}"
    return ""


def _sampling_is_not_divided(config: RunConfig, _: int) -> str:
    if config["neg_sampler"] == NO_SAMPLER:
        return (
            f"neg_sampler '{NO_SAMPLER}' is RecBole's own sampling, which is not divided; allowed "
            "is 1, or neg_sampler: rns, which draws the same distribution"
        )
    cls, params = get(config["neg_sampler"]), parsed_settings(config)[1]
    learns = of_type(cls.requirements_of(params), Learns)
    if learns is not None:
        return learns.not_divided(cls.name)
    if config["neg_record"]:
        return (
            "neg_record: True counts the negatives of one process; allowed is 1, or "
            "neg_record: False"
        )
    return ""


def _training_is_not_divided(config: RunConfig, nproc: int) -> str:
    from recbole.trainer import Trainer
    from recbole.utils import InputType, get_trainer

    positives = config["train_batch_size"]
    if positives == AUTO:  # the data have not been read
        positives = LEAST
    if config["MODEL_INPUT_TYPE"] == InputType.POINTWISE:
        positives //= 2
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])
    if trainer is not Trainer:
        return (
            f"{config['model']} has a training loop of its own ({trainer.__name__}); allowed is 1"
        )
    if config["enable_scaler"]:
        return "enable_scaler: True may skip a step in one process alone; allowed is 1"
    if str(config["learner"]).lower() == "sparse_adam":
        return "learner: sparse_adam has gradients that are not added up; allowed is 1"
    if config["worker"]:
        return f"worker is {config['worker']}; allowed with several processes is worker: 0"
    if positives < nproc:
        return f"a batch has {positives} positives (train_batch_size), less than one for each"
    if config["device"].type == "cuda" and not started_by_torchrun():  # there each sees its own
        return _too_few_gpus(str(config["gpu_id"]), nproc)
    return ""


def _too_few_gpus(gpu_id: str, nproc: int) -> str:
    import torch

    named, there = len(gpu_id.split(",")), torch.cuda.device_count()
    if min(named, there) >= nproc:
        return ""
    return (
        f"gpu_id '{gpu_id}' names {named} GPUs, of which {there} are there; allowed is 1 to "
        f"{there}, a gpu_id for each (--gpu_id=0,1), or --use_gpu=False for the CPU"
    )


def check_alone(config: RunConfig, what: str) -> None:
    """Refuse several processes for a command that starts runs of its own.

    Args:
        config: of its runs.
        what: the command, and how it uses a machine.

    Raises:
        UsageError: ``nproc`` is more than 1.
    """
    check_commands(config)
    refuse_unread(config.variable_config_dict)
    if config["train_on"] == ALL_PARTS:
        raise UsageError(
            f"train_on: got 'all', but {what}, to be compared; allowed is valid_best: train the "
            "best of them with recbole-bns run --train_on=all."
        )
    if number_of(config) > 1:
        raise UsageError(f"nproc: got {number_of(config)}, but {what}; allowed is 1.")
    if started_by_torchrun() and os.environ["WORLD_SIZE"] != "1":
        raise UsageError(
            f"torchrun: got {os.environ['WORLD_SIZE']} processes, but {what}; start it by itself."
        )


def check_team(config: RunConfig, train: Any) -> None:
    """Make sure, with the training part read, that ``nproc`` processes are here and read the same.

    Raises:
        UsageError: nobody has started them, or they differ.
    """
    team, wanted = current(), number_of(config)
    if wanted != team.size:
        raise UsageError(
            f"nproc: got {wanted}, but only run_recbole_bns and recbole-bns run start several "
            "processes; allowed here is 1."
        )
    if team.size > 1:
        users, items = (train.inter_feat[name] for name in (train.uid_field, train.iid_field))
        if not team.agree([len(users), int((users * train.item_num + items).sum())]):
            raise UsageError(
                f"nproc: the {team.size} processes have read different training data; was a file "
                "changed just now?"
            )
