"""Settings about a data set beside the headers of its files: columns that are there and serve.

All is answered from settings and first lines, before the data are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.settings.checks import check_parts
from recbole_bns.settings.declared import NO_SAMPLER, check_value, declared
from recbole_bns.settings.intervals import intervals
from recbole_bns.settings.splits import WITHOUT_TIMES

from .read import Column
from .weights import check_weight_column, weight_field

DECLARED = ("user_inter_num_interval", "item_inter_num_interval", "rm_dup_inter", "val_interval")
"""Checked as declared: a ``Config`` of RecBole's own (``enable()``) has not done it."""
OF_GRAPHS = ("entity_kg_num_interval", "relation_kg_num_interval")
"""Settings of RecBole's that hold intervals of counts, too."""
Columns = tuple[Column, ...]


def is_read(config: Any, suffix: str) -> bool:
    """Whether RecBole loads any column of the files with this suffix."""
    return config["load_col"] is None or bool(config["load_col"].get(suffix))


def is_loaded(config: Any, suffix: str, name: str) -> bool:
    """Whether RecBole loads this column of the files with this suffix."""
    wanted = "*" if config["load_col"] is None else config["load_col"].get(suffix) or ()
    unwanted = (config["unload_col"] or {}).get(suffix) or ()
    weighs = suffix == "inter" and name == weight_field(config)  # which nobody has to ask for
    return (wanted == "*" or name in wanted or weighs) and name not in unwanted


def orders_by_time(config: Any) -> bool:
    """Whether interactions are put in the order of their times."""
    parts, args = config["benchmark_filename"], config["eval_args"] or {}
    return parts is None and args.get("order") == "TO"


def _is_sequential(config: Any) -> bool:
    return getattr(config["MODEL_TYPE"], "name", None) == "SEQUENTIAL"


def _ids(config: Any) -> list[str]:
    fields = (config["USER_ID_FIELD"], config["ITEM_ID_FIELD"])
    return [field for field in fields if field is not None]


def check_settings(config: Any) -> None:
    """Check the settings about data that need no file to be seen as wrong.

    Raises:
        UsageError: setting, what was got, what is allowed.
    """
    parts = config["benchmark_filename"]
    check_parts(parts)
    settings = declared()
    for key in DECLARED:
        check_value(settings[key], config[key])
    for key in OF_GRAPHS:
        if config[key] is not None:
            intervals(config[key], key)
    threshold = config["threshold"]
    if threshold is not None and not isinstance(threshold, Mapping):
        raise UsageError(
            f"threshold: got {threshold!r}, allowed is a mapping such as {{rating: 4}}."
        )
    ids = _ids(config)
    if len(set(ids)) < len(ids):
        raise UsageError(
            f"ITEM_ID_FIELD: got '{ids[1]}', which is USER_ID_FIELD too; allowed is another column."
        )


def check_columns(config: Any, headers: Mapping[str, Mapping[Path, Columns]]) -> None:
    """Check headers against one another and against the settings that name columns.

    Args:
        config: a ``Config``.
        headers: suffix (``inter``, ``user``, ``item``) -> file -> its columns.

    Raises:
        UsageError: file, line and setting, what was got, what is allowed.
    """
    _check_needed(config, headers)
    _check_parts(headers["inter"])
    _check_named(config, headers)
    _check_places(config, headers)
    path, columns = next(iter(headers["inter"].items()))
    by_name = {c.name: c for c in columns if is_loaded(config, "inter", c.name)}
    _check_types(config, path, by_name)
    _check_filters(config, headers)
    _check_labels(config, path, by_name)
    check_weight_column(config, path, {c.name: c for c in columns})
    if config["benchmark_filename"] and _is_sequential(config):
        _check_history(config, path, columns)


def _check_needed(config: Any, headers: Mapping[str, Mapping[Path, Columns]]) -> None:
    """Columns without which there is nothing to train on."""
    _check_times(config, headers["inter"])
    ids = _ids(config)
    needed = [*ids, config["TIME_FIELD"]] if orders_by_time(config) else ids
    if not all(is_loaded(config, "inter", name) for name in needed):
        reason = " (eval_args.order: TO sorts by time, as sequential models need it)"
        raise UsageError(
            f"load_col.inter: got {(config['load_col'] or {}).get('inter')!r}, allowed are lists "
            f"with {needed} in them{reason * orders_by_time(config)}."
        )
    wanted: dict[str, list[str]] = {"inter": needed, "user": ids[:1], "item": ids[1:]}
    for suffix, files in headers.items():
        for path, columns in files.items():
            for name in wanted[suffix]:
                if name not in [column.name for column in columns]:
                    raise UsageError(
                        f"{path}, line 1: there is no column '{name}' (columns: "
                        f"{', '.join(map(str, columns))}); USER_ID_FIELD, ITEM_ID_FIELD, "
                        "TIME_FIELD name those of users, items, times."
                    )


