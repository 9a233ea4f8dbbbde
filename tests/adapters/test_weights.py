"""Weights of interactions: loaded, checked, weighed in loss and popularity, refused elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction
from tiny import Settings, build_model, prepare, write_tiny

from recbole_bns import UsageError
from recbole_bns.adapters.models import FusedBPR
from recbole_bns.adapters.weights import ROW_WEIGHT, even
from recbole_bns.datasets.check import check_files
from recbole_bns.losses import available as losses
from recbole_bns.sampling import Catalogue, build

Make = Callable[..., Any]


def write_weighed(folder: Path, weights: list[str], column: str = "weight:float") -> None:
    """The tiny data set with a column of weights, which lines take in turn."""
    write_tiny(folder)
    path = folder / "tiny" / "tiny.inter"
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    lines = [f"{line}\t{weights[i % len(weights)]}" for i, line in enumerate(lines)]
    path.write_text("\n".join([f"{header}\t{column}", *lines]) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def weighed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a data set whose interactions have the weights 1, 2 and 0.5 in turn."""
    folder = tmp_path_factory.mktemp("weighed")
    write_weighed(folder, ["1", "2", "0.5"])
    return folder


@pytest.fixture
def make_weighed(make: Make, weighed: Path) -> Make:
    """A ``Config`` of that data set."""
    return lambda *words, **given: make(*words, **{"data_path": str(weighed), **given})


LOADED: list[Settings] = [
    {},
    {"load_col": {"inter": ["user_id", "item_id"]}},
    {"normalize_all": True},
    {"load_col": {"inter": ["user_id", "item_id", "rating"]}, "unused_col": {"inter": ["rating"]}},
]


@pytest.mark.parametrize("more", LOADED)
def test_batches_have_weights_of_mean_one(make_weighed: Make, more: Settings) -> None:
    """Whatever ``load_col`` says, and unscaled by ``normalize_all``."""
    train = prepare(make_weighed("BPR", neg_sampler="rns", **more))[0]
    build_model(train.config, train)
    for batch in train:
        raw, row = batch["weight"].double(), batch[ROW_WEIGHT].double()
        assert set(raw.tolist()) == {0.5, 1, 2}
        assert torch.allclose(row, raw / raw.mean(), rtol=1e-6)
        assert float(row.mean()) == pytest.approx(1)


def test_the_other_way_to_a_batch_has_the_same_weights(make_weighed: Make) -> None:
    """RecBole's collate, as for transforms and workers."""
    given = {"neg_sampler": "rns", "shuffle": False}
    sliced = next(iter(prepare(make_weighed("BPR", **given))[0]))
    train = prepare(make_weighed("BPR", **given))[0]
    collated = next(iter(train._collated()))
    assert torch.equal(sliced[ROW_WEIGHT], collated[ROW_WEIGHT])


def test_a_share_of_a_batch_has_the_mean_of_the_whole() -> None:
    """Processes add their means up by the rows of each: that is the mean over all."""
    source = torch.Generator().manual_seed(0)
    weights, values = (torch.rand(7, generator=source).double() + 0.1 for _ in range(2))
    rows = even(weights, 7).double()
    parts = [(rows[a:b] * values[a:b]).mean() * (b - a) / 7 for a, b in ((0, 4), (4, 7))]
    assert float(sum(parts)) == pytest.approx(float((weights * values).sum() / weights.sum()))


@pytest.mark.parametrize("value", [1.0, 0.3, 7e-5, 1e7])
def test_equal_weights_are_one_to_the_bit(value: float) -> None:
    assert even(torch.full((5000,), value), 2048).tolist() == [1.0] * 5000


# --- the loss ----------------------------------------------------------------------------------


TIMES = 1 + torch.arange(40) % 3
"""How often each of 40 rows counts."""


def rows_of(batch: Interaction, weights: torch.Tensor | None, *, repeat: bool = False) -> Any:
    """The first 40 rows of a batch, with these weights or none, each as often as :data:`TIMES`."""
    rows = {name: batch[name][:40] for name in ("user_id", "item_id", "neg_item_id")}
    if repeat:
        rows = {name: value.repeat_interleave(TIMES, 0) for name, value in rows.items()}
    return Interaction(rows if weights is None else {**rows, ROW_WEIGHT: weights})


