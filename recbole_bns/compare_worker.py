"""One run of a comparison in a process of its own, and the pool that keeps some going.

A process apart so that a crash ends one run, and so that the number of threads is set before
torch is loaded. The job comes as a line of JSON; the pipe stays open, and its end tells the worker
that whoever started it is gone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .errors import UsageError
from .whole_file import whole_file

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def beside(folder: Path, ending: str) -> Path:
    """The file of a run that lies beside its folder; the name may hold dots of its own."""
    return folder.with_name(folder.name + ending)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON in a file that appears whole or not at all."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    with whole_file(path) as file:
        file.write(text.encode())


class Worker:
    """A process that trains and tests one run.

    Args:
        job: what :func:`main` reads: ``model``, ``dataset``, ``config_files``, ``settings``,
            ``folder`` (of the run), ``record`` (goes into the run's file) and ``epochs``.
        threads: of the process.
    """

    def __init__(self, job: Mapping[str, Any], threads: int) -> None:
        self.record: Mapping[str, Any] = job["record"]
        self._folder, self._epochs = Path(job["folder"]), int(job["epochs"])
        self.log = beside(self._folder, ".log")
        package = str(Path(__file__).parents[1])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        known = {name: str(threads) for name in THREADS}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "recbole_bns.compare_worker"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **known, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C goes to the parent, which ends its workers
            )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin
        with suppress(BrokenPipeError):  # it died at once, which its status tells
            self._pipe.write(json.dumps(job).encode() + b"\n")
            self._pipe.flush()

    def status(self) -> int | None:
        """Exit status, or None while it runs."""
        return self._process.poll()

    def part(self) -> float:
        """How much of the run is done, by its epochs: 0 to 1."""
        try:
            lines = (self._folder / "epochs.csv").read_bytes().count(b"\n")
        except OSError:
            return 0.0
        return min(max(lines - 1, 0) / self._epochs, 1.0)

    def complaint(self) -> str:
        """Why it failed: the signal that ended it, or the last line it said."""
        status = self.status() or 0
        if status < 0:
            return f"the process was ended by signal {-status}"
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return last or f"the process ended with status {status} and said nothing"

    def stop(self) -> None:
        """End the process, at once; its run is started anew by the next command."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        """Wait for the end and close the pipe."""
        self._process.wait()
        with suppress(BrokenPipeError):  # it died before it read its job
            self._pipe.close()


def main() -> int:
    """Read a job, train, test, and write ``<sampler>-<seed>.npz`` and ``.json``."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from .quick_start import run_recbole_bns

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
