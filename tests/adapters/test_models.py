"""RecBole's models under our samplers: unchanged losses, honest scores, and which of them work."""

from __future__ import annotations

import copy
import csv
import inspect
import sys
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import recbole.model.general_recommender as general
import torch
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.model.general_recommender import BPR, LightGCN
from recbole.trainer import Trainer
from recbole.utils import InputType, get_model
from tiny import OTHERS, build_model, prepare

from recbole_bns import BNSConfig, UsageError, factors, get_trainer, run_recbole_bns
from recbole_bns.adapters.checks import known_models
from recbole_bns.adapters.lightgcn import SharedLightGCN, SymmetricProduct
from recbole_bns.adapters.models import upgrade
from recbole_bns.adapters.scorers import (
    CatalogueScorer,
    Columns,
    PairScorer,
    check_served,
    scorer_factory,
    scorer_kind,
)
from recbole_bns.sampling import FactorScorer, get
from recbole_bns.sampling.capabilities import Vectors, scores_by
from recbole_bns.testing import generator_states

pytestmark = pytest.mark.filterwarnings(
    "ignore:torch.sparse.SparseTensor:UserWarning",
    "ignore:Creating a tensor from a list of numpy.ndarrays:UserWarning",
)

SMALL_CNN = {
    "embedding_size": 16,
    "cnn_channels": [1, 4, 4],
    "cnn_kernels": [4, 4],
    "cnn_strides": [4, 4],
}
SMALL_NNCF = {
    "ui_embedding_size": 8,
    "neigh_embedding_size": 4,
    "num_conv_kernel": 4,
    "mlp_hidden_size": [8],
}
SMALL_NEUMF = {"mf_embedding_size": 8, "mlp_embedding_size": 8, "mlp_hidden_size": [8]}
WORKS: dict[str, tuple[type, dict[str, Any]]] = {
    "BPR": (FactorScorer, {}),
    "LightGCN": (FactorScorer, {}),
    "SpectralCF": (FactorScorer, {}),
    "NGCF": (CatalogueScorer, {"hidden_size_list": [8, 8]}),
    "DGCF": (CatalogueScorer, {}),
    "SGL": (CatalogueScorer, {}),
    "NCL": (CatalogueScorer, {"num_clusters": 4, "warm_up_step": 0}),
    "SimpleX": (CatalogueScorer, {}),
    "GCMC": (CatalogueScorer, {"gcn_output_dim": 10}),
    "DMF": (CatalogueScorer, {}),
    "NAIS": (CatalogueScorer, {"weight_size": 4}),
    "FISM": (CatalogueScorer, {}),
    "LINE": (CatalogueScorer, {}),
    "ConvNCF": (PairScorer, SMALL_CNN),
    "NeuMF": (PairScorer, SMALL_NEUMF),
    "NNCF": (PairScorer, SMALL_NNCF),
}
"""General models that train on negatives: kind of scorer and settings for the tiny data set."""


@pytest.fixture
def faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    """NCL clusters with faiss; where it is missing, a stand-in with the part that NCL calls."""
    if find_spec("faiss"):
        return

    class Kmeans:
        def __init__(self, d: int, k: int, gpu: bool) -> None:
            self.k = k
            self.index = SimpleNamespace(search=self.search)

        def train(self, x: np.ndarray) -> None:
            self.centroids = x[1 : self.k + 1].copy()

        def search(self, x: np.ndarray, n: int) -> tuple[None, np.ndarray]:
            gaps = ((x[:, None] - self.centroids) ** 2).sum(2)
            return None, gaps.argsort(1)[:, :n]

    stand_in: Any = ModuleType("faiss")
    stand_in.Kmeans = Kmeans
    monkeypatch.setitem(sys.modules, "faiss", stand_in)


def setup(make: Any, name: str, **settings: Any) -> tuple[Any, Any, Any]:
    """Config, training loader and model."""
    config = make(name, **{**(WORKS[name][1] if name in WORKS else {}), **settings})
    train = prepare(config)[0]
    return config, train, build_model(config, train)


def stock_batch(train: Any, rows: int = 64) -> Interaction:
    """Positives with random negatives, as RecBole lays them out."""
    feat = train._dataset.inter_feat[:rows]
    draws = torch.Generator().manual_seed(3)
    fields = dict(feat.interaction)
    fields["neg_item_id"] = torch.randint(1, 61, (rows,), generator=draws)
    return Interaction(fields)


