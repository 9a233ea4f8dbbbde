"""``recbole-bns compare``: samplers side by side, over seeds, in processes of their own.

Each finished run is a file ``runs/<row>-<seed>.json`` with its result and all of its settings,
and beside it the test metrics of every user (``.npz``). The same command goes on from them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from recbole_bns.adapters.acting import remarks
from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import write_text
from recbole_bns.common.locks import alone
from recbole_bns.common.signals import terminated_is_interrupted
from recbole_bns.common.terminal import WIDEST, width_of
from recbole_bns.common.threads import fixed, given
from recbole_bns.runner import journal
from recbole_bns.runner.cluster import Place, place_at
from recbole_bns.runner.jobs import Job
from recbole_bns.runner.run import run_all
from recbole_bns.runs import results as per_user
from recbole_bns.runs.records import RunRecord
from recbole_bns.runs.results import versions

from .outline import expected_seconds, outline
from .plan import Plan, Run
from .records import PER_USER, check_held, read_records, stem
from .report import Origin, Report
from .screen import screen


def compare(plan: Plan, command: str, address: str | None = None) -> int:
    """Train what is not yet trained, then print and write the tables.

    Args:
        plan: what is asked for.
        command: that asked, for the tables.
        address: of a Ray cluster that trains; None: this machine.

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
        stopped = False
        try:
            with terminated_is_interrupted():
                train(plan, folder, address)
        except KeyboardInterrupt:
            stopped = True
        records = read_records(folder)
        return _conclude(plan, command, [records[r] for r in plan.runs if r in records], stopped)


def share(plan: Plan, place: Place) -> tuple[int, int]:
    """Runs at once and threads of each, which depend on the plan alone and not on what is done.

    The machine's load is no matter: all rows of a table are to have the same.

    Raises:
        UsageError: more runs at once are asked for than a cluster has room for.
    """
    asked = given() or fixed(plan.config["threads"])
    on_gpu = plan.config["device"].type != "cpu"
    wanted = None if on_gpu or not asked else max(place.cores // asked, 1)
    jobs = min(place.at_once(plan.jobs or wanted, gpu=on_gpu), len(plan.runs))
    return jobs, asked or max(min(place.cores // jobs, place.each), 1)


def train(plan: Plan, folder: Path, address: str | None = None) -> None:
    """Train and test every run that is not done."""
    on_gpu = plan.config["device"].type != "cpu"
    with place_at(address, folder, gpu=on_gpu) as place:
        at_once, threads = share(plan, place)
        load = {
            "jobs": at_once,
            "threads": threads,
            "cores": place.cores,
            "device": plan.config["device"].type,
        }
        expected = _say_plan(plan, folder, load)
        run_all(
            [_job(plan, run, folder, load) for run in plan.runs],
            place.pool,
            at_once,
            title=f"{plan.config['model']} on {plan.config['dataset']}",
            expected=expected,
            shown=_is_shown(plan),
            tell=_told,
        )


def _is_shown(plan: Plan) -> bool:
    return bool(plan.words.settings.get("show_progress", True))


def _say_plan(plan: Plan, folder: Path, load: Mapping[str, Any]) -> float | None:
    """Say what is to come; the seconds that it will take, where finished runs tell."""
    records = read_records(folder)
    expected = expected_seconds(plan, folder, records, load["jobs"])
    if _is_shown(plan):
        width = min(width_of(sys.stderr), WIDEST) if sys.stderr.isatty() else WIDEST
        print("\n".join(outline(plan, records, load, width, expected)), file=sys.stderr, flush=True)
    return expected


def _job(plan: Plan, run: Run, folder: Path, load: Mapping[str, Any]) -> Job:
    """A run as a job; its record is all of ``runs/<row>-<seed>.json`` but how it ended.

    Args:
        plan: that it is of.
        run: row and seed.
        folder: for all runs.
        load: of the machine when it is trained: runs at once, threads, cores, device.
    """
    row, seed = run
    settings = plan.rows[row]
    return Job(
        name=f"{row} with seed {seed}",
        model=plan.words.model_of(row),
        dataset=plan.words.dataset,
        config_files=plan.words.config_files,
        settings=plan.words.given(run),
        folder=folder / stem(run),
        threads=load["threads"],
        epochs=settings["epochs"],
        record={
            "sampler": row,
            "seed": seed,
            "loss": plan.losses[row],
            "own": plan.own(row),
            "settings": settings,
            "data": plan.data,
            **load,
        },
        leaves=(PER_USER,),
    )


def _told(job: Job, record: Mapping[str, Any]) -> str:
    """How a run has ended, in a few words."""
    if record["status"] == journal.FAILED:
        return f"{job.name} FAILED: {record['error']}"
    result = record["result"]
    metric, valid = result["valid_metric"], result["best_valid_result"]
    value = f"{metric} {valid[metric]:.4f} in validation, " if valid else ""
    return f"{job.name}: {value}epoch {result['best_epoch']} of {result['epochs']}"


def _conclude(plan: Plan, command: str, records: Sequence[RunRecord], stopped: bool) -> int:
    """Print and write the tables of all that is finished; the exit status.

    A terminal shows what fits it, and where all of it lies; elsewhere the Markdown is printed.
    """
    done = [record for record in records if record["status"] == journal.DONE]
    if done:
        report = _report(plan, command, records, done)
        text = report.markdown()
        files = {"compare.md": text, "compare.csv": report.csv(), "compare.json": report.json()}
        for name, content in files.items():
            write_text(plan.out / name, content)
        if sys.stdout.isatty():
            width = min(width_of(sys.stdout), WIDEST)
            print(screen(report, plan.config["valid_metric"], width))
            print(f"\nall tables: {plan.out / 'compare.md'}")
        else:
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
    plan: Plan, command: str, records: Sequence[RunRecord], done: Sequence[RunRecord]
) -> Report:
    from recbole_bns.adapters.evaluation import SMALLER_IS_BETTER

    of_runs = [record["result"]["versions"] for record in done]
    origin = Origin(
        command=command,
        model=plan.config["model"],
        dataset=plan.config["dataset"],
        versions={package: _joined(of_runs, package) for package in versions()},
        cores=_joined(done, "cores"),
        jobs=_joined(done, "jobs"),
        threads=_joined(done, "threads"),
        device=_joined(done, "device"),
        config_files=plan.words.config_files or [],
        tuned={row: added for row in plan.samplers if (added := plan.tuned(row))},
    )
    runs = [(record["sampler"], record["seed"]) for record in done]
    values = {run: per_user.load(plan.out / "runs" / f"{stem(run)}{PER_USER}") for run in runs}
    return Report(
        origin,
        records,
        values,
        plan.samplers,
        plan.seeds,
        plan.reference,
        SMALLER_IS_BETTER,
        plan.losses,
    )


def _joined(mappings: Sequence[Mapping[str, Any]], key: str) -> str:
    """``2``, or ``1/2`` where the runs had not all the same."""
    return "/".join(map(str, sorted({each.get(key, "?") for each in mappings})))


def _alone(folder: Path) -> AbstractContextManager[None]:
    """Keep a second comparison out of the folder, where the system can."""
    return alone(
        folder,
        f"--out: another comparison is at work in '{folder}'; wait for it, or name another folder "
        "with --out=DIR.",
    )
