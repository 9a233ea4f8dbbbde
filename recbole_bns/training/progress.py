"""What a user sees while a model is trained."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from time import time
from typing import TextIO

from recbole_bns.common.progress import Display, duration
from recbole_bns.common.terminal import width_of, wrapped
from recbole_bns.runs.results import EpochReport


class Progress(Display):
    """Epochs, time left, loss and the validation metric with its best value so far.

    On a terminal all of it fits the width: first the bar shrinks, then the words become fewer.

    Args:
        title: what is trained.
        epochs: how many at the most; early stopping can end sooner.
        batches: in an epoch.
        metric: name of the validation metric, lower case.
        bigger: whether more of it is better.
        device: that trains, in words, for the first line; empty says nothing.
        before: epochs of an earlier process, which tell nothing of this one's time.
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
        device: str = "",
        before: Sequence[EpochReport] = (),
        shown: bool = True,
        stream: TextIO | None = None,
    ) -> None:
        self.epochs, self.metric, self.bigger = epochs, metric, bigger
        self.best: tuple[float, int] | None = None
        self._loss: float | None = None
        self._value: float | None = None
        self.done = 0
        for report in before:
            self._take(report)
        self.before = self.done
        self._step, self._share = 1 / max(batches, 1), 0.0
        self._ended = time()
        if shown and device:
            _say_first(f"{title}: {device}", stream)
        super().__init__(title, shown, stream, total=epochs, initial=self.before)

    def batch(self) -> None:
        """One batch is done."""
        self._share += self._step
        self._bar.update(self._step)

    def epoch(self, report: EpochReport) -> None:
        """One epoch is done."""
        self._ended, self._share = time(), 0.0
        measured = self._take(report)
        self._bar.n = report.epoch
        self._bar.refresh()
        text = joined(f"loss {report.train_loss:.4g}", self._values()[0] if measured else "")
        left = duration(self._rate() * (self.epochs - report.epoch))
        self._line(f"epoch {report.epoch} of {self.epochs}, {text}, at most {left} left")

    def _take(self, report: EpochReport) -> bool:
        """Keep what an epoch says; whether the metric is among it."""
        self.done, self._loss = report.epoch, report.train_loss
        value = (report.valid_result or {}).get(self.metric)
        if value is None:
            return False
        self._value = value
        if self.best is None or (value >= self.best[0] if self.bigger else value <= self.best[0]):
            self.best = value, report.epoch
        return True

    def _rate(self) -> float:
        """Seconds an epoch, of those that this process has finished, at least one."""
        return (self._ended - self._began) / max(self.done - self.before, 1)

    def left(self) -> float | None:
        """Seconds to the last epoch; None before a whole one is over."""
        if self.done <= self.before:
            return None
        rest = self._rate() * (self.epochs - self.done)
        return max(rest - (time() - self._ended), 0.0)

    def forms(self) -> list[str]:
        """Epoch, time left, metric and best, in fewer and fewer words."""
        if self.over:
            return self._forms_at_the_end()
        now, left = min(self.done + 1, self.epochs), self.left()
        full, short = f"epoch {now} of {self.epochs}", f"{now}/{self.epochs}"
        time_left, at_most = "", ""
        if left is not None:
            time_left, at_most = f"{duration(left)} left", f"at most {duration(left)} left"
        part = f"{full} ({min(round(100 * self._share), 100)} %)"
        loss = "" if self._loss is None else f"loss {self._loss:.4g}"
        values = self._values()
        return [
            # the bar is to be seen beside the most that there is to say
            f"{joined(part, at_most, loss, values[0])}{' ' * 12}",
            joined(full, time_left, values[1]),
            joined(full, time_left, values[2]),
            joined(short, time_left, values[3]),
            f"{short} {'' if left is None else duration(left)} {values[4]}".strip(),
        ]

    def _forms_at_the_end(self) -> list[str]:
        done, spent, values = self.done, duration(time() - self._began), self._values()
        said = f"{done} of {self.epochs} epochs in {spent}"
        return [joined(said, value) for value in values[:3]] + [
            joined(f"{done}/{self.epochs} in {spent}", values[4])
        ]

    def _values(self) -> list[str]:
        """The metric and its best value, in fewer and fewer words; empty before the first."""
        if self.best is None or self._value is None:
            return [""] * 5
        name, (best, epoch), value = self.metric, self.best, self._value
        return [
            f"{name} {value:.4f} (best {best:.4f}, epoch {epoch})",
            f"{name} {value:.4f}, best {best:.4f} (epoch {epoch})",
            f"{name} {value:.4f}, best {best:.4f}",
            f"{value:.4f}, best {best:.4f}",
            f"{value:.4f} best {best:.4f}",
        ]


def joined(*parts: str) -> str:
    """Parts with a comma between them, empty ones left out."""
    return ", ".join(part for part in parts if part)


def _say_first(text: str, stream: TextIO | None) -> None:
    """The line before the bar, or before the lines of the epochs."""
    out = stream or sys.stderr
    lines = wrapped(text, width_of(out)) if out.isatty() else [text]
    print("\n".join(lines), file=out, flush=True)