def loss_and_gradients(model: Any, batch: Interaction) -> tuple[torch.Tensor, list[torch.Tensor]]:
    model.train()
    model.zero_grad()
    loss = model.calculate_loss(batch)
    loss.sum().backward()
    return loss.detach(), [weight.grad.clone() for weight in model.parameters()]


# --- Loss and gradients ------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_lightgcn_has_the_loss_and_the_gradients_of_recboles(make, layers):
    config, train, stock = setup(make, "LightGCN", n_layers=layers, reg_weight=0.1)
    ours = upgrade(copy.deepcopy(stock), config)
    assert type(ours) is SharedLightGCN
    batch = stock_batch(train)
    for _ in range(3):
        expected, gradients = loss_and_gradients(stock, batch)
        ours.train()
        factors(ours)  # what a sampler does before the loss
        found, mine = loss_and_gradients(ours, batch)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
        for one, other in zip(mine, gradients, strict=True):
            assert other.abs().max() > 1e-4
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)
        for model, steps in ((stock, gradients), (ours, gradients)):
            with torch.no_grad():
                for weight, step in zip(model.parameters(), steps, strict=True):
                    weight -= step
    ours.eval()
    stock.eval()
    torch.testing.assert_close(ours.full_sort_predict(batch), stock.full_sort_predict(batch))
    torch.testing.assert_close(ours.predict(batch), stock.predict(batch))


def test_bpr_stays_recboles_until_reg_weight_is_set(make):
    config, train, stock = setup(make, "BPR", fused_step=False)
    ours = upgrade(copy.deepcopy(stock), config)
    assert type(ours) is BPR
    batch = stock_batch(train)
    expected, gradients = loss_and_gradients(stock, batch)
    found, mine = loss_and_gradients(ours, batch)
    assert torch.equal(found, expected)
    assert all(map(torch.equal, mine, gradients))


def test_reg_weight_adds_the_batch_l2_to_bpr(make):
    config, train, stock = setup(make, "BPR", reg_weight=0.3)
    ours = upgrade(copy.deepcopy(stock), config)
    batch = stock_batch(train, rows=5)
    total = 0.0
    for row in range(5):
        for name, field in (("user", "user_id"), ("item", "item_id"), ("item", "neg_item_id")):
            vector = getattr(stock, f"{name}_embedding").weight[int(batch[field][row])]
            total += sum(number**2 for number in vector.tolist())
    expected, gradients = loss_and_gradients(stock, batch)
    found, mine = loss_and_gradients(ours, batch)
    assert total > 0
    torch.testing.assert_close(found, expected + 0.3 * total / (2 * 5))
    weight = stock.user_embedding.weight
    often = torch.bincount(batch["user_id"], minlength=len(weight)).unsqueeze(1)
    torch.testing.assert_close(mine[0] - gradients[0], 0.3 * weight.detach() * often / 5)


def test_a_subclass_of_lightgcn_is_left_alone(make):
    class Mine(LightGCN):
        pass

    config = make(Mine, n_layers=1)
    train = prepare(config)[0]
    model = Mine(config, train._dataset)
    assert type(upgrade(model, config)) is Mine
    assert scorer_kind(Mine) is FactorScorer


