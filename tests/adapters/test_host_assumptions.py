"""What the plugin assumes of RecBole, each as behaviour, so that an upgrade fails here first."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import recbole.data.utils as data_utils
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.dataloader import FullSortEvalDataLoader, TrainDataLoader
from recbole.data.interaction import Interaction
from recbole.evaluator.base_metric import TopkMetric
from recbole.evaluator.register import metrics_dict
from recbole.model.general_recommender import BPR, NCL, LightGCN, NeuMF
from recbole.sampler import Sampler
from recbole.sampler.sampler import AbstractSampler
from recbole.trainer import Trainer
from recbole.trainer.trainer import NCLTrainer
from recbole.utils import InputType, get_trainer, init_seed

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array_wrap__ must accept:DeprecationWarning",
    "ignore:torch.sparse.SparseTensor:UserWarning",
)

USERS, ITEMS, EACH = 12, 20, 8
Make = Callable[..., Config]


def write_inter(path: Path, rows: list[tuple[int, int]]) -> None:
    path.parent.mkdir(exist_ok=True)
    lines = [f"u{user}\ti{item}" for user, item in rows]
    path.write_text("\n".join(["user_id:token\titem_id:token", *lines]))


@pytest.fixture(autouse=True)
def _own_process_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what RecBole reads (sys.argv) and writes (environment, working directory) apart."""
    monkeypatch.setattr(sys, "argv", ["run"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "untouched")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A maker of Configs over a data set in which user u has the items u, u + 1, ..., u + 7."""
    rows = [(user, (user + step) % ITEMS) for user in range(USERS) for step in range(EACH)]
    write_inter(tmp_path / "ring" / "ring.inter", rows)

    def config(model: Any = "BPR", dataset: str = "ring", **settings: Any) -> Config:
        base = {
            "data_path": str(tmp_path),
            "load_col": {"inter": ["user_id", "item_id"]},
            "gpu_id": "",
            "epochs": 3,
            "train_batch_size": 10,
            "embedding_size": 4,
            "metrics": ["Recall", "NDCG"],
            "valid_metric": "NDCG@10",
        }
        return Config(model, dataset, config_dict={**base, **settings})

    return config


def prepare(config: Config) -> tuple[Any, Any, Any]:
    init_seed(config["seed"], True)
    return data_preparation(config, create_dataset(config))


# --- Config ------------------------------------------------------------------------------------

STEPS = (
    "_load_cmd_line",
    "_load_internal_config_dict",
    "_set_default_parameters",
    "_init_device",
    "_set_train_neg_sample_args",
)


def test_config_runs_the_overridable_steps_in_this_order(monkeypatch, make):
    seen = []
    for step in STEPS:
        inner = getattr(Config, step)

        def record(self, *args, _step=step, _inner=inner):
            seen.append(_step)
            return _inner(self, *args)

        monkeypatch.setattr(Config, step, record)
    make()
    assert tuple(seen) == STEPS


def test_an_override_sees_what_the_earlier_steps_made(make, tmp_path):
    class Ours(Config):
        def _load_cmd_line(self) -> dict[str, Any]:
            return {"embedding_size": 7}

        def _load_internal_config_dict(self, model, model_class, dataset) -> None:
            super()._load_internal_config_dict(model, model_class, dataset)
            assert model_class is BPR
            self.internal_config_dict["ours"] = "a default"

        def _set_train_neg_sample_args(self) -> None:
            self.final_config_dict["seen"] = dict(self.final_config_dict["train_neg_sample_args"])
            super()._set_train_neg_sample_args()

    settings = {"gpu_id": "", "embedding_size": 5}
    config = Ours("BPR", "ring", config_dict=settings)
    assert config["embedding_size"] == 7, "the command line no longer outranks config_dict"
    assert config["ours"] == "a default"
    assert config["seen"] == {
        "distribution": "uniform",
        "sample_num": 1,
        "alpha": 1.0,
        "dynamic": False,
        "candidate_num": 0,
    }


def test_config_takes_a_model_class_and_names_it(make):
    class Ours(BPR):
        pass

    config = make(Ours)
    assert config["model"] == "Ours"
    assert config.model_class is Ours


def test_unknown_and_dotted_keys_survive_and_missing_ones_read_as_none(make, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run", "--bns.weight=0.25", "--lost", "3"])
    config = make(**{"bns.prior": "power", "nonsense": [1, 2], "text": "1e-3"})
    assert config["bns.weight"] == 0.25
    assert config["bns.prior"] == "power"
    assert config["nonsense"] == [1, 2]
    assert config["text"] == 1e-3, "strings in config_dict are no longer evaluated"
    assert "lost" not in config
    assert config["bns.piror"] is None


def test_config_writes_the_gpu_id_to_the_environment_and_ignores_data_path_for_ml_100k(make):
    config = make(dataset="ml-100k", data_path="elsewhere")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert config["device"] == torch.device("cpu")
    assert "dataset_example" in config["data_path"]


# --- The training loader -----------------------------------------------------------------------


class Recording(TrainDataLoader):
    """A loader that draws item 1 for everybody and writes down what happens."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.events: list[str] = []
        self.batches: list[Interaction] = []
        super().__init__(*args, **kwargs)

    def _set_neg_sample_args(self, config, dataset, dl_format, neg_sample_args) -> None:
        assert "_dataset" not in self.__dict__, "it now runs after super().__init__"
        self.events.append("_set_neg_sample_args")
        super()._set_neg_sample_args(config, dataset, dl_format, neg_sample_args)

    def _init_batch_size_and_step(self) -> None:
        self.events.append("_init_batch_size_and_step")
        super()._init_batch_size_and_step()

    def get_model(self, model) -> None:
        self.events.append("get_model")
        super().get_model(model)

    def _neg_sampling(self, inter_feat: Interaction) -> Interaction:
        self.batches.append(inter_feat)
        negatives = torch.ones(len(inter_feat) * self.neg_sample_num, dtype=torch.long)
        return self.sampling_func(inter_feat, negatives)


def recording_loader(config: Config, shuffle: bool = True) -> Recording:
    train = prepare(config)[0]
    return Recording(config, train._dataset, train._sampler, shuffle=shuffle)


def negatives(number: int, **more: Any) -> dict[str, Any]:
    return {"train_neg_sample_args": {"distribution": "uniform", "sample_num": number, **more}}


def test_loader_sets_its_arguments_before_its_batch_size(make):
    loader = recording_loader(make())
    assert loader.events == ["_set_neg_sample_args", "_init_batch_size_and_step"]


def test_neg_sampling_gets_the_positives_of_each_batch(make):
    loader = recording_loader(make(**negatives(2)), shuffle=False)
    assert loader.times == 2
    assert loader.step == loader.batch_size == 5, "sample_num no longer divides the batch size"
    assert len(list(loader)) == len(loader) == len(loader.batches)
    users = torch.cat([batch["user_id"] for batch in loader.batches])
    assert torch.equal(users, loader._dataset.inter_feat["user_id"])


def test_pairwise_layout_repeats_the_positives_in_tiles(make):
    loader = recording_loader(make(**negatives(3)), shuffle=False)
    inter = loader._dataset.inter_feat[:2]
    drawn = torch.tensor([1, 2, 3, 4, 5, 6])
    batch = loader.sampling_func(inter, drawn)
    assert torch.equal(batch["user_id"], inter["user_id"].repeat(3))
    assert torch.equal(batch["item_id"], inter["item_id"].repeat(3))
    assert torch.equal(batch["neg_item_id"], drawn)


def test_pointwise_layout_puts_the_positives_first_and_labels_them(make):
    loader = recording_loader(make("NeuMF", **negatives(2)), shuffle=False)
    assert NeuMF.input_type is InputType.POINTWISE
    assert loader.times == 3
    inter = loader._dataset.inter_feat[:2]
    drawn = torch.tensor([1, 2, 3, 4])
    batch = loader.sampling_func(inter, drawn)
    assert torch.equal(batch["user_id"], inter["user_id"].repeat(3))
    assert torch.equal(batch["item_id"], torch.cat([inter["item_id"], drawn]))
    assert batch["label"].tolist() == [1, 1, 0, 0, 0, 0]


def test_loader_keeps_sampler_dataset_and_a_generator_that_alone_sets_the_order(make):
    config = make()
    train = prepare(config)[0]
    assert isinstance(train, TrainDataLoader)
    assert isinstance(train._sampler, Sampler)
    assert train.shuffle is True
    assert train.generator.initial_seed() == config["seed"]

    def order() -> list[int]:
        loader = Recording(config, train._dataset, train._sampler, shuffle=True)
        torch.rand(7)  # the global generator has no say in the order
        return torch.cat([batch["item_id"] for batch in loader]).tolist()

    assert order() == order() != train._dataset.inter_feat["item_id"].tolist()


def test_the_training_sampler_knows_the_training_items_of_each_user(make):
    train, valid, _ = prepare(make())
    pairs = train._dataset.inter_feat
    own: list[set[int]] = [set() for _ in range(train._dataset.user_num)]
    for user, item in zip(pairs["user_id"].tolist(), pairs["item_id"].tolist(), strict=True):
        own[user].add(item)
    assert [set(map(int, used)) for used in train._sampler.used_ids] == own
    assert valid._sampler.used_ids[1] > train._sampler.used_ids[1]


# --- Samplers and evaluation loaders -----------------------------------------------------------


class OneItemEach(AbstractSampler):
    """Key k may draw item k only: every other item of 0..3 is used."""

    def get_used_ids(self) -> np.ndarray:
        return np.array([{0, 1, 2, 3} - {key} for key in range(4)])

    def _uni_sampling(self, sample_num: int) -> np.ndarray:
        return np.random.randint(0, 4, sample_num)  # noqa: NPY002 - RecBole's own generator


def test_sample_by_key_ids_answers_in_tile_order():
    keys = np.array([2, 0, 3])
    drawn = OneItemEach("uniform", 1.0).sample_by_key_ids(keys, 4)
    assert drawn.dtype == torch.long
    assert torch.equal(drawn, torch.from_numpy(np.tile(keys, 4)))


def test_full_sort_loader_masks_what_its_sampler_calls_used(make):
    config = make()
    test = prepare(config)[2]
    used = np.array([{0}] * test._dataset.user_num)
    pairs = test._dataset.inter_feat
    mine = set(pairs[pairs["user_id"] == 1]["item_id"].tolist())
    used[1] = mine | {3, 5}
    loader = FullSortEvalDataLoader(config, test._dataset, SimpleNamespace(used_ids=used))
    assert set(loader.uid2positive_item[1].tolist()) == mine
    assert set(loader.uid2history_item[1].tolist()) == {3, 5} - mine
    _, (rows, items), positive_rows, positives = next(iter(loader))
    assert set(items[rows == 0].tolist()) == {3, 5} - mine
    assert set(positives[positive_rows == 0].tolist()) == mine


# --- data_preparation --------------------------------------------------------------------------


def test_data_preparation_looks_its_helpers_up_in_its_module(make, monkeypatch):
    phases = []

    def get_dataloader(config, phase, _inner=data_utils.get_dataloader):
        phases.append(phase)
        return Recording if phase == "train" else _inner(config, phase)

    def create_samplers(config, dataset, built, _inner=data_utils.create_samplers):
        phases.append("samplers")
        return _inner(config, dataset, built)

    monkeypatch.setattr(data_utils, "get_dataloader", get_dataloader)
    monkeypatch.setattr(data_utils, "create_samplers", create_samplers)
    train = prepare(make())[0]
    assert phases == ["samplers", "train", "valid", "test"]
    assert isinstance(train, Recording)


def test_two_benchmark_files_build_two_data_sets_but_no_loaders(make, tmp_path):
    write_inter(tmp_path / "pair" / "pair.train.inter", [(1, 1), (1, 2), (2, 3)])
    write_inter(tmp_path / "pair" / "pair.test.inter", [(1, 3), (2, 1)])
    config = make(dataset="pair", benchmark_filename=["train", "test"])
    dataset = create_dataset(config)
    built = dataset.build()
    assert [len(part) for part in built] == [3, 2]
    assert {part.item_num for part in built} == {4}
    with pytest.raises(ValueError, match="not enough values to unpack"):
        data_preparation(config, create_dataset(config))


# --- Trainer -----------------------------------------------------------------------------------


class Watched(Trainer):
    """A trainer that writes down its epochs and checkpoints, and stores nothing."""

    def __init__(self, config: Config, model: torch.nn.Module) -> None:
        super().__init__(config, model)
        self.events: list[str] = []

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        self.events.append(f"train {epoch_idx}")
        return super()._train_epoch(train_data, epoch_idx, loss_func, show_progress)

    def _valid_epoch(self, valid_data, show_progress=False):
        self.events.append("valid")
        return super()._valid_epoch(valid_data, show_progress)

    def _save_checkpoint(self, epoch, verbose=True, **kwargs) -> None:
        self.events.append(f"save {epoch}")


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)[1:]


