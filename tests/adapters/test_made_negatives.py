"""A model under a mixer: what it computes of a batch, against loops; its layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from recbole.model.general_recommender import BPR, LightGCN
from tiny import build_model, prepare
from torch import Tensor

import recbole_bns
from recbole_bns.adapters.lightgcn import SharedLightGCN
from recbole_bns.adapters.vectors import factors, has_layers, layer_width, layers
from recbole_bns.mixers import Made, Mixer, pooled
from recbole_bns.mixers.ways.mixgcf import MixGCFParams

Make = Callable[..., Any]
pytestmark = pytest.mark.filterwarnings("ignore:torch.sparse.SparseTensor:UserWarning")


def bound(make: Make, model: Any = "BPR", **settings: Any) -> tuple[Any, Any]:
    """Training loader, and the model that it was handed, with vectors that differ."""
    config = make(model, **settings)
    train = prepare(config)[0]
    made = build_model(config, train)
    train.get_model(made)
    source = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape, generator=source) * 0.3)
    return train, made.train()


# --- The loss ------------------------------------------------------------------------------------


def layers_of(model: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Of LightGCN by RecBole's own matrix, of MF its tables."""
    users, items = model.user_embedding.weight, model.item_embedding.weight
    if not isinstance(model, LightGCN):
        return [users], [items]
    whole = [torch.cat((users, items))]
    for _ in range(model.n_layers):
        whole.append(torch.sparse.mm(model.norm_adj_matrix, whole[-1]))
    parts = [each.split([model.n_users, model.n_items]) for each in whole]
    return [part[0] for part in parts], [part[1] for part in parts]


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
def test_loss_and_l2_are_those_of_a_loop(make: Make, model: str, similarity: str) -> None:
    given = {"mixer": "mixgcf", "mixer_args.share_max": 0, "mixer_args.candidate_num": 5}
    given |= {"neg_sample_num": 2, "reg_weight": 0.1, "loss_similarity": similarity}
    train, made = bound(make, model, train_batch_size=40, **given)
    rows = next(iter(train))
    users, items, ids = (rows[name].tolist() for name in ("user_id", "item_id", "neg_item_id"))
    assert len(ids[0]) == 10
    found = made.calculate_loss(rows)
    gradient = torch.autograd.grad(found, made.item_embedding.weight)[0]
    u, v = layers_of(made)
    everywhere = range(len(u))

    def score(user: Tensor, vectors: list[Tensor]) -> Tensor:
        item = torch.stack(vectors).mean(0)
        value = user @ item
        return value / (user.norm() * item.norm()) if similarity == "cosine" else value

    total = torch.zeros(())
    for user, item, row in zip(users, items, ids, strict=True):
        mine = torch.stack([each[user] for each in u]).mean(0)
        pos = score(mine, [each[item] for each in v])
        l2 = u[0][user].square().sum() + v[0][item].square().sum()
        terms = []
        for k in (0, 1):
            block, chosen = row[5 * k : 5 * k + 5], []
            for layer in everywhere:
                by = [
                    float(mine @ v[layer][each])
                    / (float(v[layer][each].norm()) if similarity == "cosine" else 1)
                    for each in block
                ]
                chosen.append(block[by.index(max(by))])
            vectors = [v[layer][each] for layer, each in enumerate(chosen)]
            terms.append((score(mine, vectors) - pos).exp())
            l2 = l2 + vectors[0].square().sum() / 2
        total = total + (1 + sum(terms)).log() + 0.1 / 2 * l2
    expected = total / len(users)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    theirs = torch.autograd.grad(expected, made.item_embedding.weight)[0]
    torch.testing.assert_close(gradient, theirs, rtol=1e-3, atol=1e-6)


