"""Search spaces: YAML in, checked before any trial; Ray's domains out.

A space maps settings (dotted keys allowed) to one of ``{choice: [...]}``, ``{grid: [...]}``,
``{uniform: [low, high]}``, ``{loguniform: [low, high]}``, ``{quniform: [low, high, step]}`` and
``{randint: [low, high]}``, whose ``high`` is left out as in Ray and NumPy.

Sampler, loss and mixer may be searched over themselves; what is searched of their parameters all of
them must take.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from itertools import product
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recbole_bns import losses, mixers
from recbole_bns.adapters.keys import hint_for
from recbole_bns.adapters.loss_settings import OF_A_LOSS, chosen_loss, posterior_params
from recbole_bns.adapters.mine_settings import mine_params
from recbole_bns.adapters.mixer_settings import chosen_mixer
from recbole_bns.adapters.reads import known_keys
from recbole_bns.adapters.sampler_settings import sampler_settings
from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.common.params import as_mapping, defaults, depends_on, idle
from recbole_bns.sampling import available, get, parse
from recbole_bns.sampling.mined import MineParams
from recbole_bns.settings.declared import NO_MIXER, NO_SAMPLER, OWN_LOSS, having
from recbole_bns.settings.hints import Chosen
from recbole_bns.settings.properties import MINED, PROPERTIES, read_own
from recbole_bns.settings.words import merge, read_yaml

if TYPE_CHECKING:  # a second to import, which most who read a space do not need
    from numpy.random import Generator

SIZES = {"choice": None, "grid": None, "uniform": 2, "loguniform": 2, "quniform": 3, "randint": 2}
"""Kinds of dimensions and how many numbers each takes; None: one value or more."""
LISTS = ("choice", "grid")


@dataclass(frozen=True)
class Dimension:
    """One searched setting: ``kind`` of :data:`SIZES` and its values."""

    kind: str
    values: tuple[Any, ...]

    @property
    def probes(self) -> tuple[Any, ...]:
        """Values that must be allowed for all of them to be: each, or both ends."""
        if self.kind == "randint":
            return self.values[0], self.values[1] - 1
        return self.values if self.kind in LISTS else self.values[:2]

    def draw(self, source: Generator) -> Any:
        """One value; of a grid as of a choice, each with the same probability."""
        if self.kind in LISTS:
            return self.values[int(source.integers(len(self.values)))]
        low, high = self.values[:2]
        if self.kind == "randint":
            return int(source.integers(low, high))
        if self.kind == "loguniform":
            return math.exp(source.uniform(math.log(low), math.log(high)))
        value = source.uniform(low, high)
        return float(value) if self.kind == "uniform" else round_to(value, self.values[2])

    @property
    def text(self) -> str:
        """``loguniform 0.001 to 0.1``, ``one of 1, 3, 5``."""
        words = [f"{v:g}" if isinstance(v, float) else str(v) for v in self.values]
        if self.kind in LISTS:
            return f"{'each' if self.kind == 'grid' else 'one'} of {', '.join(words)}"
        if self.kind == "randint":
            return f"an integer from {words[0]} to {self.values[1] - 1}"
        step = f" in steps of {words[2]}" if self.kind == "quniform" else ""
        return f"{self.kind} {words[0]} to {words[1]}{step}"


def round_to(value: float, step: float) -> float:
    """The multiple of ``step`` that is nearest to a value, as Ray's ``quniform`` has it."""
    return round(value / step) * step


Space = dict[str, Dimension]


def default_space(
    sampler: str, model: str, loss: str = OWN_LOSS, mixer: str = NO_MIXER, *, mined: bool = False
) -> Space:
    """The space of ``properties/sweep/<sampler>.yaml``, and of loss, mixer and mining beside it.

    Where RecBole's model has no ``reg_weight`` of its own, its place is taken by ``weight_decay``;
    the number of negatives is left out where the sampler's lists have a length of their own, and
    beside a mixer, whose number it is.

    Raises:
        UsageError: there is no such sampler, loss or mixer, or no space for it.
    """
    path = PROPERTIES / "sweep" / f"{sampler}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in (PROPERTIES / "sweep").glob("*.yaml"))
        raise UsageError(
            f"sweep: there is no space for '{sampler}'{nearest(sampler, known)}; allowed: "
            f"{', '.join(known)}, or a space of your own with --sweep=FILE."
        )
    content = read_yaml(path)
    content.pop("weight_decay" if has_reg_weight(model) else "reg_weight", None)
    if loss != OWN_LOSS:
        content |= read_yaml(_space_beside("loss", loss))
        if has_own_length(sampler) or mixer != NO_MIXER:
            content.pop("neg_sample_num", None)
    if mixer != NO_MIXER:
        content |= read_yaml(_space_beside("mixer", mixer))
    if mined:
        content |= read_yaml(_space_beside("mine", MINED))
    return read_space(content, str(path), model, Chosen(sampler, loss, mixer))


