"""One of several processes that train one model together; :mod:`.launch` starts them."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from recbole_bns.common.processes import end_with_parent, read_job

from .asked import Asked

GRACE = 2.0
"""Seconds that a process without an answer waits: who is to blame is to be seen to end first."""


@dataclass(frozen=True)
class Job:
    """What the processes have to do.

    Attributes:
        asked: of the run.
        folder: of the run.
        scratch: for what goes when the run is over.
        gpus: one for each process, with commas between; empty for the CPU.
        timeout: seconds to wait for another process.
        owner: who starts them.
    """

    asked: Asked
    folder: Path
    scratch: Path
    gpus: str
    timeout: float
    owner: int

    @property
    def own_gpu(self) -> str:
        """The GPU of this process."""
        return self.gpus and self.gpus.split(",")[int(os.environ["LOCAL_RANK"])].strip()


def own_folder() -> Path:
    """Where the launcher expects the error of this process, which has all else of its own there."""
    return Path(os.environ["TORCHELASTIC_ERROR_FILE"]).parent


def end_at_once() -> None:
    """Let the launcher's signals end this process, also while it waits for another one."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def record(error: Exception) -> None:
    """Leave the launcher this error, whole: it reads the file of a process that it has ended."""
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    mine = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN) if mine else None
    try:
        get_error_handler().record_exception(error)
    finally:
        if mine:
            signal.signal(signal.SIGTERM, before)


def work(job: Job) -> None:
    """Train, as one of the team.

    Raises:
        UsageError: something was refused.
        PeerLost: another process is gone.
    """
    from recbole_bns.adapters.team import join

    team = join(
        own_folder(), cuda=bool(job.gpus), timeout=job.timeout
    )  # before anything slow, so that one that dies in it is noticed by all
    train_share(job.asked, job.folder, gpu_id=job.own_gpu)
    team.leave()


def train_share(asked: Asked, folder: Path, **own: str) -> None:
    """Train in this process of the team that has been joined; the first one shows what is done."""
    from recbole_bns.adapters.team import current

    from .train import train

    quiet = {"show_progress": False, "log_wandb": False} if current().rank else {}
    train(asked.config(**own, **quiet), folder, asked.result_file, asked.per_user)


def main(path: str) -> None:
    """Read a job and do it; an error goes into the launcher's file."""
    end_at_once()
    try:
        with open(path, "rb") as file:
            job: Job = read_job(file)
        end_with_parent(lambda: shutil.rmtree(job.scratch, ignore_errors=True), owner=job.owner)
        if job.gpus:  # before anything counts them: the process is to see its own alone
            os.environ["CUDA_VISIBLE_DEVICES"] = job.own_gpu
        work(job)
    except Exception as error:
        from recbole_bns.adapters.team import PeerLost

        record(error)
        if isinstance(error, PeerLost):
            time.sleep(GRACE)
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
