"""All that a training needs to go on as if it had never stopped, as tensors and plain values.

The state is taken at the start of an epoch, before anything is drawn for it: weights, optimiser,
early stopping, reports so far, the loader's order, the sampler, every global random generator.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recbole_bns.adapters.team import current, without_doubles
from recbole_bns.common.errors import UsageError
from recbole_bns.runs import checkpoint
from recbole_bns.runs.records import RunConfig

from .trainer import TrainerMixin

FILE, PREVIOUS = "resume.pt", "resume-previous.pt"
PRIVATE = ("sampler", "random")
"""What every process has for itself; those of all are in the file of the first."""


def random_states() -> dict[str, Any]:
    """The global generators of torch, NumPy and Python."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    version, numbers, cached = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [
            str(kind),
            torch.from_numpy(np.asarray(keys, np.int64)),
            int(position),
            int(has_gauss),
            float(gauss),
        ],
        "python": [version, torch.tensor(numbers), cached],
    }


def set_random_states(states: Mapping[str, Any]) -> None:
    """The inverse of :func:`random_states`."""
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), *rest))  # noqa: NPY002
    version, numbers, cached = states["python"]
    random.setstate((version, tuple(numbers.tolist()), cached))


class Keeper:
    """Keeps the state of a training at the start of each epoch, and brings one back.

    To be called before each epoch: the ``before_epoch`` of a :class:`.trainer.Watch`.

    Args:
        trainer: one of :func:`.trainer.get_trainer`.
        train_data: its loader.
        folder: for the files; the state before is kept too.
        every: epochs between two states; 0 keeps none.
    """

    def __init__(
        self, trainer: TrainerMixin, train_data: Any, folder: Path, every: int = 1
    ) -> None:
        self.trainer, self.train_data = trainer, train_data
        self.folder, self.every = folder, every
        self.recorder = getattr(train_data, "recorder", None)
        self._found: Mapping[str, Any] | None = None

    def __call__(self, epoch: int) -> None:
        """Epoch ``epoch`` (0-based) begins."""
        if self._found is not None:
            self.train_data.generator.set_state(self._found["loader"].cpu())
            set_random_states(self._found["random"])
            self._found = None
        elif epoch and self.every and epoch % self.every == 0:
            self.save(epoch)

    def save(self, epoch: int) -> None:
        """Write the state before epoch ``epoch``; the file before it stays until this is whole.

        All processes make the call, the first one writes.
        """
        trainer = self.trainer
        state = {
            **trainer.state_of(epoch - 1),
            **trainer.history(),
            "device": trainer.device.type,
            "threads": torch.get_num_threads(),
            "loader": self.train_data.generator.get_state(),
            "random": random_states(),
        }
        mine, *others = current().collect({key: state[key] for key in PRIVATE})
        if current().rank:
            return
        state["others"] = [without_doubles(mine, other) for other in others]
        if self.recorder is not None:
            state["drawn"] = self.recorder.draws
        checkpoint.save(state, self.folder / FILE, previous=self.folder / PREVIOUS)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Bring a training back to where it was; generators follow when its epoch begins."""
        trainer, rank = self.trainer, current().rank
        if rank:
            state = {**state, **state["others"][rank - 1]}
        trainer.take_up(state, self.folder)
        trainer.take_up_history(state)
        if self.recorder is not None and "drawn" in state:
            self.recorder.draws = state["drawn"].to(self.recorder.draws.device)
        self._found = state

    def finish(self) -> None:
        """The training is over: one state is enough to add epochs to it."""
        if current().rank == 0:
            (self.folder / PREVIOUS).unlink(missing_ok=True)


def read_state(
    folder: Path, config: RunConfig, device: torch.device
) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest state in a folder that is whole, and what is to be said about it and the other.

    Raises:
        UsageError: it is of another model, data set, sampler or format.
    """
    if current().rank == 0:
        for torn in folder.glob(".*.tmp"):
            torn.unlink(missing_ok=True)
    remarks = []
    for name in (FILE, PREVIOUS):
        path = folder / name
        if not path.is_file():
            continue
        try:
            state = checkpoint.load(path, device)
        except UsageError as error:
            remarks.append(f"{error} The one before it is used, if there is one.")
            continue
        checkpoint.check(state, path, config, "begin a new run")
        _check_size(state, path)
        if (before := state.get("device", device.type)) != device.type:  # one of old does not say
            remarks.append(
                f"the run was trained on {before} so far and goes on on {device.type}: it comes to "
                "other numbers than it would have there."
            )
        return state, remarks
    return None, remarks


def _check_size(state: Mapping[str, Any], path: Path) -> None:
    """Refuse the state of another number of processes."""
    size = len(state.get("others", ())) + 1
    if size != current().size:
        raise UsageError(
            f"checkpoint '{path}': it is of {size} processes, wanted is nproc {current().size}; "
            f"go on with --nproc={size}, or begin a new run."
        )
