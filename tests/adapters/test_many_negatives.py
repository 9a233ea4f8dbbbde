"""A model under a loss over many negatives: what it computes of a batch, against loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from recbole.data.interaction import Interaction
from recbole.model.general_recommender import BPR, LightGCN
from recbole.model.loss import BPRLoss
from recbole.utils import get_model
from tiny import WITH_FEATURES, Settings, build_model, prepare
from torch import Tensor

from recbole_bns import BNSConfig, get_trainer, pair_scores, query_vectors
from recbole_bns.adapters import many_negatives
from recbole_bns.adapters.lightgcn import SymmetricProduct
from recbole_bns.adapters.many_negatives import Drawn, ManyNegatives
from recbole_bns.adapters.models import scoring_mode
from recbole_bns.adapters.reads import known_keys
from recbole_bns.adapters.scorers import PairScorer, QueryScorer, best_scorer, scorer_kind
from recbole_bns.adapters.vectors import PAIRS, SEQUENTIAL, factors
from recbole_bns.losses import PosteriorWeight
from recbole_bns.sampling import FactorScorer

pytestmark = pytest.mark.filterwarnings(
    "ignore:torch.sparse.SparseTensor:UserWarning",
    "ignore:enable_nested_tensor is True:UserWarning",
)

Make = Callable[..., Any]


def bound(make: Make, model: Any = "BPR", **settings: Any) -> tuple[Any, Any, Any]:
    """Config, training loader, and the model that it was handed, with vectors that differ."""
    config = make(model, **settings)
    train = prepare(config)[0]
    made = build_model(config, train)
    train.get_model(made)
    source = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape, generator=source) * 0.3)
    return config, train, made.train()


def loss_and_gradients(model: Any, loss: Tensor) -> tuple[Tensor, list[Tensor]]:
    model.zero_grad()
    loss.backward()
    return loss.detach(), [weight.grad.clone() for weight in model.parameters()]


def assert_alike(one: tuple[Tensor, list[Tensor]], other: tuple[Tensor, list[Tensor]]) -> None:
    torch.testing.assert_close(one[0], other[0], rtol=1e-5, atol=1e-6)
    for found, expected in zip(one[1], other[1], strict=True):
        assert expected.abs().max() > 1e-4
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


# --- A shared list -----------------------------------------------------------------------------


class Written(Drawn):
    """A list that is written out for each row, with the terms that its batch leaves out."""

    def __init__(self, drawn: Drawn) -> None:
        super().__init__(drawn.core, shared=False, weigher=drawn.weigher)
        self.list = drawn
        self.scorer_of, self.item_features = drawn.scorer_of, drawn.item_features

    def masked(self, users: Tensor, items: Tensor, ids: Tensor, mask: bool) -> Tensor | None:
        return self.list.masked(users, items, ids[0], mask)

    def log_probs(self, users: Tensor, items: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        one, other = self.list.log_probs(users, items, ids[0])
        return one.expand(len(users), -1), other


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
@pytest.mark.parametrize(
    "own",
    [
        {"loss": "ssm"},
        {"loss": "ssm", "loss_similarity": "dot", "loss_mask": False, "reg_weight": 0.1},
        {"loss": "sl", "loss_log_q": "both", "neg_sampler": "pns", "reg_weight": 0.1},
        {"loss": "bsl", "loss_log_q": "negatives", "neg_sampler": "mixed"},
        {"loss": "ssm", "neg_sampler": "inbatch"},
        {"loss": "ssm", "neg_sampler": "inbatch", "loss_mask": False, "loss_log_q": "both"},
        {"loss": "ssm", "loss_log_q": "corrected"},
        {"loss": "ssm", "loss_args.reduction": "sum", "neg_sampler": "all"},
        {"loss": "bce", "reg_weight": 0.1},
    ],
    ids=lambda own: "-".join(map(str, own.values())),
)
def test_a_list_is_the_same_list_written_out_for_each_row(
    make: Make, monkeypatch: pytest.MonkeyPatch, own: Settings, model: str, fused: bool
) -> None:
    if not fused:
        monkeypatch.setattr(many_negatives.engine, "available", lambda *_: False)
    given = {"neg_sampler": "rns", "neg_shared": True, "neg_sample_num": 25, **own}
    if given["neg_sampler"] in {"inbatch", "all"}:
        given["neg_shared"] = False
    _, train, made = bound(make, model, train_batch_size=80, **given)
    rows = next(iter(train))
    ids = rows["neg_item_id"]
    assert ids.stride(0) == 0, "a view: the list is there once"
    if given["neg_sampler"] == "inbatch":
        assert len(ids[0].unique()) < len(ids[0]), "items repeat"
    drawn = made.drawn
    mask = drawn.masked(rows["user_id"], rows["item_id"], ids[0], given.get("loss_mask", True))
    assert 0.005 < float(mask.float().mean()) < 0.9
    found = loss_and_gradients(made, made.calculate_loss(rows))

    monkeypatch.setattr(many_negatives.engine, "available", lambda *_: False)
    made.__dict__["drawn"] = Written(drawn)
    rows.update(Interaction({"neg_item_id": ids.clone()}))
    loss = made.calculate_loss(rows)
    if reg_weight := given.get("reg_weight"):  # written out a list counts B / K times, not once
        often, listed = len(ids) / ids.shape[1], made.item_embedding(ids[0]).square().sum()
        loss = loss + reg_weight / (2 * len(ids)) * (1 - often) * listed
    assert_alike(found, loss_and_gradients(made, loss))


def test_a_row_whose_every_term_is_left_out_has_loss_0(make: Make) -> None:
    _, train, model = bound(make, loss="ssm", neg_sampler="rns", neg_shared=True, neg_sample_num=4)
    rows = next(iter(train))[:3]
    users = rows["user_id"]
    catalogue = model.drawn.core.catalogue
    start, end = catalogue.indptr[users[0]], catalogue.indptr[users[0] + 1]
    own = catalogue.positives[start:end].long()[:4]
    rows = rows[:1]
    rows.update(Interaction({"neg_item_id": own.expand(1, -1)}))
    loss, gradients = loss_and_gradients(model, model.calculate_loss(rows))
    assert float(loss) == 0
    assert not any(bool(gradient.any()) for gradient in gradients)


# --- The L2 term -------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
def test_the_l2_term_is_the_formula(make: Make, model: str, shared: bool) -> None:
    given = {"loss": "ssm", "neg_sampler": "rns", "neg_shared": shared, "neg_sample_num": 6}
    _, train, made = bound(make, model, **given, reg_weight=0.3)
    rows = next(iter(train))[:7]
    ids = rows["neg_item_id"]
    users, items = made.user_embedding.weight.tolist(), made.item_embedding.weight.tolist()

    def square(vector: list[float]) -> float:
        return sum(number**2 for number in vector)

    total = sum(square(users[user]) for user in rows["user_id"].tolist())
    total += sum(square(items[item]) for item in rows["item_id"].tolist())
    if shared:
        total += sum(square(items[item]) for item in ids[0].tolist())
    else:
        total += sum(square(items[item]) / 6 for row in ids.tolist() for item in row)
    with torch.no_grad():
        regularised = made.calculate_loss(rows)
        made.__dict__["choice"] = replace(made.choice, reg_weight=0.0)
        bare = made.calculate_loss(rows)
    assert float(regularised - bare) == pytest.approx(0.3 * total / (2 * 7), rel=1e-4)


# --- LightGCN propagates once ------------------------------------------------------------------


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry a sparse product of the forward pass."""
    seen: list[int] = []
    forward = SymmetricProduct.forward

    def count(*args: Any) -> Tensor:
        seen.append(1)
        return forward(*args)

    monkeypatch.setattr(SymmetricProduct, "forward", staticmethod(count))
    return seen


