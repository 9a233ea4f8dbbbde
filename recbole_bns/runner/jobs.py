"""What one training of many is, and what it leaves in the folder that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recbole_bns.common.files import beside

TRAIN_AND_TEST = "recbole_bns.runner.tasks:train_and_test"
VALIDATE = "recbole_bns.runner.tasks:validate"


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        name: for people, as in ``dns with seed 3``.
        model: RecBole's name, or None where files or defaults say it.
        dataset: likewise.
        config_files: YAML files of the user.
        settings: laid over them.
        folder: of the run; all else of the job lies beside it, under its name.
        threads: of the process.
        epochs: at the most; by them it is told how much is done.
        record: goes into the journal, with how the job ended.
        task: ``module:function``, a function of the job that returns its result for the journal.
        leaves: endings of the files that a finished job has beside its folder.
        modules: imported before: those that register models and samplers.
    """

    name: str
    model: str | None
    dataset: str | None
    config_files: list[str] | None
    settings: Mapping[str, Any]
    folder: Path
    threads: int = 1
    epochs: int = 1
    record: Mapping[str, Any] = field(default_factory=dict)
    task: str = TRAIN_AND_TEST
    leaves: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    @property
    def journal(self) -> Path:
        """The file that says how the job ended."""
        return beside(self.folder, ".json")

    @property
    def log(self) -> Path:
        """The file with all that the job said; it goes where that was nothing."""
        return beside(self.folder, ".log")

    @property
    def share_done(self) -> float:
        """How much of the training is done, by its epochs: 0 to 1."""
        try:
            lines = (self.folder / "epochs.csv").read_bytes().count(b"\n")
        except OSError:
            return 0.0
        return min(max(lines - 1, 0) / self.epochs, 1.0)
