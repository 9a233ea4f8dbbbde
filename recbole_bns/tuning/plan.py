"""Values of the flags of ``recbole-bns tune``, each checked with a sentence."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from recbole_bns.adapters.loss_settings import loss_name
from recbole_bns.adapters.mixer_settings import mixer_name
from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.common.threads import AUTO
from recbole_bns.runs.records import RunConfig
from recbole_bns.sampling import get
from recbole_bns.sampling.capabilities import serves_any_loss
from recbole_bns.settings.declared import NO_SAMPLER, OWN_LOSS
from recbole_bns.settings.hints import Chosen
from recbole_bns.settings.properties import MINED, cell, mined_word
from recbole_bns.training.limits import check_alone

from .space import Dimension, Space, as_grid, check_acting, default_space, grid_size, space_of_file
from .trial import Recipe, make_recipe

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def one_of(value: Any, allowed: tuple[str, ...], flag: str) -> str:
    """One of some words.

    Raises:
        UsageError: another one.
    """
    word = "none" if value in (None, False) else str(value).lower()
    if word not in allowed:
        raise UsageError(
            f"--{flag}: got '{value}'{nearest(word, allowed)}; allowed: {', '.join(allowed)}."
        )
    return word


def number(value: Any, flag: str, low: float, whole: bool) -> Any:
    """A number, or None where none is given.

    Raises:
        UsageError: no number, or one below ``low``.
    """
    if value is None:
        return None
    right = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not right or not math.isfinite(value) or value < low or (whole and value != int(value)):
        kind = "an integer" if whole else "a number"
        raise UsageError(f"--{flag}: got {value!r}, allowed is {kind} >= {low}.")
    return value


def seconds(value: Any) -> float | None:
    """``90``, ``90s``, ``30m`` or ``2h``; None where nothing is given.

    Raises:
        UsageError: something else.
    """
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip().lower())
    if isinstance(value, bool) or not match or not float(match[1]):
        raise UsageError(
            f"--time_budget: got {value!r}, allowed are seconds, or a number with s, m or h: 30m."
        )
    return float(match[1]) * _UNITS[match[2]]


def gpus() -> int:
    """GPUs of a trial where nothing is said: one where there is one."""
    import torch

    return int(torch.cuda.is_available())


TRIALS, EPOCHS = 20, 100
"""Trials of a sweep, and epochs of a trial at the most, where nothing else is said."""

SEARCHES = ("random", "grid", "optuna")

SCHEDULERS = ("asha", "none")

FILE = "sweep.json"


@dataclass(frozen=True)
class Plan:
    """A sweep.

    Attributes:
        recipe: what all trials have in common.
        space: what is searched over.
        metric: a validation metric, lower case.
        bigger: whether more of it is better.
        trials: how many.
        search: one of :data:`SEARCHES`.
        scheduler: one of :data:`SCHEDULERS`.
        time_budget: seconds, or None.
        cpus: of a trial.
        gpus: of a trial.
        at_once: trials at the most, or None.
        address: of a running cluster, or None for one of our own.
        storage: where Ray keeps checkpoints: a folder or a URI.
        out: folder for everything that is written.
        command: that asked for it.
        shown: whether there is a display.
    """

    recipe: Recipe
    space: Space
    metric: str
    bigger: bool
    trials: int
    search: str
    scheduler: str
    time_budget: float | None
    cpus: float
    gpus: float
    at_once: int | None
    address: str | None
    storage: str
    out: Path
    command: str
    shown: bool = True

    @property
    def held(self) -> dict[str, Any]:
        """What decides the trials, as plain values; the same command must come to the same."""
        return {
            "model": self.recipe.model,
            "dataset": self.recipe.dataset,
            "settings": dict(self.recipe.settings),
            "space": {key: {d.kind: list(d.values)} for key, d in self.space.items()},
            "metric": self.metric,
            "trials": self.trials,
            "search": self.search,
            "scheduler": self.scheduler,
        }

    @property
    def free(self) -> dict[str, Any]:
        """What a resumed sweep may do in another way."""
        return {
            "time_budget": self.time_budget,
            "cpus": self.cpus,
            "gpus": self.gpus,
            "at_once": self.at_once,
            "storage": self.storage,
            "command": self.command,
        }


def read_plan(flags: Mapping[str, Any], command: str) -> Plan:
    """Make a plan of the flags of the command line, already typed.

    Raises:
        UsageError: a flag, a setting or the space is not allowed.
    """
    rest = dict(flags)
    model, dataset, files, out, sweep, address, storage = (
        rest.pop(key, None)
        for key in ("model", "dataset", "config_files", "out", "sweep", "address", "storage_path")
    )
    search = _search(rest.pop("search", "random"))
    shown = bool(rest.pop("show_progress", True))
    scheduler = one_of(rest.pop("scheduler", "asha"), SCHEDULERS, "scheduler")
    given_trials = rest.pop("num_samples", None)
    load = _load({key: rest.pop(key, default) for key, default in load_defaults().items()})
    budget = seconds(rest.pop("time_budget", None))
    metric = rest.pop("metric", None)
    if metric is not None:
        rest["valid_metric"] = str(metric)
    recipe = make_recipe(model, dataset, files, {"epochs": EPOCHS, **rest})
    config = recipe.config()
    _check_config(config, load["cpus"])
    space = _space(sweep, config, search)
    folder = Path(str(out)) if out else _folder(recipe, config)
    return Plan(
        recipe=recipe,
        space=space,
        metric=str(config["valid_metric"]).lower(),
        bigger=bool(config["valid_metric_bigger"]),
        trials=_trials(given_trials, space, search),
        search=search,
        scheduler=scheduler,
        time_budget=budget,
        address=address and str(address),
        storage=str(storage) if storage else str((folder / "ray").absolute()),
        out=folder,
        command=command,
        shown=shown,
        **load,
    )


def _search(value: Any) -> str:
    search = one_of(value, SEARCHES, "search")
    if search == "optuna" and find_spec("optuna") is None:
        raise UsageError(
            "--search: optuna is not installed; pip install optuna, or search at random."
        )
    return search


def load_defaults() -> dict[str, Any]:
    """What a trial takes of a machine, and trials at once, where nothing is said; by flag."""
    return {"cpus_per_trial": 1, "gpus_per_trial": gpus(), "max_concurrent": None}


def _load(given: Mapping[str, Any]) -> dict[str, Any]:
    """The flags of :func:`load_defaults`, checked; by attribute of :class:`Plan`."""
    return {
        "cpus": number(given["cpus_per_trial"], "cpus_per_trial", 0.01, False),
        "gpus": number(given["gpus_per_trial"], "gpus_per_trial", 0, False),
        "at_once": number(given["max_concurrent"], "max_concurrent", 1, True),
    }


def _check_config(config: RunConfig, cpus: float) -> None:
    """Refuse what no trial can have.

    Raises:
        UsageError: several processes a trial, no sampler of ours, or threads beside ``cpus``.
    """
    check_alone(
        config, "tune trains a trial in each process and --max_concurrent=N of them at once"
    )
    if config["neg_sampler"] == NO_SAMPLER:
        raise UsageError("neg_sampler: got 'none', allowed in a sweep is one of our samplers.")
    if config["threads"] not in (AUTO, max(1, int(cpus))):
        raise UsageError(
            f"threads: got {config['threads']}, but Ray gives a trial as many as it has cores; "
            f"write --cpus_per_trial={config['threads']}."
        )


def _space(file: Any, config: RunConfig, search: str) -> Space:
    """The space in the user's file, or the shipped one; as a grid where one is asked for."""
    model = str(config["model"])
    chosen = Chosen(config["neg_sampler"], loss_name(config), mixer_name(config))
    if file:
        space = space_of_file(str(file), model, chosen)
    else:
        mined = mined_word(config["mine"]) == MINED
        space = default_space(chosen.sampler, model, chosen.loss, chosen.mixer, mined=mined)
    _check_served(space, chosen)
    check_acting(space, config)
    return as_grid(space) if search == "grid" else space


