"""Comparisons are trained, go on, fail and are written."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from comparisons import VARIANTS, plan_of, words_of
from tiny import alive, start, write_tiny

from recbole_bns import UsageError, run_recbole_bns
from recbole_bns.cli import main
from recbole_bns.cli.flags import parse_flags
from recbole_bns.common.processes import count_cores
from recbole_bns.compare import command as module
from recbole_bns.compare.plan import read_plan
from recbole_bns.compare.records import read_records
from recbole_bns.runner import cluster
from recbole_bns.runner.cluster import Place
from recbole_bns.runner.pool import LocalProcesses
from recbole_bns.runs import results as per_user


def test_variants_are_trained_and_named(settings, in_tmp, in_process, capsys):
    Path("v.yaml").write_text(VARIANTS, encoding="utf-8")
    words = [
        "compare",
        *words_of(
            settings,
            "--epochs=1",
            "--out=cmp",
            "--variants=v.yaml",
            "--samplers=rns,hard,slow-2",
            "--seeds=1",
        ),
    ]
    assert main(words) == 0
    text = Path("cmp/compare.md").read_text(encoding="utf-8")
    assert "| hard (dns) " in text
    assert "- `hard`: candidate_num 9, " in text
    assert "- `Slow-2`: epochs 2, learning_rate 0.01" in text
    content = json.loads(Path("cmp/compare.json").read_text(encoding="utf-8"))
    assert [row["epochs"] for row in content["runs"]] == [1, 1, 2]
    capsys.readouterr()
    Path("v.yaml").write_text(VARIANTS.replace("9", "8"), encoding="utf-8")
    assert main(words) == 2
    assert "hard with seed 1 trained with neg_sampler_args.candidate_num 9, got 8" in (
        capsys.readouterr().err
    )


def test_a_variant_may_have_a_model_of_its_own(settings, in_tmp, in_process):
    Path("v.yaml").write_text("Closed: {neg_sampler: none, model: EASE}", encoding="utf-8")
    words = words_of(settings, "--epochs=1", "--variants=v.yaml", "--samplers=rns,closed")
    plan = read_plan(parse_flags(words))
    assert plan.resolved("Closed")["model"] == "EASE"
    assert [plan.words.model_of(row) for row in plan.samplers] == ["BPR", "EASE"]
    assert main(["compare", *words, "--out=cmp"]) == 0
    content = json.loads(Path("cmp/compare.json").read_text(encoding="utf-8"))
    assert [run["sampler"] for run in content["runs"]] == ["rns", "Closed"] * 2
    log = Path("cmp/runs/Closed-1/run.log").read_text(encoding="utf-8")
    assert "EASE" in log
    assert "BPR" not in log


def test_rows_of_a_comparison_are_split_as_a_run_is(settings, in_tmp, in_process, capsys):
    words = ["--split=ratio", "--split_shares=0.6,0.2,0.2", "--epochs=1", "--out=cmp"]
    assert main(["compare", *words_of(settings, *words)]) == 0
    compared = read_records(Path("cmp/runs"))["dns", 2]["result"]
    given = {"split": "ratio", "split_shares": [0.6, 0.2, 0.2], "epochs": 1, "seed": 2}
    single = run_recbole_bns(
        "BPR", "tiny", None, {**settings, "topk": [3, 5], **given, "neg_sampler": "dns"}
    )
    usual = run_recbole_bns(
        "BPR",
        "tiny",
        None,
        {**settings, "topk": [3, 5], "epochs": 1, "seed": 2, "neg_sampler": "dns"},
    )
    assert compared["test_result"]["ndcg@5"] == single["test_result"]["ndcg@5"]
    assert compared["test_result"]["ndcg@5"] != usual["test_result"]["ndcg@5"]


def test_a_comparison_is_trained_once_and_written(settings, in_tmp, in_process, capsys):
    words = ["compare", *words_of(settings, "--epochs=1", "--out=cmp")]
    assert main(words) == 0
    first = capsys.readouterr().out
    assert in_process.started == ["rns-1", "dns-1", "rns-2", "dns-2"]
    assert main(words) == 0
    assert len(in_process.started) == 4, "a finished run was repeated"
    assert capsys.readouterr().out == first

    record = read_records(Path("cmp/runs"))["dns", 2]
    values = per_user.load("cmp/runs/dns-2.npz")
    assert len(values["users"]) == len(set(values["users"])) == 40
    for metric, mean in record["result"]["test_result"].items():
        assert values[metric].mean() == pytest.approx(mean, abs=1e-12)

    text = Path("cmp/compare.md").read_text(encoding="utf-8")
    assert text in first
    command = f"recbole-bns compare {shlex.join(words[1:])}"
    content = json.loads(Path("cmp/compare.json").read_text(encoding="utf-8"))
    table = Path("cmp/compare.csv").read_text(encoding="utf-8")
    assert content["command"] == command
    assert f"Made by `{command}` with python" in text
    assert f"; {count_cores()} cores." in text
    assert table.startswith(f"# command: {command}\n")
    assert f"\n# cores: {count_cores()}\n" in table
    assert content["cores"] == str(count_cores())
    assert content["versions"]["torch"] == torch.__version__
    frame = pd.read_csv(io.StringIO(table), comment="#")
    row = frame[(frame["sampler"] == "dns") & (frame["metric"] == "ndcg@5")].iloc[0]
    both = [read_records(Path("cmp/runs"))["dns", seed]["result"] for seed in (1, 2)]
    scores = [result["test_result"]["ndcg@5"] for result in both]
    assert row["mean"] == pytest.approx(np.mean(scores))
    assert row["std"] == pytest.approx(np.std(scores, ddof=1))

    assert main([*words, "--dns.candidate_num=9"]) == 2
    assert capsys.readouterr().err == (
        "recbole-bns: --out: 'cmp' holds dns with seed 1 trained with neg_sampler_args."
        "candidate_num 5, got 9; go on with the old value, or name another folder with "
        "--out=DIR.\n"
    )
    assert main(["compare", *words_of(settings, "--epochs=3", "--out=cmp", "--samplers=pns")]) == 2
    assert "trained with epochs 1, got 3" in capsys.readouterr().err
    assert len(in_process.started) == 4

    more = words_of(settings, "--epochs=1", "--out=cmp", "--seeds=2,5", "--samplers=rns,dns,pns")
    assert main(["compare", *more]) == 0
    assert in_process.started[4:] == ["pns-2", "rns-5", "dns-5", "pns-5"]


def test_a_failed_run_is_shown_and_tried_again(settings, in_tmp, in_process, capsys):
    words = ["compare", *words_of(settings, "--epochs=1", "--out=cmp")]
    in_process.failing |= {"dns-1", "dns-2"}
    assert main(words) == 1
    shown = capsys.readouterr()
    assert "| dns       | 0 of 2, 2 failed | failed" in shown.out
    assert "- `dns`, seed 2: no memory left" in shown.out
    assert (
        "2 run(s) failed, the .log files say why; 2 of 4 runs are finished and lie in cmp/runs;"
        in shown.err
    )
    in_process.failing -= {"dns-1"}
    assert main(words) == 1
    assert in_process.started == ["rns-1", "dns-1", "rns-2", "dns-2", "dns-1", "dns-2"]
    text = Path("cmp/compare.md").read_text(encoding="utf-8")
    assert "1 of 2, 1 failed" in text
    assert "Not all runs are finished" in text
    in_process.failing.clear()
    assert main(words) == 0
    assert "failed" not in Path("cmp/compare.md").read_text(encoding="utf-8")


def test_ctrl_c_writes_what_there_is_and_the_command_goes_on(settings, in_tmp, in_process, capsys):
    words = ["compare", *words_of(settings, "--epochs=1", "--out=cmp", "--jobs=1")]
    in_process.stopping |= {"rns-2"}
    assert main(words) == 130
    shown = capsys.readouterr()
    assert "| 1 of 2" in shown.out
    assert shown.err == (
        "recbole-bns: stopped; 2 of 4 runs are finished and lie in cmp/runs; the same command "
        "goes on.\n"
    )
    in_process.stopping.clear()
    assert main(words) == 0
    assert in_process.started[2:] == ["rns-2", "rns-2", "dns-2"]


def test_runs_on_other_files_of_the_same_name_are_not_mixed_in(
    settings, in_tmp, in_process, capsys
):
    shutil.copytree(Path(settings["data_path"]) / "tiny", "data/tiny")
    same = ("--epochs=1", "--out=cmp", "--data_path=data", "--seeds=1")
    first = ["compare", *words_of(settings, *same, "--samplers=rns")]
    more = ["compare", *words_of(settings, *same, "--samplers=rns,dns")]
    assert main(first) == 0
    file = Path("data/tiny/tiny.inter")
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join([lines[0], *lines[:0:-1]]), encoding="utf-8")
    capsys.readouterr()
    assert main(more) == 2
    assert "holds rns with seed 1 trained on other files of 'tiny'" in capsys.readouterr().err
    file.write_text("".join(lines), encoding="utf-8")
    assert main(more) == 0
    assert in_process.started == ["rns-1", "dns-1"]


def test_the_tables_say_under_what_load_each_time_was_measured(
    settings, in_tmp, in_process, monkeypatch
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(cluster, "count_cores", lambda: 2)

    def compare(*words: str) -> int:
        same = ("--epochs=1", "--out=cmp", "--samplers=rns")
        return main(["compare", *words_of(settings, *same, *words)])

    assert compare("--jobs=1", "--seeds=1") == 0
    assert compare("--jobs=2", "--seeds=2") == 0
    said = "with 1/2 run(s) at once, 1/2 thread(s) each"
    assert said in Path("cmp/compare.md").read_text(encoding="utf-8")
    monkeypatch.setattr(cluster, "count_cores", lambda: 64)
    assert compare("--jobs=1", "--seeds=2") == 0, "nothing is left to run"
    text = Path("cmp/compare.md").read_text(encoding="utf-8")
    assert said in text
    assert "(2 cores)" in text


def test_a_file_that_is_no_record_is_named(settings, in_tmp, in_process, capsys):
    Path("cmp/runs").mkdir(parents=True)
    Path("cmp/runs/x.json").write_text("[1]", encoding="utf-8")
    assert main(["compare", *words_of(settings, "--out=cmp")]) == 2
    assert "'cmp/runs/x.json' is no file of a run; remove it." in capsys.readouterr().err


def test_cores_are_shared_between_runs(settings, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    place = Place(LocalProcesses(), 8, 8)
    assert module.share(plan_of(settings), place) == (4, 2), "four runs"
    assert module.share(plan_of(settings, "--jobs=3"), place) == (3, 2)
    assert module.share(plan_of(settings, "--seeds=9"), place) == (8, 1)
    assert module.share(plan_of(settings, "--jobs=20", "--seeds=30"), place) == (20, 1)
    assert module.share(plan_of(settings, "--threads=3"), place) == (2, 3)
    assert module.share(plan_of(settings, "--threads=3", "--jobs=4"), place) == (4, 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert module.share(plan_of(settings, "--threads=3"), place) == (2, 4)


def test_the_cores_of_a_cluster_are_those_of_its_machines(settings, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    place = Place(LocalProcesses(), 12, 2, 0)
    assert module.share(plan_of(settings), place) == (4, 2), "a run has one machine"
    assert module.share(plan_of(settings, "--seeds=9"), place) == (12, 1)
    assert (place.at_once(None), place.at_once(12)) == (12, 12)
    with pytest.raises(UsageError, match=r"^--jobs: got 13, but the cluster has room for 12 trai"):
        place.at_once(13)
    with pytest.raises(UsageError, match=r"^--jobs: got 3, .* allowed is 1 to 2\.$"):
        Place(LocalProcesses(), 12, 2, 2).at_once(3, gpu=True)


def start_compare(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    return start(["compare", *words], folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        if path.exists():
            return
        assert process.poll() is None, process.stdout and process.stdout.read().decode()
        time.sleep(0.1)
    raise AssertionError(f"{path} did not appear")


def children(number: int) -> list[int]:
    for _ in range(1200):
        if found := [each.pid for each in psutil.Process(number).children()]:
            return found
        time.sleep(0.05)
    raise AssertionError("no worker was started")


@pytest.mark.slow
@pytest.mark.process
def test_a_killed_comparison_leaves_no_process_and_is_resumed(settings, tmp_path):
    words = words_of(
        settings,
        "--epochs=1",
        "--out=cmp",
        "--seeds=1",
        "--jobs=1",
        "--samplers=rns,dns,pns",
        "--show_progress=True",
    )
    runs = tmp_path / "cmp" / "runs"
    first = start_compare(words, tmp_path)
    wait_for(runs / "rns-1.json", first)
    wait_for(runs / "dns-1.log", first)
    workers = children(first.pid)
    first.kill()
    first.wait()
    for _ in range(1000):
        if not any(map(alive, workers)):
            break
        time.sleep(0.1)
    assert not any(map(alive, workers)), "a worker outlived the comparison"
    before = (runs / "rns-1.json").stat().st_mtime_ns

    second = start_compare(words, tmp_path)
    wait_for(runs / "dns-1.json", second)
    wait_for(runs / "pns-1.log", second)
    second.send_signal(signal.SIGINT)
    said = second.communicate(timeout=600)[0].decode()
    assert second.returncode == 130, said
    assert "2 of 3 runs are finished and lie in cmp/runs; the same command goes on." in said
    assert "not run" in said
    assert not (runs / "pns-1.json").exists()

    third = start_compare(words, tmp_path)
    said = third.communicate(timeout=600)[0].decode()
    assert third.returncode == 0, said
    assert "BPR on tiny: 3 of 3 runs, pns with seed 1: ndcg@5 0." in said
    assert (runs / "rns-1.json").stat().st_mtime_ns == before


@pytest.mark.slow
@pytest.mark.process
def test_a_run_that_ends_badly_in_its_process_ends_no_other(settings, tmp_path):
    words = words_of(
        settings,
        "--epochs=3",
        "--out=cmp",
        "--seeds=1",
        "--learning_rate=1e30",
        "--samplers=rns,dns",
        "--jobs=1",
        "--learner=sgd",
    )
    process = start_compare(words, tmp_path)
    said = process.communicate(timeout=600)[0].decode()
    assert process.returncode == 1, said
    for name in ("rns-1", "dns-1"):
        record = json.loads((tmp_path / "cmp" / "runs" / f"{name}.json").read_text())
        assert record["status"] == "failed"
        assert "not finite" in record["error"] or "NaN" in record["error"]
        assert Path(tmp_path / record["log"]).is_file()
    assert "0 of 2 runs are finished" in said


def test_two_comparisons_do_not_share_a_folder(settings, in_tmp, in_process, capsys):
    pytest.importorskip("fcntl")
    Path("cmp").mkdir()
    with module._alone(Path("cmp")):
        assert main(["compare", *words_of(settings, "--out=cmp")]) == 2
    assert "another comparison is at work in 'cmp'" in capsys.readouterr().err
    assert in_process.started == []


def test_runs_that_were_still_improving_are_named_above_the_table(settings, in_tmp, in_process):
    words = words_of(settings, "--out=cmp", "--epochs=3", "--learning_rate=0.001", "--seeds=1")
    assert main(["compare", *words]) == 0
    text = Path("cmp/compare.md").read_text(encoding="utf-8")
    content = json.loads(Path("cmp/compare.json").read_text(encoding="utf-8"))
    late = {run["sampler"] for run in content["runs"] if run["best_epoch"] == run["epochs"] == 3}
    assert late
    assert set(content["still_improving"]) == late
    warning = text.index("WARNING: still improving")
    assert warning < text.index("| sampler ")
    line = text[warning:].partition("\n")[0]
    assert {name for name in ("rns", "dns") if f"`{name}` (1 of 1 runs)" in line} == late


def test_tuned_settings_beside_a_file_of_the_user_are_named(in_tmp, in_process):
    write_tiny(in_tmp, "ml-1m")
    Path("mine.yaml").write_text("learning_rate: 0.5\n", encoding="utf-8")
    flags = {"dataset": "ml-1m", "data_path": ".", "use_gpu": False}
    more = ("--seeds=1", "--epochs=1", "--out=cmp", "--embedding_size=8", "--show_progress=False")
    assert main(["compare", *words_of(flags, *more), "--config_files=mine.yaml"]) == 0
    text = Path("cmp/compare.md").read_text(encoding="utf-8")
    start = text.index("Tuned settings added to those of `mine.yaml`")
    assert start < text.index("| sampler ")
    line = next(each for each in text[start:].splitlines() if each.startswith("- `dns`: "))
    assert "neg_sampler_args.candidate_num " in line
    assert "(properties/tuned/ml-1m/BPR/dns.yaml)" in line
    assert "learning_rate" not in line
    assert "embedding_size" not in line
