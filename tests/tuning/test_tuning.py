"""Sweeps: spaces, flags, records, effects; with Ray: trials, early stops, failures, going on."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from swept import RESULT
from tiny import LOSS, ROOT, Settings, start

from recbole_bns import BNSConfig, UsageError
from recbole_bns.cli import main
from recbole_bns.cli.flags import parse_flags
from recbole_bns.sampling import available, get, parse
from recbole_bns.settings.hints import Chosen
from recbole_bns.settings.properties import PROPERTIES
from recbole_bns.tuning import records
from recbole_bns.tuning.plan import number, read_plan, seconds
from recbole_bns.tuning.report import best_yaml, explained, markdown, trials_csv
from recbole_bns.tuning.space import (
    Dimension,
    as_grid,
    default_space,
    grid_size,
    has_reg_weight,
    read_space,
)

if importlib.util.find_spec("ray") is None:
    pytest.skip("Ray is not installed", allow_module_level=True)

HOME = str(ROOT)
SAMPLERS = [name for name, cls in available().items() if "recbole_bns." in cls.__module__]


# --- Records -----------------------------------------------------------------------------------


def test_every_reported_number_is_kept_whatever_it_is_called(tmp_path, monkeypatch):
    from recbole_bns.tuning.callback import Recorder

    words = ["--model=BPR", "--dataset=ml-100k", f"--out={tmp_path}", "--show_progress=False"]
    plan = read_plan(parse_flags(words), "tune")
    trial = SimpleNamespace(trial_id="t_1", config={"learning_rate": np.float64(0.5)})
    reports = [
        {"epoch": e, "train_loss": 0.5, "ndcg@20": 0.25 * e, "gauc": 0.5, "mae": 0.125}
        for e in (1, 2)
    ]
    with Recorder(plan, {}, shown=False) as recorder:
        recorder.begin(trial)
        for numbers in reports:
            of_ray = {"reported": " ".join(numbers), "node": "n", "time_total_s": 3.0, "done": True}
            recorder.report(trial, numbers | of_ray)
        recorder.report(trial, {"error": "lost", "epoch": 9})
        monkeypatch.setattr(records, "read", None)  # the end of a trial reads no file
        recorder.end(trial, records.FINISHED)
    monkeypatch.undo()
    assert records.read(tmp_path) == recorder.records
    found = recorder.records["t_1"]
    assert found.reports == {1: reports[0], 2: reports[1]}
    assert (found.status, found.node) == (records.FINISHED, "n")
    assert found.found == {"learning_rate": 0.5}
    assert found.best("gauc", bigger=True) == (0.5, 1)


# --- Spaces ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_has_a_space_that_it_accepts(name):
    from recbole_bns.tuning import search_space

    drawn = search_space(name, "BPR")
    assert {"learning_rate", "reg_weight"} <= set(drawn)
    own = {key for key in drawn if key.startswith("neg_sampler_args.")}
    assert bool(own) is bool(dataclasses.fields(get(name).Params))
    for _ in range(20):
        settings = {key: domain.sample() for key, domain in drawn.items()}
        given = {"neg_sampler": name, **LOSS.get(name, {}), **settings}
        config = BNSConfig("BPR", "ml-100k", None, given)
        parse(get(name).Params, config["neg_sampler_args"], "here")
        for key in own:
            assert config["neg_sampler_args"][key.partition(".")[2]] == settings[key]


def test_there_is_no_space_without_a_sampler():
    assert {path.stem for path in (PROPERTIES / "sweep").glob("*.yaml")} == set(SAMPLERS)
    with pytest.raises(UsageError, match="no space for 'bsn'; did you mean 'bns'"):
        default_space("bsn", "BPR")


def test_regularisation_is_that_of_the_model():
    assert has_reg_weight("BPR")
    assert has_reg_weight("LightGCN")
    assert not has_reg_weight("NeuMF")
    assert "weight_decay" in default_space("dns", "NeuMF")
    assert "reg_weight" not in default_space("dns", "NeuMF")
    assert "weight_decay" not in default_space("dns", "BPR")


BAD_SPACES = [
    ("{}", "no setting to search over"),
    ("learning_rat: {choice: [1]}", "learning_rat: no such setting; did you mean 'learning_rate'"),
    ("learning_rate: 0.1", "got 0.1, allowed is {KIND: VALUES} with one of choice"),
    ("learning_rate: {chioce: [0.1]}", "got 'chioce'; did you mean 'choice'"),
    ("learning_rate: {choice: []}", "got {choice: []}, allowed is a list of values"),
    ("learning_rate: {uniform: [1]}", "allowed is a list of 2 numbers"),
    ("learning_rate: {uniform: [0.2, 0.1]}", "allowed are finite numbers, low before high"),
    ("learning_rate: {uniform: [a, b]}", "allowed are finite numbers, low before high"),
    ("learning_rate: {loguniform: [0, 1]}", "allowed is a low above 0"),
    ("learning_rate: {quniform: [0, 1, 0]}", "allowed is a step above 0"),
    ("embedding_size: {randint: [1.5, 4]}", "allowed are integers"),
    ("eval_args: {choice: [1]}", "decides the data, which is read and split once"),
    ("topk: {choice: [[5]]}", "is the same in all trials of a sweep"),
    ("neg_sampler_args.lambda: {choice: [1]}", "neg_sampler_args.lambda: no such parameter"),
    ("neg_sampler_args: {candidate_num: {choice: [5, 0]}}", "candidate_num: got 0, allowed is an"),
    ("neg_sampler_args.candidate_num: {randint: [0, 4]}", "candidate_num: got 0, allowed is an in"),
    ("neg_sampler: {choice: [dns, bsn]}", "neg_sampler: got 'bsn'; did you mean 'bns'"),
]


@pytest.mark.parametrize(("text", "sentence"), BAD_SPACES, ids=lambda value: value[:40])
def test_bad_spaces_are_refused(tmp_path, capsys, text, sentence):
    file = tmp_path / "space.yaml"
    file.write_text(text, encoding="utf-8")
    words = ["tune", "--model=BPR", "--neg_sampler=dns", f"--sweep={file}", f"--out={tmp_path}/o"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("recbole-bns: sweep: ")
    assert sentence in said
    assert not (tmp_path / "o").exists()


def test_grids():
    content = yaml.safe_load(
        "learning_rate: {choice: [0.1, 0.2]}\nneg_sampler_args: {candidate_num: {grid: [2, 3, 4]}}"
    )
    space = read_space(content, "here", "BPR", Chosen("dns"))
    assert grid_size(space) == 3
    assert grid_size(as_grid(space)) == 6
    assert space["neg_sampler_args.candidate_num"].text == "each of 2, 3, 4"
    assert Dimension("randint", (2, 5)).text == "an integer from 2 to 4"
    with pytest.raises(UsageError, match="a grid needs lists of values, but learning_rate is unif"):
        as_grid({"learning_rate": Dimension("uniform", (0.1, 0.2))})


# --- Flags -------------------------------------------------------------------------------------


def test_budgets_and_numbers():
    given = [90, "90s", "30m", "1.5h", None]
    assert [seconds(value) for value in given] == [90, 90, 1800, 5400, None]
    for bad in ("soon", "-3", 0, "3d", True):
        with pytest.raises(UsageError, match="--time_budget: got"):
            seconds(bad)
    assert number(0.5, "gpus_per_trial", 0, False) == 0.5
    for bad in (-1, "two", float("nan"), True):
        with pytest.raises(UsageError, match="allowed is a number >= 0"):
            number(bad, "gpus_per_trial", 0, False)
    with pytest.raises(UsageError, match="an integer >= 1"):
        number(1.5, "max_concurrent", 1, True)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ray is not to end trials since others need memory, nor to join a cluster that is there."""
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "0")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def words_of(settings: Settings, *more: str) -> list[str]:
    """A sweep on the tiny data set."""
    flags = {"model": "BPR", "dataset": "tiny", "neg_sampler": "dns", **settings}
    return [*(f"--{key}={value}" for key, value in flags.items()), *more]


