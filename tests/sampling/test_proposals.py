"""Draws from a user's non-positives against exact probabilities; the facts of the catalogue."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from recbole_bns.sampling import Catalogue, Proposal, WeightedProposal, build, proposals, weighted
from recbole_bns.sampling.proposals import Draws, distinct_ranks, first_distinct
from recbole_bns.sampling.streams import uniform_integers, uniforms
from recbole_bns.testing import TableScorer

ITEMS = 12
TAKEN = {1: {1, 2, 5, 11}, 2: {3}, 3: set(range(1, 12)) - {4, 9}, 4: set(range(1, 12)), 5: set()}
"""Positives of user 0 (padding), 1, …, 5; user 4 has no negative, user 5 no positive."""
DRAWS = 100_000


def catalogue_of(taken: dict[int, set[int]], item_num: int = ITEMS, **options: Any) -> Catalogue:
    """Every pair once, in an order that is neither by user nor by item."""
    pairs = sorted((user * 7 % 5, -item, user) for user, items in taken.items() for item in items)
    users = torch.tensor([user for _, _, user in pairs])
    items = torch.tensor([-item for _, item, _ in pairs])
    return Catalogue(users, items, max(taken) + 1, item_num, **options)


def negatives(user: int) -> list[int]:
    return [item for item in range(1, ITEMS) if item not in TAKEN.get(user, set())]


def draw(proposal: Proposal, user: int, k: int) -> Tensor:
    """Distinct draws (DRAWS / k, k) of one user, behind rows of all others."""
    rows = DRAWS // k
    users = torch.full((rows + 6,), user)
    users[:6] = torch.arange(6)
    generator = torch.Generator().manual_seed(0)
    return proposal.draw(users, k, generator, distinct=k > 1)[6:]


def assert_law(draws: Tensor, law: dict[Any, float]) -> None:
    """Rows of ``draws`` are the keys of ``law``, in its proportions: chi-square at 1e-4.

    Keys are items, or tuples of them; those expected fewer than five times count as one.
    """
    place = 100 ** np.arange(draws.shape[1])
    codes = {int(np.atleast_1d(key) @ place): p for key, p in law.items() if p > 0}
    assert sum(codes.values()) == pytest.approx(1)
    values, counts = np.unique(draws.numpy() @ place, return_counts=True)
    seen = dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert set(seen) <= set(codes), "something impossible was drawn"
    observed = np.array([seen.get(code, 0) for code in codes])
    expected = np.array(list(codes.values())) * len(draws)
    rare = expected < 5
    if rare.any():
        observed = np.append(observed[~rare], observed[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    assert chisquare(observed, expected).pvalue > 1e-4


def successive(weights: dict[int, float], k: int) -> dict[tuple[int, ...], float]:
    """Law of k draws, each in proportion to the weights of what is left."""
    law = {}
    for row in itertools.permutations(weights, k):
        left, p = sum(weights.values()), 1.0
        for item in row:
            p *= weights[item] / left
            left -= weights[item]
        law[row] = p
    return law


@pytest.mark.parametrize("user", [0, 1, 2, 3, 5])
def test_uniform(user: int) -> None:
    free = negatives(user)
    drawn = draw(Proposal(catalogue_of(TAKEN)), user, 1)
    assert_law(drawn, {item: 1 / len(free) for item in free})


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("user", [1, 2])
def test_every_ordered_choice_is_equally_likely(user: int, k: int) -> None:
    choices = list(itertools.permutations(negatives(user), k))
    drawn = draw(Proposal(catalogue_of(TAKEN)), user, k)
    assert_law(drawn, dict.fromkeys(choices, 1 / len(choices)))


WEIGHTS = torch.tensor([50.0, 3, 8, 5, 0, 2, 9, 4, 0, 0, 6, 7])


def weights_of(user: int) -> dict[int, float]:
    return {item: float(WEIGHTS[item]) for item in negatives(user) if WEIGHTS[item] > 0}


@pytest.mark.parametrize("user", [0, 1, 2, 5])
def test_weighted(user: int) -> None:
    weights = weights_of(user)
    total = sum(weights.values())
    drawn = draw(WeightedProposal(catalogue_of(TAKEN), WEIGHTS), user, 1)
    assert_law(drawn, {item: weight / total for item, weight in weights.items()})


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("user", [1, 5])
def test_weighted_without_replacement(user: int, k: int) -> None:
    drawn = draw(WeightedProposal(catalogue_of(TAKEN), WEIGHTS), user, k)
    assert_law(drawn, successive(weights_of(user), k))


@pytest.fixture
def in_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Different draws as many of them are made, whatever their number."""
    monkeypatch.setattr(proposals, "MANY", 0)
    monkeypatch.setattr(weighted, "FEW", 0)


