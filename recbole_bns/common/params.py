"""Hyper-parameters: a mapping (YAML, command line, search space) becomes a frozen dataclass.

The dataclass is the truth: its fields carry type, range, choices and a line of help. Errors name
the key's path, what was got, what is allowed and the nearest name.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Container, Mapping
from dataclasses import MISSING, dataclass, field
from numbers import Real
from typing import Any, TypeVar

from .errors import UsageError, nearest

P = TypeVar("P")


@dataclass(frozen=True)
class Schedule:
    """A number that moves linearly with the epoch: ``start + step * epoch``, not past ``stop``."""

    start: float
    step: float = 0.0
    stop: float | None = None

    def at(self, epoch: int) -> float:
        """Value in epoch ``epoch`` (0-based)."""
        value = self.start + self.step * epoch
        if self.stop is None:
            return value
        return max(value, self.stop) if self.step < 0 else min(value, self.stop)


@dataclass(frozen=True)
class Above:
    """Values above a bound, for ``when`` of :func:`param`; a word (``all``) is above any."""

    bound: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) or (_is_number(value) and value > self.bound)  # type: ignore[operator]

    def __str__(self) -> str:
        return f"> {self.bound:g}"


class OtherThan:
    """All values but these, for ``when`` of :func:`param`."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __contains__(self, value: object) -> bool:
        return not any(isinstance(value, type(each)) and value == each for each in self.values)

    def __str__(self) -> str:
        return "other than " + ", ".join(map(str, self.values))


def param(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[Any, ...] | None = None,
    also: tuple[str, ...] = (),
    schedule: bool = False,
    array: bool = False,
    mapping: bool = False,
    when: Mapping[str, Any] | None = None,
) -> Any:
    """Declare a hyper-parameter.

    Args:
        default: its default; the default's type is the parameter's type.
        help: one line for tables and YAML.
        low: smallest allowed value.
        high: largest allowed value.
        above: excluded lower bound.
        below: excluded upper bound.
        choices: the only allowed values (a string parameter without choices takes any string).
        also: words allowed beside a number.
        schedule: a mapping ``{start, step, stop}`` over the epochs is allowed too.
        array: a NumPy array or tensor is allowed too (from Python).
        mapping: a mapping with names for keys is allowed too, checked where it is used.
        when: names of other parameters and the values of each with which this one acts: one, a
            tuple of them, or a container such as :class:`Above`. With others it does nothing; see
            :func:`idle`.
    """
    metadata = {
        "help": help,
        "low": low,
        "high": high,
        "above": above,
        "below": below,
        "choices": choices,
        "also": also,
        "schedule": schedule,
        "array": array,
        "mapping": mapping,
        "when": {name: _container(values) for name, values in (when or {}).items()},
    }
    return field(default=default, metadata=metadata)


def _container(values: Any) -> Container[Any]:
    if isinstance(values, (tuple, Above, OtherThan)):
        return values
    return (values,)


def changed(cls: type[Any], name: str, default: Any) -> Any:
    """The hyper-parameter ``name`` of the dataclass ``cls`` with another default."""
    spec = next(spec for spec in dataclasses.fields(cls) if spec.name == name)
    return field(default=default, metadata=spec.metadata)


def outside(name: str) -> str:
    """The name users write: ``lambda_`` is ``lambda`` outside Python."""
    return name.rstrip("_")


def allowed(spec: dataclasses.Field[Any]) -> str:
    """What a parameter may be, in words: ``an integer >= 1`` or ``one of a, b``."""
    meta = spec.metadata
    if meta["choices"]:
        return "one of " + ", ".join(map(str, meta["choices"]))
    if isinstance(spec.default, bool):
        return "True or False"
    if isinstance(spec.default, str):
        return "a string or a mapping" if meta["mapping"] else "a string"
    words = "an integer" if isinstance(spec.default, int) else "a number"
    bounds = [
        f"{sign} {meta[key]:g}"
        for key, sign in (("low", ">="), ("above", ">"), ("high", "<="), ("below", "<"))
        if meta[key] is not None
    ]
    words = " ".join([words, " and ".join(bounds)]).strip()
    if meta["also"]:
        words += " or " + " or ".join(f"'{word}'" for word in meta["also"])
    if meta["schedule"]:
        words += " or a schedule {start, step, stop}"
    return words