def plan_of(settings: Settings, *more: str) -> Any:
    return read_plan(parse_flags(words_of(settings, *more)), "recbole-bns tune --x")


def test_a_plan_without_flags_is_sensible():
    plan = read_plan({}, "recbole-bns tune")
    assert (plan.recipe.model, plan.recipe.dataset) == ("LightGCN", "ml-100k")
    assert plan.out == Path("runs/tune-ml-100k-LightGCN-bns")
    assert (plan.metric, plan.bigger, plan.trials, plan.scheduler) == ("ndcg@20", True, 20, "asha")
    assert set(plan.space) == {
        "learning_rate",
        "reg_weight",
        "neg_sampler_args.candidate_num",
        "neg_sampler_args.lambda",
    }
    assert plan.recipe.config()["epochs"] == 100
    assert plan.recipe.config()["tuned_file"] is None


BAD_FLAGS = [
    ("--num_samples=0", "--num_samples: got 0, allowed is an integer >= 1."),
    ("--search=optunna", "--search: got 'optunna'; did you mean 'optuna'?; allowed: random, gr"),
    ("--scheduler=x", "--scheduler: got 'x'; allowed: asha, none."),
    ("--metric=NDCG@7", "valid_metric: got 'NDCG@7'"),
    ("--epohcs=3", "setting 'epohcs' is not known; did you mean 'epochs'"),
    ("--search=grid", "--search: a grid needs lists of values, but learning_rate is loguniform"),
    ("--valid_ratio=0", "valid_ratio: got 0, but trials are compared on a validation part"),
    ("--neg_sampler=none", "neg_sampler: got 'none', allowed in a sweep is one of our samplers."),
    ("--threads=3", "threads: got 3, but Ray gives a trial as many as it has cores; write --cpu"),
    ("--resume", "--resume: there is no sweep in "),
]


