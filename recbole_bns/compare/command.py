"""``recbole-bns compare``: samplers side by side, over seeds, in processes of their own.

Each finished run is a file ``runs/<sampler>-<seed>.json`` with its result and all of its settings,
and beside it the test metrics of every user (``.npz``). The same command goes on from them.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from recbole_bns.adapters.acting import remarks
from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import beside, write_json, write_text
from recbole_bns.common.locks import alone
from recbole_bns.common.processes import Worker
from recbole_bns.common.progress import RunsProgress
from recbole_bns.common.signals import terminated_is_interrupted
from recbole_bns.runs import results as per_user
from recbole_bns.runs.results import versions

from .plan import Plan, Run
from .records import check_held, read_records, stem
from .report import Origin, Report

PAUSE = 0.2
"""Seconds between two looks at the workers."""


def compare(plan: Plan, command: str) -> int:
    """Train what is not yet trained, then print and write the tables.

    Args:
        plan: what is asked for.
        command: that asked, for the tables.

    Returns:
        exit status: 0, 1 where a run failed, 130 after Ctrl-C.

    Raises:
        UsageError: the folder holds runs with other settings, is in use, or cannot be written.
    """
    folder = plan.out / "runs"
    for remark in [*plan.config.remarks, *remarks(plan.config)]:
        print(f"note: {remark}", file=sys.stderr)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out: cannot make '{folder}': {error.strerror}.") from error
    with _alone(plan.out):
        check_held(plan, read_records(folder))
        jobs, threads = share(plan)
        stopped = False
        try:
            with terminated_is_interrupted():
                train(plan, folder, jobs, threads)
        except KeyboardInterrupt:
            stopped = True
        found = read_records(folder)
        records = [found[run] for run in plan.runs if run in found]
        return _conclude(plan, command, records, stopped)


def share(plan: Plan) -> tuple[int, int]:
    """Runs at once and threads of each, which depend on the plan alone and not on what is done."""
    cores = count_cores()
    on_gpu = plan.config["device"].type != "cpu"
    jobs = min(plan.jobs or (1 if on_gpu else cores), len(plan.runs))
    return jobs, max(cores // jobs, 1)


def count_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def train(plan: Plan, folder: Path, jobs: int, threads: int) -> None:
    """Train and test every run that is not done, ``jobs`` at once."""
    records = read_records(folder)
    done = [run for run in plan.runs if records.get(run, {}).get("status") == "done"]
    waiting = deque(run for run in plan.runs if run not in done)
    settings = {s: plan.resolved(s, plan.own.get(s, {})) for s in {run[0] for run in waiting}}
    running: dict[Run, Worker] = {}
    config = plan.config
    title = f"{config['model']} on {config['dataset']}"
    shown = bool(plan.settings.get("show_progress", True))
    with RunsProgress(title, len(plan.runs), len(done), shown=shown) as progress:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    run = waiting.popleft()
                    record = {
                        "sampler": run[0],
                        "seed": run[1],
                        "own": plan.own.get(run[0], {}),
                        "settings": settings[run[0]],
                        "data": plan.data,
                        "jobs": jobs,
                        "threads": threads,
                        "cores": count_cores(),
                        "device": config["device"].type,
                    }
                    running[run] = _start(plan, folder, run, record, threads)
                time.sleep(PAUSE)
                for run, worker in list(running.items()):
                    if worker.status() is not None:
                        del running[run]
                        progress.finished(_finish(folder, run, worker))
                progress.running(sum(worker.part() for worker in running.values()))
        finally:
            for worker in running.values():
                worker.stop()


def _start(plan: Plan, folder: Path, run: Run, record: Mapping[str, Any], threads: int) -> Worker:
    """Start a run in an empty folder; what a failed or stopped one left there is removed."""
    place = folder / stem(run)
    shutil.rmtree(place, ignore_errors=True)
    for ending in (".json", ".npz"):
        beside(place, ending).unlink(missing_ok=True)
    job = {
        "model": plan.model_of(run[0]),
        "dataset": plan.dataset,
        "config_files": plan.config_files,
        "settings": plan.given(run),
        "folder": str(place),
        "epochs": record["settings"]["epochs"],
        "record": record,
    }
    return Worker(job, threads)


def _finish(folder: Path, run: Run, worker: Worker) -> str:
    """Record a run that has ended, and say how in a few words."""
    worker.close()
    path = folder / f"{stem(run)}.json"
    if worker.status() == 0 and path.is_file():
        if not worker.log.stat().st_size:
            worker.log.unlink()
        result = json.loads(path.read_text(encoding="utf-8"))["result"]
        metric = result["valid_metric"]
        valid = result["best_valid_result"]
        text = f"{metric} {valid[metric]:.4f} in validation, " if valid else ""
        best = f"{text}epoch {result['best_epoch']} of {result['epochs']}"
        return f"{run[0]} with seed {run[1]}: {best}"
    error = worker.complaint()
    failed = {**worker.record, "status": "failed", "error": error, "log": str(worker.log)}
    write_json(path, failed)
    return f"{run[0]} with seed {run[1]} FAILED: {error}"


def _conclude(plan: Plan, command: str, records: Sequence[Mapping[str, Any]], stopped: bool) -> int:
    """Print and write the tables of all that is finished; the exit status."""
    done = [record for record in records if record["status"] == "done"]
    if done:
        report = _report(plan, command, records, done)
        text = report.markdown()
        files = {"compare.md": text, "compare.csv": report.csv(), "compare.json": report.json()}
        for name, content in files.items():
            write_text(plan.out / name, content)
        print(text)
        print(f"written: {', '.join(str(plan.out / name) for name in files)}")
    state = f"{len(done)} of {len(plan.runs)} runs are finished and lie in {plan.out / 'runs'}"
    if stopped:
        print(f"recbole-bns: stopped; {state}; the same command goes on.", file=sys.stderr)
        return 130
    failed = len(records) - len(done)
    if failed:
        print(
            f"recbole-bns: {failed} run(s) failed, the .log files say why; {state}; the same "
            "command tries the others again.",
            file=sys.stderr,
        )
    return 1 if failed else 0


def _report(
    plan: Plan,
    command: str,
    records: Sequence[Mapping[str, Any]],
    done: Sequence[Mapping[str, Any]],
) -> Report:
    from recbole_bns.adapters.evaluation import SMALLER_IS_BETTER

    found = [record["result"]["versions"] for record in done]
    origin = Origin(
        command=command,
        model=plan.config["model"],
        dataset=plan.config["dataset"],
        versions={k: _joined(found, k) for k in versions()},
        cores=_joined(done, "cores"),
        jobs=_joined(done, "jobs"),
        threads=_joined(done, "threads"),
        device=_joined(done, "device"),
    )
    runs = [(record["sampler"], record["seed"]) for record in done]
    values = {run: per_user.load(plan.out / "runs" / f"{stem(run)}.npz") for run in runs}
    return Report(
        origin, records, values, plan.samplers, plan.seeds, plan.reference, SMALLER_IS_BETTER
    )


def _joined(found: Sequence[Mapping[str, Any]], key: str) -> str:
    """``2``, or ``1/2`` where the runs had not all the same."""
    return "/".join(map(str, sorted({each.get(key, "?") for each in found})))


def _alone(folder: Path) -> AbstractContextManager[None]:
    """Keep a second comparison out of the folder, where the system can."""
    return alone(
        folder / ".lock",
        f"--out: another comparison is at work in '{folder}'; wait for it, or name another folder "
        "with --out=DIR.",
    )
