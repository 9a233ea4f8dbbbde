"""Comparisons: what is asked for, runs in processes, going on, statistics, tables."""

from __future__ import annotations

import io
import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from scipy import stats
from tiny import ROOT, Settings, alive, build_model, prepare, start

from recbole_bns import UsageError, cli, get_trainer
from recbole_bns.adapters.evaluation import PerUserEvaluator, users_of
from recbole_bns.cli import main
from recbole_bns.cli.flags import parse_flags
from recbole_bns.common.files import beside
from recbole_bns.common.processes import Worker
from recbole_bns.common.progress import RunsProgress
from recbole_bns.compare import command as module
from recbole_bns.compare.plan import read_plan
from recbole_bns.compare.records import read_records, stem
from recbole_bns.compare.report import Origin, Report
from recbole_bns.compare.statistics import (
    against_reference,
    different_test_parts,
    holm,
    means_table,
    paired_tests,
    runs_table,
    settings_that_differ,
    times_table,
)
from recbole_bns.runs import results as per_user
from recbole_bns.training.run import run_recbole_bns

HOME = str(ROOT)


def words_of(settings: Settings, *more: str) -> list[str]:
    """The command line of a comparison on the tiny data set; later words win."""
    flags = {
        "model": "BPR",
        "dataset": "tiny",
        "samplers": "rns,dns",
        "seeds": "2",
        "topk": "3,5",
        **settings,
    }
    flags |= dict(word[2:].split("=", 1) for word in more)
    return [f"--{key}={value}" for key, value in flags.items()]


def plan_of(settings: Settings, *more: str) -> Any:
    return read_plan(parse_flags(words_of(settings, *more)))


class InProcess:
    """Takes the place of a worker: the run is done when it is started, in this process."""

    started: list[str] = []  # noqa: RUF012
    failing: set[str] = set()  # noqa: RUF012
    stopping: set[str] = set()  # noqa: RUF012

    def __init__(self, job: Mapping[str, Any], threads: int) -> None:
        folder = Path(job["folder"])
        self.record, self.log = job["record"], folder.with_name(folder.name + ".log")
        self.log.write_text("", encoding="utf-8")
        self.started.append(folder.name)
        if folder.name in self.stopping:
            raise KeyboardInterrupt
        self._status = int(folder.name in self.failing)
        if not self._status:
            result = run_recbole_bns(
                job["model"],
                job["dataset"],
                job["config_files"],
                job["settings"],
                out=folder,
                per_user=folder.with_name(folder.name + ".npz"),
            )
            done = {**self.record, "status": "done", "result": result}
            folder.with_name(folder.name + ".json").write_text(json.dumps(done), encoding="utf-8")

    def status(self) -> int:
        return self._status

    def part(self) -> float:
        return 0.5

    def complaint(self) -> str:
        return "no memory left"

    def close(self) -> None:
        pass

    def stop(self) -> None:
        pass


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> type[InProcess]:
    for name, value in (("started", []), ("failing", set()), ("stopping", set())):
        monkeypatch.setattr(InProcess, name, value)
    monkeypatch.setattr(module, "Worker", InProcess)
    monkeypatch.setattr(module, "PAUSE", 0)
    return InProcess


# --- What is asked for -------------------------------------------------------------------------


def test_a_plan_has_every_sampler_with_every_seed_and_the_papers_metrics(settings):
    plan = read_plan(parse_flags([w for w in words_of(settings) if "topk" not in w]))
    assert plan.runs == [("rns", 1), ("dns", 1), ("rns", 2), ("dns", 2)]
    assert plan.reference == "rns"
    assert plan.config["metrics"] == ["Recall", "Precision", "NDCG"]
    assert plan.config["topk"] == [5, 10, 20]
    assert plan.config["valid_metric"] == "NDCG@20"
    assert plan.out == Path("runs/compare-tiny-BPR")
    flags = [w for w in words_of(settings) if not w.startswith(("--samplers", "--seeds"))]
    everything = read_plan(parse_flags(flags))
    assert everything.samplers[0] == "rns"
    assert len(everything.samplers) >= 7
    assert everything.seeds == (1, 2, 3, 4, 5)


