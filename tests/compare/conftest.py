"""Comparisons whose runs are trained in the process of the test."""

from __future__ import annotations

import pytest
from pools import InProcess

from recbole_bns.runner import cluster, run


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> InProcess:
    made = InProcess()
    monkeypatch.setattr(cluster, "LocalProcesses", lambda: made)
    monkeypatch.setattr(run, "PAUSE", 0)
    return made