@pytest.mark.usefixtures("in_streams")
@pytest.mark.parametrize(("user", "k"), [(1, 2), (1, 3), (3, 2)])
def test_every_ordered_choice_is_equally_likely_in_a_stream(user: int, k: int) -> None:
    test_every_ordered_choice_is_equally_likely(user, k)


@pytest.mark.usefixtures("in_streams")
@pytest.mark.parametrize(("user", "k"), [(1, 2), (1, 3), (5, 2), (5, 3)])
def test_weighted_without_replacement_in_a_stream(user: int, k: int) -> None:
    test_weighted_without_replacement(user, k)


@pytest.mark.usefixtures("in_streams")
@pytest.mark.parametrize("weights", [None, torch.ones(ITEMS)])
def test_few_negatives_come_once_each_in_a_stream_too(weights: Tensor | None) -> None:
    test_few_negatives_come_once_each_then_nothing(weights)


def test_items_without_weight_come_last_and_uniformly() -> None:
    """User 1 has the weighted items 3, 6, 7, 10 and, without weight, 4, 8 and 9."""
    drawn = draw(WeightedProposal(catalogue_of(TAKEN), WEIGHTS), 1, 6)
    assert bool((drawn[:, :4].sort(1).values == torch.tensor([3, 6, 7, 10])).all())
    pairs = list(itertools.permutations([4, 8, 9], 2))
    assert_law(drawn[:, 4:], dict.fromkeys(pairs, 1 / len(pairs)))


def test_a_user_without_a_weighted_negative_is_served_uniformly() -> None:
    proposal = WeightedProposal(catalogue_of(TAKEN), WEIGHTS)
    assert negatives(3) == [4, 9]
    assert_law(draw(proposal, 3, 1), {4: 0.5, 9: 0.5})
    assert_law(draw(proposal, 3, 2), {(4, 9): 0.5, (9, 4): 0.5})
    nothing = WeightedProposal(catalogue_of(TAKEN), torch.zeros(ITEMS))
    free = negatives(1)
    assert_law(draw(nothing, 1, 1), {item: 1 / len(free) for item in free})


@pytest.mark.parametrize("weights", [None, WEIGHTS, torch.ones(ITEMS)], ids=str)
def test_few_negatives_come_once_each_then_nothing(weights: Tensor | None) -> None:
    catalogue = catalogue_of(TAKEN)
    proposal = Proposal(catalogue) if weights is None else WeightedProposal(catalogue, weights)
    users = torch.tensor([3, 4, 1, 5])
    rows = proposal.draw(users, 13, torch.Generator().manual_seed(0), distinct=True).tolist()
    for user, row in zip(users.tolist(), rows, strict=True):
        free = negatives(user)
        assert sorted(row[: len(free)]) == free
        assert row[len(free) :] == [0] * (13 - len(free))
    with_replacement = proposal.draw(torch.tensor([4]), 5, torch.Generator().manual_seed(0))
    assert with_replacement.tolist() == [[0] * 5]


def test_weights_far_apart_keep_their_order() -> None:
    """Of 1e15, 1, 1 and 0 the first takes all it can, the small ones share what it leaves."""
    weights = torch.tensor([0.0, 1e15, 1.0, 1.0, 0.0, 5.0], dtype=torch.float64)
    proposal = WeightedProposal(catalogue_of({1: {5}}, 6), weights)
    users = torch.ones(20_000, dtype=torch.long)
    rows = proposal.draw(users, 4, torch.Generator().manual_seed(0), distinct=True)
    assert bool((rows[:, 0] == 1).all())
    assert_law(rows[:, 1:], {(2, 3, 4): 0.5, (3, 2, 4): 0.5})


@pytest.mark.parametrize("seed", range(3))
def test_integers_stay_below_their_bound(seed: int) -> None:
    bound = torch.tensor([0, 1, 2, 3, 1 << 40]).repeat(5000, 1)
    drawn = uniform_integers(bound, torch.Generator().manual_seed(seed))
    assert bool((drawn >= 0).all())
    assert bool((drawn < bound.clamp(min=1)).all())
    assert_law(drawn[:, 3:4], dict.fromkeys(range(3), 1 / 3))
    assert float(drawn[:, 4].double().mean()) == pytest.approx(2**39, rel=0.03)


def test_uniforms_are_splitmix64() -> None:
    """The first outputs of the published generator for the seed 1234567."""
    wanted = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    given = uniforms(torch.tensor(1234567), torch.arange(3))
    assert given.tolist() == [(z >> 11) / (1 << 53) for z in wanted]


