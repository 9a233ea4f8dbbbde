"""Name to loss class: our own losses and those that other packages register."""

from __future__ import annotations

from typing import Any, TypeVar

from recbole_bns.common.params import parse
from recbole_bns.common.registry import Registry

from .base import Loss

L = TypeVar("L", bound=type[Loss])

_registry: Registry[Loss] = Registry(
    "loss", "loss", "recbole_bns.losses", f"{__package__}.forms", beside=("model",)
)


def register(cls: L) -> L:
    """Class decorator: make a loss known under its ``name``.

    Raises:
        UsageError: the name belongs to another class already.
    """
    return _registry.register(cls)


def available() -> dict[str, type[Loss]]:
    """All losses by name; loads those that installed packages declare as entry points.

    A package adds one with ``[project.entry-points."recbole_bns.losses"]`` in its metadata:
    ``name = "module:Class"``, or a module that registers it.
    """
    return _registry.available()


def get(name: str) -> type[Loss]:
    """The class registered under ``name``.

    Raises:
        UsageError: there is none; names the nearest.
    """
    return _registry.get(name)


def build(name: str, args: Any = None) -> Loss:
    """Make a loss from what users write.

    Args:
        name: a registered name.
        args: ``loss_args``: a mapping as users write it, or the class's ``Params``.

    Raises:
        UsageError: unknown name or parameter, or a value that is not allowed.
    """
    cls = get(name)
    done = isinstance(args, cls.Params)
    return cls(args if done else parse(cls.Params, args or {}, "loss_args"))
