"""The mark ``process``: a test that starts another process has it, one that starts none has not.

What a test starts is seen by an audit hook of the interpreter, so that the mark stays true without
anyone keeping it: ``pytest -m "not process and not slow"`` stays quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from typing import Any

import pytest

EVENTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"})
"""Of ``sys.addaudithook``: all that starts a process here."""
QUESTIONS = frozenset(
    {"fc-list", "gcc", "ld", "ldconfig", "lscpu", "nvidia-smi", "sysctl", "uname"}
)
"""Programs that libraries ask about the machine when first used; they do not count."""
NO_MARK = "This test starts another process: mark it with @pytest.mark.process."
NO_PROCESS = "This test starts no other process: take @pytest.mark.process from it."


class ProcessMark:
    """A plugin of pytest: fails tests whose mark is not true.

    A fixture of wider scope that starts a process counts for every test that uses it, since any
    of them can be the first.
    """

    def __init__(self) -> None:
        self._test: pytest.Item | None = None
        self._started = False
        self._starting_fixtures: set[str] = set()
        self._process = os.getpid()  # what a forked child starts is its own affair
        sys.addaudithook(self._see)

    def _see(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in EVENTS or self._test is None or os.getpid() != self._process:
            return
        if args and os.path.basename(os.fsdecode(args[0])) in QUESTIONS:
            return
        self._started = True
        if not _marked(self._test):
            pytest.fail(NO_MARK, pytrace=False)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Watch one test, its fixtures included."""
        self._test, self._started = item, False
        try:
            return (yield)
        finally:
            self._test = None

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """Note a fixture that starts a process."""
        before, self._started = self._started, False
        try:
            return (yield)
        finally:
            if self._started and fixturedef.scope != "function":
                self._starting_fixtures.add(fixturedef.argname)
            self._started |= before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Compare the mark of a test that has passed with what it started."""
        result = yield
        fixtures = self._starting_fixtures.intersection(getattr(item, "fixturenames", ()))
        started = self._started or bool(fixtures)
        if started and not _marked(item):
            pytest.fail(NO_MARK, pytrace=False)
        if _marked(item) and not started:
            pytest.fail(NO_PROCESS, pytrace=False)
        return result


def _marked(test: pytest.Item) -> bool:
    return test.get_closest_marker("process") is not None
