"""How many threads a run takes, by cores, quota, load and what a user says; how they wait."""

from __future__ import annotations

import os
from typing import Any, NoReturn

import psutil
import pytest

from recbole_bns.common import threads
from recbole_bns.common.threads import Moment, choose, others_between

CORES = 8
REAL_CORES = threads.usable_cores


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores without a quota, and an environment that says nothing."""
    monkeypatch.setattr(threads, "usable_cores", lambda: (CORES, CORES))
    for name in (threads.GIVEN, *threads.WAITING):
        monkeypatch.delenv(name, raising=False)


def unseen() -> NoReturn:
    raise AssertionError("the machine was looked at where its load is no matter")


@pytest.mark.parametrize(
    ("others", "number"), [(0.0, 8), (0.4, 8), (0.6, 7), (3.0, 5), (7.9, 1), (8.0, 1), (9.5, 1)]
)
def test_auto_takes_the_cores_that_others_leave(others, number):
    choice = choose("auto", most=CORES, others=lambda: others)
    assert choice.number == number
    assert bool(choice.note) == (number < CORES), "it is said where it is fewer than could be"


@pytest.mark.parametrize(("others", "number"), [(1.0, 7), (3.4, 5), (3.6, 8), (12.0, 8)])
def test_threads_that_sleep_are_fewer_where_that_gains(others, number):
    assert choose("auto", most=CORES, sleep=True, others=lambda: others).number == number


def test_cores_are_short_where_others_have_those_that_are_wanted():
    assert [threads.short_of_cores(4, others) for others in (4.0, 4.4, 4.5)] == [False, False, True]


def test_a_quota_counts_beside_the_load_and_not_on_top_of_it(monkeypatch):
    monkeypatch.setattr(threads, "usable_cores", lambda: (CORES, 3))
    assert choose("auto", most=CORES, others=lambda: 4.0).number == 3
    assert choose("auto", most=CORES, others=lambda: 6.0).number == 2


def test_auto_takes_no_more_than_torch_has():
    assert choose("auto", most=2, others=lambda: 0.0).number == 2
    assert choose("auto", most=1, others=unseen).number == 1


def test_processes_of_a_team_share_the_cores_whatever_the_load():
    assert [choose("auto", most=CORES, team=n, others=unseen).number for n in (2, 3, 9)] == [
        4,
        2,
        1,
    ]


def test_a_number_and_the_run_so_far_need_no_look():
    assert choose(3, most=CORES, others=unseen).number == 3
    resumed = choose("auto", most=CORES, held=5, others=unseen)
    assert (resumed.number, resumed.note) == (5, "")


def test_another_number_than_the_run_had_is_said():
    assert "2 from here on, 5 so far" in choose(2, most=CORES, held=5).note
    assert choose(5, most=CORES, held=5).note == ""


def test_the_environment_has_the_last_word_and_says_so(monkeypatch):
    monkeypatch.setenv(threads.GIVEN, "2")
    plain = choose("auto", most=2, others=unseen)
    assert (plain.number, plain.why, plain.note) == (2, "by OMP_NUM_THREADS", "")
    against = choose(4, most=2, others=unseen)
    assert against.number == 2
    assert against.note == "threads: got 4, but OMP_NUM_THREADS=2 has the last word; unset it."
    assert "2 from here on, 8 so far" in choose("auto", most=2, held=8, others=unseen).note


def test_in_a_team_a_number_goes_before_what_the_launcher_says(monkeypatch):
    monkeypatch.setenv(threads.GIVEN, "1")
    assert choose(4, most=1, team=2).number == 4
    assert choose("auto", most=1, team=2).number == 1


@pytest.mark.parametrize(
    ("text", "number"), [("3", 3), ("3,2", 3), ("", None), ("0", None), ("many", None)]
)
def test_what_the_environment_says(monkeypatch, text, number):
    monkeypatch.setenv(threads.GIVEN, text)
    assert threads.given() == number


def test_others_are_what_is_left_of_the_work_of_all():
    before, after = Moment(10.0, 100.0, 5.0), Moment(14.0, 107.0, 8.0)
    assert others_between(before, after) == 1.0
    assert others_between(before, after, team=2) == 0.25
    assert others_between(before, after, team=3) == 0.0, "clocks differ, load is never negative"
    assert others_between(before, before) == 0.0


def test_a_moment_counts_the_own_cores_and_no_waiting(monkeypatch):
    kind = type(psutil.cpu_times())
    values: dict[str, Any] = dict.fromkeys(kind._fields, 0.0)
    rows = [kind(**values | {"user": 10.0 * core, "idle": 500.0}) for core in range(4)]
    if "steal" in values:  # what a host takes away is as good as another process
        rows[3] = rows[3]._replace(steal=2.0, iowait=70.0, guest=9.0)
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: rows)
    monkeypatch.setattr(threads, "_affinity", lambda: [1, 3, 64])
    assert Moment.now().busy == 40.0 + (2.0 if "steal" in values else 0.0)


def test_what_the_environment_says_of_waiting(monkeypatch):
    assert threads.waiting() == ""
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert threads.waiting() == "OMP_WAIT_POLICY=ACTIVE, GOMP_SPINCOUNT=7"


def test_this_machine_has_cores():
    affinity, usable = REAL_CORES()
    assert 1 <= usable <= affinity <= (os.cpu_count() or 1)
