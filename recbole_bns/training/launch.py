"""``nproc``: start the processes that train one model, watch them, and end them together.

The one who asked trains nothing: it waits. A process that dies, fails or does not answer ends the
run within seconds, with a sentence that says which it was and how to go on. No port, but a file,
tells the processes where to find one another.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.common.processes import THREADS, Child, count_cores, ended_by, last_line
from recbole_bns.runs.records import RunConfig, RunResult
from recbole_bns.runs.results import read_result
from recbole_bns.sampling import get

from .limits import number_of
from .process import Job

TIMEOUT = 600.0
"""Seconds that a process waits for another one."""
GRACE = 2.0
"""Seconds in which others may end too, so that the first cause is told and not what follows."""
EVERY = 0.05


class Process(Child):
    """One of the processes.

    Args:
        job: what it has to do.
        modules: to import before.
    """

    def __init__(self, job: Job, modules: Sequence[str]) -> None:
        self.job = job
        threads = str(max(1, count_cores() // job.size))
        variables = {name: os.environ.get(name, threads) for name in THREADS}
        if sys.platform == "linux":  # gloo asks for the machine's own name, which may lead nowhere
            variables["GLOO_SOCKET_IFNAME"] = os.environ.get("GLOO_SOCKET_IFNAME", "lo")
        if job.gpu_id:  # before anything in it counts GPUs: the process is to see its own alone
            variables["CUDA_VISIBLE_DEVICES"] = job.gpu_id
        super().__init__(
            "recbole_bns.training.process",
            job,
            log=job.scratch / f"said-{job.rank}.txt",
            words=[str(job.outcome)],
            modules=modules,
            environment=variables,
            shown=job.rank == 0,
        )


def launch(
    config: RunConfig,
    given: tuple[Any, Any, list[str] | None, Mapping[str, Any]],
    folder: Path,
    result_file: str | Path | None = None,
    per_user: str | Path | None = None,
) -> RunResult:
    """Train with ``nproc`` processes; what they write lies in ``folder`` as for a single one.

    Args:
        config: as :func:`.limits.check_run` has passed it.
        given: the four first arguments of ``run_recbole_bns``.
        folder: of the run, with its settings.
        result_file: see ``run_recbole_bns``.
        per_user: see there.

    Returns:
        the content of ``result.json``.

    Raises:
        UsageError: a process refused something, died, failed or hung.
    """
    size = number_of(config)
    gpus = str(config["gpu_id"]).split(",") if config["device"].type == "cuda" else [""] * size
    modules = dict.fromkeys((get(config["neg_sampler"]).__module__, config.model_class.__module__))
    team: list[Process] = []
    with tempfile.TemporaryDirectory(prefix="recbole-bns-") as scratch:
        try:
            for rank in range(size):
                job = Job(
                    rank,
                    size,
                    Path(scratch),
                    folder,
                    gpus[rank].strip(),
                    TIMEOUT,
                    given,
                    result_file,
                    per_user,
                )
                team.append(Process(job, list(modules)))
            _watch(team, folder)
        finally:
            for process in team:
                process.stop()
    result = read_result(folder)
    assert result is not None  # all have said that they are done, and the first one writes it
    return result


def _watch(team: Sequence[Process], folder: Path) -> None:
    """Wait until all are done.

    Raises:
        UsageError: one did not come to its end.
    """
    ended: dict[int, tuple[str, str]] = {}
    first_bad: float | None = None
    while len(ended) < len(team):
        for process in team:
            if process.job.rank not in ended and process.status() is not None:
                ended[process.job.rank] = _outcome(process)
        bad = {rank: how for rank, how in ended.items() if how[0] != "done"}
        if bad:
            first_bad = first_bad or time.monotonic()
            known = any(how != "lost" for how, _ in bad.values())
            if known or len(ended) == len(team) or time.monotonic() - first_bad > GRACE:
                raise _complaint(team, bad, len(ended), folder)
        time.sleep(EVERY)


def _outcome(process: Process) -> tuple[str, str]:
    try:
        how, text = json.loads(process.job.outcome.read_text(encoding="utf-8"))
    except OSError:
        return "died", _cause(process)
    return how, text


def _cause(process: Process) -> str:
    """How a process that said nothing came to its end."""
    status, said = process.status() or 0, last_line(process.log)
    return ended_by(status) or f"ended with status {status}" + (f" ({said})" if said else "")


def _complaint(
    team: Sequence[Process], bad: Mapping[int, tuple[str, str]], ended: int, folder: Path
) -> UsageError:
    for wanted in ("usage", "died", "failed", "lost"):
        rank = next((rank for rank, (how, _) in bad.items() if how == wanted), None)
        if rank is not None:
            break
    assert rank is not None
    how, text = bad[rank]
    if how == "usage":
        return UsageError(text)
    if how == "failed":
        text, _, trace = text.partition("\n")
        file = folder / f"failed-process-{rank}.txt"
        file.write_text(trace, encoding="utf-8")
        text = f"failed with {text.rstrip('.')} (all of it is in {file})"
    if how == "lost":
        silent = [process.job.rank for process in team if process.status() is None]
        whom = f"process {silent[0]}" if len(silent) == 1 else "another process"
        text = f"had no answer from {whom} ({text.rstrip('.')})"
    return UsageError(
        f"nproc: process {rank} (of 0 to {len(team) - 1}) {text}; all are ended, what is done lies "
        f"in {folder}; go on with: recbole-bns run --resume={shlex.quote(str(folder))}"
    )
