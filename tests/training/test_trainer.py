"""Our trainers: models made whole, one owner of the epoch, one binding, one parsing, watchers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.data.dataloader import TrainDataLoader
from recbole.model.general_recommender import BPR, LightGCN
from recbole.trainer import Trainer
from tiny import Settings, build_model, prepare

from recbole_bns import BNSConfig, BNSSampler, get_trainer, run_recbole_bns
from recbole_bns.adapters import sampler_settings
from recbole_bns.adapters.lightgcn import SharedLightGCN
from recbole_bns.adapters.models import RegularisedBPR, make_model
from recbole_bns.adapters.split import open_data, pairs_of
from recbole_bns.sampling import NegativeSampler, registry
from recbole_bns.training.loaders import make_loaders
from recbole_bns.training.trainer import Watch

pytestmark = pytest.mark.filterwarnings("ignore:torch.sparse.SparseTensor:UserWarning")

Make = Callable[..., Any]


def loader_of(config: Any) -> Any:
    """The training loader of a run with these settings."""
    return make_loaders(config, open_data(config))["train"]


def fit(trainer: Any, *loaders: Any, **more: Any) -> Any:
    trainer.fit(*loaders, saved=False, **more)
    trainer.tensorboard.close()
    return trainer


def trainer_of(config: Any, model: Any) -> Any:
    return get_trainer(config["MODEL_TYPE"], config["model"])(config, model)


# --- A model is made whole where it is made ----------------------------------------------------


@pytest.mark.parametrize("sampler", ["none", "rns"])
def test_the_l2_term_of_bpr_is_there_whoever_samples(make: Make, sampler: str) -> None:
    config = make("BPR", neg_sampler=sampler, reg_weight=0.3)
    train = loader_of(config)
    model = make_model(config, train._dataset)
    assert isinstance(model, RegularisedBPR)
    stock = BPR(config, train._dataset)
    stock.load_state_dict(model.state_dict())
    if sampler == "rns":
        train.get_model(model)
    batch = next(iter(train))
    total = 0.0
    for name, field in (("user", "user_id"), ("item", "item_id"), ("item", "neg_item_id")):
        vectors = getattr(stock, f"{name}_embedding").weight[batch[field]]
        total += float(vectors.detach().double().square().sum())
    assert total > 0.01
    with torch.no_grad():
        added = float(model.calculate_loss(batch) - stock.calculate_loss(batch))
    assert added == pytest.approx(0.3 * total / (2 * len(batch["user_id"])), rel=1e-4, abs=1e-6)


def test_a_run_without_a_sampler_of_ours_trains_with_the_l2_term(
    settings: Settings, tmp_path: Path
) -> None:
    weights = []
    for number, more in enumerate(({}, {"reg_weight": 0.0}, {"reg_weight": 5.0})):
        given = {**settings, "neg_sampler": "none", "epochs": 1, **more}
        result = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / str(number))
        state = torch.load(result["checkpoint"], weights_only=True)["state_dict"]
        weights.append(state["item_embedding.weight"])
    assert torch.equal(weights[0], weights[1])
    assert float(weights[2].norm()) < float(weights[0].norm())


@pytest.mark.parametrize("sampler", ["none", "rns"])
def test_our_trainer_makes_a_model_of_others_whole(make: Make, sampler: str) -> None:
    config = make("BPR", neg_sampler=sampler, reg_weight=0.1)
    model = BPR(config, loader_of(config)._dataset)
    weights = list(model.parameters())
    trainer = trainer_of(config, model)
    assert isinstance(model, RegularisedBPR)
    assert trainer.model is model
    assert all(map(torch.Tensor.is_set_to, weights, trainer.optimizer.param_groups[0]["params"]))
    trainer.tensorboard.close()


def test_the_loader_makes_the_model_whole_that_recboles_trainer_hands_over(make: Make) -> None:
    config = make("BPR", neg_sampler="rns", reg_weight=0.1, epochs=1)
    train = loader_of(config)
    trainer = fit(Trainer(config, BPR(config, train._dataset)), train)
    assert isinstance(trainer.model, RegularisedBPR)


@pytest.mark.parametrize(("sampler", "expected"), [("none", LightGCN), ("rns", SharedLightGCN)])
def test_lightgcn_stays_recboles_where_nobody_looks_at_it(
    make: Make, sampler: str, expected: type
) -> None:
    config = make("LightGCN", neg_sampler=sampler, epochs=1)
    train = loader_of(config)
    model = make_model(config, train._dataset)
    assert type(fit(trainer_of(config, model), train).model) is expected


def test_binding_a_sampler_leaves_the_model_as_it_is(make: Make) -> None:
    config = make("BPR", neg_sampler="dns", reg_weight=0.1)
    train = loader_of(config)
    model = BPR(config, train._dataset)
    train._sampler.bind(model)
    assert type(model) is BPR


# --- The trainer owns the epoch; a sampler is bound once, parameters are parsed once -----------


class Theirs(TrainDataLoader):
    """A loader of somebody else, which just asks its sampler."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Epochs that samplers are told of, and models that they are bound to."""
    seen: dict[str, list[Any]] = {"epochs": [], "models": []}
    begin, bind = NegativeSampler.begin_epoch, BNSSampler.bind

    def begin_epoch(self: Any, epoch: int, scorer: Any) -> None:
        seen["epochs"].append(epoch)
        begin(self, epoch, scorer)

    def bound(self: Any, model: Any) -> None:
        seen["models"].append(model)
        bind(self, model)

    monkeypatch.setattr(NegativeSampler, "begin_epoch", begin_epoch)
    monkeypatch.setattr(BNSSampler, "bind", bound)
    return seen