def parse(cls: type[P], given: Mapping[str, Any], path: str) -> P:
    """Build ``cls`` from ``given``.

    What is left of a parameter that has gone stands in ``cls.REMOVED``: name -> (its old default,
    a sentence that says what to write instead). At its old default it is passed over, so that
    settings written before stay good.

    Args:
        cls: a dataclass whose fields are declared by :func:`param`.
        given: name to value, names as users write them.
        path: where the mapping stands, for errors: ``neg_sampler_args``.

    Raises:
        UsageError: unknown name, wrong type, or a value out of range.
    """
    specs = {outside(spec.name): spec for spec in dataclasses.fields(cls)}  # type: ignore[arg-type]
    removed: Mapping[str, tuple[Any, str]] = getattr(cls, "REMOVED", {})
    values = {}
    for key, value in given.items():
        if key in removed and key not in specs:
            _check_removed(*removed[key], value, f"{path}.{key}")
            continue
        if key not in specs:
            known = ", ".join(specs) or "no parameter at all"
            raise UsageError(
                f"{path}.{key}: no such parameter{nearest(str(key), specs)}; allowed: {known}."
            )
        spec = specs[key]
        values[spec.name] = check_parameter(spec, value, f"{path}.{key}")
    return cls(**values)


def _check_removed(default: Any, sentence: str, value: Any, path: str) -> None:
    if value != default or type(value) is not type(default):
        raise UsageError(f"{path}: {sentence}")


def check_parameter(spec: dataclasses.Field[Any], value: Any, path: str) -> Any:
    """The value of one parameter, of its type.

    Args:
        spec: declared by :func:`param`.
        value: as it was given.
        path: where it stands, for errors.

    Raises:
        UsageError: wrong type, or out of range.
    """
    meta = spec.metadata
    if meta["array"] and hasattr(value, "shape"):
        return value
    if meta["mapping"] and isinstance(value, Mapping):
        _require(all(isinstance(key, str) for key in value), spec, value, path)
        return dict(value)
    if meta["schedule"] and isinstance(value, Mapping):
        return _check_schedule(spec, value, path)
    if meta["schedule"] and isinstance(value, Schedule):
        return value
    if meta["choices"]:
        _require(value in meta["choices"], spec, value, path)
        return value
    if value in meta["also"]:
        return value
    if isinstance(spec.default, bool):
        _require(isinstance(value, bool), spec, value, path)
        return value
    if isinstance(spec.default, str):
        _require(isinstance(value, str), spec, value, path)
        return value
    _require(_is_number(value), spec, value, path)
    if isinstance(spec.default, int):
        _require(float(value).is_integer(), spec, value, path)
        value = int(value)
    else:
        value = float(value)
    _require(meta["low"] is None or value >= meta["low"], spec, value, path)
    _require(meta["high"] is None or value <= meta["high"], spec, value, path)
    _require(meta["above"] is None or value > meta["above"], spec, value, path)
    _require(meta["below"] is None or value < meta["below"], spec, value, path)
    return value


def _check_schedule(spec: dataclasses.Field[Any], value: Mapping[str, Any], path: str) -> Schedule:
    names = {"start", "step", "stop"}
    numbers = all(map(_is_number, value.values()))
    _require(set(value) <= names and "start" in value and numbers, spec, dict(value), path)
    for name in ("start", "stop"):
        if name in value:
            check_parameter(spec, value[name], f"{path}.{name}")
    return Schedule(**{name: float(number) for name, number in value.items()})


def check_schedules(params: Any, epochs: int, path: str) -> None:
    """Make sure that schedules stay in their range in all epochs and move towards their stop.

    Args:
        params: what :func:`parse` returned.
        epochs: of the training.
        path: where the parameters stand, for errors.

    Raises:
        UsageError: one leaves its range, with the epoch; or it would never come to its stop.
    """
    for spec in dataclasses.fields(params):
        schedule = getattr(params, spec.name)
        if isinstance(schedule, Schedule):
            _check_way(spec, schedule, epochs, f"{path}.{outside(spec.name)}")


