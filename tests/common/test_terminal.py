"""Text that fits a screen."""

from __future__ import annotations

import io

import pytest
from screens import fits

from recbole_bns.common.progress import RunsProgress
from recbole_bns.common.terminal import (
    cut,
    fitting,
    headed,
    in_blocks,
    listing_width,
    table,
    width_of,
    wrapped,
)


def test_the_width_is_what_the_user_says_or_that_of_the_stream(monkeypatch):
    monkeypatch.setenv("COLUMNS", "57")
    assert (width_of(), listing_width()) == (57, 57)
    monkeypatch.setenv("COLUMNS", "wide")
    assert width_of(io.StringIO()) == 80
    monkeypatch.delenv("COLUMNS")
    with open("/dev/null") as nothing:
        assert width_of(nothing) == 80


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("short", 5, "short"),
        ("uniform over items", 12, "uniform…"),
        ("uniform over items", 13, "uniform over…"),
        ("ndcg@20,recall", 9, "ndcg@20…"),
        ("word", 1, "…"),
        ("word", 0, ""),
    ],
)
def test_what_is_cut_ends_with_a_word(text, width, shown):
    assert cut(text, width) == shown
    assert len(shown) <= width


def test_the_first_form_that_fits():
    forms = ["twelve words", "six wo", "three"]
    assert [fitting(forms, width) for width in (20, 12, 11, 5, 3)] == [
        "twelve words",
        "twelve words",
        "six wo",
        "three",
        "th…",
    ]


def test_a_paragraph_in_lines():
    lines = wrapped("a path/that-is/longer/than/the/whole/line is broken", 20, first="> ")
    assert fits(lines, 20)
    assert lines[0].startswith("> ")
    assert "".join("".join(lines[:3]).split()).startswith(">apath/that-is/longer")
    text = headed("one two three\n\na  table  that  stays", 8)
    assert text.split("\n") == ["one two", "  three", "", "a  table  that  stays"]


def test_a_table_in_blocks():
    rows = [["NDCG", 1.5, "x", "long cell"], ["Recall", 2, "y", ""]]
    heads = ["metric", "a", "b", "c"]
    assert table(rows, heads) == [
        "metric    a  b          c",
        "------  ---  -  ---------",
        "NDCG    1.5  x  long cell",
        "Recall    2  y",
    ]
    assert in_blocks(rows, heads, 25) == table(rows, heads)
    blocks = in_blocks(rows, heads, 24)
    assert fits(blocks, 24)
    assert blocks[:2] == ["metric    a  b", "------  ---  -"]
    assert blocks[5:8] == ["metric          c", "------  ---------", "NDCG    long cell"]
    narrow = in_blocks(rows, heads, 14)
    assert fits(narrow, 14)
    assert "NDCG    long…" in narrow


@pytest.mark.parametrize("width", [100, 60, 40, 20])
def test_runs_on_a_screen_of_any_width(width, monkeypatch):
    from screens import screen_of

    screen = screen_of(width, monkeypatch)
    clock = [1000.0]
    monkeypatch.setattr("recbole_bns.common.progress.time", lambda: clock[0])
    with RunsProgress("BPR on ml-100k", 4, 1, expected=90.0, stream=screen) as progress:
        assert progress.left() == 90
        clock[0] += 30
        progress.running(0.5)
        assert progress.left() == 60, "until a run ends earlier ones tell"
        progress.finished("dns with seed 1: NDCG@20 0.2031 in validation", "with learning_rate 0.1")
        assert progress.left() == 30 * 2
        progress.running(0.5)
        assert progress.left() == pytest.approx(30 / 1.5 * 1.5)
    lines = screen.drawn()
    assert fits(lines, width)
    text = " ".join(" ".join(lines).split())
    assert "dns with seed 1: NDCG@20 0.2031 in validation with learning_rate 0.1" in text
    assert "left" in text or width < 30
    with RunsProgress("x", 4, 0, stream=screen) as progress:
        progress.running(0.9)
        assert progress.left() is None