@pytest.mark.parametrize("ours", [True, False])
def test_a_fit_binds_once_and_begins_each_epoch_once(
    make: Make, told: dict[str, list[Any]], ours: bool
) -> None:
    config = make("BPR", neg_sampler="rns", epochs=3)
    train = loader_of(config)
    model = build_model(config, train)
    fit(trainer_of(config, model) if ours else Trainer(config, model), train)
    assert told["epochs"] == [0, 1, 2]
    assert len(told["models"]) == 1
    assert told["models"][0] is model


def test_a_loader_of_others_is_served_by_our_trainer_alone(
    make: Make, told: dict[str, list[Any]]
) -> None:
    config = make("BPR", neg_sampler="dns", epochs=2)
    ours = loader_of(config)
    config["train_neg_sample_args"]["dynamic"] = False  # it hands no model over
    train = Theirs(config, ours._dataset, ours._sampler, shuffle=True)
    model = build_model(config, ours)
    fit(trainer_of(config, model), train)
    assert told["epochs"] == [0, 1]
    assert len(told["models"]) == 1
    assert not hasattr(train, "epoch")


def test_a_training_that_goes_on_begins_where_it_was(
    make: Make, told: dict[str, list[Any]], tmp_path: Path
) -> None:
    config = make("BPR", neg_sampler="rns", epochs=2, checkpoint_dir=str(tmp_path))
    train = loader_of(config)
    file = tmp_path / "mine.pt"
    trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, build_model(config, train), file)
    trainer.fit(train)
    trainer.tensorboard.close()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.pt"]
    config["epochs"] = 4
    again = trainer_of(config, build_model(config, train))
    again.resume_checkpoint(file)
    fit(again, loader_of(config))
    assert told["epochs"] == [0, 1, 2, 3]


@pytest.mark.parametrize("prior", ["popularity", "occupation"])
def test_parameters_are_parsed_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, prior: str
) -> None:
    parsed: list[Any] = []
    parse = sampler_settings.parse

    def count(cls: Any, given: Any, *where: Any) -> Any:
        parsed.append(copy.copy(given))
        return parse(cls, given, *where)

    monkeypatch.setattr(sampler_settings, "parse", count)
    monkeypatch.setattr(registry, "parse", count)
    given = {**settings, "neg_sampler": "bns", "neg_sampler_args.prior": prior}
    config = BNSConfig("BPR", "tiny", None, given)
    core = loader_of(config)._sampler.core
    assert core.params.prior == prior
    assert len(parsed) == 1


def test_parameters_that_are_changed_later_hold(make: Make) -> None:
    config = make("BPR", neg_sampler="bns", neg_sampler_args={"candidate_num": 3})
    assert loader_of(config)._sampler.core.params.candidate_num == 3
    config["neg_sampler_args"] = {"candidate_num": 4}
    assert loader_of(config)._sampler.core.params.candidate_num == 4
    config["neg_sampler_args"]["candidate_num"] = 6
    assert loader_of(config)._sampler.core.params.candidate_num == 6
    config["neg_sampler_args"]["lambda"] = {"start": 10, "step": -1, "stop": 2}
    assert loader_of(config)._sampler.core.params.lambda_.step == -1
    config["neg_sampler_args"]["lambda"]["step"] = -2
    assert loader_of(config)._sampler.core.params.lambda_.step == -2
    config["neg_sampler"] = "dns"
    config["neg_sampler_args"] = {}
    assert loader_of(config)._sampler.core.name == "dns"


# --- Watchers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["rns", "none"])
def test_a_watch_is_told_of_epochs_and_batches_in_order(make: Make, sampler: str) -> None:
    config = make("BPR", neg_sampler=sampler, eval_step=2)
    loaders = make_loaders(config, open_data(config))
    train, valid = loaders["train"], loaders["valid"]
    told: list[Any] = []
    watch = Watch(
        lambda epoch: told.append(("before", epoch)),
        lambda: told.append("batch"),
        lambda report: told.append(("after", report.epoch, report.valid_result is not None)),
    )
    trainer = fit(trainer_of(config, build_model(config, train)), train, valid, watch=watch)
    batches = ["batch"] * len(train)
    assert len(batches) > 2
    assert told == [
        ("before", 0),
        *batches,
        ("after", 1, False),
        ("before", 1),
        *batches,
        ("after", 2, True),
    ]
    trainer.start_epoch, trainer.epochs = 2, 3
    fit(trainer, train)
    assert len(told) == 2 * len(batches) + 4, "told after the fit that it was for"


def test_every_trainer_keeps_the_values_of_users(make: Make) -> None:
    config = make("BPR", neg_sampler="rns", epochs=1)
    train, _, test = prepare(config)
    trainer = trainer_of(config, build_model(config, train))
    trainer.fit(train, saved=False)
    found = trainer.evaluate(test, load_best_model=False)
    trainer.tensorboard.close()
    values = trainer.evaluator.values["recall@5"]
    assert len(values) == 40
    assert float(found["recall@5"]) == pytest.approx(values.mean(), abs=1e-9)


def test_data_are_opened_the_same_by_every_road(make: Make) -> None:
    config = make("BPR", neg_sampler="rns")
    opened = list(open_data(config).parts.values())
    prepared = [loader._dataset for loader in prepare(config)]  # evaluation sorts by user
    for one, other in zip(opened, prepared, strict=True):
        assert sorted(pairs_of([one]).T.tolist()) == sorted(pairs_of([other]).T.tolist())
