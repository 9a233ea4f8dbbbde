"""A run whose processes ``torchrun`` has started, on one machine or several: all make one call.

The first one decides, makes the folder and tells the others. The launcher (its *agent*, one a
machine) starts all of them anew after a failure (``--max-restarts``); the run that its agents have
begun then goes on from its last state.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from recbole_bns.adapters.team import PeerLost, Team, join
from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import write_text
from recbole_bns.common.processes import end_with_parent
from recbole_bns.runs.folder import SETTINGS
from recbole_bns.runs.records import RunConfig, RunResult
from recbole_bns.settings.words import read_yaml

from .asked import Asked
from .process import GRACE, end_at_once, own_folder, record, train_share
from .resume import alone, finished, is_finished
from .train import train

AGENTS = ".torchrun.json"
"""In the folder of a run: the agents that have begun it, whose processes may go on unasked."""
TIMEOUT = 600.0
"""Seconds that a process waits for another one."""

Begin = Callable[[Asked], tuple[RunConfig, Path]]


def take_part(asked: Asked, begin: Begin) -> RunResult:
    """Train as one of the processes, all of which make this call.

    Args:
        asked: of the run, the same in all of them.
        begin: makes settings and folder of it.

    Returns:
        the content of ``result.json``, in every process.

    Raises:
        UsageError: something was refused; in the first process that has something to say.
        SystemExit: likewise, in the others.
    """
    if threading.current_thread() is threading.main_thread():
        end_at_once()
    end_with_parent(owner=os.getppid())
    gpu = _take_gpu(asked)
    team = join(own_folder(), cuda=bool(gpu), timeout=TIMEOUT)
    settings = {"nproc": team.size, **asked.settings, **({"gpu_id": gpu} if gpu else {})}
    with _one_voice(team):
        result = _train(replace(asked, settings=settings), begin, team)
        team.leave()
    return result


def _train(asked: Asked, begin: Begin, team: Team) -> RunResult:
    agents = team.collect(agent())
    if team.rank:
        folder, over = team.collect(None)[0]
        _check_seen(folder, team)
        if not over:
            train_share(replace(asked, resume=folder, out=None), folder)
        return team.collect(None)[0]
    earlier = begun_by(agents, asked)
    config, folder = begin(replace(asked, resume=earlier, out=None) if earlier else asked)
    write_text(folder / AGENTS, json.dumps(sorted(set(agents))))
    over = is_finished(folder, config)
    team.collect((folder.absolute(), over))
    _check_seen(folder, team)
    if over:
        return team.collect(finished(folder, asked.result_file))[0]
    with alone(folder):
        return team.collect(train(config, folder, asked.result_file, asked.per_user))[0]


def agent() -> str:
    """Which launcher has started this process; it outlives the processes that it starts anew."""
    import psutil

    number = os.getppid()
    return f"{socket.gethostname()} {number} {psutil.Process(number).create_time()}"


def begun_by(agents: Sequence[str], asked: Asked) -> Path | None:
    """The folder of the run that one of these agents has begun already, if any."""
    if asked.held:
        return None
    folders = [Path(asked.out)] if asked.out is not None else sorted(Path("runs").glob("*"))
    for folder in folders:
        file = folder / AGENTS
        if file.is_file() and set(agents) & set(json.loads(file.read_text(encoding="utf-8"))):
            return folder
    return None


def _check_seen(folder: Path, team: Team) -> None:
    """Make sure that all processes see the folder that the first one has made.

    Raises:
        UsageError: they do not.
    """
    seen = team.collect((folder / SETTINGS).is_file())
    if not all(seen):
        raise UsageError(
            f"out: the folder '{folder}' of process 0 is not seen by process {seen.index(False)} "
            f"({team.collect(socket.gethostname())[seen.index(False)]}); name one that all "
            "machines share with --out=DIR."
        )


def _take_gpu(asked: Asked) -> str:
    """Leave this process one GPU of the machine's, by its place there; empty for the CPU.

    Raises:
        UsageError: there are not enough.
    """
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if _given(asked, "use_gpu") is False or visible == "":
        return ""
    size, place = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["LOCAL_RANK"])
    every = ",".join(map(str, range(size)))
    gpus = str(_given(asked, "gpu_id") or visible or every).split(",")
    if place < len(gpus):
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[place].strip()
        return gpus[place].strip() if torch.cuda.is_available() else ""
    if torch.cuda.is_available():
        raise UsageError(
            f"gpu_id: '{','.join(gpus)}' names {len(gpus)} GPUs, but torchrun has started {size} "
            "processes here; name one for each, or give --use_gpu=False for the CPU."
        )
    return ""


def _given(asked: Asked, key: str) -> Any:
    """What the user has written for a setting that is needed before all are read; None: nothing."""
    values = [asked.settings.get(key)]
    with suppress(UsageError):  # of a file, which whoever begins the run will tell
        values += [read_yaml(path).get(key) for path in reversed(asked.paths)]
    return next((value for value in values if value is not None), None)


@contextmanager
def _one_voice(team: Team) -> Iterator[None]:
    """What ends the run is said by the first process that it has reached, and by no other."""
    try:
        yield
    except UsageError:
        if team.is_first("word"):
            raise
        raise SystemExit(1) from None
    except PeerLost as error:
        if team.is_first("word"):
            print(
                f"recbole-bns: process {team.rank} (of 0 to {team.size - 1}) had no answer from "
                f"another one ({str(error).rstrip('.')}); torchrun --max-restarts=N goes on by "
                "itself, else the run does with --resume=DIR or --resume=auto.",
                file=sys.__stderr__,
                flush=True,
            )
        time.sleep(GRACE)
        raise SystemExit(1) from None
    except Exception as error:
        team.is_first("word")
        record(error)
        raise
