"""RecBole's trainers with what sampling needs: the epoch, safe checkpoints, honest times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from inspect import signature
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from recbole.utils import calculate_valid_score, early_stopping
from recbole.utils import get_trainer as recbole_trainer
from torch import Tensor, nn
from torch.utils.tensorboard.summary import Summary

from recbole_bns.adapters.evaluation import PerUserEvaluator
from recbole_bns.adapters.handover import (
    begin_epoch,
    hand_over,
    sampler_of,
    steps_told,
)
from recbole_bns.adapters.models import fused_step, upgrade
from recbole_bns.adapters.team import current
from recbole_bns.adapters.tested import evaluated_model, generator_is_tested
from recbole_bns.common import signals
from recbole_bns.common.errors import UsageError
from recbole_bns.runs import checkpoint
from recbole_bns.runs.records import RunConfig
from recbole_bns.runs.results import EpochReport, plain_metrics
from recbole_bns.sampling import param, parse

from .shared_trainer import SharedTrainer
from .threads import set_threads

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


def _ignore(*_: Any) -> None:
    """For a :class:`Watch` whom something does not interest."""


@dataclass(frozen=True)
class Watch:
    """Who is told while a model is trained."""

    before_epoch: Callable[[int], None] = _ignore
    """Called with the number (0-based) of each epoch, before anything is drawn for it."""
    after_batch: Callable[[], None] = _ignore
    """Called after each step of the optimiser."""
    after_epoch: Callable[[EpochReport], None] = _ignore
    """Called with the report of each epoch, after its validation if it had one."""


NOBODY = Watch()


class TrainerMixin(_Host):
    """Goes before a trainer class of RecBole; see :func:`get_trainer`.

    It owns the epoch: it says which one begins to whoever draws the negatives.

    Args:
        config: of the run.
        model: is made whole (:func:`recbole_bns.adapters.models.upgrade`) where it is not.
        saved_model_file: for the weights that are kept; by default a new file in RecBole's
            ``checkpoint_dir``.

    Attributes:
        reports: one entry an epoch.
        best_epoch: the epoch whose weights are kept, counted from 1; 0 before the first.
    """

    evaluator: PerUserEvaluator
    model: Any

    def __init__(
        self, config: RunConfig, model: nn.Module, saved_model_file: str | Path | None = None
    ) -> None:
        super().__init__(config, upgrade(model, config))
        _check_learner(config, self.model)
        stem = Path(self.saved_model_file)
        self.saved_model_file: str = str(saved_model_file or stem.with_suffix(".pt"))
        self.evaluator = PerUserEvaluator(config)
        self.reports: list[EpochReport] = []
        self.best_epoch = 0
        self.sampler: Any = None
        self._watch = NOBODY
        self._epoch = 0
        self._validates = False
        self._taken_up: tuple[Mapping[str, Any], str | Path] | None = None
        self._data: str | None = None
        given = config["lr_schedule"]
        self.lr_schedule = given and parse(LearningRateSchedule, given, "lr_schedule")
        self.base_rates = [group["lr"] for group in self.optimizer.param_groups]

    def _build_optimizer(self, **kwargs: Any) -> Any:
        optimizer = super()._build_optimizer(**kwargs)
        return fused(optimizer) if fused_step(self.config) else optimizer

    def fit(
        self,
        train_data: Any,
        valid_data: Any = None,
        *args: Any,
        watch: Watch = NOBODY,
        **kwargs: Any,
    ) -> Any:
        """RecBole's ``fit``, which hands the model to the sampler and tells ``watch``."""
        self.sampler = sampler_of(train_data)
        hand_over(self, train_data)
        self._data = checkpoint.fingerprint(train_data._dataset)
        if self._taken_up is not None:
            state, path = self._taken_up
            checkpoint.check_data(state, path, self._data, "begin a new run")
            if state["sampler"] is not None:
                self.sampler.core.load_state_dict(state["sampler"])
        self._validates = bool(valid_data) and self.eval_step > 0
        self._watch = watch
        steps = self.optimizer.register_step_post_hook(lambda *_: watch.after_batch())
        try:
            with set_threads(self.config), steps_told(self, train_data):
                return super().fit(train_data, valid_data, *args, **kwargs)
        finally:
            steps.remove()
            self._watch = NOBODY

    def _train_epoch(self, train_data: Any, epoch_idx: int, *args: Any, **kwargs: Any) -> Any:
        signals.check()
        self._epoch = epoch_idx
        self._watch.before_epoch(epoch_idx)
        factor = self.lr_schedule.factor(epoch_idx) if self.lr_schedule else 1.0
        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor
        start = perf_counter()
        begin_epoch(train_data, epoch_idx)
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
        names = [name for name in row if name not in {"epoch", "negatives", "scored"}]
        values = [Summary.Value(tag=f"Negatives/{name}", simple_value=row[name]) for name in names]
        writer = self.tensorboard.file_writer
        writer.add_summary(Summary(value=values), self._epoch)  # one record for all
        self.wandblogger.log_metrics({**row, "train_step": self._epoch}, head="negatives")

    def _valid_epoch(self, *args: Any, **kwargs: Any) -> Any:
        score, result = super()._valid_epoch(*args, **kwargs)
        self.reports[-1].valid_result = {name: float(value) for name, value in result.items()}
        self._tell()
        return score, result

    def _tell(self) -> None:
        self._watch.after_epoch(self.reports[-1])

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

    def history(self) -> dict[str, Any]:
        """What has been so far, as plain values: the reports, and the best of them."""
        return {
            "best_epoch": self.best_epoch,
            "best_valid_result": plain_metrics(self.best_valid_result),
            "reports": [asdict(report) for report in self.reports],
        }

    def take_up_history(self, history: Mapping[str, Any]) -> None:
        """The inverse of :meth:`history`."""
        self.best_epoch = history["best_epoch"]
        if history["best_valid_result"] is not None:
            self.best_valid_result = dict(history["best_valid_result"])
        self.reports = [EpochReport(**report) for report in history["reports"]]

    def state_after(self, report: EpochReport) -> dict[str, Any]:
        """The state after an epoch with a validation, which early stopping has yet to count.

        Args:
            report: of the epoch, as a :class:`Watch` gets it.

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
            drawn_by = state.get("sampler")
        else:
            core = getattr(self.sampler, "core", None)
            drawn_by = core.state_dict() if core and generator_is_tested(self.config) else None
        with self._testing(evaluated_model(self.config, self.model, drawn_by)):
            return super().evaluate(eval_data, load_best_model=False, show_progress=show_progress)

    @contextmanager
    def _testing(self, model: nn.Module) -> Iterator[None]:
        """While it lasts, ``model`` is the one that is evaluated."""
        trained: nn.Module = self.model
        self.model = model
        try:
            yield
        finally:
            self.model = trained


def fused(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The same optimiser, not yet used, with all arithmetic of a step in one pass over memory.

    The numbers differ by rounding. One that PyTorch has no such pass for, of this kind or on the
    device of its weights, stays.
    """
    kind: Any = type(optimizer)
    taken = signature(kind).parameters
    if "fused" not in taken or not hasattr(torch.autograd.graph, "increment_version"):
        return optimizer  # without the latter nobody would know that the weights have changed
    one_pass = {"foreach": None, "fused": True}
    defaults, *groups = (
        {key: value for key, value in values.items() if key in taken or key == "params"} | one_pass
        for values in (optimizer.defaults, *optimizer.param_groups)
    )
    try:
        made: torch.optim.Optimizer = kind(groups, **defaults)
    except RuntimeError:  # what cannot be fused, it says when it is made
        return optimizer
    return made


