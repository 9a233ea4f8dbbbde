"""What a terminal shows of a comparison: the plan before it, the table after it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from comparisons import many_rows, two_seeds, words_of
from screens import Screen, fits, screen_of

from recbole_bns.cli import main
from recbole_bns.compare import outline
from recbole_bns.compare.report import Origin, Report
from recbole_bns.compare.screen import headline_of, mark, screen

ORIGIN = Origin("recbole-bns compare", "BPR", "tiny", {"torch": "2"}, "8", "4", "1", "cpu")


def report_of(rows: list[str], **more: float) -> Report:
    records, values = many_rows(rows, **more)
    return Report(ORIGIN, records, values, rows, [1, 2, 3], rows[0])


@pytest.mark.parametrize("number", [2, 5, 16])
@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_table_fits_in_blocks(number, width):
    rows = [f"row{place}" for place in range(number)]
    text = screen(report_of(rows), "NDCG@20", width)
    lines = text.splitlines()
    assert fits(lines, width)
    heads = [line for line in lines if line.startswith("test ")]
    assert [word for line in heads for word in line.split()[1:]] == rows
    assert (len(heads) == 1) == (number * 20 + 11 <= width)
    assert len([line for line in lines if line.startswith("NDCG@20 ")]) >= len(heads)


def test_the_headline_is_first_marked_against_the_reference_and_the_best_is_marked():
    report = report_of(["rns", "dns", "bns"])
    lines = screen(report, "NDCG@20", 100).splitlines()
    assert lines[0] == "BPR on tiny, 3 seeds"
    place = lines.index(next(line for line in lines if line.startswith("---")))
    headline, recall, seconds, runs = lines[place + 1 : place + 5]
    means = report.means.set_index(["metric", "sampler"])
    mean, std = means.loc[("ndcg@20", "dns"), ["mean", "std"]]
    assert f" >{mean:.4f} ± {std:.4f} ***" in headline
    assert headline.count(">") == 1
    assert headline.count("***") == 1
    assert recall.startswith("Recall@20 ")
    assert ">" in recall
    assert "*" not in recall
    assert seconds.split()[:3] == ["training,", "s", "9.0"]
    assert runs.split() == ["runs", "3", "3", "3"]
    text = " ".join("\n".join(lines).split())
    assert "NDCG@20 against rns: * p < 0.05, ** p < 0.01, *** p < 0.001 in both tests" in text


def test_a_mark_wants_both_tests():
    nan = float("nan")
    found = [mark(*pair) for pair in ((1e-9, 1e-9), (0.02, 1e-9), (1e-9, 0.009), (0.05, 0.01))]
    assert found == ["***", "*", "**", ""]
    assert (mark(nan, 0.01), mark(0.01, nan)) == ("", "")


def test_the_headline_is_that_of_the_validation_where_it_is_tested():
    assert headline_of(["recall@20", "ndcg@20", "mrr@5"], "MRR@5") == "mrr@5"
    assert headline_of(["recall@20", "ndcg@20"], "Hit@3") == "ndcg@20"
    assert headline_of(["recall@10", "ndcg@10"], "NDCG@20") == "recall@10"


def test_what_a_reader_must_know_stands_beneath():
    records, values = two_seeds()
    for record in records:
        if record["sampler"] == "a":
            record["result"]["neg_sampler_label"] = "a (oracle: sees test labels)"
    failed = {"sampler": "d", "seed": 2, "status": "failed", "error": "no memory"}
    rows = ["a", "b", "c", "d", "e"]
    text = screen(Report(ORIGIN, [*records, failed], values, rows, [1, 2], "a"), "NDCG@5", 100)
    fits(text.splitlines(), 100)
    said = " ".join(text.split())
    assert "a: a (oracle: sees test labels)" in said
    assert "failed: d with seed 2: no memory" in said
    assert "Not all runs are finished" in said
    assert "failed" in text
    assert "not run" in text
    assert "`" not in text


def both_streams(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Both streams are one screen of 100 columns; in a fixture pytest would put its own back."""
    made = screen_of(100, monkeypatch)
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, made)
    return made


