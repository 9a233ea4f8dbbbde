"""What a user sees while waiting: a bar on a terminal, a line an event elsewhere."""

from __future__ import annotations

import sys
from time import time
from types import TracebackType
from typing import Any, TextIO, TypeVar

from tqdm import tqdm


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
        self._began = time()
        self._stream = stream or sys.stderr
        terminal = self._stream.isatty()
        self._lines = shown and not terminal
        self._bar = tqdm(desc=title, file=self._stream, disable=not (shown and terminal), **bar)

    def __enter__(self: D) -> D:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def _line(self, text: str) -> None:
        if self._lines:
            print(f"{self.title}: {text}", file=self._stream, flush=True)


D = TypeVar("D", bound=Display)


class RunsProgress(Display):
    """Runs that are done, and the time that the others will take: one display for many processes.

    Args:
        title: what is compared.
        runs: how many there are.
        done: how many of them an earlier command has finished.
        shown: False shows nothing.
        stream: where to; the terminal's error stream by default.
    """

    def __init__(
        self, title: str, runs: int, done: int, *, shown: bool = True, stream: TextIO | None = None
    ) -> None:
        super().__init__(
            title,
            shown,
            stream,
            total=runs,
            initial=done,
            smoothing=0,
            bar_format="{desc}: {n:.1f} of {total} runs |{bar:16}| "
            "{elapsed} elapsed, about {remaining} left{postfix}",
        )
        self.runs, self.done, self._before = runs, done, done

    def running(self, parts: float) -> None:
        """Runs under way have done so much together: 1.5 are one and a half runs."""
        self._bar.n = min(self.done + parts, self.runs)
        self._bar.refresh()

    def finished(self, text: str) -> None:
        """One more run has ended, well or not; ``text`` says how."""
        self.done += 1
        self._bar.n = max(self._bar.n, self.done)
        self._bar.set_postfix_str(text)
        spent = time() - self._began
        rest = spent / (self.done - self._before) * (self.runs - self.done)
        elapsed, left = (tqdm.format_interval(seconds) for seconds in (spent, rest))
        self._line(f"{self.done} of {self.runs} runs, {text}; {elapsed} elapsed, about {left} left")
