"""One run of a comparison in a process of its own, and the pool that keeps some going.

A process apart so that a crash ends one run, and so that the number of threads is set before
torch is loaded. The job comes as a line of JSON; the pipe stays open, and its end tells the worker
that whoever started it is gone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from pathlib import Path

from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import beside, write_json


def main() -> int:
    """Read a job, train, test, and write ``<sampler>-<seed>.npz`` and ``.json``."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from recbole_bns.training.run import run_recbole_bns

    folder = Path(job["folder"])
    try:
        result = run_recbole_bns(
            job["model"],
            job["dataset"],
            job["config_files"],
            job["settings"],
            out=folder,
            per_user=beside(folder, ".npz"),
        )
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except Exception:
        traceback.print_exc()
        return 1
    write_json(beside(folder, ".json"), {**job["record"], "status": "done", "result": result})
    return 0


def _end_with_parent() -> None:
    """Wait until the other end of the pipe is closed, which its owner's end does too."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
