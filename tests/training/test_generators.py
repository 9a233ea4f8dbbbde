"""Runs with a learned generator: which model is tested, whose weights it begins with, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import Settings, run_fresh

from recbole_bns import run_recbole_bns
from recbole_bns.adapters.tested import TestedGenerator
from recbole_bns.common.errors import UsageError
from recbole_bns.runs import checkpoint
from recbole_bns.runs.folder import CHECKPOINTS
from recbole_bns.sampling.methods.cuco import CuCo
from recbole_bns.training.model import Model
from recbole_bns.training.trained import load

EARLY: Settings = {"neg_sampler_args.pretrain_epochs": 1}


def run(settings: Settings, out: Path, model: str = "BPR", **more: Any) -> Any:
    return run_recbole_bns(model, "tiny", None, {**settings, **more}, out=out)


def kept(folder: Path) -> dict[str, Any]:
    return checkpoint.load(folder / CHECKPOINTS / "best.pt")


@pytest.mark.parametrize("sampler", ["irgan", "rns_as", "advir"])
def test_the_generator_is_tested_where_it_is_asked_for(
    settings: Settings, tmp_path: Path, sampler: str
) -> None:
    own = {**settings, **EARLY, "neg_sampler": sampler, "neg_sampler_args.generator_rate": 0.05}
    results, folders = {}, {}
    for tested in ("recommender", "generator"):
        folders[tested] = tmp_path / tested
        more = {"neg_sampler_args.tested": tested, "eval_step": 2}
        results[tested] = run(own, folders[tested], "LightGCN", **more)
        assert results[tested]["neg_sampler_label"] == f"{sampler} ({tested} tested)"
        assert results[tested]["neg_sampler_args"]["tested"] == tested
    weights = [kept(folder)["state_dict"] for folder in folders.values()]
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())
    one, two = (result["test_result"] for result in results.values())
    assert one != two, "the same training, another model tested"
    assert results["recommender"]["best_valid_result"] != results["generator"]["best_valid_result"]
    trained = load(folders["generator"])
    assert isinstance(trained.model, TestedGenerator)
    tables = kept(folders["generator"])["sampler"]
    user = trained.users[5]
    scores = tables["item_vectors"] @ tables["user_vectors"][5] + tables["item_bias"]
    scores[0] = -torch.inf
    best = Model(trained).recommend([user], k=3, exclude="none")
    assert list(best["item_id"]) == [trained.items[k] for k in scores.topk(3).indices.tolist()]
    assert not isinstance(load(folders["recommender"]).model, TestedGenerator)


def test_a_run_begins_with_the_weights_of_another(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(settings, tmp_path / "first", neg_sampler="rns")
    own = {"neg_sampler": "rns_as", "neg_sampler_args.pretrained": str(tmp_path / "first")}
    run(settings, tmp_path / "then", learning_rate=1e-12, **own)
    first, then = kept(tmp_path / "first"), kept(tmp_path / "then")
    for name, weights in first["state_dict"].items():
        torch.testing.assert_close(then["state_dict"][name], weights)
    items = first["state_dict"]["item_embedding.weight"]
    assert 0 < (then["sampler"]["item_vectors"] - items).abs().max() < 0.1, "so does the generator"
    monkeypatch.setattr("recbole_bns.adapters.handover.pretrained_file", None)
    result = run_recbole_bns(config_dict={"epochs": 3}, resume=tmp_path / "then")
    assert result["epochs"] == 3, "a run that goes on does not look for it again"


def test_other_runs_are_refused(settings: Settings, tmp_path: Path) -> None:
    own: Settings = {"neg_sampler": "irgan", "epochs": 1}
    where = "neg_sampler_args.pretrained"
    with pytest.raises(UsageError, match=r"^neg_sampler_args\.pretrained: 'nowhere' is no folder"):
        run({**settings, "data_path": "nor/data"} | own, tmp_path / "a", **{where: "nowhere"})
    run(settings, tmp_path / "first", neg_sampler="rns", epochs=1)
    named = {**own, where: str(tmp_path / "first")}
    with pytest.raises(UsageError, match=r"its model is 'BPR', wanted is 'LightGCN'"):
        run(settings, tmp_path / "b", "LightGCN", **named)
    with pytest.raises(UsageError, match=r"its weights do not fit the model, user_embedding"):
        run(settings, tmp_path / "c", **named, embedding_size=4)
    with pytest.raises(UsageError, match=r"trained on other interactions"):
        run(settings, tmp_path / "d", **named, valid_ratio=0.3)


@pytest.mark.parametrize(
    ("model", "more", "words"),
    [
        ("BPR", {"nproc": 2}, r"nproc: got 2, but neg_sampler 'irgan' trains a generator"),
        ("NeuMF", {}, r"neg_sampler 'irgan' needs user and item vectors, which NeuMF does not"),
        ("BPR", {"loss": "ssm", "neg_shared": True}, r"neg_shared: got True, but neg_sampler 'irg"),
        ("BPR", {"loss": "ssm", "loss_log_q": "both"}, r"loss_log_q: neg_sampler 'irgan' does not"),
        ("BPR", {"neg_sampler_args.tested": "both"}, r"allowed is one of recommender, generator"),
    ],
)
def test_what_cannot_be_is_refused(
    settings: Settings, tmp_path: Path, model: str, more: Settings, words: str
) -> None:
    if model == "NeuMF":
        del settings["embedding_size"]
    with pytest.raises(UsageError, match=words):
        run(settings, tmp_path / "x", model, neg_sampler="irgan", **more)


@pytest.mark.parametrize("sampler", ["irgan", "advir"])
def test_they_serve_losses_over_many_negatives(
    settings: Settings, tmp_path: Path, sampler: str
) -> None:
    more = {"neg_sampler": sampler, "loss": "ssm", "neg_sample_num": 4}
    args = {**EARLY, "neg_sampler_args.generator_rate": 0.05}
    if sampler == "advir":
        args["neg_sampler_args.candidate_num"] = 5
    run(settings, tmp_path / "x", **more, **args, eval_step=2)
    assert kept(tmp_path / "x")["sampler"]["item_bias"].abs().max() > 0


def test_a_generator_that_never_begins_is_said(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(settings, tmp_path / "x", neg_sampler="irgan")
    assert (
        "note: neg_sampler 'irgan' draws uniformly here: its generator begins after 10 epochs "
        "(neg_sampler_args.pretrain_epochs), and there are 2.\n"
    ) in capsys.readouterr().err


def test_a_resumed_curriculum_knows_of_more_epochs(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, int]] = []
    begin = CuCo.begin_epoch

    def watched(self: Any, epoch: int, scorer: Any) -> None:
        begin(self, epoch, scorer)
        sizes.append((epoch, self.size))

    monkeypatch.setattr(CuCo, "begin_epoch", watched)
    more = {"neg_sampler": "cuco", "neg_sampler_args.candidate_num": 12}
    run(settings, tmp_path / "x", **more, epochs=2)
    run_recbole_bns(config_dict={"epochs": 4}, resume=tmp_path / "x")
    assert sizes == [(0, 12), (1, 6), (1, 9), (2, 6), (3, 3)], "it begins with its last epoch"


@pytest.mark.process
@pytest.mark.slow
def test_recboles_own_trainer_tells_of_its_steps(data_path: Path, in_tmp: Path) -> None:
    run_fresh(
        """
