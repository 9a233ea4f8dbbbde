"""``nproc``: PyTorch's elastic launcher with the processes of this machine; how they ended is told.

The one who asked trains nothing: it waits. A process that dies, fails or does not answer ends the
run within seconds, with a sentence that says which it was and how to go on.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.common.processes import (
    ended_by,
    environment,
    last_line,
    package_path,
    packed,
    thread_variables,
)
from recbole_bns.runs.records import RunConfig, RunResult
from recbole_bns.runs.results import read_result
from recbole_bns.sampling import get

from .asked import Asked
from .limits import number_of
from .process import Job

TIMEOUT = 600.0
"""Seconds that a process waits for another one."""
EVERY = 0.1
"""Seconds between two looks at the processes."""
LOGGER = "torch.distributed.elastic"


def launch(config: RunConfig, asked: Asked, folder: Path) -> RunResult:
    """Train with ``nproc`` processes; what they write lies in ``folder`` as for a single one.

    Args:
        config: as :func:`.limits.check_run` has passed it.
        asked: of the run; each process resolves it for itself.
        folder: of the run, with its settings.

    Returns:
        the content of ``result.json``.

    Raises:
        UsageError: a process refused something, died, failed or hung.
        KeyboardInterrupt: a signal has ended all of them.
    """
    gpus = str(config["gpu_id"]) if config["device"].type == "cuda" else ""
    modules = dict.fromkeys((get(config["neg_sampler"]).__module__, config.model_class.__module__))
    with tempfile.TemporaryDirectory(prefix="recbole-bns-") as scratch:
        place = Path(scratch)
        job = Job(asked, folder, place, gpus, TIMEOUT, os.getpid())
        (place / "job").write_bytes(packed(job, list(modules)))
        _run(number_of(config), place, folder)
    result = read_result(folder)
    assert result is not None  # all have come to their end, and the first one writes it
    return result


def _run(size: int, scratch: Path, folder: Path) -> None:
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    words = {**thread_variables(size), "PYTHONPATH": package_path()}
    if sys.platform == "linux":  # gloo asks for the machine's own name, which may lead nowhere
        words["GLOO_SOCKET_IFNAME"] = os.environ.get("GLOO_SOCKET_IFNAME", "lo")
    entry, arguments = entrypoint(scratch / "job")
    with environment(words), _signals_as_before(), _silent():
        try:
            elastic_launch(launch_config(size, scratch), entry)(*arguments)
        except ChildFailedError as error:
            raise _complaint(error.failures, size, scratch, folder) from None
        except SignalException:
            raise KeyboardInterrupt from None


def entrypoint(job: Path) -> tuple[str | Callable[..., Any], list[str]]:
    """What each process runs, and its arguments."""
    return sys.executable, ["-m", "recbole_bns.training.process", str(job)]


def launch_config(size: int, scratch: Path, **more: Any) -> Any:
    """Of a launch on this machine alone, by a port that is free; the first process is shown."""
    from torch.distributed.elastic.multiprocessing import Std
    from torch.distributed.launcher.api import LaunchConfig

    logs: dict[str, Any] = {
        "log_dir": str(scratch / "said"),
        "redirects": dict.fromkeys(range(1, size), Std.ALL),
    }
    if "logs_specs" in {field.name for field in fields(LaunchConfig)}:  # since PyTorch 2.3
        from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs

        logs = {"logs_specs": DefaultLogsSpecs(**logs)}
    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=size,
        run_id=scratch.name,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        monitor_interval=EVERY,
        **logs,
        **more,
    )


@contextmanager
def _signals_as_before() -> Iterator[None]:
    """Take back the handlers that the launcher leaves behind."""
    if threading.current_thread() is not threading.main_thread():  # it sets none
        yield
        return
    names = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _silent() -> Iterator[None]:
    """Without the launcher's own words about processes that ended: we say it in a sentence."""
    logger, nothing = logging.getLogger(LOGGER), logging.NullHandler()
    before, logger.propagate = logger.propagate, False
    logger.addHandler(nothing)
    try:
        yield
    finally:
        logger.propagate = before
        logger.removeHandler(nothing)


def _complaint(failures: Mapping[int, Any], size: int, scratch: Path, folder: Path) -> UsageError:
    """What the first process that ended badly says, or what its end says."""
    rank, failure = next(iter(failures.items()))  # those that were ended for it come after
    what, text, trace = _recorded(failure)
    if what == "UsageError":
        return UsageError(text)
    if what == "PeerLost":
        others = {r for r in range(size) if _recorded(failures.get(r))[0] != what} - {rank}
        whom = f"process {min(others)}" if len(others) == 1 else "another process"
        how = f"had no answer from {whom} ({text.rstrip('.')})"
    elif what:
        file = folder / f"failed-process-{rank}.txt"
        file.write_text(trace, encoding="utf-8")
        how = f"failed with {what}: {text.rstrip('.')} (all of it is in {file})"
    else:
        how = _end_of(rank, failure.exitcode, scratch)
    return UsageError(
        f"nproc: process {rank} (of 0 to {size - 1}) {how}; all are ended, what is done lies "
        f"in {folder}; go on with: recbole-bns run --resume={shlex.quote(str(folder))}"
    )


def _recorded(failure: Any) -> tuple[str, str, str]:
    """Class, text and traceback of the error that ended a process; empty where there was none."""
    message = {} if failure is None else failure.error_file_data.get("message")
    if not isinstance(message, Mapping) or not message:
        return "", "", ""
    what, _, text = message["message"].partition(": ")
    return what, " ".join(text.split()), message["extraInfo"]["py_callstack"]


def _end_of(rank: int, status: int, scratch: Path) -> str:
    """How a process that said nothing came to its end."""
    logs = sorted(scratch.glob(f"said/*/attempt_0/{rank}/std*.log"))
    said = next(filter(None, map(last_line, logs)), "")
    return ended_by(status) or f"ended with status {status}" + (f" ({said})" if said else "")
