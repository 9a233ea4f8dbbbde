"""What a user sees while a model is trained."""

from __future__ import annotations

from time import time
from typing import TextIO

from tqdm import tqdm

from recbole_bns.common.progress import Display
from recbole_bns.runs.results import EpochReport


class Progress(Display):
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
        super().__init__(
            title,
            shown,
            stream,
            total=epochs,
            bar_format="{desc}: epoch {n:.1f} of {total} |{bar:16}| "
            "{elapsed} elapsed, at most {remaining} left{postfix}",
        )
        self.epochs, self.metric, self.bigger = epochs, metric, bigger
        self.best: tuple[float, int] | None = None
        self._step = 1 / max(batches, 1)

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
        rate = (time() - self._began) / report.epoch
        left = tqdm.format_interval(rate * (self.epochs - report.epoch))
        self._line(f"epoch {report.epoch} of {self.epochs}, {text}, at most {left} left")
