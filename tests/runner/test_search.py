"""The benchmarks' search: the package's runner and space; every trial is a line; it goes on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import ROOT, Settings

sys.path.append(str(ROOT / "benchmarks"))

import learned_prior
import search
from pools import InProcess

from recbole_bns.runner import cluster, journal, run
from recbole_bns.runner.jobs import Job
from recbole_bns.tuning.space import default_space

CELL = ("tiny", "BPR")


@pytest.fixture
def pool(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """Of a search on the tiny data set: two trials a sampler, the better one on two cuts."""
    made = InProcess()
    base = {key: value for key, value in settings.items() if key != "data_path"}
    for name, value in (("BASE", base | {"epochs": 4}), ("EFFORT", (2, 1, 2))):
        monkeypatch.setattr(search, name, {CELL: value})
    monkeypatch.setattr(search, "MODEL", {"BPR": {}})
    monkeypatch.setattr(search, "ROOT", tmp_path)
    monkeypatch.setattr(search, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(cluster, "LocalProcesses", lambda: made)
    monkeypatch.setattr(run, "PAUSE", 0)
    return made


def test_a_search_trains_each_trial_once_and_its_finalists_on_more_cuts(
    pool, settings, tmp_path, capsys
):
    file = tmp_path / "results" / "search" / "tiny-BPR.jsonl"

    def go() -> list[dict[str, Any]]:
        search.search(CELL, ("tiny", settings["data_path"]), 1, ("rns", "dns"))
        return search.read(file)

    pool.failing |= {"dns-1-0"}
    lines = go()
    assert pool.started == ["rns-0-0", "dns-0-0", "rns-1-0", "dns-1-0", *pool.started[4:]]
    assert "dns trial 1 cut 0 FAILED: no memory left" in capsys.readouterr().err
    assert [line["cut"] for line in lines] == [0, 0, 0, 1, 1]
    for line in lines:
        assert list(line) == [
            "sampler",
            "trial",
            "cut",
            "settings",
            "value",
            "best_epoch",
            "epochs",
            "seconds",
        ]
        assert line["settings"] == search.drawn(CELL, line["sampler"], line["trial"])
        assert 0 < line["value"] < 1
        assert line["best_epoch"] in (2, 4), "it is evaluated every second epoch"
        assert line["epochs"] == 4
    assert lines[0]["settings"]["learning_rate"] == lines[1]["settings"]["learning_rate"]

    pool.failing.clear()
    pool.started.clear()
    again = go()
    assert pool.started[0] == "dns-1-0", "what failed is tried again, and nothing else"
    assert len(pool.started) <= 2
    assert again[:5] == lines
    pool.started.clear()
    assert go() == again
    assert pool.started == []
    assert not list((tmp_path / "runs" / "tiny-BPR").glob("*.json"))
    winner = search.winner(CELL, again, "rns")
    assert winner is not None
    assert len(winner["values"]) == 2


def test_a_trial_that_was_done_when_the_search_was_killed_becomes_a_line(pool, settings, tmp_path):
    file = tmp_path / "lines.jsonl"
    record = {"sampler": "rns", "trial": 0, "cut": 0, "settings": {}}
    data = ("tiny", settings["data_path"])
    job = search.job_of(CELL, data, record, tmp_path)
    result = {"evaluations": [[2, {"ndcg@20": 0.25}], [4, {"ndcg@20": 0.25}]], "epochs": 4}
    journal.finish(job, result | {"seconds": 1.26})
    search.run_jobs([job], file, 1, "x")
    assert pool.started == []
    (line,) = search.read(file)
    ends = {"value": 0.25, "best_epoch": 4, "epochs": 4, "seconds": 1.3}
    assert line == record | ends
    assert not job.journal.exists()


def test_what_is_drawn_comes_from_the_space_of_the_sweeps():
    cell = ("ml-100k", "BPR")
    rates = set()
    for trial in range(1, 6):
        shared = set()
        for sampler in search.SAMPLERS:
            space = default_space(sampler, "BPR")
            drawn = search.drawn(cell, sampler, trial)
            args = drawn.pop("neg_sampler_args")
            assert {f"neg_sampler_args.{key}" for key in args} | set(drawn) == set(space)
            for key, value in args.items():
                dimension = space[f"neg_sampler_args.{key}"]
                inside = dimension.values[0] <= value <= dimension.values[-1]
                assert value in dimension.values if dimension.kind == "choice" else inside
            shared.add(tuple(drawn.items()))
        assert len(shared) == 1, "learning rate and regularisation are those of all samplers"
        rates |= shared
    assert len(rates) == 5
    assert search.drawn(cell, "bns", 0)["neg_sampler_args"] == {}
    assert search.drawn(("ml-1m", "BPR"), "bns", 8)["learning_rate"] == 0.002


def test_the_pages_are_made_of_the_lines_that_are_kept():
    """``results/search.md`` and ``learned-prior.md`` as they are, from lines of old."""
    for page, text in (
        ("search.md", search.report()),
        ("learned-prior.md", learned_prior.report()),
    ):
        assert (ROOT / "results" / page).read_text(encoding="utf-8") == text
    for file in (ROOT / "results" / "search").glob("*.jsonl"):
        assert all("value" in line for line in search.read(file)), file


def test_variants_of_the_prior_are_jobs_with_the_module_of_their_samplers(monkeypatch, tmp_path):
    jobs: list[Job] = []
    monkeypatch.setattr(learned_prior, "FILE", tmp_path / "none.jsonl")
    monkeypatch.setattr(search, "RUNS", tmp_path)
    monkeypatch.setattr(search, "run_jobs", lambda made, *_: jobs.extend(made))
    learned_prior.run("DATA", 2)
    names = {job.record["name"] for job in jobs}
    expected = {
        n for n, change in learned_prior.every().items() if learned_prior.GONE not in change
    }
    assert names == expected
    assert len({job.folder for job in jobs}) == len(jobs) == 3 * len(names)
    assert {job.modules for job in jobs} == {("prior_variants",)}
    assert json.dumps(jobs[0].record)


def test_a_dimension_draws_within_its_bounds():
    from recbole_bns.tuning.space import Dimension

    def values(kind: str, *numbers: Any) -> list[Any]:
        source = np.random.default_rng(3)
        return [Dimension(kind, numbers).draw(source) for _ in range(400)]

    assert set(values("choice", 1, "a", 2.5)) == set(values("grid", 1, "a", 2.5)) == {1, "a", 2.5}
    assert set(values("randint", 2, 5)) == {2, 3, 4}
    assert set(np.round(values("quniform", 0.0, 0.3, 0.1), 9)) == {0.0, 0.1, 0.2, 0.3}
    uniform, log = values("uniform", 1.0, 100.0), values("loguniform", 1.0, 100.0)
    assert 1 <= min(uniform + log) <= max(uniform + log) < 100
    assert np.median(uniform) == pytest.approx(50.5, rel=0.2)
    assert np.median(log) == pytest.approx(10.0, rel=0.3)
    assert {type(value) for value in uniform + log} == {float}