# --- LightGCN propagates once ------------------------------------------------------------------


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry a sparse product of the forward pass."""
    seen: list[int] = []
    forward = SymmetricProduct.forward

    def count(*args: Any) -> torch.Tensor:
        seen.append(1)
        return forward(*args)

    monkeypatch.setattr(SymmetricProduct, "forward", staticmethod(count))
    return seen


@pytest.mark.parametrize(("sampler", "num"), [("dns", 1), ("bns", 2), ("srns", 1), ("rns", 1)])
def test_lightgcn_propagates_once_a_step(make, products, sampler, num, tmp_path):
    config, train, model = setup(
        make,
        "LightGCN",
        neg_sampler=sampler,
        neg_sample_num=num,
        n_layers=2,
        checkpoint_dir=str(tmp_path),
    )
    trainer = get_trainer(config["MODEL_TYPE"], "LightGCN")(config, model)
    trainer.fit(train, saved=False)
    trainer.tensorboard.close()
    assert type(model) is SharedLightGCN
    assert len(train) > 2
    assert len(products) == 2 * len(train) * config["epochs"]


def test_lightgcn_never_serves_stale_vectors(make, products):
    config, train, model = setup(make, "LightGCN", n_layers=1)
    upgrade(model, config)
    model.train()
    batch = stock_batch(train)
    first = model()
    assert all(one is other for one, other in zip(model(), first, strict=True))
    assert len(products) == 1
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

    def fresh() -> bool:
        model.eval()
        expected = [part.detach().clone() for part in model()]
        model.train()
        return all(map(torch.equal, model(), expected))

    model.calculate_loss(batch).backward()
    optimizer.step()
    assert fresh()
    assert not torch.equal(model()[0], first[0])

    model()
    state = {name: torch.full_like(value, 0.5) for name, value in model.state_dict().items()}
    for assign in (False, True, True):
        state = {name: value.clone() + 1 for name, value in state.items()}
        model.load_state_dict(state, assign=assign)
        assert fresh(), f"stale after load_state_dict(assign={assign})"
    with torch.no_grad():
        model.item_embedding.weight[3] += 1
    assert fresh()


def test_the_graph_of_a_step_is_not_kept(make):
    config, train, model = setup(make, "LightGCN")
    upgrade(model, config)
    loss_and_gradients(model, stock_batch(train))
    assert model._kept is None


# --- Scores ------------------------------------------------------------------------------------


def the_scorer(train: Any, model: Any, name: str = "ahns") -> Any:
    kind = WORKS[type(model).__name__][0]
    sampler = SimpleNamespace(requirements=lambda: scores_by(kind), name=name)
    factory = scorer_factory(model, sampler, train._sampler.columns)
    assert factory is not None
    return factory(None)


@pytest.mark.parametrize("name", WORKS)
def test_scores_are_those_of_predict(make, name, faiss):
    settings = {"message_dropout": 0.0} if name == "NGCF" else {}
    _, train, model = setup(make, name, neg_sampler="rns", **settings)
    assert scorer_kind(type(model)) is WORKS[name][0]
    scorer = the_scorer(train, model)
    assert type(scorer) is WORKS[name][0]
    users = torch.tensor([3, 5, 3, 9])
    items = torch.stack([torch.randperm(60)[:7] + 1 for _ in users])
    columns = torch.tensor([4, 8, 60])
    model.eval()
    with torch.no_grad():
        expected = torch.stack(
            [
                model.predict(
                    Interaction({"user_id": user.repeat(60), "item_id": torch.arange(1, 61)})
                )
                for user in users
            ]
        )
    found = scorer.catalogue(users)
    assert found.shape == (4, 61)
    close = {"rtol": 1e-4, "atol": 1e-5}
    scores = found[:, 1:]
    if name == "FISM":  # its predict has two sigmoids more than its full_sort_predict
        scores = scores.sigmoid().sigmoid()
    torch.testing.assert_close(scores, expected, **close)
    torch.testing.assert_close(scorer.pairs(users, items), found.gather(1, items), **close)
    torch.testing.assert_close(scorer.block(users, columns), found[:, columns], **close)
    assert expected.std() > 0


def test_catalogue_scores_are_computed_once_a_step(make, monkeypatch):
    _, train, model = setup(make, "DMF", neg_sampler="rns")
    asked: list[torch.Tensor] = []
    inner = model.full_sort_predict
    monkeypatch.setattr(
        model, "full_sort_predict", lambda rows: asked.append(rows["user_id"]) or inner(rows)
    )
    scorer = the_scorer(train, model)
    users = torch.tensor([7, 2, 7, 7])
    scorer.pairs(users, torch.tensor([[1], [2], [3], [4]]))
    scorer.catalogue(users)
    assert [ids.tolist() for ids in asked] == [[2, 7]]


def test_pairs_are_scored_in_chunks(make, monkeypatch):
    _, train, model = setup(make, "NeuMF", neg_sampler="rns")
    users, items = torch.tensor([1, 2, 3]), torch.arange(1, 31).view(3, 10)
    expected = the_scorer(train, model).pairs(users, items)
    monkeypatch.setattr("recbole_bns.adapters.scorers.PAIRS_AT_ONCE", 7)
    sizes: list[int] = []
    inner = model.predict
    monkeypatch.setattr(model, "predict", lambda rows: sizes.append(len(rows)) or inner(rows))
    torch.testing.assert_close(the_scorer(train, model).pairs(users, items), expected)
    assert sizes == [7, 7, 7, 7, 2]


@pytest.mark.parametrize("name", WORKS)
@pytest.mark.parametrize("training", [True, False])
def test_scoring_leaves_the_model_and_the_generators_alone(make, name, training, faiss):
    config, train, model = setup(make, name, neg_sampler="rns")
    upgrade(model, config)
    model.train(training)
    for module in list(model.modules())[1::2]:
        module.training = not training  # flags are restored one by one
    flags = [module.training for module in model.modules()]
    weights = copy.deepcopy(model.state_dict())
    before = generator_states()
    kind = WORKS[name][0]
    scorer = (
        scorer_factory(
            model, SimpleNamespace(requirements=lambda: scores_by(kind)), train._sampler.columns
        )
    )(None)
    users = torch.tensor([1, 2, 2])
    assert not scorer.catalogue(users).requires_grad
    assert not scorer.pairs(users, torch.tensor([[1], [2], [3]])).requires_grad
    assert generator_states() == before
    assert [module.training for module in model.modules()] == flags
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    kept = [key for key in getattr(model, "other_parameter_name", []) if "restore" in key]
    assert all(getattr(model, key) is None for key in kept), "the model keeps vectors of ours"
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("name", ["NGCF", "DGCF", "SGL", "NCL"])
def test_vectors_kept_from_an_evaluation_are_not_scored_with(make, name, faiss):
    _, train, model = setup(
        make, name, neg_sampler="rns", **({"message_dropout": 0.0} if name == "NGCF" else {})
    )
    users = torch.tensor([1, 2])
    model.eval()
    with torch.no_grad():
        model.full_sort_predict(Interaction({"user_id": users}))  # now it keeps its vectors
        assert model.restore_user_e is not None
        for weight in model.parameters():
            weight.mul_(3)
    found = the_scorer(train, model).catalogue(users)
    model.restore_user_e = model.restore_item_e = None
    with torch.no_grad():
        expected = model.full_sort_predict(Interaction({"user_id": users})).view(2, -1)
    torch.testing.assert_close(found, expected)


def test_scoring_does_not_rebuild_the_graphs_of_sgl(make, monkeypatch, tmp_path):
    built: list[int] = []
    inner = general.SGL.graph_construction
    monkeypatch.setattr(
        general.SGL, "graph_construction", lambda self: built.append(1) or inner(self)
    )
    config, train, model = setup(make, "SGL", neg_sampler="bns", checkpoint_dir=str(tmp_path))
    trainer = get_trainer(config["MODEL_TYPE"], "SGL")(config, model)
    built.clear()
    trainer.fit(train, saved=False)
    trainer.tensorboard.close()
    assert len(built) == config["epochs"], "once when an epoch begins, as without a sampler"


def test_an_own_dot_product_model_is_made_known_by_one_decorator(make):
    class Shifted(GeneralRecommender):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.table = torch.nn.Parameter(torch.randn(61, 3))

    with pytest.raises(UsageError, match="needs user and item vectors, which Shifted does not"):
        check_served(SimpleNamespace(name="aobpr", requirements=lambda: (Vectors(),)), Shifted)

    @factors.register(Shifted)
    def _(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return model.table + 1, model.table

    model = Shifted()
    sampler = SimpleNamespace(name="aobpr", requirements=lambda: (Vectors(),))
    scorer = scorer_factory(model, sampler, Columns("user_id", "item_id", 61))(None)
    torch.testing.assert_close(
        scorer.catalogue(torch.tensor([2])), (model.table[2:3] + 1) @ model.table.T
    )


# --- Every general model of RecBole ------------------------------------------------------------


def general_models() -> set[str]:
    """Names of RecBole's general models that have settings, hence can be run by name."""
    return {
        name
        for name, cls in vars(general).items()
        if inspect.isclass(cls)
        and issubclass(cls, GeneralRecommender)
        and cls.__module__.startswith("recbole.model.general_recommender")
    } & set(known_models())


