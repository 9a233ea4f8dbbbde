"""Each measure against a slow loop over its definition, and against closed forms."""

from __future__ import annotations

import math
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recbole_bns.sampling import Catalogue, build
from recbole_bns.training.recording import quality


def case(seed: int) -> dict[str, Any]:
    source = torch.Generator().manual_seed(seed)
    return {
        "positive": torch.randn(101, generator=source),
        "negative": torch.randn(101, generator=source),
        "is_false": torch.rand(101, generator=source) < 0.3,
    }


@pytest.mark.parametrize("seed", range(3))
def test_tnr_and_inf_follow_the_papers_formulas(seed: int) -> None:
    given = case(seed)
    true = [not false for false in given["is_false"].tolist()]
    info = [
        1 - 1 / (1 + math.exp(-(i - j)))
        for i, j in zip(given["positive"].tolist(), given["negative"].tolist(), strict=True)
    ]
    signed = [value if good else -value for value, good in zip(info, true, strict=True)]
    assert quality.true_negative_rate(given["is_false"]) == pytest.approx(sum(true) / 101)
    found = quality.information(given["positive"], given["negative"])
    assert found.tolist() == pytest.approx(info, rel=1e-5)
    assert quality.mean(found) == pytest.approx(sum(info) / 101)
    inf = quality.informativeness(found, given["is_false"])
    assert inf == pytest.approx(sum(signed) / 101, rel=1e-5)


