"""Name to sampler class: our own methods and those that other packages register."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeVar

from torch import Tensor

from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.common.params import parse

from .base import NegativeSampler
from .catalogue import Catalogue

S = TypeVar("S", bound=type[NegativeSampler])

ENTRY_POINT_GROUP = "recbole_bns.samplers"
_registry: dict[str, type[NegativeSampler]] = {}


def register(cls: S) -> S:
    """Class decorator: make a sampler known under its ``name``.

    Raises:
        UsageError: the name belongs to another class already.
    """
    known = _registry.setdefault(cls.name, cls)
    if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise UsageError(
            f"neg_sampler '{cls.name}' is registered twice: by {known.__module__}."
            f"{known.__qualname__} and {cls.__module__}.{cls.__qualname__}; rename one of them."
        )
    _registry[cls.name] = cls
    return cls


def available() -> dict[str, type[NegativeSampler]]:
    """All samplers by name; loads those that installed packages declare as entry points.

    A package adds one with ``[project.entry-points."recbole_bns.samplers"]`` in its metadata:
    ``name = "module:Class"``, or a module that registers it.
    """
    _load_all()
    return dict(_registry)


@cache
def _load_all() -> None:
    import_module(f"{__package__}.methods")
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.name in _registry:
            continue
        found = entry.load()  # a module registers its samplers while it is imported
        if isinstance(found, type):
            register(found)
        elif entry.name not in _registry:
            raise UsageError(
                f"entry point '{entry.name}' of {ENTRY_POINT_GROUP}: got '{entry.value}', allowed "
                "is module:Class, or a module that registers a sampler of this name."
            )


def get(name: str) -> type[NegativeSampler]:
    """The class registered under ``name``.

    Raises:
        UsageError: there is none; names the nearest.
    """
    known = available()
    if name not in known:
        raise UsageError(
            f"neg_sampler: got '{name}'{nearest(str(name), known)}; allowed: {', '.join(known)}."
        )
    return known[name]


def build(
    name: str,
    catalogue: Catalogue,
    args: Any = None,
    *,
    seed: int = 0,
    side: Mapping[str, Tensor] | None = None,
) -> NegativeSampler:
    """Make a sampler from what users write.

    Args:
        name: a registered name.
        catalogue: the training interactions.
        args: ``neg_sampler_args``: a mapping as users write it, or the class's ``Params``.
        seed: of the sampler's generator.
        side: what ``side_data`` of the class asks for.

    Raises:
        UsageError: unknown name or parameter, or a value that is not allowed.
    """
    cls = get(name)
    done = isinstance(args, cls.Params)
    params = args if done else parse(cls.Params, args or {}, "neg_sampler_args")
    return cls(catalogue, params, seed=seed, side=side)
