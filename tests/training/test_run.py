"""The run recipe on tiny data, in this process and as a user starts it: files, results, repeats."""

from __future__ import annotations

import copy
import csv
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
import yaml
from recbole.data import create_dataset, data_preparation
from recbole.model.general_recommender import BPR
from recbole.trainer import Trainer
from recbole.utils import init_seed
from tiny import ROOT, build_model, prepare
from warm import run_warm

from recbole_bns import BNSConfig, UsageError, get_trainer, run_recbole_bns
from recbole_bns.adapters.sampler import BNSSampler
from recbole_bns.common.files import whole_file
from recbole_bns.runs import checkpoint
from recbole_bns.runs.folder import make_folder
from recbole_bns.runs.results import result_table
from recbole_bns.sampling import get

KEYS = {
    "model",
    "dataset",
    "neg_sampler",
    "neg_sampler_args",
    "seed",
    "versions",
    "best_valid_result",
    "test_result",
    "best_epoch",
    "train_epoch_seconds",
    "run_dir",
    "checkpoint",
}
MORE_KEYS = {"neg_sampler_label", "neg_sample_num", "tuned_file", "valid_metric", "epochs"}
METRICS = {
    f"{name}@{k}" for name in ("recall", "ndcg", "precision", "mrr", "hit") for k in (5, 10, 20)
}


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "epochs.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module", params=["BPR", "LightGCN"])
def done(request: Any, data_path: Path, tmp_path_factory: Any) -> tuple[dict[str, Any], Path]:
    """A finished run of three epochs, and its folder."""
    folder = tmp_path_factory.mktemp("run") / "deep" / "run"
    settings = {
        "data_path": str(data_path),
        "use_gpu": False,
        "epochs": 3,
        "train_batch_size": 256,
        "eval_batch_size": 100_000,
        "embedding_size": 8,
        "learning_rate": 0.02,
        "show_progress": False,
    }
    result_file = folder.parent / "other" / "copy.json"
    result = run_recbole_bns(
        request.param, "tiny", None, settings, out=folder, result_file=result_file
    )
    return result, folder


# --- What a run leaves behind ------------------------------------------------------------------


def test_the_folder_holds_what_the_run_wrote(done):
    result, folder = done
    files = files_of(folder)
    events = {name for name in files if name.startswith("tensorboard/")}
    assert len(events) >= 1
    assert files - events == {
        ".lock",
        "settings.yaml",
        "commands.csv",
        "run.log",
        "epochs.csv",
        "groups.csv",
        "users.npz",
        "result.json",
        "README.md",
        "checkpoints/best.pt",
        "checkpoints/resume.pt",
    }
    assert result["run_dir"] == str(folder)
    assert result["checkpoint"] == str(folder / "checkpoints" / "best.pt")
    log = (folder / "run.log").read_text(encoding="utf-8")
    assert "\x1b" not in log
    assert "epoch 2 training" in log
    assert log.splitlines()[0][:2] == "20", "no time stamp"


def test_result_json_is_what_the_call_returned(done):
    result, folder = done
    text = (folder / "result.json").read_text(encoding="utf-8")
    assert json.loads(text) == result
    assert (folder.parent / "other" / "copy.json").read_text(encoding="utf-8") == text
    assert set(result) == KEYS | MORE_KEYS


def test_the_results_are_flat_lower_case_and_unrounded(done):
    result, _ = done
    for part in (result["best_valid_result"], result["test_result"]):
        assert set(part) == METRICS
        assert all(type(value) is float and 0 <= value <= 1 for value in part.values())
        assert any(round(value, 8) != value for value in part.values())
    assert result["neg_sampler"] == result["neg_sampler_label"] == "bns"
    assert result["neg_sampler_args"]["candidate_num"] == 5
    assert result["neg_sampler_args"]["lambda"] == 5.0
    assert (result["dataset"], result["seed"], result["valid_metric"]) == ("tiny", 2020, "ndcg@20")
    assert set(result["versions"]) == {
        "python",
        "recbole-bns",
        "recbole",
        "torch",
        "numpy",
        "scipy",
        "pandas",
    }
    assert all(number[0].isdigit() for number in result["versions"].values())


