"""What a user sees while waiting: a bar on a terminal, a line an event elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from time import time
from types import TracebackType
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

from .terminal import WIDEST, fitting, width_of, wrapped

LEAST_BAR = 5
"""Columns of the shortest bar, with what is on either side of it."""


class Bar(tqdm):  # type: ignore[misc]
    """A bar of tqdm with the words before it, which are made for the width of the moment.

    The words come first: the bar has what they leave, and nothing where that is too little.

    Args:
        words: of a number of columns, of which they may take as many.
        bar: what ``tqdm`` takes.
    """

    def __init__(self, words: Callable[[int], str], **bar: Any) -> None:
        self.words = words
        super().__init__(**bar)

    @property
    def format_dict(self) -> dict[str, Any]:
        """What tqdm draws by."""
        width = width_of(self.fp) - 1  # a full line moves some terminals to the next one
        words = self.words(width)
        room = width - len(words) - 1 >= LEAST_BAR
        shape = words.replace("{", "{{").replace("}", "}}") + (" |{bar}|" if room else "")
        return {**super().format_dict, "ncols": width, "bar_format": shape}


class Display:
    """A bar on a terminal, lines elsewhere, or nothing; closed at the end of a ``with``.

    Args:
        title: what is under way.
        shown: False shows nothing.
        stream: where to; the terminal's error stream by default.
        bar: what else ``tqdm`` takes.
    """

    def __init__(self, title: str, shown: bool, stream: TextIO | None, **bar: Any) -> None:
        self.title = title
        self.over = False
        """Whether it has come to its end by itself."""
        self._began = time()
        self._stream = stream or sys.stderr
        terminal = self._stream.isatty()
        self._lines, self._screen = shown and not terminal, shown and terminal
        self._bar = Bar(self._words, file=self._stream, disable=not self._screen, **bar)

    def __enter__(self: D) -> D:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over = kind is None
        self._bar.close()

    def forms(self) -> Sequence[str]:
        """What stands before the bar: the most that there is to say first, the least last."""
        return [self.title]

    def _words(self, width: int) -> str:
        return fitting(self.forms(), width).rstrip()

    def _line(self, text: str) -> None:
        """Say something where there is no terminal."""
        if self._lines:
            print(f"{self.title}: {text}", file=self._stream, flush=True)

    def _above(self, *lines: str) -> None:
        """Say something above the bar."""
        if self._screen:
            Bar.write("\n".join(lines), file=self._stream)

    @property
    def _width(self) -> int:
        """Columns of what is said beside the bar."""
        return min(width_of(self._stream), WIDEST) if self._screen else WIDEST


D = TypeVar("D", bound=Display)


def duration(seconds: float) -> str:
    """``01:20``, or ``1:01:20`` from an hour on."""
    return str(tqdm.format_interval(seconds))


class RunsProgress(Display):
    """Runs that are done, and the time that the others will take: one display for many processes.

    Args:
        title: what is compared.
        runs: how many there are.
        done: how many of them an earlier command has finished.
        expected: seconds that those to come will take together, where earlier ones tell.
        shown: False shows nothing.
        stream: where to; the terminal's error stream by default.
    """

    def __init__(
        self,
        title: str,
        runs: int,
        done: int,
        *,
        expected: float | None = None,
        shown: bool = True,
        stream: TextIO | None = None,
    ) -> None:
        self.runs, self.done, self._before = runs, done, done
        self.expected, self._parts = expected, 0.0
        super().__init__(title, shown, stream, total=runs, initial=done)

    def forms(self) -> list[str]:
        """Runs done, time spent and left."""
        done, runs, spent = self.done, self.runs, duration(time() - self._began)
        if self.over:
            return [f"{self.title}: {done} of {runs} runs in {spent}", f"{done}/{runs} in {spent}"]
        left = self.left()
        if left is None:
            unknown = "time left unknown until the first run ends"
            return [
                f"{self.title}: {done} of {runs} runs, {spent} elapsed, {unknown}",
                f"{done} of {runs} runs, {unknown}",
                f"{done} of {runs} runs, {spent} elapsed",
                f"{done}/{runs}",
            ]
        about = duration(left)
        return [
            f"{self.title}: {done} of {runs} runs, {spent} elapsed, about {about} left",
            f"{done} of {runs} runs, about {about} left",
            f"{done}/{runs}, {about} left",
            f"{done}/{runs} {about}",
        ]

    def left(self) -> float | None:
        """Seconds that the others will take; None where nothing tells."""
        spent = time() - self._began
        if self.done > self._before:
            worked = self.done - self._before + self._parts
            return spent / worked * max(self.runs - self.done - self._parts, 0)
        return None if self.expected is None else max(self.expected - spent, 0)

    def running(self, parts: float) -> None:
        """Runs under way have done so much together: 1.5 are one and a half runs."""
        self._parts = parts
        self._bar.n = min(self.done + parts, self.runs)
        self._bar.refresh()

    def finished(self, text: str, *more: str) -> None:
        """One more run has ended, well or not.

        Args:
            text: how it ended.
            more: what else there is to say, in lines of its own.
        """
        self.done += 1
        self._parts = 0.0
        self._bar.n = max(self._bar.n, self.done)
        spent = time() - self._began
        rest = spent / (self.done - self._before) * (self.runs - self.done)
        elapsed, left = duration(spent), duration(rest)
        self._line(f"{self.done} of {self.runs} runs, {text}; {elapsed} elapsed, about {left} left")
        further = [
            line for each in more for line in wrapped(each, self._width, first="  ", later="    ")
        ]
        self._above(*wrapped(text, self._width), *further)
        if self._lines and further:
            print("\n".join(further), file=self._stream, flush=True)
