"""The table of what is known without importing it: samplers, losses, RecBole's models and keys.

``known.json`` is written by ``scripts/write_known.py`` from the code itself, for each version of
RecBole; a test fails when it is stale. What other packages register is not in it, so that a name
that it lacks is refused early only where no package registers any (:func:`others_register`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from recbole_bns.common.errors import UsageError, of_other_kind
from recbole_bns.common.params import outside

from .declared import with_declared
from .hints import Parameters
from .keys import Known

FILE = Path(__file__).with_name("known.json")


class Kind(NamedTuple):
    """Classes that a setting names: samplers, losses, mixers."""

    setting: str
    """``neg_sampler``."""
    kind: str
    """What they are called: ``sampler``."""
    group: str
    """Of the entry points by which other packages add theirs."""
    beside: tuple[str, ...]
    """What the setting may be without naming a class."""
    classes: Mapping[str, Mapping[str, Any]]
    """Name -> ``params``, ``removed``, ``said`` (idea, paper, module, facts); of samplers
    ``any_loss`` (and any data), of mixers ``sampler``, ``loss``.
    """

    @property
    def names(self) -> list[str]:
        """What may be written."""
        return [*self.beside, *self.classes]

    def params(self, name: str) -> type[Any]:
        """A dataclass that :func:`recbole_bns.common.params.parse` treats as the class's own."""
        return _params(self.classes[name])


def elsewhere(name: str) -> str:
    """That a sampler, a loss or a mixer has a name, for a refusal; nothing where none has it."""
    return of_other_kind(name, ((k.setting, k.kind, k.classes) for k in kinds().values()))


def _params(entry: Mapping[str, Any]) -> type[Any]:
    specs = [
        (key, Any, dataclasses.field(default=spec["default"], metadata=_metadata(spec)))
        for key, spec in entry["params"].items()
    ]
    return dataclasses.make_dataclass(
        "Params", specs, frozen=True, namespace={"REMOVED": entry["removed"]}
    )


def _metadata(spec: Mapping[str, Any]) -> dict[str, Any]:
    none = dict.fromkeys(("low", "high", "above", "below", "choices"))
    rest = dict.fromkeys(("schedule", "array", "mapping"), False)
    return {**none, **rest, "also": (), "when": {}, **spec}


@cache
def table() -> Mapping[str, Any]:
    """The whole table."""
    content: Mapping[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content


@cache
def kinds() -> Mapping[str, Kind]:
    """Setting -> the classes that it may name."""
    return {
        setting: Kind(
            setting, entry["kind"], entry["group"], tuple(entry["beside"]), entry["classes"]
        )
        for setting, entry in table()["kinds"].items()
    }


@cache
def mappings() -> Mapping[str, type[Any]]:
    """Setting -> its parameters, as :meth:`Kind.params` has those of a class: ``mine``."""
    return {setting: _params(entry) for setting, entry in table()["mappings"].items()}


def removed_parameters(sampler: str) -> Mapping[str, Any]:
    """Parameters of a sampler that have gone."""
    found: Mapping[str, Any] = kinds()["neg_sampler"].classes.get(sampler, {}).get("removed", {})
    return found


def parameters() -> Parameters:
    """Names of the parameters of samplers, losses and others, as users write them."""
    names = {
        f"of_{kind.kind}{'es' if kind.kind.endswith('s') else 's'}": {
            name: list(map(outside, entry["params"])) for name, entry in kind.classes.items()
        }
        for kind in kinds().values()
    }
    return Parameters(**{field: names[field] for field in Parameters._fields})


def host() -> Mapping[str, Any] | None:
    """What the table has of the RecBole that is installed; None for another version, or none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found: Mapping[str, Any] | None = table()["recbole"].get(version("recbole"))
    except PackageNotFoundError:
        return None
    return found if find_spec("recbole") else None


def known_of(model: str) -> Known | None:
    """Settings that are read with a model of RecBole; None where the table does not have it."""
    entry = host()
    if entry is None or model not in entry["models"]:
        return None
    own = entry["models"][model]
    return Known(
        model,
        with_declared([*entry["common"], *own["keys"]]),
        tuple(own["prefixes"]),
        lambda: frozenset(entry["by_any"]),
        lambda: frozenset(entry["by_transforms"]),
        parameters,
    )


@cache
def others_register() -> bool:
    """Whether any installed package adds samplers, losses or others by an entry point."""
    from importlib.metadata import entry_points

    return any(entry_points(group=kind.group) for kind in kinds().values())


@contextmanager
def unless_others() -> Iterator[None]:
    """Keep back a refusal that what other packages register could change."""
    try:
        yield
    except UsageError:
        if not others_register():
            raise
