"""``--resume``: which run goes on, and whether it may."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from recbole_bns.adapters.keys import drop_removed
from recbole_bns.common import locks
from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import whole_file
from recbole_bns.runs.folder import CHECKPOINTS, LOG, RESULT, SETTINGS, settings_of
from recbole_bns.settings.declared import declared, having
from recbole_bns.settings.words import flat

from .state import FILE, PREVIOUS

AUTO = "auto"

DEPTH = 5
"""Folders below the current one that are looked into."""


def find(config: Any) -> Path | None:
    """The newest run below the current folder with these settings, or None.

    An unfinished one comes before finished ones; one that another process is training is left out.
    """
    wanted = _compared(settings_of(config))
    epochs = config["epochs"]
    found = []
    for folder in _runs(Path(".")):
        held = _read(folder)
        if (
            _compared(held) != wanted
            or held.get("epochs", epochs) > epochs
            or locks.is_held(folder / LOG)
        ):
            continue
        done = is_finished(folder, epochs)
        if done or any((folder / CHECKPOINTS / name).is_file() for name in (FILE, PREVIOUS)):
            found.append((not done, (folder / SETTINGS).stat().st_mtime, folder))
    return max(found)[2] if found else None


def is_finished(folder: Path, epochs: int) -> bool:
    """Whether the run came to its end, and has no more epochs to go now."""
    path = folder / RESULT
    if not path.is_file():
        return False
    result = json.loads(path.read_text(encoding="utf-8"))
    held = _read(folder).get("epochs", epochs)
    return bool(held >= epochs or result["epochs"] < held)


def check_same(folder: Path, config: Any) -> None:
    """Make sure that a run goes on with its own settings.

    Raises:
        UsageError: names the first setting that differs, or that there are to be fewer epochs.
    """
    held = _read(folder)
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


def _compared(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal for a run to go on; the free settings, such as epochs, are left out."""
    plain = json.loads(json.dumps(drop_removed(settings)))
    free, unwritten = having("free_at_resume"), having("written", "changed")
    defaults = {key: declared()[key].default for key in unwritten}
    return defaults | {key: value for key, value in plain.items() if key not in free}


def _read(folder: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _runs(root: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(root):
        depth = len(Path(place).parts)
        folders[:] = [f for f in folders if not f.startswith(".")] if depth < DEPTH else []
        if SETTINGS in files:
            folders[:] = []
            yield Path(place)


def alone(folder: Path) -> AbstractContextManager[None]:
    """Keep a second process out of a run, where the system can.

    Raises:
        UsageError: one is at work there.
    """
    return locks.alone(
        folder / LOG,
        f"--resume: another process is training the run in '{folder}'; wait for it, or begin a new "
        "run.",
    )


def extend(folder: Path, epochs: int) -> None:
    """Write down how many epochs the run has now, before the first of those that are new.

    Else they would be forgotten where it is ended once more. The result of the fewer epochs
    stays, as ``result-<epochs>.json``.
    """
    held = _read(folder)
    if held["epochs"] == epochs:
        return
    if (folder / RESULT).is_file():
        (folder / RESULT).replace(folder / f"result-{held['epochs']}.json")
    text = yaml.safe_dump({**held, "epochs": epochs}, sort_keys=True, allow_unicode=True)
    with whole_file(folder / SETTINGS) as file:
        file.write(text.encode())


def finished(folder: Path, result_file: str | Path | None) -> dict[str, Any]:
    """The result of a run that is over."""
    print(f"the run in {folder} is finished already")
    text = (folder / RESULT).read_text(encoding="utf-8")
    if result_file is not None:
        Path(result_file).write_text(text, encoding="utf-8")
    return dict(json.loads(text))
