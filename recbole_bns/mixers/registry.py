"""Name to mixer class: our own mixers and those that other packages register."""

from __future__ import annotations

from typing import Any, TypeVar

from recbole_bns.common.params import parse
from recbole_bns.common.registry import Registry

from .base import Mixer

M = TypeVar("M", bound=type[Mixer])

_registry: Registry[Mixer] = Registry(
    "mixer", "mixer", "recbole_bns.mixers", f"{__package__}.ways", beside=("none",)
)


def register(cls: M) -> M:
    """Class decorator: make a mixer known under its ``name``.

    Raises:
        UsageError: the name belongs to another class already.
    """
    return _registry.register(cls)


def available() -> dict[str, type[Mixer]]:
    """All mixers by name; loads those that installed packages declare as entry points.

    A package adds one with ``[project.entry-points."recbole_bns.mixers"]`` in its metadata:
    ``name = "module:Class"``, or a module that registers it.
    """
    return _registry.available()


def get(name: str) -> type[Mixer]:
    """The class registered under ``name``.

    Raises:
        UsageError: there is none; names the nearest.
    """
    return _registry.get(name)


def build(name: str, dim: int, args: Any = None) -> Mixer:
    """Make a mixer from what users write.

    Args:
        name: a registered name.
        dim: D, the width of the model's layers.
        args: ``mixer_args``: a mapping as users write it, or the class's ``Params``.

    Raises:
        UsageError: unknown name or parameter, or a value that is not allowed.
    """
    cls = get(name)
    done = isinstance(args, cls.Params)
    return cls(dim, args if done else parse(cls.Params, args or {}, "mixer_args", f"mixer {name}"))