def _check_times(config: Any, files: Mapping[Path, Columns]) -> None:
    """The column of times, where ``split`` goes by it."""
    if config["split"] not in (None, *WITHOUT_TIMES):
        name, (path, columns) = config["TIME_FIELD"], next(iter(files.items()))
        what = f"split: got '{config['split']}', which goes by the time of each interaction, but"
        if name not in [column.name for column in columns]:
            raise UsageError(
                f"{what} {path} has no column '{name}' (columns: {', '.join(map(str, columns))}); "
                "name the one of times with TIME_FIELD, or write split: ratio."
            )
        if not is_loaded(config, "inter", name):
            raise UsageError(
                f"{what} load_col.inter is {(config['load_col'] or {}).get('inter')!r}; add "
                f"'{name}' to it (and leave it out of unload_col), or write split: ratio."
            )


def _check_parts(files: Mapping[Path, Columns]) -> None:
    """The parts of a fixed split have the same columns."""
    (first, columns), *others = files.items()
    for path, other in others:
        if set(other) != set(columns):
            raise UsageError(
                f"{path}, line 1: its columns are {', '.join(map(str, other))}, those of "
                f"{first.name} are {', '.join(map(str, columns))}; allowed are parts with the same."
            )


def _check_named(config: Any, headers: Mapping[str, Mapping[Path, Columns]]) -> None:
    """Columns that the user has asked for are in the files; those of our own defaults need not be.

    The settings of a run hold its defaults too, so that it is the value that tells.
    """
    layers = ("external_config_dict", "internal_config_dict")
    given, default = (getattr(config, layer, None) or {} for layer in layers)
    for key in ("load_col", "unload_col"):
        for suffix, names in (given.get(key) or {}).items():
            files = headers.get(suffix)
            usual = (default.get(key) or {}).get(suffix)
            if names in ("*", None, usual) or files is None:
                continue
            path, columns = next(iter(files.items()))
            known = [column.name for column in columns]
            for name in names:
                if name not in known:
                    raise UsageError(
                        f"{key}.{suffix}: got '{name}', which is no column of {path}"
                        f"{nearest(str(name), known)}; allowed are {', '.join(known)}."
                    )


def _check_places(config: Any, headers: Mapping[str, Mapping[Path, Columns]]) -> None:
    """A name means one column: RecBole keeps a name's type and file once."""
    seen: dict[str, Path] = {}
    for suffix, files in headers.items():
        path, columns = next(iter(files.items()))
        for name in [c.name for c in columns if is_loaded(config, suffix, c.name)]:
            if name in seen and name not in _ids(config):
                raise UsageError(
                    f"{path}, line 1: a column '{name}' is in {seen[name].name} too; allowed is to "
                    f"load one of the two: load_col: {{{suffix}: [...]}}."
                )
            seen[name] = path
    _check_id_types(config, headers)


def _check_id_types(config: Any, headers: Mapping[str, Mapping[Path, Columns]]) -> None:
    for files in headers.values():
        for path, columns in files.items():
            for column in columns:
                if column.name in _ids(config) and column.type != "token":
                    raise UsageError(
                        f"{path}, line 1: got '{column}' for ids, allowed is the type token: "
                        f"{column.name}:token."
                    )


