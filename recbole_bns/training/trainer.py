"""RecBole's trainers with what sampling needs: the epoch, safe checkpoints, honest times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from recbole.utils import calculate_valid_score, early_stopping
from recbole.utils import get_trainer as recbole_trainer
from torch import Tensor
from torch.utils.tensorboard.summary import scalar

from recbole_bns.adapters.team import current
from recbole_bns.common import signals
from recbole_bns.common.errors import UsageError
from recbole_bns.runs import checkpoint
from recbole_bns.runs.results import EpochReport
from recbole_bns.sampling import param, parse

from .shared_trainer import Together

if TYPE_CHECKING:
    from recbole.trainer import Trainer as _Host
else:
    _Host = object


@dataclass(frozen=True)
class LearningRateSchedule:
    """``lr_schedule``: the learning rate times ``gamma`` every ``step_size`` epochs."""

    step_size: int = param(20, "epochs between two steps", low=1)
    gamma: float = param(0.1, "factor of a step", above=0, high=1)

    def factor(self, epoch: int) -> float:
        """Factor of epoch ``epoch`` (0-based)."""
        return float(self.gamma ** (epoch // self.step_size))


class TrainerMixin(_Host):
    """Goes before a trainer class of RecBole; see :func:`get_trainer`.

    Attributes:
        reports: one entry an epoch.
        before_epoch: called with the number (0-based) of each epoch before anything is drawn.
        on_epoch: called with each report, after its validation if it had one.
        best_epoch: the epoch whose weights are kept, counted from 1; 0 before the first.
    """

    def __init__(self, config: Any, model: Any) -> None:
        super().__init__(config, model)
        stem = Path(self.saved_model_file)
        self.saved_model_file: str = str(stem.with_suffix(".pt"))
        self.reports: list[EpochReport] = []
        self.before_epoch: Callable[[int], None] | None = None
        self.on_epoch: Callable[[EpochReport], None] | None = None
        self.best_epoch = 0
        self.sampler: Any = None
        self._epoch = 0
        self._validates = False
        self._taken_up: tuple[Mapping[str, Any], str | Path] | None = None
        self._data: str | None = None
        given = config["lr_schedule"]
        self.lr_schedule = given and parse(LearningRateSchedule, given, "lr_schedule")
        self.base_rates = [group["lr"] for group in self.optimizer.param_groups]

    def fit(self, train_data: Any, valid_data: Any = None, *args: Any, **kwargs: Any) -> Any:
        """RecBole's ``fit``, with the sampler bound to the model."""
        self.sampler = getattr(train_data, "_sampler", None)
        if hasattr(self.sampler, "bind"):
            self.sampler.bind(self.model)
        self._data = checkpoint.fingerprint(train_data._dataset)
        if self._taken_up is not None:
            state, path = self._taken_up
            checkpoint.check_data(state, path, self._data, "begin a new run")
            if state["sampler"] is not None:
                self.sampler.core.load_state_dict(state["sampler"])
        self._validates = bool(valid_data) and self.eval_step > 0
        return super().fit(train_data, valid_data, *args, **kwargs)

    def _train_epoch(self, train_data: Any, epoch_idx: int, *args: Any, **kwargs: Any) -> Any:
        signals.check()
        self._epoch = epoch_idx
        if self.before_epoch:
            self.before_epoch(epoch_idx)
        train_data.epoch = epoch_idx
        factor = self.lr_schedule.factor(epoch_idx) if self.lr_schedule else 1.0
        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor
        start = perf_counter()
        loss = super()._train_epoch(train_data, epoch_idx, *args, **kwargs)
        seconds = perf_counter() - start
        total = sum(loss) if isinstance(loss, tuple) else loss
        self.reports.append(
            EpochReport(epoch_idx + 1, float(total or 0.0), seconds, self.base_rates[0] * factor)
        )
        self._record(train_data, seconds)
        if not all(bool(weight.isfinite().all()) for weight in self.model.parameters()):
            self._refuse("the weights are not finite after")
        if not self._validates or (epoch_idx + 1) % self.eval_step:
            self._tell()
        return loss

    def _record(self, train_data: Any, seconds: float) -> None:
        """Measures of the epoch's negatives, to their file, TensorBoard and Weights & Biases."""
        recorder = getattr(train_data, "recorder", None)
        if recorder is None:
            return
        row = recorder.end_epoch(self._epoch + 1, seconds)
        tags = [name for name in row if name not in {"epoch", "negatives", "scored"}]
        values = [v for name in tags for v in scalar(f"Negatives/{name}", row[name]).value]
        writer = self.tensorboard.file_writer
        writer.add_summary(type(scalar("", 0.0))(value=values), self._epoch)  # one record for all
        self.wandblogger.log_metrics({**row, "train_step": self._epoch}, head="negatives")

    def _valid_epoch(self, *args: Any, **kwargs: Any) -> Any:
        score, result = super()._valid_epoch(*args, **kwargs)
        self.reports[-1].valid_result = {name: float(value) for name, value in result.items()}
        self._tell()
        return score, result

    def _tell(self) -> None:
        if self.on_epoch:
            self.on_epoch(self.reports[-1])

    def _check_nan(self, loss: Tensor) -> None:
        if torch.isnan(loss):
            self._refuse("the loss is NaN in")

    def _refuse(self, what: str) -> NoReturn:
        kept = f"the weights of epoch {self.best_epoch} are in {self.saved_model_file}"
        raise UsageError(
            f"training: {what} epoch {self._epoch + 1}; lower learning_rate, or set "
            f"clip_grad_norm: {{max_norm: 1}}; "
            f"{kept if self.best_epoch else 'no checkpoint was written yet'}."
        )

    def _save_checkpoint(self, epoch: int, verbose: bool = True, **kwargs: Any) -> None:
        """Write :meth:`state_of`, whole or not at all; of several processes the first one does."""
        path = kwargs.get("saved_model_file", self.saved_model_file)
        if current().rank == 0:
            checkpoint.save(self.state_of(epoch), path)
        current().wait()
        self.best_epoch = epoch + 1

    def state_of(self, epoch: int) -> dict[str, Any]:
        """Weights, optimiser and sampler after epoch ``epoch`` (0-based), as plain values."""
        core = getattr(self.sampler, "core", None)
        model = self.model
        return {
            **{key: self.config[key] for key in checkpoint.OF},
            "data": self._data,
            "epoch": epoch,
            "cur_step": self.cur_step,
            "best_valid_score": float(self.best_valid_score),
            "state_dict": model.state_dict(),
            "other_parameter": checkpoint.others(model),
            "optimizer": self.optimizer.state_dict(),
            "sampler": core.state_dict() if core is not None else None,
        }

    def state_after(self, report: EpochReport) -> dict[str, Any]:
        """The state after an epoch with a validation, which early stopping has yet to count.

        Args:
            report: of the epoch, as ``on_epoch`` gets it.

        Returns:
            the state, and as ``stops`` whether early stopping ends the training here.
        """
        state = self.state_of(report.epoch - 1)
        score = calculate_valid_score(report.valid_result, self.valid_metric)
        best, step, stops, _ = early_stopping(
            score,
            self.best_valid_score,
            self.cur_step,
            max_step=self.stopping_step,
            bigger=self.valid_metric_bigger,
        )
        return state | {"best_valid_score": float(best), "cur_step": step, "stops": bool(stops)}

    def resume_checkpoint(self, resume_file: str | Path) -> None:
        """Go on from a checkpoint: weights, optimiser, counters and, in ``fit``, the sampler."""
        state = checkpoint.load(resume_file, self.device)
        checkpoint.check(state, resume_file, self.config, "name one of this training")
        self.take_up(state, resume_file)

    def take_up(self, state: Mapping[str, Any], path: str | Path) -> None:
        """Go on from a state of :meth:`state_of`, read from ``path``; the sampler in ``fit``."""
        self.start_epoch = state["epoch"] + 1
        self.cur_step = state["cur_step"]
        self.best_valid_score = state["best_valid_score"]
        checkpoint.restore(self.model, state, path)
        self.optimizer.load_state_dict(state["optimizer"])
        self._taken_up = state, path

    def evaluate(
        self,
        eval_data: Any,
        load_best_model: bool = True,
        model_file: str | None = None,
        show_progress: bool = False,
    ) -> Any:
        """RecBole's ``evaluate``; the best weights are read without running code from the file."""
        if eval_data and load_best_model:
            path = model_file or self.saved_model_file
            state = checkpoint.load(path, self.device)
            of = ("model", "dataset")
            checkpoint.check(state, path, self.config, "name one of this training", of)
            checkpoint.restore(self.model, state, path)
        return super().evaluate(eval_data, load_best_model=False, show_progress=show_progress)


@cache
def _with_mixin(base: type, together: bool) -> type:
    mixins = (TrainerMixin, Together) if together else (TrainerMixin,)
    return type(f"BNS{base.__name__}", (*mixins, base), {})


def get_trainer(model_type: Any, model_name: str) -> type:
    """The trainer that RecBole picks for a model, with :class:`TrainerMixin` in front.

    Takes the place of ``recbole.utils.get_trainer``.
    """
    return _with_mixin(recbole_trainer(model_type, model_name), current().size > 1)