def test_every_epoch_is_a_line_of_epochs_csv(done):
    result, folder = done
    rows = rows_of(folder)
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert [float(row["train_seconds"]) for row in rows] == result["train_epoch_seconds"]
    assert all(float(row["learning_rate"]) == 0.02 for row in rows)
    losses = [float(row["train_loss"]) for row in rows]
    assert losses == sorted(losses, reverse=True)
    best = rows[result["best_epoch"] - 1]
    assert {name: float(best[name]) for name in METRICS} == result["best_valid_result"]
    assert max(float(row["ndcg@20"]) for row in rows) == result["best_valid_result"]["ndcg@20"]


def test_the_checkpoint_holds_the_weights_that_were_tested(done):
    result, folder = done
    state = torch.load(result["checkpoint"], weights_only=True)
    assert state["epoch"] == result["best_epoch"] - 1
    config = BNSConfig(config_file_list=[str(folder / "settings.yaml")])
    config["checkpoint_dir"] = str(folder.parent / "unused")
    train, _, test = prepare(config)
    model = build_model(config, train)
    model.load_state_dict(state["state_dict"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.eval_collector.data_collect(train)
    found = trainer.evaluate(test, load_best_model=False)
    trainer.tensorboard.close()
    assert {key: float(value) for key, value in found.items()} == result["test_result"]


def test_the_table_shows_four_places_and_where_things_lie(done):
    result, folder = done
    text = result_table(result)
    assert f"{result['test_result']['ndcg@20']:.4f}" in text
    assert f"{result['best_valid_result']['recall@5']:.4f}" in text
    assert str(folder / "checkpoints" / "best.pt") in text
    assert max(map(len, text.splitlines()[:-2])) <= 100
    lines = [line.split() for line in text.splitlines() if line.startswith("mrr")]
    assert [float(number) for number in lines[0][1:]] == [
        round(result[part][f"mrr@{k}"], 4)
        for part in ("best_valid_result", "test_result")
        for k in (5, 10, 20)
    ]


# --- How a run goes ----------------------------------------------------------------------------


def test_a_repeat_gives_the_same_results_and_another_seed_others(settings, tmp_path):
    def run(name: str, **more: Any) -> dict[str, Any]:
        result = run_recbole_bns(
            "LightGCN", "tiny", None, {**settings, **more}, out=tmp_path / name
        )
        return {key: result[key] for key in ("test_result", "best_valid_result")}

    first = run("a")
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert run("b") == first
    assert run("c", seed=1) != first


def test_early_stopping_tests_the_best_weights(settings, tmp_path, monkeypatch):
    scores = iter([0.1, 0.3, 0.2, 0.1, 0.0, 0.0])
    snapshots: list[dict[str, torch.Tensor]] = []

    def scripted(self: Any, *args: Any, **kwargs: Any) -> tuple[float, dict[str, float]]:
        snapshots.append({k: v.clone() for k, v in self.model.state_dict().items()})
        score = next(scores)
        return score, {"ndcg@20": score}

    monkeypatch.setattr(Trainer, "_valid_epoch", scripted)
    more = {"epochs": 50, "stopping_step": 2}
    result = run_recbole_bns("BPR", "tiny", None, {**settings, **more}, out=tmp_path / "run")
    assert (result["best_epoch"], result["epochs"]) == (2, 5)
    assert result["best_valid_result"] == {"ndcg@20": 0.3}
    state = torch.load(result["checkpoint"], weights_only=True)
    assert all(torch.equal(snapshots[1][name], state["state_dict"][name]) for name in snapshots[1])
    assert state["best_valid_score"] == 0.3


@pytest.mark.parametrize("sampler", ["bns", "none"])
@pytest.mark.parametrize("more", [{"valid_ratio": 0}, {"eval_step": 0}])
def test_without_validation_the_last_weights_of_all_epochs_are_tested(
    settings, tmp_path, sampler, more
):
    given = {**settings, "epochs": 4, "stopping_step": 0, "neg_sampler": sampler, **more}
    result = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "run")
    assert result["best_valid_result"] is None
    assert result["best_epoch"] == result["epochs"] == 4
    assert len(result["train_epoch_seconds"]) == 4
    assert set(result["test_result"]) == METRICS
    assert Path(result["checkpoint"]).name == "last.pt"
    assert torch.load(result["checkpoint"], weights_only=True)["epoch"] == 3
    rows = rows_of(tmp_path / "run")
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert "ndcg@20" not in rows[0]
    assert "valid @" not in result_table(result)


def test_epochs_without_validation_have_empty_metrics(settings, tmp_path):
    given = {**settings, "epochs": 5, "eval_step": 2}
    result = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [bool(row.get("ndcg@20")) for row in rows] == [False, True, False, True, False]
    assert result["best_epoch"] in (2, 4)


@pytest.mark.parametrize(("metrics", "name"), [("AUC", "auc"), ("GAUC", "gauc")])
def test_metrics_without_a_cut_off(settings, tmp_path, metrics, name):
    given = {**settings, "metrics": metrics, "epochs": 1}
    if metrics == "AUC":
        given["eval_args.mode"] = "uni9"
    result = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "run")
    assert set(result["test_result"]) == set(result["best_valid_result"]) == {name}
    assert f"{result['test_result'][name]:.4f}" in result_table(result)


