"""Mixed negatives against the parts they are mixed of."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch
from toys import OneOfSeveral, assert_law, random_case

from recbole_bns.sampling import SharedList, build
from recbole_bns.sampling.methods.mixed import mixed_list
from recbole_bns.sampling.shared import different_items
from recbole_bns.sampling.streams import new_key


def slow_list(uniform: list[int], in_batch: list[int], share: float) -> list[int]:
    """Uniform ones first, then those of the batch, then uniform ones where it has too few."""
    first = round(len(uniform) * share)
    wanted = [item for item in in_batch if item][: len(uniform) - first]
    return uniform[:first] + wanted + uniform[first + len(wanted) :]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("number", [0, 2, 5, 10])
def test_a_list_of_two_parts(share: float, number: int) -> None:
    uniform, in_batch = list(range(1, 11)), [*range(21, 21 + number), *[0] * (10 - number)]
    found = mixed_list(torch.tensor(uniform), torch.tensor(in_batch), share)
    assert found.tolist() == slow_list(uniform, in_batch, share)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_draw_is_uniform_or_of_another_row(share: float) -> None:
    """What the other rows have is a negative of user 2, and what its own row has is none."""
    case = random_case(0)
    user, other = 2, next(item for item in case.negatives(2) if case.counts[item])
    sampler = build("mixed", case.catalogue, {"uniform_share": share}, seed=4)
    negatives = case.negatives(user)
    two = torch.tensor([user, 1]), torch.tensor([min(case.taken[user]), other])
    allowed = {*(negatives if share else ()), *((other,) if share < 1 else ())}
    assert {int(sampler.sample(*two, 1, None)[0]) for _ in range(40)} <= allowed
    users, items = torch.full((2000,), user), torch.full((2000,), other)
    drawn = sampler.sample(users, items, 1, None)
    law = np.array([share * (item in negatives) / len(negatives) for item in range(16)])
    law[other] += 1 - share
    assert_law(drawn, law)


def test_logarithms_are_of_the_mixture() -> None:
    case = random_case(3)
    sampler = build("mixed", case.catalogue, {"uniform_share": 0.2})
    assert isinstance(sampler, SharedList)
    known = [item for item in range(1, 16) if case.counts[item]]
    total, free = sum(case.counts), sum(case.counts[item] for item in case.negatives(4))
    shared = [log(0.2 / 15 + 0.8 * case.counts[item] / total) for item in known]
    assert sampler.shared_log_prob(torch.tensor(known)).tolist() == pytest.approx(shared)
    number = len(case.negatives(4))
    own = [log(0.2 / number + 0.8 * case.counts[item] / free) for item in known]
    found = sampler.log_prob(torch.tensor([4]), torch.tensor([known]))
    assert found is not None
    assert found[0].tolist() == pytest.approx(own, abs=1e-6)


def test_items_of_a_batch_are_the_first_of_its_shuffled_rows() -> None:
    """The first one by its rows, the second by those of the others."""
    items, counts = torch.tensor([7, 5, 7, 9, 7, 5]), {7: 3, 5: 2, 9: 1}
    generator = torch.Generator().manual_seed(1)
    found = torch.stack([different_items(items, 5, new_key(generator)) for _ in range(2000)])
    assert bool((found[:, 3:] == 0).all())
    assert bool((found[:, :3].sort(1).values == torch.tensor([5, 7, 9])).all())
    law = {
        (a, b): counts[a] / 6 * counts[b] / (6 - counts[a])
        for a in counts
        for b in counts
        if a != b
    }
    pairs = list(law)
    places = [pairs.index((int(a), int(b))) for a, b in found[:, :2]]
    assert_law(places, list(law.values()))


def test_a_list_has_items_of_the_rows_of_all_processes() -> None:
    case = random_case(0)
    parts = torch.tensor([3, 4, 3]), torch.tensor([5, 1])
    lists = []
    for rank, own in enumerate(parts):
        sampler = build("mixed", case.catalogue, {"uniform_share": 0})
        assert isinstance(sampler, SharedList)
        sampler.divide(OneOfSeveral(rank, parts))
        assert sorted(sampler.sample_shared(own, own, 4).tolist()) == [1, 3, 4, 5]
        lists.append(sampler.sample_shared(own, own, 4).tolist())
    assert lists[0] != lists[1], "each process draws its own"


def test_a_list_is_no_longer_than_the_catalogue() -> None:
    case = random_case(0)
    sampler = build("mixed", case.catalogue)
    assert isinstance(sampler, SharedList)
    assert len(sampler.sample_shared(case.users, case.items, 99)) == 15
    assert sampler.list_length(40, 99) == 15
