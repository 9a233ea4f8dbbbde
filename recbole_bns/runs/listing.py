"""What lies in a folder of runs: trainings, comparisons and sweeps, by the files that they leave.

Neither torch nor pandas is needed for it; a folder that cannot be read is named and passed over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from recbole_bns.common.errors import UsageError
from recbole_bns.settings.properties import cell

RUN, COMPARISON, SWEEP, BROKEN = "run", "comparison", "sweep", "broken"
FINISHED, UNFINISHED = "finished", "unfinished"
SETTINGS, RESULT, EPOCHS, TRIALS = "settings.yaml", "result.json", "epochs.csv", "trials.jsonl"
DEEPEST = 3
"""Folders that hold none of these are looked into so many levels down."""
RECORDS = "runs"
"""Folder of a comparison with a file a run."""
_PLAN = "sweep.json"


@dataclass
class Entry:
    """A folder, as it is listed; what is not known is None or empty."""

    name: str
    """From the folder that was asked about."""
    kind: str
    """``run``, ``comparison``, ``sweep``, or ``broken``."""
    data: str = ""
    model: str = ""
    sampler: str = ""
    """With ``+loss`` and ``+mixer`` where they are not the model's; of a comparison its rows."""
    loss: str = ""
    metric: str = ""
    """Name of the validation metric."""
    valid: float | None = None
    test: float | None = None
    epochs: int | None = None
    """Done so far."""
    planned: int | None = None
    """Epochs that an unfinished run was to have."""
    state: str = ""
    """``finished`` or ``unfinished``."""
    size: int = 0
    """Bytes on the disk."""
    changed: float = 0.0
    """When its files were last written: seconds since 1970."""
    note: str = ""
    """What else there is to say: runs or trials that are done, why it cannot be read."""


@dataclass
class _Found:
    """Bytes and time of all files below a folder."""

    size: int = 0
    changed: float = field(default=0.0)


def read_entries(folder: Path) -> list[Entry]:
    """All runs, comparisons and sweeps in a folder, newest first; or the folder itself.

    Args:
        folder: that holds them, or that is one of them.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        what = "it is a file" if folder.is_file() else "there is no such folder"
        raise UsageError(f"runs: got '{folder}', but {what}; allowed is a folder with runs in it.")
    kind = kind_of(folder)
    if kind:
        return [_read(folder, kind, folder.name or str(folder))]
    found = [_read(path, kind, str(path.relative_to(folder))) for path, kind in _below(folder, 1)]
    return sorted(found, key=lambda entry: -entry.changed)


def kind_of(folder: Path) -> str:
    """What a folder is by the files in it; empty where it is none of ours."""
    if (folder / _PLAN).is_file() or (folder / TRIALS).is_file():
        return SWEEP
    if (folder / "compare.json").is_file() or _holds_records(folder / RECORDS):
        return COMPARISON
    if (folder / SETTINGS).exists() or (folder / RESULT).exists():
        return RUN
    return ""


def _holds_records(folder: Path) -> bool:
    """Whether it has a file beside the folder of a run of its name."""
    return any(path.with_suffix("").is_dir() for path in folder.glob("*-*.json"))


def _below(folder: Path, depth: int) -> Iterator[tuple[Path, str]]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return
    for path in paths:
        kind = kind_of(path)
        if kind:
            yield path, kind
        elif depth < DEEPEST and not path.is_symlink():
            found = list(_below(path, depth + 1))
            yield from found or ([(path, BROKEN)] if depth == 1 else [])


def _read(folder: Path, kind: str, name: str) -> Entry:
    """A folder's entry; a broken one says why."""
    entry = Entry(name, kind)
    found = _measured(folder)
    entry.size, entry.changed = found.size, found.changed
    try:
        _READERS[kind](folder, entry)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        words = str(error).splitlines() or [""]
        return Entry(
            name,
            BROKEN,
            size=entry.size,
            changed=entry.changed,
            note=f"cannot be read as a {RUN if kind == BROKEN else kind}: {_why(error, words[0])}",
        )
    return entry


def _why(error: Exception, words: str) -> str:
    """What is wrong with a file, in a few words."""
    if isinstance(error, KeyError):
        return f"there is no {words} in its file"
    return words if type(error) in (ValueError, OSError) else f"{type(error).__name__}: {words}"


def _measured(folder: Path) -> _Found:
    """Size and last change of all files below; links are not followed."""
    found = _Found()
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                stat = os.lstat(os.path.join(root, name))
            except OSError:  # it has gone meanwhile
                continue
            found.size += stat.st_size
            found.changed = max(found.changed, stat.st_mtime)
    return found


# --- Runs --------------------------------------------------------------------------------------


def _read_run(folder: Path, entry: Entry) -> None:
    if (folder / RESULT).is_file():
        result = _json(folder / RESULT)
        _take_result(entry, result)
        entry.state = FINISHED
        return
    settings = _yaml(folder / SETTINGS)
    entry.data, entry.model = str(settings["dataset"]), str(settings["model"])
    entry.loss = str(settings.get("loss", ""))
    entry.sampler = cell(str(settings["neg_sampler"]), settings.get("loss"), settings.get("mixer"))
    entry.metric = str(settings.get("valid_metric", "")).lower()
    entry.state, entry.epochs = UNFINISHED, 0
    lines = _lines(folder / EPOCHS)
    if lines:
        rows = [dict(zip(lines[0], row, strict=False)) for row in lines[1:]]
        entry.epochs = len(rows)
        values = [float(row[entry.metric]) for row in rows if row.get(entry.metric)]
        better = min if entry.metric.partition("@")[0] in _SMALLER else max
        entry.valid = better(values) if values else None
    entry.planned = int(settings["epochs"])


