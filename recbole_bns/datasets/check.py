"""Is the data there, and is it whole? Answered before RecBole looks, with file and line."""

from __future__ import annotations

import glob
import math
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.settings.properties import PROPERTIES

TYPES = ("token", "token_seq", "float", "float_seq")
"""Types of RecBole's atomic files."""


def check_files(config: Any) -> None:
    """Check that the data set's interaction files exist and every line has its fields.

    Args:
        config: a ``Config``: ``dataset``, ``data_path`` (the data set's own folder),
            ``benchmark_filename``, ``field_separator``.

    Raises:
        UsageError: a file is missing (says how to get it) or a line is malformed (says which).
    """
    folder, name = Path(config["data_path"]), config["dataset"]
    parts = config["benchmark_filename"]
    if parts is not None and (not isinstance(parts, list) or len(parts) not in (2, 3)):
        raise UsageError(
            f"benchmark_filename: got {parts!r}, allowed are two parts [train, test] or three "
            "[train, valid, test]."
        )
    ids = [config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]]
    by_time = parts is None and config["eval_args"].get("order") == "TO"
    needed = [*ids, config["TIME_FIELD"]] if by_time else ids
    loaded = (config["load_col"] or {}).get("inter", "*")
    if loaded != "*" and not set(needed) <= set(loaded or ()):
        reason = " (eval_args.order: TO sorts by time, as sequential models need it)" * by_time
        raise UsageError(
            f"load_col.inter: got {loaded!r}, allowed are lists with {needed} in them{reason}."
        )
    files = [f"{name}.{part}.inter" for part in parts] if parts else [f"{name}.inter"]
    for file in files:
        if not (folder / file).is_file():
            raise UsageError(_missing(config, folder / file))
        check_lines(folder / file, config, needed)
    for suffix, column in zip(("user", "item"), ids, strict=True):
        path = folder / f"{name}.{suffix}"
        if path.is_file() and (config["load_col"] is None or config["load_col"].get(suffix)):
            check_lines(path, config, [column], filled=False)


def digest(config: Any) -> str:
    """16 hex digits that tell the content of a data set's files from any other."""
    folder, name = Path(config["data_path"]), config["dataset"]
    found = sha256()
    for path in sorted(folder.glob(f"{glob.escape(name)}.*")):
        if path.is_file():
            found.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def check_cuts(config: Any, dataset: Any) -> None:
    """Make sure that no metric is cut off beyond the catalogue, which RecBole cannot evaluate.

    Raises:
        UsageError: one is.
    """
    cuts, items = config["topk"] or [], dataset.item_num - 1
    if max(cuts, default=0) > items:
        raise UsageError(
            f"topk: got {max(cuts)}, but data set '{config['dataset']}' has {items} items; allowed "
            "are cuts up to that."
        )


def check_lines(path: Path, config: Any, needed: Sequence[str], *, filled: bool = True) -> None:
    """Check an atomic file's header and that every line has all fields, floats being numbers.

    Args:
        path: the file.
        config: a ``Config``: ``field_separator``, ``encoding``.
        needed: columns that must be there.
        filled: whether no field may be empty.

    Raises:
        UsageError: names file and line.
    """
    separator, encoding = config["field_separator"], config["encoding"] or "utf-8"
    with path.open(encoding=encoding, errors="replace") as lines:
        header = next(lines, "").rstrip("\r\n")
        fields = header.split(separator)
        bad = [field for field in fields if field.partition(":")[2] not in TYPES]
        if bad:
            raise UsageError(
                f"{path}, line 1: '{bad[0]}' is no field of a RecBole atomic file; allowed is "
                f"name:type, such as user_id:token, separated by tabs; types: {', '.join(TYPES)}."
            )
        for name in needed:
            if name not in [field.partition(":")[0] for field in fields]:
                raise UsageError(
                    f"{path}, line 1: there is no column '{name}' (columns: {', '.join(fields)}); "
                    "USER_ID_FIELD, ITEM_ID_FIELD, TIME_FIELD name those of users, items, times."
                )
        floats = [i for i, field in enumerate(fields) if field.endswith(":float")]
        number = _first_bad(lines, separator, len(fields), floats, filled)
    if number == 1:
        raise UsageError(f"{path}: there is no line in it but the first.")
    if number:
        raise UsageError(
            f"{path}, line {number}: {_line(path, number, encoding)!r} is malformed; allowed are "
            f"{len(fields)} fields ({', '.join(fields)}){', none of them empty' * filled}."
        )


def _first_bad(
    lines: Iterable[str], separator: str, width: int, floats: list[int], filled: bool
) -> int:
    """Number of the first malformed line, 1 where there is none at all, 0 where all are good."""
    number = 1
    for number, line in enumerate(lines, 2):
        values = line.rstrip("\r\n").split(separator)
        if len(values) != width or (filled and not all(values)):
            return number
        try:
            if not all(math.isfinite(float(values[i])) for i in floats if values[i]):
                return number
        except ValueError:
            return number
    return 1 if number == 1 else 0


def _line(path: Path, number: int, encoding: str) -> str:
    with path.open(encoding=encoding, errors="replace") as lines:
        return next(islice(lines, number - 1, None)).rstrip("\r\n")[:80]


def _missing(config: Any, path: Path) -> str:
    name = config["dataset"]
    remedy = config["how_to_get"]
    if remedy is None:
        known = sorted(file.stem for file in (PROPERTIES / "dataset").glob("*.yaml"))
        remedy = (
            f"put RecBole's atomic files there, or say where they are with --data_path=DIR (the "
            f"folder that holds {name}/){nearest(name, known)}; RecBole's own download no longer "
            "works, its storage denies access"
        )
    return f"data set '{name}': there is no file {path}; {remedy}."