ONE_OF_A_KIND = ("BPR", "SGL", "NeuMF")
TRAINED = [
    *((name, "dns") for name in WORKS),
    *(
        pytest.param(name, "bns", marks=() if name in ONE_OF_A_KIND else pytest.mark.slow)
        for name in WORKS
    ),
]
"""What bns asks beyond dns depends on the kind of scorer alone."""


@pytest.mark.parametrize(("name", "sampler"), TRAINED)
def test_it_trains_an_epoch(settings, monkeypatch, name, sampler, tmp_path, faiss):
    chosen: list[int] = []
    cls = get(sampler)
    propose = cls.propose
    monkeypatch.setattr(cls, "propose", lambda *args: chosen.append(1) or propose(*args))
    base = {k: v for k, v in settings.items() if k != "embedding_size" or name not in OTHERS}
    size = 256 if name == "DGCF" else 1000  # DGCF draws a batch of different users and items
    more = {"neg_sampler": sampler, "epochs": 1, "eval_step": 0, "train_batch_size": size}
    result = run_recbole_bns(
        name, "tiny", None, {**base, **WORKS[name][1], **more}, out=tmp_path / "run"
    )
    pairwise = get_model(name).input_type == InputType.PAIRWISE
    assert len(chosen) == -(-720 // (size if pairwise else size // 2)), "not once a batch"
    assert 0 < result["test_result"]["ndcg@20"] < 1
    state = torch.load(result["checkpoint"], weights_only=True)
    assert state["neg_sampler"] == sampler
    assert all(value.isfinite().all() for value in state["state_dict"].values())
    steps = [entry["step"] for entry in state["optimizer"]["state"].values()]
    assert max(map(float, steps)) == len(chosen)


@pytest.mark.parametrize("name", sorted(general_models() - set(WORKS)))
def test_the_others_are_refused_because_they_train_without_negatives(name, data_path):
    with pytest.raises(UsageError) as caught:
        BNSConfig(name, "tiny", None, {"data_path": str(data_path)})
    assert str(caught.value) == (
        f"neg_sampler: got 'bns', but {name} trains without negatives; allowed is 'none'."
    )
    config = BNSConfig(name, "tiny", None, {"data_path": str(data_path), "neg_sampler": "none"})
    assert config["neg_sampler"] == "none"


def test_ncl_without_faiss_says_what_to_install(settings, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UsageError, match=r"NCL of RecBole needs .*'faiss'.*pip install faiss-cpu"):
        run_recbole_bns("NCL", "tiny", None, settings, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("CKE", "draws negatives of its own from the knowledge graph"),
        ("GRU4Rec", r"has loss_type CE, which trains without negatives \(use --loss_type=BPR\)"),
    ],
)
def test_models_of_other_kinds_say_why_they_cannot(name, reason, data_path):
    with pytest.raises(UsageError, match=f"^neg_sampler: got 'bns', but {name} {reason}; allowed"):
        BNSConfig(name, "tiny", None, {"data_path": str(data_path)})