def gradients(model: Any, rows: Interaction) -> list[torch.Tensor]:
    """The loss, then the gradients of all weights."""
    model.zero_grad(set_to_none=True)
    loss = model.calculate_loss(rows)
    loss.backward()
    found = [each.grad for each in model.parameters()]
    return [loss.detach(), *(g.clone() for g in found if g is not None)]


WAYS: list[tuple[str, Settings]] = [
    ("BPR", {"fused_step": True}),
    ("BPR", {"fused_step": False}),
    ("LightGCN", {"reg_weight": 0.0}),
    *(("BPR", {"loss": name, "neg_sample_num": 3}) for name in losses()),
    ("NeuMF", {"loss": "bpr"}),
    ("LightGCN", {"loss": "ssm", "neg_shared": True, "reg_weight": 0.0}),
]


@pytest.mark.parametrize(("name", "more"), WAYS, ids=[f"{n}-{m}" for n, m in WAYS])
def test_a_weight_of_two_is_the_row_twice(make_weighed: Make, name: str, more: Settings) -> None:
    """In value and gradient, with every loss; a weight of one is the plain mean."""
    config = make_weighed(name, neg_sampler="rns", **more)
    train = prepare(config)[0]
    model = build_model(config, train)
    train.get_model(model)
    batch = next(iter(train))
    model.eval()  # NeuMF drops nothing
    weighed = gradients(model, rows_of(batch, TIMES / TIMES.float().mean()))
    repeated = gradients(model, rows_of(batch, None, repeat=True))
    assert len(weighed) == len(repeated) > 1
    for one, other in zip(weighed, repeated, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)
    ones = gradients(model, rows_of(batch, torch.ones(40)))
    plain = gradients(model, rows_of(batch, None))
    exact = not more.get("neg_shared")  # without weights the softmax has a pass of its own
    for one, other in zip(ones, plain, strict=True):
        assert torch.equal(one, other) if exact else torch.allclose(one, other, atol=1e-6)


def test_the_fused_step_carries_weights(make_weighed: Make) -> None:
    config = make_weighed("BPR", neg_sampler="rns", fused_step=True, reg_weight=0.1)
    train = prepare(config)[0]
    model = build_model(config, train)
    train.get_model(model)
    assert isinstance(model, FusedBPR)
    batch = next(iter(train))
    fused = gradients(model, batch)
    other = build_model(config, train)
    train.model = None
    train.config["fused_step"] = False
    train.get_model(other)
    assert not isinstance(other, FusedBPR)
    other.load_state_dict(model.state_dict())
    for one, two in zip(fused, gradients(other, batch), strict=True):
        assert torch.allclose(one, two, rtol=1e-4, atol=1e-7)


# --- equal weights, and none -------------------------------------------------------------------


@pytest.mark.parametrize("weights", [["1"], ["0.3"], ["1", "2"]])
@pytest.mark.parametrize("sampler", ["pns", "bns"])
def test_equal_weights_change_no_bit(
    make: Make, tmp_path: Path, weights: list[str], sampler: str
) -> None:
    """Nor do others with ``WEIGHT_FIELD: none``."""
    write_weighed(tmp_path, weights)
    more = {"WEIGHT_FIELD": "none"} if len(weights) > 1 else {}
    epochs = []
    for given in ({}, {"data_path": str(tmp_path), **more}):
        config = make("BPR", neg_sampler=sampler, **given)
        train = prepare(config)[0]
        model = build_model(config, train)
        train.get_model(model)
        batches = [[batch[n] for n in ("user_id", "item_id", "neg_item_id")] for batch in train]
        losses_ = [gradients(model, batch) for batch in train]
        epochs.append([*(x for each in batches for x in each), *(x for e in losses_ for x in e)])
    assert all(map(torch.equal, *epochs))


# --- popularity --------------------------------------------------------------------------------


def test_popularity_counts_weights() -> None:
    """Item 1 twice with 1 and 3, item 2 once with 2: shares 2/3 and 1/3; counts stay counts."""
    users, items = torch.tensor([1, 2, 3, 1]), torch.tensor([1, 1, 2, 0])
    weights = torch.tensor([1.0, 3.0, 2.0, 9.0])
    catalogue = Catalogue(users, items, 5, 4, weights=weights)
    assert catalogue.item_counts.tolist() == [0, 2, 1, 0]
    assert catalogue.item_weights.tolist() == pytest.approx([0, 2, 1, 0])
    sampler = build("pns", catalogue, {"exponent": 1})
    law = sampler.log_prob(torch.tensor([4]), torch.tensor([[1, 2]]))
    assert law is not None
    assert law.exp().tolist()[0] == pytest.approx([2 / 3, 1 / 3])
    prior = build("bns", catalogue, {"candidate_num": 2}).prior(
        torch.tensor([4]), torch.tensor([[1, 2, 3]])
    )
    assert prior[0].tolist() == pytest.approx([2 / 3, 1 / 3, 0])


