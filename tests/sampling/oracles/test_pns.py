"""PNS against r_j ** a over the user's non-positives."""

from __future__ import annotations

from math import log

import pytest
import torch
from toys import POPULARITY, POSITIVES, assert_law, random_case, toy_catalogue

from recbole_bns.sampling import Catalogue, SharedList, build
from recbole_bns.sampling.weighted import popularity_weights


def slow_law(counts: list[int], taken: set[int], exponent: float) -> list[float]:
    """p(j | u) of every id, padding included."""
    weights = [0.0] * len(counts)
    for item in range(1, len(counts)):
        if item not in taken:
            weights[item] = counts[item] ** exponent
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize("exponent", [0.75, 1.0, 2.5])
@pytest.mark.parametrize("seed", [0, 1])
def test_law_counts_repetitions_and_leaves_positives_out(seed: int, exponent: float) -> None:
    case = random_case(seed)
    sampler = build("pns", case.catalogue, {"exponent": exponent}, seed=seed)
    for user in (2, 5):
        users = torch.full((20_000,), user)
        law = slow_law(case.counts, case.taken[user], exponent)
        assert_law(sampler.sample(users, users, 1, None), law)


def test_law_of_the_toy_whose_item_4_has_no_interaction() -> None:
    sampler = build("pns", toy_catalogue(), seed=1)
    users = torch.ones(30_000, dtype=torch.long)
    law = slow_law([0, *POPULARITY], {item + 1 for item in POSITIVES}, 0.75)
    assert law[5] == 0
    assert_law(sampler.sample(users, users, 1, None), law)


def test_a_user_whose_negatives_have_no_interaction_is_served_uniformly() -> None:
    users, items = torch.tensor([[1, 1, 2], [1, 2, 1]])
    sampler = build("pns", Catalogue(users, items, 3, 6), seed=1)
    first, second = torch.tensor([[1], [2]]).expand(-1, 20_000)
    assert_law(sampler.sample(first, first, 1, None), [0, 0, 0, 1 / 3, 1 / 3, 1 / 3])
    assert bool((sampler.sample(second, second, 1, None) == 2).all())


def test_weights() -> None:
    weights = popularity_weights(torch.tensor([0, 16, 1, 0]), 0.75)
    assert weights.tolist() == [0, 8, 1, 0]
    assert popularity_weights(torch.tensor([0, 16]), 0.0).tolist() == [1, 1]


def test_several_negatives_go_on_to_items_without_interaction_only_at_the_end() -> None:
    sampler = build("pns", toy_catalogue(), seed=1)
    users = torch.ones(500, dtype=torch.long)
    ids = sampler.sample(users, users, 6, None)
    assert bool((ids[:, 5] == 5).all())
    assert bool((ids.sort(1).values == torch.tensor([2, 3, 4, 5, 7, 8])).all())


@pytest.mark.parametrize("exponent", [0.0, 0.75, 2.0])
def test_a_list_is_drawn_by_popularity_whoever_has_the_items(exponent: float) -> None:
    case = random_case(1)
    sampler = build("pns", case.catalogue, {"exponent": exponent}, seed=1)
    assert isinstance(sampler, SharedList)
    law = slow_law(case.counts, set(), exponent)
    assert_law(sampler.sample_shared(case.users, case.items, 20_000), law)
    known = [item for item in range(1, 16) if law[item]]
    wanted = [log(law[item]) for item in known]
    assert sampler.shared_log_prob(torch.tensor(known)).tolist() == pytest.approx(wanted)


def test_a_list_without_any_interaction_is_uniform() -> None:
    nobody = Catalogue(torch.tensor([1]), torch.tensor([0]), 2, 6)
    sampler = build("pns", nobody, seed=1)
    assert isinstance(sampler, SharedList)
    nothing = torch.empty(0, dtype=torch.long)
    assert_law(sampler.sample_shared(nothing, nothing, 20_000), [0, *[0.2] * 5])
    assert sampler.shared_log_prob(torch.tensor([5])).tolist() == pytest.approx([-log(5)])


def test_logarithm_of_a_draw_also_of_positives() -> None:
    case = random_case(4)
    sampler = build("pns", case.catalogue, {"exponent": 1.5})
    known = [item for item in range(1, 16) if case.counts[item]]
    for user in range(1, 7):
        free = sum(case.counts[item] ** 1.5 for item in case.negatives(user))
        found = sampler.log_prob(torch.tensor([user]), torch.tensor([known]))
        assert found is not None
        wanted = [log(case.counts[item] ** 1.5 / free) for item in known]
        assert found[0].tolist() == pytest.approx(wanted, abs=1e-5)


def test_logarithms_of_what_only_a_user_without_better_gets() -> None:
    """User 1 has all that has interactions; to user 2 items 3 to 5 count as the least popular."""
    users, items = torch.tensor([[1, 1, 2, 2], [1, 2, 1, 1]])
    sampler = build("pns", Catalogue(users, items, 3, 6), {"exponent": 1})
    found = sampler.log_prob(torch.tensor([1, 2]), torch.tensor([[3, 1], [3, 1]]))
    assert found is not None
    assert found.exp().tolist() == [pytest.approx([1 / 3, 1 / 3]), pytest.approx([1, 3])]