def test_what_a_mixer_adds_is_added_to_the_mean(make: Make) -> None:
    class Adding(Mixer):
        name, idea, paper = "adding", "the first, and the row's number more", "nobody's"
        Params = MixGCFParams

        def forward(self, batch: Any) -> Made:
            ids = batch.ids[..., :1].expand(-1, -1, batch.layer_num)
            vectors = tuple(batch.vectors(k, ids[..., k]) for k in range(batch.layer_num))
            return Made(vectors, ids, torch.arange(len(ids), dtype=torch.float))

    train, made = bound(make, mixer="mixgcf", train_batch_size=40)
    rows = next(iter(train))
    made.mixer_of_negatives = Adding(8)
    found = made.calculate_loss(rows)
    u, v = made.user_embedding.weight, made.item_embedding.weight
    gaps = v[rows["item_id"]] - v[rows["neg_item_id"][:, 0]]
    plain = torch.nn.functional.softplus(-(u[rows["user_id"]] * gaps).sum(1)).mean()
    torch.testing.assert_close(found, plain + 39 / 2)


def test_mixed_precision_trains(make: Make) -> None:
    for mixer in ("dens", "dcans"):
        train, made = bound(make, "LightGCN", mixer=mixer)
        rows = next(iter(train))
        whole = float(made.calculate_loss(rows))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = made.calculate_loss(rows)
        assert float(half) == pytest.approx(whole, rel=0.05)
        half.backward()
        assert bool(made.item_embedding.weight.grad.isfinite().all())


# --- Layers --------------------------------------------------------------------------------------


def test_lightgcn_hands_over_its_layers_while_it_sums_them(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, made = bound(make, "LightGCN", neg_sampler="dns", mixer="mixgcf", n_layers=3)
    counted = []
    known = SharedLightGCN._propagate

    def counting(self: Any) -> Any:
        counted.append(known(self))
        return counted[-1]

    monkeypatch.setattr(SharedLightGCN, "_propagate", counting)
    for _, rows in zip(range(3), train, strict=False):
        made.calculate_loss(rows).backward()
        assert made._kept is None, "nothing is kept once the loss has used it"
        with torch.no_grad():
            for weight in made.parameters():
                weight -= 0.1 * weight.grad
    assert len(counted) == 3 + 1, "one propagation a step for sampler and mixer; one to begin with"
    assert [len(each.layers) for each in counted] == [0, 4, 4, 4]
    for mine, theirs in zip(layers(made).items, layers_of(made)[1], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_layers_are_kept_only_where_a_mixer_asks(make: Make) -> None:
    for given in ({"neg_sampler": "dns"}, {"neg_sampler": "dns", "loss": "ssm"}):
        _, made = bound(make, "LightGCN", **given)
        made()
        assert made._kept[1].layers == ()


@pytest.mark.parametrize(("model", "pooling"), [("LightGCN", "mean"), ("SpectralCF", "concat")])
def test_layers_are_pooled_to_what_the_model_compares(make: Make, model: str, pooling: str) -> None:
    _, made = bound(make, model, mixer="dins")
    found, whole = layers(made), factors(made)
    assert found is not None
    assert whole is not None
    assert found.pooling == pooling
    for part, expected in zip((found.users, found.items), whole, strict=True):
        torch.testing.assert_close(pooled(part, pooling), expected, rtol=1e-5, atol=1e-6)
    assert layer_width(made) == 8
    torch.testing.assert_close(found.items[0], made.item_embedding.weight)


def test_a_model_of_ones_own_is_mixed_once_it_is_registered(make: Make) -> None:
    class Twofold(BPR):
        """Scores by tables and their doubles, side by side."""

        def forward(self, user: Any, item: Any) -> Any:
            u, v = super().forward(user, item)
            return torch.cat((u, 2 * u), 1), torch.cat((v, v), 1)

    @recbole_bns.factors.register(Twofold)
    def _(model: Any) -> tuple[Tensor, Tensor]:
        u, v = model.user_embedding.weight, model.item_embedding.weight
        return torch.cat((u, 2 * u), 1), torch.cat((v, v), 1)

    @recbole_bns.layers.register(Twofold)
    def _(model: Any) -> recbole_bns.Layers:
        u, v = model.user_embedding.weight, model.item_embedding.weight
        return recbole_bns.Layers((u, 2 * u), (v, v), "concat")

    assert has_layers(Twofold)
    config = make(Twofold, mixer="mixgcf", epochs=1)
    train = prepare(config)[0]
    made = Twofold(config, train._dataset)
    train.get_model(made)
    rows = next(iter(train))
    mixed = made.calculate_loss(rows)
    mixed.backward()
    assert math.isfinite(float(mixed))
    assert bool(made.item_embedding.weight.grad.any())
