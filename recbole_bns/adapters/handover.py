"""What a trainer tells a training loader, ours or anybody's: the model, which epoch begins, steps.

The trainer owns them all. A loader of ours takes them itself; of another loader it is the sampler
that is told, where it is one of ours. RecBole's own loader and sampler are told nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.utils.hooks import RemovableHandle

from recbole_bns.common.errors import UsageError
from recbole_bns.runs import checkpoint
from recbole_bns.runs.folder import BEST, CHECKPOINTS, LAST, folder_of
from recbole_bns.sampling.capabilities import Learns, Perturbed, Pretrained, of_type

from .dataloader import BNSTrainDataLoader
from .sampler import BNSSampler
from .vectors import layer_zero


def sampler_of(train_data: Any) -> BNSSampler | None:
    """The sampler of ours that a training loader draws with; None where RecBole samples."""
    sampler = getattr(train_data, "_sampler", None)
    return sampler if isinstance(sampler, BNSSampler) else None


def hand_over(trainer: Any, train_data: Any) -> None:
    """Let whoever draws the negatives of a loader look at the model; before the first epoch.

    Where the sampler asks for it the model first takes the weights of another run.

    Args:
        trainer: RecBole's or ours, with its ``model``; its ``start_epoch`` tells whether it goes
            on, and keeps the weights that it has.
        train_data: its loader.

    Raises:
        UsageError: the model cannot give what the sampler needs, or the run is of something else.
    """
    sampler = sampler_of(train_data)
    if sampler is not None and trainer.start_epoch == 0:
        _pretrain(trainer, sampler, train_data)
    if isinstance(train_data, BNSTrainDataLoader):
        train_data.get_model(trainer.model)
    elif sampler is not None:
        sampler.bind(trainer.model)


def begin_epoch(train_data: Any, epoch: int) -> None:
    """Say that the next pass over a loader is epoch ``epoch`` (0-based)."""
    sampler = sampler_of(train_data)
    if hasattr(train_data, "begin_epoch"):
        train_data.begin_epoch(epoch)
    elif sampler is not None:
        sampler.begin_epoch(epoch)


def tell_of_changes(optimizer: torch.optim.Optimizer) -> RemovableHandle:
    """Have each step of an optimiser counted in the versions of its weights.

    PyTorch's fused steps change weights without that, and whoever keeps what was made of them, as
    LightGCN does with its propagated vectors, goes by their versions.
    """

    def count(stepped: torch.optim.Optimizer, *_: Any) -> None:
        for group in stepped.param_groups:
            if group.get("fused"):
                for weight in group["params"]:
                    torch.autograd.graph.increment_version(weight)

    return optimizer.register_step_post_hook(count)


@contextmanager
def steps_told(trainer: Any, train_data: Any) -> Iterator[None]:
    """While it lasts, whoever draws the negatives of a loader is told of each step of a trainer.

    A sampler that does not learn is not told, and costs nothing.

    Args:
        trainer: RecBole's or ours, with ``model`` and ``optimizer``.
        train_data: its loader.

    Raises:
        UsageError: the sampler wants the loss again, and the model or the loader cannot give it.
    """
    sampler = sampler_of(train_data)
    needs = () if sampler is None else sampler.core.requirements()
    with ExitStack() as hooks:
        if any(group.get("fused") for group in trainer.optimizer.param_groups):
            hooks.callback(tell_of_changes(trainer.optimizer).remove)
        if sampler is not None and of_type(needs, Learns):
            told = trainer.optimizer.register_step_post_hook(lambda *_: sampler.after_step())
            hooks.callback(told.remove)
        moved = of_type(needs, Perturbed)
        if sampler is not None and moved is not None:
            again = _again(trainer.model, train_data, sampler, moved)
            hooks.callback(trainer.optimizer.register_step_pre_hook(again).remove)
        yield


def _again(model: nn.Module, train_data: Any, sampler: BNSSampler, moved: Perturbed) -> Any:
    """A hook that adds the gradients of the perturbed loss, before a step."""
    tables, name = layer_zero(model), sampler.core.name
    if tables is None:
        kind = type(model).__name__
        raise moved.refusal(name, f"it is not known which weights of {kind} are vectors")
    if not isinstance(train_data, BNSTrainDataLoader):
        raise moved.refusal(name, f"{type(train_data).__name__} does not keep its batch")

    def hook(*_: Any) -> None:
        if not sampler.core.warming_up():
            add_perturbed_gradients(model, train_data.batch, tables, moved.size)

    return hook


def add_perturbed_gradients(
    model: Any, batch: Any, tables: tuple[Tensor, ...], size: float
) -> None:
    """Add to the weights' gradients those of the loss at ``w + size · g / |g|``, row by row.

    Args:
        model: whose gradients of the batch's loss are there.
        batch: that they are of.
        tables: weights (N, D) that are moved; a row without a gradient stays.
        size: how far.
    """
    kept = [table.detach().clone() for table in tables]
    with torch.no_grad():
        for table in tables:
            if table.grad is not None:
                table.add_(normalize(table.grad, dim=1), alpha=size)
    with torch.enable_grad():
        loss: Tensor = model.calculate_loss(batch)
        loss.backward()
    with torch.no_grad():
        for table, before in zip(tables, kept, strict=True):
            table.copy_(before)


def pretrained_file(path: str) -> Path:
    """The checkpoint of a run that is named as pretrained: of the weights that were tested.

    Args:
        path: the run's folder, or a checkpoint in it.

    Raises:
        UsageError: there is none.
    """
    named = Path(path)
    folder = folder_of(path, Pretrained.setting)
    files = [named] if named.is_file() else [folder / CHECKPOINTS / each for each in (BEST, LAST)]
    found = next((each for each in files if each.is_file()), None)
    if found is None:
        raise UsageError(
            f"{Pretrained.setting}: the run in '{folder}' has no checkpoint; name a finished one."
        )
    return found


def _pretrain(trainer: Any, sampler: BNSSampler, train_data: Any) -> None:
    """Give the model the weights of the run that the sampler names, if it does."""
    run = of_type(sampler.core.requirements(), Pretrained)
    if run is None:
        return
    path = pretrained_file(run.path)
    state = checkpoint.load(path, trainer.device)
    remedy = f"name another run with {run.setting}"
    checkpoint.check(state, path, trainer.config, remedy, ("model", "dataset"))
    checkpoint.check_data(state, path, checkpoint.fingerprint(train_data._dataset), remedy)
    checkpoint.restore(trainer.model, state, path)