def _check_learner(config: RunConfig, model: nn.Module) -> None:
    """Refuse the optimiser of sparse gradients for a model that has others.

    Raises:
        UsageError: a weight is not of a sparse table, as it is in all models of RecBole.
    """
    if str(config["learner"]).lower() != "sparse_adam":
        return
    tables = [m for m in model.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag))]
    sparse = {id(table.weight) for table in tables if table.sparse}
    if any(id(weight) not in sparse for weight in model.parameters() if weight.requires_grad):
        raise UsageError(
            f"learner: got 'sparse_adam', which trains tables with sparse gradients alone, but "
            f"{config['model']} has weights with others; allowed are adam, sgd, adagrad, rmsprop."
        )


@cache
def _with_mixin(base: type, shared: bool) -> type[TrainerMixin]:
    mixins = (TrainerMixin, SharedTrainer) if shared else (TrainerMixin,)
    return type(f"BNS{base.__name__}", (*mixins, base), {})


def get_trainer(model_type: Any, model_name: str) -> type[TrainerMixin]:
    """The trainer that RecBole picks for a model, with :class:`TrainerMixin` in front.

    Takes the place of ``recbole.utils.get_trainer``.
    """
    return _with_mixin(recbole_trainer(model_type, model_name), current().size > 1)