_SMALLER = ("rmse", "mae", "logloss", "averagepopularity", "giniindex")
"""Metrics of which less is better, as RecBole has them."""


def _take_result(entry: Entry, result: Mapping[str, Any]) -> None:
    entry.data, entry.model = str(result["dataset"]), str(result["model"])
    entry.sampler = cell(str(result["neg_sampler"]), result.get("loss"), result.get("mixer"))
    label = str(result.get("neg_sampler_label", ""))
    if "oracle" in label:
        entry.note = label
    entry.loss = str(result.get("loss", ""))
    entry.metric = str(result["valid_metric"]).lower()
    entry.valid = _value(result.get("best_valid_result"), entry.metric)
    entry.test = _value(result["test_result"], entry.metric)
    entry.epochs = int(result["epochs"])


def _value(metrics: Mapping[str, Any] | None, name: str) -> float | None:
    value = (metrics or {}).get(name)
    return None if value is None else float(value)


# --- Many runs ---------------------------------------------------------------------------------


def _read_comparison(folder: Path, entry: Entry) -> None:
    records = [_json(path) for path in sorted((folder / RECORDS).glob("*.json"))]
    done = [record for record in records if record["status"] == "done"]
    rows = list(dict.fromkeys(str(record["sampler"]) for record in records))
    entry.sampler = ", ".join(rows)
    parts = [f"{len(done)} runs"]
    failed = len(records) - len(done)
    if failed:
        parts.append(f"{failed} failed")
    if done:
        first = done[0]["result"]
        entry.data, entry.model = str(first["dataset"]), str(first["model"])
        entry.metric = str(first["valid_metric"]).lower()
        _take_best_row(entry, done, parts)
    path = folder / "compare.json"
    entry.state = UNFINISHED
    if path.is_file():
        said = _json(path)
        asked = said.get("losses") or {each["sampler"] for each in said["metrics"]}  # old ones
        wanted = {(row, seed) for row in asked for seed in said["seeds"]}
        held = {(record["sampler"], record["seed"]) for record in done}
        entry.state = FINISHED if wanted <= held else UNFINISHED
    entry.note = ", ".join(parts)


def _take_best_row(entry: Entry, done: list[dict[str, Any]], parts: list[str]) -> None:
    """Mean metrics of the row that is best in validation, where it was validated."""
    values: dict[str, list[Mapping[str, Any]]] = {}
    for record in done:
        values.setdefault(str(record["sampler"]), []).append(record["result"])
    sign = -1 if entry.metric.partition("@")[0] in _SMALLER else 1
    means = {}
    for row, results in values.items():
        valid = [_value(r.get("best_valid_result"), entry.metric) for r in results]
        test = [_value(r["test_result"], entry.metric) for r in results]
        means[row] = (_mean(valid), _mean(test))
    known = [row for row in means if means[row][0] is not None]
    if known:
        best = max(known, key=lambda row: sign * (means[row][0] or 0.0))
        entry.valid, entry.test = means[best]
        parts.append(f"best in validation: {best}")


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) and known else None


def _read_sweep(folder: Path, entry: Entry) -> None:
    ended, began = set(), set()
    for line in _text(folder / TRIALS).splitlines():
        try:
            said = json.loads(line)
        except ValueError:  # the last line of a driver that was killed
            continue
        began.add(said["trial"])
        if "status" in said:
            ended.add(said["trial"])
    entry.state = FINISHED if (folder / "tune.md").is_file() else UNFINISHED
    winners = [path for path in sorted(folder.glob("winner*")) if (path / RESULT).is_file()]
    if winners:
        _take_result(entry, _json(winners[-1] / RESULT))
    else:
        held = _json(folder / _PLAN)["held"]
        entry.data, entry.model = str(held["dataset"] or ""), str(held["model"] or "")
        said = held["settings"]
        entry.metric = str(held["metric"])
        entry.sampler = cell(str(said.get("neg_sampler", "")), said.get("loss"), said.get("mixer"))
    text = f"{len(ended)} trials" + (f", {len(began - ended)} not finished" * bool(began - ended))
    entry.note = ", ".join(part for part in (text, entry.note) if part)


def _refuse(folder: Path, entry: Entry) -> None:
    raise ValueError("nothing in it was left by a command")


_READERS = {RUN: _read_run, COMPARISON: _read_comparison, SWEEP: _read_sweep, BROKEN: _refuse}


# --- Files -------------------------------------------------------------------------------------


def _json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"'{path.name}' is no mapping")
    return content


def _yaml(path: Path) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where it is there
    content = yaml.load(path.read_text(encoding="utf-8"), loader)
    if not isinstance(content, dict):
        raise ValueError(f"'{path.name}' is no mapping")
    return content


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _lines(path: Path) -> list[list[str]]:
    """Cells of a plain CSV file, none of which has a comma in it."""
    return [line.split(",") for line in _text(path).splitlines() if line]
