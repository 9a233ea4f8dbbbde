"""Every mixer against a slow loop over its formula; identities; how history is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from recbole_bns.common.errors import UsageError
from recbole_bns.mixers import Made, MixBatch, Mixer, available, build, get
from recbole_bns.mixers.batch import places
from recbole_bns.sampling import Catalogue, FactorScorer
from recbole_bns.testing.samplers import small_catalogue

B, K, M, D, ITEMS = 6, 2, 5, 4, 41
Vector = list[float]


def batch(layer_num: int = 3, pooling: str = "mean", seed: int = 0, **more: Any) -> MixBatch:
    """Random vectors in float64, different candidates for each negative."""
    source = torch.Generator().manual_seed(seed)

    def several(rows: int) -> list[Tensor]:
        size = (layer_num, rows, D)
        return [*torch.randn(size, generator=source, dtype=torch.float64).unbind()]

    ids = [torch.randperm(ITEMS - 1, generator=source)[: K * M] + 1 for _ in range(B)]
    given: dict[str, Any] = {
        "users": several(B),
        "positives": several(B),
        "tables": several(ITEMS),
        "ids": torch.stack(ids).view(B, K, M),
        "pooling": pooling,
        "user_ids": torch.arange(1, B + 1),
        "catalogue": small_catalogue("cpu"),
    }
    return MixBatch(**(given | more))


def ready(name: str, epoch: int = 3, **args: Any) -> Any:
    mixer = build(name, D, args).double()
    mixer.begin_epoch(epoch, seed=11)
    return mixer


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def scaled(factor: float, a: Vector) -> Vector:
    return [factor * x for x in a]


def plus(*several: Vector) -> Vector:
    return [sum(each) for each in zip(*several, strict=True)]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def user_of(given: MixBatch, layer: int, row: int) -> Vector:
    """What a layer is compared with: the mean of all layers, or the layer's own."""
    own = [each[row].tolist() for each in given.users]
    return own[layer] if given.pooling == "concat" else scaled(1 / len(own), plus(*own))


Way = Callable[[MixBatch, Mixer, int, int, int], tuple[Vector, int]]
"""The made vector of a layer, row and negative, and the id that it was made of."""


class Shares:
    """What MixGCF has drawn, in its order: by layer, then row, then negative."""

    def __init__(self) -> None:
        drawn = ready("mixgcf")
        like = torch.zeros(1, dtype=torch.float64)
        self.of = [drawn.uniform(B, K, like=like) for _ in range(3)]


def mixgcf(given: MixBatch, mixer: Any, layer: int, row: int, k: int) -> tuple[Vector, int]:
    a = float(Shares().of[layer][row, k]) * mixer.params.share_max
    q, p = user_of(given, layer, row), given.positives[layer][row].tolist()
    best: tuple[float, Vector, int] = (-math.inf, [], 0)
    for item in given.ids[row, k].tolist():
        made = plus(scaled(a, p), scaled(1 - a, given.tables[layer][item].tolist()))
        if dot(q, made) > best[0]:
            best = dot(q, made), made, item
    return best[1:]


def hardest(given: MixBatch, layer: int, row: int, k: int) -> tuple[Vector, int]:
    q, table = user_of(given, layer, row), given.tables[layer]
    item = max(given.ids[row, k].tolist(), key=lambda each: dot(q, table[each].tolist()))
    return table[item].tolist(), item


def dins(given: MixBatch, mixer: Any, layer: int, row: int, k: int) -> tuple[Vector, int]:
    h, item = hardest(given, layer, row, k)
    q, p, alpha = user_of(given, layer, row), given.positives[layer][row].tolist(), 0.7
    made = []
    for d in range(D):
        up, down = math.exp(q[d] * h[d]), alpha * math.exp(q[d] * p[d])
        made.append(up / (up + down) * h[d] + down / (up + down) * p[d])
    return made, item


