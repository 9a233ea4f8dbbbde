"""SRNS against Eq. 1, 3 and 4 of the paper, with a history kept in plain Python."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from toys import CANDIDATES, X, assert_law, sigmoid

from recbole_bns.common.errors import UsageError
from recbole_bns.sampling import Catalogue, FactorScorer, Scorer, build
from recbole_bns.sampling.methods import srns
from recbole_bns.sampling.methods.srns import (
    deviation,
    memory_keys,
    positive_probability,
    selection_value,
)
from recbole_bns.testing import TableScorer

USERS, ITEMS = 9, 31
HISTORY = ([1, 1.5, 2], [[0.5, -3, 0, 2], [0.6, 2.6, 0.1, 2.5], [0.5, -2, 0, 3]])
"""Scores of the positive and of the toy's candidates at three epoch ends."""


def test_golden_selection() -> None:
    live = positive_probability(
        torch.tensor([[X[0]]]), torch.tensor([[X[item] for item in CANDIDATES]])
    )
    assert live[0].tolist() == pytest.approx([0.182426, 0.377541, 0.119203, 0.731059], abs=1e-6)
    history = torch.stack(
        [
            positive_probability(torch.tensor([[positive]]), torch.tensor([row]))
            for positive, row in zip(*HISTORY, strict=True)
        ]
    )
    spread = deviation(history)
    assert spread[0].tolist() == pytest.approx([0.07977, 0.345197, 0.061156, 0], abs=1e-5)
    for alpha, chosen in ((0, 7), (1, 7), (2.5, 3)):
        assert CANDIDATES[int(selection_value(live, spread, alpha).argmax())] == chosen
    values = selection_value(live, spread, 2.5)[0].tolist()
    assert values[1] == pytest.approx(1.240534, abs=1e-5)
    assert values[3] == pytest.approx(0.731059, abs=1e-5)


@pytest.mark.parametrize(
    ("tau", "golden"),
    [
        (1.0, [0.060579, 0.164671, 0.036743, 0.738006]),
        (10.0, [0.230392, 0.254623, 0.219156, 0.295829]),
    ],
)
def test_golden_memory_law(tau: float, golden: list[float]) -> None:
    scores = torch.tensor([X[item] for item in CANDIDATES]).expand(60_000, -1)
    u = torch.rand(scores.shape, generator=torch.Generator().manual_seed(1))
    law = np.array(golden) / sum(golden)
    assert_law(memory_keys(scores, tau, u).argmax(1), law)


def test_memory_is_drawn_without_replacement_in_proportion_to_exp_score() -> None:
    """All negatives are in the pool: two of five stay, by the law of successive draws."""
    many = 20_000
    catalogue = Catalogue(torch.arange(1, many), torch.ones(many - 1).long(), many, 7)
    scores = [0.0, 0.0, 0.3, -1.0, 1.2, 2.0, 0.1]
    args = {"memory_num": 2, "new_num": 6, "tau": 0.8}
    sampler = build("srns", catalogue, args, seed=4)
    users = torch.arange(1, many)
    scorer = TableScorer(torch.tensor(scores).expand(many, -1))
    sampler.sample(users, torch.ones_like(users), 1, scorer)
    weight = [math.exp(score / 0.8) * (item > 1) for item, score in enumerate(scores)]
    law = np.zeros(49)
    for first, second in itertools.permutations(range(2, 7), 2):
        p = weight[first] / sum(weight) * weight[second] / (sum(weight) - weight[first])
        law[min(first, second) * 7 + max(first, second)] += p
    kept = sampler.memory[1:many].sort(1).values
    assert_law(kept[:, 0] * 7 + kept[:, 1], law)


