"""AOBPR against the laws p(f | u) ∝ |v_uf| · sd_f and p(r) ∝ exp(-r / lambda), enumerated."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from toys import Case, assert_law, random_case, scorer_of

from recbole_bns.sampling import Catalogue, FactorScorer, build
from recbole_bns.sampling.ranks import draw_ranks, factor_weights, rank_probabilities

DRAWS, SAMPLES = 20_000, 6_000
"""Of ranks, and of negatives, which cost more."""


def slow_ranks(item_num: int, lambda_: float) -> list[float]:
    weights = [math.exp(-rank / lambda_) for rank in range(item_num)]
    return [weight / sum(weights) for weight in weights]


def slow_factor_law(
    user: np.ndarray, items: np.ndarray, taken: set[int], lambda_: float, tries: int
) -> list[float]:
    """Law of the negative (ids from 0): a draw that hits a positive is repeated, then uniform."""
    ids = list(range(1, len(items)))
    sd = [float(np.std([items[i][f] for i in ids])) for f in range(len(user))]
    weight = [abs(v) * s for v, s in zip(user, sd, strict=True)]
    if sum(weight) == 0:
        weight = [1.0] * len(user)
    p_rank, drawn = slow_ranks(len(ids), lambda_), [0.0] * len(items)
    for f, v in enumerate(user):
        best_first = sorted(ids, key=lambda i: -items[i][f] if v >= 0 else items[i][f])
        for rank, item in enumerate(best_first):
            drawn[item] += weight[f] / sum(weight) * p_rank[rank]
    free = [i for i in ids if i not in taken]
    accepted = sum(drawn[i] for i in free)
    failed = (1 - accepted) ** tries
    return [
        drawn[i] / accepted * (1 - failed) + failed / len(free) if i in free else 0
        for i in range(len(items))
    ]


def slow_global_law(case: Case, user: int, lambda_: float) -> list[float]:
    """Law of the negative: ranks among all items, positives included."""
    ids = range(1, len(case.counts))
    order = sorted(ids, key=lambda item: -case.scores[user][item])
    weights = {
        item: math.exp(-rank / lambda_)
        for rank, item in enumerate(order)
        if item not in case.taken[user]
    }
    return [weights.get(i, 0) / sum(weights.values()) for i in range(len(case.counts))]


@pytest.mark.parametrize(
    ("lambda_", "golden"),
    [
        (2, [0.428656, 0.259993, 0.157694, 0.095646, 0.058012]),
        (500, [0.200801, 0.2004, 0.199999, 0.1996, 0.199201]),
    ],
)
def test_golden_ranks(lambda_: float, golden: list[float]) -> None:
    assert rank_probabilities(5, lambda_).tolist() == pytest.approx(golden, abs=1e-6)
    u = (torch.arange(DRAWS, dtype=torch.float64) + 0.5) / DRAWS
    shares = torch.bincount(draw_ranks(u, 5, lambda_), minlength=5) / DRAWS
    assert shares.tolist() == pytest.approx(golden, abs=2 / DRAWS)


@pytest.mark.parametrize("lambda_", [0.05, 0.7, 3, 40, 1e6])
@pytest.mark.parametrize("item_num", [1, 2, 17, 300])
def test_ranks_invert_the_distribution_function(item_num: int, lambda_: float) -> None:
    u = torch.cat((torch.rand(2000, dtype=torch.float64), torch.tensor([0.0, 1 - 2**-53])))
    below = np.concatenate(([0], np.cumsum(slow_ranks(item_num, lambda_))))
    for value, rank in zip(u.tolist(), draw_ranks(u, item_num, lambda_).tolist(), strict=True):
        assert 0 <= rank < item_num
        assert below[rank] - 1e-9 <= value <= below[rank + 1] + 1e-9


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_histogram_of_ranks(sign: float) -> None:
    """One factor and a user without positives: the negatives are the ranks."""
    catalogue = Catalogue(torch.tensor([2]), torch.tensor([1]), 3, 13)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    items = torch.cat((torch.tensor([99]), order)).double().unsqueeze(1)
    scorer = FactorScorer(torch.full((3, 1), 2 * sign), items)
    users = torch.ones(SAMPLES, dtype=torch.long)
    ids = build("aobpr", catalogue, {"lambda": 3.0}, seed=2).sample(users, users, 1, scorer)
    value = order[ids.flatten() - 1]
    assert_law(11 - value if sign > 0 else value, slow_ranks(12, 3.0))


@pytest.mark.parametrize("tries", [1, 2, 16])
@pytest.mark.parametrize("seed", range(2))
def test_factor_law(seed: int, tries: int) -> None:
    case = random_case(seed)
    source = np.random.default_rng(seed)
    users = source.normal(size=(7, 3))
    users[2] = 0
    items = source.normal(size=(16, 3)) * np.array([1.0, 3.0, 0.3])
    items[0] = 100
    scorer = FactorScorer(torch.tensor(users), torch.tensor(items))
    args = {"lambda": 2.5, "max_tries": tries}
    sampler = build("aobpr", case.catalogue, args, seed=seed)
    for user in (2, 3, 5):
        law = slow_factor_law(users[user], items, case.taken[user], 2.5, tries)
        batch = torch.full((SAMPLES,), user)
        assert_law(sampler.sample(batch, batch, 1, scorer), law)


def test_a_user_without_a_vector_has_uniform_factors() -> None:
    weights = factor_weights(torch.tensor([[0.0, 0], [-2, 1]]), torch.tensor([3.0, 5.0]))
    assert weights.tolist() == [[1, 1], [6, 5]]


@pytest.mark.parametrize("lambda_", [0.02, 2.5, 200.0])
@pytest.mark.parametrize("kind", ["table", "factor"])
def test_global_law(kind: str, lambda_: float) -> None:
    case = random_case(3, ties=False)
    args = {"definition": "global", "lambda": lambda_}
    sampler = build("aobpr", case.catalogue, args, seed=5)
    for user in (1, 6):
        law = np.array(slow_global_law(case, user, lambda_))
        law[law < 1e-12] = 0
        batch = torch.full((SAMPLES,), user)
        ids = sampler.sample(batch, batch, 1, scorer_of(case.scores, kind))
        if law.max() > 1 - 1e-6:
            assert bool((ids == int(law.argmax())).all())
        else:
            assert_law(ids, law)


def test_global_law_where_the_first_negative_ranks_low() -> None:
    """exp(-rank / lambda) of every negative is below the smallest float."""
    catalogue = Catalogue(torch.ones(9).long(), torch.arange(11, 20), 2, 20)
    users = torch.ones(200, dtype=torch.long)
    scorer = scorer_of([[*range(20)]] * 2)
    args = {"definition": "global", "lambda": 0.02}
    assert bool((build("aobpr", catalogue, args).sample(users, users, 1, scorer) == 10).all())


def test_global_law_of_two_negatives() -> None:
    """The second has the law of what is left."""
    case = random_case(3, item_num=11, ties=False)
    args = {"definition": "global", "lambda": 6.0}
    batch = torch.full((SAMPLES,), 2)
    ids = build("aobpr", case.catalogue, args, seed=5).sample(
        batch, batch, 2, scorer_of(case.scores)
    )
    p = slow_global_law(case, 2, 6.0)
    law = [0.0 if i == j else p[i] * p[j] / (1 - p[i]) for i in range(11) for j in range(11)]
    assert_law(ids[:, 0] * 11 + ids[:, 1], law)


@pytest.mark.parametrize("n", [1, 3])
def test_lists_are_sorted_anew_after_i_log_i_draws(n: int) -> None:
    """With a tiny lambda the negative is the top of the list: it tells which list was used."""
    item_num = 20
    catalogue = Catalogue(torch.tensor([2]), torch.tensor([1]), 3, item_num + 1)
    users = torch.ones(7, dtype=torch.long)
    sampler = build("aobpr", catalogue, {"lambda": 0.01}, seed=1)
    every, since = math.ceil(item_num * math.log(item_num)), 0
    top = None
    for step in range(1, 61):
        items = torch.zeros(item_num + 1, 1)
        items[step % item_num + 1] = 1.0
        if top is None or since >= every:
            top, since = step % item_num + 1, 0
        since += 7 * n
        ids = sampler.sample(users, users, n, FactorScorer(torch.ones(3, 1), items))
        assert ids[:, 0].tolist() == [top] * 7
