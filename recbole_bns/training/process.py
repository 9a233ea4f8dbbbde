"""One of several processes that train one model together; :mod:`.launch` starts and watches it."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import write_text
from recbole_bns.common.processes import end_with_parent, read_job


@dataclass(frozen=True)
class Job:
    """What a process has to do.

    Attributes:
        rank: of the process, from 0.
        size: how many there are.
        scratch: folder that all of them see.
        folder: of the run.
        gpu_id: the GPU of this process; empty for the CPU.
        timeout: seconds to wait for another process.
        given: the four first arguments of ``run_recbole_bns``.
        result_file: see there.
        per_user: see there.
    """

    rank: int
    size: int
    scratch: Path
    folder: Path
    gpu_id: str
    timeout: float
    given: tuple[Any, Any, list[str] | None, Mapping[str, Any]]
    result_file: str | Path | None = None
    per_user: str | Path | None = None

    @property
    def outcome(self) -> Path:
        """The file that says how it ended."""
        return self.scratch / f"outcome-{self.rank}.json"


def work(job: Job) -> None:
    """Train, and say in :attr:`Job.outcome` how it ended: done, usage, lost or failed."""
    from recbole_bns.adapters.team import PeerLost

    try:
        _train(job)
        how, text = "done", ""
    except UsageError as error:
        how, text = "usage", str(error)
    except PeerLost as error:
        how, text = "lost", str(error)
    except Exception as error:
        how, text = "failed", _failure(error)
    say(job.outcome, how, text)


def _failure(error: Exception) -> str:
    first = " ".join(str(error).split())
    return f"{type(error).__name__}: {first}\n{traceback.format_exc()}"


def say(outcome: Path, how: str, text: str) -> None:
    """Write how a process ended; see :func:`work`."""
    write_text(outcome, json.dumps([how, text]))


def _train(job: Job) -> None:
    from recbole_bns.adapters.config import BNSConfig
    from recbole_bns.adapters.team import join

    from .train import train

    team = join(
        job.rank, job.size, job.scratch, cuda=bool(job.gpu_id), timeout=job.timeout
    )  # before anything slow, so that one that dies in it is noticed by all
    model, dataset, files, settings = job.given
    own = {"gpu_id": job.gpu_id} | (
        {"show_progress": False, "log_wandb": False} if job.rank else {}
    )
    config = BNSConfig(model, dataset, files, {**settings, **own})
    train(config, job.folder, job.result_file, job.per_user)
    team.leave()


def main() -> None:
    """Read a job and do it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback: who started it tells the user
    try:
        job: Job = read_job()
    except Exception as error:
        say(Path(sys.argv[1]), "failed", _failure(error))
        return
    end_with_parent(lambda: shutil.rmtree(job.scratch, ignore_errors=True))  # its owner was killed
    work(job)


if __name__ == "__main__":
    main()