def test_three_negatives_a_positive(settings, tmp_path):
    given = {**settings, "neg_sample_num": 3, "epochs": 1}
    one = run_recbole_bns("BPR", "tiny", None, {**settings, "epochs": 1}, out=tmp_path / "one")
    three = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "three")
    assert three["neg_sample_num"] == 3
    steps = [
        int(entry["step"])
        for result in (one, three)
        for entry in torch.load(result["checkpoint"], weights_only=True)["optimizer"][
            "state"
        ].values()
    ]
    assert set(steps) == {3}, "more negatives must not change the number of steps"
    assert three["test_result"] != one["test_result"]


def test_epoch_seconds_count_what_a_sampler_does_when_an_epoch_begins(
    settings, tmp_path, monkeypatch
):
    clock = [0.0]
    monkeypatch.setattr("recbole_bns.training.trainer.perf_counter", lambda: clock[0])

    def taking(seconds: float, inner: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            clock[0] += seconds
            return inner(*args, **kwargs)

        return call

    monkeypatch.setattr(get("srns"), "begin_epoch", taking(3.0, get("srns").begin_epoch))
    monkeypatch.setattr(Trainer, "_train_epoch", taking(0.5, Trainer._train_epoch))
    monkeypatch.setattr(Trainer, "_valid_epoch", taking(20.0, Trainer._valid_epoch))
    given = {**settings, "neg_sampler": "srns", "epochs": 2}
    result = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "run")
    assert result["train_epoch_seconds"] == [3.5, 3.5]


def test_none_is_recboles_own_training(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(BNSSampler, "__init__", None)  # it must not be made
    given = {**settings, "neg_sampler": "none", "epochs": 1, "checkpoint_dir": str(tmp_path / "x")}
    ours = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "run")
    assert (ours["neg_sampler"], ours["neg_sampler_args"]) == ("none", {})

    monkeypatch.chdir(tmp_path)
    config = BNSConfig("BPR", "tiny", None, given)
    init_seed(config["seed"], True)
    train, valid, test = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], True)
    trainer = Trainer(config, BPR(config, train._dataset))
    _, best = trainer.fit(train, valid, saved=False)
    found = trainer.evaluate(test, load_best_model=False)
    trainer.tensorboard.close()
    assert ours["best_valid_result"] == {key: float(value) for key, value in best.items()}
    assert ours["test_result"] == {key: float(value) for key, value in found.items()}