@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_hardness_is_the_median_ratio(size: int) -> None:
    given = case(size)
    ratios = sorted((given["negative"] / given["positive"])[:size].tolist())
    middle = (ratios[(size - 1) // 2] + ratios[size // 2]) / 2
    found = quality.hardness(given["positive"][:size], given["negative"][:size])
    assert found == pytest.approx(middle, rel=1e-5)


def test_a_positive_near_zero_does_not_move_hardness() -> None:
    positive, negative = torch.tensor([1.0, 1e-30, 1.0, 0.0]), torch.tensor([0.5, 1.0, 0.7, 0.0])
    assert quality.hardness(positive, negative) == pytest.approx(0.7)


def slow_gini(values: list[float]) -> float:
    average = sum(values) / len(values)
    gaps = [abs(a - b) for a, b in product(values, values)]
    return sum(gaps) / len(gaps) / 2 / average


@pytest.mark.parametrize("seed", range(3))
def test_popularity_and_concentration_by_brute_force(seed: int) -> None:
    source = np.random.default_rng(seed)
    popularity, draws = source.integers(0, 9, 12), source.integers(0, 5, 12)
    drawn = [float(popularity[item]) for item in range(12) for _ in range(draws[item])]
    weights, values = torch.tensor(draws), torch.tensor(popularity)
    mean = quality.mean_popularity(weights, values)
    assert mean == pytest.approx(sum(drawn) / len(drawn))
    assert quality.gini(values, weights) == pytest.approx(slow_gini(drawn))
    assert quality.gini(weights) == pytest.approx(slow_gini([float(d) for d in draws]))
    seen = {item for item in range(1, 12) if draws[item]}
    assert quality.coverage(weights) == pytest.approx(len(seen) / 11)


@pytest.mark.parametrize("size", [2, 5])
def test_gini_in_closed_form(size: int) -> None:
    assert quality.gini(torch.full((size,), 3.0)) == pytest.approx(0)
    one = torch.zeros(size)
    one[0] = 4
    assert quality.gini(one) == pytest.approx((size - 1) / size)
    line = torch.arange(1.0, size + 1)
    assert quality.gini(line) == pytest.approx((size - 1) / (3 * size))
    assert quality.gini(torch.zeros(size)) == 0


@pytest.mark.parametrize("size", [10, 10**9])
def test_repeats_are_counted_from_the_second_on(size: int) -> None:
    keys = [9, 1, 7, 1, 4, 1, 7]
    found = quality.repeated_share(torch.tensor(keys), size)
    assert found == pytest.approx(1 - len(set(keys)) / 7)


def test_nothing_drawn_is_no_number() -> None:
    none = torch.tensor([])
    for value in (
        quality.true_negative_rate(none),
        quality.informativeness(none, none.bool()),
        quality.hardness(none, none),
        quality.mean_popularity(torch.zeros(3), torch.ones(3)),
        quality.gini(none),
        quality.repeated_share(none, 1),
        quality.coverage(none),
    ):
        assert math.isnan(value)


@pytest.mark.parametrize("bins", [1, 5])
def test_histogram_counts_every_score_once(bins: int) -> None:
    given = case(0)
    scores, is_false = given["positive"], given["is_false"]
    edges, true, false = quality.score_histogram(scores, is_false, bins)
    for counts, kind in ((true, ~is_false), (false, is_false)):
        slow = np.histogram(scores[kind].double().numpy(), edges.numpy())[0]
        assert counts.tolist() == slow.tolist()
    assert int(true.sum() + false.sum()) == 101
    assert all(a < b for a, b in pairwise(edges.tolist()))


def test_histogram_of_equal_scores_and_of_none() -> None:
    edges, true, false = quality.score_histogram(torch.ones(4), torch.tensor([True] + [False] * 3))
    assert (int(true.sum()), int(false.sum()), float(edges[0])) == (3, 1, 1.0)
    with pytest.raises(ValueError, match="scores"):
        quality.score_histogram(torch.tensor([]), torch.tensor([]).bool())


def uniform_case() -> tuple[Catalogue, Catalogue, Tensor]:
    """Five users with 3, 6, ... positives of 30, some held-out items, and each positive's user."""
    source = np.random.default_rng(5)
    train, held = [], []
    for user in range(1, 6):
        items = source.permutation(np.arange(1, 31))
        train += [(user, item) for item in items[: 3 * user]]
        held += [(user, item) for item in items[3 * user : 5 * user]]
    pairs = [torch.tensor(np.array(part)).T for part in (train, held)]
    catalogues = [Catalogue(users, items, 6, 31) for users, items in pairs]
    return catalogues[0], catalogues[1], pairs[0][0]


def test_uniform_negatives_have_the_tnr_of_the_users_negatives() -> None:
    catalogue, held_out, users = uniform_case()
    negatives = catalogue.negative_num[users].double()
    false = held_out.indptr.diff()[users].double()
    expected = float((1 - false / negatives).mean())
    users = users.repeat(2000)
    ids = build("rns", catalogue, seed=3).sample(users, users, 1, None)[:, 0]
    is_false = held_out.is_positive(users, ids)
    error = math.sqrt(expected * (1 - expected) / len(users))
    assert abs(quality.true_negative_rate(is_false) - expected) < 4 * error
    half = torch.full((len(ids),), 0.5)
    assert abs(quality.informativeness(half, is_false) - (expected - 0.5)) < 4 * error


def test_uniform_negatives_have_the_users_mean_popularity_and_cover_everything() -> None:
    catalogue, _, users = uniform_case()
    items, counts = torch.arange(1, 31), catalogue.item_counts.double()
    free = ~catalogue.is_positive(users.unsqueeze(1), items)
    expected = float(((free * counts[1:]).sum(1) / free.sum(1)).mean())
    users = users.repeat(2000)
    ids = build("rns", catalogue, seed=4).sample(users, users, 1, None)[:, 0]
    draws = torch.bincount(ids, minlength=31)
    assert quality.mean_popularity(draws, counts) == pytest.approx(expected, rel=0.02)
    assert quality.coverage(draws) == 1
    keys = users * 31 + ids
    assert quality.repeated_share(keys, 6 * 31) == pytest.approx(
        1 - int(free.view(-1, 30).unique(dim=0).sum()) / len(keys)
    )
