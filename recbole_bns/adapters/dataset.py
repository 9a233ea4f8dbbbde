"""RecBole's data sets made of what the files say: our reading, our order, nobody lost.

RecBole picks a data set's class by the model's name, and its checkpoints and saved data sets name
that class, so that methods are wrapped and no class is put in its place. Only a ``Config`` of ours
is served, until ``enable()`` asks for everybody's.
"""

from __future__ import annotations

import os
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import recbole.data.dataset as host
import torch
from recbole.data.dataset import Dataset
from recbole.utils import FeatureSource, FeatureType

from recbole_bns.common.errors import UsageError
from recbole_bns.datasets.check import check_headers, table_of
from recbole_bns.datasets.columns import orders_by_time
from recbole_bns.datasets.weights import weight_field
from recbole_bns.settings.declared import ITEM_ONLY
from recbole_bns.settings.intervals import admits_all, intervals
from recbole_bns.settings.splits import chosen_split

from .cuts import cut, get_off, note_times, put_ranks, ranks_of, riding
from .wraps import wrap


class _Scope:
    """Whose data sets are read truly."""

    everybody = False


def read_truly(*, everybody: bool = False) -> None:
    """Have RecBole's data sets read by us.

    Args:
        everybody: those of RecBole's own ``Config`` too, not of ours alone.
    """
    _Scope.everybody |= everybody
    for name, around in _AROUND.items():
        wrap(Dataset, name, _for_ours(around))
    for cls in vars(host).values():
        if isinstance(cls, type) and "data_augmentation" in vars(cls):
            wrap(cls, "data_augmentation", _for_ours(_augment))


def is_served(config: Any) -> bool:
    """Whether a ``Config``'s data are read truly."""
    return _Scope.everybody or bool(getattr(type(config), "reads_truly", False))


