"""Threads of a run: given to torch and back, kept for a resumed run; a word where it slows down."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from time import sleep as sleep_for
from types import SimpleNamespace

import pytest
import torch

from recbole_bns import UsageError, run_recbole_bns
from recbole_bns.common import threads as machine
from recbole_bns.common.threads import Moment
from recbole_bns.runs import checkpoint
from recbole_bns.runs.results import EpochReport
from recbole_bns.sampling.kernels import waiting
from recbole_bns.training import threads
from recbole_bns.training.threads import Pace


@pytest.fixture(autouse=True)
def _silent_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (machine.GIVEN, *machine.WAITING):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "usable_cores", lambda: (4, 4))


class Machine:
    """Four cores on which time goes by as a test says, and a sampler that may warm up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int, warm_up: int) -> None:
        self.time = self.busy = 0.0
        monkeypatch.setattr(Moment, "now", lambda: Moment(self.time, self.busy, 0.0))
        monkeypatch.setattr(Moment, "is_older_than", lambda m, s: self.time - m.time > s)
        monkeypatch.setattr(torch, "get_num_threads", lambda: count)
        self.sampler = SimpleNamespace(params=SimpleNamespace(warmup_epochs=warm_up))

    def go_on(self, seconds: float, others: float) -> None:
        """Time goes by, in which others work on so many cores."""
        self.time += seconds
        self.busy += seconds * others


def warnings_of(monkeypatch, caplog, seconds, others, warm_up=0, count=4):
    """What is said of epochs of so many ``seconds``, beside ``others`` cores of work."""
    clock = Machine(monkeypatch, count, warm_up)
    with caplog.at_level(logging.WARNING), Pace(clock.sampler) as pace:
        for epoch, (length, load) in enumerate(zip(seconds, others, strict=True)):
            pace.before(epoch)
            clock.go_on(length, load)
            pace.after(EpochReport(epoch + 1, 0.5, length, 0.1))
    return [record.getMessage() for record in caplog.records]


def test_an_epoch_that_others_slow_down_is_said_once(monkeypatch, caplog):
    monkeypatch.setattr(threads, "can_sleep", lambda: True)
    said = warnings_of(monkeypatch, caplog, [3, 1, 4.9, 5, 20], [0, 0, 1.5, 1.5, 1.5])
    assert said == [
        "epoch 4 took 5 s, 5 times the fastest, with 4 thread(s), while other processes kept 1.5 "
        "cores busy; let them end, or stop, and go on with --resume and --threads=1 (this is said "
        "once)."
    ]


@pytest.mark.parametrize(
    ("seconds", "others", "warm_up"),
    [
        ([1, 1, 9], [0, 0, 0.4], 0),  # it costs more by itself
        ([90, 1, 1], [2, 2, 2], 0),  # the first, which compiles
        ([1, 1, 9, 9], [2, 2, 2, 2], 2),  # the end of the warm-up
        ([5, 4, 1], [2, 2, 0], 0),  # it became quicker
    ],
)
def test_an_epoch_that_is_slow_for_another_reason_is_not(
    monkeypatch, caplog, seconds, others, warm_up
):
    assert warnings_of(monkeypatch, caplog, seconds, others, warm_up) == []


def test_threads_that_spin_are_said_how_to_sleep(monkeypatch, caplog):
    monkeypatch.setattr(threads, "can_sleep", lambda: False)
    (said,) = warnings_of(monkeypatch, caplog, [1, 1, 9], [0, 0, 2])
    assert "; with OMP_WAIT_POLICY=PASSIVE threads sleep while they wait" in said


def test_one_thread_has_nothing_to_lower(monkeypatch, caplog):
    (said,) = warnings_of(monkeypatch, caplog, [1, 1, 9], [0, 0, 3.6], count=1)
    assert "let them end (this is said once)" in said


def switches(monkeypatch, count, loads):
    """Whether threads sleep after each of a few batches of a second."""
    clock, found = Machine(monkeypatch, count, 0), []
    monkeypatch.setattr(waiting, "can_sleep", lambda: True)
    monkeypatch.setattr(waiting.Sleep, "_begin", lambda self: setattr(self, "_thread", self))
    monkeypatch.setattr(waiting.Sleep, "_stop", lambda self: setattr(self, "_thread", None))
    with Pace(None) as pace:
        for load in loads:
            clock.go_on(1.0, load)
            pace.batch()
            found.append(pace.sleep.is_on)
    assert not pace.sleep.is_on, "whatever comes after the training spins again"
    return found


def test_threads_sleep_while_others_want_the_cores(monkeypatch):
    assert switches(monkeypatch, 4, [0, 0.4, 0.6, 3, 0.4]) == [False, False, True, True, False]
    assert switches(monkeypatch, 2, [2.4, 2.5]) == [False, True], "as long as there are cores left"
    assert switches(monkeypatch, 1, [9]) == [False], "one thread waits for none"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert switches(monkeypatch, 4, [9]) == [False], "a user who says how they wait is right"


def tasks() -> int:
    """Threads of this process, of any library."""
    return len(os.listdir("/proc/self/task"))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads by Linux")
def test_a_team_that_sleeps_is_larger_than_the_cores_and_goes_again(monkeypatch):
    if not waiting.can_sleep():
        pytest.skip("torch's OpenMP is not GNU's here")
    sleep, before = waiting.Sleep(), tasks()
    sleep.switch(True)
    assert tasks() > before + (os.cpu_count() or 1)
    sleep.switch(True)
    sleep.switch(False)
    assert not sleep.is_on
    for _ in range(500):  # they end by themselves, soon after
        if tasks() <= before:
            break
        sleep_for(0.01)
    assert tasks() <= before


def test_a_run_goes_on_with_the_threads_that_it_had(settings, tmp_path, monkeypatch, capsys):
    seen: list[int] = []
    real = threads.Pace.before

    def before(self, epoch):
        seen.append(torch.get_num_threads())
        return real(self, epoch)

    monkeypatch.setattr(threads.Pace, "before", before)
    first = {**settings, "threads": 2, "epochs": 2}
    run_recbole_bns("BPR", "tiny", None, first, out=tmp_path / "run")
    state = checkpoint.load(tmp_path / "run" / "checkpoints" / "resume.pt")
    assert (seen, state["threads"], torch.get_num_threads()) == ([2, 2], 2, 1)
    more = {"epochs": 3, "show_progress": False, "threads": "auto"}
    run_recbole_bns(None, None, None, more, resume=tmp_path / "run")
    assert (set(seen), torch.get_num_threads()) == ({2}, 1), "auto is as many as before"
    assert "so far" not in capsys.readouterr().err


@pytest.mark.parametrize("value", [0, -1, 1.5, "two", True, [1]])
def test_threads_are_a_number_or_auto(make, value):
    with pytest.raises(UsageError, match=r"^threads: got .* allowed is auto, or an integer >= 1"):
        make(threads=value)
