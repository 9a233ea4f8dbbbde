"""A pool for the runner whose jobs are done when they are started, in this process."""

from __future__ import annotations

from recbole_bns.runner.jobs import Job
from recbole_bns.runner.worker import work


class Ended:
    """A training that is over."""

    def __init__(self, status: int) -> None:
        self._status = status

    def status(self) -> int:
        return self._status

    def complaint(self) -> str:
        return "no memory left"

    def stop(self) -> None:
        pass


class InProcess:
    """The pool; a job may be made to fail, or to be stopped by the user.

    Attributes:
        started: names of the jobs' folders, in order.
        failing: those that end with status 1.
        stopping: those at which Ctrl-C comes.
    """

    def __init__(self) -> None:
        self.started: list[str] = []
        self.failing: set[str] = set()
        self.stopping: set[str] = set()

    def start(self, job: Job) -> Ended:
        job.log.write_text("", encoding="utf-8")
        self.started.append(job.folder.name)
        if job.folder.name in self.stopping:
            raise KeyboardInterrupt
        return Ended(1 if job.folder.name in self.failing else work(job))
