"""What a user sees while many trainings run."""

from __future__ import annotations

import io

from recbole_bns.common.progress import RunsProgress


def test_progress_shows_runs_and_the_time_left(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("recbole_bns.common.progress.time", lambda: clock[0])
    stream = io.StringIO()
    with RunsProgress("x", 4, 2, stream=stream) as progress:
        progress.running(0.5)
        clock[0] += 10
        progress.finished("dns with seed 1: good")
        progress.finished("dns with seed 2: good")
    assert stream.getvalue().splitlines() == [
        "x: 3 of 4 runs, dns with seed 1: good; 00:10 elapsed, about 00:10 left",
        "x: 4 of 4 runs, dns with seed 2: good; 00:10 elapsed, about 00:00 left",
    ]
