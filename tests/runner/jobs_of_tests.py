"""What jobs of the runner's tests do: in processes of their own, without a model."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from recbole_bns import UsageError
from recbole_bns.runner.jobs import Job


def act(job: Job) -> dict[str, Any]:
    """Do what the settings say: wait for a file, fail, crash, refuse; say what was seen."""
    job.folder.mkdir()
    with (job.folder.parent / "order.txt").open("a") as order:
        order.write(f"{job.folder.name}\n")
    awaited = job.settings.get("wait_for")
    while awaited and not os.path.exists(awaited):
        time.sleep(0.02)
    how = job.settings.get("end")
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "refuse":
        raise UsageError("epochs: got 0.")
    if how == "fail":
        print("some words")
        raise ValueError("no good\n")
    if how == "leave":
        os._exit(0)
    (job.folder.parent / f"{job.folder.name}.npz").write_text("x")
    return {"threads": os.environ["OMP_NUM_THREADS"], "pid": os.getpid()}
