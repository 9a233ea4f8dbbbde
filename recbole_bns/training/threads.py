"""Threads of a training: how many, whether they spin, and a word where others slow it down."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from logging import getLogger
from types import TracebackType
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from recbole_bns.adapters.team import current
from recbole_bns.common.processes import THREADS
from recbole_bns.common.threads import (
    AUTO,
    WAITING,
    Choice,
    Moment,
    choose,
    fixed,
    others_between,
    short_of_cores,
    waiting,
)
from recbole_bns.runs.records import RunConfig
from recbole_bns.runs.results import EpochReport
from recbole_bns.sampling.kernels.waiting import Sleep, can_sleep

SLOW = 5.0
"""Times the fastest epoch from which one is slow."""
EVERY = 0.5
"""Seconds between two looks at the machine while a model is trained."""


@contextmanager
def chosen_threads(config: RunConfig, held: int | None) -> Iterator[Choice]:
    """Train with the threads that ``threads`` asks for; what torch had is given back after.

    Args:
        config: of the run.
        held: threads of the run so far, where it goes on.
    """
    choice = choose(
        config["threads"] or AUTO,
        most=torch.get_num_threads(),
        held=held,
        team=current().size,
        sleep=sleeps(),
    )
    getLogger().info(f"threads: {choice.number}, {choice.why}")
    if choice.note and not current().rank:
        print(f"note: {choice.note}", file=sys.stderr)
    with _threads(choice.number):
        yield choice


def sleeps() -> bool:
    """Whether threads of a training sleep while they wait, where others want the cores."""
    policy = os.environ.get(WAITING[0], "").upper()
    return policy == "PASSIVE" or (not waiting() and can_sleep())


def set_threads(config: RunConfig) -> AbstractContextManager[None]:
    """Train with the number that ``threads`` fixes; ``auto`` leaves all as it is."""
    number = fixed(config["threads"] or AUTO, current().size)
    return nullcontext() if number is None else _threads(number)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Torch's threads, which the compiled loops use too, and those of NumPy's and SciPy's BLAS.

    A BLAS whose number the environment says keeps it.
    """
    before = torch.get_num_threads()
    said = any(name in os.environ for name in THREADS[1:])
    with nullcontext() if said or number == before else threadpool_limits(number, "blas"):
        torch.set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before)


class Pace:
    """Sees whether others want the cores while a model is trained.

    Then torch's threads sleep while they wait; a user who has said how they wait stays right. Once
    it warns where others have made an epoch slow. What an epoch costs by itself is no matter: those
    in which the sampler warms up, and so does less, are not compared. To be used by ``with``.

    Args:
        core: the sampler, or None.
    """

    def __init__(self, core: Any) -> None:
        self.warm_up = int(getattr(getattr(core, "params", None), "warmup_epochs", 0))
        self.fastest: float | None = None
        self.warned = False
        self.sleep = Sleep()
        self._may_switch = not waiting()
        self._began = self._looked = Moment.now()

    def __enter__(self) -> Pace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sleep.switch(False)

    def before(self, epoch: int) -> None:
        """Epoch ``epoch`` (0-based) begins."""
        self._began = Moment.now()

    def batch(self) -> None:
        """A batch is done."""
        if self._may_switch and self._looked.is_older_than(EVERY):
            now = Moment.now()
            self.sleep.switch(torch.get_num_threads() > 1 and self._is_short(self._looked, now)[0])
            self._looked = now

    def _is_short(self, since: Moment, now: Moment) -> tuple[bool, float]:
        """Whether the threads wanted cores that others had, and how many these kept busy."""
        team = current().size
        others = others_between(since, now, team)
        return short_of_cores(torch.get_num_threads() * team, others), others

    def after(self, report: EpochReport) -> None:
        """An epoch is over."""
        if self.warned or report.epoch <= self.warm_up:
            return
        if self.fastest is not None and report.seconds >= SLOW * self.fastest:
            self._blame(report, report.seconds / self.fastest)
        self.fastest = min(report.seconds, self.fastest or report.seconds)

    def _blame(self, report: EpochReport, times: float) -> None:
        """Say what helps, where others are the cause."""
        short, others = self._is_short(self._began, Moment.now())
        if not short:
            return
        self.warned = True
        threads = torch.get_num_threads()
        helps = "let them end"
        if threads > 1:
            helps += ", or stop, and go on with --resume and --threads=1"
        if threads > 1 and not sleeps():
            helps += f"; with {WAITING[0]}=PASSIVE threads sleep while they wait for one another"
        getLogger().warning(
            f"epoch {report.epoch} took {report.seconds:.3g} s, {times:.0f} times the fastest, "
            f"with {threads} thread(s), while other processes kept {others:.1f} cores busy; "
            f"{helps} (this is said once)."
        )
