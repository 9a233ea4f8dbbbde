"""One job in a process of its own; :class:`.pool.LocalProcesses` starts it."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module

from recbole_bns.common.errors import UsageError
from recbole_bns.common.processes import end_with_parent, read_job

from .jobs import Job
from .journal import finish


def work(job: Job) -> int:
    """Do a job and write its result down; the exit status: 0, 1 for a failure, 2 for bad input."""
    module, _, function = job.task.partition(":")
    try:
        result = getattr(import_module(module), function)(job)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except Exception:
        traceback.print_exc()
        return 1
    finish(job, result)
    return 0


def main() -> int:
    """Read a job and do it."""
    job: Job = read_job()
    end_with_parent()
    return work(job)


if __name__ == "__main__":
    sys.exit(main())