def test_trainer_methods_take_these_arguments():
    assert parameters(Trainer._train_epoch) == [
        "train_data",
        "epoch_idx",
        "loss_func",
        "show_progress",
    ]
    assert parameters(Trainer._valid_epoch) == ["valid_data", "show_progress"]
    assert parameters(Trainer._save_checkpoint) == ["epoch", "verbose", "kwargs"]
    assert parameters(Trainer.resume_checkpoint) == ["resume_file"]
    assert parameters(Trainer.evaluate) == [
        "eval_data",
        "load_best_model",
        "model_file",
        "show_progress",
    ]
    assert parameters(Trainer.fit) == [
        "train_data",
        "valid_data",
        "verbose",
        "saved",
        "show_progress",
        "callback_fn",
    ]


@pytest.mark.parametrize(("dynamic", "calls"), [(True, 1), (False, 0)])
def test_fit_hands_the_model_to_a_dynamic_loader_once_before_the_first_epoch(make, dynamic, calls):
    config = make(**negatives(1, dynamic=dynamic, candidate_num=2))
    loader = recording_loader(config)
    trainer = Watched(config, BPR(config, loader._dataset))
    trainer.events = loader.events = []  # one list, to see both in their order
    trainer.fit(loader, saved=False)
    assert trainer.events == ["get_model"] * calls + ["train 0", "train 1", "train 2"]
    assert (loader.model is trainer.model) == dynamic


