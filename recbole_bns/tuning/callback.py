"""Between Ray and our records: every report is written as it comes, and shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from time import time
from typing import Any

from ray import tune

from recbole_bns.common.progress import RunsProgress

from . import records
from .plan import Plan
from .records import best_of
from .report import drawn_words
from .space import plain


class Recorder:
    """Writes ``trials.jsonl`` and shows progress; closed at the end of a ``with``.

    Args:
        plan: of the sweep.
        before: what an earlier command has recorded.
        shown: whether there is a display.
    """

    def __init__(self, plan: Plan, before: Mapping[str, records.Record], *, shown: bool) -> None:
        self.plan, self.records = plan, dict(before)
        done = sum(r.status != records.RUNNING for r in before.values())
        title = f"{plan.recipe.model} on {plan.recipe.dataset}"
        self.progress = RunsProgress(title, plan.trials, done, shown=shown)
        self.began = time()
        self.out_of_time = False

    def __enter__(self) -> Recorder:
        global _now
        self.progress.__enter__()
        _now = self
        return self

    def __exit__(self, *error: Any) -> None:
        global _now
        _now = None
        self.progress.__exit__(*error)
        budget = self.plan.time_budget
        self.out_of_time = budget is not None and time() - self.began >= budget

    def write(self, trial: Any, **content: Any) -> records.Record:
        """Add a line to the file and what it says to ``records``; the trial's record."""
        line = {"trial": trial.trial_id, **content}
        records.append(self.plan.out, **line)
        return records.take(self.records, line)

    def begin(self, trial: Any) -> None:
        """A trial has been started, for the first time or again."""
        self.write(trial, found=plain(trial.config))

    def report(self, trial: Any, result: Mapping[str, Any]) -> None:
        """A trial has been evaluated."""
        if "error" in result:
            return
        metrics = {name: float(result[name]) for name in result["reported"].split()}
        self.write(trial, epoch=result["epoch"], metrics=metrics, node=str(result.get("node", "")))

    def end(self, trial: Any, status: str, error: str = "") -> None:
        """A trial is over."""
        record = self.write(trial, status=status, error=error)
        best = record.best(self.plan.metric, self.plan.bigger)
        value = f"{self.plan.metric} {best[0]:.4f}" if best else "no result"
        text = f"trial {trial.trial_id} {status} after {record.epochs} epochs, {value}"
        more = [f"with {drawn_words(self.plan, record)}", *self._best_so_far()]
        self.progress.finished(f"{text}: {error}" if error else text, *more)

    def _best_so_far(self) -> list[str]:
        """The best trial of all that have ended or go on, with its hyper-parameters."""
        metric, bigger = self.plan.metric, self.plan.bigger
        record = best_of(self.records, metric, bigger)
        if record is None:
            return []
        value, epoch = record.best(metric, bigger) or (math.nan, 0)  # it has one, or is not best
        return [
            f"best so far: {metric} {value:.4f} in epoch {epoch}, trial {record.trial}, with "
            f"{drawn_words(self.plan, record)}"
        ]


_now: Recorder | None = None
"""Of the running sweep: what Ray keeps and restores of a callback is not it."""


class Callback(tune.Callback):
    """Of Ray; tells the recorder of the running sweep, and has no state of its own."""

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray has started a trial."""
        if _now:
            _now.begin(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial has reported."""
        if _now:
            _now.report(trial, result)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial has ended by itself, or the scheduler has stopped it."""
        if not _now:
            return
        result = trial.last_result
        if "error" in result:
            _now.end(trial, records.FAILED, str(result["error"]))
        elif result.get("final"):
            _now.end(trial, records.FINISHED)
        else:
            _now.end(trial, records.STOPPED)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial's process has died too often, or it raised."""
        if _now:
            text = str(trial.get_error() if hasattr(trial, "get_error") else "it died")
            lines = [line for line in text.splitlines() if line.strip()] or ["it died"]
            _now.end(trial, records.FAILED, lines[-1].strip())