def test_a_parameter_of_one_sampler_goes_to_its_runs_alone(settings):
    plan = plan_of(settings, "--dns.candidate_num=3", "--seeds=7,3", "--reference=dns")
    assert plan.seeds == (7, 3)
    assert plan.reference == "dns"
    dns, rns = plan.given(("dns", 3)), plan.given(("rns", 3))
    assert (dns["neg_sampler"], dns["seed"], dns["neg_sampler_args.candidate_num"]) == ("dns", 3, 3)
    assert not [key for key in rns if key.startswith("neg_sampler_args")]
    assert plan.resolved("dns", plan.own["dns"])["neg_sampler_args"]["candidate_num"] == 3


def test_settings_of_files_stand(settings, tmp_path):
    (tmp_path / "a.yaml").write_text("metrics: [Hit]\ntopk: [4]\n", encoding="utf-8")
    flags = parse_flags([w for w in words_of(settings) if "topk" not in w])
    plan = read_plan({**flags, "config_files": [str(tmp_path / "a.yaml")]})
    assert (plan.config["metrics"], plan.config["topk"]) == (["Hit"], [4])


VARIANTS = """
rate=0.5: {neg_sampler: rns, learning_rate: 0.5}
hard: {neg_sampler: dns, neg_sampler_args: {candidate_num: 9}}
Slow-2: {neg_sampler: rns, epochs: 2, learning_rate: 0.01}
"""


def test_variants_are_rows_with_settings_of_their_own(settings, tmp_path):
    file = tmp_path / "v.yaml"
    file.write_text(VARIANTS, encoding="utf-8")
    words = [w for w in words_of(settings) if "samplers" not in w]
    alone = read_plan(parse_flags([*words, f"--variants={file}"]))
    assert alone.samplers == ("rate=0.5", "hard", "Slow-2")
    assert alone.reference == "rate=0.5"
    plan = plan_of(
        settings,
        f"--variants={file}",
        "--samplers=rns,slow-2,dns,hard",
        "--dns.candidate_num=3",
        "--reference=Slow-2",
        "--learning_rate=0.5",
        "--epochs=7",
    )
    assert plan.samplers == ("rns", "Slow-2", "dns", "hard")
    assert plan.reference == "Slow-2"
    found = {name: plan.resolved(name, plan.own.get(name, {})) for name in plan.samplers}
    assert [row["neg_sampler"] for row in found.values()] == ["rns", "rns", "dns", "dns"]
    assert [row["epochs"] for row in found.values()] == [7, 2, 7, 7]
    assert [row["learning_rate"] for row in found.values()] == [0.5, 0.01, 0.5, 0.5]
    numbers = [row["neg_sampler_args"].get("candidate_num") for row in found.values()]
    assert numbers == [None, None, 3, 9]
    differ = settings_that_differ(found)
    assert differ["Slow-2"] == {"epochs": 2, "learning_rate": 0.01}
    assert differ["hard"] == {"epochs": 7, "learning_rate": 0.5}


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


def test_what_the_words_set_for_one_row_they_do_not_set_for_others(settings, tmp_path):
    """So that a parameter that is younger than a held run spoils it only where it was asked for."""
    file = tmp_path / "v.yaml"
    file.write_text(VARIANTS, encoding="utf-8")
    plan = plan_of(settings, f"--variants={file}", "--samplers=rns,dns,hard", "--epochs=7")
    key = "neg_sampler_args.candidate_num"
    assert [plan.says(key, row) for row in plan.samplers] == [False, False, True]
    assert not plan.says("neg_sampler_args.beta", "hard")
    assert all(plan.says("epochs", row) for row in plan.samplers)


def test_a_variant_may_have_a_model_of_its_own(settings, in_tmp, in_process):
    Path("v.yaml").write_text("Closed: {neg_sampler: none, model: EASE}", encoding="utf-8")
    words = words_of(settings, "--epochs=1", "--variants=v.yaml", "--samplers=rns,closed")
    plan = read_plan(parse_flags(words))
    assert plan.resolved("Closed", plan.own["Closed"])["model"] == "EASE"
    assert [plan.model_of(row) for row in plan.samplers] == ["BPR", "EASE"]
    assert main(["compare", *words, "--out=cmp"]) == 0
    content = json.loads(Path("cmp/compare.json").read_text(encoding="utf-8"))
    assert [run["sampler"] for run in content["runs"]] == ["rns", "Closed"] * 2
    log = Path("cmp/runs/Closed-1/run.log").read_text(encoding="utf-8")
    assert "EASE" in log
    assert "BPR" not in log


