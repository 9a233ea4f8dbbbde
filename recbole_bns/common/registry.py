"""Name to class: what a room brings itself, and what other packages add by an entry point."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from .errors import UsageError, of_other_kind, unknown

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])


REGISTRIES: list[Registry[Any]] = []
"""Those of the rooms that are imported so far."""


class Registry(Generic[T]):
    """Classes of one kind by their ``name``.

    Args:
        setting: whose value the name is, for errors: ``neg_sampler``.
        kind: what the classes are, for errors: ``sampler``.
        group: of the entry points by which installed packages add theirs.
        package: the package whose import registers our own.
        beside: what the setting may be without naming a class, for errors.
    """

    def __init__(
        self, setting: str, kind: str, group: str, package: str, beside: tuple[str, ...] = ()
    ) -> None:
        self.setting, self.kind, self.group, self.package = setting, kind, group, package
        self.beside = beside
        self.classes: dict[str, type[T]] = {}
        """What is registered so far."""
        self.loaded = False
        """Whether our own and those of installed packages are among them."""
        REGISTRIES.append(self)

    def register(self, cls: C) -> C:
        """Class decorator: make a class known under its ``name``.

        Raises:
            UsageError: the name belongs to another class already.
        """
        known = self.classes.setdefault(cls.name, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise UsageError(
                f"{self.setting} '{cls.name}' is registered twice: by {known.__module__}."
                f"{known.__qualname__} and {cls.__module__}.{cls.__qualname__}; rename one of them."
            )
        self.classes[cls.name] = cls  # the same one again: its module was reloaded
        return cls

    def available(self) -> dict[str, type[T]]:
        """All classes by name; loads those that installed packages declare as entry points."""
        if not self.loaded:
            self._load()
            self.loaded = True
        return dict(self.classes)

    def _load(self) -> None:
        import_module(self.package)
        for entry in entry_points(group=self.group):
            if entry.name in self.classes:
                continue
            found = entry.load()  # a module registers its classes while it is imported
            if isinstance(found, type):
                self.register(found)
            elif entry.name not in self.classes:
                raise UsageError(
                    f"entry point '{entry.name}' of {self.group}: got '{entry.value}', allowed is "
                    f"module:Class, or a module that registers a {self.kind} of this name."
                )

    def get(self, name: str) -> type[T]:
        """The class registered under ``name``.

        Raises:
            UsageError: there is none; names the nearest.
        """
        known = self.available()
        if name not in known:
            others = ((each.setting, each.kind, each.available()) for each in REGISTRIES)
            other = of_other_kind(name, others)
            raise unknown(self.setting, name, [*self.beside, *known], other)
        return known[name]