def _check_served(space: Space, chosen: Chosen) -> None:
    """Refuse a sampler that no model's own loss is trained with, where a trial may have that.

    Raises:
        UsageError: names the sampler.
    """
    samplers = space["neg_sampler"].values if "neg_sampler" in space else (chosen.sampler,)
    losses = space["loss"].values if "loss" in space else (chosen.loss,)
    for name in samplers if OWN_LOSS in losses else ():
        if name != NO_SAMPLER and not serves_any_loss(get(name)):
            raise UsageError(
                f"neg_sampler: got '{name}', which needs a loss over many negatives; allowed with "
                f"it is --loss=NAME, or a choice of losses without '{OWN_LOSS}'."
            )


def default_folder(flags: Mapping[str, Any]) -> Path:
    """The folder that these flags come to without ``--out``.

    Raises:
        UsageError: a setting is not allowed.
    """
    decide = ("neg_sampler", "loss", "mixer", "mine")
    settings = {k: v for k, v in flags.items() if k.partition(".")[0] in decide}
    names = (flags.get("model"), flags.get("dataset"), flags.get("config_files"))
    recipe = make_recipe(*names, settings)
    return _folder(recipe, recipe.config())


def _folder(recipe: Recipe, config: RunConfig) -> Path:
    chosen = config["neg_sampler"], loss_name(config), mixer_name(config)
    what = cell(*chosen, mined=mined_word(config["mine"]))
    return Path(f"runs/tune-{recipe.dataset}-{recipe.model}-{what}")


