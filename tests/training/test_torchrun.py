"""``torchrun``: processes of one launcher or several train together, and go on when restarted."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from test_resume import assert_same
from tiny import STARTED, Settings, alive

from recbole_bns import UsageError
from recbole_bns.adapters.team import PeerLost, Team, name_of_team
from recbole_bns.common import processes
from recbole_bns.common.processes import package_path
from recbole_bns.training import process, torchrun
from recbole_bns.training.asked import Asked
from recbole_bns.training.limits import check_alone, check_run
from recbole_bns.training.run import run_recbole_bns

HERE = Path(__file__).parent
BY_HAND = """
import os, signal, sys
sys.path[:0] = [{here!r}]
from recbole_bns.training.trainer import TrainerMixin
known = TrainerMixin._check_nan

def check(self, loss):
    known(self, loss)
    if os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        if self._epoch == {epoch}:
            {act}

TrainerMixin._check_nan = check
from recbole_bns.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""A script for the launcher in which process 1 does something in an epoch, once."""


def words_of(settings: Settings, out: str, **more: Any) -> list[str]:
    own = {"model": "BPR", "dataset": "tiny", "neg_sampler": "srns", **settings, "epochs": 4}
    own = {**own, "train_batch_size": 128, **more, "out": out}
    return ["run", *(f"--{key}={value}" for key, value in own.items())]


def torchrun_of(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start the launcher; what it and its processes say is in its pipes."""
    unset = {name: value for name, value in os.environ.items() if name not in processes.THREADS}
    process = subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *words],
        cwd=folder,
        env={**unset, "PYTHONPATH": package_path(), "GLOO_SOCKET_IFNAME": "lo"},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    STARTED.append(process)
    return process


def script(folder: Path, act: str, epoch: int = 2) -> str:
    (folder / "script.py").write_text(BY_HAND.format(here=str(HERE), act=act, epoch=epoch))
    return "script.py"


@pytest.mark.slow
@pytest.mark.process
def test_two_launchers_train_what_nproc_trains(settings, tmp_path):
    run_recbole_bns(
        "BPR",
        "tiny",
        None,
        {**settings, "neg_sampler": "srns", "epochs": 4, "train_batch_size": 128},
        out=tmp_path / "nproc",
        nproc=2,
    )
    with socket.socket() as free:  # just before it is used: others look for free ones too
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    launchers = [
        torchrun_of(
            tmp_path,
            "--nnodes=2",
            "--nproc-per-node=1",
            "--rdzv-backend=c10d",
            f"--rdzv-endpoint=localhost:{port}",
            "--rdzv-id=mine",
            "-m",
            "recbole_bns",
            *words_of(settings, "torchrun"),
        )
        for _ in range(2)
    ]
    said = [launcher.communicate(timeout=300) for launcher in launchers]
    assert [launcher.returncode for launcher in launchers] == [0, 0], said
    assert sorted(out.count("BPR on tiny with srns") for out, _ in said) == [0, 1]
    assert_same(tmp_path / "nproc", tmp_path / "torchrun")
    assert json.loads((tmp_path / "torchrun" / "result.json").read_text())["nproc"] == 2


@pytest.mark.slow
@pytest.mark.process
def test_a_killed_process_is_started_anew_and_the_run_goes_on_bit_for_bit(settings, tmp_path):
    whole = torchrun_of(
        tmp_path, "--nproc-per-node=2", "-m", "recbole_bns", *words_of(settings, "whole")
    )
    assert whole.communicate(timeout=300) is not None
    assert whole.returncode == 0
    ended = torchrun_of(
        tmp_path,
        "--nproc-per-node=2",
        "--max-restarts=1",
        script(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)"),
        *words_of(settings, "ended"),
    )
    out, err = ended.communicate(timeout=300)
    assert ended.returncode == 0, err
    assert out.count("the run in ended goes on") == 1
    log = (tmp_path / "ended" / "run.log").read_text()
    assert log.count("processes train together") == 2
    assert "epoch 1 of 4" not in err.rpartition("no answer")[2].rpartition("epoch 3 of 4")[0]
    assert_same(tmp_path / "whole", tmp_path / "ended")


@pytest.mark.parametrize("first_comes", [0, 1, 2])
def test_processes_started_anew_never_meet_those_before(first_comes):
    """The launcher's store outlives them, with the words of all that came."""
    store, size = torch.distributed.HashStore(), 3

    def come(rank: int) -> Future[str]:
        return pool.submit(name_of_team, store, rank, size, 30.0)

    with ThreadPoolExecutor(4) as pool:
        before = {future.result() for future in [come(rank) for rank in range(size)]}
        store.set("here-1", "gone")  # of one that was killed before it had an answer
        early = come(first_comes)
        time.sleep(0.05)
        assert not early.done()
        others = [come(rank) for rank in range(size) if rank != first_comes]
        names = {future.result() for future in (early, *others)}
    assert len(before) == len(names) == 1
    assert before != names


