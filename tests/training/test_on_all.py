"""``train_on: all``: the second model, of all interactions, for the best epoch's number."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import Settings, write_atomic, write_tiny

from recbole_bns import UsageError, data_preparation
from recbole_bns.adapters.mends import quiet
from recbole_bns.adapters.split import open_data, open_whole
from recbole_bns.cli import main
from recbole_bns.runs import checkpoint
from recbole_bns.training.limits import check_alone, check_run
from recbole_bns.training.loaders import loaders
from recbole_bns.training.model import Model
from recbole_bns.training.run import run_recbole_bns
from recbole_bns.training.train import make_trainer
from recbole_bns.training.trained import load
from recbole_bns.training.trainer import TrainerMixin

EPOCHS = 4
OWN: Settings = {
    "neg_sampler": "dns",
    "learning_rate": 1.0,
    "epochs": EPOCHS,
    "split": "time",
    "split_shares": [0.8, 0.1, 0.1],
    "eval_step": 2,
}
"""The last epochs are worse than the second, so that the best is not the last."""


SIZE = 883
"""Interactions."""


class Killed(BaseException):
    """What no code of ours catches."""


def run(settings: Settings, folder: Path | None = None, **more: Any) -> Any:
    kept = {key: more.pop(key) for key in ("resume",) if key in more}
    return run_recbole_bns("BPR", "tiny", None, {**settings, **OWN, **more}, out=folder, **kept)


def result_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return found


def weights_of(file: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = checkpoint.load(file)["state_dict"]
    return found


def assert_same(one: Path, other: Path, file: str = "checkpoints/all.pt") -> None:
    ours, theirs = weights_of(one / file), weights_of(other / file)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def losses_of(folder: Path) -> list[str]:
    lines = (folder / "all" / "epochs.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [",".join(line.split(",")[:2]) for line in lines]


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any) -> Settings:
    """Settings for the tiny data set with times in no order, and three items that come last."""
    folder = tmp_path_factory.mktemp("timed")
    write_tiny(folder)
    file = folder / "tiny" / "tiny.inter"
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    fields = [line.split("\t")[:3] for line in lines]
    fields += [[f"u{number}", f"new{number}", "5"] for number in range(3)]
    times = [*np.random.default_rng(1).permutation(len(lines)), *range(len(lines), len(fields))]
    write_atomic(file, head, [(*row, time) for row, time in zip(fields, times, strict=True)])
    return {
        "data_path": str(folder),
        "use_gpu": False,
        "train_batch_size": 256,
        "eval_batch_size": 100_000,
        "embedding_size": 8,
        "show_progress": False,
    }


@pytest.fixture(scope="module")
def whole(base: Settings, tmp_path_factory: Any) -> Path:
    """The folder of a run that was never ended."""
    folder: Path = tmp_path_factory.mktemp("on_all") / "run"
    run(base, folder, train_on="all")
    return folder


def test_the_second_model_is_that_of_all_interactions_and_the_best_epochs_number(
    base: Settings, whole: Path, make: Callable[..., Any], tmp_path: Path
) -> None:
    result = result_of(whole)
    facts = result["all"]
    assert facts["epochs"] == result["best_epoch"]
    assert facts["epochs"] < facts["scheduled_epochs"] == EPOCHS
    assert facts["interactions"] == SIZE
    assert len(facts["train_epoch_seconds"]) == facts["epochs"]
    assert facts["checkpoint"] == str(whole / "checkpoints" / "all.pt")
    assert not list((whole / "all").glob("*.pt"))

    config = make(**{**base, **OWN}, checkpoint_dir=str(tmp_path))
    opened = open_whole(config)
    with quiet():
        train = loaders(config, opened.parts)["train"]
        trainer = make_trainer(config, train, tmp_path)
        trainer.epochs = result["best_epoch"]
        trainer.fit(train, None, verbose=False, saved=False)
    trainer.tensorboard.close()
    kept = weights_of(whole / "checkpoints" / "all.pt")
    trained = trainer.model.state_dict()
    assert all(torch.equal(kept[name], trained[name]) for name in kept)


def test_the_first_model_and_its_result_are_those_of_a_run_without(
    base: Settings, whole: Path, tmp_path: Path
) -> None:
    """And the run without goes on with the second."""
    without = run(base, tmp_path / "run")
    result = result_of(whole)
    for key in ("best_valid_result", "test_result", "best_epoch", "split"):
        assert result[key] == without[key]
    assert "all" not in without
    assert_same(whole, tmp_path / "run", "checkpoints/best.pt")
    before = (tmp_path / "run" / "checkpoints" / "best.pt").read_bytes()

    later = run_recbole_bns(config_dict={"train_on": "all"}, resume=tmp_path / "run")
    assert later["all"]["epochs"] == result["best_epoch"]
    assert later["test_result"] == without["test_result"]
    assert (tmp_path / "run" / "checkpoints" / "best.pt").read_bytes() == before
    assert_same(whole, tmp_path / "run")
    assert losses_of(whole) == losses_of(tmp_path / "run")
    again = run_recbole_bns(resume=tmp_path / "run")  # its settings say so now
    assert again == later
    with pytest.raises(UsageError, match=r"has train_on 'all', got 'valid_best'; allowed is 'all'"):
        run_recbole_bns(config_dict={"train_on": "valid_best"}, resume=tmp_path / "run")


@pytest.mark.parametrize("stage", ["first", "second"])
def test_it_goes_on_bit_for_bit_wherever_it_was_ended(
    base: Settings, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    known = TrainerMixin._check_nan

    def check(self: Any, loss: Any) -> None:
        second = Path(self.saved_model_file).name == "all.pt"
        if second == (stage == "second") and self._epoch == 1:
            raise Killed
        known(self, loss)

    with monkeypatch.context() as patch:
        patch.setattr(TrainerMixin, "_check_nan", check)
        with pytest.raises(Killed):
            run(base, tmp_path / "run", train_on="all")
    assert (tmp_path / "run" / "result.json").exists() == (stage == "second")
    assert not (tmp_path / "run" / "checkpoints" / "all.pt").exists()
    torch.manual_seed(5)
    result = run_recbole_bns(resume=tmp_path / "run")
    assert "all" in result
    assert_same(whole, tmp_path / "run")
    assert_same(whole, tmp_path / "run", "checkpoints/best.pt")
    assert losses_of(whole) == losses_of(tmp_path / "run")


def test_more_epochs_make_a_new_second_model(base: Settings, tmp_path: Path) -> None:
    more = {"train_on": "all", "eval_step": 1, "learning_rate": 0.001}
    first = run(base, tmp_path / "run", **{**more, "epochs": 1})
    assert first["all"]["epochs"] == 1
    second = run_recbole_bns(config_dict={"epochs": 3}, resume=tmp_path / "run")
    assert second["all"]["epochs"] == second["best_epoch"] > 1
    state = checkpoint.load(tmp_path / "run" / "checkpoints" / "all.pt")
    assert state["epoch"] + 1 == second["best_epoch"]


def test_predict_and_load_take_it_and_say_so(
    whole: Path, in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", f"--checkpoint={whole}", "--users=u3,u7", "--out=live.csv"]) == 0
    said = capsys.readouterr().out
    tested = whole / "checkpoints" / "best.pt"
    assert f"{whole / 'checkpoints' / 'all.pt'}, trained on all interactions" in said
    assert f"those that were tested: --checkpoint={tested}" in said
    assert main(["predict", f"--checkpoint={tested}", "--users=u3,u7", "--out=tested.csv"]) == 0
    assert "trained on all" not in capsys.readouterr().out
    live, of_tested = (
        Path(name).read_text(encoding="utf-8") for name in ("live.csv", "tested.csv")
    )
    assert live != of_tested
    model = load(whole)
    assert (model.of_all, set(model.parts), len(model.parts["train"].inter_feat)) == (
        True,
        {"train"},
        SIZE,
    )
    table = Model(model).recommend(["u3", "u7"])
    assert live.splitlines()[1].split(",")[:2] == table.iloc[0, :2].tolist()
    assert main(["export", f"--checkpoint={whole}", "--out=vectors"]) == 0
    assert "trained on all interactions" in capsys.readouterr().out


def test_nobody_is_recommended_what_was_left_out_of_the_test(whole: Path) -> None:
    """Items that training lacks are not tested, but a user has them all the same."""
    model = load(whole / "checkpoints" / "best.pt")
    dataset = open_data(model.config).dataset
    feat = dataset.inter_feat
    assert result_of(whole)["split"]["left_out"]["test"] >= 3
    has = {
        (user, item)
        for user, item in zip(
            *(
                dataset.id2token(name, feat[name].numpy()).tolist()
                for name in ("user_id", "item_id")
            ),
            strict=True,
        )
    }
    assert len(has) == SIZE
    table = Model(model).recommend(k=63)
    assert not has & set(zip(table["user_id"], table["item_id"], strict=True))


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("BPR", {"neg_sampler": "none", "split": "last", "split_shares": None}),
        ("BPR", {"valid_ratio": 0}),
        ("BPR", {"neg_record": True, "neg_sampler": "cuco"}),
        ("SASRec", {"loss_type": "BPR", "split": "last", "split_shares": None}),
    ],
)
def test_other_samplings_models_and_no_validation(
    base: Settings, tmp_path: Path, model: str, more: Settings
) -> None:
    given = {**base, **OWN, "epochs": 2, "train_on": "all", **more}
    if model == "SASRec":
        given = {**given, "hidden_size": 8, "inner_size": 8, "n_layers": 1, "n_heads": 1}
        del given["embedding_size"]
    result = run_recbole_bns(model, "tiny", None, given, out=tmp_path / "run")
    assert result["all"]["epochs"] == result["best_epoch"] == 2
    size = SIZE - 40 if model == "SASRec" else SIZE  # the first of each user has no history
    assert result["all"]["interactions"] == size
    assert (tmp_path / "run" / "negatives.csv").exists() == bool(more.get("neg_record"))


REFUSED: list[tuple[Settings, str]] = [
    ({"nproc": 2}, "train_on: got 'all', but nproc is 2, and it is a training of one process; "),
    ({"neg_sampler_args.prior": "oracle"}, "train_on: got 'all', but prior: oracle reads the lab"),
    (
        {"neg_sampler": "rns", "loss": "ssm", "loss_weight": "posterior"}
        | {"loss_weight_args.prior": "oracle"},
        "train_on: got 'all', but prior: oracle reads",
    ),
]


@pytest.mark.parametrize(("more", "words"), REFUSED)
def test_what_cannot_be_is_refused_before_anything_is_trained(
    make: Callable[..., Any], more: Settings, words: str
) -> None:
    with pytest.raises(UsageError, match=f"^{words}"):
        check_run(make(train_on="all", **more))


def test_it_is_for_a_run_alone(make: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match=r"^train_on: got 'all', but compare trains, to be compar"):
        check_alone(make(train_on="all"), "compare trains")
    with pytest.raises(UsageError, match=r"^train_on: got 'all', but only recbole-bns run and"):
        data_preparation(make(train_on="all"), None)
    with pytest.raises(UsageError, match=r"^train_on: got 'everything', allowed is one of"):
        make(train_on="everything")
