"""How jobs ended, a file each: written whole, so that any end of the runner loses none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import beside, write_json

from .jobs import Job

DONE, FAILED = "done", "failed"


def read(path: Path) -> dict[str, Any]:
    """A file of the journal: a job's record, ``status``, and ``result`` or ``error`` and ``log``.

    Raises:
        UsageError: it is none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record["status"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--out: '{path}' is no file of a run; remove it.") from error
    return dict(record)


def is_done(job: Job) -> bool:
    """Whether an earlier call has finished the job, and all that it leaves is there."""
    if not job.journal.is_file() or read(job.journal)["status"] != DONE:
        return False
    return all(beside(job.folder, ending).is_file() for ending in job.leaves)


def begin(job: Job) -> None:
    """Remove what a failed or stopped training of the job has left."""
    shutil.rmtree(job.folder, ignore_errors=True)
    for ending in (".json", *job.leaves):
        beside(job.folder, ending).unlink(missing_ok=True)


def finish(job: Job, result: Mapping[str, Any]) -> None:
    """Write down that the job is done."""
    write_json(job.journal, {**job.record, "status": DONE, "result": dict(result)})


def fail(job: Job, error: str) -> None:
    """Write down why the job failed; the next call tries it again."""
    write_json(job.journal, {**job.record, "status": FAILED, "error": error, "log": str(job.log)})