def test_a_comparison_on_a_terminal(settings, in_tmp, in_process, monkeypatch):
    terminal = both_streams(monkeypatch)
    settings = {**settings, "show_progress": True}
    words = ["compare", *words_of(settings, "--epochs=1", "--out=cmp", "--jobs=2", "--seeds=1")]
    assert main(words) == 0
    lines = terminal.drawn()
    assert fits(lines, 100)
    text = "\n".join(lines)
    assert lines[-1] == "all tables: cmp/compare.md"
    assert "  runs     2 (2 rows x 1 seed), of which none is finished" in lines
    assert "  rows     rns (reference), dns" in lines
    assert "  time     unknown until the first run ends" in lines
    assert "  results  cmp" in lines
    assert any(line.startswith("  at once  2 runs of ") for line in lines)
    assert "dns with seed 1: ndcg@5 " in text
    assert any("of 2 runs" in line and "about" in line for line in lines)
    assert "time left unknown until the first run ends" in text
    place = next(place for place, line in enumerate(lines) if line.startswith("test "))
    assert lines[place + 2].startswith("NDCG@5 ")
    assert "| " not in lines[place + 2], "Markdown is for the file"
    assert "| rns " in Path("cmp/compare.md").read_text(encoding="utf-8")

    again = [word.replace("--samplers=rns,dns", "--samplers=rns,dns,pns") for word in words]
    for there, told in ((2, True), (3, False)):
        terminal.seek(0)
        terminal.truncate()
        assert main(again) == 0
        lines = terminal.drawn()
        assert f"  runs     3 (3 rows x 1 seed), of which {there} are finished" in lines
        about = [line for line in lines if line.startswith("  time     about 00:")]
        assert bool(about) is told, "nothing takes time where nothing is left to do"


def test_elsewhere_the_plan_is_plain_lines_and_the_markdown_is_printed(
    settings, in_tmp, in_process, capsys
):
    settings = {**settings, "show_progress": True}
    assert main(["compare", *words_of(settings, "--epochs=1", "--out=cmp", "--seeds=1")]) == 0
    out, err = capsys.readouterr()
    assert Path("cmp/compare.md").read_text(encoding="utf-8") in out
    assert err.splitlines()[0].endswith("comparison of BPR on tiny")
    assert "  results  cmp" in err.splitlines()
    assert "2 of 2 runs, dns with seed 1: " in err


def expected_of(tmp_path: Path, at_once: int, taken: dict[Any, float]) -> float | None:
    """Of rows a and b with three seeds, some of which have taken so many seconds."""
    runs = [(row, seed) for seed in (1, 2, 3) for row in "ab"]
    records: Any = {}
    for (row, seed), seconds in taken.items():
        begun = tmp_path / f"{row}-{seed}" / "settings.yaml"
        begun.parent.mkdir(exist_ok=True)
        begun.touch()
        record = tmp_path / f"{row}-{seed}.json"
        record.touch()
        os.utime(begun, (1000, 1000))
        os.utime(record, (1000 + seconds, 1000 + seconds))
        result = {"train_epoch_seconds": [2.0, 2.0]}
        records[row, seed] = {"status": "done", "result": result}
    plan: Any = SimpleNamespace(runs=runs)
    return outline.expected_seconds(plan, tmp_path, records, at_once)


def test_the_time_to_come_is_told_by_the_runs_of_each_row(tmp_path):
    assert expected_of(tmp_path, 1, {}) is None
    assert expected_of(tmp_path, 1, {("a", 1): 10.0}) == 5 * 10
    both = {("a", 1): 10.0, ("b", 1): 40.0}
    assert expected_of(tmp_path, 1, both) == 2 * 10 + 2 * 40
    assert expected_of(tmp_path, 2, both) == 50
    assert expected_of(tmp_path, 9, both) == 40, "no run is shorter than it is"
    copied = {("a", 1): 0.0}
    assert expected_of(tmp_path, 1, copied) == 5 * 4, "of files that were copied: training alone"
