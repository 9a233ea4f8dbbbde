"""DNS and DNS(M, N) against sorting the candidates by hand."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch
from toys import (
    CANDIDATES,
    POSITIVE,
    X,
    assert_law,
    random_case,
    record_candidates,
    scorer_of,
    toy_catalogue,
    toy_choice,
)

from recbole_bns.sampling import build
from recbole_bns.sampling.methods.dns import linear_weights


def slow_order(candidates: list[int], scores: Any) -> list[int]:
    """Places of the candidates that are items, highest score first, equals as they came."""
    places = [place for place, item in enumerate(candidates) if item != 0]
    return sorted(places, key=lambda place: -scores[candidates[place]])


@pytest.mark.parametrize("kind", ["table", "factor"])
@pytest.mark.parametrize("args", [{}, {"replacement": False, "candidate_num": 9}])
@pytest.mark.parametrize("n", [1, 2])
def test_hard_choice_is_the_first_of_the_best(n: int, args: dict[str, Any], kind: str) -> None:
    for seed in range(5):
        case = random_case(seed)
        sampler = build("dns", case.catalogue, args, seed=seed)
        seen = record_candidates(sampler)
        ids = sampler.sample(case.users, case.items, n, scorer_of(case.scores, kind)).tolist()
        for user, sets, row in zip(case.users.tolist(), seen[0], ids, strict=True):
            best = [c[slow_order(c, case.scores[user])[0]] for c in sets if any(c)]
            assert row[: len(best)] == best


@pytest.mark.parametrize("seed", range(3))
def test_best_num_takes_each_of_the_best_as_often(seed: int) -> None:
    case = random_case(seed, ties=False)
    sampler = build("dns", case.catalogue, {"candidate_num": 6, "best_num": 3}, seed=seed)
    seen = record_candidates(sampler)
    users, items = case.users.repeat(200), case.items.repeat(200)
    ids = sampler.sample(users, items, 1, scorer_of(case.scores))
    ranks = []
    for user, (candidates,), chosen in zip(users.tolist(), seen[0], ids.tolist(), strict=True):
        order = slow_order(candidates, case.scores[user])
        ordered = [candidates[place] for place in order]
        assert chosen[0] in ordered[:3]
        if len(set(ordered)) == 6:
            ranks.append(ordered.index(chosen[0]))
    assert_law(ranks, [1 / 3] * 3)


def test_more_best_than_candidates_that_are_items() -> None:
    case = random_case(0)
    args = {"candidate_num": 15, "best_num": 15, "replacement": False}
    sampler = build("dns", case.catalogue, args, seed=1)
    users = torch.full((20_000,), 3)
    negatives = case.negatives(3)
    law = [(item in negatives) / len(negatives) for item in range(16)]
    assert_law(sampler.sample(users, users, 1, scorer_of(case.scores)), law)


GOLDEN_LINEAR = [0.347826, 0.282609, 0.217391, 0.152174]


def test_golden_linear_weights() -> None:
    assert linear_weights(torch.tensor(4), 0.25, 4).tolist() == pytest.approx(
        GOLDEN_LINEAR, abs=1e-6
    )


def test_linear_weights_of_fewer_candidates() -> None:
    given = linear_weights(torch.tensor([0, 1, 2, 5]), 0.4, 5).tolist()
    for m, row in zip((0, 1, 2, 5), given, strict=True):
        weights = [1 - (1 - 0.4) * k / m for k in range(m)] + [0] * (5 - m)
        assert row == pytest.approx([w / max(sum(weights), 1) for w in weights], abs=1e-6)


def test_linear_choice_draws_ranks_with_the_golden_weights() -> None:
    args = {"choice": "linear", "beta": 0.25, "candidate_num": 4}
    sampler = build("dns", toy_catalogue(), args, seed=3)
    drawn = Counter(toy_choice(sampler) for _ in range(2000))
    by_score = sorted(CANDIDATES, key=lambda item: -X[item])
    ranks = [by_score.index(item) for item in drawn.elements()]
    assert_law(ranks, [p / sum(GOLDEN_LINEAR) for p in GOLDEN_LINEAR])


@pytest.mark.parametrize("kind", ["table", "factor"])
def test_golden_choices(kind: str) -> None:
    assert toy_choice(build("dns", toy_catalogue()), kind) == 7
    two = build("dns", toy_catalogue(), {"candidate_num": 4, "best_num": 2})
    best = {toy_choice(two, kind) for _ in range(60)}
    summed = sum(math.log1p(math.exp(X[item] - X[POSITIVE])) for item in best)
    assert summed == pytest.approx(1.787339, abs=1e-6)


def test_candidates_of_several_negatives_have_no_item_in_common() -> None:
    case = random_case(2)
    sampler = build("dns", case.catalogue, {"candidate_num": 4}, seed=5)
    seen = record_candidates(sampler)
    sampler.sample(case.users, case.items, 3, scorer_of(case.scores))
    for user, sets in zip(case.users.tolist(), seen[0], strict=True):
        items = [item for candidates in sets for item in candidates if item]
        assert len(items) == len(set(items)) == min(12, len(case.negatives(user)))