def resumed_plan(out: Path, flags: Mapping[str, Any], command: str) -> Plan:
    """The plan of a sweep in ``out``; flags given again must agree with it.

    Raises:
        UsageError: there is no sweep, or another one.
    """
    try:
        kept = json.loads((out / FILE).read_text(encoding="utf-8"))
        held, free = kept["held"], kept["free"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"--resume: there is no sweep in '{out}'; name its folder with --out=DIR, or leave "
            "--resume out to begin one."
        ) from error
    ours = ("address", "time_budget", "cpus_per_trial", "gpus_per_trial", "max_concurrent")
    if set(flags) - {*ours, "storage_path", "out", "show_progress"}:
        plan = read_plan({**flags, "out": str(out)}, command)
        check_held(plan, held)
        return plan
    recipe = Recipe(held["model"], held["dataset"], held["settings"])
    config = recipe.config()
    kept_load = {"cpus_per_trial": "cpus", "gpus_per_trial": "gpus", "max_concurrent": "at_once"}
    load = _load({flag: flags.get(flag, free[name]) for flag, name in kept_load.items()})
    return Plan(
        recipe=recipe,
        space={
            key: Dimension(kind, tuple(values))
            for key, dimension in held["space"].items()
            for kind, values in dimension.items()
        },
        metric=held["metric"],
        bigger=bool(config["valid_metric_bigger"]),
        trials=held["trials"],
        search=held["search"],
        scheduler=held["scheduler"],
        time_budget=seconds(flags.get("time_budget", free["time_budget"])),
        address=flags.get("address") and str(flags["address"]),
        storage=str(flags.get("storage_path", free["storage"])),
        out=out,
        command=free["command"],
        shown=bool(flags.get("show_progress", True)),
        **load,
    )


def check_held(plan: Plan, held: Mapping[str, Any]) -> None:
    """Make sure that a sweep in the folder is the one that is asked for.

    Raises:
        UsageError: names the first difference.
    """
    asked = json.loads(json.dumps(plan.held))
    for key, value in asked.items():
        if held.get(key) != value:
            raise UsageError(
                f"--resume: the sweep in '{plan.out}' has {key} {held.get(key)!r}, got {value!r}; "
                "give --resume and --out alone to go on with it, or name another folder."
            )


def _trials(given: Any, space: Space, search: str) -> int:
    grid = grid_size(space)
    if any(dimension.kind == "grid" for dimension in space.values()):
        if given is not None:
            raise UsageError(
                f"--num_samples: got {given!r}, but the space has a grid of {grid} points, which "
                "runs whole and once; leave --num_samples out."
            )
        if search == "optuna":
            raise UsageError("--search: optuna takes no grid; write choice instead of grid.")
        return grid
    return int(number(TRIALS if given is None else given, "num_samples", 1, True))