@pytest.mark.parametrize("sampler", ["rns", "dns"])
def test_lightgcn_propagates_in_float32_with_mixed_precision_too(make: Make, sampler: str) -> None:
    _, train, model = bound(make, "LightGCN", neg_sampler=sampler, loss="ssm", neg_sample_num=4)
    batch = next(iter(train))
    wide = loss_and_gradients(model, model.calculate_loss(batch))
    with torch.autocast("cpu"):  # bfloat16, which the CPU's product of compressed rows lacks
        loss = model.calculate_loss(batch)
    found = loss_and_gradients(model, loss)
    assert found[0] == pytest.approx(float(wide[0]), rel=0.02)
    for one, other in zip(found[1], wide[1], strict=True):
        assert float(one.flatten() @ other.flatten()) > 0.99 * float(one.norm() * other.norm())


@pytest.mark.parametrize(
    "own",
    [
        {"neg_sampler": "dns", "loss": "bpr"},
        {"neg_sampler": "bns", "loss": "ssm", "neg_sample_num": 4, "reg_weight": 0.1},
        {"neg_sampler": "rns", "loss": "slk", "neg_shared": True, "loss_args.refresh_every": 1},
        {
            "neg_sampler": "inbatch",
            "loss": "ssm",
            "loss_weight": "posterior",
            "loss_weight_args": {"likelihood": "cdf", "prior": "popularity"},
        },
    ],
    ids=lambda own: own["loss"],
)
def test_lightgcn_propagates_once_a_step(
    make: Make, products: list[int], own: Settings, tmp_path: Any
) -> None:
    config = make("LightGCN", n_layers=2, checkpoint_dir=str(tmp_path), **own)
    train = prepare(config)[0]
    model = build_model(config, train)
    trainer = get_trainer(config["MODEL_TYPE"], "LightGCN")(config, model)
    trainer.fit(train, saved=False)
    trainer.tensorboard.close()
    assert isinstance(model, ManyNegatives)
    assert len(products) == 2 * len(train) * config["epochs"]
    assert model._kept is None


