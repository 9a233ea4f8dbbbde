"""What a sweep shows: each trial with what was drawn for it, the best so far, tables that fit."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from screens import fits, screen_of
from swept import RESULT

from recbole_bns.cli.flags import parse_flags
from recbole_bns.tuning import records, report
from recbole_bns.tuning.callback import Recorder
from recbole_bns.tuning.plan import Plan, read_plan
from recbole_bns.tuning.records import Record

DRAWN = [(0.1, 5, 0.3), (0.2, 10, 0.6), (0.4, 15, 0.5)]


@pytest.fixture
def plan(settings: dict[str, Any], tmp_path: Path) -> Plan:
    flags = {"model": "BPR", "dataset": "tiny", "neg_sampler": "dns", "num_samples": "4"}
    words = [f"--{key}={value}" for key, value in {**settings, **flags}.items()]
    return read_plan(parse_flags([*words, f"--out={tmp_path}"]), "tune")


def config_of(rate: float, number: int) -> dict[str, Any]:
    args = {"candidate_num": number, "best_num": 1}
    return {"learning_rate": rate, "reg_weight": 0.01, "neg_sampler_args": args}


def record_of(place: int) -> Record:
    rate, number, value = DRAWN[place]
    metrics = {"epoch": 1.0, "train_loss": 1.0, "train_seconds": 2.0, "ndcg@20": value}
    return Record(f"t_{place}", config_of(rate, number), {1: metrics}, records.FINISHED)


def swept(plan: Plan, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three trials end, the second one the best."""
    monkeypatch.setattr(sys, "stderr", stream)
    with Recorder(plan, {}, shown=True) as recorder:
        for place, (rate, number, value) in enumerate(DRAWN):
            trial = SimpleNamespace(trial_id=f"d7de3_0000{place}", config=config_of(rate, number))
            recorder.begin(trial)
            numbers = {"epoch": 7, "train_loss": 0.5, "train_seconds": 1.0, "ndcg@20": value}
            recorder.report(trial, {**numbers, "reported": " ".join(numbers)})
            recorder.end(trial, records.STOPPED)


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_a_terminal_shows_what_was_drawn_and_the_best_so_far(width, plan, monkeypatch):
    screen = screen_of(width, monkeypatch)
    swept(plan, screen, monkeypatch)
    lines = screen.drawn()
    assert fits(lines, width)
    assert fits([line for line in lines if "of 4 runs" not in line], 100)
    text = " ".join(" ".join(lines).split())
    assert "trial d7de3_00000 stopped early after 7 epochs, ndcg@20 0.3000" in text
    assert "with learning_rate 0.4, reg_weight 0.01, candidate_num 15, best_num 1" in text
    best = (
        "best so far: ndcg@20 0.6000 in epoch 7, trial d7de3_00001, with learning_rate 0.2, "
        "reg_weight 0.01, candidate_num 10, best_num 1"
    )
    assert text.count(best) == 2
    assert "best so far: ndcg@20 0.3000 in epoch 7, trial d7de3_00000" in text


def test_elsewhere_they_are_lines_beneath_that_of_the_trial(plan, monkeypatch):
    stream = io.StringIO()
    swept(plan, stream, monkeypatch)
    lines = stream.getvalue().splitlines()
    assert fits([line for line in lines if line.startswith(" ")], 100)
    first = next(place for place, line in enumerate(lines) if "2 of 4 runs" in line)
    assert lines[first].startswith(
        "BPR on tiny: 2 of 4 runs, trial d7de3_00001 stopped early after 7 epochs, ndcg@20 0.6000;"
    )
    assert (
        lines[first + 1]
        == "  with learning_rate 0.2, reg_weight 0.01, candidate_num 10, best_num 1"
    )
    assert lines[first + 2].startswith("  best so far: ndcg@20 0.6000 in epoch 7, trial ")


@pytest.mark.parametrize("width", [50, 80, 100])
def test_the_tables_fit(width, plan):
    found = {f"t_{place}": record_of(place) for place in range(3)}
    text = report.screen(plan, found, found["t_1"], RESULT, width)
    assert fits(text.splitlines(), width)
    said = " ".join(text.split())
    assert said.startswith("BPR on tiny: the best of 3 trials")
    winner = "The winner, trial t_1, ndcg@20 0.6000 in validation in epoch 1: learning_rate 0.2,"
    assert winner in said
    heads = [line.split() for line in text.splitlines() if line.startswith("trial")]
    assert "learning_rate" in heads[0]
    assert {"candidate_num", "ndcg@20", "status"} <= {word for line in heads for word in line}
    assert "0.5500" in said, "the test of the winner"


def test_a_terminal_gets_the_table_and_the_paths_last(plan, monkeypatch, tmp_path):
    screen = screen_of(90, monkeypatch)
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(report, "retrain", lambda plan: RESULT)
    found = {f"t_{place}": record_of(place) for place in range(3)}
    assert report.conclude(plan, found, stopped=False) == 0
    lines = screen.drawn()
    assert lines[-1] == f"all tables: {tmp_path / 'tune.md'}"
    assert fits([line for line in lines if str(tmp_path) not in line], 90)
    assert "## Effects" in (tmp_path / "tune.md").read_text(encoding="utf-8")