def dcans(given: MixBatch, mixer: Any, layer: int, row: int, k: int) -> tuple[Vector, int]:
    h, item = hardest(given, layer, row, k)
    q, p, alpha = user_of(given, layer, row), given.positives[layer][row].tolist(), 0.7
    like = torch.zeros(1, dtype=torch.float64)
    history = given.history(ready("dcans").uniform(B, 3, like=like))[row].tolist()
    own = [given.tables[layer][each].tolist() for each in history]
    weights = [*(math.exp(dot(q, each)) for each in own), alpha * math.exp(dot(q, p))]
    shares = [each / sum(weights) for each in weights]
    about = plus(*(scaled(s, v) for s, v in zip(shares, [*own, p], strict=True)))
    up, down = math.exp(dot(q, h)), alpha * math.exp(dot(q, about))
    return plus(scaled(up / (up + down), h), scaled(down / (up + down), about)), item


def gate(vector: Vector, *maps: tuple[Vector, Any]) -> Vector:
    """The part of a vector that its gate lets through."""
    total = [0.0] * D
    for given, each in maps:
        mapped = linear(torch.tensor(given, dtype=torch.float64), each.weight, each.bias)
        total = plus(total, mapped.tolist())
    return [v * sigmoid(t) for v, t in zip(vector, total, strict=True)]


def parts_of_positive(given: MixBatch, mixer: Any, layer: int, row: int) -> tuple[Vector, Vector]:
    u, p = given.users[layer][row].tolist(), given.positives[layer][row].tolist()
    relevant = gate(p, (p, mixer.of_positive), (u, mixer.of_user))
    return relevant, plus(p, scaled(-1, relevant))


def dens(given: MixBatch, mixer: Any, layer: int, row: int, k: int) -> tuple[Vector, int]:
    u = given.users[layer][row].tolist()
    relevant, _ = parts_of_positive(given, mixer, layer, row)
    a = 0.4 if mixer.params.selection == "constant" else min(1, mixer.epoch / mixer.params.warmup)
    best = (-math.inf, 0)
    for item in given.ids[row, k].tolist():
        n = given.tables[layer][item].tolist()
        gated = gate(n, (n, mixer.of_negative), (relevant, mixer.of_relevant))
        best = max(best, (dot(u, plus(scaled(1 - a, n), scaled(-1, gated))), item))
    return given.tables[layer][best[1]].tolist(), best[1]


def extra_of_dens(given: MixBatch, mixer: Any, made: Made, row: int) -> float:
    def mean(several: list[Vector]) -> Vector:
        if given.pooling == "concat":
            return [x for each in several for x in each]
        return scaled(1 / len(several), plus(*several))

    layers = range(given.layer_num)
    u = mean([each[row].tolist() for each in given.users])
    both = [parts_of_positive(given, mixer, layer, row) for layer in layers]
    p_r, p_i = (dot(u, mean([each[part] for each in both])) for part in (0, 1))
    pairs: list[tuple[float, float]] = []
    for k in range(K):
        n = [each[row, k].tolist() for each in made.vectors]
        gated = [
            gate(n[j], (n[j], mixer.of_negative), (both[j][0], mixer.of_relevant)) for j in layers
        ]
        rest = [plus(n[j], scaled(-1, gated[j])) for j in layers]
        pairs.append((dot(u, mean(gated)), dot(u, mean(rest))))
    terms = [
        math.log(1 + math.exp(p_i - p_r)),
        math.log(1 + sum(math.exp(n_r - n_i) for n_r, n_i in pairs)),
        math.log(1 + sum(math.exp(n_r - p_r) for n_r, _ in pairs)),
        math.log(1 + sum(math.exp(p_i - n_i) for _, n_i in pairs)),
    ]
    return float(mixer.params.gamma / 4 * sum(terms))


ORACLES: list[tuple[str, dict[str, Any], Way]] = [
    ("mixgcf", {}, mixgcf),
    ("mixgcf", {"share_max": 0.3}, mixgcf),
    ("dens", {"warmup": 5}, dens),
    ("dens", {"warmup": 2}, dens),
    ("dens", {"selection": "constant", "alpha": 0.4, "gamma": 1.5}, dens),
    ("dins", {"alpha": 0.7}, dins),
    ("dcans", {"alpha": 0.7, "window": 3}, dcans),
]


