"""What a call of ``run_recbole_bns`` asks for, as it is handed from process to process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.runs.folder import SETTINGS, folder_of

from .resume import AUTO


@dataclass(frozen=True)
class Asked:
    """The arguments of :func:`.run.run_recbole_bns`; see there."""

    model: str | type | None
    dataset: str | None
    files: list[str] | None
    settings: Mapping[str, Any]
    out: str | Path | None = None
    result_file: str | Path | None = None
    per_user: str | Path | None = None
    resume: str | Path | None = None
    made: Path | None = None
    """The folder of the run, where it has been made already, with the data in it."""

    @property
    def held(self) -> Path | None:
        """The folder of the run that is to go on, where one is named.

        Raises:
            UsageError: it is none.
        """
        named = self.resume is not None and str(self.resume) != AUTO
        return folder_of(str(self.resume)) if named else None

    @property
    def paths(self) -> list[str]:
        """Files of settings, later ones win: those of the run that goes on, and the user's."""
        return [*([str(self.held / SETTINGS)] if self.held else []), *(self.files or [])]

    def config(self, **own: Any) -> BNSConfig:
        """All settings, resolved.

        Args:
            own: settings of this process.

        Raises:
            UsageError: one of them is not allowed.
        """
        return BNSConfig(self.model, self.dataset, self.paths, {**self.settings, **own})