def test_ncl_has_a_trainer_whose_fit_never_hands_the_model_over():
    assert get_trainer(NCL.type, "NCL") is NCLTrainer
    assert "get_model" not in NCLTrainer.fit.__code__.co_names
    assert get_trainer(BPR.type, "BPR") is get_trainer(LightGCN.type, "LightGCN") is Trainer


def test_fit_without_validation_saves_every_epoch_and_returns_no_result(make):
    config = make()
    train = prepare(config)[0]
    trainer = Watched(config, BPR(config, train._dataset))
    _, best = trainer.fit(train, valid_data=None)
    assert best is None
    assert trainer.events == [f"{what} {epoch}" for epoch in range(3) for what in ("train", "save")]


def test_fit_saves_only_what_improves_and_calls_back_after_every_validation(make, monkeypatch):
    scores = iter([0.2, 0.1, 0.3])
    monkeypatch.setattr(Trainer, "_valid_epoch", lambda *a, **k: ((s := next(scores)), {"x": s}))
    config = make()
    train, valid, _ = prepare(config)
    trainer = Watched(config, BPR(config, train._dataset))
    called: list[tuple[int, float]] = []
    best = trainer.fit(train, valid, callback_fn=lambda *seen: called.append(seen))
    assert best == (0.3, {"x": 0.3})
    assert called == [(0, 0.2), (1, 0.1), (2, 0.3)]
    assert [event for event in trainer.events if event.startswith("save")] == ["save 0", "save 2"]