class Model:
    """Scores that change in place, as weights do: factors, or a table without any."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.source = np.random.default_rng(0)
        self.users = self.source.normal(size=(USERS, 3))
        self.items = self.source.normal(size=(ITEMS, 3))

    def train(self) -> None:
        for weights in (self.users, self.items):
            weights *= 0.8
            weights += 0.5 * self.source.normal(size=weights.shape)

    def table(self) -> np.ndarray:
        return self.users @ self.items.T

    def scorer(self) -> Scorer:
        if self.kind == "table":
            return TableScorer(torch.tensor(self.table()))
        return FactorScorer(torch.from_numpy(self.users), torch.from_numpy(self.items))


def small() -> tuple[Catalogue, list[set[int]]]:
    source = np.random.default_rng(1)
    taken: list[set[int]] = [set()]
    for _ in range(1, USERS):
        taken.append({int(i) for i in source.choice(ITEMS - 1, 6, replace=False) + 1})
    pairs = [(user, item) for user in range(USERS) for item in taken[user]]
    return Catalogue(*torch.tensor(pairs).T, USERS, ITEMS), taken


def slow_values(
    live: np.ndarray, ends: list[np.ndarray], user: int, positive: int, alpha: float
) -> list[float]:
    """P_pos + alpha · std over the last five epoch ends, of every item."""
    values = []
    for item in range(ITEMS):
        past = [sigmoid(end[user][item] - end[user][positive]) for end in ends[-5:]]
        mean = sum(past) / max(len(past), 1)
        variance = sum((p - mean) ** 2 for p in past) / max(len(past), 1)
        live_p = sigmoid(live[user][item] - live[user][positive])
        values.append(live_p + alpha * math.sqrt(variance))
    return values


@pytest.mark.parametrize("kind", ["factor", "table"])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("warmup", [0, 4])
def test_choice_over_epochs_with_new_entrants(kind: str, n: int, warmup: int) -> None:
    catalogue, taken = small()
    args = {"memory_num": 5, "new_num": 4, "alpha": 6.0, "warmup_epochs": warmup}
    sampler = build("srns", catalogue, args, seed=3)
    model, ends, turned = Model(kind), [], 0
    source = np.random.default_rng(2)
    for epoch in range(9):
        sampler.begin_epoch(epoch, model.scorer())
        if epoch > 0:
            ends.append(model.table())
        alpha = 6.0 * (min(epoch / warmup, 1) if warmup else 1)
        for _ in range(3):
            model.train()
            users = source.integers(1, USERS, 12).tolist()
            items = [int(source.choice(sorted(taken[user]))) for user in users]
            memory = sampler.memory.tolist()
            ids = sampler.sample(torch.tensor(users), torch.tensor(items), n, model.scorer())
            for user, positive, row in zip(users, items, ids.tolist(), strict=True):
                values = slow_values(model.table(), ends, user, positive, alpha)
                best = sorted(memory[user], key=lambda item, v=values: -v[item])  # type: ignore[misc]
                assert row == best[:n]
                live = slow_values(model.table(), [], user, positive, 0)
                turned += best[0] != max(memory[user], key=lambda item, v=live: v[item])  # type: ignore[misc]
    assert turned > 20, "the deviation hardly ever decides: the test says little about it"


def fixed_entrants(sampler: srns.SRNS, rows: Any) -> None:
    """Make the new items those of ``rows`` (B, S2)."""
    sampler.proposal.draw = lambda *args, **options: torch.tensor(rows)  # type: ignore[method-assign]


def ranked(catalogue: Catalogue) -> TableScorer:
    """Item numbers as scores: with a low temperature the memory keeps the highest numbers."""
    table = torch.arange(catalogue.item_num).double() / 8
    return TableScorer(table.expand(catalogue.user_num, -1))


def test_a_user_who_occurs_twice_gets_one_new_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn for each user, not for each row: with grouping and without the memory is the same."""
    memories = []
    for scorer in (Model("factor").scorer(), Model("table").scorer()):
        catalogue, _ = small()
        args = {"memory_num": 4, "new_num": 6, "alpha": 0}
        sampler = build("srns", catalogue, args, seed=0)
        before = sampler.memory.clone()
        users = torch.tensor([2, 1, 2, 1, 2])
        ids = sampler.sample(users, torch.ones_like(users), 1, scorer)
        assert ids.flatten().unique().numel() == 2, "chosen of the memory before its update"
        assert bool(torch.isin(ids.flatten(), before[1:3]).all())
        assert not torch.equal(sampler.memory[1:3], before[1:3])
        assert torch.equal(sampler.memory[3:], before[3:])
        memories.append(sampler.memory)
    assert torch.equal(*memories)


def test_a_new_item_that_is_in_the_memory_already_is_not_taken_twice() -> None:
    catalogue = Catalogue(torch.tensor([1]), torch.tensor([1]), 2, 40)
    sampler = build("srns", catalogue, {"memory_num": 3, "new_num": 2, "alpha": 0}, seed=0)
    sampler.memory[1] = torch.tensor([5, 6, 7])
    fixed_entrants(sampler, [[7, 6]])
    one = torch.ones(1, dtype=torch.long)
    sampler.sample(one, one, 1, ranked(catalogue))
    assert sorted(sampler.memory[1].tolist()) == [5, 6, 7]


def test_lazy_update() -> None:
    catalogue, _ = small()
    args = {"memory_num": 4, "new_num": 12, "update_every": 3}
    sampler = build("srns", catalogue, args, seed=3)
    model, changed = Model("factor"), []
    users, items = catalogue.owners, catalogue.positives.long()
    for epoch in range(8):
        sampler.begin_epoch(epoch, model.scorer())
        before = sampler.memory[:USERS].clone()
        sampler.sample(users, items, 1, model.scorer())
        changed.append(not torch.equal(before, sampler.memory[:USERS]))
    assert changed == [epoch % 3 == 0 for epoch in range(8)]


def test_memory_without_new_items_is_fixed_and_its_top_is_chosen() -> None:
    catalogue, _ = small()
    sampler = build("srns", catalogue, {"memory_num": 6, "new_num": 0, "alpha": 0}, seed=3)
    model, memory = Model("table"), sampler.memory.tolist()
    for epoch in range(3):
        sampler.begin_epoch(epoch, model.scorer())
        model.train()
        users = catalogue.owners
        ids = (
            sampler.sample(users, catalogue.positives.long(), 1, model.scorer()).flatten().tolist()
        )
        table = model.table()
        for user, chosen in zip(users.tolist(), ids, strict=True):
            assert chosen == max(memory[user], key=lambda item, u=user: table[u][item])  # type: ignore[misc]
        assert sampler.memory.tolist() == memory


