"""``--resume``: which run goes on, and whether it may."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from recbole_bns.adapters.keys import drop_removed
from recbole_bns.common import locks
from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import defaults
from recbole_bns.losses import available as losses
from recbole_bns.runs.folder import (
    ALL,
    ALL_PLACE,
    CHECKPOINTS,
    RESULT,
    SETTINGS,
    put_settings,
    read_settings,
    settings_of,
)
from recbole_bns.runs.records import RunConfig, RunResult, Settings
from recbole_bns.runs.results import read_result, write_copy
from recbole_bns.sampling import available as samplers
from recbole_bns.settings.declared import ALL_PARTS, declared, having
from recbole_bns.settings.words import flat

from .state import FILE, PREVIOUS

AUTO = "auto"

DEPTH = 5
"""Folders below the current one that are looked into."""


def find(config: RunConfig) -> Path | None:
    """The newest run below the current folder with these settings, or None.

    An unfinished one comes before finished ones; one that another process is training is left out.
    """
    wanted = _compared(settings_of(config))
    epochs = config["epochs"]
    candidates = []
    for folder in _runs(Path(".")):
        held = read_settings(folder)
        if (
            _compared(held) != wanted
            or held.get("epochs", epochs) > epochs
            or locks.is_held(folder)
        ):
            continue
        done = is_finished(folder, config)
        begun = any((folder / CHECKPOINTS / name).is_file() for name in (FILE, PREVIOUS))
        if begun or is_tested(folder, epochs):
            candidates.append((not done, (folder / SETTINGS).stat().st_mtime, folder))
    return max(candidates)[2] if candidates else None


def is_finished(folder: Path, config: RunConfig) -> bool:
    """Whether the run came to its end, and has nothing more to do now."""
    if not is_tested(folder, config["epochs"]):
        return False
    return config["train_on"] != ALL_PARTS or "all" in (read_result(folder) or {})


def is_tested(folder: Path, epochs: int) -> bool:
    """Whether the run has a result, and has no more epochs to go now."""
    result = read_result(folder)
    if result is None:
        return False
    held = read_settings(folder).get("epochs", epochs)
    return bool(held >= epochs or result["epochs"] < held)


def check_same(folder: Path, config: RunConfig) -> None:
    """Make sure that a run goes on with its own settings.

    Raises:
        UsageError: names the first setting that differs, or that there are to be fewer epochs.
    """
    held = read_settings(folder)
    if not held:
        raise UsageError(
            f"--resume: the settings of the run in '{folder}' cannot be read ({SETTINGS}); begin a "
            "new run."
        )
    ours, theirs = flat(_compared(settings_of(config))), flat(_compared(held))
    for key in sorted(ours | theirs):
        if ours.get(key) != theirs.get(key):
            raise UsageError(
                f"--resume: the run in '{folder}' has {key} {theirs.get(key)!r}, got "
                f"{ours.get(key)!r}; go on with its own settings (--resume={folder} alone), or "
                "begin a new run."
            )
    if config["epochs"] < held["epochs"]:
        raise UsageError(
            f"--resume: the run in '{folder}' has epochs {held['epochs']}, got {config['epochs']}; "
            "allowed are as many or more."
        )

    if held.get("train_on") == ALL_PARTS != config["train_on"]:
        raise UsageError(
            f"--resume: the run in '{folder}' has train_on 'all', got {config['train_on']!r}; "
            "allowed is 'all': leave it out."
        )


def _compared(settings: Settings) -> Settings:
    """What must be equal for a run to go on; the free settings, such as epochs, are left out."""
    plain = json.loads(json.dumps(_with_all_parameters(drop_removed(settings))))
    free, unwritten = having("free_at_resume"), having("written", "changed")
    defaults = {key: declared()[key].default for key in unwritten}
    return defaults | {key: value for key, value in plain.items() if key not in free}


def _with_all_parameters(settings: Settings) -> Settings:
    """With the parameters that a sampler or a loss has got since they were written.

    They are at their defaults, which do what was done without.
    """
    known = ("neg_sampler", samplers()), ("loss", losses())
    filled = dict(settings)
    for key, classes in known:
        cls: Any = classes.get(str(settings.get(key)))
        given = settings.get(f"{key}_args")
        if cls is not None and isinstance(given, dict):
            filled[f"{key}_args"] = defaults(cls.Params) | given
    return filled


def _runs(root: Path) -> Iterator[Path]:
    for path, folders, files in os.walk(root):
        depth = len(Path(path).parts)
        folders[:] = [f for f in folders if not f.startswith(".")] if depth < DEPTH else []
        if SETTINGS in files:
            folders[:] = []
            yield Path(path)


def alone(folder: Path) -> AbstractContextManager[None]:
    """Keep a second process out of a run, where the system can.

    Raises:
        UsageError: one is at work there.
    """
    return locks.alone(
        folder,
        f"--resume: another process is training the run in '{folder}'; wait for it, or begin a new "
        "run.",
    )


def extend(folder: Path, config: RunConfig) -> None:
    """Write down what the run is to do more than it was, before it does.

    Else it would be forgotten where it is ended once more. The result of fewer epochs stays, as
    ``result-<epochs>.json``; a model of all interactions that came after them goes.
    """
    held, epochs = read_settings(folder), config["epochs"]
    if config["train_on"] == ALL_PARTS != held.get("train_on"):
        held["train_on"] = ALL_PARTS
        put_settings(held, folder)
    if held["epochs"] == epochs or is_tested(folder, epochs):
        return
    (folder / CHECKPOINTS / ALL).unlink(missing_ok=True)
    shutil.rmtree(folder / ALL_PLACE, ignore_errors=True)
    if (folder / RESULT).is_file():
        (folder / RESULT).replace(folder / f"result-{held['epochs']}.json")
    put_settings({**held, "epochs": epochs}, folder)


def finished(folder: Path, result_file: str | Path | None) -> RunResult:
    """The result of a run that is over.

    Raises:
        UsageError: it is there no more.
    """
    result = read_result(folder)
    if result is None:
        raise UsageError(f"--resume: the run in '{folder}' has no {RESULT} any more.")
    print(f"the run in {folder} is finished already")
    if result_file is not None:
        write_copy(result, result_file)
    return result