import sys
import recbole_bns
from recbole_bns import UsageError
recbole_bns.enable()
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

SETTINGS = {"data_path": sys.argv.pop(), "gpu_id": "", "epochs": 4, "train_batch_size": 256,
            "embedding_size": 8, "state": "ERROR", "show_progress": False}

def train(**more):
    config = Config("BPR", "tiny", config_dict={**SETTINGS, **more})
    init_seed(config["seed"], True)
    data = data_preparation(config, create_dataset(config))[0]
    trainer = get_trainer(config["MODEL_TYPE"], "BPR")(
        config, get_model("BPR")(config, data._dataset))
    trainer.fit(data, saved=False)
    return data._sampler.core

early = {"neg_sampler_args": {"pretrain_epochs": 1}}
for name in ("irgan", "rns_as", "advir"):
    core = train(neg_sampler=name, **early)
    assert core.item_bias.abs().max() > 0, name
assert train(neg_sampler="cuco").size == 8
early["neg_sampler_args"]["tested"] = "generator"
try:
    train(neg_sampler="irgan", **early)
except UsageError as error:
    assert "RecBole's trainer tests the model that it trains" in str(error)
else:
    raise AssertionError("the generator was not tested, and nothing said")
""",
        in_tmp,
        str(data_path),
    )
