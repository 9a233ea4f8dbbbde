"""Is the data there, and is it whole? Answered before RecBole looks, with file and line."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.settings.checks import check_interactions

from .columns import check_columns, check_settings, is_loaded, is_read
from .dislikes import check_dislikes, path_of
from .read import Column, Format, Table, read_header, read_table
from .weights import check_weights, weight_field

Headers = Mapping[str, Mapping[Path, tuple[Column, ...]]]
"""Suffix (``inter``, ``user``, ``item``) -> file -> its columns."""

_read: dict[str, tuple[tuple[Any, ...], Table]] = {}
"""Tables that were checked and wait for who opens the data: path -> (what decides them, table)."""


def check_files(config: Any, *, keep: bool = False) -> None:
    """Read the data set's interactions and side files whole, and check every line.

    Args:
        config: a ``Config``: ``dataset``, ``data_path`` (the data set's own folder),
            ``benchmark_filename``, ``field_separator``.
        keep: hand what was read over to the next :func:`table_of`, which need not read it again.

    Raises:
        UsageError: a file is missing (says how to get it) or a line is malformed (says which).
    """
    _read.clear()
    for suffix, files in check_headers(config).items():
        for path in files:
            table = table_of(config, path, suffix)
            if keep:
                _read[str(path)] = (_identity(config, path, suffix), table)


def check_headers(config: Any) -> Headers:
    """Check all that can be known of a data set from its settings and the files' first lines.

    Raises:
        UsageError: a file is missing, a header is none, or a setting names what is not there.
    """
    check_settings(config)
    folder, name, form = Path(config["data_path"]), config["dataset"], Format.of(config)
    parts, remedy = config["benchmark_filename"], config["how_to_get"]
    files = {"inter": check_interactions(name, folder, parts, remedy)}
    for suffix in ("user", "item"):
        path = folder / f"{name}.{suffix}"
        if path.is_file() and is_read(config, suffix):
            files[suffix] = [path]
    headers = {
        suffix: {path: read_header(path, form) for path in paths} for suffix, paths in files.items()
    }
    check_columns(config, headers)
    check_dislikes(config)
    return headers


def table_of(config: Any, path: Path, suffix: str) -> Table:
    """A file's loaded columns, all lines checked.

    Args:
        config: a ``Config``.
        path: the file.
        suffix: ``inter``, ``user``, ``item``, or another of RecBole's.

    Raises:
        UsageError: names file and line.
    """
    identity, table = _read.pop(str(path), (None, None))
    if table is not None and identity == _identity(config, path, suffix):
        return table

    def keep(name: str) -> bool:
        return is_loaded(config, suffix, name)

    table = read_table(path, Format.of(config), keep, _filled(config, suffix))
    if suffix == "inter":
        check_weights(config, table)
    return table


def _filled(config: Any, suffix: str) -> set[str] | None:
    """Columns without an empty field: all of those that say who had to do with what."""
    ids = {"user": {config["USER_ID_FIELD"]}, "item": {config["ITEM_ID_FIELD"]}}
    return None if suffix in ("inter", "kg", "link") else ids.get(suffix, set())


def _identity(config: Any, path: Path, suffix: str) -> tuple[Any, ...]:
    """What decides a table: the file as it is now, how and what of it is read."""
    state = path.stat()
    columns = [repr((config[key] or {}).get(suffix)) for key in ("load_col", "unload_col")]
    columns.append(repr(weight_field(config)))
    return state.st_size, state.st_mtime_ns, Format.of(config), *columns


def digest(config: Any) -> str:
    """16 hex digits that tell the content of a data set's files from any other."""
    folder, name = Path(config["data_path"]), config["dataset"]
    found = sha256()
    elsewhere = path_of(config)  # known dislikes
    beside = set(folder.glob(f"{glob.escape(name)}.*"))
    for path in sorted(beside | ({elsewhere} if elsewhere else set())):
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
