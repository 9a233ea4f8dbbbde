"""Keep a number of trainings going until all are done; whoever calls again goes on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from recbole_bns.common.progress import RunsProgress

from . import journal
from .jobs import Job
from .pool import Pool, Training

PAUSE = 0.2
"""Seconds between two looks at the trainings."""


def run_all(
    jobs: Sequence[Job],
    pool: Pool,
    at_once: int,
    *,
    title: str,
    expected: float | None = None,
    shown: bool = True,
    tell: Callable[[Job, Mapping[str, Any]], str],
) -> None:
    """Train every job that the journal does not have as done, in their order.

    One that fails is written down and ends no other; the next call tries it again. Whatever ends
    the call ends the trainings that are under way, which then begin anew.

    Args:
        jobs: with folders of their own.
        pool: that trains them.
        at_once: jobs under way at the most.
        title: for the display.
        expected: seconds that what is to be done will take, where earlier jobs tell.
        shown: whether there is a display.
        tell: of a job and its record, which has just been written: a few words for the display.

    Raises:
        UsageError: a file in the folder is none of the journal's.
    """
    waiting = deque(job for job in jobs if not journal.is_done(job))
    running: list[tuple[Job, Training]] = []
    done = len(jobs) - len(waiting)
    with RunsProgress(title, len(jobs), done, expected=expected, shown=shown) as progress:
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    running.append(_start(waiting.popleft(), pool))
                time.sleep(PAUSE)
                ended = [pair for pair in running if pair[1].status() is not None]
                running = [pair for pair in running if pair not in ended]
                for job, training in ended:
                    progress.finished(tell(job, _record(job, training)))
                progress.running(sum(job.share_done for job, _ in running))
        finally:
            for _, training in running:
                training.stop()


def _start(job: Job, pool: Pool) -> tuple[Job, Training]:
    journal.begin(job)
    return job, pool.start(job)


def _record(job: Job, training: Training) -> dict[str, Any]:
    """What the journal has of a job that has ended."""
    training.stop()
    if training.status() == 0 and journal.is_done(job):
        if job.log.is_file() and not job.log.stat().st_size:
            job.log.unlink()
    else:
        journal.fail(job, training.complaint())
    return journal.read(job.journal)