# --- Similarity --------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [BPR, LightGCN])
@pytest.mark.parametrize(("trained", "scored"), [("cosine", "dot"), ("dot", "cosine")])
def test_training_and_evaluation_compare_as_each_is_told(
    make: Make, model: Any, trained: str, scored: str
) -> None:
    given = {"loss": "ssm", "neg_sampler": "dns", "neg_sample_num": 3}
    given |= {"loss_similarity": trained, "score_similarity": scored}
    _, train, made = bound(make, model.__name__, **given)
    users = torch.tensor([3, 7])

    def products(similarity: str) -> Tensor:
        with torch.no_grad():
            left, right = factors(made.eval())
        made.train()
        table = [
            [
                sum(a * b for a, b in zip(one, other, strict=True))
                / (math.hypot(*one) * math.hypot(*other) if similarity == "cosine" else 1)
                for other in right.tolist()
            ]
            for one in left[users].tolist()
        ]
        return torch.tensor(table)

    sampled = train._sampler._factory(None)
    assert type(sampled) is FactorScorer
    torch.testing.assert_close(sampled.catalogue(users), products(trained))
    made.eval()
    with torch.no_grad():
        ranked = made.full_sort_predict(Interaction({"user_id": users})).view(2, -1)
        pairs = Interaction({"user_id": users, "item_id": torch.tensor([5, 9])})
        torch.testing.assert_close(made.predict(pairs), ranked[[0, 1], [5, 9]])
    torch.testing.assert_close(ranked, products(scored))


@pytest.mark.parametrize("scored", ["cosine", "dot"])
@pytest.mark.parametrize("model", ["BPR", "LightGCN", "SpectralCF"])
def test_an_evaluation_sees_the_weights_of_its_moment(make: Make, model: str, scored: str) -> None:
    """RecBole's models keep vectors for an evaluation until their own loss is asked for."""
    _, train, made = bound(make, model, loss="bpr", neg_sampler="rns", score_similarity=scored)
    users, rows = Interaction({"user_id": torch.tensor([3])}), next(iter(train))
    found = []
    for _ in range(3):
        with torch.no_grad():
            found.append(made.eval().full_sort_predict(users))
        made.train().calculate_loss(rows).backward()
        with torch.no_grad():
            for weight in made.parameters():
                weight -= weight.grad
                weight.grad = None
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])


# --- Models that score by rows -----------------------------------------------------------------

SEQUENCES: Settings = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "genre"]},
    "MAX_ITEM_LIST_LENGTH": 5,
    "train_batch_size": 60,
    "neg_sampler": "rns",
}
SMALL: Settings = {
    "hidden_size": 8,
    "embedding_size": 8,
    "n_layers": 1,
    "num_layers": 1,
    "n_heads": 1,
    "inner_size": 8,
    "selected_features": ["genre"],
    "mf_embedding_size": 8,
    "mlp_embedding_size": 8,
}
FEATURES: Settings = {
    **WITH_FEATURES,
    "train_batch_size": 60,
    "neg_sampler": "rns",
}


@pytest.fixture
def by_rows(settings: Settings) -> Callable[..., Any]:
    """The training loader and a small model of a class."""

    def made(model: str, given: Settings, **more: Any) -> tuple[Any, Any]:
        base = {key: value for key, value in settings.items() if key != "embedding_size"}
        small = {key: value for key, value in SMALL.items() if key in known_keys(get_model(model))}
        config = BNSConfig(model, "tiny", None, {**base, **given, **small, **more})
        train = prepare(config)[0]
        built = build_model(config, train)
        train.get_model(built)
        return train, built

    return made