def _check_types(config: Any, path: Path, columns: Mapping[str, Column]) -> None:
    """What is compared by size is a number."""
    wanted: dict[str, str] = dict.fromkeys(config["threshold"] or {}, "threshold")
    if orders_by_time(config) or (config["rm_dup_inter"] and config["TIME_FIELD"] in columns):
        wanted[config["TIME_FIELD"]] = "TIME_FIELD"
    for name, key in wanted.items():
        if name not in columns:
            raise UsageError(
                f"{key}: got '{name}', which is no loaded column of {path}"
                f"{nearest(str(name), columns)}; allowed are {', '.join(columns)}."
            )
        if columns[name].type != "float":
            raise UsageError(
                f"{path}, line 1: got '{columns[name]}' for {key}, which compares by size; allowed "
                f"is the type float: {name}:float."
            )
    values = list((config["threshold"] or {}).values())
    if config["threshold"] is not None and (
        len(values) != 1 or isinstance(values[0], (bool, str)) or not _is_number(values[0])
    ):
        raise UsageError(
            f"threshold: got {config['threshold']!r}, allowed is one column with a number, such as "
            "{rating: 4}."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and value == value


def _check_filters(config: Any, headers: Mapping[str, Mapping[Path, Columns]]) -> None:
    """``val_interval`` names loaded columns, and what their type can be in."""
    columns = {
        column.name: column
        for suffix, files in headers.items()
        for column in next(iter(files.values()))
        if is_loaded(config, suffix, column.name)
    }
    for name, value in (config["val_interval"] or {}).items():
        key = f"val_interval.{name}"
        if name not in columns:
            raise UsageError(
                f"{key}: there is no loaded column of this name{nearest(str(name), columns)}; "
                f"allowed are {', '.join(columns)}."
            )
        kind = columns[name].type
        if kind == "float":
            intervals(value, key)
        elif kind != "token":
            raise UsageError(f"{key}: got a column of type {kind}, allowed are float and token.")
        elif not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise UsageError(
                f"{key}: got {value!r}, allowed is a list of words as they are in the file, in "
                "quotes: ['1', 'a']."
            )


def _check_labels(config: Any, path: Path, columns: Mapping[str, Column]) -> None:
    """Labels are there where they are read, and are not passed over where they are not."""
    label = config["LABEL_FIELD"]
    has = bool(config["threshold"]) or label in columns
    modes = (config["eval_args"] or {}).get("mode") or {}
    modes = modes.values() if isinstance(modes, Mapping) else [modes]
    if "labeled" in modes and not has:
        raise UsageError(
            f"eval_args.mode: got 'labeled', but {path} has no loaded column '{label}' (LABEL_FIELD"
            ") and threshold makes no labels; allowed are full, uni100 (100 drawn items), pop100, "
            "or a label: threshold: {rating: 4}."
        )
    if label in columns and columns[label].type != "float":
        raise UsageError(
            f"{path}, line 1: got '{columns[label]}' for LABEL_FIELD, allowed is the type float: "
            f"{label}:float."
        )
    if config["neg_sampler"] is not None and str(config["neg_sampler"]).lower() != NO_SAMPLER:
        _check_unlabeled(config, label in columns)


def _check_unlabeled(config: Any, has_label: bool) -> None:
    """A sampler of ours takes every interaction for a positive.

    A threshold that RecBole sets by itself, as for context-aware models on ML-100K, is passed over.
    """
    default = (getattr(config, "internal_config_dict", None) or {}).get("threshold")
    given = config["threshold"] not in (None, default)
    if given or has_label:
        key, got = ("threshold", config["threshold"]) if given else ("LABEL_FIELD", "its column")
        raise UsageError(
            f"{key}: got {got!r}, but with neg_sampler: {config['neg_sampler']} every interaction "
            "is a positive, whatever its label; allowed is to keep the positives alone, such as "
            "val_interval: {rating: '[4,inf)'}, to leave the label out of load_col, or "
            "neg_sampler: none."
        )


def _check_history(config: Any, path: Path, columns: Sequence[Column]) -> None:
    """A fixed split of a sequential model brings each interaction's history with it."""
    item = config["ITEM_ID_FIELD"]
    name = f"{item}{config['LIST_SUFFIX']}"
    known = {column.name: column for column in columns}
    remedy = (
        f"allowed is a column {name}:token_seq with the items before it, loaded by load_col and "
        f"with alias_of_item_id: [{name}]; or leave benchmark_filename out, so that the split is "
        "made by time"
    )
    if name not in known or known[name].type != "token_seq":
        raise UsageError(
            f"{path}, line 1: benchmark_filename with {config['model']}, a sequential model, needs "
            f"each interaction's history, but the columns are {', '.join(map(str, columns))}; "
            f"{remedy}."
        )
    if not is_loaded(config, "inter", name):
        got = (config["load_col"] or {}).get("inter")
        raise UsageError(
            f"load_col.inter: got {got!r}, but {config['model']} with benchmark_filename reads "
            f"'{name}'; {remedy}."
        )
    if name not in (config["alias_of_item_id"] or []):
        raise UsageError(
            f"alias_of_item_id: got {config['alias_of_item_id']!r}, but '{name}' holds items, "
            f"whose numbers must be those of '{item}'; {remedy}."
        )