@pytest.mark.process
def test_files_of_a_row_keep_the_dots_of_its_name(tmp_path):
    folder = tmp_path / stem(("rate=0.5", 1))
    for ending in (".json", ".npz", ".log"):
        assert beside(folder, ending).name == f"rate=0.5-1{ending}"
    job = {"folder": str(folder), "epochs": 1, "record": {}, "model": "no such model"}
    worker = Worker({**job, "dataset": "", "config_files": None, "settings": {}}, 1)
    worker.close()
    assert worker.log.name == "rate=0.5-1.log"


BAD_VARIANTS = [
    ("a b: {neg_sampler: dns}", "got the name 'a b'; allowed are letters"),
    ("DNS: {neg_sampler: dns}", "'DNS' is taken"),
    ("a: {neg_sampler: dns}\nA: {neg_sampler: rns}", "'A' is taken"),
    ("a: dns", "a is 'dns'; allowed is a mapping of settings with at least neg_sampler"),
    ("a: {epochs: 3}", "a is {'epochs': 3}; allowed is a mapping"),
    ("a: {neg_sampler: dsn}", "a has neg_sampler 'dsn'; did you mean 'dns'?"),
    ("a: {neg_sampler: dns, seed: 3}", "a sets seed, which all rows of a table share; write --se"),
    ("a: {neg_sampler: dns, topk: 3}", "a sets topk, which all rows of a table share; write --to"),
    ("", "no variants in it."),
]


