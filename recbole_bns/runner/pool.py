"""Where jobs are trained: the seam at which a cluster takes the place of local processes.

A pool elsewhere needs folders that it shares with the runner: what is done is read from them.
"""

from __future__ import annotations

from typing import Protocol

from recbole_bns.common.processes import THREADS, Child

from .jobs import Job


class Training(Protocol):
    """A job that has been started."""

    def status(self) -> int | None:
        """None while it runs; 0 where it came to its end, with its result in the journal."""
        ...

    def complaint(self) -> str:
        """Why it failed, in a sentence."""
        ...

    def stop(self) -> None:
        """End it at once where it runs, and give back what it holds."""
        ...


class Pool(Protocol):
    """Starts jobs; how many are under way is the runner's business."""

    def start(self, job: Job) -> Training:
        """Start a job, whose folder is empty, and return at once."""
        ...


class LocalProcesses:
    """A process on this machine for each job; it ends when its owner does."""

    def start(self, job: Job) -> Child:
        """Start a job in a process with its number of threads."""
        return Child(
            "recbole_bns.runner.worker",
            job,
            log=job.log,
            modules=job.modules,
            environment=dict.fromkeys(THREADS, str(job.threads)),
        )