def _space_beside(kind: str, name: str) -> Path:
    """The file of a loss or a mixer."""
    path = PROPERTIES / "sweep" / kind / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in path.parent.glob("*.yaml"))
        raise UsageError(
            f"sweep: there is no space for the {kind} '{name}'{nearest(name, known)}; allowed: "
            f"{', '.join(known)}, or a space of your own with --sweep=FILE."
        )
    return path


def has_own_length(sampler: str) -> bool:
    """Whether a loss over many negatives gets a list that is as long as it is: all, inbatch."""
    return bool(getattr(available().get(sampler), "only_shared", False))


def has_reg_weight(model: str) -> bool:
    """Whether the model's loss has a ``reg_weight``."""
    host = Path(str(files("recbole"))) / "properties" / "model" / f"{model}.yaml"
    ours = PROPERTIES / "model" / f"{model}.yaml"
    return any("reg_weight" in read_own(path) for path in (host, ours))


def space_of_file(path: str, model: str, chosen: Chosen) -> Space:
    """The space in a YAML file of the user.

    Raises:
        UsageError: the file cannot be read, or the space is not allowed; see :func:`read_space`.
    """
    return read_space(read_yaml(path), path, model, chosen)


def read_space(content: Mapping[str, Any], where: str, model: str, chosen: Chosen) -> Space:
    """Check a space and every value in it.

    Args:
        content: setting -> ``{kind: values}``.
        where: it comes from, for errors.
        model: whose settings they are.
        chosen: sampler, loss and mixer, where they are not searched over.

    Raises:
        UsageError: unknown setting or kind, a range that is none, a value that the sampler or the
            loss does not take, or a setting that cannot differ between trials.
    """
    space = {}
    for key, given in _flat(content).items():
        here = f"sweep: {where}: {key}"
        _check_key(key, here, model, chosen)
        space[key] = _dimension(given, here)
    if not space:
        raise UsageError(f"sweep: {where}: no setting to search over.")
    for key, known, extra in (
        ("neg_sampler", list(available()), NO_SAMPLER),
        ("loss", [*losses.available(), OWN_LOSS], OWN_LOSS),
        ("mixer", [*mixers.available(), NO_MIXER], NO_MIXER),
    ):
        for name in space[key].values if key in space else ():
            if name not in {*known, extra}:
                raise UsageError(
                    f"sweep: {where}: {key}: got '{name}'{nearest(str(name), known)}; allowed: "
                    f"{', '.join(known)}."
                )
    _check_values(space, chosen, f"sweep: {where}")
    return space


def _check_values(space: Space, chosen: Chosen, here: str) -> None:
    """Make sure that each sampler, loss and mixer takes what may be drawn for its parameters."""
    for key, dimension in space.items():
        head, _, name = key.partition(".")
        if head not in MAPPINGS or not name:
            continue
        classes = _classes_of(head, space, chosen)
        if None in classes:
            raise UsageError(f"{here}: {key}: {_WITHOUT[head]}, or leave this out.")
        for value, cls in product(dimension.probes, filter(None, classes)):
            parse(cls, {name: value}, f"{here}: {head}")


_WITHOUT = {
    "loss_args": f"the model's own loss, loss '{OWN_LOSS}', has no parameters here; name another "
    "one with --loss=NAME or in a choice of losses",
    "mixer_args": f"mixer '{NO_MIXER}' has no parameters; name one with --mixer=NAME or in a "
    "choice of mixers",
}
"""Setting -> why it has no parameters where nothing is named, and what to write."""


