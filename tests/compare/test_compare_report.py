"""The tables of a comparison and what they say beside the numbers."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest
from comparisons import two_seeds

from recbole_bns.compare.report import Origin, Report


def test_a_report_marks_states_and_names_all_it_is_made_of():
    records, values = two_seeds()
    failed = {"sampler": "c", "seed": 2, "status": "failed", "error": "no memory"}
    origin = Origin("recbole-bns compare --x", "BPR", "tiny", {"torch": "2"}, 8, "4", "1/2", "cpu")
    report = Report(origin, [*records, failed], values, ["a", "b", "c", "d"], [1, 2], "a")
    text = report.markdown()
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    cells = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows[2:6]}
    assert [cells[name][0] for name in "abcd"] == ["2", "2", "1 of 2, 1 failed", "0 of 2"]
    assert cells["d"][1:] == ["not run", "not run"]
    means = report.means.set_index(["sampler", "metric"])
    for name in "abc":
        mean, rank = means.loc[(name, "ndcg@5"), ["mean", "rank"]]
        marks = {1: f"**{mean:.4f}**", 2: f"<u>{mean:.4f}</u>", 3: f"{mean:.4f}"}
        assert cells[name][1].split(" ±")[0] == marks[rank]
    for part in (
        "Holm-corrected over the 2 sampler(s)",
        "recbole-bns compare --x",
        "8 cores",
        "torch 2",
        "`c`, seed 2: no memory",
        "4 run(s) at once, 1/2 thread(s) each",
        "Averaged over the users with test items; the ideal NDCG",
        "Not all runs are finished",
        "- `b`: m 5, reg_weight 0.5\n",
    ):
        assert part in text
    content = json.loads(report.json(), parse_constant=lambda word: pytest.fail(word))
    assert content["failed"] == [{"sampler": "c", "seed": 2, "error": "no memory"}]
    assert content["metrics"][2]["std"] is None
    table = pd.read_csv(io.StringIO(report.csv()), comment="#")
    assert table["failed"].tolist() == [0, 0, 1] * 2
    alone = Report(origin, records[:2], values, ["a"], [1, 2], "a").markdown()
    assert "Difference" not in alone
