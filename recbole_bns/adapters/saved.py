"""Data sets and loaders that RecBole saves, used again only where all that decides them is equal.

Beside each file lies another, ``<file>.json``, that holds the settings it was made with and
digests of the data set's files and of the file itself. A file without one is not used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from logging import getLogger
from pathlib import Path
from typing import Any

import recbole.data.utils as host
from recbole.data.dataset import Dataset
from recbole.utils.argument_list import dataset_arguments

from recbole_bns.common.files import beside, write_json
from recbole_bns.datasets.check import digest

from .dataset import is_served
from .reads import dataset_class
from .wraps import wrap, wrap_everywhere

READING = 1
"""Version of how files are read; what another has read is read anew."""
HARMLESS = {
    "checkpoint_dir",
    "save_dataset",
    "dataset_save_path",
    "save_dataloaders",
    "dataloaders_save_path",
    "show_progress",
    "state",
    "log_wandb",
    "wandb_project",
    "learner",
    "learning_rate",
    "weight_decay",
    "stopping_step",
    "eval_step",
    "loss_decimal_place",
    "metric_decimal_place",
    "config_files",
    "checkpoint_every",
    "compilation",
}
"""Settings that neither a data set nor a loader reads; any other decides them."""
OF_DATA = {
    *dataset_arguments,
    "dataset",
    "data_path",
    "MODEL_TYPE",
    "seed",
    "repeatable",
    "eval_args",
    "encoding",
    "numerical_features",
    "discretization",
    "kg_reverse_r",
    "entity_kg_num_interval",
    "relation_kg_num_interval",
    "token_num_threshold",
    "convert_token_to_onehot",
}
"""Settings that decide a data set before it is split."""


def keep_keyed() -> None:
    """Have RecBole's saved data sets and loaders checked before they are used."""
    wrap(Dataset, "save", _save_dataset)
    for name, around in _AROUND.items():
        wrap_everywhere(host, name, around)


def _key(config: Any, names: Collection[str]) -> dict[str, str]:
    """All that decides what is saved: setting -> its value, and the files' digest."""
    settings = {
        name: json.dumps(value, sort_keys=True, default=str)
        for name, value in config.final_config_dict.items()
        if name in names
    }
    return settings | {"(the data set's files)": digest(config), "(reading)": str(READING)}


def _write_key(file: Path, key: Mapping[str, str]) -> None:
    content = {"digest": sha256(file.read_bytes()).hexdigest(), "key": key}
    write_json(beside(file, ".json"), content)


def _misfit(file: Path, key: Mapping[str, str]) -> str | None:
    """Why a saved file is not to be used, or None."""
    try:
        content = json.loads(beside(file, ".json").read_text(encoding="utf-8"))
        before, mark = content["key"], content["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return "nothing beside it says what it was made with"
    if mark != sha256(file.read_bytes()).hexdigest():
        return f"it is not the file that {file.name}.json describes"
    other = sorted(name for name in {*before, *key} if before.get(name) != key.get(name))
    if not other:
        return None
    name = other[0] if "neg_sampler" not in other else "neg_sampler"
    return (
        f"it was made with {name}: {before.get(name, 'nothing')}, now {key.get(name, 'nothing')}"
        + f" ({len(other)} differences: {', '.join(other)})" * (len(other) > 1)
    )


def _is_usable(file: Path, config: Any, names: Collection[str], setting: str) -> bool:
    """Whether a saved file is there and fits; what does not is named, and made anew."""
    reason = None
    if file.is_file():
        reason = _misfit(file, _key(config, names))
    elif config[setting]:
        reason = f"{setting} names no file"
    if reason is not None:
        getLogger().warning(f"{file} is not used, what it should hold is made anew: {reason}.")
    return reason is None and file.is_file()


def _dataset_file(config: Any) -> Path:
    """Where RecBole looks for the saved data set."""
    name = dataset_class(config["model"], config["MODEL_TYPE"]).__name__
    default = os.path.join(config["checkpoint_dir"], f"{config['dataset']}-{name}.pth")
    return Path(config["dataset_save_path"] or default)


def _create_dataset(original: Any, config: Any) -> Any:
    if not is_served(config):
        return original(config)
    file, place = _dataset_file(config), config["dataset_save_path"]
    if not _is_usable(file, config, OF_DATA, "dataset_save_path"):
        config["dataset_save_path"] = os.path.join(os.devnull, "none")  # where nothing can be
    try:
        dataset = original(config)
    finally:
        config["dataset_save_path"] = place
    dataset.config = config  # a saved one brings that of the run that saved it
    return dataset


def _save_dataset(original: Any, dataset: Any) -> None:
    original(dataset)
    config = dataset.config
    if is_served(config):
        name = f"{config['dataset']}-{type(dataset).__name__}.pth"
        file = Path(config["checkpoint_dir"]) / name
        _write_key(file, _key(config, OF_DATA))


def _loaders_file(config: Any) -> Path:
    name = f"{config['dataset']}-for-{config['model']}-dataloader.pth"
    return Path(config["checkpoint_dir"]) / name


def _load_loaders(original: Any, config: Any) -> Any:
    if not is_served(config):
        return original(config)
    file = Path(config["dataloaders_save_path"] or _loaders_file(config))
    names = set(config.final_config_dict) - HARMLESS
    usable = _is_usable(file, config, names, "dataloaders_save_path")
    return original(config) if usable else None


def _save_loaders(original: Any, config: Any, dataloaders: Any) -> None:
    """Save them and leave them as they were: RecBole takes their random generators away."""
    generators = [(each.generator, each.sampler.__dict__.get("generator")) for each in dataloaders]
    original(config, dataloaders)
    for each, (outer, inner) in zip(dataloaders, generators, strict=True):
        each.generator, each.sampler.generator = outer, inner
    if is_served(config):
        _write_key(_loaders_file(config), _key(config, set(config.final_config_dict) - HARMLESS))


_AROUND: dict[str, Callable[..., Any]] = {
    "create_dataset": _create_dataset,
    "save_split_dataloaders": _save_loaders,
    "load_split_dataloaders": _load_loaders,
}
