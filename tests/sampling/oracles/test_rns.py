"""RNS against 1 / n_u, and everything that must reduce to it."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch
from toys import assert_law, random_case, scorer_of

from recbole_bns.sampling import SharedList, build

SAME_AS_RNS: list[tuple[str, dict[str, Any]]] = [
    ("rns", {}),
    ("pns", {"exponent": 0}),
    ("dns", {"candidate_num": 1}),
    ("dns", {"candidate_num": 4, "best_num": 4}),
    ("dns", {"candidate_num": 4, "choice": "linear", "beta": 1}),
    ("bns", {"candidate_num": 1}),
    ("bns", {"candidate_num": 1, "criterion": "posterior", "cdf": "paper"}),
    ("bns", {"warmup_epochs": 1}),
    ("ahns", {"candidate_num": 1}),
    ("aobpr", {"definition": "global", "lambda": 1e9}),
]


@pytest.mark.parametrize(("name", "args"), SAME_AS_RNS)
def test_uniform_over_what_the_user_has_not_touched(name: str, args: dict[str, Any]) -> None:
    case = random_case(1)
    sampler = build(name, case.catalogue, args, seed=2)
    scorer = scorer_of(case.scores)
    for user in (1, 4):
        users = torch.full((12_000,), user)
        items = torch.full_like(users, min(case.taken[user]))
        negatives = case.negatives(user)
        law = [(item in negatives) / len(negatives) for item in range(16)]
        assert_law(sampler.sample(users, items, 1, scorer), law)


@pytest.mark.parametrize("seed", range(3))
def test_all_negatives_are_drawn_when_as_many_are_asked_for(seed: int) -> None:
    case = random_case(seed)
    sampler = build("rns", case.catalogue, seed=seed)
    for user in range(1, 7):
        negatives = case.negatives(user)
        users = torch.tensor([user])
        ids = sampler.sample(users, torch.tensor([min(case.taken[user])]), len(negatives), None)
        assert sorted(ids[0].tolist()) == negatives


def test_a_list_has_different_items_all_of_them_in_the_end() -> None:
    case = random_case(0)
    sampler = build("rns", case.catalogue, seed=1)
    assert isinstance(sampler, SharedList)
    firsts = []
    for _ in range(4000):
        ids = sampler.sample_shared(case.users, case.items, 6)
        assert len(ids.unique()) == 6
        firsts.append(int(ids[0]))
    assert_law(firsts, [0.0, *[1 / 15] * 15])
    assert sampler.sample_shared(case.users, case.items, 99).sort().values.tolist() == [
        *range(1, 16)
    ]
    assert sampler.shared_log_prob(ids).tolist() == pytest.approx([-log(15)] * 6)


def test_logarithm_of_a_draw() -> None:
    case = random_case(2)
    users = torch.tensor([1, 5])
    found = build("rns", case.catalogue).log_prob(users, torch.tensor([[1, 2], [3, 4]]))
    assert found is not None
    wanted = [[-log(len(case.negatives(user)))] * 2 for user in (1, 5)]
    assert found.tolist() == [pytest.approx(row) for row in wanted]
