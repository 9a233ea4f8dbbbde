"""Hyper-parameters: a mapping (YAML, command line, search space) becomes a frozen dataclass.

The dataclass is the truth: its fields carry type, range, choices and a line of help. Errors name
the key's path, what was got, what is allowed and the nearest name.
"""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_left
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

    def first_outside(self, spec: dataclasses.Field[Any], epochs: int) -> int | None:
        """The first epoch (0-based) whose value the parameter may not have; None: all may.

        Args:
            spec: the parameter, declared by :func:`param`.
            epochs: how many epochs there are.
        """
        if not _in_range(spec, self.start):
            return 0 if epochs > 0 else None
        if epochs < 1 or _in_range(spec, self.at(epochs - 1)):
            return None  # it moves one way, so that it has never been outside before
        return bisect_left(
            range(epochs), True, key=lambda epoch: not _in_range(spec, self.at(epoch))
        )


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


def parse(cls: type[P], given: Mapping[str, Any], path: str, owner: str = "") -> P:
    """Build ``cls`` from ``given``.

    What is left of a parameter that has gone stands in ``cls.REMOVED``: name -> (its old default,
    a sentence that says what to write instead). At its old default it is passed over, so that
    settings written before stay good.

    Args:
        cls: a dataclass whose fields are declared by :func:`param`.
        given: name to value, names as users write them.
        path: where the mapping stands, for errors: ``neg_sampler_args``.
        owner: whose parameters they are, for errors: ``loss ssm``.

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
            allowed = f"allowed with {owner}" if owner else "allowed"
            raise UsageError(
                f"{path}.{key}: no such parameter{nearest(str(key), specs)}; {allowed}: {known}."
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
        return _check_schedule(spec, _plain(value), path)
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
    _require(_in_range(spec, value), spec, value, path)
    return value


def _in_range(spec: dataclasses.Field[Any], value: float) -> bool:
    meta = spec.metadata
    return (
        (meta["low"] is None or value >= meta["low"])
        and (meta["high"] is None or value <= meta["high"])
        and (meta["above"] is None or value > meta["above"])
        and (meta["below"] is None or value < meta["below"])
    )


def _check_schedule(spec: dataclasses.Field[Any], value: Mapping[str, Any], path: str) -> Schedule:
    names = {"start", "step", "stop"}
    numbers = all(map(_is_number, value.values()))
    _require(set(value) <= names and "start" in value and numbers, spec, dict(value), path)
    for name in ("start", "stop"):
        if name in value:
            check_parameter(spec, value[name], f"{path}.{name}")
    schedule = Schedule(**{name: float(number) for name, number in value.items()})
    _check_direction(schedule, path)
    return schedule


def _check_direction(schedule: Schedule, path: str) -> None:
    """Refuse a schedule that does not start at ``start``, or never comes to ``stop``."""
    start, step, stop = schedule.start, schedule.step, schedule.stop
    if stop is None or stop == start or (stop - start) * step > 0:
        return
    way = f"moves away from stop {stop:g}" if step else "does not move"
    raise UsageError(
        f"{path}: got {_plain(schedule)}, which starts at {start:g} and {way} with step {step:g}; "
        "allowed is a step towards the stop."
    )


def check_schedules(params: Any, epochs: int, path: str) -> None:
    """Refuse schedules that leave their parameter's range before the last epoch is over.

    Args:
        params: what :func:`parse` returned.
        epochs: how many epochs there are.
        path: where the parameters stand, for errors: ``neg_sampler_args``.

    Raises:
        UsageError: names the epoch, counted from 1.
    """
    for spec in dataclasses.fields(params):
        value = getattr(params, spec.name)
        if not isinstance(value, Schedule):
            continue
        epoch = value.first_outside(spec, epochs)
        if epoch is not None:
            raise UsageError(
                f"{path}.{outside(spec.name)}: got {_plain(value)}, which is {value.at(epoch):g} "
                f"in epoch {epoch + 1} of {epochs}, allowed is {allowed(spec)}; give it a stop, as "
                f"in {{start: {value.start:g}, step: {value.step:g}, "
                f"stop: {value.at(max(epoch - 1, 0)):g}}}."
            )


def _plain(schedule: Schedule) -> dict[str, float]:
    return {k: v for k, v in dataclasses.asdict(schedule).items() if v is not None}


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
            value = _plain(value)
        elif spec.metadata["array"] and hasattr(value, "shape"):
            value = f"array of shape {tuple(value.shape)}"
        result[outside(spec.name)] = value
    return result


def defaults(cls: type[Any]) -> dict[str, Any]:
    """Every parameter of ``cls`` with its default, under the names users write."""
    for spec in dataclasses.fields(cls):
        assert spec.default is not MISSING, f"{cls.__name__}.{spec.name} needs a default"
    return as_mapping(cls())
