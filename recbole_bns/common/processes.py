"""A child process with a job: both of its ends.

A process apart, not a fork, so that a crash ends one job, that the number of threads is set before
torch is loaded, and that threads and GPUs in use here do no harm. The job comes pickled through the
standard input; the pipe stays open, and its end tells the child that whoever started it is gone.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Variables that say how many threads the libraries of a process may start."""


def count_cores() -> int:
    """Cores that this process may use, by its affinity and its container's quota."""
    import joblib  # half a second, which not every command needs

    return int(joblib.cpu_count())


def thread_variables(processes: int) -> dict[str, str]:
    """:data:`THREADS` of one of several processes on this machine: its share of the cores.

    What the user has set stands.
    """
    threads = str(max(1, count_cores() // processes))
    return {name: os.environ.get(name, threads) for name in THREADS}


def started_by_torchrun() -> bool:
    """Whether PyTorch's elastic launcher has started this process, which has its variables."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def share_with_torchruns() -> None:
    """Take this process's share of the cores, before anything that counts them is imported.

    ``torchrun`` gives each of several processes one thread where the user has not said how many;
    what the user has said is what the launcher was started with.
    """
    import psutil
    from threadpoolctl import threadpool_limits

    with suppress(psutil.Error):  # who may not ask leaves it at that
        if "OMP_NUM_THREADS" not in psutil.Process(os.getppid()).environ():
            os.environ.pop("OMP_NUM_THREADS", None)
    os.environ.update(thread_variables(int(os.environ["LOCAL_WORLD_SIZE"])))
    threadpool_limits(int(os.environ["OPENBLAS_NUM_THREADS"]))  # of NumPy, which is there already


@contextmanager
def shown_of_the_first() -> Iterator[None]:
    """Of processes that ``torchrun`` has started only the first one talks meanwhile."""
    if not started_by_torchrun() or os.environ["RANK"] == "0":
        yield
        return
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        yield


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def package_path() -> str:
    """``PYTHONPATH`` with which another process finds this package, installed or not."""
    package = str(Path(__file__).parents[2])
    return os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))


class Child:
    """A process that runs a module with one job; :func:`read_job` is its other end.

    Args:
        module: that runs, as ``python -m`` names it.
        job: for :func:`read_job`; anything that can be pickled.
        words: arguments of the module.
        modules: that the child imports before the job is read: those that define its classes.
        log: file for all that the child says.
        environment: variables that differ from those of this process.
    """

    def __init__(
        self,
        module: str,
        job: Any,
        *,
        log: Path,
        words: Sequence[str] = (),
        modules: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        said = packed(job, modules)
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env={**os.environ, **(environment or {}), "PYTHONPATH": package_path()},
                start_new_session=True,  # Ctrl-C comes to the parent, which ends its children
            )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin
        with suppress(BrokenPipeError):  # it died at once, which its status tells
            self._pipe.write(said)
            self._pipe.flush()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def complaint(self) -> str:
        """Why it failed: the signal that ended it, or the last line that it said."""
        status = self.status() or 0
        if how := ended_by(status):
            return f"the process {how}"
        return last_line(self.log) or f"the process ended with status {status} and said nothing"

    def stop(self) -> None:
        """End the process at once where it runs, wait for its end, and close the pipe."""
        if self.status() is None:
            self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):  # it died before it read its job
            self._pipe.close()


def ended_by(status: int) -> str:
    """``was ended by the signal SIGSEGV``, by an exit status; empty where it was no signal."""
    if status >= 0:
        return ""
    try:
        name = signal.Signals(-status).name
    except ValueError:
        return f"was ended by signal {-status}"
    memory = ", perhaps for want of memory" if name == "SIGKILL" else ""
    return f"was ended by the signal {name}{memory}"


def last_line(log: Path) -> str:
    """The last line in a log that says something; empty where there is none."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def packed(job: Any, modules: Sequence[str]) -> bytes:
    """A job for :func:`read_job` in another process, with the path of this one.

    Args:
        job: anything that can be pickled.
        modules: imported before the job is read: those that define its classes.
    """
    return pickle.dumps((sys.path, list(modules))) + pickle.dumps(job)


def read_job(stream: BinaryIO | None = None) -> Any:
    """The job of this process; modules are imported before.

    Args:
        stream: with what :func:`packed` made; else it comes from the :class:`Child`'s owner.

    Raises:
        SystemExit: whoever started it is gone already.
        Exception: a module cannot be imported, or a class is not found.
    """
    stream = stream or sys.stdin.buffer
    try:
        sys.path[:], modules = pickle.load(stream)
        for name in modules:  # of models and samplers, which are registered by being imported
            import_module(name)
        return pickle.load(stream)
    except EOFError:
        raise SystemExit(130) from None


def end_with_parent(clean: Callable[[], None] = lambda: None, *, owner: int | None = None) -> None:
    """End this process with its owner, whose end closes the pipe of a :class:`Child`.

    Args:
        clean: what is done before.
        owner: the process that started this one, where there is no pipe: the system is asked
            whether it is still there.
    """

    def wait() -> None:
        if owner is None:
            os.read(sys.stdin.fileno(), 1)
        while owner is not None and os.getppid() == owner:
            time.sleep(0.2)
        clean()
        os._exit(130)

    threading.Thread(target=wait, daemon=True).start()