def test_train_epoch_uses_the_loss_function_it_is_given(make):
    config = make()
    train = prepare(config)[0]
    model = BPR(config, train._dataset)
    seen = []

    def loss(batch: Interaction) -> torch.Tensor:
        seen.append(batch)
        return model.user_embedding.weight.sum() * 0 + 2

    total = Trainer(config, model)._train_epoch(train, 0, loss_func=loss)
    assert len(seen) == len(train)
    assert total == 2 * len(train)
    assert "neg_item_id" in seen[0]


def test_metrics_are_rounded_to_metric_decimal_place(make):
    def result(places: int) -> list[float]:
        config = make(metric_decimal_place=places)
        train, _, test = prepare(config)
        trainer = Trainer(config, BPR(config, train._dataset))
        return [float(value) for value in trainer.evaluate(test, load_best_model=False).values()]

    fine, coarse = result(10), result(2)
    assert coarse == [round(value, 2) for value in fine]
    assert coarse != fine


# --- Models ------------------------------------------------------------------------------------


@pytest.fixture
def lightgcn(make: Make) -> Iterator[tuple[LightGCN, Interaction]]:
    config = make("LightGCN", n_layers=2, reg_weight=0.1, require_pow=False)
    train = prepare(config)[0]
    return LightGCN(config, train._dataset), next(iter(train))


def test_lightgcn_propagates_once_per_loss(lightgcn, monkeypatch):
    model, batch = lightgcn
    calls = []
    monkeypatch.setattr(model, "forward", lambda _inner=model.forward: calls.append(1) or _inner())
    model.calculate_loss(batch)
    assert len(calls) == 1