def _classes_of(head: str, space: Space, chosen: Chosen) -> list[type[Any] | None]:
    """The classes of the parameters in a setting, of all samplers, losses or mixers of a space.

    None stands for the model's own loss, or no mixer, which have none.
    """
    if head == "neg_sampler_args":
        names = space["neg_sampler"].values if "neg_sampler" in space else (chosen.sampler,)
        return [get(name).Params for name in names]
    if head == "loss_args":
        names = space["loss"].values if "loss" in space else (chosen.loss,)
        return [None if name == OWN_LOSS else losses.get(name).Params for name in names]
    if head == "mixer_args":
        names = space["mixer"].values if "mixer" in space else (chosen.mixer,)
        return [None if name == NO_MIXER else mixers.get(name).Params for name in names]
    return [MineParams if head == "mine" else losses.PosteriorParams]


MAPPINGS = ("neg_sampler_args", "loss_args", "loss_weight_args", "mixer_args", "mine")
"""Settings that hold parameters, which may be searched over."""


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """``neg_sampler_args: {lambda: ...}`` as ``neg_sampler_args.lambda: ...``."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if key in MAPPINGS and isinstance(value, Mapping) and not _is_dimension(value):
            flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            flat[str(key)] = value
    return flat


def _is_dimension(value: Mapping[str, Any]) -> bool:
    """Whether a mapping is ``{KIND: VALUES}``, and not parameters one of which is a kind's name."""
    return len(value) == 1 and all(
        kind in SIZES and not isinstance(inner, Mapping) for kind, inner in value.items()
    )


def _check_key(key: str, here: str, model: str, chosen: Chosen) -> None:
    head = key.partition(".")[0]
    known = known_keys(model)
    if head not in known:
        raise UsageError(f"{here}: no such setting{hint_for(key, known, chosen)}.")
    if head in having("in_sweep", "data"):
        raise UsageError(
            f"{here}: decides the data, which is read and split once for all trials; set it for "
            f"the whole sweep with --{key}=VALUE."
        )
    if head in having("in_sweep", "sweep"):
        raise UsageError(
            f"{here}: is the same in all trials of a sweep; set it with --{key}=VALUE."
        )


def _dimension(given: Any, here: str) -> Dimension:
    kinds = ", ".join(SIZES)
    if not isinstance(given, Mapping) or len(given) != 1:
        raise UsageError(
            f"{here}: got {given!r}, allowed is {{KIND: VALUES}} with one of {kinds}, as in "
            "{choice: [1, 3, 5]} or {loguniform: [0.001, 0.1]}."
        )
    kind, values = next(iter(given.items()))
    if kind not in SIZES:
        raise UsageError(f"{here}: got '{kind}'{nearest(str(kind), SIZES)}; allowed: {kinds}.")
    size = SIZES[kind]
    if not isinstance(values, list) or not values or (size and len(values) != size):
        count = f"{size} numbers" if size else "values"
        raise UsageError(f"{here}: got {{{kind}: {values!r}}}, allowed is a list of {count}.")
    if size:
        _check_range(kind, values, here)
    return Dimension(kind, tuple(values))


def _check_range(kind: str, values: list[Any], here: str) -> None:
    numbers = all(isinstance(v, Real) and not isinstance(v, bool) for v in values)
    got = f"{here}: got {{{kind}: {values!r}}}"
    if not numbers or not all(math.isfinite(v) for v in values) or values[0] >= values[1]:
        raise UsageError(f"{got}, allowed are finite numbers, low before high.")
    if kind == "loguniform" and values[0] <= 0:
        raise UsageError(f"{got}, allowed is a low above 0.")
    if kind == "quniform" and values[2] <= 0:
        raise UsageError(f"{got}, allowed is a step above 0.")
    if kind == "randint" and not all(float(v).is_integer() for v in values):
        raise UsageError(f"{got}, allowed are integers.")


def check_acting(space: Space, config: Any) -> None:
    """Refuse what is searched over and acts in no trial.

    Args:
        space: as it was read.
        config: the settings that all trials share.

    Raises:
        UsageError: one is: names with what it acts.
    """
    for key in space:
        words, remedy = _acts_with(key, space, config)
        if words:
            raise UsageError(
                f"sweep: {key}: has no effect in any trial: it acts only with {words}; leave it "
                f"out, or set that with {remedy}."
            )


