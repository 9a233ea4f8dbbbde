"""Many trainings: their order, their ends, and that the same call goes on after any end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from tiny import ROOT, alive

from recbole_bns import UsageError
from recbole_bns.runner import journal, run
from recbole_bns.runner.jobs import VALIDATE, Job
from recbole_bns.runner.pool import LocalProcesses, Pool
from recbole_bns.runner.worker import work

HERE = Path(__file__).parent
Jobs = dict[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PAUSE", 0.02)


def jobs_of(folder: Path, what: Mapping[str, Mapping[str, Any]], **more: Any) -> list[Job]:
    return [
        Job(
            name=f"job {name}",
            model=None,
            dataset=None,
            config_files=None,
            settings=settings,
            folder=folder / name,
            record={"row": name},
            task="jobs_of_tests:act",
            leaves=(".npz",),
            **more,
        )
        for name, settings in what.items()
    ]


def go(folder: Path, what: Mapping[str, Mapping[str, Any]], at_once: int = 1, **more: Any) -> list:
    """Run jobs; what the runner told of each, in order."""
    told = []

    def tell(job: Job, record: Mapping[str, Any]) -> str:
        told.append((job.folder.name, record["status"]))
        return "told"

    pool: Pool = LocalProcesses()
    jobs = jobs_of(folder, what, **more)
    run.run_all(jobs, pool, at_once, title="x", shown=False, tell=tell)
    return told


def order_of(folder: Path) -> list[str]:
    return (folder / "order.txt").read_text().split()


def record_of(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))


@pytest.mark.process
def test_jobs_are_done_in_their_order_once_with_their_threads(tmp_path):
    what: Jobs = {"b": {}, "a.5": {}, "c": {}}
    assert go(tmp_path, what, threads=3) == [("b", "done"), ("a.5", "done"), ("c", "done")]
    assert order_of(tmp_path) == ["b", "a.5", "c"]
    record = record_of(tmp_path, "a.5")
    assert (record["row"], record["result"]["threads"]) == ("a.5", "3")
    assert not (tmp_path / "b.log").exists(), "it said nothing"
    assert go(tmp_path, what) == [], "nothing is left to do"
    (tmp_path / "a.5.npz").unlink()
    assert go(tmp_path, what) == [("a.5", "done")], "a file that it leaves was lost"


@pytest.mark.process
def test_so_many_are_under_way_at_once(tmp_path):
    """Each of three waits for a file that the last of them finds, which a row would not."""
    gate = str(tmp_path / "c")
    what = {name: {"wait_for": gate} for name in "ab"} | {"c": {}}
    assert dict(go(tmp_path, what, at_once=3)) == dict.fromkeys("abc", "done")


@pytest.mark.process
def test_one_jobs_end_ends_no_other_and_it_is_tried_again(tmp_path):
    what: Jobs = {
        "crash": {"end": "crash"},
        "a": {},
        "refuse": {"end": "refuse"},
        "fail": {"end": "fail"},
        "leave": {"end": "leave"},
        "b": {},
    }
    told = dict(go(tmp_path, what, at_once=2))
    assert [name for name, status in told.items() if status == "done"] == ["a", "b"]
    errors = {name: record_of(tmp_path, name)["error"] for name in what if told[name] == "failed"}
    assert errors == {
        "crash": "the process was ended by the signal SIGSEGV",
        "refuse": "epochs: got 0.",
        "fail": "ValueError: no good",
        "leave": "the process ended with status 0 and said nothing",
    }
    failed = record_of(tmp_path, "fail")
    assert failed["row"] == "fail"
    assert "some words" in Path(failed["log"]).read_text(encoding="utf-8")
    again = go(tmp_path, {**what, "fail": {}})
    assert [name for name, _ in again] == ["crash", "refuse", "fail", "leave"]
    assert dict(again)["fail"] == "done"
    assert "error" not in record_of(tmp_path, "fail")


def test_a_file_that_is_none_of_the_journals_is_named_before_anything_runs(tmp_path):
    (tmp_path / "b.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(UsageError, match=r"b\.json' is no file of a run; remove it\."):
        go(tmp_path, {"a": {}, "b": {}})
    assert not (tmp_path / "order.txt").exists()


@pytest.mark.process
def test_whatever_ends_the_call_ends_the_trainings(tmp_path):
    numbers = []

    class Stopping(LocalProcesses):
        def start(self, job: Job) -> Any:
            if job.folder.name == "c":
                raise KeyboardInterrupt
            child = super().start(job)
            numbers.append(child.pid)
            return child

    what = {name: {"wait_for": "never"} for name in "abc"}
    with pytest.raises(KeyboardInterrupt):
        run.run_all(
            jobs_of(tmp_path, what), Stopping(), 3, title="x", shown=False, tell=lambda *_: ""
        )
    assert len(numbers) == 2
    assert not any(map(alive, numbers))
    assert not list(tmp_path.glob("*.json"))


OWNER = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}, {str(HERE)!r}]
from pathlib import Path
from test_runner import go
go(Path(sys.argv[1]), {{"a": {{}}, "b": {{"wait_for": sys.argv[2]}}, "c": {{}}}})
"""


