"""In-batch negatives against a loop over the rows of a batch."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import Tensor
from toys import Case, OneOfSeveral, assert_law, random_case

from recbole_bns.sampling import Catalogue, NegativeSampler, SharedList, build
from recbole_bns.sampling.methods.inbatch import InBatch, draw_in_batch, of_other_rows
from recbole_bns.sampling.streams import TRIES, new_key


def popular_law(case: Case, user: int) -> list[float]:
    """Popularity over the user's negatives, of every id."""
    counts = [
        0 if item == 0 or item in case.taken[user] else count
        for item, count in enumerate(case.counts)
    ]
    return [count / sum(counts) for count in counts]


def slow_law(case: Case, users: list[int], items: list[int], row: int) -> list[float]:
    """p(j) for a row of this batch: an item of another row, or by popularity if none is found."""
    user = users[row]
    others = [item for place, item in enumerate(items) if place != row]
    free = [item for item in others if item not in case.taken[user]]
    missed = (1 - len(free) / len(others)) ** TRIES if others else 1.0
    popular = popular_law(case, user)
    return [
        (1 - missed) * (free.count(item) / len(free) if free else 0) + missed * popular[item]
        for item in range(len(case.counts))
    ]


def batch_of(case: Case, rows: int) -> tuple[list[int], list[int]]:
    """Rows of the case's interactions, as many as there are."""
    pairs = [(user, item) for user in case.taken for item in sorted(case.taken[user])]
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(5))[:rows]
    users, items = zip(*[pairs[place] for place in order.tolist()], strict=True)
    return list(users), list(items)


def drawn_at_once(sampler: NegativeSampler, users: Tensor, items: Tensor, times: int) -> Tensor:
    """Independent draws ``(B, times)`` as the sampler makes them one by one."""
    assert isinstance(sampler, InBatch)
    before = sampler.generator.get_state()
    for _ in range(3):
        state = sampler.generator.get_state()
        one = sampler.sample(users, items, 1, None)
        sampler.generator.set_state(state)
        alike = draw_in_batch(sampler.weighted, users, items, 1, sampler.generator)
        assert torch.equal(one, alike)
    sampler.generator.set_state(before)
    return draw_in_batch(sampler.weighted, users, items, times, sampler.generator)


@pytest.mark.parametrize("rows", [2, 3, 9])
@pytest.mark.parametrize("seed", [0, 1])
def test_law_in_a_batch(seed: int, rows: int) -> None:
    case = random_case(seed)
    users, items = batch_of(case, rows)
    batch = torch.tensor(users), torch.tensor(items)
    drawn = drawn_at_once(build("inbatch", case.catalogue, seed=seed), *batch, 2500)
    for row in range(rows):
        assert_law(drawn[row], slow_law(case, users, items, row))


def test_a_batch_of_one_row_is_served_by_popularity() -> None:
    case = random_case(2)
    sampler = build("inbatch", case.catalogue, seed=1)
    user, item = torch.tensor([[3], [min(case.taken[3])]])
    assert_law(drawn_at_once(sampler, user, item, 2500), popular_law(case, 3))


def test_no_row_gives_itself_its_own_item() -> None:
    """Told apart by place: here no item is a positive of anybody."""
    nobody = Catalogue(torch.tensor([1]), torch.tensor([49]), 50, 50)
    rows = torch.arange(1, 41)
    key = new_key(torch.Generator().manual_seed(1))
    ids = of_other_rows(nobody, rows, rows, 30, key)
    assert not bool((ids == rows.unsqueeze(1)).any())
    assert len(ids.unique()) == 40


def test_logarithms_are_of_popularity() -> None:
    case = random_case(1)
    sampler = build("inbatch", case.catalogue)
    assert isinstance(sampler, SharedList)
    known = [item for item in range(1, 16) if case.counts[item]]
    shared = [log(case.counts[item] / sum(case.counts)) for item in known]
    assert sampler.shared_log_prob(torch.tensor(known)).tolist() == pytest.approx(shared)
    free = sum(case.counts[item] for item in case.negatives(2))
    found = sampler.log_prob(torch.tensor([2]), torch.tensor([known]))
    assert found is not None
    own = [log(case.counts[item] / free) for item in known]
    assert found[0].tolist() == pytest.approx(own, abs=1e-6)


def test_an_item_without_interactions_counts_as_the_least_popular() -> None:
    users, items = torch.tensor([[1, 2, 3, 1, 2], [1, 1, 1, 2, 2]])
    sampler = build("inbatch", Catalogue(users, items, 4, 5))
    assert isinstance(sampler, SharedList)
    found = sampler.shared_log_prob(torch.tensor([1, 2, 3, 4])).exp().tolist()
    assert found == pytest.approx([0.6, 0.4, 0.4, 0.4])


def test_a_list_is_the_batch_of_all_processes() -> None:
    case = random_case(0)
    parts = torch.tensor([3, 4, 3]), torch.tensor([5, 1])
    for rank, own in enumerate(parts):
        sampler = build("inbatch", case.catalogue)
        assert isinstance(sampler, SharedList)
        assert torch.equal(sampler.sample_shared(own, own, 99), own)
        assert sampler.only_shared
        sampler.divide(OneOfSeveral(rank, parts))
        assert sampler.sample_shared(own, own, 99).tolist() == [3, 4, 3, 5, 1]
        assert sampler.list_length(5, 99) == 5
