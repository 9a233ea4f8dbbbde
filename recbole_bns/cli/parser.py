"""The parser of a command: argparse's, whose complaints are one sentence as everywhere else."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import PurePath
from typing import Any, NoReturn

from recbole_bns.common.errors import UsageError, nearest

from .flags import add_flag, given_value, parse_flags, with_underscores


class Once(argparse.Action):
    """Keep a value; a second one that differs is refused."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept: dict[str, Any] = {}

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take the value of a flag or of a word."""
        shown = str(values) if isinstance(values, PurePath) else values
        add_flag(self.kept, (option_string or self.dest).lstrip("-"), shown)
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """The flags and words of one command, and its help.

    Dashes and underscores in a flag's name are the same; ``--key value`` is ``--key=value``, and
    flags may stand before, between and after the words.
    """

    def __init__(self, command: str, description: str, epilog: str, *, usage: bool = True) -> None:
        """Begin a parser without flags.

        Args:
            command: its name.
            description: above the flags.
            epilog: below them.
            usage: whether the help begins with a line of usage.
        """
        super().__init__(
            f"recbole-bns {command}",
            usage=None if usage else argparse.SUPPRESS,
            description=description,
            epilog=epilog,
            formatter_class=partial(argparse.RawTextHelpFormatter, width=100, max_help_position=26),
            add_help=False,
            allow_abbrev=False,
        )
        self._command = command
        self._entries = self.add_argument_group()
        self._known: dict[str, argparse.Action] = {}
        self._raw: set[str] = set()

    def add(self, name: str, meaning: str, *, raw: bool = False, **details: Any) -> None:
        """Declare a flag (``--name``) or a word.

        Args:
            name: of the flag, or of the value of a word.
            meaning: for the help.
            raw: its value is text, whatever number it spells.
            details: of ``argparse.ArgumentParser.add_argument``; a word has a ``metavar``.
        """
        shown = name if name.startswith("--") else details["metavar"]
        details = {"action": Once, **details}
        if raw:
            self._raw.add(name[2:])
        self._known[shown] = self._entries.add_argument(name, help=meaning, **details)

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """The values of a command that takes nothing but what is declared.

        Raises:
            UsageError: something else, something missing, or a flag given twice.
        """
        flags, unknown, others = self._sorted(words)
        if unknown:
            self._refuse(unknown[0].partition("=")[0])
        options, rest = self.parse_known_args([*flags, *others])
        if rest:
            self._refuse(rest[0])
        return options

    def read_open(self, words: Sequence[str]) -> dict[str, Any]:
        """The flags of a command that takes every setting, too: those that are given, typed.

        Raises:
            UsageError: no flag, a value is missing, or a flag given twice.
        """
        from recbole_bns.settings.declared import refuse_unread
        from recbole_bns.settings.words import typed

        flags, unknown, others = self._sorted(words)
        own = vars(self.parse_args(flags))
        given = {key: value for key, value in own.items() if value is not None}
        values = {k: v if k in self._raw else typed(v, k) for k, v in given.items()}
        for key, value in parse_flags([*others, *unknown]).items():
            add_flag(values, key, value)
        refuse_unread(values)
        return values

    def error(self, message: str) -> NoReturn:
        """Say what argparse has found."""
        where, _, what = message.removeprefix("argument ").partition(": ")
        if where in self._known:
            raise UsageError(f"{where}: {what}.")
        raise UsageError(f"{self._command}: {message}; --help shows what is allowed.")

    def _refuse(self, word: str) -> NoReturn:
        allowed = ", ".join(self._known) or "nothing at all"
        hint = nearest(word, [name for name in self._known if name.startswith("-")])
        raise UsageError(f"{self._command}: got '{word}'{hint}; allowed: {allowed}.")

    def _sorted(self, words: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
        """Words as our flags (``--key=value``), unknown flags with their values, other words."""
        flags: list[str] = []
        unknown: list[str] = []
        others: list[str] = []
        left = deque(words)
        while left:
            word = left.popleft()
            name, equals, value = word.partition("=")
            action = self._known.get(f"--{with_underscores(name[2:])}")
            if not word.startswith("-"):
                others.append(word)
            elif action is None or not word.startswith("--"):
                unknown += [word, *([] if equals else _values(left))]
            else:
                flags += _flag(action, value if equals else None, left)
        return flags, unknown, others


def _flag(action: argparse.Action, value: str | None, left: deque[str]) -> list[str]:
    """A declared flag as argparse reads it without doubt; its values are taken from ``left``."""
    name = action.option_strings[0]
    if action.nargs == 0:
        return _switch(name, value)
    if action.nargs == "+":
        values = _values(left) if value is None else value.split()
        return [name, *given_value(name[2:], values)]
    if value is None and left and not left[0].startswith("--"):
        value = left.popleft()
    if value is None and action.nargs == "?":
        return [name]
    return [f"{name}={given_value(name[2:], value)}"]


def _switch(name: str, value: str | None) -> list[str]:
    """A flag that stands for yes, also where it is written out."""
    if value is None or value.lower() == "true":
        return [name]
    if value.lower() != "false":
        raise UsageError(f"{name}: got {value!r}, allowed is {name} without a value.")
    return []


def _values(left: deque[str]) -> list[str]:
    """Take the words up to the next flag."""
    values = []
    while left and not left[0].startswith("--"):
        values.append(left.popleft())
    return values


def choice(allowed: Sequence[str]) -> Callable[[str], str]:
    """The type of a flag that takes one of some words."""

    def checked(value: str) -> str:
        if value not in allowed:
            raise argparse.ArgumentTypeError(
                f"got '{value}'{nearest(value, allowed)}; allowed: {', '.join(allowed)}"
            )
        return value

    return checked


def count(value: str) -> int:
    """The type of a flag that takes an integer from 1."""
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"got {value}, allowed is an integer >= 1")
    return number
