"""``recbole-bns study noise``: train what is not yet trained, then page, tables and numbers.

Each finished run is a file ``runs/<row>-<sigma>-<seed>.json``; the same command goes on from them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_bns.adapters.acting import remarks
from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import beside, write_json, write_text
from recbole_bns.common.locks import alone
from recbole_bns.common.processes import count_cores
from recbole_bns.common.signals import terminated_is_interrupted
from recbole_bns.runner import journal
from recbole_bns.runner.jobs import Job
from recbole_bns.runner.pool import LocalProcesses
from recbole_bns.runner.run import run_all

from .plan import Plan, Run
from .report import markdown, numbers, write_pages

TASK = "recbole_bns.studies.noise.task:train"


def study(plan: Plan, command: str) -> int:
    """Train what is not yet trained, then write and print what it shows.

    Args:
        plan: what is asked for.
        command: that asked, for the page.

    Returns:
        exit status: 0, 1 where a run failed, 130 after Ctrl-C.

    Raises:
        UsageError: the folder holds runs with other settings, is in use, or cannot be written.
    """
    folder = plan.out / "runs"
    for remark in dict.fromkeys([*plan.config.remarks, *remarks(plan.config)]):
        print(f"note: {remark}", file=sys.stderr)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out: cannot make '{folder}': {error.strerror}.") from error
    with alone(plan.out, f"--out: another study is at work in '{plan.out}'; wait for it."):
        jobs = jobs_of(plan, folder)
        check_held(jobs)
        stopped = False
        try:
            with terminated_is_interrupted():
                _train(plan, jobs)
        except KeyboardInterrupt:
            stopped = True
        return _conclude(plan, command, jobs, stopped)


def _at_once(plan: Plan) -> int:
    on_gpu = plan.config["device"].type != "cpu"
    return min(plan.jobs or (1 if on_gpu else count_cores()), len(plan.runs))


def jobs_of(plan: Plan, folder: Path) -> list[Job]:
    """A job for each run of the plan; its record tells what is planted."""
    threads = max(count_cores() // _at_once(plan), 1)
    return [_job(plan, run, folder, threads) for run in plan.runs]


def _job(plan: Plan, run: Run, folder: Path, threads: int) -> Job:
    settings = plan.resolved[run.row]
    return Job(
        name=run.name,
        model=plan.words.model,
        dataset=plan.words.dataset,
        config_files=plan.words.config_files,
        settings=plan.words.given((run.row, run.seed)),
        folder=folder / run.stem,
        threads=threads,
        epochs=settings["epochs"],
        record={
            "row": run.row,
            "sigma": run.sigma,
            "seed": run.seed,
            "share": plan.share,
            "settings": settings,
            "data": plan.data,
        },
        task=TASK,
    )


def check_held(jobs: Sequence[Job]) -> None:
    """Make sure that finished runs had the settings that the new ones are to have.

    Raises:
        UsageError: names the first that differs.
    """
    for job in jobs:
        if not journal.is_done(job):
            continue
        held, asked = (_flat(each) for each in (journal.read(job.journal), job.record))
        for key in sorted(asked):
            if key in held and held[key] != asked[key]:  # else it is younger than the run
                raise UsageError(
                    f"--out: '{job.journal}' was trained with {key} {held[key]!r}, got "
                    f"{asked[key]!r}; go on with the old value, or name another folder with "
                    "--out=DIR."
                )


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    of_study = {key: record.get(key) for key in ("share", "data")}
    return {**of_study, **record["settings"]}


def _train(plan: Plan, jobs: Sequence[Job]) -> None:
    run_all(
        jobs,
        LocalProcesses(),
        _at_once(plan),
        title=f"planted in {plan.config['model']} on {plan.config['dataset']}",
        tell=_told,
    )


def _told(job: Job, record: Mapping[str, Any]) -> str:
    """How a run has ended, in a few words."""
    if record["status"] == journal.FAILED:
        return f"{job.name} FAILED: {record['error']}"
    epoch, metrics = record["result"]["evaluations"][-1]
    return f"{job.name}: ndcg@3 {metrics.get('ndcg@3', float('nan')):.4f} in epoch {epoch}"


def _conclude(plan: Plan, command: str, jobs: Sequence[Job], stopped: bool) -> int:
    """Write and print what the finished runs show; the exit status."""
    records = [journal.read(job.journal) for job in jobs if job.journal.is_file()]
    done = [record for record in records if record["status"] == journal.DONE]
    if done:
        _write(plan, command, done)
    state = f"{len(done)} of {len(jobs)} runs are finished and lie in {plan.out / 'runs'}"
    if stopped:
        print(f"recbole-bns: stopped; {state}; the same command goes on.", file=sys.stderr)
        return 130
    failed = len(records) - len(done)
    if failed:
        print(
            f"recbole-bns: {failed} run(s) failed, the .log files say why; {state}; the same "
            "command tries them again.",
            file=sys.stderr,
        )
    return 1 if failed else 0


def _write(plan: Plan, command: str, done: Sequence[Mapping[str, Any]]) -> None:
    study_of = plan.out / "noise"
    text = markdown(plan, command, done)
    write_text(beside(study_of, ".md"), text)
    write_json(beside(study_of, ".json"), numbers(plan, command, done))
    print(text)
    for path in write_pages(plan, command, done):
        print(f"written: {path}")
