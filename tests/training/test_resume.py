"""Runs that were ended go on as if they had not been."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from tiny import LOSS, Settings, build_model, prepare, start

from recbole_bns import UsageError, __version__, get_trainer
from recbole_bns.cli import main
from recbole_bns.common import signals
from recbole_bns.runs import checkpoint
from recbole_bns.sampling import available
from recbole_bns.training.resume import check_same, find
from recbole_bns.training.run import run_recbole_bns
from recbole_bns.training.state import FILE, PREVIOUS, Keeper, random_states, set_random_states
from recbole_bns.training.trainer import TrainerMixin

SAMPLERS = [name for name, cls in available().items() if "recbole_bns." in cls.__module__]
EPOCHS = 5


class Killed(BaseException):
    """What no code of ours catches."""


def run(settings: Settings, folder: Path | None = None, **more: Any) -> dict[str, Any]:
    kept = {k: more.pop(k) for k in ("resume",) if k in more}
    return run_recbole_bns(
        "BPR", "tiny", None, {**settings, "epochs": EPOCHS, **more}, out=folder, **kept
    )


def outcome(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What must not depend on whether a run was ended in between."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    keys = ("best_valid_result", "test_result", "best_epoch", "epochs")
    weights = checkpoint.load(folder / "checkpoints" / "best.pt")["state_dict"]
    return {key: result[key] for key in keys}, weights


def assert_same(one: Path, other: Path) -> None:
    (a, weights), (b, others) = outcome(one), outcome(other)
    assert a == b
    assert all(torch.equal(weights[key], others[key]) for key in weights)

    def columns(folder: Path) -> list[list[str]]:
        lines = (folder / "epochs.csv").read_text(encoding="utf-8").splitlines()
        place = lines[0].split(",").index("train_seconds")
        rows = [line.split(",") for line in lines]
        return [row[:place] + row[place + 1 :] for row in rows]

    assert columns(one) == columns(other)


def die_at(monkeypatch: pytest.MonkeyPatch, epoch: int, where: str) -> None:
    """End the training in an epoch (0-based), without any clean-up of ours."""
    if where == "batch":
        target, name = TrainerMixin, "_check_nan"

        def check(self: Any, loss: Any) -> None:
            self.batches_there = getattr(self, "batches_there", 0) + (self._epoch == epoch)
            if self.batches_there == 2:
                raise Killed

        monkeypatch.setattr(target, name, check)
    elif where == "validation":
        known = TrainerMixin._valid_epoch

        def valid(self: Any, *args: Any, **kwargs: Any) -> Any:
            if self._epoch == epoch:
                raise Killed
            return known(self, *args, **kwargs)

        monkeypatch.setattr(TrainerMixin, "_valid_epoch", valid)
    else:
        save = torch.save

        def torn(state: Any, file: Any) -> None:
            if "random" in state and state["epoch"] == epoch - 1:
                file.write(b"half")
                raise Killed
            save(state, file)

        monkeypatch.setattr(torch, "save", torn)


ARGS: dict[str, Settings] = {
    "srns": {
        "neg_sampler_args.memory_num": 4,
        "neg_sampler_args.new_num": 4,
        "neg_sampler_args.warmup_epochs": 2,
    },
    "bns": {
        "neg_sampler_args.lambda": {"start": 10, "step": -1, "stop": 2},
        "neg_sampler_args.warmup_epochs": 1,
    },
    "aobpr": {"neg_sampler_args.definition": "global"},
    "irgan": {"neg_sampler_args.pretrain_epochs": 1, "neg_sampler_args.tested": "generator"},
    "rns_as": {"neg_sampler_args.pretrain_epochs": 1},
    "advir": {"neg_sampler_args.pretrain_epochs": 1},
    **LOSS,
}


@pytest.mark.parametrize("sampler", [*SAMPLERS, "none"])
def test_every_sampler_goes_on_bit_for_bit(settings, tmp_path, monkeypatch, sampler):
    own = {**settings, "neg_sampler": sampler, **ARGS.get(sampler, {})}
    run(own, tmp_path / "whole")
    where = {"rns": "save", "dns": "validation"}.get(sampler, "batch")
    with monkeypatch.context() as patch:
        die_at(patch, 3, where)
        with pytest.raises(Killed):
            run(own, tmp_path / "ended")
    assert not (tmp_path / "ended" / "result.json").exists()
    result = run_recbole_bns(resume=tmp_path / "ended")
    assert result["epochs"] == EPOCHS
    assert_same(tmp_path / "whole", tmp_path / "ended")
    assert not list((tmp_path / "ended" / "checkpoints").glob(".*"))


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_run_that_is_validated_now_and_then_goes_on(settings, tmp_path, monkeypatch, epoch):
    own = {**settings, "neg_sampler": "rns", "eval_step": 2}
    run(own, tmp_path / "whole")
    with monkeypatch.context() as patch:
        die_at(patch, epoch, "batch")
        with pytest.raises(Killed):
            run(own, tmp_path / "ended")
    run_recbole_bns(resume=tmp_path / "ended")
    assert_same(tmp_path / "whole", tmp_path / "ended")


def test_other_samples_of_the_same_model_with_dropout_and_a_schedule(
    settings, tmp_path, monkeypatch
):
    del settings["embedding_size"]
    own = {
        **settings,
        "neg_sampler": "dns",
        "dropout_prob": 0.5,
        "epochs": EPOCHS,
        "lr_schedule": {"step_size": 2, "gamma": 0.5},
        "stopping_step": 2,
    }
    run_recbole_bns("NeuMF", "tiny", None, own, out=tmp_path / "whole")
    with monkeypatch.context() as patch:
        die_at(patch, 2, "batch")
        with pytest.raises(Killed):
            run_recbole_bns("NeuMF", "tiny", None, own, out=tmp_path / "ended")
    run_recbole_bns(resume=tmp_path / "ended" / "checkpoints" / FILE)
    assert_same(tmp_path / "whole", tmp_path / "ended")


def test_a_recorded_run_goes_on_with_its_record(settings, tmp_path, monkeypatch):
    own = {**settings, "neg_sampler": "dns", "neg_record": True, "neg_record_scores": [1, 3]}
    run(own, tmp_path / "whole")
    with monkeypatch.context() as patch:
        die_at(patch, 3, "validation")  # its negatives are recorded, its state is not
        with pytest.raises(Killed):
            run(own, tmp_path / "ended")
    run_recbole_bns(resume=tmp_path / "ended")
    for name in ("negatives", "scores", "items"):
        whole, ended = (pd.read_csv(tmp_path / f / f"{name}.csv") for f in ("whole", "ended"))
        times = [c for c in whole.columns if c.endswith("_share")]
        pd.testing.assert_frame_equal(whole.drop(columns=times), ended.drop(columns=times))


def test_random_states_are_plain_and_come_back(tmp_path):
    random.seed(3)
    random.gauss(0, 1)
    np.random.seed(3)  # noqa: NPY002
    np.random.standard_normal()  # noqa: NPY002
    torch.manual_seed(3)
    checkpoint.save({"state_dict": {}, "random": random_states()}, tmp_path / "a.pt")

    def draw() -> list[float]:
        return [
            random.gauss(0, 1),
            random.random(),
            np.random.standard_normal(),  # noqa: NPY002
            np.random.random(),  # noqa: NPY002
            float(torch.rand(1)),
        ]

    first = draw()
    set_random_states(checkpoint.load(tmp_path / "a.pt")["random"])
    assert draw() == first


def test_more_epochs_are_allowed_and_other_changes_named(settings, tmp_path, monkeypatch):
    own = {**settings, "neg_sampler": "dns", "stopping_step": 100}
    run(own, tmp_path / "short", epochs=3)
    run(own, tmp_path / "long")
    with pytest.raises(UsageError, match=r"has learning_rate 0\.001, got 0\.5; go on with its own"):
        run_recbole_bns(config_dict={"learning_rate": 0.5}, resume=tmp_path / "short")
    with pytest.raises(UsageError, match=r"has neg_sampler_args\.candidate_num 5, got 7"):
        run_recbole_bns(
            config_dict={"neg_sampler_args.candidate_num": 7}, resume=tmp_path / "short"
        )
    with pytest.raises(UsageError, match="has epochs 3, got 2; allowed are as many or more"):
        run_recbole_bns(config_dict={"epochs": 2}, resume=tmp_path / "short")
    run_recbole_bns(config_dict={"epochs": EPOCHS}, resume=tmp_path / "short")
    assert_same(tmp_path / "short", tmp_path / "long")


def test_added_epochs_are_remembered(settings, tmp_path, monkeypatch, capsys):
    own = {**settings, "neg_sampler": "dns", "stopping_step": 100}
    short, long = tmp_path / "short", tmp_path / "long"
    first = run(own, short, epochs=3)
    run(own, long)
    before = yaml.safe_load((short / "settings.yaml").read_text())
    with monkeypatch.context() as patch:
        die_at(patch, 4, "batch")
        with pytest.raises(Killed):
            run_recbole_bns(config_dict={"epochs": EPOCHS}, resume=short)
    assert yaml.safe_load((short / "settings.yaml").read_text()) == {**before, "epochs": EPOCHS}
    assert json.loads((short / "result-3.json").read_text()) == first
    assert not (short / "result.json").exists()
    result = run_recbole_bns(resume=short)
    assert result["epochs"] == EPOCHS
    assert_same(short, long)
    capsys.readouterr()
    for more in ({}, {"epochs": EPOCHS}):
        assert run_recbole_bns(config_dict=more, resume=short) == result
        assert f"the run in {short} is finished already" in capsys.readouterr().out


def test_a_damaged_state_gives_way_to_the_one_before(settings, tmp_path, monkeypatch, capsys):
    own = {**settings, "neg_sampler": "bns"}
    run(own, tmp_path / "whole")
    with monkeypatch.context() as patch:
        die_at(patch, 3, "batch")
        with pytest.raises(Killed):
            run(own, tmp_path / "ended")
    place = tmp_path / "ended" / "checkpoints"
    assert checkpoint.load(place / FILE)["epoch"] == 2
    assert checkpoint.load(place / PREVIOUS)["epoch"] == 1
    (place / FILE).write_bytes((place / FILE).read_bytes()[:-100])
    run_recbole_bns(resume=tmp_path / "ended")
    assert "damaged" in capsys.readouterr().err
    assert_same(tmp_path / "whole", tmp_path / "ended")
    assert not (place / PREVIOUS).exists(), "one state is enough when all is done"


def test_another_device_is_named(settings, tmp_path, capsys):
    run(settings, tmp_path / "run", epochs=2)
    path = tmp_path / "run" / "checkpoints" / FILE
    capsys.readouterr()
    for number, (device, words) in enumerate(
        (("cuda", "was trained on cuda so far and goes on on cpu"), ("cpu", ""), (None, ""))
    ):
        state = checkpoint.load(path)
        assert state.pop("device") == "cpu"
        checkpoint.save(state | ({"device": device} if device else {}), path)
        run(settings, None, epochs=3 + number, resume=tmp_path / "run")
        said = capsys.readouterr().err
        assert words in said
        assert bool(said) is bool(words)


def test_settings_that_cannot_be_read_are_named(make, tmp_path):
    (tmp_path / "settings.yaml").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match=r"^--resume: the settings of the run in .* cannot"):
        check_same(tmp_path, make("BPR"))


def test_a_state_of_something_else_says_what_differs(settings, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        die_at(patch, 2, "batch")
        with pytest.raises(Killed):
            run({**settings, "neg_sampler": "dns"}, tmp_path / "a")
    path = tmp_path / "a" / "checkpoints" / FILE
    state = checkpoint.load(path)
    changes: list[tuple[dict[str, Any], str]] = [
        (
            {"model": "LightGCN"},
            "its model is 'LightGCN', wanted is 'BPR' (it was written by "
            f"version {__version__}); begin a new run.",
        ),
        ({"dataset": "ml-1m"}, "its dataset is 'ml-1m', wanted is 'tiny' (it"),
        ({"neg_sampler": "bns"}, "its neg_sampler is 'bns', wanted is 'dns' (it"),
        (
            {"format": 99, "version": "9.1"},
            f"its format is 99, wanted is {checkpoint.FORMAT}; it "
            f"was written by recbole-bns 9.1, this is {__version__}: install that one.",
        ),
        (
            {"state_dict": {k: v[1:] for k, v in state["state_dict"].items()}},
            "its weights do not "
            "fit the model, user_embedding.weight is [40, 8], wanted is [41, 8]; the data set",
        ),
    ]
    for change, sentence in changes:
        checkpoint.save({**state, **change}, path)
        with pytest.raises(UsageError, match=re.escape(sentence)):
            run_recbole_bns(resume=tmp_path / "a")


def test_auto_takes_the_newest_unfinished_run_with_these_settings(
    settings, in_tmp, monkeypatch, capsys
):
    own = {**settings, "neg_sampler": "dns"}
    run(own, resume="auto")
    assert "no unfinished run with these settings was found; a new one." in capsys.readouterr().out
    first = next(Path("runs").iterdir())
    again = run(own, resume="auto")
    assert f"the run in {first} is finished already" in capsys.readouterr().out
    assert again["run_dir"] == str(first)
    with monkeypatch.context() as patch:
        die_at(patch, 2, "batch")
        with pytest.raises(Killed):
            run(own, Path("runs/other"), seed=4)
        with pytest.raises(Killed):
            run(own, Path("runs/ended"))
    result = run(own, resume="auto")
    assert "the run in runs/ended goes on" in capsys.readouterr().out
    assert result["run_dir"] == "runs/ended"
    assert_same(first, Path("runs/ended"))


def test_the_command_line_writes_the_result_file_of_a_finished_run(settings, in_tmp, capsys):
    words = [
        "run",
        "--model=BPR",
        "--dataset=tiny",
        "--neg_sampler=rns",
        *(f"--{k}={v}" for k, v in settings.items()),
    ]
    assert main([*words, "--out=a"]) == 0
    assert main(["run", "--resume=a", "--result_file=b.json"]) == 0
    assert Path("b.json").read_text() == Path("a/result.json").read_text()
    assert main(["run", "--resume=nowhere"]) == 2
    assert "--resume: 'nowhere' is no folder of a run" in capsys.readouterr().err
    assert main(["run", "--resume=a", "--out=c"]) == 2
    assert "out: got 'c', but a run that goes on stays in its folder" in capsys.readouterr().err


def test_a_run_that_is_trained_is_left_alone(settings, in_tmp, monkeypatch):
    own = {**settings, "neg_sampler": "rns"}
    seen: list[Any] = []

    def second(self: Keeper) -> None:
        with pytest.raises(UsageError, match="another process is training the run in 'mine'"):
            run_recbole_bns(resume="mine")
        seen.append(find(self.trainer.config))

    monkeypatch.setattr(Keeper, "finish", second)
    run(own, Path("mine"))
    assert seen == [None]


def test_a_signal_within_a_callback_of_c_is_quiet_and_counts_later(capfd):
    @ctypes.CFUNCTYPE(None)
    def callback() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    @ctypes.CFUNCTYPE(None)
    def wrong() -> None:
        raise ValueError("is shown")

    with signals.terminated_is_interrupted():
        callback()
        with pytest.raises(KeyboardInterrupt):
            signals.check()
        assert capfd.readouterr().err == ""
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", said.append)
        with signals.terminated_is_interrupted():
            wrong()
        signals.check()
    assert [found.exc_type for found in said] == [ValueError]


def test_a_signal_that_nobody_could_catch_counts_at_the_next_epoch(
    settings, in_tmp, monkeypatch, capsys
):
    def swallow(self: Any) -> None:
        with contextlib.suppress(KeyboardInterrupt):  # as Python does in finalisers
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(TrainerMixin, "_tell", swallow)
    words = [
        "run",
        "--model=BPR",
        "--dataset=tiny",
        "--neg_sampler=rns",
        "--out=mine",
        *(f"--{k}={v}" for k, v in settings.items()),
    ]
    assert main(words) == 130
    assert "go on with: recbole-bns run --resume=mine" in capsys.readouterr().err


@pytest.mark.process
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_a_process_and_the_command_that_it_names_goes_on(settings, tmp_path, number):
    own = {**settings, "neg_sampler": "bns", "epochs": 150, "stopping_step": 1000}
    words = [
        "run",
        "--model=BPR",
        "--dataset=tiny",
        "--out=mine",
        *(f"--{k}={v}" for k, v in own.items()),
    ]
    process = start(words, tmp_path, stderr=subprocess.PIPE, text=True)
    begun = time.time()
    while not (tmp_path / "mine" / "checkpoints" / PREVIOUS).is_file():
        assert time.time() - begun < 200
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    said = process.communicate(timeout=600)[1]
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 130, said
        assert "all that is done lies in mine; go on with: recbole-bns run --resume=mine" in said
    assert "Traceback" not in said
    before = checkpoint.load(tmp_path / "mine" / "checkpoints" / FILE)["epoch"]
    result = run_recbole_bns(config_dict={"epochs": 150}, resume=tmp_path / "mine")
    assert result["epochs"] == 150
    assert before < 149


def test_a_trainer_refuses_a_file_of_something_else(make, tmp_path):
    config = make("BPR", neg_sampler="dns", checkpoint_dir=str(tmp_path))
    train, _, test = prepare(config)
    trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, build_model(config, train))
    trainer.fit(train, saved=False)
    trainer.tensorboard.close()
    path, state = tmp_path / "other.pt", trainer.state_of(1)
    checkpoint.save({**state, "neg_sampler": "bns"}, path)
    assert trainer.evaluate(test, model_file=str(path)) == trainer.evaluate(test, False)
    with pytest.raises(UsageError, match="its neg_sampler is 'bns', wanted is 'dns'"):
        trainer.resume_checkpoint(path)
    checkpoint.save({**state, "dataset": "ml-1m"}, path)
    for use in (trainer.resume_checkpoint, lambda file: trainer.evaluate(test, model_file=file)):
        with pytest.raises(UsageError, match="its dataset is 'ml-1m', wanted is 'tiny'"):
            use(path)