def test_the_catalogue_of_a_data_set_has_its_weights(make_weighed: Make) -> None:
    for model, more in (("BPR", {}), ("GRU4Rec", {"loss": "bpr", **TIMED})):
        train = prepare(make_weighed(model, neg_sampler="pns", **more))[0]
        catalogue, feat = train._sampler.core.catalogue, train._dataset.inter_feat
        assert not torch.equal(catalogue.item_weights, catalogue.item_counts.double())
        wanted = np.bincount(feat["item_id"], feat["weight"], train._dataset.item_num)
        if model == "GRU4Rec":
            past = feat["item_id_list"].reshape(-1)
            wanted += np.bincount(past, feat["weight_list"].reshape(-1), len(wanted))
        wanted[0] = 0
        found = catalogue.item_weights.numpy()
        assert np.allclose(found / found.sum(), wanted / wanted.sum())


# --- refusals ----------------------------------------------------------------------------------


TIMED: Settings = {"load_col": {"inter": ["user_id", "item_id", "timestamp"]}}
REFUSED: list[tuple[str, Settings, str]] = [
    ("BPR", {"neg_sampler": "none"}, "with neg_sampler 'none' RecBole samples and takes the plain"),
    ("NeuMF", {"neg_sampler": "rns"}, "the loss of NeuMF is RecBole's own, which takes the plain"),
    (
        "GRU4Rec",
        {"neg_sampler": "rns", "loss_type": "BPR", **TIMED},
        "the loss of GRU4Rec is RecBole's own",
    ),
    ("FM", {"neg_sampler": "rns"}, "FM takes every column of them for a feature"),
]


@pytest.mark.parametrize(("model", "more", "reason"), REFUSED)
def test_who_cannot_weigh_is_refused(
    make_weighed: Make, model: str, more: Settings, reason: str
) -> None:
    with pytest.raises(UsageError, match=f"column 'weight'.*{reason}.*or WEIGHT_FIELD: none"):
        prepare(make_weighed(model, **more))
    prepare(make_weighed(model, **more, WEIGHT_FIELD="none"))


@pytest.mark.parametrize("bad", ["0", "-1"])
def test_weights_that_are_none_are_refused_with_their_line(
    make: Make, tmp_path: Path, bad: str
) -> None:
    write_weighed(tmp_path, ["1", "2", bad])
    with pytest.raises(UsageError, match=rf"tiny\.inter, line 4: got {bad} in column 'weight'"):
        check_files(make(data_path=str(tmp_path)))
    check_files(make(data_path=str(tmp_path), WEIGHT_FIELD="none"))


@pytest.mark.parametrize("bad", ["nan", "inf", "much"])
def test_words_that_are_no_number_are_refused(make: Make, tmp_path: Path, bad: str) -> None:
    write_weighed(tmp_path, ["1", bad])
    with pytest.raises(UsageError, match="line 3"):
        check_files(make(data_path=str(tmp_path)))


def test_a_column_that_is_none_is_refused(make: Make, tmp_path: Path) -> None:
    write_weighed(tmp_path, ["1", "2"], "weight:token")
    with pytest.raises(UsageError, match=r"line 1: got 'weight:token' for WEIGHT_FIELD, allowed"):
        check_files(make(data_path=str(tmp_path)))
    with pytest.raises(
        UsageError, match=r"WEIGHT_FIELD: got 'wait', which is no column .*; did you mean 'weight'"
    ):
        check_files(make(WEIGHT_FIELD="wait", data_path=str(tmp_path)))
    rating = make(WEIGHT_FIELD="rating", data_path=str(tmp_path), neg_sampler="rns")
    batch = next(iter(prepare(rating)[0]))
    assert torch.allclose(batch[ROW_WEIGHT], batch["rating"] / batch["rating"].mean())