def _for_ours(around: Any) -> Any:
    def chosen(original: Any, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_served(dataset.config):
            return original(dataset, *args, **kwargs)
        return around(original, dataset, *args, **kwargs)

    return chosen


# --- reading -----------------------------------------------------------------------------------


def _load_data(original: Any, dataset: Any, token: str, path: str) -> None:
    if os.path.exists(path):
        check_headers(dataset.config)
    original(dataset, token, path)


def _load_feat(original: Any, dataset: Any, filepath: str, source: Any) -> pd.DataFrame | None:
    suffix = getattr(source, "value", source)
    if dataset._get_load_and_unload_col(source)[0] == set():
        return None
    table = table_of(dataset.config, Path(filepath), suffix)
    frame, columns = table.frame, [c for c in table.columns if c.name in table.frame]
    if not columns:
        getLogger().warning(f"{filepath}: none of its columns is loaded.")
        return None
    for column in columns:
        kind = FeatureType(column.type)
        if suffix != "link":  # its columns are those of other files
            dataset.field2type[column.name] = kind
            dataset.field2source[column.name] = source
            if not column.type.endswith("seq"):
                dataset.field2seqlen[column.name] = 1
            if column.type.startswith("float"):
                dataset.field2bucketnum[column.name] = 2
        if column.type.endswith("seq"):
            _cut(dataset, frame, column.name)
    _check_lists(dataset, filepath, frame)
    _name_doubles(dataset, filepath, source, frame)
    return frame


def _cut(dataset: Any, frame: pd.DataFrame, name: str) -> None:
    """Cut sequences to ``seq_len`` and note the longest, as RecBole does."""
    longest = max(map(len, frame[name]))
    limit = (dataset.config["seq_len"] or {}).get(name)
    if limit is not None:
        frame[name] = [sequence[:limit] for sequence in frame[name]]
        longest = min(limit, longest)
    dataset.field2seqlen[name] = longest


def _check_lists(dataset: Any, filepath: str, frame: pd.DataFrame) -> None:
    """Histories of a fixed split are no longer than a sequential model has positions."""
    config = dataset.config
    name, limit = f"{dataset.iid_field}{config['LIST_SUFFIX']}", config["MAX_ITEM_LIST_LENGTH"]
    if not hasattr(dataset, "max_item_list_len") or name not in frame:
        return
    lengths = frame[name].map(len)
    if config["benchmark_filename"] is not None and lengths.max() > limit:
        raise UsageError(
            f"{filepath}, line {int(lengths.to_numpy().argmax()) + 2}: {lengths.max()} items in "
            f"'{name}', but MAX_ITEM_LIST_LENGTH is {limit}; allowed are histories up to that: "
            "raise it, or shorten them in the file."
        )


def _name_doubles(dataset: Any, filepath: str, source: Any, frame: pd.DataFrame) -> None:
    """Say of whom there are several lines in a side file: RecBole keeps the first."""
    field = {FeatureSource.USER: dataset.uid_field, FeatureSource.ITEM: dataset.iid_field}
    name = field.get(source)
    if name not in frame:
        return
    again = frame[name].duplicated().to_numpy()
    if again.any():
        row = int(again.argmax())
        getLogger().warning(
            f"{filepath}, line {row + 2}: there is an earlier line of '{frame[name].iloc[row]}' ("
            f"{int(again.sum())} such lines in all); the first line of each is used."
        )


# --- filters -----------------------------------------------------------------------------------


def _parse_intervals_str(original: Any, dataset: Any, value: Any) -> Any:
    return None if value is None else intervals(value, "interval")


def _filter_by_inter_num(original: Any, dataset: Any) -> None:
    """RecBole counts in Python; where every count is let through there is nothing to count."""
    keys = ("user_inter_num_interval", "item_inter_num_interval")
    given = [dataset.config[key] for key in keys if dataset.config[key] is not None]
    if not all(admits_all(intervals(value, "interval")) for value in given):
        original(dataset)


def _remove_duplication(original: Any, dataset: Any) -> None:
    """As RecBole does it, but that equal times keep the file's order."""
    keep = dataset.config["rm_dup_inter"]
    if keep is None or dataset.time_field not in dataset.inter_feat:
        original(dataset)
        return
    frame = dataset.inter_feat.sort_values(by=dataset.time_field, kind="stable")
    dataset.inter_feat = frame.drop_duplicates([dataset.uid_field, dataset.iid_field], keep=keep)


def _filter_inter_by_user_or_item(original: Any, dataset: Any) -> None:
    config, before, users = dataset.config, dataset.inter_feat, dataset.user_feat
    chosen = config["filter_inter_by_user_or_item"]
    if chosen == ITEM_ONLY:
        config["filter_inter_by_user_or_item"], dataset.user_feat = True, None
    fields = [f for f in (dataset.uid_field, dataset.iid_field) if f is not None]
    known = before[fields].copy(deep=False)
    try:
        original(dataset)
    finally:
        config["filter_inter_by_user_or_item"], dataset.user_feat = chosen, users
    lost = known.drop(dataset.inter_feat.index)
    if len(lost):
        words = ", ".join(f"{name} '{lost[name].iloc[0]}'" for name in fields)
        getLogger().warning(
            f"filter_inter_by_user_or_item: {len(lost)} of {len(known)} interactions are left out, "
            f"whose user or item has no line in the .user or .item file, such as that of {words}; "
            "False keeps them."
        )


def _remap_ids(original: Any, dataset: Any) -> None:
    """Number ids; users without interactions get none where the sampler alone wants the file."""
    users, name = dataset.user_feat, dataset.uid_field
    if users is not None and dataset.config["filter_inter_by_user_or_item"] == ITEM_ONLY:
        dataset.user_feat = users[users[name].isin(dataset.inter_feat[name].unique())].copy()
        _name_missing(dataset.inter_feat[name].unique(), dataset.user_feat.set_index(name), name)
    original(dataset)


def _name_missing(ids: Any, lines: pd.DataFrame, name: str) -> None:
    """Say who has no value in the columns of the ``.user`` file."""
    for column in lines:
        known = lines.index[lines[column].notna()]
        without = pd.Index(ids).difference(known, sort=False)
        if len(without):
            getLogger().warning(
                f"{len(without)} of {len(ids)} users, such as '{without[0]}', have no value of "
                f"'{column}' in the .user file; they are a group of their own."
            )


# --- order -------------------------------------------------------------------------------------


def _normalize(original: Any, dataset: Any) -> None:
    """Before times are scaled or rounded to float32: put the interactions in their order."""
    name = dataset.time_field
    if orders_by_time(dataset.config) and name in dataset.inter_feat:
        order = np.argsort(dataset.inter_feat[name].to_numpy(), kind="stable")
        if (np.diff(order) != 1).any():
            dataset.inter_feat = dataset.inter_feat.take(order).reset_index(drop=True)
    if name in dataset.inter_feat:
        note_times(dataset, dataset.inter_feat[name].to_numpy())
    weight = weight_field(dataset.config)
    kept = dataset.inter_feat[weight].copy() if weight in dataset.inter_feat else None
    original(dataset)
    if kept is not None:  # scaled to [0, 1] the least of them would be 0
        dataset.inter_feat[weight] = kept


def _augment(original: Any, dataset: Any) -> None:
    """Make the histories of a sequential model in the exact order of the times.

    In place of the times, which are rounded by now, their ranks are sorted by.
    """
    name, feat = dataset.time_field, dataset.inter_feat
    ranks = ranks_of(dataset)
    if ranks is None or name not in feat or feat[name].dim() != 1:
        original(dataset)
        return
    times = torch.zeros(int(ranks.max()) + 1)
    times[ranks] = feat[name]
    feat[name] = ranks
    original(dataset)
    dataset.sort(by=name)
    put_ranks(dataset, dataset.inter_feat[name].clone())
    for column in (name, f"{name}{dataset.config['LIST_SUFFIX']}"):
        sorted_by = dataset.inter_feat[column]  # DIEN keeps its list in float64
        kind = sorted_by.dtype if sorted_by.is_floating_point() else times.dtype
        dataset.inter_feat[column] = times[sorted_by.long()].to(kind)


# --- parts -------------------------------------------------------------------------------------


def _shuffle(original: Any, dataset: Any) -> None:
    with riding(dataset):
        original(dataset)


def _cut_up(original: Any, dataset: Any, *args: Any, **kwargs: Any) -> Any:
    with riding(dataset):
        parts = original(dataset, *args, **kwargs)
    for part in parts:
        get_off(part)
    return parts


def _leave_one_out(original: Any, dataset: Any, *args: Any, **kwargs: Any) -> Any:
    """Where a split is wanted that RecBole lacks, it is told to leave one out."""
    ours = getattr(type(dataset.config), "reads_truly", False)
    chosen = chosen_split(dataset.config.final_config_dict) if ours else None
    if chosen is None or chosen.kind == "last":
        return _cut_up(original, dataset, *args, **kwargs)
    return _cut_up(lambda whole: cut(whole, chosen), dataset)


def _dataframe_to_interaction(original: Any, dataset: Any, frame: pd.DataFrame) -> Any:
    """RecBole takes float64 where a column's type is float."""
    whole = [
        name
        for name in frame
        if dataset.field2type[name] == FeatureType.FLOAT and frame[name].dtype.kind in "iu"
    ]
    return original(dataset, frame.astype(dict.fromkeys(whole, np.float64)))


_AROUND = {
    "_load_data": _load_data,
    "_load_feat": _load_feat,
    "_parse_intervals_str": _parse_intervals_str,
    "_filter_by_inter_num": _filter_by_inter_num,
    "_remove_duplication": _remove_duplication,
    "_filter_inter_by_user_or_item": _filter_inter_by_user_or_item,
    "_remap_ID_all": _remap_ids,
    "_normalize": _normalize,
    "_dataframe_to_interaction": _dataframe_to_interaction,
    "shuffle": _shuffle,
    "split_by_ratio": _cut_up,
    "leave_one_out": _leave_one_out,
}