def _check_way(spec: dataclasses.Field[Any], schedule: Schedule, epochs: int, path: str) -> None:
    got = {key: value for key, value in dataclasses.asdict(schedule).items() if value is not None}
    stop, step = schedule.stop, schedule.step
    if stop is not None and stop != schedule.start and (stop - schedule.start) * step <= 0:
        way = "does not move" if not step else f"moves away from stop {stop:g}"
        raise UsageError(
            f"{path}: got {got!r}, which starts at {schedule.start:g} and {way} with step "
            f"{step:g}; allowed is a step towards the stop."
        )
    for epoch in range(epochs):
        if not _within(spec, schedule.at(epoch)):
            raise UsageError(
                f"{path}: got {got!r}, which is {schedule.at(epoch):g} in epoch {epoch + 1} of "
                f"{epochs}, allowed is {allowed(spec)}; give it a stop, as in "
                f"{{start: {schedule.start:g}, step: {step:g}, stop: {schedule.at(epoch - 1):g}}}."
            )


def _within(spec: dataclasses.Field[Any], value: float) -> bool:
    try:
        check_parameter(spec, value, "")
    except UsageError:
        return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _require(condition: bool, spec: dataclasses.Field[Any], value: Any, path: str) -> None:
    if not condition:
        raise UsageError(f"{path}: got {value!r}, allowed is {allowed(spec)}.")


def idle(params: Any, given: Container[str]) -> dict[str, str]:
    """Parameters that were given and do nothing, since another one switches them off.

    One at its default is not named: it contradicts nothing, as in settings that hold all.

    Args:
        params: what :func:`parse` returned.
        given: names as users write them.

    Returns:
        name -> with what it acts: ``choice linear``.
    """
    return {
        outside(spec.name): " and ".join(unmet)
        for spec in dataclasses.fields(params)
        if outside(spec.name) in given
        and not _is_default(spec, getattr(params, spec.name))
        and (unmet := _unmet(params, spec))
    }


def depends_on(cls: type[Any], name: str) -> list[str]:
    """Names of the parameters that can switch one off, as users write them."""
    specs = {outside(spec.name): spec for spec in dataclasses.fields(cls)}
    waiting, found = [name], []
    while waiting:
        conditions = [outside(each) for each in specs[waiting.pop()].metadata["when"]]
        waiting += [each for each in conditions if each not in found]
        found += [each for each in conditions if each not in found]
    return found


def _is_default(spec: dataclasses.Field[Any], value: Any) -> bool:
    return type(value) is type(spec.default) and bool(value == spec.default)


def _unmet(params: Any, spec: dataclasses.Field[Any]) -> list[str]:
    """The conditions of a parameter that do not hold, those of its conditions before."""
    specs = {each.name: each for each in dataclasses.fields(params)}
    unmet: list[str] = []
    for name, values in spec.metadata["when"].items():
        unmet += _unmet(params, specs[name])
        value = getattr(params, name)
        if isinstance(value, Mapping) or hasattr(value, "shape"):  # a model or an array: no word
            value = None
        if value not in values:
            unmet.append(f"{outside(name)} {_words(values)}")
    return list(dict.fromkeys(unmet))


def _words(values: Container[Any]) -> str:
    return " or ".join(map(str, values)) if isinstance(values, tuple) else str(values)


def as_mapping(params: Any) -> dict[str, Any]:
    """The inverse of :func:`parse`: plain values under the names users write."""
    result: dict[str, Any] = {}
    for spec in dataclasses.fields(params):
        value = getattr(params, spec.name)
        if isinstance(value, Schedule):
            value = {k: v for k, v in dataclasses.asdict(value).items() if v is not None}
        elif spec.metadata["array"] and hasattr(value, "shape"):
            value = f"array of shape {tuple(value.shape)}"
        result[outside(spec.name)] = value
    return result


def defaults(cls: type[Any]) -> dict[str, Any]:
    """Every parameter of ``cls`` with its default, under the names users write."""
    for spec in dataclasses.fields(cls):
        assert spec.default is not MISSING, f"{cls.__name__}.{spec.name} needs a default"
    return as_mapping(cls())