@pytest.mark.parametrize(("word", "sentence"), BAD_FLAGS, ids=lambda value: value[:30])
def test_bad_flags_are_refused(settings, in_tmp, capsys, word, sentence):
    del settings["show_progress"]
    words = [w for w in words_of(settings) if w.partition("=")[0] != word.partition("=")[0]]
    assert main(["tune", *words, word, "--out=o"]) == 2
    assert f"recbole-bns: {sentence}" in capsys.readouterr().err


def test_a_grid_runs_whole_and_once(settings, tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("learning_rate: {grid: [0.1, 0.2]}", encoding="utf-8")
    assert plan_of(settings, f"--sweep={file}").trials == 2
    with pytest.raises(UsageError, match="has a grid of 2 points, which runs whole and once"):
        plan_of(settings, f"--sweep={file}", "--num_samples=3")


def test_without_ray_it_says_what_to_install(monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "ray" else find(name)
    )
    assert main(["tune"]) == 2
    assert "pip install 'ray[tune]'" in capsys.readouterr().err


# --- Records and tables ------------------------------------------------------------------------


def report_line(trial: str, epoch: int, value: float) -> dict[str, Any]:
    metrics = {"epoch": epoch, "train_loss": 1.0, "train_seconds": 2.0 * epoch, "ndcg@20": value}
    return {"trial": trial, "epoch": epoch, "metrics": metrics}


def test_records_keep_the_last_line_and_survive_a_torn_one(tmp_path):
    lines = [
        {"trial": "a", "found": {"learning_rate": 0.1}},
        report_line("a", 1, 0.5),
        report_line("a", 2, 0.3),
        {"trial": "b", "found": {"learning_rate": 0.2}},
        report_line("b", 1, float("-inf")),
        {"trial": "b", "status": "failed", "error": "no memory"},
        {"trial": "a", "found": {"learning_rate": 0.1}},
        report_line("a", 2, 0.7),
        report_line("a", 3, 0.7),
        {"trial": "c", "found": {"learning_rate": 0.3}},
        report_line("c", 1, 0.9),
        {"trial": "c", "status": "failed", "error": "it died"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / records.FILE).write_text(text + '{"trial": "a", "sta', encoding="utf-8")
    found = records.read(tmp_path)
    assert list(found) == ["a", "b", "c"]
    assert found["a"].status == records.RUNNING
    assert found["a"].best("ndcg@20", True) == (0.7, 2)
    assert found["a"].best("ndcg@20", False) == (0.5, 1)
    assert found["a"].seconds == 6.0
    assert found["b"].best("ndcg@20", True) is None
    best = records.best_of(found, "ndcg@20", True)
    assert best is not None
    assert best.trial == "a", "a trial that failed does not win"


def test_what_is_added_after_a_torn_line_is_not_lost_with_it(tmp_path):
    (tmp_path / records.FILE).write_text('{"trial": "a", "sta', encoding="utf-8")
    for epoch in (1, 2):
        records.append(tmp_path, **report_line("b", epoch, 0.5))
    assert {name: r.epochs for name, r in records.read(tmp_path).items()} == {"b": 2}
    assert (tmp_path / records.FILE).read_text(encoding="utf-8").count("\n") == 3


@pytest.mark.parametrize("error", [Exception("The current node timed out\nlong"), ValueError()])
def test_ray_that_does_not_start_is_a_sentence(settings, in_tmp, capsys, monkeypatch, error):
    import ray

    def init(**_: Any) -> None:
        raise error

    monkeypatch.setattr(ray, "init", init)
    assert main(["tune", *words_of(settings), "--out=sweep"]) == 2
    said = str(error).partition("\n")[0] or "ValueError"
    assert f"--address: Ray cannot be started or reached: {said}\n" in capsys.readouterr().err


def test_explained_variance_by_hand():
    y = np.array([1.0, 2.0, 4.0, 5.0])
    within, total = 0.5 + 0.5, 10.0
    assert explained(y, [[0, 1], [2, 3]]) == pytest.approx(1 - (within / 2) / (total / 3))
    assert explained(y, [[0, 3], [1, 2]]) == 0.0
    assert explained(y, [[0], [1], [2], [3]]) is None
    assert explained(np.ones(4), [[0, 1], [2, 3]]) is None


def test_tables_of_a_sweep(settings, tmp_path):
    plan = plan_of(settings, f"--out={tmp_path}", "--num_samples=4")
    found = {}
    for number_, (rate, value) in enumerate([(0.1, 0.3), (0.2, 0.6), (0.4, 0.5), (0.3, None)]):
        drawn = {
            "learning_rate": rate,
            "reg_weight": 0.01,
            "neg_sampler_args": {"candidate_num": 5, "best_num": 1 + number_ % 2},
        }
        reports = {} if value is None else {1: report_line("x", 1, value)["metrics"]}
        status = records.FAILED if value is None else records.FINISHED
        found[str(number_)] = records.Record(str(number_), drawn, reports, status)
    rows = list(csv.DictReader(io.StringIO(trials_csv(plan, found))))
    assert [row["trial"] for row in rows] == ["1", "2", "0", "3"]
    assert [row["ndcg@20"] for row in rows] == ["0.6", "0.5", "0.3", ""]
    assert [row["neg_sampler_args.best_num"] for row in rows] == ["2", "1", "1", "2"]
    best = found["1"]
    text = best_yaml(plan, best)
    again = yaml.safe_load(text)
    assert (again["learning_rate"], again["neg_sampler_args"]["best_num"]) == (0.2, 2)
    assert (again["model"], again["dataset"], again["tuned"]) == ("BPR", "tiny", False)
    page = markdown(plan, found, best, RESULT)
    assert "3 finished, 1 failed" in page
    assert "| `learning_rate` " in page
    assert "1: 0.4000 (2); 2: 0.6000 (1)" in page, "means by the value of best_num"
    assert "recbole-bns run --config_files" in page


# --- With Ray ----------------------------------------------------------------------------------


def lines_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "trials.csv").open(encoding="utf-8")))


