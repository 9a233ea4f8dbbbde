"""Trainings on a Ray cluster: what is refused, what a lost machine costs, and that nothing else."""

from __future__ import annotations

import importlib.util
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from test_runner import jobs_of, order_of
from tiny import ROOT, Settings, start

from recbole_bns import UsageError
from recbole_bns.cli import main
from recbole_bns.runner import cluster
from recbole_bns.runner.cluster import RayTasks, check_shared, connected, do, place_at

if importlib.util.find_spec("ray") is None:
    pytest.skip("Ray is missing", allow_module_level=True)

HERE = Path(__file__).parent


def compare_of(settings: Settings, *more: str) -> list[str]:
    own = {"model": "BPR", "dataset": "tiny", "samplers": "rns,dns", "seeds": 2, **settings}
    return ["compare", *(f"--{key}={value}" for key, value in own.items()), "--out=cmp", *more]


def test_a_comparison_without_ray_or_with_a_wrong_address_is_refused(
    settings, in_tmp, capsys, monkeypatch
):
    import ray

    def init(**given: Any) -> None:
        raise ConnectionError(f"Nobody at {given['address']}\nlong")

    monkeypatch.setattr(ray, "init", init)
    assert main(compare_of(settings, "--address=1.2.3.4:5")) == 2
    said = "--address: Ray cannot be started or reached: Nobody at 1.2.3.4:5\n"
    assert capsys.readouterr().err.endswith(said)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "ray" else find(name)
    )
    assert main(compare_of(settings, "--address=auto")) == 2
    assert "--address: Ray is not installed; pip install 'ray'.\n" in capsys.readouterr().err


NODE = {"Alive": True, "NodeManagerAddress": "1.2.3.4", "NodeID": "x"}


@pytest.mark.parametrize(
    ("nodes", "gpu", "found"),
    [
        ([{"CPU": 4.0}, {"CPU": 2.0}, {}], False, (6, 2, 0)),
        ([{"CPU": 4.0, "GPU": 2.0}], True, (4, 4, 2)),
        ([{}], False, "has no cores"),
        ([{"CPU": 4.0}], True, "has no GPUs"),
    ],
)
def test_what_a_cluster_has_is_counted(tmp_path, monkeypatch, nodes, gpu, found):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(cluster, "RayTasks", lambda gpu: None)
    lost = {**NODE, "Alive": False, "Resources": {"CPU": 64.0}}
    monkeypatch.setattr(
        ray, "nodes", lambda: [lost, *({**NODE, "Resources": each} for each in nodes)]
    )
    if isinstance(found, str):
        with (
            pytest.raises(UsageError, match=f"^--address: the cluster at 'auto' {found}"),
            place_at("auto", tmp_path, gpu=gpu),
        ):
            pass
        return
    with place_at("auto", tmp_path, gpu=gpu) as place:
        assert (place.cores, place.each, place.gpus) == found


@pytest.mark.process
def test_a_task_does_its_job_once(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PAUSE", 0.02)
    (job,) = jobs_of(tmp_path, {"a": {}})
    (bad,) = jobs_of(tmp_path, {"b": {"end": "fail"}})
    monkeypatch.chdir(tmp_path)
    assert do(job, str(tmp_path)) == (0, "")
    assert do(job, str(tmp_path)) == (0, ""), "its machine was lost before it could say so"
    assert order_of(tmp_path) == ["a"]
    assert do(bad, str(tmp_path)) == (1, "ValueError: no good")


@pytest.mark.slow
@pytest.mark.process
def test_a_comparison_on_three_nodes_of_which_one_dies(settings, tmp_path, monkeypatch):
    cluster.set_environment(local=True)
    path = os.pathsep.join([str(ROOT), str(HERE), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    import ray
    from ray.cluster_utils import Cluster

    three = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        others = [three.add_node(num_cpus=1) for _ in range(2)]
        three.wait_for_nodes(120)
        with (tmp_path / "log").open("w") as log:
            slow = {**settings, "epochs": 40, "train_batch_size": 8, "stopping_step": 100}
            words = compare_of(slow, f"--address={three.address}")
            driver = start(words, tmp_path, stdout=log, stderr=log)
            runs, begun = tmp_path / "cmp" / "runs", time.time()
            while not (done := sorted(runs.glob("*.json"))):
                assert time.time() - begun < 400, (tmp_path / "log").read_text()
                assert driver.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.1)
            before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in done}
            three.remove_node(others[1], allow_graceful=False)
            assert driver.wait(600) == 0, (tmp_path / "log").read_text()
        with connected(three.address):
            refused = compare_of(slow, f"--address={three.address}", "--jobs=9")
            monkeypatch.chdir(tmp_path)
            assert main(refused) == 2
            # Not one that Ray calls alive: a lost one is called so for seconds.
            node = ray.get_runtime_context().get_node_id()
            lost = others[1].node_id
            assert check_shared(tmp_path, [node, lost]) == [node]
            with pytest.raises(UsageError, match=r"^--address: the folder '.*nowhere' is not seen"):
                check_shared(tmp_path / "nowhere", [node])
            (waits,) = jobs_of(tmp_path, {"waits": {"wait_for": "never"}})
            task = RayTasks().start(waits)
            while not waits.folder.exists():
                assert task.status() is None
                time.sleep(0.1)
            task.stop()
            while task.status() is None:
                time.sleep(0.1)
            assert task.complaint().startswith("Ray gave it up: ")
    finally:
        three.shutdown()
    records = [json.loads(file.read_text(encoding="utf-8")) for file in runs.glob("*.json")]
    assert [record["status"] for record in records] == ["done"] * 4
    assert {record["result"]["epochs"] for record in records} == {40}
    assert {(record["cores"], record["jobs"], record["threads"]) for record in records} == {
        (3, 3, 1)
    }
    for file, held in before.items():
        assert (file.read_bytes(), file.stat().st_mtime_ns) == held, "finished runs stay"
    assert "Traceback" not in (tmp_path / "log").read_text()