def test_distinct_ranks() -> None:
    generator = torch.Generator().manual_seed(1)
    rows = distinct_ranks(torch.full((60_000,), 4), torch.rand(60_000, 3, generator=generator))
    choices = list(itertools.permutations(range(4), 3))
    assert_law(rows, dict.fromkeys(choices, 1 / 24))
    short = distinct_ranks(
        torch.tensor([0, 1, 2, 5]), torch.rand(4, 4, generator=generator)
    ).tolist()
    assert [sorted(row) for row in short[:3]] == [[-1] * 4, [-1, -1, -1, 0], [-1, -1, 0, 1]]
    assert len(set(short[3]) & set(range(5))) == 4


@pytest.mark.parametrize("weighted", [False, True])
def test_announced_draws_have_the_same_law_and_no_row_is_served_twice(
    weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recbole_bns.sampling.proposals.AHEAD", 700)
    weights = torch.arange(ITEMS).double()
    catalogue = catalogue_of(TAKEN)
    proposal = WeightedProposal(catalogue, weights) if weighted else Proposal(catalogue)
    calls, draw = [], proposal._draw

    def counted(users: Tensor, *rest: Any) -> Tensor:
        calls.append(len(users))
        return draw(users, *rest)

    monkeypatch.setattr(proposal, "_draw", counted)
    generator = torch.Generator().manual_seed(1)
    coming = torch.ones(30_000, dtype=torch.long)
    announced = proposal.announce(coming)
    first, second = [], []
    for start in range(0, len(coming), 300):
        part = coming[start : start + 300]
        with announced.rows(start, start + 300, part):
            first.append(proposal.draw(part, 2, generator))
            second.append(proposal.draw(part, 2, generator))
    assert calls.count(350) + calls.count(300) == len(calls), "ahead, and again for a second call"
    assert not torch.equal(torch.cat(first), torch.cat(second))
    free = [item for item in range(1, ITEMS) if item not in TAKEN[1]]
    total = sum(item if weighted else 1 for item in free)
    law = {item: (item if weighted else 1) / total for item in free}
    assert_law(torch.cat(first).view(-1, 1), law)
    assert_law(torch.cat(second).view(-1, 1), law)
    pair = torch.cat(first)
    assert_law(pair, {(a, b): law[a] * law[b] for a in free for b in free})
    calls.clear()
    other = torch.full((300,), 2)
    with announced.rows(0, 300):
        assert bool((proposal.draw(other, 2, generator) != 3).all())
    proposal.draw(coming[:300], 2, generator)
    assert calls == [300, 300], "users who are not served get draws of their own"


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("k", [1, 3])
def test_a_copy_of_announced_users_draws_what_they_draw(weighted: bool, k: int) -> None:
    """Slices, copies, and copies in another layout or order of memory: values decide."""

    def drawn(copied: Callable[[Tensor], Tensor], named: bool) -> Tensor:
        catalogue, weights = catalogue_of(TAKEN), torch.arange(ITEMS).double()
        proposal = WeightedProposal(catalogue, weights) if weighted else Proposal(catalogue)
        generator = torch.Generator().manual_seed(1)
        coming = torch.tensor([1, 2, 3, 5]).repeat(200)
        announced, parts = proposal.announce(coming), []
        for start in range(0, len(coming), 100):
            users = copied(coming[start : start + 100])
            with announced.rows(start, start + 100, users if named else None):
                parts.append(proposal.draw(users, k, generator, distinct=k > 1))
        return torch.cat(parts)

    wanted = drawn(lambda users: users, True)
    assert torch.equal(drawn(lambda users: users, False), wanted)
    assert torch.equal(drawn(torch.clone, False), wanted)
    assert torch.equal(drawn(lambda users: torch.stack((users, users), 1)[:, 0], True), wanted)


def test_both_kinds_of_draws_are_proposals_and_neither_overrides_the_other() -> None:
    assert isinstance(Proposal(catalogue_of(TAKEN)), Proposal)
    assert isinstance(WeightedProposal(catalogue_of(TAKEN), WEIGHTS), Proposal)
    assert Proposal not in WeightedProposal.__mro__
    with pytest.raises(TypeError, match="abstract"):
        Draws(catalogue_of(TAKEN))  # type: ignore[abstract]


@pytest.mark.parametrize(
    ("k", "wanted"), [(1, [[7], [0]]), (2, [[7, 9], [0, 0]]), (5, [[7, 9, 3, 5, 0], [0] * 5])]
)
def test_first_distinct(k: int, wanted: list[list[int]]) -> None:
    stream = torch.tensor([[5, 0, 7, 7, 9, 3, 5], [0, 1, 1, 0, 2, 2, 2]])
    allowed = torch.tensor([[False, True, True, True, True, True, True], [True] + [False] * 6])
    assert first_distinct(stream, allowed, k).tolist() == wanted


def rank_law_of_dns(n: int, m: int, best: int, replacement: bool) -> list[float]:
    """P(the chosen negative is the r-th best of n), r = 1 … n: one of the ``best`` of m drawn.

    With replacement at least k of m draws rank r or better with probability
    ``sum_{j >= k} C(m, j) (r/n)^j (1 - r/n)^(m-j)``; without, of C(n, m) sets
    ``C(r-1, k-1) C(n-r, m-k)`` have r in place k.
    """

    def reached(r: int, k: int) -> float:
        q = r / n
        return sum(math.comb(m, j) * q**j * (1 - q) ** (m - j) for j in range(k, m + 1))

    law = [0.0] * n
    for k in range(1, best + 1):
        for r in range(1, n + 1):
            if replacement:
                p = reached(r, k) - reached(r - 1, k)
            else:
                p = math.comb(r - 1, k - 1) * math.comb(n - r, m - k) / math.comb(n, m)
            law[r - 1] += p / best
    return law


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize(("m", "best"), [(1, 1), (2, 1), (5, 1), (5, 2), (4, 4)])
def test_rank_that_dns_picks(m: int, best: int, replacement: bool) -> None:
    args = {"candidate_num": m, "best_num": best, "replacement": replacement}
    catalogue = catalogue_of(TAKEN)
    sampler = build("dns", catalogue, args, seed=m)
    scores = torch.randn(6, ITEMS, generator=torch.Generator().manual_seed(2))
    users = torch.full((DRAWS,), 1)
    ids = sampler.sample(users, users, 1, TableScorer(scores))
    by_score = sorted(negatives(1), key=lambda item: -float(scores[1, item]))
    law = rank_law_of_dns(len(by_score), m, best, replacement)
    assert_law(ids, dict(zip(by_score, law, strict=True)))


def random_pairs(seed: int) -> tuple[list[tuple[int, int]], int, int]:
    source = np.random.default_rng(seed)
    user_num, item_num = 9, 20
    pairs = [(int(u), int(i)) for u, i in source.integers(0, (user_num, item_num), (70, 2))]
    return pairs, user_num, item_num


@pytest.mark.parametrize("bitmap", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_catalogue_facts(seed: int, bitmap: bool) -> None:
    """Pairs are random, some repeated, some with padding 0, which is no item."""
    pairs, user_num, item_num = random_pairs(seed)
    users, items = torch.tensor(pairs).T
    catalogue = Catalogue(users, items, user_num, item_num, bitmap=bitmap)
    real = {pair for pair in pairs if pair[1] != 0}
    assert len(real) < sum(item != 0 for _, item in pairs) < len(pairs)
    assert (catalogue.bitmap is not None) is bitmap
    grid = [[(user, item) in real for item in range(item_num)] for user in range(user_num)]
    every = torch.arange(user_num)
    assert catalogue.positive_mask(every).tolist() == grid
    grid_items = torch.arange(item_num).expand(user_num, -1)
    assert catalogue.is_positive(every.unsqueeze(1), grid_items).tolist() == grid
    assert catalogue.negative_num.tolist() == [item_num - 1 - sum(row) for row in grid]
    counts = [sum(item == i for _, item in pairs) * (i > 0) for i in range(item_num)]
    assert catalogue.item_counts.tolist() == counts
    own = zip(catalogue.owners.tolist(), catalogue.positives.tolist(), strict=True)
    assert list(own) == sorted(real)
    for user in range(user_num):
        start, end = catalogue.indptr[user : user + 2].tolist()
        assert catalogue.positives[start:end].tolist() == [i for i in range(20) if grid[user][i]]


def test_bitmap_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recbole_bns.sampling.catalogue.BITMAP_LIMIT", 6 * 2)
    assert catalogue_of(TAKEN).bitmap is not None
    assert catalogue_of({**TAKEN, 6: {1}}).bitmap is None


@pytest.mark.parametrize("bitmap", [True, False])
def test_a_catalogue_without_interactions(bitmap: bool) -> None:
    nothing = torch.empty(0, dtype=torch.long)
    catalogue = Catalogue(nothing, nothing, 3, 5, bitmap=bitmap)
    assert not bool(catalogue.positive_mask(torch.arange(3)).any())
    law: Sequence[int] = range(1, 5)
    drawn = Proposal(catalogue).draw(torch.ones(9000).long(), 1, torch.Generator().manual_seed(0))
    assert_law(drawn, dict.fromkeys(law, 0.25))


def test_neither_the_order_of_pairs_nor_the_bitmap_changes_a_draw() -> None:
    pairs, user_num, item_num = random_pairs(4)
    drawn = []
    for order, bitmap in ((pairs, True), (pairs[::-1], False)):
        catalogue = Catalogue(*torch.tensor(order).T, user_num, item_num, bitmap=bitmap)
        users = torch.arange(user_num).repeat(20)
        drawn.append(Proposal(catalogue).draw(users, 3, torch.Generator().manual_seed(0)))
    assert torch.equal(*drawn)
