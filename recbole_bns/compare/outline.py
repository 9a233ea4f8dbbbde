"""What a comparison is about to do, said before it begins: runs, time, where the results go."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from statistics import mean

from recbole_bns.common.progress import duration
from recbole_bns.common.terminal import wrapped
from recbole_bns.runner import journal
from recbole_bns.runs.folder import SETTINGS
from recbole_bns.runs.records import RunRecord

from .plan import Plan, Run
from .records import stem


def seconds_of(folder: Path, run: Run, record: RunRecord) -> float:
    """Seconds that a finished run has taken.

    From the time at which it wrote its settings to that of its record; of files that were copied
    since, whose times say nothing, the seconds of its training alone.

    Args:
        folder: of all runs.
        run: row and seed.
        record: of the run.
    """
    trained = sum(record["result"]["train_epoch_seconds"])
    try:
        began = (folder / stem(run) / SETTINGS).stat().st_mtime
        ended = (folder / f"{stem(run)}.json").stat().st_mtime
    except OSError:
        return trained
    return max(ended - began, trained)


def expected_seconds(
    plan: Plan, folder: Path, records: Mapping[Run, RunRecord], at_once: int
) -> float | None:
    """Seconds that the runs to come will take together; None where no finished one tells.

    A run takes as long as those of its row have, else as long as all have on average.

    Args:
        plan: of the comparison.
        folder: of all runs.
        records: of those in it.
        at_once: runs at once.
    """
    taken: dict[str, list[float]] = {}
    for run, record in records.items():
        if record["status"] == journal.DONE:
            taken.setdefault(run[0], []).append(seconds_of(folder, run, record))
    if not taken:
        return None
    usual = mean(seconds for of_row in taken.values() for seconds in of_row)
    rest = [
        mean(taken.get(run[0], [usual])) for run in plan.runs if run not in _done(plan, records)
    ]
    return max(sum(rest) / max(at_once, 1), *rest, 0.0) if rest else 0.0


def _done(plan: Plan, records: Mapping[Run, RunRecord]) -> Collection[Run]:
    return {run for run in plan.runs if run in records and records[run]["status"] == journal.DONE}


def outline(
    plan: Plan,
    records: Mapping[Run, RunRecord],
    load: Mapping[str, object],
    width: int,
    expected: float | None,
) -> list[str]:
    """The plan in lines.

    Args:
        plan: of the comparison.
        records: of the runs that are there.
        load: ``jobs`` at once, ``threads`` of each, ``cores``, ``device``.
        width: of the lines.
        expected: seconds of :func:`expected_seconds`.
    """
    done = len(_done(plan, records))
    rows, seeds, runs = len(plan.samplers), len(plan.seeds), len(plan.runs)
    there = f"{done} {'is' if done == 1 else 'are'} finished" if done else "none is finished"
    facts = {
        "runs": f"{runs} ({_count(rows, 'row')} x {_count(seeds, 'seed')}), of which {there}",
        "rows": ", ".join(
            f"{row} (reference)" if row == plan.reference else row for row in plan.samplers
        ),
    }
    if done < runs:
        facts |= {
            "at once": _at_once(load),
            "time": "unknown until the first run ends"
            if expected is None
            else f"about {duration(expected)}, by the runs that are finished",
        }
    facts |= {"results": str(plan.out)}
    title = f"comparison of {plan.config['model']} on {plan.config['dataset']}"
    lines = wrapped(title, width)
    for name, text in facts.items():
        lines += wrapped(text, width, first=f"  {name:<9}", later=" " * 11)
    return lines


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _at_once(load: Mapping[str, object]) -> str:
    jobs, threads = int(str(load["jobs"])), int(str(load["threads"]))
    where = "the CPU" if load["device"] == "cpu" else "a GPU"
    of = _count(threads, "thread") + (" each" if jobs > 1 else "")
    return f"{_count(jobs, 'run')} of {of}, on {where} ({load['cores']} cores)"