@pytest.mark.process
def test_a_killed_owner_leaves_no_process_and_the_same_call_goes_on(tmp_path):
    gate = tmp_path / "gate"
    folder = tmp_path / "jobs"
    folder.mkdir()
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(folder), str(gate)])
    try:
        for _ in range(1200):
            if (folder / "b").exists():
                break
            assert owner.poll() is None
            time.sleep(0.05)
        children = [child.pid for child in psutil.Process(owner.pid).children()]
        assert children
    finally:
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
    for _ in range(1200):
        if not any(map(alive, children)):
            break
        time.sleep(0.05)
    assert not any(map(alive, children)), "a training outlived its owner"
    assert record_of(folder, "a")["status"] == "done"
    assert not (folder / "b.json").exists()
    before = (folder / "a.json").stat().st_mtime_ns
    gate.touch()
    what = {"a": {}, "b": {"wait_for": str(gate)}, "c": {}}
    assert go(folder, what) == [("b", "done"), ("c", "done")]
    assert order_of(folder) == ["a", "b", "b", "c"]
    assert (folder / "a.json").stat().st_mtime_ns == before


def test_how_much_is_done_is_told_by_the_epochs(tmp_path):
    (job,) = jobs_of(tmp_path, {"a": {}}, epochs=4)
    assert job.share_done == 0.0
    job.folder.mkdir()
    (job.folder / "epochs.csv").write_text("epoch\n1\n2\n3\n", encoding="utf-8")
    assert job.share_done == 0.75


@pytest.mark.process
def test_progress_counts_what_was_done_before(tmp_path, capsys):
    def tell(job: Job, record: Mapping[str, Any]) -> str:
        return f"{job.name} is {record['status']}"

    def said(*names: str) -> list[str]:
        jobs = jobs_of(tmp_path, {name: {} for name in names})
        run.run_all(jobs, LocalProcesses(), 1, title="x", tell=tell)
        return [line.partition(";")[0] for line in capsys.readouterr().err.splitlines()]

    assert said("a") == ["x: 1 of 1 runs, job a is done"]
    assert said("a", "b") == ["x: 2 of 2 runs, job b is done"]


# --- Trainings ---------------------------------------------------------------------------------


def test_validation_alone_is_that_of_a_run_and_the_test_part_is_put_away(
    settings, tmp_path, monkeypatch
):
    from recbole_bns.training import loaders
    from recbole_bns.training.run import run_recbole_bns

    phases: list[set[str]] = []
    make = loaders.loaders

    def seen(config: Any, parts: dict[str, Any]) -> dict[str, Any]:
        phases.append(set(parts))
        return make(config, parts)

    monkeypatch.setattr(loaders, "loaders", seen)
    given = {**settings, "neg_sampler": "dns", "learning_rate": 0.02, "epochs": 3, "seed": 5}
    job = Job("x", "BPR", "tiny", None, given, tmp_path / "trial", task=VALIDATE)
    assert work(job) == 0
    assert phases == [{"train", "valid"}]
    result = journal.read(job.journal)["result"]
    whole = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "run")
    assert [epoch for epoch, _ in result["evaluations"]] == [1, 2, 3]
    best = max(result["evaluations"], key=lambda pair: pair[1][whole["valid_metric"]])
    valid = whole["best_valid_result"]
    assert best == [whole["best_epoch"], valid]
    assert result["epochs"] == whole["epochs"] == 3
    assert result["seconds"] > 0
    assert [path.name for path in job.folder.iterdir() if path.is_file()] == ["epochs.csv"]
    table = pd.read_csv(job.folder / "epochs.csv")
    assert table["epoch"].tolist() == [1, 2, 3]
    ours = pd.read_csv(tmp_path / "run" / "epochs.csv")
    metric = ours.columns.intersection(valid.keys())[0]
    assert table[metric].tolist() == ours[metric].tolist()


def test_a_refusal_is_a_status_of_its_own(settings, tmp_path, capsys):
    given = {**settings, "neg_sampler": "dns", "valid_ratio": 0}
    job = Job("x", "BPR", "tiny", None, given, tmp_path / "trial", task=VALIDATE)
    assert work(job) == 2
    assert "valid_ratio: got 0" in capsys.readouterr().err
    assert not job.journal.exists()