@pytest.mark.parametrize("name", ["Pop", "ItemKNN", "EASE"])
def test_models_that_are_not_trained_run_with_none(settings, tmp_path, name):
    base = {key: value for key, value in settings.items() if key != "embedding_size"}
    given = {**base, "neg_sampler": "none"}
    result = run_recbole_bns(name, "tiny", None, given, out=tmp_path / "run")
    assert result["epochs"] == 1
    assert result["test_result"]["ndcg@20"] > 0.1


def test_the_oracle_says_so_everywhere(settings, in_tmp, capfd):
    given = {**settings, "neg_sampler_args.prior": "oracle", "show_progress": True, "epochs": 1}
    result = run_recbole_bns("BPR", "tiny", None, given)
    assert result["neg_sampler_label"] == "bns (oracle: sees test labels)"
    assert "oracle-sees-test-labels" in Path(result["run_dir"]).name
    assert "oracle: sees test labels" in result_table(result)
    assert "oracle: sees test labels" in capfd.readouterr().err
    assert result["neg_sampler_args"]["prior"] == "oracle"


def test_a_group_prior_loads_its_column_by_itself(settings, tmp_path, monkeypatch):
    priors: list[Any] = []
    cls = get("bns")
    build = cls.setup
    monkeypatch.setattr(cls, "setup", lambda self: build(self) or priors.append(self.prior))
    given = {**settings, "neg_sampler_args.prior": "occupation", "epochs": 1}
    run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "run")
    table = priors[0].table
    assert table.shape == (4, 61)
    assert len(table.unique(dim=0)) == 4, "the groups do not differ"
    written = yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text(encoding="utf-8"))
    assert written["load_col"]["user"] == ["user_id", "occupation"]


def test_a_prior_of_the_users_own_is_an_array_or_a_file(settings, tmp_path):
    prior = np.linspace(0, 1, 61)
    np.save(tmp_path / "mine.npy", prior)
    results = [
        run_recbole_bns(
            "BPR",
            "tiny",
            None,
            {**settings, "epochs": 1, "neg_sampler_args": {"prior": source}},
            out=tmp_path / str(place),
        )["test_result"]
        for place, source in enumerate([prior, torch.from_numpy(prior), str(tmp_path / "mine.npy")])
    ]
    assert results[0] == results[1] == results[2]


def test_lambda_follows_its_schedule(settings, tmp_path, monkeypatch):
    seen: list[tuple[int, float]] = []
    cls = get("bns")
    choose = cls.choose

    def record(self: Any, *args: Any) -> Any:
        seen.append((self.epoch, self.lambda_now))
        return choose(self, *args)

    monkeypatch.setattr(cls, "choose", record)
    given = {
        **settings,
        "epochs": 4,
        "train_batch_size": 1000,
        "neg_sampler_args.lambda.start": 10,
        "neg_sampler_args.lambda.step": -3,
        "neg_sampler_args.lambda.stop": 2.5,
    }
    result = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "run")
    assert seen == [(0, 10.0), (1, 7.0), (2, 4.0), (3, 2.5)]
    assert result["neg_sampler_args"]["lambda"] == {"start": 10.0, "step": -3.0, "stop": 2.5}


# --- Surroundings ------------------------------------------------------------------------------


def test_the_log_handlers_are_put_back(settings, tmp_path):
    logger = logging.getLogger()
    before = logger.level, list(logger.handlers)
    run_recbole_bns("BPR", "tiny", None, {**settings, "epochs": 1}, out=tmp_path / "a")
    assert (logger.level, list(logger.handlers)) == before
    with pytest.raises(UsageError):
        run_recbole_bns("BPR", "tiny", None, {**settings, "worker": 1}, out=tmp_path / "b")
    assert (logger.level, list(logger.handlers)) == before