@pytest.mark.parametrize("model", SEQUENTIAL)
def test_products_of_queries_are_the_models_own_scores_and_loss(
    by_rows: Callable[..., Any], model: str
) -> None:
    """Its scores of all items, and with pairs of them the loss that it trains itself."""
    loss_type = {} if model == "FPMC" else {"loss_type": "BPR"}
    train, own = by_rows(model, SEQUENCES, **loss_type)
    rows = next(iter(train))
    own.eval()
    found = query_vectors(own, rows)
    assert found is not None
    queries, items = found
    with torch.no_grad():
        expected = own.full_sort_predict(rows).view(len(queries), -1)
    torch.testing.assert_close((queries @ items.T)[:, 1:], expected[:, 1:], rtol=1e-5, atol=1e-6)

    with scoring_mode(own):  # without dropout, and with the random numbers of before
        expected = own.calculate_loss(rows)
        queries, items = query_vectors(own, rows) or (None, None)
    pos, neg = ((queries * items[rows[name]]).sum(1) for name in ("item_id", "neg_item_id"))
    torch.testing.assert_close(BPRLoss()(pos, neg), expected)


@pytest.mark.parametrize("model", SEQUENTIAL)
def test_what_a_loss_sees_of_a_sequence_is_what_samplers_see(
    by_rows: Callable[..., Any], model: str
) -> None:
    train, made = by_rows(model, SEQUENCES, loss="gbce", neg_sample_num=3)
    assert scorer_kind(type(made)) is QueryScorer
    rows = next(iter(train))
    scorer = best_scorer(made, train._sampler.columns)(rows)
    made.eval()
    with torch.no_grad():
        expected = made.full_sort_predict(rows).view(len(rows["user_id"]), -1)
    ids = rows["neg_item_id"]
    assert ids.shape == (60, 3)
    torch.testing.assert_close(scorer.pairs(rows["user_id"], ids), expected.gather(1, ids))
    made.train()
    made.calculate_loss(rows).backward()
    idle = [name for name, weight in made.named_parameters() if weight.grad is None]
    assert len(idle) <= (model == "NPE")


@pytest.mark.parametrize("model", PAIRS)
def test_pair_scores_are_what_the_models_own_loss_is_made_of(
    by_rows: Callable[..., Any], model: str
) -> None:
    given = FEATURES if model != "NeuMF" else {"neg_sampler": "rns"}
    train, own = by_rows(model, given)
    rows = next(iter(train))
    with scoring_mode(own):
        scores = pair_scores(own, rows)
        assert scores is not None
        assert scores.shape == (len(rows),)
        torch.testing.assert_close(own.loss(scores, rows[own.LABEL]), own.calculate_loss(rows))


@pytest.mark.parametrize("model", ["FM", "DeepFM", "NeuMF"])
def test_bce_of_one_negative_is_a_pointwise_models_own_loss(
    by_rows: Callable[..., Any], model: str
) -> None:
    """With the features of the negatives joined as RecBole joins them."""
    given = FEATURES if model != "NeuMF" else {"neg_sampler": "rns", "train_batch_size": 60}
    train, made = by_rows(model, given, loss="bce", neg_sample_num=1)
    assert scorer_kind(type(made)) is PairScorer
    rows = next(iter(train))
    count = len(rows)
    assert count == 60
    labelled = dict(rows.repeat(2).interaction)
    labelled["item_id"] = torch.cat((rows["item_id"], rows["neg_item_id"][:, 0]))
    features = train._sampler.columns.item_features
    for name, value in features.interaction.items() if features is not None else ():
        if name != "item_id":
            labelled[name] = value[labelled["item_id"]]
    labelled[made.LABEL] = torch.cat((torch.ones(count), torch.zeros(count)))
    with scoring_mode(made):
        found = made.calculate_loss(rows)
        expected = super(ManyNegatives, made).calculate_loss(Interaction(labelled))
    torch.testing.assert_close(found, expected)


# --- Weights of the posterior ------------------------------------------------------------------


