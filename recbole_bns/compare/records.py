"""What the runs of a comparison leave in its folder, and whether new ones fit to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from recbole_bns.adapters.keys import drop_removed
from recbole_bns.common.errors import UsageError
from recbole_bns.runner import journal
from recbole_bns.runs.records import RunRecord, Settings
from recbole_bns.settings.declared import declared, having
from recbole_bns.settings.words import flat

from .plan import Plan, Run

PER_USER = ".npz"
"""Ending of the file with the test metrics of every user of a run that is done."""


def stem(run: Run) -> str:
    """``bns-3``: the name of all that belongs to a run."""
    return f"{run[0]}-{run[1]}"


def read_records(folder: Path) -> dict[Run, RunRecord]:
    """What runs have left in ``folder``, done and failed.

    Raises:
        UsageError: a file is no record.
    """
    records: dict[Run, RunRecord] = {}
    for path in sorted(folder.glob("*.json")):
        record = cast(RunRecord, journal.read(path))
        try:
            run = (str(record["sampler"]), int(record["seed"]))
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"--out: '{path}' is no file of a run; remove it.") from error
        if record["status"] != journal.DONE or path.with_suffix(PER_USER).is_file():
            records[run] = record
    return records


def check_held(plan: Plan, records: Mapping[Run, RunRecord]) -> None:
    """Make sure that the runs in the folder had the settings that the new ones are to have.

    Runs that failed, and seeds and samplers that are not asked for now, are free.

    Raises:
        UsageError: names the first setting that differs, or the data set's files do.
    """
    wanted: dict[str, Settings] = {}
    for run, record in records.items():
        row = run[0]
        if record["status"] != journal.DONE:
            continue
        if record.get("data", plan.data) != plan.data:  # a record of old does not say it
            raise UsageError(
                f"--out: '{plan.out}' holds {row} with seed {run[1]} trained on other files of "
                f"'{plan.config['dataset']}' than lie in '{plan.config['data_path']}' now; bring "
                "those back, or name another folder with --out=DIR."
            )
        if row not in wanted:
            asked_for = row in plan.samplers
            wanted[row] = flat(plan.rows[row] if asked_for else plan.resolved(row, record["own"]))
        _check_settings(plan, run, flat(drop_removed(record["settings"])), wanted[row])


def _check_settings(plan: Plan, run: Run, held: Settings, asked: Settings) -> None:
    unwritten = {key: declared()[key].default for key in having("written", "changed")}
    for key in sorted(held | asked):
        younger = key not in held and not plan.words.says(key, run[0])  # than the run
        older = key not in asked and key == "data_path"  # of bundled data
        values = [settings.get(key, unwritten.get(key)) for settings in (held, asked)]
        if values[0] != values[1] and not younger and not older:
            raise UsageError(
                f"--out: '{plan.out}' holds {run[0]} with seed {run[1]} trained with {key} "
                f"{values[0]!r}, got {values[1]!r}; go on with the old value, or name another "
                "folder with --out=DIR."
            )