@pytest.mark.parametrize("pooling", ["mean", "concat"])
@pytest.mark.parametrize(
    ("name", "args", "way"), ORACLES, ids=[f"{name}-{args}" for name, args, _ in ORACLES]
)
def test_a_mixer_is_its_slow_loop(name: str, args: dict[str, Any], way: Way, pooling: str) -> None:
    given, mixer = batch(pooling=pooling), ready(name, **args)
    with torch.no_grad():
        made = mixer(given)
        for row in range(B):
            for k in range(K):
                for layer in range(3):
                    vector, item = way(given, mixer, layer, row, k)
                    assert made.vectors[layer][row, k].tolist() == pytest.approx(vector, rel=1e-9)
                    assert int(made.ids[row, k, layer]) == item
        if name == "dens":
            found = [extra_of_dens(given, mixer, made, row) for row in range(B)]
            assert made.extra.tolist() == pytest.approx(found, rel=1e-9)
        else:
            assert made.extra is None
    several = made.ids.unsqueeze(3) == made.ids.unsqueeze(2)
    assert not bool(several.all()), "layers choose different items"


# --- What one is a case of -----------------------------------------------------------------------


def of_dns(given: MixBatch) -> Tensor:
    """The candidate (B, K) that DNS picks of each negative's M."""
    from recbole_bns.sampling.methods.dns import DNS

    core = DNS(small_catalogue("cpu"), DNS.Params(candidate_num=M))
    table = given.pool(given.tables)
    scorer = FactorScorer(given.pool(given.users), table)
    rows = torch.arange(B)
    return core.pick(given.ids, rows, rows, scorer)


NEAR_DNS: list[tuple[str, dict[str, Any]]] = [
    ("mixgcf", {"share_max": 0.0}),
    ("dins", {"alpha": 1e-30}),
    ("dcans", {"alpha": 1e-30, "window": 0}),
]


@pytest.mark.parametrize(("name", "args"), NEAR_DNS)
def test_of_one_layer_without_the_positive_it_is_dns(name: str, args: dict[str, Any]) -> None:
    given = batch(1)
    made = ready(name, **args)(given)
    assert torch.equal(made.ids[..., 0], of_dns(given))
    chosen = given.vectors(0, made.ids[..., 0])
    torch.testing.assert_close(made.vectors[0], chosen, rtol=1e-12, atol=1e-12)


def test_dens_without_gates_chooses_as_dns_at_first() -> None:
    given, mixer = batch(1), ready("dens", epoch=0)
    with torch.no_grad():
        for weight in mixer.parameters():
            weight.zero_()
    made = mixer(given)
    assert torch.equal(made.ids[..., 0], of_dns(given))
    assert torch.equal(made.vectors[0], given.vectors(0, made.ids[..., 0]))
    mixer.begin_epoch(mixer.params.warmup)
    worst = replace(given, users=[-each for each in given.users])
    assert torch.equal(mixer(given).ids[..., 0], of_dns(worst)), "later what matters is left out"


def test_of_many_layers_the_positive_mixed_in_leaves_the_choice() -> None:
    given = batch(3)
    ids = [ready("mixgcf", share_max=share)(given).ids for share in (0.0, 0.5, 1.0)]
    assert torch.equal(ids[0], ids[1])
    assert torch.equal(ids[0], ids[2])


def test_by_cosine_the_length_of_a_candidate_does_not_matter() -> None:
    given = batch(2, similarity="cosine")
    source = torch.Generator().manual_seed(5)
    lengths = torch.rand((ITEMS, 1), generator=source, dtype=torch.float64) * 9 + 0.1
    stretched = replace(given, tables=[each * lengths for each in given.tables])
    plain = replace(given, similarity="dot"), replace(stretched, similarity="dot")
    for name in ("mixgcf", "dins"):
        mixer = ready(name)
        assert torch.equal(mixer(given).ids, mixer(stretched).ids)
        assert not torch.equal(mixer(plain[0]).ids, mixer(plain[1]).ids)
    mixer = ready("dens")  # at the end the gated part alone, whose gates see lengths
    with torch.no_grad():
        for weight in mixer.parameters():
            weight.zero_()
    assert torch.equal(mixer(given).ids, mixer(stretched).ids)


