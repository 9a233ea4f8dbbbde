"""CuCo against its two schedules by hand, and against DNS where they are the same."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from toys import Case, assert_law, random_case, record_candidates, scorer_of

from recbole_bns.common.errors import UsageError
from recbole_bns.sampling import CandidateSampler, build
from recbole_bns.sampling.methods.cuco import grown, shrunk


def made(case: Case, seed: int = 0, epochs: int | None = 10, **args: Any) -> CandidateSampler:
    sampler = build("cuco", case.catalogue, {"candidate_num": 8, **args}, seed=seed)
    assert isinstance(sampler, CandidateSampler)
    sampler.epochs = epochs
    return sampler


def slow_size(m: int, epoch: int, epochs: int) -> int:
    return max(1, math.floor((1 - epoch / epochs) * m))


def test_golden_sizes() -> None:
    assert [shrunk(10, epoch, 10) for epoch in (0, 5, 7, 8, 9)] == [10, 5, 3, 1, 1], "as floats do"
    assert [shrunk(32, epoch, 100) for epoch in (0, 1, 50, 96, 99)] == [32, 31, 16, 1, 1]
    shares = [grown(torch.tensor(100), epoch, 4, 0.5).item() for epoch in range(4)]
    assert shares == [50, 70, 86, 100]
    assert grown(torch.tensor([0, 1, 3]), 0, 100, 0.5).tolist() == [1, 1, 1]


@pytest.mark.parametrize("kind", ["table", "factor"])
@pytest.mark.parametrize("n", [1, 2])
def test_shrinking_takes_the_best_of_the_first(kind: str, n: int) -> None:
    case = random_case(3)
    sampler = made(case, replacement=False)
    seen = record_candidates(sampler)
    scorer = scorer_of(case.scores, kind)
    for epoch in range(10):
        sampler.begin_epoch(epoch, scorer)
        ids = sampler.sample(case.users, case.items, n, scorer).tolist()
        size = slow_size(8, epoch, 10)
        for user, sets, row in zip(case.users.tolist(), seen[-1], ids, strict=True):
            for candidates, chosen in zip(sets, row, strict=True):
                left = [item for item in candidates[:size] if item]
                if left:  # max() takes the first of equals too
                    assert chosen == max(left, key=lambda item: case.scores[user][item])


@pytest.mark.parametrize("kind", ["table", "factor"])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize(("epoch", "epochs"), [(0, 3), (0, None), (5, 10**18)])
def test_shrinking_is_dns_in_its_first_epoch_and_without_an_end(
    kind: str, n: int, epoch: int, epochs: int | None
) -> None:
    case = random_case(5)
    drawn = []
    for sampler in (
        made(case, 4, epochs),
        build("dns", case.catalogue, {"candidate_num": 8}, seed=4),
    ):
        sampler.begin_epoch(epoch, None)
        drawn.append(sampler.sample(case.users, case.items, n, scorer_of(case.scores, kind)))
    assert torch.equal(*drawn)


def test_shrinking_ends_as_rns_does() -> None:
    case = random_case(6)
    sampler = made(case)
    sampler.begin_epoch(9, None)
    users = torch.full((10_000,), 4)
    drawn = sampler.sample(users, users, 1, scorer_of(case.scores))
    negatives = case.negatives(4)
    assert_law(drawn, [(item in negatives) / len(negatives) for item in range(16)])


@pytest.mark.parametrize("epoch", [0, 4, 9])
def test_growing_draws_each_of_the_easiest_as_often(epoch: int) -> None:
    case = random_case(2, ties=False)
    sampler = made(case, 1, schedule="grow", replacement=False, exponent=0.5)
    seen = record_candidates(sampler)
    sampler.begin_epoch(epoch, None)
    users = case.users.repeat(150)
    ids = sampler.sample(users, users, 1, scorer_of(case.scores)).squeeze(1).tolist()
    allowed = math.floor(8 * ((epoch + 1) / 10) ** 0.5)
    places = []
    for user, (candidates,), chosen in zip(users.tolist(), seen[0], ids, strict=True):
        places.append(sorted(candidates, key=lambda item: case.scores[user][item]).index(chosen))
    if all(0 not in sets for (sets,) in seen[0]):
        assert_law(places, [1 / allowed] * allowed)


def test_growing_passes_over_what_has_no_score() -> None:
    case = random_case(2)
    case.scores[:, 7] = float("nan")
    case.scores[:, 9] = float("-inf")
    sampler = made(case, schedule="grow", candidate_num=15, replacement=False)
    seen = record_candidates(sampler)
    sampler.begin_epoch(0, None)
    ids = sampler.sample(case.users, case.items, 1, scorer_of(case.scores)).squeeze(1).tolist()
    for user, (candidates,), chosen in zip(case.users.tolist(), seen[0], ids, strict=True):
        usable = [item for item in candidates if item not in (0, 7, 9)]
        easiest = sorted(usable, key=lambda item: case.scores[user][item])
        values = [case.scores[user][item] for item in easiest]
        assert case.scores[user][chosen] <= values[max(math.floor(len(values) * 0.1**0.5), 1) - 1]


@pytest.mark.parametrize(("schedule", "epoch"), [("shrink", 1), ("grow", 0)])
def test_without_the_number_of_epochs_it_says_so(schedule: str, epoch: int) -> None:
    case = random_case(0)
    sampler = made(case, epochs=None, schedule=schedule)
    sampler.begin_epoch(epoch, None)
    with pytest.raises(UsageError, match=r"'cuco' needs to know how many epochs .* set sampler\."):
        sampler.sample(case.users, case.items, 1, scorer_of(case.scores))