def test_initial_memory_is_distinct_negatives() -> None:
    catalogue, taken = small()
    memory = build("srns", catalogue, {"memory_num": 20}, seed=1).memory.tolist()
    for user in range(1, USERS):
        assert len(set(memory[user]) - taken[user] - {0}) == 20


@pytest.mark.parametrize(("epoch", "wanted"), [(0, 0.0), (1, 0.1), (25, 2.5), (50, 5.0), (51, 5.0)])
def test_alpha_rises_over_the_warm_up(epoch: int, wanted: float) -> None:
    sampler = build("srns", small()[0], {"alpha": 5.0, "warmup_epochs": 50}, seed=1)
    sampler.begin_epoch(epoch, Model("factor").scorer())
    assert sampler.alpha == pytest.approx(wanted)


def test_a_history_that_is_no_number_does_not_decide() -> None:
    live = torch.tensor([[0.2, 0.9, 0.3]])
    history = torch.tensor([[[math.nan, 0.5, 0.1]], [[0.5, 0.5, 0.2]]])
    assert int(selection_value(live, deviation(history), 1.0).argmax()) == 1


@pytest.mark.parametrize(
    ("bad", "chosen"), [([], 9), ([1], 7), ([1, 7], 9), ([9], 7), ([1, 7, 9], 7)]
)
def test_no_item_is_never_chosen_and_no_number_only_at_last(bad: list[int], chosen: int) -> None:
    """The user's negatives are 7 and 9; item 1, the positive, may have no score either."""
    others = [item for item in range(1, 12) if item not in (7, 9)]
    catalogue = Catalogue(torch.ones(9).long(), torch.tensor(others), 2, 12)
    sampler = build("srns", catalogue, {"memory_num": 4, "new_num": 3}, seed=0)
    table = torch.arange(12.0).expand(2, -1) / 9
    table = table.index_fill(1, torch.tensor(bad, dtype=torch.long), math.nan)
    one = torch.ones(1, dtype=torch.long)
    for _ in range(4):
        sampler.memory[1] = torch.tensor([0, 7, 0, 9])
        assert int(sampler.sample(one, one, 1, TableScorer(table))) == chosen
        assert sorted(sampler.memory[1].tolist()) == [0, 0, 7, 9]


def test_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue, _ = small()
    with pytest.raises(UsageError) as error:
        build("srns", catalogue, {"memory_num": 31})
    assert str(error.value) == (
        "neg_sampler_args.memory_num: got 31, but the data set has only 30 items; "
        "allowed is 1 to 30."
    )
    monkeypatch.setattr(srns, "HISTORY_LIMIT", 5 * 4 * USERS * ITEMS - 1)
    sampler = build("srns", catalogue, {"memory_num": 3})
    sampler.begin_epoch(1, Model("factor").scorer())
    with pytest.raises(UsageError, match=r"^neg_sampler srns: this model has no user and item vec"):
        sampler.begin_epoch(2, Model("table").scorer())


def test_a_state_of_another_memory_size_is_refused() -> None:
    catalogue, _ = small()
    state = build("srns", catalogue, {"memory_num": 4}).state_dict()
    with pytest.raises(RuntimeError, match="size mismatch for memory"):
        build("srns", catalogue, {"memory_num": 5}).load_state_dict(state)


@pytest.mark.parametrize("kind", ["factor", "table"])
@pytest.mark.parametrize("n", [1, 2])
def test_nscaching_picks_each_of_the_memory_as_often(kind: str, n: int) -> None:
    catalogue, _ = small()
    args = {"memory_num": 5, "new_num": 0, "pick": "uniform"}
    sampler = build("srns", catalogue, args, seed=8)
    memory = sampler.memory[3].tolist()
    users = torch.full((4000,), 3)
    ids = sampler.sample(users, users, n, Model(kind).scorer())
    assert all(len(set(row)) == n for row in ids.tolist())
    assert_law([memory.index(item) for item in ids.flatten().tolist()], [1 / 5] * 5)


def test_nscaching_keeps_no_history_and_updates_the_memory_as_srns_does() -> None:
    catalogue, _ = small()
    asked = [
        type(need).__name__ for need in build("srns", catalogue, {"pick": "uniform"}).requirements()
    ]
    assert asked == ["Scores", "Negatives"]
    memories = []
    for args in ({"alpha": 0}, {"pick": "uniform", "alpha": 3.0}):
        sampler = build("srns", catalogue, {"memory_num": 6, "new_num": 20, **args}, seed=2)
        for epoch in range(3):
            sampler.begin_epoch(epoch, Model("factor").scorer())
        assert not sampler.user_history.numel()
        sampler.generator.manual_seed(5)
        sampler._update(torch.arange(USERS), Model("table").scorer())
        memories.append(sampler.memory)
    assert torch.equal(*memories)