def test_dens_gates_in_parts_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given, mixer = batch(2), ready("dens")
    whole = mixer(given).ids
    monkeypatch.setattr("recbole_bns.mixers.ways.dens.AT_ONCE", 2 * K * M * D)
    assert len([*mixer._parts(given.ids)]) == 3
    assert torch.equal(mixer(given).ids, whole)


# --- What is drawn -------------------------------------------------------------------------------


def test_shares_are_uniform_and_differ_by_epoch_and_seed() -> None:
    like, mixer = torch.zeros(1), ready("mixgcf")
    first = mixer.uniform(4000, like=like)
    assert first.dtype == like.dtype
    assert 0 <= float(first.min()) < 0.01 < 0.99 < float(first.max()) < 1
    assert float(first.mean()) == pytest.approx(0.5, abs=0.02)
    second = mixer.uniform(4000, like=like)
    for epoch, seed in ((3, 12), (4, 11)):
        mixer.begin_epoch(epoch, seed)
        assert not torch.equal(mixer.uniform(4000, like=like), first)
    mixer.begin_epoch(3, 11)
    again = mixer.uniform(8000, like=like)
    assert torch.equal(again, torch.cat((first, second)))


def test_places_are_every_subset_alike() -> None:
    count = torch.tensor([4]).repeat(24_000)
    uniforms = torch.rand((24_000, 2), generator=torch.Generator().manual_seed(2))
    found = places(count, uniforms.double()).sort(1).values
    for pair in combinations(range(4), 2):
        share = float((found == torch.tensor(pair)).all(1).double().mean())
        assert share == pytest.approx(1 / 6, abs=0.01)


def test_history_is_of_the_users_own_items() -> None:
    pairs = [(1, 5), (2, 6), (2, 7), *((3, item) for item in range(1, 21))]
    users, items = torch.tensor(pairs).T
    given = batch(
        1, catalogue=Catalogue(users, items, 6, ITEMS), user_ids=torch.tensor([1, 2, 3, 4])
    )
    drawn = torch.rand((4, 5), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = given.history(drawn)
    assert found[0].tolist() == [5] * 5
    assert set(found[1].tolist()) <= {6, 7}
    assert len(set(found[2].tolist())) == 5
    assert set(found[2].tolist()) <= set(range(1, 21))
    assert found[3].tolist() == [0] * 5
    assert not bool(replace(given, catalogue=None).history(drawn).any())


def test_dcans_of_a_user_without_history_mixes_the_positive_alone() -> None:
    given = replace(batch(2), user_ids=torch.zeros(B, dtype=torch.long))
    alone, none = ready("dcans")(given), ready("dcans", window=0)(given)
    for a, b in zip(alone.vectors, none.vectors, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


# --- By name -------------------------------------------------------------------------------------


def test_mixers_are_built_by_name() -> None:
    assert set(available()) >= {"mixgcf", "dens", "dins", "dcans"}
    assert build("dens", 8, {"gamma": 1}).params.gamma == 1.0
    assert get("dins").loss == "kpair"
    with pytest.raises(UsageError, match="mixer: got 'mixgfc'; did you mean 'mixgcf'"):
        build("mixgfc", 8)
    with pytest.raises(UsageError, match=r"mixer_args.alfa: no such parameter; did you mean 'alp"):
        build("dins", 8, {"alfa": 1})


def test_gates_learn_by_the_term_that_is_added_alone() -> None:
    given = batch(2)
    for gamma in (0.0, 0.3):
        mixer = ready("dens", gamma=gamma)
        made = mixer(given)
        assert not any(each.requires_grad for each in made.vectors)
        if gamma:
            made.extra.sum().backward()
            assert all(bool(weight.grad.abs().sum() > 0) for weight in mixer.parameters())
        else:
            assert made.extra is None