def _acts_with(key: str, space: Space, config: Any) -> tuple[str, str]:
    """With what a searched setting acts, where no trial has that, and how to set it."""
    head = key.partition(".")[0]
    searched = "loss" in space or "mixer" in space
    if head in OF_A_LOSS and not searched and chosen_loss(config) is None:
        return "a loss over many negatives", "--loss=NAME"
    one_sampler = "neg_sampler" not in space
    if head == "neg_sample_num" and one_sampler and has_own_length(config["neg_sampler"]):
        return "a sampler that draws as many as are asked for", "--neg_sampler=NAME"
    if head == "loss_weight_args":
        drawn = space["loss_weight"].values if "loss_weight" in space else (config["loss_weight"],)
        if "posterior" not in drawn:
            return "loss_weight posterior", "--loss_weight=posterior"
    shared = _shared_by_trials(head, space, config)
    return (_idle_in(space, key, *shared), f"--{head}.KEY=VALUE") if shared else ("", "")


def _shared_by_trials(
    head: str, space: Space, config: Any
) -> tuple[type[Any], Mapping[str, Any]] | None:
    """Class and values of the parameters in a setting; None where trials differ in the class."""
    if head == "neg_sampler_args" and "neg_sampler" not in space:
        name, args, _ = sampler_settings(config)
        return get(name).Params, args
    params = None
    if head == "loss_args" and not {"loss", "mixer"} & set(space):
        choice = chosen_loss(config)
        params = choice and choice.params
    elif head == "mixer_args" and "mixer" not in space:
        mixer = chosen_mixer(config)
        params = mixer and mixer.params
    elif head == "loss_weight_args":
        params = posterior_params(config)
    elif head == "mine":  # which any of its parameters switches on
        params = mine_params(config) or MineParams()
    return None if params is None else (type(params), as_mapping(params))


def _idle_in(space: Space, key: str, cls: type[Any], args: Mapping[str, Any]) -> str:
    """With what a searched parameter acts, where no trial has that; else nothing."""
    head, _, parameter = key.partition(".")
    values = [v for v in space[key].probes if parameter and v != defaults(cls)[parameter]]
    if not values:
        return ""
    found = [
        idle(parse(cls, {**args, **drawn, parameter: values[0]}, head), [parameter])
        for drawn in _combinations(space, key, cls)
    ]
    return found[0][parameter] if all(found) else ""


def _combinations(space: Space, key: str, params: type[Any]) -> Iterator[dict[str, Any]]:
    """What the parameters on which one depends may be together."""
    head, _, parameter = key.partition(".")
    names = [name for name in depends_on(params, parameter) if f"{head}.{name}" in space]
    for values in product(*(space[f"{head}.{name}"].probes for name in names)):
        yield dict(zip(names, values, strict=True))


def grid_size(space: Space) -> int:
    """Points of the grid: 1 where there is none."""
    return math.prod(len(d.values) for d in space.values() if d.kind == "grid")


def as_grid(space: Space) -> Space:
    """Every choice becomes a grid.

    Raises:
        UsageError: a range has no grid.
    """
    for key, dimension in space.items():
        if dimension.kind not in LISTS:
            raise UsageError(
                f"--search: a grid needs lists of values, but {key} is {dimension.text}; give it a "
                "{grid: [...]} in a file of your own with --sweep=FILE, or search at random."
            )
    return {key: Dimension("grid", dimension.values) for key, dimension in space.items()}


def to_ray(space: Space) -> dict[str, Any]:
    """The space as ``param_space`` of ``ray.tune.Tuner``."""
    from ray import tune

    def domain(dimension: Dimension) -> Any:
        values = list(dimension.values)
        if dimension.kind == "grid":
            return tune.grid_search(values)
        if dimension.kind == "choice":
            return tune.choice(values)
        return getattr(tune, dimension.kind)(*values)

    return {key: domain(dimension) for key, dimension in space.items()}


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """What Ray drew, as Python's own numbers, nested as settings are."""
    return merge({}, {k: v.item() if hasattr(v, "item") else v for k, v in config.items()})
