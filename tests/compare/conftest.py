"""Comparisons whose runs are trained in the process of the test."""

from __future__ import annotations

import pytest
from comparisons import InProcess

from recbole_bns.compare import command
from recbole_bns.runner import run


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> type[InProcess]:
    for name, value in (("started", []), ("failing", set()), ("stopping", set())):
        monkeypatch.setattr(InProcess, name, value)
    monkeypatch.setattr(command, "LocalProcesses", InProcess)
    monkeypatch.setattr(run, "PAUSE", 0)
    return InProcess