def test_progress_is_a_line_an_epoch_where_there_is_no_terminal(settings, tmp_path, capfd):
    given = {**settings, "show_progress": True, "epochs": 2}
    result = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "a")
    out, err = capfd.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 3
    threads = torch.get_num_threads()
    assert lines.pop(0) == (
        f"BPR on tiny with bns: on the CPU with {threads} thread{'s' * (threads != 1)}"
    )
    assert lines[0].startswith("BPR on tiny with bns: epoch 1 of 2, loss ")
    best = result["best_valid_result"]["ndcg@20"]
    assert f"(best {best:.4f}, epoch {result['best_epoch']}), at most 00:00 left" in lines[1]
    run_recbole_bns("BPR", "tiny", None, {**settings, "epochs": 1}, out=tmp_path / "b")
    assert capfd.readouterr() == ("", "")


def test_default_folders_are_named_after_the_run_and_never_shared(make, in_tmp):
    config = make("BPR", neg_sampler="dns", seed=5)
    folders = [make_folder(None, config) for _ in range(3)]
    assert len(set(folders)) == 3
    assert all(folder.parent == Path("runs") for folder in folders)
    assert all(folder.name.startswith("tiny-BPR-dns-5-20") for folder in folders)


def test_a_folder_with_something_in_it_is_refused(settings, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(UsageError, match=r"^out: the folder '.*run' is not empty; name a new one"):
        run_recbole_bns("BPR", "tiny", None, settings, out=tmp_path / "run")
    with pytest.raises(UsageError, match=r"^out: cannot make the folder"):
        run_recbole_bns("BPR", "tiny", None, settings, out=tmp_path / "run" / "mine.txt" / "x")
    assert files_of(tmp_path) == {"run/mine.txt"}


# --- Checkpoints -------------------------------------------------------------------------------


def test_a_checkpoint_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "best.pt"
    checkpoint.save({"state_dict": {}, "epoch": 1}, path)
    written: list[str] = []

    def fail(file: int) -> None:
        written.extend(entry.name for entry in tmp_path.iterdir())
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save({"state_dict": {}, "epoch": 2}, path)
    monkeypatch.undo()
    assert checkpoint.load(path)["epoch"] == 1
    assert len(written) == 2
    assert [name for name in written if name.endswith(".pt")] == ["best.pt"]
    assert files_of(tmp_path) == {"best.pt"}


class Code:
    """Unpickling it would run code."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("hacked",)


BAD_CHECKPOINTS = [
    (None, r"there is no such file\.$"),
    (b"not a checkpoint", "damaged, or holds more than tensors"),
    ({"state_dict": Code()}, "it would run code when loaded"),
    ({"weights": 1}, r"holds no model weights\.$"),
]


@pytest.mark.parametrize(("content", "sentence"), BAD_CHECKPOINTS)
def test_what_is_no_checkpoint_is_refused_and_not_run(in_tmp, content, sentence):
    path = in_tmp / "x.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UsageError, match=sentence):
        checkpoint.load(path)
    assert not (in_tmp / "hacked").exists()


def test_a_resumed_training_goes_on_from_where_it_was(make, tmp_path):
    config = make("BPR", neg_sampler="srns", epochs=2, checkpoint_dir=str(tmp_path))

    def trainer_for(epochs: int) -> tuple[Any, Any]:
        config["epochs"] = epochs
        train = prepare(config)[0]
        trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, build_model(config, train))
        trainer.saved_model_file = str(tmp_path / "last.pt")
        return trainer, train

    first, train = trainer_for(2)
    first.fit(train)
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    second, train = trainer_for(4)
    second.resume_checkpoint(tmp_path / "last.pt")
    assert second.start_epoch == 2
    for name, value in first.model.state_dict().items():
        assert torch.equal(second.model.state_dict()[name], value)
    seen: list[Any] = []
    inner = type(train._sampler.core).begin_epoch
    core = train._sampler.core
    core.begin_epoch = lambda epoch, scorer: (
        seen.append((epoch, copy.deepcopy(core.state_dict()))),
        inner(core, epoch, scorer),
    )
    second.fit(train)
    epoch, restored = seen[0]
    assert epoch == 2
    for name, value in state["sampler"].items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(restored[name], value), name
    assert len(state["sampler"]) > 1
    assert [report.epoch for report in second.reports] == [3, 4]
    for trainer in (first, second):
        trainer.tensorboard.close()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("sampler", ["bns", "srns", "aobpr", "pns"])
@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
def test_a_gpu_trains_too(settings, tmp_path, model, sampler):
    more = {"use_gpu": True, "neg_sampler": sampler, "neg_sample_num": 2}
    given = {**settings, **more, "eval_args.mode": "uni20"}
    result = run_recbole_bns(model, "tiny", None, given, out=tmp_path / "run")
    assert 0 < result["test_result"]["ndcg@20"] < 1
    state = torch.load(result["checkpoint"], weights_only=True, map_location="cpu")
    assert all(value.isfinite().all() for value in state["state_dict"].values())


# --- As a user starts it -----------------------------------------------------------------------


@pytest.mark.process
def test_the_script_writes_into_its_run_folder_only(data_path, in_tmp):
    script = "import runpy, sys; sys.argv.pop(0); runpy.run_path(sys.argv[0], None, '__main__')"
    flags = [
        "--model=BPR",
        "--dataset",
        "tiny",
        f"--data_path={data_path}",
        "--use_gpu=False",
        "--epochs",
        "2",
        "--neg_sampler_args.candidate_num=3",
        "--seed=7",
    ]
    done = run_warm(script, in_tmp, str(ROOT / "run_recbole_bns.py"), *flags)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in in_tmp.iterdir()] == ["runs"]
    (folder,) = (in_tmp / "runs").iterdir()
    assert folder.name.startswith("tiny-BPR-bns-7-20")
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert result["neg_sampler_args"]["candidate_num"] == 3
    assert f"{result['test_result']['ndcg@20']:.4f}" in done.stdout
    assert str(folder.relative_to(in_tmp)) in done.stdout
    device, *epochs = done.stderr.splitlines()
    assert device.startswith("BPR on tiny with bns: on the CPU with ")
    assert len(epochs) == 2, "more than a line an epoch"
    assert not files_of(data_path) - {f"tiny/tiny.{part}" for part in ("inter", "user", "item")}


LEAN = """
import sys
import recbole_bns
assert not {"recbole", "ray"} & set(sys.modules), "importing the package is not cheap"
from recbole_bns.cli import main
code = main(sys.argv[1:])
heavy = {"ray", "plotly", "matplotlib", "hyperopt"} & {name.split(".")[0] for name in sys.modules}
assert not heavy, heavy
sys.exit(code)
"""


@pytest.mark.process
def test_ml_100k_runs_from_recboles_wheel_without_ray_or_a_plotting_library(in_tmp):
    flags = [
        "run",
        "--model",
        "BPR",
        "--epochs",
        "1",
        "--train_batch_size=8192",
        "--out=mine",
        "--learning_rate=.05",
        "--eval_batch_size=4000000",
        "--use_gpu=False",
        "--result_file",
        "r/x.json",
    ]
    done = run_warm(LEAN, in_tmp, *flags)
    assert done.returncode == 0, done.stderr
    result = json.loads((in_tmp / "r" / "x.json").read_text(encoding="utf-8"))
    assert result["dataset"] == "ml-100k"
    assert result["run_dir"] == "mine"
    assert 0.05 < result["test_result"]["recall@20"] < 0.5
    assert {path.name for path in in_tmp.iterdir()} == {"mine", "r"}


def test_a_result_is_written_whole_or_not_at_all(settings, tmp_path, monkeypatch):
    @contextmanager
    def stopped(path: Path) -> Iterator[BinaryIO]:
        with whole_file(path) as file:
            yield file
            if path.name == "result.json":
                raise KeyboardInterrupt

    monkeypatch.setattr("recbole_bns.common.files.whole_file", stopped)
    given = {**settings, "neg_sampler": "rns", "epochs": 1}
    with pytest.raises(KeyboardInterrupt):
        run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "run")
    assert (tmp_path / "run" / "settings.yaml").exists()
    assert not list((tmp_path / "run").glob("*result.json*"))
