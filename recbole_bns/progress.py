"""What a user sees while waiting: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import sys
from time import time
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

from .trainer import EpochReport


class Progress:
    """Epochs, time left, loss and the validation metric with its best value so far.

    Args:
        title: what is trained.
        epochs: how many at the most; early stopping can end sooner.
        batches: in an epoch.
        metric: name of the validation metric, lower case.
        bigger: whether more of it is better.
        shown: False shows nothing.
        stream: where to; the terminal's error stream by default.
    """

    def __init__(
        self,
        title: str,
        epochs: int,
        batches: int,
        metric: str,
        *,
        bigger: bool = True,
        shown: bool = True,
        stream: TextIO | None = None,
    ) -> None:
        self.title, self.epochs, self.metric = title, epochs, metric
        self.bigger = bigger
        self.best: tuple[float, int] | None = None
        self._began = time()
        self._step = 1 / max(batches, 1)
        self._stream = stream or sys.stderr
        self._terminal = shown and self._stream.isatty()
        self._lines = shown and not self._terminal
        self._bar = tqdm(
            total=epochs,
            desc=title,
            file=self._stream,
            disable=not self._terminal,
            bar_format="{desc}: epoch {n:.1f} of {total} |{bar:16}| "
            "{elapsed} elapsed, at most {remaining} left{postfix}",
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def batch(self) -> None:
        """One batch is done."""
        self._bar.update(self._step)

    def epoch(self, report: EpochReport) -> None:
        """One epoch is done."""
        text = f"loss {report.train_loss:.4g}"
        if report.valid_result and self.metric in report.valid_result:
            value = report.valid_result[self.metric]
            if self.best is None or (
                value >= self.best[0] if self.bigger else value <= self.best[0]
            ):
                self.best = value, report.epoch
            text += f", {self.metric} {value:.4f} (best {self.best[0]:.4f}, epoch {self.best[1]})"
        self._bar.n = report.epoch
        self._bar.set_postfix_str(text)
        if self._lines:
            rate = (time() - self._began) / report.epoch
            left = tqdm.format_interval(rate * (self.epochs - report.epoch))
            line = (
                f"{self.title}: epoch {report.epoch} of {self.epochs}, {text}, at most {left} left"
            )
            print(line, file=self._stream, flush=True)


class RunsProgress:
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
        self.title, self.runs, self.done = title, runs, done
        self._before, self._began = done, time()
        self._stream = stream or sys.stderr
        self._lines = shown and not self._stream.isatty()
        self._bar = tqdm(
            total=runs,
            initial=done,
            desc=title,
            file=self._stream,
            smoothing=0,
            disable=not (shown and self._stream.isatty()),
            bar_format="{desc}: {n:.1f} of {total} runs |{bar:16}| "
            "{elapsed} elapsed, about {remaining} left{postfix}",
        )

    def __enter__(self) -> RunsProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def running(self, parts: float) -> None:
        """Runs under way have done so much together: 1.5 are one and a half runs."""
        self._bar.n = min(self.done + parts, self.runs)
        self._bar.refresh()

    def finished(self, text: str) -> None:
        """One more run has ended, well or not; ``text`` says how."""
        self.done += 1
        self._bar.n = max(self._bar.n, self.done)
        self._bar.set_postfix_str(text)
        if self._lines:
            spent = time() - self._began
            left = spent / (self.done - self._before) * (self.runs - self.done)
            times = (tqdm.format_interval(seconds) for seconds in (spent, left))
            line = "{}: {} of {} runs, {}; {} elapsed, about {} left".format(
                self.title, self.done, self.runs, text, *times
            )
            print(line, file=self._stream, flush=True)
