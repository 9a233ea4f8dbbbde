"""Child processes with a job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .files import beside

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


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
        package = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        known = {name: str(threads) for name in THREADS}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "recbole_bns.compare.worker"],
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
