"""Name to sampler class: our own methods and those that other packages register."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor

from recbole_bns.common.params import parse
from recbole_bns.common.registry import Registry

from .base import NegativeSampler
from .catalogue import Catalogue

S = TypeVar("S", bound=type[NegativeSampler])

_registry: Registry[NegativeSampler] = Registry(
    "neg_sampler", "sampler", "recbole_bns.samplers", f"{__package__}.methods"
)


def register(cls: S) -> S:
    """Class decorator: make a sampler known under its ``name``.

    Raises:
        UsageError: the name belongs to another class already.
    """
    return _registry.register(cls)


def available() -> dict[str, type[NegativeSampler]]:
    """All samplers by name; loads those that installed packages declare as entry points.

    A package adds one with ``[project.entry-points."recbole_bns.samplers"]`` in its metadata:
    ``name = "module:Class"``, or a module that registers it.
    """
    return _registry.available()


def get(name: str) -> type[NegativeSampler]:
    """The class registered under ``name``.

    Raises:
        UsageError: there is none; names the nearest.
    """
    return _registry.get(name)


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
