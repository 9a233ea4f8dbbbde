"""Name to class: what a room brings itself, and what other packages add by an entry point."""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from .errors import UsageError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Classes of one kind by name.

    Args:
        setting: whose value the name is, for errors: ``neg_sampler``, ``loss``.
        group: of the entry points by which installed packages add theirs.
        package: whose import registers our own.
    """

    def __init__(self, setting: str, group: str, package: str) -> None:
        self.setting, self.group, self.package = setting, group, package
        self._classes: dict[str, Any] = {}

    def register(self, cls: Any) -> Any:
        """Class decorator: make a class known under its ``name``.

        Raises:
            UsageError: the name belongs to another class already.
        """
        known = self._classes.setdefault(cls.name, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise UsageError(
                f"{self.setting} '{cls.name}' is registered twice: by {known.__module__}."
                f"{known.__qualname__} and {cls.__module__}.{cls.__qualname__}; rename one of them."
            )
        self._classes[cls.name] = cls
        return cls

    def available(self) -> dict[str, type[T]]:
        """All classes by name, those of installed packages among them.

        A package adds one with ``[project.entry-points."<group>"]`` in its metadata:
        ``name = "module:Class"``, or a module that registers it.
        """
        _ = self._loaded
        return dict(self._classes)

    @cached_property
    def _loaded(self) -> bool:
        import_module(self.package)
        for entry in entry_points(group=self.group):
            if entry.name in self._classes:
                continue
            loaded = entry.load()  # a module registers its classes while it is imported
            if isinstance(loaded, type):
                self.register(loaded)
            elif entry.name not in self._classes:
                raise UsageError(
                    f"entry point '{entry.name}' of {self.group}: got '{entry.value}', allowed is "
                    "module:Class, or a module that registers one of this name."
                )
        return True

    def get(self, name: str) -> type[T]:
        """The class registered under ``name``.

        Raises:
            UsageError: there is none; names the nearest.
        """
        known = self.available()
        if name not in known:
            raise UsageError(
                f"{self.setting}: got '{name}'{nearest(str(name), known)}; allowed: "
                f"{', '.join(known)}."
            )
        return known[name]