@pytest.mark.process
def test_a_sweep_stops_bad_trials_survives_failed_ones_and_tests_the_winner(
    settings, in_tmp, capsys
):
    Path("s.yaml").write_text(
        "learning_rate: {grid: [0.02, 0.01, 1.0e-9, 1.0e+30]}\n"
        "neg_sampler_args.candidate_num: {choice: [3]}\n",
        encoding="utf-8",
    )
    words = [w for w in words_of(settings) if not w.startswith("--epochs")]
    words = [
        "tune",
        *words,
        "--sweep=s.yaml",
        "--epochs=9",
        "--max_concurrent=1",
        "--out=sweep",
        "--metric=Recall@10",
    ]
    assert main(words) == 0
    shown = capsys.readouterr()
    rows = {float(row["learning_rate"]): row for row in lines_of(Path("sweep"))}
    assert len(rows) == 4
    assert rows[0.02]["status"] == "finished"
    assert rows[0.02]["epochs"] == "9"
    assert rows[1e-9]["status"] == "stopped early"
    assert int(rows[1e-9]["epochs"]) < 9, "a hopeless trial ends before its last epoch"
    assert rows[1e30]["status"] == "failed"
    assert "training: " in rows[1e30]["error"]
    result = json.loads(Path("sweep/winner/result.json").read_text(encoding="utf-8"))
    best = max(
        (row for row in rows.values() if row["recall@10"]), key=lambda row: float(row["recall@10"])
    )
    assert result["best_valid_result"]["recall@10"] == pytest.approx(float(best["recall@10"]))
    assert result["best_epoch"] == int(best["best_epoch"])
    assert "recall@10" in result["test_result"]
    assert sorted(path.name for path in in_tmp.iterdir()) == ["s.yaml", "sweep"]
    assert "written: sweep/tune.md" in shown.out
    before = Path("sweep/trials.jsonl").read_text(encoding="utf-8")
    assert main(words) == 2
    assert "holds a sweep; go on with it with --resume" in capsys.readouterr().err
    assert main([*words, "--resume", "--seed=3"]) == 2
    assert "--resume: the sweep in 'sweep' has settings" in capsys.readouterr().err
    assert main(["tune", "--resume", "--out=sweep"]) == 0
    assert Path("sweep/trials.jsonl").read_text(encoding="utf-8") == before
    assert not Path("sweep/winner-2").exists()