def test_lightgcn_has_a_symmetric_matrix_and_averages_its_layers(lightgcn):
    model, _ = lightgcn
    matrix = model.norm_adj_matrix.to_dense()
    links = torch.zeros_like(matrix)
    rows, columns = map(torch.from_numpy, map(np.int64, model.interaction_matrix.nonzero()))
    links[rows, columns + model.n_users] = links[columns + model.n_users, rows] = 1
    scale = (links.sum(1) + 1e-7).pow(-0.5)
    torch.testing.assert_close(matrix, scale[:, None] * links * scale)
    assert torch.equal(matrix, matrix.T)

    ego = torch.cat([model.user_embedding.weight, model.item_embedding.weight])
    mean = (ego + matrix @ ego + matrix @ matrix @ ego) / 3
    torch.testing.assert_close(torch.cat(model.forward()), mean)


def test_lightgcn_forgets_its_stored_embeddings_when_it_trains(lightgcn):
    model, batch = lightgcn
    assert model.other_parameter_name == ["restore_user_e", "restore_item_e"]
    scores = model.full_sort_predict(batch).view(len(batch), -1)
    assert model.restore_user_e is not None
    own = scores.gather(1, batch["item_id"][:, None]).squeeze(1)
    torch.testing.assert_close(own, model.predict(batch))
    model.calculate_loss(batch)
    assert model.restore_user_e is model.restore_item_e is None


def test_lightgcn_loss_is_bpr_plus_the_norm_of_the_batch(lightgcn):
    model, batch = lightgcn
    users, items = model.forward()
    user, positive, negative = (batch[key] for key in ("user_id", "item_id", "neg_item_id"))
    gap = (users[user] * (items[positive] - items[negative])).sum(1)
    ego = model.user_embedding(user), model.item_embedding(positive), model.item_embedding(negative)
    norm = sum(part.norm(p=2) for part in ego) / len(user)
    expected = -(1e-10 + gap.sigmoid()).log().mean() + 0.1 * norm
    torch.testing.assert_close(
        model.calculate_loss(batch), expected[None]
    )  # EmbLoss has shape (1,)


def test_bpr_is_a_dot_product_with_a_loss_without_regularisation(make):
    config = make()
    train = prepare(config)[0]
    model, batch = BPR(config, train._dataset), next(iter(train))
    users, items = model.user_embedding.weight, model.item_embedding.weight
    assert [name for name, _ in model.named_parameters()] == [
        "user_embedding.weight",
        "item_embedding.weight",
    ]
    user, positive, negative = (batch[key] for key in ("user_id", "item_id", "neg_item_id"))
    scores = model.full_sort_predict(batch).view(len(batch), -1)
    torch.testing.assert_close(scores, users[user] @ items.T)
    torch.testing.assert_close(model.predict(batch), (users[user] * items[positive]).sum(1))
    gap = (users[user] * (items[positive] - items[negative])).sum(1)
    expected = -(1e-10 + gap.sigmoid()).log().mean()
    torch.testing.assert_close(model.calculate_loss(batch), expected)


# --- Evaluator ---------------------------------------------------------------------------------


def test_ranking_metrics_hand_a_matrix_of_users_and_ranks_to_topk_result(make):
    names = [name for name, cls in metrics_dict.items() if issubclass(cls, TopkMetric)]
    assert {"recall", "precision", "ndcg", "hit", "mrr", "map"} <= set(names)
    config = make(metrics=names, topk=[2, 4], valid_metric="NDCG@4", metric_decimal_place=16)
    train, _, test = prepare(config)
    trainer = Trainer(config, BPR(config, train._dataset))
    seen = {}
    for name, metric in trainer.evaluator.metric_class.items():

        def record(given, value, _name=name, _inner=metric.topk_result):
            assert given == _name
            seen[given] = value
            return _inner(given, value)

        metric.topk_result = record
    result = trainer.evaluate(test, load_best_model=False)
    assert list(seen) == names
    for name, value in seen.items():
        assert value.shape == (len(test.uid_list), 4)
        for k in (2, 4):
            assert value[:, k - 1].mean() == pytest.approx(result[f"{name}@{k}"], abs=1e-12)


@pytest.mark.parametrize("mode", ["full", "uni5"])
def test_evaluation_rows_follow_the_loaders_list_of_users(make, mode):
    test = prepare(make(eval_args={"mode": mode}))[2]
    users = []
    for interaction, rows, positive_rows, _ in test:
        column = interaction["user_id"]
        own = [column[rows == row][0] for row in positive_rows.unique()] if mode != "full" else None
        users += column if own is None else own
    assert [int(user) for user in users] == [int(user) for user in test.uid_list]
    assert len(set(map(int, users))) == len(users)