def test_a_sequential_model_trains_with_the_bpr_loss(settings, tmp_path):
    more = {
        "loss_type": "BPR",
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "uni20"},
        "MAX_ITEM_LIST_LENGTH": 4,
        "hidden_size": 8,
        "train_batch_size": 1000,
        "epochs": 1,
    }
    result = run_recbole_bns("GRU4Rec", "tiny", None, {**settings, **more}, out=tmp_path / "run")
    assert 0 < result["test_result"]["ndcg@20"] < 1


# --- The learning rate -------------------------------------------------------------------------


def test_lr_schedule_sets_the_rate_of_each_epoch(settings, tmp_path, monkeypatch):
    rates: list[float] = []
    inner = Trainer._train_epoch

    def record(self: Any, *args: Any, **kwargs: Any) -> Any:
        rates.append(self.optimizer.param_groups[0]["lr"])
        return inner(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "_train_epoch", record)
    more = {"epochs": 5, "learning_rate": 0.08, "lr_schedule": {"step_size": 2, "gamma": 0.5}}
    run_recbole_bns("BPR", "tiny", None, {**settings, **more}, out=tmp_path / "run")
    assert rates == [0.08, 0.08, 0.04, 0.04, 0.02]
    with (tmp_path / "run" / "epochs.csv").open(encoding="utf-8") as file:
        assert [float(line["learning_rate"]) for line in csv.DictReader(file)] == rates
