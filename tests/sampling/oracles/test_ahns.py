"""AHNS against measuring every candidate's distance to the target by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from toys import random_case, record_candidates, scorer_of, toy_catalogue, toy_choice

from recbole_bns.sampling import Catalogue, build
from recbole_bns.sampling.methods.ahns import BASE_FLOOR, target_score


def slow_target(positive: float, alpha: float, beta: float, p: float) -> float:
    base = positive + alpha
    return beta * (base if base > BASE_FLOOR else BASE_FLOOR) ** (p + 1)


def slow_choice(candidates: list[int], scores: Any, target: float) -> int:
    best = None
    for item in candidates:
        if item and (best is None or abs(scores[item] - target) < abs(scores[best] - target)):
            best = item
    assert best is not None
    return best


@pytest.mark.parametrize("kind", ["table", "factor"])
@pytest.mark.parametrize(
    "args",
    [
        {},
        {"alpha": 0.1, "beta": 0.4, "candidate_num": 8},
        {"p": -1},
        {"p": -0.5, "beta": 1.0},
        {"p": -1.5, "alpha": 2.0, "replacement": False, "candidate_num": 5},
    ],
)
def test_nearest_to_the_target(args: dict[str, Any], kind: str) -> None:
    for seed in range(5):
        case = random_case(seed, item_num=40, ties=False)
        sampler = build("ahns", case.catalogue, args, seed=seed)
        seen = record_candidates(sampler)
        ids = sampler.sample(case.users, case.items, 1, scorer_of(case.scores, kind)).tolist()
        p = sampler.params
        for user, item, (candidates,), (chosen,) in zip(
            case.users.tolist(), case.items.tolist(), seen[0], ids, strict=True
        ):
            target = slow_target(case.scores[user][item], p.alpha, p.beta, p.p)
            assert chosen == slow_choice(candidates, case.scores[user], target)


@pytest.mark.parametrize("kind", ["table", "factor"])
@pytest.mark.parametrize(
    ("args", "target", "chosen"),
    [
        ({"alpha": 1.0, "beta": 0.1, "p": -2}, 0.033333, 4),
        ({"alpha": 0.1, "beta": 0.4, "p": -2}, 0.190476, 4),
        ({"alpha": 1.0, "beta": 0.1, "p": -1}, 0.1, 4),
    ],
)
def test_golden(args: dict[str, float], target: float, chosen: int, kind: str) -> None:
    assert float(target_score(torch.tensor(2.0), **args)) == pytest.approx(target, abs=1e-6)
    sampler = build("ahns", toy_catalogue(), {**args, "candidate_num": 4})
    assert toy_choice(sampler, kind) == chosen


@pytest.mark.parametrize("seed", range(3))
def test_p_of_minus_one_does_not_look_at_the_positive(seed: int) -> None:
    case = random_case(seed)
    other = case.items[torch.randperm(40, generator=torch.Generator().manual_seed(seed))]
    table = case.scores.copy()
    for p, same in ((-1.0, True), (-2.0, False)):
        ids = []
        for items in (case.items, other):
            sampler = build("ahns", case.catalogue, {"p": p, "candidate_num": 8}, seed=seed)
            ids.append(sampler.sample(case.users, items, 1, scorer_of(table)))
        assert torch.equal(*ids) is same


@pytest.mark.parametrize("p", [-1.5, -2.0, -3.0, -9.0])
@pytest.mark.parametrize("positive", [-0.5, -0.7, -100.0])
def test_at_and_beyond_the_pole_the_highest_candidate_is_taken(p: float, positive: float) -> None:
    catalogue = Catalogue(torch.tensor([1]), torch.tensor([1]), 2, 12)
    table = torch.zeros(2, 12)
    table[1, 2:] = 0.001 * torch.tensor([3, 1, 4, 1, 5, 9, 2, 6, 5, 3])
    table[1, 1] = positive
    args = {"alpha": 0.5, "p": p, "candidate_num": 10, "replacement": False}
    one = torch.ones(1, dtype=torch.long)
    scorer = scorer_of(table)
    scorer.table = table  # float32: at 1e5 its numbers are 0.008 apart
    for seed in range(5):
        sampler = build("ahns", catalogue, args, seed=seed)
        assert int(sampler.sample(one, one, 1, scorer)) == 7