@pytest.mark.parametrize(("text", "sentence"), BAD_VARIANTS, ids=lambda value: value[:30])
def test_bad_variants_are_refused(settings, in_tmp, capsys, text, sentence):
    Path("v.yaml").write_text(text, encoding="utf-8")
    assert main(["compare", *words_of(settings, "--variants=v.yaml")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("recbole-bns: --variants: 'v.yaml'")
    assert sentence in said


def test_a_bad_parameter_of_a_variant_is_named_after_it(settings, in_tmp, capsys):
    Path("v.yaml").write_text(
        "a: {neg_sampler: dns, neg_sampler_args: {candidate_nom: 3}}", encoding="utf-8"
    )
    words = words_of(settings, "--variants=v.yaml", "--samplers=a")
    assert main(["compare", *words]) == 2
    assert capsys.readouterr().err.startswith(
        "recbole-bns: a: neg_sampler_args.candidate_nom: no such parameter"
    )
    assert not Path("cmp").exists()


BAD = [
    ("--samplers=rns,dsn", "--samplers: got 'dsn'; did you mean 'dns'?; allowed: ahns,"),
    ("--seeds=0", "--seeds: got 0, allowed are a number of seeds from 1 to 1000"),
    ("--seeds=3,3", "--seeds: got '3,3', allowed are"),
    ("--seeds=3,-1", "--seeds: got '3,-1', allowed are"),
    ("--seeds=many", "--seeds: got 'many', allowed are"),
    ("--jobs=0", "--jobs: got 0, allowed is an integer >= 1."),
    ("--jobs=True", "--jobs: got True, allowed is an integer >= 1."),
    ("--reference=bns", "--reference: got 'bns'; did you mean 'rns'?; allowed is one of --samp"),
    ("--dsn.candidate_num=3", "--dsn.candidate_num: got 'dsn'; did you mean 'dns'?; allowed befo"),
    ("--bns.lambda=3", "--bns.lambda: 'bns' is not among --samplers: rns, dns."),
    ("--dns.candidate_nom=3", "--dns.candidate_nom: no such parameter; did you mean 'candidate_"),
    ("--dns.candidate_num=0", "--dns.candidate_num: got 0, allowed is an integer >= 1"),
    ("--neg_sampler_args.lambda=3", "--neg_sampler_args.lambda: not a setting of a comparison; wr"),
    ("--neg_sampler=bns", "--neg_sampler: not a setting of a comparison; write --samplers=A,B."),
    ("--seed=3", "--seed: not a setting of a comparison; write --seeds=N or --seeds=3,7,9."),
    ("--epochs=0", "epochs: got 0, allowed is an integer >= 1."),
    ("--dataset=nope", "data set 'nope': there is no file "),
]


@pytest.mark.parametrize(("word", "sentence"), BAD, ids=lambda value: value[:30])
def test_what_cannot_be_is_refused_before_any_run(settings, in_tmp, capsys, word, sentence):
    assert main(["compare", *words_of(settings, word)]) == 2
    assert capsys.readouterr().err.startswith(f"recbole-bns: {sentence}")
    assert list(in_tmp.iterdir()) == []


def test_help_fits_on_a_screen_and_its_examples_are_read(capsys):
    assert main(["compare", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    examples = [line for line in lines if line.startswith("  recbole-bns compare ")]
    assert len(examples) >= 2
    for example in examples:
        assert parse_flags(example.split()[2:])


# --- Runs, resume, failure ---------------------------------------------------------------------


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
    assert f"; {module.count_cores()} cores." in text
    assert table.startswith(f"# command: {command}\n")
    assert f"\n# cores: {module.count_cores()}\n" in table
    assert content["cores"] == str(module.count_cores())
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
    monkeypatch.setattr(module, "count_cores", lambda: 2)

    def compare(*words: str) -> int:
        same = ("--epochs=1", "--out=cmp", "--samplers=rns")
        return main(["compare", *words_of(settings, *same, *words)])

    assert compare("--jobs=1", "--seeds=1") == 0
    assert compare("--jobs=2", "--seeds=2") == 0
    said = "with 1/2 run(s) at once, 1/2 thread(s) each"
    assert said in Path("cmp/compare.md").read_text(encoding="utf-8")
    monkeypatch.setattr(module, "count_cores", lambda: 64)
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
    monkeypatch.setattr(module, "count_cores", lambda: 8)
    assert module.share(plan_of(settings)) == (4, 2), "four runs"
    assert module.share(plan_of(settings, "--jobs=3")) == (3, 2)
    assert module.share(plan_of(settings, "--seeds=9")) == (8, 1)
    assert module.share(plan_of(settings, "--jobs=20", "--seeds=30")) == (20, 1)


def environment_of(number: int) -> list[str]:
    """What the process was started with; Linux shows nothing while exec is still under way."""
    for _ in range(600):
        text = Path(f"/proc/{number}/environ").read_text()
        if text:
            break
        time.sleep(0.05)
    return text.split("\0")


@pytest.mark.process
def test_a_worker_has_its_threads_and_a_crash_is_told(tmp_path, monkeypatch):
    waiting = tmp_path / "python"  # the job is none that a worker could do: it would end by itself
    waiting.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
    waiting.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(waiting))
    job = {"folder": str(tmp_path / "rns-1"), "record": {}, "epochs": 4}
    worker = Worker(job, 3)
    number = worker._process.pid
    if Path(f"/proc/{number}/environ").exists():
        assert "OMP_NUM_THREADS=3" in environment_of(number)
    assert worker.part() == 0.0
    (tmp_path / "rns-1").mkdir()
    (tmp_path / "rns-1" / "epochs.csv").write_text("epoch\n1\n2\n3\n", encoding="utf-8")
    assert worker.part() == 0.75
    os.kill(number, signal.SIGSEGV)
    worker.close()
    assert worker.complaint() == f"the process was ended by signal {int(signal.SIGSEGV)}"


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


def test_progress_shows_runs_and_the_time_left(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("recbole_bns.common.progress.time", lambda: clock[0])
    stream = io.StringIO()
    with RunsProgress("x", 4, 2, stream=stream) as progress:
        progress.running(0.5)
        clock[0] += 10
        progress.finished("dns with seed 1: good")
        progress.finished("dns with seed 2: good")
    assert stream.getvalue().splitlines() == [
        "x: 3 of 4 runs, dns with seed 1: good; 00:10 elapsed, about 00:10 left",
        "x: 4 of 4 runs, dns with seed 2: good; 00:10 elapsed, about 00:00 left",
    ]


# --- Metrics against their definitions ---------------------------------------------------------


@pytest.mark.parametrize("mode", ["full", "uni20"])
def test_metrics_of_every_user_are_those_of_the_papers(make, mode):
    """Recall, precision and NDCG by their definitions, from scores, with loops and sets."""
    config = make(
        metrics=["Recall", "Precision", "NDCG"],
        topk=[1, 3, 10],
        valid_metric="NDCG@10",
        eval_args={"mode": mode},
    )
    train, _, test = prepare(config)
    model = build_model(config, train)
    trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, model)
    trainer.eval_collector.data_collect(train)
    trainer.evaluator = PerUserEvaluator(config)
    if mode == "uni20":
        lists = listed_items(test)
    reported = trainer.evaluate(test, load_best_model=False)
    users, values = users_of(test), trainer.evaluator.values
    assert {len(column) for column in values.values()} == {len(users)}
    for name, mean in reported.items():
        assert values[name].mean() == pytest.approx(mean, abs=1e-12)

    dataset = test._dataset
    feat = dataset.inter_feat
    scores = (model.user_embedding.weight @ model.item_embedding.weight.T).detach()
    for row, token in enumerate(users):
        user = dataset.token2id(dataset.uid_field, token)
        wanted = set(feat["item_id"][feat["user_id"] == user].tolist())
        if mode == "full":
            seen = set(test._sampler.used_ids[user]) - wanted
            allowed = [item for item in range(1, dataset.item_num) if item not in seen]
        else:
            allowed = lists[user]
        ranked = sorted(allowed, key=lambda item: -scores[user, item].item())
        for k in config["topk"]:
            for name, value in brute_force(ranked, wanted, k).items():
                assert values[f"{name}@{k}"][row] == pytest.approx(value, abs=1e-12), (token, name)


def listed_items(loader: Any) -> dict[int, list[int]]:
    """User -> positives and evaluation negatives, of a loader that repeats itself."""
    lists: dict[int, set[int]] = {}
    for interaction, *_ in loader:
        for user, item in zip(
            interaction["user_id"].tolist(), interaction["item_id"].tolist(), strict=True
        ):
            lists.setdefault(user, set()).add(item)
    return {user: sorted(items) for user, items in lists.items()}


def brute_force(ranked: list[int], wanted: set[int], k: int) -> dict[str, float]:
    hits = [rank for rank, item in enumerate(ranked[:k], 1) if item in wanted]
    gain = sum(1 / math.log2(rank + 1) for rank in hits)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))
    return {"recall": len(hits) / len(wanted), "precision": len(hits) / k, "ndcg": gain / ideal}


# --- Statistics --------------------------------------------------------------------------------


def record_of(sampler: str, seed: int, **metrics: float) -> dict[str, Any]:
    result = {
        "test_result": metrics,
        "train_epoch_seconds": [2.0, 3.0, 4.0],
        "best_epoch": 2,
        "epochs": 3,
        "neg_sampler_label": sampler,
        "neg_sampler_args": {"m": 5},
        "best_valid_result": {},
    }
    settings = {"learning_rate": 0.1, "epochs": 3, "reg_weight": 0.5 if sampler == "b" else 0.0}
    return {
        "sampler": sampler,
        "seed": seed,
        "status": "done",
        "result": result,
        "settings": settings,
    }


def test_means_ranks_and_times_by_hand():
    scores = {"a": (0.25, 0.75), "b": (0.1, 0.3), "c": (0.4, 0.6), "d": (0.3,)}
    runs = runs_table(
        [
            record_of(s, i, **{"ndcg@5": v, "mae": v})
            for s, vs in scores.items()
            for i, v in enumerate(vs)
        ]
        + [{"sampler": "b", "seed": 9, "status": "failed"}]
    )
    means = means_table(runs, ["d", "c", "b", "a", "absent"], smaller={"mae"})
    table = means[means["metric"] == "ndcg@5"].set_index("sampler")
    assert list(table.index) == ["d", "c", "b", "a"]
    assert table["mean"].to_dict() == pytest.approx({"a": 0.5, "b": 0.2, "c": 0.5, "d": 0.3})
    assert table["std"]["a"] == pytest.approx(math.sqrt(2 * 0.25**2))
    assert math.isnan(table["std"]["d"])
    assert table["rank"].to_dict() == {"a": 1, "c": 1, "d": 2, "b": 3}
    smaller = means[means["metric"] == "mae"].set_index("sampler")
    assert smaller["rank"].to_dict() == {"b": 1, "d": 2, "a": 3, "c": 3}
    times = times_table(runs, ["a"]).loc["a"]
    assert times["train_seconds", "mean"] == 9.0
    assert times["seconds_to_best", "mean"] == 5.0


def test_holm_by_hand():
    p = np.array([0.04, 0.01, np.nan, 0.03, 0.9])
    assert holm(p).tolist() == pytest.approx([0.09, 0.04, np.nan, 0.09, 0.9], nan_ok=True)
    assert holm(np.array([0.5, 0.6])).tolist() == [1.0, 1.0]
    assert holm(np.array([0.2])).tolist() == [0.2]


def test_paired_tests_are_those_of_scipy():
    source = np.random.default_rng(3)
    ours, theirs = source.random(30).round(1), source.random(30).round(1)
    found = paired_tests(ours - theirs)
    gaps = (ours - theirs).round(9)
    assert found["users"] == 30
    assert found["p_t"] == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
    t = gaps.mean() / (gaps.std(ddof=1) / math.sqrt(30))
    assert found["p_t"] == pytest.approx(2 * stats.t.sf(abs(t), 29))
    assert found["p_wilcoxon"] == pytest.approx(stats.wilcoxon(gaps).pvalue)
    assert paired_tests(np.full(5, 1e-17)) == {"users": 5, "p_t": 1.0, "p_wilcoxon": 1.0}


def two_seeds() -> tuple[list[dict[str, Any]], dict[Any, Any]]:
    """Three samplers, two seeds with different test users; ``c`` lacks the second seed."""
    source = np.random.default_rng(5)
    users = {1: ["u1", "u2", "u3", "u4", "u5"], 2: ["u5", "u1", "u6", "u2", "u7"]}
    values: dict[Any, Any] = {}
    records = []
    for sampler, seeds in (("a", (1, 2)), ("b", (1, 2)), ("c", (1,))):
        for seed in seeds:
            column = source.random(5)
            values[sampler, seed] = {"users": np.array(users[seed]), "ndcg@5": column}
            records.append(record_of(sampler, seed, **{"ndcg@5": column.mean(), "gauc": 0.5}))
    return records, values


def test_users_are_averaged_over_seeds_then_paired():
    records, values = two_seeds()
    table = against_reference(runs_table(records), values, ["a", "b", "c"], "a")
    table = table.set_index(["sampler", "metric"])
    gap: dict[str, list[float]] = {}
    for seed in (1, 2):
        ours, theirs = values["b", seed], values["a", seed]
        for user, x, y in zip(ours["users"], ours["ndcg@5"], theirs["ndcg@5"], strict=True):
            gap.setdefault(user, []).append(x - y)
    by_hand = np.array([np.mean(each) for each in gap.values()])
    b, c = table.loc[("b", "ndcg@5")], table.loc[("c", "ndcg@5")]
    assert b["users"] == 7
    assert b["p_t"] == pytest.approx(stats.ttest_1samp(by_hand, 0).pvalue)
    assert b["p_wilcoxon"] == pytest.approx(stats.wilcoxon(by_hand).pvalue)
    assert b["difference"] == pytest.approx(
        np.mean([(values["b", s]["ndcg@5"] - values["a", s]["ndcg@5"]).mean() for s in (1, 2)])
    )
    assert c["users"] == 5, "only the common seed counts"
    assert c["p_t"] == pytest.approx(
        stats.ttest_rel(values["c", 1]["ndcg@5"], values["a", 1]["ndcg@5"]).pvalue
    )
    assert [b["p_t_holm"], c["p_t_holm"]] == holm(np.array([b["p_t"], c["p_t"]])).tolist()
    assert table.loc[("b", "gauc"), ["users", "p_t", "p_t_holm"]].isna().all()
    assert different_test_parts(values) == []
    values["a", 1]["users"][0] = "other"
    assert different_test_parts(values) == [1]


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


@pytest.mark.process
def test_the_command_is_wired_and_light():
    code = (
        "import sys; from recbole_bns.cli import main; "
        "assert main(['compare', '--help']) == 0; "
        "assert not {'recbole', 'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {HOME!r}); {code}"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert cli.compare


def test_a_plan_of_one_sampler_that_is_no_list(settings):
    assert plan_of(settings, "--samplers=none").samplers == ("none",)
    with pytest.raises(UsageError, match="allowed: ahns"):
        plan_of(settings, "--samplers=1")
