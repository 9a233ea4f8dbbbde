"""What a user sees while a model is trained, on screens of any width."""

from __future__ import annotations

import os
import struct
import sys

import pytest
import torch
from screens import Screen, fits, screen_of

from recbole_bns.runs.results import EpochReport
from recbole_bns.training import progress as module
from recbole_bns.training.device import device_words
from recbole_bns.training.progress import Progress


def report(epoch: int, value: float | None) -> EpochReport:
    return EpochReport(epoch, 0.5, 1.0, 0.01, None if value is None else {"ndcg@20": value})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the display sees; tqdm's own clock stands still, so that each line is drawn."""
    now = [1000.0]
    for each in (module, sys.modules["recbole_bns.common.progress"]):
        monkeypatch.setattr(each, "time", lambda: now[0])
    return now


def trained(screen: Screen, clock: list[float], epochs: int = 30) -> list[str]:
    """All lines that a training of four epochs draws: 10 s each, the second one the best."""
    device = "on the CPU with 2 threads"
    shown = Progress(
        "LightGCN on ml-100k with bns", epochs, 2, "ndcg@20", device=device, stream=screen
    )
    with shown as progress:
        progress.batch()
        progress._bar.refresh()
        for epoch, value in ((1, 0.1), (2, 0.3), (3, 0.2), (4, None)):
            clock[0] += 10
            progress.epoch(report(epoch, value))
    return screen.drawn()


@pytest.mark.parametrize(
    ("width", "words", "bar"),
    [
        (120, "epoch 4 of 30 (0 %), at most 04:30 left, loss 0.5, ndcg@20 0.2000 (best 0.3", True),
        (80, "epoch 4 of 30, 04:30 left, ndcg@20 0.2000, best 0.3000 (epoch 2)", True),
        (60, "epoch 4 of 30, 04:30 left, ndcg@20 0.2000, best 0.3000", False),
        (40, "4/30, 04:30 left, 0.2000, best 0.3000", False),
        (32, "4/30 04:30 0.2000 best 0.3000", False),
    ],
)
def test_words_stay_and_the_bar_has_what_they_leave(width, words, bar, clock, monkeypatch):
    lines = trained(screen_of(width, monkeypatch), clock)
    assert fits(lines, width)
    third = next(line for line in lines if "0.2000" in line and "04:30" in line)
    assert third.startswith(words)
    assert third.endswith("|") == bar
    last = lines[-1]
    assert "4 of 30 epochs in 00:40" in last or "4/30 in 00:40" in last
    assert "left" not in last


def test_the_device_is_on_the_first_line(clock, monkeypatch):
    lines = trained(screen_of(80, monkeypatch), clock)
    assert lines[0] == "LightGCN on ml-100k with bns: on the CPU with 2 threads"
    lines = trained(screen_of(40, monkeypatch), clock)
    assert " ".join(line.strip() for line in lines[:2]) == (
        "LightGCN on ml-100k with bns: on the CPU with 2 threads"
    )


def test_no_time_is_left_before_a_whole_epoch(clock, monkeypatch):
    lines = trained(screen_of(80, monkeypatch), clock)
    first = [line for line in lines if line.startswith("epoch 1 of 30")]
    assert first
    assert not [line for line in first if "left" in line]
    assert any(line.startswith("epoch 1 of 30 (50 %)") for line in first)


def test_the_time_left_is_of_the_epochs_of_this_process(clock, monkeypatch):
    screen = screen_of(80, monkeypatch)
    before = [report(1, 0.1), report(2, 0.4)]
    with Progress("x", 10, 2, "ndcg@20", before=before, stream=screen) as progress:
        assert progress.left() is None
        clock[0] += 5
        progress.epoch(report(3, 0.2))
        assert progress.left() == 5 * 7
        clock[0] += 2
        assert progress.left() == 5 * 7 - 2
    assert progress.best == (0.4, 2), "the best so far is of an earlier process"


def test_less_may_be_better(clock, monkeypatch):
    screen = screen_of(80, monkeypatch)
    with Progress("x", 4, 2, "ndcg@20", bigger=False, stream=screen) as progress:
        for epoch, value in ((1, 0.9), (2, 0.7), (3, 0.8), (4, None)):
            progress.epoch(report(epoch, value))
    assert "ndcg@20 0.8000 (best 0.7000, epoch 2)" in screen.drawn()[-1]
    assert screen.getvalue().count("\n") == 1, "a bar is one line"


def test_progress_that_is_not_shown_says_nothing():
    screen = Screen()
    with Progress("x", 1, 1, "ndcg@20", device="here", shown=False, stream=screen) as progress:
        progress.batch()
        progress.epoch(report(1, 0.5))
    assert screen.getvalue() == ""
    assert progress.best == (0.5, 1)


def test_the_width_is_that_of_the_terminal_itself(clock, monkeypatch):
    """A pseudo-terminal, which is made narrower meanwhile."""
    pty, fcntl, termios = map(pytest.importorskip, ("pty", "fcntl", "termios"))
    monkeypatch.delenv("COLUMNS", raising=False)
    reader, writer = pty.openpty()

    def widen(columns: int) -> None:
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read() -> list[str]:
        text = os.read(reader, 1 << 16).decode().replace("\r", "\n")
        return [line.rstrip() for line in text.split("\n") if line.strip()]

    widen(70)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        with Progress("x", 30, 2, "ndcg@20", stream=stream) as progress:
            clock[0] += 10
            progress.epoch(report(1, 0.1))
            assert fits(wide := read(), 70)
            assert wide[-1].startswith("epoch 2 of 30, 04:50 left, ndcg@20 0.1000, best 0.1000 (")
            widen(45)
            progress.epoch(report(2, 0.1))
            assert fits(narrow := read(), 45)
            assert narrow[-1].startswith("3/30, 02:20 left, 0.1000, best 0.1000")
        assert read()
    os.close(reader)


def test_the_device_in_words(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert device_words(torch.device("cpu")) == "on the CPU with 1 thread"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    assert device_words(torch.device("cuda", 1)) == "on GPU 1"
