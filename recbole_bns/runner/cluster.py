"""A Ray cluster: how to reach it, and the pool that has every training done on one of its machines.

A task of the cluster starts the process of a training, as it would be on this machine, and waits
for it. A task whose machine is lost is begun again on another one: what the training has written
lies in a folder that all machines share, and it goes on from there.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.common.processes import count_cores, package_path

from . import journal
from .jobs import Job
from .pool import LocalProcesses, Pool

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""No statistics sent, no files in the working directory, no talk; what a user has set stands."""
LOCAL = {"RAY_AUTH_MODE": "disabled"}
"""For a cluster of our own on this machine: since 2.59 Ray asks for a token else."""
RESTARTS = 3
"""Of a training whose machine was lost."""
PAUSE = 0.2
"""Seconds between two looks of a task at its training."""


def check_ray(command: str = "tune", package: str = "ray[tune]") -> None:
    """Refuse to go on without Ray.

    Raises:
        UsageError: it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise UsageError(f"{command}: Ray is not installed; pip install '{package}'.")


def set_environment(local: bool) -> None:
    """Make Ray quiet, before it is imported or started."""
    for name, value in (QUIET | (LOCAL if local else {})).items():
        os.environ.setdefault(name, value)


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """A cluster of our own on this machine, the one at ``address``, or one that is there.

    Raises:
        UsageError: it cannot be had.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            os.environ["PYTHONPATH"] = package_path()  # for the trials' processes
            ray.init(include_dashboard=False, **quiet)
    except Exception as error:  # Ray raises this very class where a node does not come up in time
        raise UsageError(
            f"--address: Ray cannot be started or reached: {_first_line(error)}"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@dataclass(frozen=True)
class Place:
    """Where trainings are done.

    Attributes:
        pool: that does them.
        cores: of all its machines.
        each: cores of the one that has the fewest, which is what a training may have.
        gpus: of all its machines; None where nobody has counted.
    """

    pool: Pool
    cores: int
    each: int
    gpus: int | None = None

    def at_once(self, asked: int | None, *, gpu: bool = False) -> int:
        """How many trainings are under way: as many as asked for, else as there is room for.

        Args:
            asked: ``--jobs``.
            gpu: whether each needs a GPU.

        Raises:
            UsageError: a cluster has no room for so many.
        """
        room = (self.gpus or 1) if gpu else self.cores
        if self.gpus is not None and (asked or 1) > room:
            raise UsageError(
                f"--jobs: got {asked}, but the cluster has room for {room} trainings at once; "
                f"allowed is 1 to {room}."
            )
        return asked or room


@contextmanager
def place_at(address: str | None, folder: Path, *, gpu: bool = False) -> Iterator[Place]:
    """This machine, or the cluster at an address.

    Args:
        address: of a Ray cluster; None: this machine.
        folder: for the trainings; it is there.
        gpu: whether each needs one.

    Raises:
        UsageError: there is no Ray, or no such cluster, or its machines do not share the folder.
    """
    if address is None:
        yield Place(LocalProcesses(), count_cores(), count_cores())
        return
    check_ray("--address", "ray")
    set_environment(local=False)
    with connected(str(address)):
        import ray

        nodes = [node for node in ray.nodes() if node["Alive"]]
        if len({node["NodeManagerAddress"] for node in nodes}) > 1:
            there = check_shared(folder, [node["NodeID"] for node in nodes])
            nodes = [node for node in nodes if node["NodeID"] in there]
        cores = [int(node["Resources"].get("CPU", 0)) for node in nodes]
        gpus = sum(int(node["Resources"].get("GPU", 0)) for node in nodes)
        if not any(cores) or (gpu and not gpus):
            what = "cores" if not any(cores) else "GPUs"
            raise UsageError(f"--address: the cluster at '{address}' has no {what}.")
        yield Place(RayTasks(gpu), sum(cores), min(filter(None, cores)), gpus)


def check_shared(folder: Path, nodes: list[str]) -> list[str]:
    """Make sure that machines see the working folder and one in which trainings write.

    Args:
        folder: of the trainings.
        nodes: Ray's names of the machines.

    Returns:
        those that are still there: Ray calls a machine alive for seconds after it was lost.

    Raises:
        UsageError: one of them does not see it, or cannot be asked.
    """
    import ray
    from ray.exceptions import RayError, TaskUnschedulableError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(num_cpus=0)(_missing)
    wanted = [os.getcwd(), str(folder.absolute())]
    on = {node: NodeAffinitySchedulingStrategy(node_id=node, soft=False) for node in nodes}
    found = {node: look.options(scheduling_strategy=on[node]).remote(wanted) for node in nodes}
    there = []
    for node in nodes:
        try:
            missing = ray.get(found[node])
        except TaskUnschedulableError:  # asks for no cores, so that only a lost machine refuses it
            continue
        except RayError as error:
            raise UsageError(
                f"--address: machine {node} of the cluster cannot be asked for the folder "
                f"'{folder}': {_first_line(error)}"
            ) from error
        if missing:
            raise UsageError(
                f"--address: the folder '{missing}' is not seen by all machines of the cluster; "
                "work in one that they share, with --out and --data_path in such ones."
            )
        there.append(node)
    return there


def _first_line(error: Exception) -> str:
    """What Ray says, without the pages that follow; the class of what says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _missing(folders: list[str]) -> str | None:
    return next((folder for folder in folders if not os.path.isdir(folder)), None)


class RayTasks:
    """A task of the cluster for each job.

    Args:
        gpu: whether each needs a GPU.
    """

    def __init__(self, gpu: bool = False) -> None:
        import ray

        self._gpus = int(gpu)
        self._task = ray.remote(do)

    def start(self, job: Job) -> RayTask:
        """Start a job where the cluster has its cores free, sooner or later."""
        task = self._task.options(
            num_cpus=job.threads, num_gpus=self._gpus, max_retries=RESTARTS, name=job.name
        )
        return RayTask(task.remote(replace(job, folder=job.folder.absolute()), os.getcwd()))


class RayTask:
    """A job on the cluster.

    Args:
        task: Ray's name of what it will return.
    """

    def __init__(self, task: Any) -> None:
        self._task = task
        self._end: tuple[int, str] | None = None

    def status(self) -> int | None:
        """See :class:`.pool.Training`."""
        import ray

        if self._end is None and ray.wait([self._task], timeout=0)[0]:
            try:
                self._end = ray.get(self._task)
            except Exception as error:  # Ray's own, or what a machine could not import
                self._end = 1, f"Ray gave it up: {_first_line(error)}"
        return None if self._end is None else self._end[0]

    def complaint(self) -> str:
        """See there."""
        return self._end[1] if self._end else "it has not ended"

    def stop(self) -> None:
        """See there; the training's process ends with that of its task."""
        import ray

        if self.status() is None:
            ray.cancel(self._task, force=True)


def do(job: Job, where: str) -> tuple[int, str]:
    """A task: a training in a process of its own, or what is left of it.

    Args:
        job: with an absolute folder.
        where: the working folder.

    Returns:
        how it ended: exit status and complaint.
    """
    os.chdir(where)
    if journal.is_done(job):  # before its machine was lost
        return 0, ""
    training = LocalProcesses().start(job)
    try:
        while training.status() is None:
            time.sleep(PAUSE)
    finally:
        training.stop()
    status = training.status() or 0
    return status, training.complaint() if status else ""
