"""Scripts in processes of their own that need not import PyTorch again: forks of one that has.

The process below imports what takes seconds and knows nothing of RecBole or of the package under
test. A fork of it is a fresh process in all that the tests look at, but for those modules.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

SLOW = ("torch", "numpy", "pandas", "scipy.stats", "sklearn.linear_model", "sklearn.metrics")
"""What is imported beforehand."""
PYTEST = "import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))"
COMMAND = "import sys; from recbole_bns.cli import main; sys.exit(main(sys.argv[1:]))"
"""Scripts: pytest, and the package's command line."""
SECONDS = 300
"""That a script may take."""


def run_warm(
    script: str,
    folder: Path,
    *words: str,
    environment: Mapping[str, str] | None = None,
    path: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own that has imported :data:`SLOW`.

    Args:
        script: Python.
        folder: where it works.
        words: its ``sys.argv[1:]``.
        environment: all of it, this process's where nothing is said.
        path: goes before the others on ``sys.path``, beside the package under test.
    """
    from recbole_bns.common.processes import package_path

    server = _server(os.getpid())
    sys.audit("os.fork")  # the mark of a test that starts processes asks for it
    environment = dict(os.environ if environment is None else environment)
    paths = [*path, *package_path().split(os.pathsep)]
    files = [str(folder.parent / f".{folder.name}.{name}") for name in ("out", "err")]
    job = {
        "script": script,
        "folder": str(folder),
        "words": words,
        "environment": environment,
        "path": paths,
        "files": files,
    }
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(job) + "\n")
    server.stdin.flush()
    status = int(server.stdout.readline())
    said = [Path(file).read_text(encoding="utf-8") for file in files]
    for file in files:
        Path(file).unlink()
    return subprocess.CompletedProcess(["python", *words], status, *said)


@cache
def _server(owner: int) -> subprocess.Popen[str]:
    """The process that forks, started when first asked for; it ends with its owner's pipe."""
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.kill)
    return server


def serve() -> None:
    """Fork for each line of the input, and print the status that the fork has ended with."""
    answers = os.fdopen(os.dup(1), "w")
    for name in SLOW:
        with contextlib.suppress(ImportError, AttributeError):
            import_module(name)
    for line in sys.stdin:
        job = json.loads(line)
        process = os.fork()
        if not process:
            answers.close()
            os._exit(_do(job))
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _do(job: Mapping[str, Any]) -> int:
    """Be the process of a script; its exit status."""
    signal.alarm(SECONDS)
    for number, file in enumerate(job["files"], 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    os.environ["PYTHONPATH"] = os.pathsep.join(job["path"])
    sys.path[:] = ["", *job["path"], *sys.path[1:]]
    sys.argv = ["-c", *job["words"]]
    main = ModuleType("__main__")
    sys.modules["__main__"] = main
    status = 0
    try:
        exec(compile(job["script"], "<script>", "exec"), vars(main))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    serve()