def start_tune(words: list[str], folder: Path) -> subprocess.Popen[Any]:
    with (folder / "log").open("ab") as log:
        return start(["tune", *words], folder, stdout=log, stderr=log)


def wait_for(
    folder: Path, ends: int, reports: int, *, nodes: int = 1, limit: float = 400
) -> dict[str, Any]:
    """Wait until so many trials have ended and a running one has reported so often."""
    begun = time.time()
    while time.time() - begun < limit:
        found = records.read(folder)
        over = sum(r.status != records.RUNNING for r in found.values())
        going = [r.epochs for r in found.values() if r.status == records.RUNNING]
        seen = len({r.node for r in found.values() if r.node})
        if over >= ends and max(going, default=0) >= reports and seen >= nodes:
            return found
        time.sleep(0.2)
    log = folder.parent / "log"
    pytest.fail(f"too slow: {log.read_text(encoding='utf-8') if log.is_file() else ''}")


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("number_", [signal.SIGINT, signal.SIGKILL])
def test_an_ended_driver_goes_on_where_it_was(settings, tmp_path, number_):
    (tmp_path / "s.yaml").write_text("learning_rate: {grid: [0.02, 0.01, 0.005]}", encoding="utf-8")
    slow = {**settings, "epochs": 60, "train_batch_size": 8}  # so that a trial outlives the signal
    words = [
        *words_of(slow),
        "--sweep=s.yaml",
        "--stopping_step=100",
        "--max_concurrent=1",
        "--scheduler=none",
        "--out=sweep",
        "--eval_step=2",
    ]
    driver = start_tune(words, tmp_path)
    before = wait_for(tmp_path / "sweep", 1, 6)
    os.killpg(driver.pid, number_) if number_ == signal.SIGKILL else driver.send_signal(number_)
    code = driver.wait(600)
    assert code == (130 if number_ == signal.SIGINT else -number_)
    size = len((tmp_path / "sweep" / records.FILE).read_text(encoding="utf-8").splitlines())
    ended = records.read(tmp_path / "sweep")
    running = {
        name: r.epochs for name, r in before.items() if ended[name].status == records.RUNNING
    }
    assert running, "the trial was over before the signal"
    assert start_tune(["--resume", "--out=sweep"], tmp_path).wait(600) == 0
    lines = (tmp_path / "sweep" / records.FILE).read_text(encoding="utf-8").splitlines()[size:]
    later = [json.loads(line) for line in lines]
    done = {name for name, r in before.items() if r.status != records.RUNNING}
    assert done
    assert not done & {line["trial"] for line in later}, "finished trials are not run again"
    for name, epoch in running.items():
        first = min(line["epoch"] for line in later if line["trial"] == name and "epoch" in line)
        assert first > 2, "it went on from a checkpoint"
        assert first >= epoch - 4
    rows = lines_of(tmp_path / "sweep")
    assert [row["status"] for row in rows] == ["finished"] * 3
    assert [row["epochs"] for row in rows] == ["60"] * 3


