"""What a trainer of RecBole does differently as one of several processes.

A step is one step of the same batch: every process takes its share of the rows, weighs its loss
by it, and the gradients are added up before the optimiser (and before they are clipped). So all
weights stay equal to the last bit, and the mean over the batch is the one of a single process.
Evaluation is shared by whole batches and its rows are put together in their order before any
metric is computed, so that no row counts twice and each is computed as a single process would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from recbole.evaluator import Collector
from torch import Tensor, nn

from recbole_bns.adapters.team import Team, current
from recbole_bns.common.errors import UsageError
from recbole_bns.runs.records import RunConfig

if TYPE_CHECKING:
    from recbole.trainer import Trainer as _Host
else:
    _Host = object

Loss = Tensor | tuple[Tensor, ...]
COLLECTED = ("rec.items", "rec.topk", "rec.meanrank", "rec.score", "data.label")
"""What RecBole's collector keeps of every batch, one row after another."""


class SharedTrainer(_Host):
    """Goes between :class:`.trainer.TrainerMixin` and a trainer that trains as RecBole's does."""

    def __init__(self, config: RunConfig, model: nn.Module) -> None:
        super().__init__(config, model)
        self.team = current()
        for values in self._state():
            self.team.spread(values)
        self._clip = config["clip_grad_norm"]
        self.clip_grad_norm: Any = None  # not before all have added up
        self.optimizer.register_step_pre_hook(self._add_up)
        self.eval_collector = GatheringCollector(config, self.team)

    def _state(self) -> list[Tensor]:
        """Weights and dense buffers."""
        buffers = [b for b in self.model.buffers() if b.layout == torch.strided]
        return [*(weight.data for weight in self.model.parameters()), *buffers]

    def _train_epoch(
        self,
        train_data: Any,
        epoch_idx: int,
        loss_func: Callable[[Any], Loss] | None = None,
        **kwargs: Any,
    ) -> Any:
        whole = loss_func or self.model.calculate_loss

        def weighted(batch: Any) -> Loss:
            loss, weight = whole(batch), train_data.weight
            return (
                tuple(term * weight for term in loss) if isinstance(loss, tuple) else loss * weight
            )

        share = super()._train_epoch(train_data, epoch_idx, loss_func=weighted, **kwargs)
        for values in self.model.buffers():
            if values.layout == torch.strided:
                self.team.spread(values)
        self._check_equal(epoch_idx)
        losses = self.team.collect(share)
        if isinstance(share, tuple):
            return tuple(map(sum, zip(*losses, strict=True)))
        return sum(losses)

    def _add_up(self, optimizer: Any, *_: Any) -> None:
        """Add up the gradients of all processes, then clip; before each step of the optimiser."""
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        there = [weight.grad is not None for weight in weights]
        grads = [w.new_zeros(w.shape) if w.grad is None else w.grad for w in weights]
        head = torch.tensor(there, dtype=grads[0].dtype, device=grads[0].device)
        flat = torch.cat([head, *(grad.reshape(-1) for grad in grads)])
        self.team.add(flat)
        pieces = flat[len(weights) :].split([weight.numel() for weight in weights])
        for number, (weight, piece) in enumerate(zip(weights, pieces, strict=True)):
            if there[number] or bool(flat[number]):  # a weight that nobody uses keeps no gradient
                weight.grad = piece.view_as(weight).to(weight.dtype)
        if self._clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), **self._clip)

    def _check_equal(self, epoch: int) -> None:
        sums = [float(values.double().sum()) for values in self._state()]
        if not self.team.agree(sums):
            raise UsageError(
                f"nproc: got {self.team.size}, but the weights of {self.config['model']} differ "
                f"between the processes after epoch {epoch + 1}, so it changes them by other ways "
                "than gradients; allowed is 1."
            )

    def evaluate(self, eval_data: Any, *args: Any, **kwargs: Any) -> Any:
        """RecBole's ``evaluate`` of all batches, of which each process computes a share."""
        if not eval_data:
            return None
        share = share_of(eval_data, self.team)
        return self.team.collect(super().evaluate(share, *args, **kwargs))[0]


class GatheringCollector(Collector):
    """RecBole's collector that ends up with the rows of all processes, in their order."""

    def __init__(self, config: RunConfig, team: Team) -> None:
        super().__init__(config)
        self.team = team

    def get_data_struct(self) -> Any:
        """All rows, and what RecBole keeps beside them."""
        struct = super().get_data_struct()
        structs = self.team.collect({key: struct.get(key) for key in COLLECTED if key in struct})
        for key in {key for rows in structs for key in rows}:
            struct.set(key, torch.cat([rows[key] for rows in structs if key in rows]))
        return struct


class _Share:
    """Goes before a loader of RecBole for evaluation: a share of its batches, each as it was."""

    team: Team
    step: int
    sample_size: int
    collate_fn: Callable[[list[int]], Any]

    def __iter__(self) -> Iterator[Any]:
        batches = -(-self.sample_size // self.step)
        rank, size = self.team.rank, self.team.size
        for number in range(batches * rank // size, batches * (rank + 1) // size):
            end = min((number + 1) * self.step, self.sample_size)
            yield self.collate_fn(list(range(number * self.step, end)))


@cache
def _sharing(base: type) -> type:
    return type(f"Share{base.__name__}", (_Share, base), {})


def share_of(loader: Any, team: Team) -> Any:
    """A copy of a loader for evaluation that gives this process's batches alone."""
    kind: Any = _sharing(loader.__class__)
    share = kind.__new__(kind)
    share.__dict__.update(loader.__dict__, team=team)
    return share
