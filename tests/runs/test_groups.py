"""Groups of items and of users against slow loops, ``groups.csv`` and ``commands.csv``."""

from __future__ import annotations

import csv
import math
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from recbole_bns.runs import commands, groups


def slow_items(popularity: list[int]) -> list[int]:
    found = []
    for own in popularity:
        before = sum(other for other in popularity if other > own)
        block = sum(other for other in popularity if other == own)
        place = Fraction(2 * before + block, 2 * sum(popularity))
        found.append(0 if place < Fraction(1, 5) else 1 if place < Fraction(4, 5) else 2)
    return found


def slow_users(activity: list[int]) -> list[int]:
    found = []
    for own in activity:
        below = sum(other < own for other in activity)
        equal = sum(other == own for other in activity)
        found.append(math.floor(Fraction(3 * (2 * below + equal), 2 * len(activity))))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_those_of_a_slow_loop(seed: int) -> None:
    source = np.random.default_rng(seed)
    size = int(source.integers(1, 40))
    counts = source.integers(0, source.integers(2, 60), size)
    counts[0] += 1
    assert groups.item_groups(counts).tolist() == slow_items(counts.tolist())
    assert groups.user_groups(counts).tolist() == slow_users(counts.tolist())


def test_equals_stand_together_and_bounds_are_met_exactly() -> None:
    assert groups.item_groups(np.array([1] * 10)).tolist() == [1] * 10
    assert groups.user_groups(np.array([5] * 9)).tolist() == [1] * 9
    assert groups.user_groups(np.arange(9)).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    # 10 + 10 of 100 before its middle: the second item lies at 2/10, where mid begins
    assert groups.item_groups(np.array([15, 10, 50, 25, 0])).tolist() == [2, 2, 1, 1, 2]
    assert groups.item_groups(np.array([20, 20, 20, 20, 20, 0])).tolist() == [1] * 5 + [2]
    assert groups.user_groups(np.array([], dtype=int)).tolist() == []


def test_the_table_leaves_out_groups_without_members(tmp_path: Path) -> None:
    group, counts = np.array([0, 0, 2]), np.array([3, 4, 9])
    means = groups.means_of(group, np.array([0.5, 1.0, 0.125]))
    measured = {
        "recall@5": means,
        "ndcg@5": groups.Measured(np.zeros(3, int), np.full(3, math.nan)),
    }
    groups.write_groups(
        tmp_path, list(groups.lines_of("users", groups.USERS, group, counts, measured))
    )
    with (tmp_path / "groups.csv").open(encoding="utf-8") as file:
        lines = [tuple(line.values()) for line in csv.DictReader(file)]
    assert lines == [
        ("users", "least active", "2", "7", "3", "4", "recall@5", "2", "0.75"),
        ("users", "least active", "2", "7", "3", "4", "ndcg@5", "0", ""),
        ("users", "most active", "1", "9", "9", "9", "recall@5", "1", "0.125"),
        ("users", "most active", "1", "9", "9", "9", "ndcg@5", "0", ""),
    ]


def test_each_command_that_worked_at_a_run_is_a_line(tmp_path: Path) -> None:
    with commands.given(["recbole-bns", "run", "--out=a b"]):
        commands.note(tmp_path)
    commands.note(tmp_path)
    with (tmp_path / "commands.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["command"] for line in lines] == ["recbole-bns run '--out=a b'", ""]
    dates = [datetime.fromisoformat(line["date"]) for line in lines]
    assert dates[0] <= dates[1]
    assert all(date.tzinfo for date in dates)
