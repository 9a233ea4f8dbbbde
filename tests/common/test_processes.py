"""A child process with a job: its environment, its end, its owner's end."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import joblib
import psutil
import pytest
from tiny import alive, run_fresh

from recbole_bns.common.processes import THREADS, Child, count_cores, ended_by

WORK = """
import json, sys
from recbole_bns.common.processes import end_with_parent, read_job

try:
    job = read_job()
except Exception as error:
    print(type(error).__name__)
    sys.exit(3)
end_with_parent(lambda: open(job["left"], "w").close())
print("first line", *sys.argv[1:])
json.dump([job["words"], sys.path, list(sys.modules)], open(job["out"], "w"))
if job["wait"]:
    print("waits", flush=True)
    import time
    time.sleep(600)
sys.exit(job["status"])
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that a child can run, on the path of this process alone."""
    (tmp_path / "childs_work.py").write_text(WORK, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "childs_work"


def job_of(folder: Path, *, wait: bool = False, status: int = 0) -> dict[str, object]:
    return {
        "words": ["a", 1],
        "out": str(folder / "out.json"),
        "left": str(folder / "left"),
        "wait": wait,
        "status": status,
    }


def wait_for(path: Path, child: Child) -> None:
    for _ in range(1200):
        if path.exists():
            return
        assert child.status() is None, child.complaint()
        time.sleep(0.05)
    raise AssertionError(f"{path} did not appear")


def ended(child: Child) -> int | None:
    for _ in range(1200):
        if child.status() is not None:
            break
        time.sleep(0.05)
    return child.status()


@pytest.mark.process
def test_a_child_gets_its_job_the_path_and_modules_of_its_owner(tmp_path, module, monkeypatch):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "childs_plugin.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "more"))
    child = Child(
        module,
        job_of(tmp_path, status=5),
        log=tmp_path / "log",
        words=["x", "y"],
        modules=["childs_plugin"],
    )
    assert ended(child) == 5
    child.stop()
    words, paths, modules = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert words == ["a", 1]
    assert paths == sys.path
    assert "childs_plugin" in modules
    assert (tmp_path / "log").read_text(encoding="utf-8") == "first line x y\n"
    assert child.complaint() == "first line x y"


@pytest.mark.process
def test_a_module_that_is_not_there_is_told_by_the_child(tmp_path, module):
    child = Child(module, job_of(tmp_path), log=tmp_path / "log", modules=["no_such_module"])
    assert ended(child) == 3
    assert child.complaint() == "ModuleNotFoundError"
    child.stop()


def test_a_job_that_cannot_be_sent_starts_no_process(tmp_path, module):
    before = psutil.Process().children()
    with pytest.raises(Exception, match="pickle"):
        Child(module, lambda: None, log=tmp_path / "log")
    assert psutil.Process().children() == before


@pytest.mark.process
def test_who_says_nothing_is_told_by_its_status(tmp_path, module):
    (tmp_path / "says_nothing.py").write_text("import sys; sys.exit(4)", encoding="utf-8")
    child = Child("says_nothing", job_of(tmp_path), log=tmp_path / "log")
    assert ended(child) == 4
    child.stop()
    assert child.complaint() == "the process ended with status 4 and said nothing"


def environment_of(number: int) -> list[str]:
    """What the process was started with; Linux shows nothing while exec is still under way."""
    for _ in range(600):
        text = Path(f"/proc/{number}/environ").read_text()
        if text:
            break
        time.sleep(0.05)
    return text.split("\0")


@pytest.mark.process
def test_a_child_has_its_threads_and_a_crash_is_told(tmp_path, monkeypatch):
    waiting = tmp_path / "python"  # the job is none that a worker could do: it would end by itself
    waiting.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
    waiting.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(waiting))
    child = Child("any", {}, log=tmp_path / "log", environment=dict.fromkeys(THREADS, "3"))
    if Path(f"/proc/{child.pid}/environ").exists():
        assert "OMP_NUM_THREADS=3" in environment_of(child.pid)
    assert child.status() is None
    os.kill(child.pid, signal.SIGSEGV)
    assert ended(child) == -signal.SIGSEGV
    child.stop()
    assert child.complaint() == "the process was ended by the signal SIGSEGV"
    assert ended_by(-signal.SIGKILL).endswith("the signal SIGKILL, perhaps for want of memory")
    assert ended_by(-12345) == "was ended by signal 12345"
    assert ended_by(0) == ended_by(2) == ""


@pytest.mark.process
def test_stop_ends_a_child_at_once(tmp_path, module):
    child = Child(module, job_of(tmp_path, wait=True), log=tmp_path / "log")
    wait_for(tmp_path / "out.json", child)
    child.stop()
    assert child.status() == -signal.SIGKILL
    assert not alive(child.pid)
    child.stop()  # once more does no harm


OWNER = """
import os, sys, time
from pathlib import Path
from recbole_bns.common.processes import Child

folder = Path(sys.argv[1])
job = {"words": 0, "out": str(folder / "out.json"), "left": str(folder / "left"), "wait": True}
child = Child("childs_work", job, log=folder / "log")
while not (folder / "out.json").exists():
    time.sleep(0.05)
(folder / "pid").write_text(str(child.pid))
os._exit(0)
"""


@pytest.mark.process
def test_a_child_ends_with_its_owner_and_cleans_up_before(tmp_path, module):
    run_fresh(OWNER, tmp_path, str(tmp_path))
    number = int((tmp_path / "pid").read_text())
    for _ in range(1200):
        if not alive(number):
            break
        time.sleep(0.05)
    assert not alive(number)
    assert (tmp_path / "left").exists()


def test_cores_are_those_of_joblib_which_knows_a_containers_quota(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 3)
    assert count_cores() == 3