def in_loop(weigher: PosteriorWeight, scores: Tensor | None, users: Any, ids: Any) -> Tensor:
    """``unbias ** gamma`` term by term, F counted over the user's negatives."""
    catalogue = weigher.bns.catalogue
    rows = []
    for row, (user, items) in enumerate(zip(users.tolist(), ids.tolist(), strict=True)):
        start, end = catalogue.indptr[user], catalogue.indptr[user + 1]
        positives = set(catalogue.positives[start:end].tolist())
        negatives = [i for i in range(1, catalogue.item_num) if i not in positives]
        weights = []
        for item in items:
            prior = float(weigher.bns.prior_of(torch.tensor([user]), torch.tensor([[item]])))
            likelihood = 0.5
            if scores is not None:
                below = sum(float(scores[row, i]) <= float(scores[row, item]) for i in negatives)
                likelihood = below / (len(negatives) + 1)
            true = (1 - likelihood) * (1 - prior)
            weights.append((true / (true + likelihood * prior)) ** weigher.params.gamma)
        rows.append(weights)
    return torch.tensor(rows)


@pytest.mark.parametrize("likelihood", ["flat", "cdf"])
@pytest.mark.parametrize("prior", ["ease", "popularity", "occupation"])
@pytest.mark.parametrize("shared", [True, False])
def test_weights_are_the_posterior_of_bns(
    make: Make, prior: str, likelihood: str, shared: bool
) -> None:
    given = {"loss": "ssm", "neg_sampler": "rns", "neg_sample_num": 5, "neg_shared": shared}
    args = {"prior": prior, "likelihood": likelihood, "gamma": 1.5, "prior_scale": 0.7}
    given |= {"loss_weight": "posterior", "loss_weight_args": args}
    _, train, model = bound(make, **given)
    rows = next(iter(train))[:6]
    seen: list[Tensor] = []
    forward = model.over_negatives.forward
    model.over_negatives.forward = lambda batch: seen.append(batch.term_weight) or forward(batch)
    assert bool(model.calculate_loss(rows).isfinite())
    users, ids = rows["user_id"], rows["neg_item_id"]
    scores = model.drawn.scorer_of(None).catalogue(users) if likelihood == "cdf" else None
    assert seen[0].min() < 0.99
    expected = in_loop(model.drawn.weigher, scores, users, ids)
    torch.testing.assert_close(seen[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["ssm", "bce", "psl", "dns_sum"])
@pytest.mark.parametrize(
    "args", [{"gamma": 0.0}, {"gamma": {"start": 0.0, "step": 1, "stop": 5}}, None]
)
def test_weights_of_1_are_no_weights(
    make: Make, monkeypatch: pytest.MonkeyPatch, loss: str, args: Any
) -> None:
    """gamma 0, a schedule that begins there, and an item that is nobody's."""
    weighed = {"loss_weight": "posterior", "loss_weight_args": args or {}}
    if args is None:
        nothing = lambda self, users, candidates: torch.zeros(candidates.shape)  # noqa: E731
        monkeypatch.setattr("recbole_bns.sampling.methods.bns.BNS.prior_of", nothing)
    losses = []
    for more in ({}, weighed):
        _, train, model = bound(make, loss=loss, neg_sampler="rns", neg_sample_num=8, **more)
        losses.append(loss_and_gradients(model, model.calculate_loss(next(iter(train)))))
    assert torch.equal(losses[0][0], losses[1][0])
    assert_alike(*losses)


def test_a_schedule_of_weights_goes_on_by_epochs(make: Make) -> None:
    args = {"gamma": {"start": 0.0, "step": 1, "stop": 5}}
    given = {"loss_weight": "posterior", "loss_weight_args": args, "epochs": 4}
    _, train, model = bound(make, loss="ssm", neg_sampler="rns", neg_sample_num=4, **given)
    users, ids = torch.tensor([3]), torch.tensor([[5, 6]])
    found = []
    for epoch in range(3):
        train.begin_epoch(epoch)
        iter(train)
        found.append(model.drawn.weigher(users, ids, None))
    assert torch.equal(found[0], torch.ones(1, 2))
    torch.testing.assert_close(found[2], found[1] ** 2)
    assert found[1].max() < 1


def test_a_batch_that_nobody_has_prepared_is_refused(make: Make) -> None:
    from recbole_bns import UsageError
    from recbole_bns.adapters.models import upgrade

    config = make("BPR", loss="ssm", neg_sampler="rns")
    model = upgrade(build_model(config, prepare(config)[0]), config)
    with pytest.raises(UsageError, match=r"^loss: got 'ssm', whose batches only this package's"):
        model.calculate_loss(Interaction({"user_id": torch.tensor([1])}))