@pytest.mark.slow
@pytest.mark.process
def test_a_cluster_of_several_nodes_and_one_of_them_dies(settings, tmp_path, monkeypatch):
    from recbole_bns.tuning.ray_versions import set_environment

    set_environment(local=True)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([HOME, os.environ.get("PYTHONPATH", "")]))
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        other = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes(120)
        (tmp_path / "s.yaml").write_text(
            "learning_rate: {grid: [0.02, 0.01, 0.005, 0.003, 0.002, 0.001]}", encoding="utf-8"
        )
        slow = {**settings, "epochs": 80, "train_batch_size": 8}  # both nodes have come by then
        words = [
            *words_of(slow),
            "--sweep=s.yaml",
            "--stopping_step=100",
            "--scheduler=none",
            "--out=sweep",
            f"--address={cluster.address}",
        ]
        driver = start_tune(words, tmp_path)
        before = wait_for(tmp_path / "sweep", 1, 3, nodes=2)
        cluster.remove_node(other, allow_graceful=False)
        assert driver.wait(600) == 0, (tmp_path / "log").read_text(encoding="utf-8")
    finally:
        cluster.shutdown()
    after = records.read(tmp_path / "sweep")
    assert len({r.node for r in before.values() if r.node}) == 2, "trials land on both nodes"
    assert [r.status for r in after.values()] == [records.FINISHED] * 6
    for name, record in before.items():
        if record.status == records.FINISHED:
            assert after[name].reports == record.reports, "no finished trial is lost"


OPTUNA = importlib.util.find_spec("optuna") is not None
WITH_OPTUNA = ("--search=optuna", "--num_samples=2", "--scheduler=none", "--out=sweep")


@pytest.mark.skipif(OPTUNA, reason="optuna is installed")
def test_optuna_that_is_missing_is_named(settings, in_tmp, capsys):
    assert main(["tune", *words_of(settings), *WITH_OPTUNA]) == 2
    assert "--search: optuna is not installed; pip install optuna" in capsys.readouterr().err


@pytest.mark.process
@pytest.mark.skipif(not OPTUNA, reason="optuna is missing")
def test_optuna_searches_where_it_is_installed(settings, in_tmp):
    assert main(["tune", *words_of(settings), *WITH_OPTUNA]) == 0
    assert [row["status"] for row in lines_of(Path("sweep"))] == ["finished"] * 2


@pytest.mark.slow
@pytest.mark.process
def test_from_python(settings, tmp_path, request):
    import ray
    from ray import tune

    from recbole_bns.tuning import search_space, trainable
    from recbole_bns.tuning.ray_versions import names, set_environment

    set_environment(local=True)
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    request.addfinalizer(ray.shutdown)
    work = trainable("BPR", "tiny", settings={"neg_sampler": "bns", **settings})
    results = tune.Tuner(
        work,
        param_space=search_space("bns", "BPR"),
        tune_config=tune.TuneConfig(metric="ndcg@20", mode="max", num_samples=1),
        run_config=names().RunConfig(storage_path=str(tmp_path), name="mine", verbose=0),
    ).fit()
    best = results.get_best_result()
    assert best.metrics["epoch"] == 2
    assert 0 < best.metrics["ndcg@20"] < 1
    assert "neg_sampler_args.lambda" in best.config