def test_a_signal_leaves_no_torn_file_of_an_error(tmp_path, monkeypatch):
    """The launcher ends the others when one has failed, and reads what they have written."""
    file = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(file))
    dump = json.dump

    def dump_meanwhile(*args: Any, **more: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        dump(*args, **more)

    monkeypatch.setattr(json, "dump", dump_meanwhile)
    before = signal.getsignal(signal.SIGTERM)
    process.record(PeerLost("nobody is there"))
    assert "nobody is there" in json.loads(file.read_text())["message"]["message"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_one_that_never_comes_is_given_up():
    with pytest.raises(RuntimeError, match=r"not all of 2 processes came within 0\.05 seconds"):
        name_of_team(torch.distributed.HashStore(), 0, 2, 0.05)


@pytest.mark.slow
@pytest.mark.process
def test_a_script_may_train_more_than_once(settings, tmp_path):
    own = {**settings, "neg_sampler": "dns"}
    (tmp_path / "script.py").write_text(
        "from recbole_bns import run_recbole_bns\n"
        "from recbole_bns.adapters.team import current\n"
        f"done = [run_recbole_bns('BPR', 'tiny', None, {own!r}, out=out) for out in 'ab']\n"
        "assert done[0]['test_result'] == done[1]['test_result'], done\n"
        "assert [each['nproc'] for each in done] == [2, 2]\n"
        "assert current().size == 1\n",
        encoding="utf-8",
    )
    launcher = torchrun_of(tmp_path, "--nproc-per-node=2", "script.py")
    _, err = launcher.communicate(timeout=300)
    assert launcher.returncode == 0, err
    assert_same(tmp_path / "a", tmp_path / "b")


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize(
    ("more", "act", "sentence"),
    [
        (
            {"config_files": "n.yaml"},
            "pass",
            "nproc: got 3, but torchrun has started 2 processes; start as many",
        ),
        ({"learning_rate": "x"}, "pass", "learning_rate: got 'x'"),
        ({}, "raise UsageError('mine: no.')", "mine: no."),
        ({}, "os.kill(os.getpid(), signal.SIGSTOP)", "had no answer from another one"),
    ],
    ids=["nproc", "setting", "one of them", "stopped"],
)
def test_a_refusal_is_said_once(settings, tmp_path, more, act, sentence):
    name = script(tmp_path, f"from recbole_bns import UsageError; {act}", 0)
    (tmp_path / "n.yaml").write_text("nproc: 3\n", encoding="utf-8")
    if "SIGSTOP" in act:
        text = (tmp_path / name).read_text()
        patch = "import recbole_bns.training.torchrun as t\nt.TIMEOUT = 20.0\n"
        (tmp_path / name).write_text(patch + text)
    launcher = torchrun_of(
        tmp_path, "--nproc-per-node=2", name, *words_of(settings, "refused", **more)
    )
    _, err = launcher.communicate(timeout=300)
    assert launcher.returncode != 0
    assert err.count(sentence) == 1, err
    assert err.count("recbole-bns: ") == 1, err


@pytest.mark.slow
@pytest.mark.process
def test_a_killed_launcher_leaves_no_process(settings, tmp_path):
    words = words_of(settings, "mine", stopping_step=5000, epochs=3000)
    launcher = torchrun_of(tmp_path, "--nproc-per-node=2", "-m", "recbole_bns", *words)
    begun, log = time.time(), tmp_path / "mine" / "run.log"
    while not log.is_file() or "together: " not in log.read_text():
        assert time.time() - begun < 200
        assert launcher.poll() is None, launcher.communicate()
        time.sleep(0.05)
    pids = [int(p) for p in log.read_text().partition("together: ")[2].split("\n")[0].split(",")]
    assert all(map(alive, pids))
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()
    until = time.time() + 100
    while any(map(alive, pids)):
        assert time.time() < until
        time.sleep(0.05)


# --- Without a launcher ------------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes have been started here, of which this is the second."""
    variables = {"RUN_ID": "x"}
    for name, value in variables.items():
        monkeypatch.setenv(f"TORCHELASTIC_{name}", value)
    for name, value in {
        "RANK": "1",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("started")
def test_another_number_than_was_started_is_refused_wherever_it_stands(make, tmp_path):
    from recbole_bns import BNSConfig

    check_run(make(nproc=2))
    with pytest.raises(UsageError, match=r"^nproc: got 3, but torchrun has started 2 processes;"):
        check_run(make(nproc=3))
    file = tmp_path / "mine.yaml"
    file.write_text("nproc: 4\n", encoding="utf-8")
    config = BNSConfig("BPR", "ml-100k", [str(file)], {"nproc": 2, "use_gpu": False})
    with pytest.raises(UsageError, match=r"^nproc: got 4, but torchrun has started 2 processes;"):
        check_run(config)
    with pytest.raises(UsageError, match=r"^torchrun: got 2 processes, but compare does; start"):
        check_alone(make(), "compare does")


def test_a_run_is_found_again_by_those_who_began_it(in_tmp):
    asked = Asked("BPR", "tiny", None, {})
    mine = torchrun.agent()
    assert mine == torchrun.agent()
    assert torchrun.begun_by([mine], asked) is None
    for name, agents in (("runs/a", ["other 1 2.0"]), ("runs/b", ["other 1 2.0", mine])):
        Path(name).mkdir(parents=True)
        (Path(name) / torchrun.AGENTS).write_text(json.dumps(agents), encoding="utf-8")
    assert torchrun.begun_by([mine], asked) == Path("runs/b")
    assert torchrun.begun_by(["new 3 4.0", mine], asked) == Path("runs/b"), "one is enough"
    assert torchrun.begun_by(["new 3 4.0"], asked) is None
    out = Asked("BPR", "tiny", None, {}, out="runs/a")
    assert torchrun.begun_by([mine], out) is None, "another folder is another run"


def test_a_folder_that_a_machine_does_not_see_is_named(tmp_path, monkeypatch):
    (tmp_path / torchrun.SETTINGS).write_text("", encoding="utf-8")
    team = Team(0, 2)
    monkeypatch.setattr(Team, "collect", lambda self, value: [value, value])
    torchrun._check_seen(tmp_path, team)
    monkeypatch.setattr(Team, "collect", lambda self, value: [value, value and str(value) == "m"])
    monkeypatch.setattr(socket, "gethostname", lambda: "m")
    with pytest.raises(UsageError, match=r"of process 0 is not seen by process 1 \(True\); name"):
        torchrun._check_seen(tmp_path, team)


def test_each_process_takes_one_gpu_of_its_machine(started, monkeypatch):
    import torch

    def taken(**settings: Any) -> tuple[str, str | None]:
        own = torchrun._take_gpu(Asked(None, None, None, settings))
        return own, os.environ.get("CUDA_VISIBLE_DEVICES")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert taken() == ("", ""), "all are hidden"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert taken(use_gpu=False) == ("", "4,7")
    assert taken(gpu_id="2,3") == ("3", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert taken() == ("7", "7")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert taken() == ("1", "1")
    with pytest.raises(UsageError, match=r"^gpu_id: '5' names 1 GPUs, but torchrun has started 2"):
        taken(gpu_id="5")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert taken(gpu_id="5")[0] == ""


def test_one_of_them_speaks(monkeypatch, capfd):
    monkeypatch.setattr(torchrun, "GRACE", 0.0)
    monkeypatch.setattr(Team, "is_first", lambda self, what: self.rank == 1)
    for rank, error, raised in (
        (1, UsageError("x: no."), UsageError),
        (0, UsageError("x: no."), SystemExit),
        (0, PeerLost("gone."), SystemExit),
        (1, PeerLost("gone."), SystemExit),
        (0, KeyError("bug"), KeyError),
    ):
        with pytest.raises(raised), torchrun._one_voice(Team(rank, 2)):
            raise error
    said = capfd.readouterr().err
    assert said.count("process 1 (of 0 to 1) had no answer from another one (gone); torchrun") == 1
    assert said.count("recbole-bns: ") == 1


def test_the_launchers_single_thread_gives_way_to_a_share(started, monkeypatch):
    import psutil

    given: dict[str, str] = {}
    monkeypatch.setattr(processes, "count_cores", lambda: 8)
    monkeypatch.setattr(psutil.Process, "environ", lambda self: given)
    limited: list[int] = []
    import threadpoolctl

    monkeypatch.setattr(threadpoolctl, "threadpool_limits", limited.append)
    for name in processes.THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    processes.share_with_torchruns()
    assert {os.environ[name] for name in processes.THREADS} == {"4"}
    given["OMP_NUM_THREADS"] = "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    processes.share_with_torchruns()
    assert os.environ["OMP_NUM_THREADS"] == "1", "the user has said so"
    assert limited == [4, 4]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="counts threads by what Linux tells of them")
def test_who_leaves_has_no_thread_of_the_group_left():
    """One that let a tensor go while the interpreter ended would abort the process."""
    code = """
import pathlib
from recbole_bns.adapters.team import join

def threads():
    names = (path.read_text() for path in pathlib.Path("/proc/self/task").glob("*/comm"))
    return sum(name.startswith("pt_gloo") for name in names)

team = join(pathlib.Path("."))
import torch._dynamo  # as every optimiser does
team.collect(1)
before = threads()
team.leave()
print(before > 0, threads())
"""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    words = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **words, "PYTHONPATH": package_path(), "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.stdout.split() == ["True", "0"], ended.stderr
