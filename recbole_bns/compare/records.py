"""What the runs of a comparison leave in its folder, and whether new ones fit to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.sampling import available
from recbole_bns.settings.words import flat

from .plan import Plan, Run


def stem(run: Run) -> str:
    """``bns-3``: the name of all that belongs to a run."""
    return f"{run[0]}-{run[1]}"


def read_records(folder: Path) -> dict[Run, dict[str, Any]]:
    """What runs have left in ``folder``, done and failed.

    Raises:
        UsageError: a file is no record.
    """
    records = {}
    for path in sorted(folder.glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            run = (str(record["sampler"]), int(record["seed"]))
            done = record["status"] == "done"
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"--out: '{path}' is no file of a run; remove it.") from error
        if not done or path.with_suffix(".npz").is_file():
            records[run] = record
    return records


def check_held(plan: Plan, records: Mapping[Run, Mapping[str, Any]]) -> None:
    """Make sure that the runs in the folder had the settings that the new ones are to have.

    Runs that failed, and seeds and samplers that are not asked for now, are free.

    Raises:
        UsageError: names the first setting that differs, or the data set's files do.
    """
    wanted: dict[str, dict[str, Any]] = {}
    for run, record in records.items():
        if record["status"] != "done":
            continue
        sampler = run[0]
        if record.get("data", plan.data) != plan.data:  # a record of old does not say it
            raise UsageError(
                f"--out: '{plan.out}' holds {sampler} with seed {run[1]} trained on other files of "
                f"'{plan.config['dataset']}' than lie in '{plan.config['data_path']}' now; bring "
                "those back, or name another folder with --out=DIR."
            )
        if sampler not in wanted:
            own = plan.own.get(sampler, {}) if sampler in plan.samplers else record["own"]
            wanted[sampler] = flat(plan.resolved(sampler, own))
        held, asked = flat(_without_gone(record["settings"])), wanted[sampler]
        for key in sorted(held | asked):
            new = key not in held and not plan.says(
                key, sampler
            )  # a setting that is younger than the run
            if held.get(key) != asked.get(key) and not new:
                raise UsageError(
                    f"--out: '{plan.out}' holds {sampler} with seed {run[1]} trained with {key} "
                    f"{held.get(key)!r}, got {asked.get(key)!r}; go on with the old value, or name "
                    "another folder with --out=DIR."
                )


def _without_gone(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a run, less the sampler's parameters that have gone, at their old defaults."""
    cls = available().get(settings.get("neg_sampler", ""))
    gone = {name: old for name, (old, _) in getattr(cls and cls.Params, "REMOVED", {}).items()}
    args = settings.get("neg_sampler_args") or {}
    kept = {k: v for k, v in args.items() if k not in gone or gone[k] != v}
    return {**settings, "neg_sampler_args": kept}
