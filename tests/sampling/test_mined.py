"""Mined positives: the table against a slow loop, the law of a draw, what is no negative."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import Schedule
from recbole_bns.sampling import Catalogue, build
from recbole_bns.sampling.mined import (
    Mined,
    MineParams,
    Miner,
    WithMined,
    best_items,
    law,
    mined_items,
)
from recbole_bns.sampling.priors import pairs
from recbole_bns.sampling.priors.build import build_prior

USERS, ITEMS = 9, 14


def catalogue_of(seed: int = 3) -> Catalogue:
    """Users with 1 to 12 of 13 items, one with none and one with all."""
    source = np.random.default_rng(seed)
    found = []
    for user, number in enumerate([1, 3, 5, 12, 0, 13, 4, 6], start=1):
        found += [(user, 1 + item) for item in source.permutation(ITEMS - 1)[:number].tolist()]
    users, items = torch.tensor(found).T
    return Catalogue(users, items, USERS, ITEMS)


def values_of(prior: Any, catalogue: Catalogue) -> np.ndarray:
    """``(U, I)`` values of a prior, asked for pair by pair."""
    table = np.zeros((USERS, ITEMS))
    for user in range(USERS):
        for item in range(ITEMS):
            pair = torch.tensor([user]), torch.tensor([[item]])
            table[user, item] = float(prior(*pair))
    return table


def slowly(
    values: np.ndarray, taken: set[tuple[int, int]], k: int, exponent: float, full: int
) -> Any:
    """For each user its items and their probabilities, as the module's text has it."""
    found: dict[int, dict[int, float]] = {}
    for user in range(1, USERS):
        free = [item for item in range(1, ITEMS) if (user, item) not in taken]
        best = sorted(
            (item for item in free if values[user, item] > 0),
            key=lambda item: (-values[user, item], item),
        )[: min(round(k * factor(ITEMS - 1 - len(free), full)), len(free) // 2)]
        total = sum(values[user, item] ** exponent for item in best)
        found[user] = {item: values[user, item] ** exponent / total for item in best}
    return found


def factor(size: int, full: int) -> float:
    return min(1.0, full / size) if full and size else 1.0


def as_laws(mined: Mined) -> dict[int, dict[int, float]]:
    steps = np.diff(mined.cumulative.double().numpy(), prepend=0.0, axis=1)
    return {
        user: {
            int(item): float(step)
            for item, step in zip(mined.ids[user], steps[user], strict=True)
            if item
        }
        for user in range(1, USERS)
    }


def taken_in(catalogue: Catalogue) -> set[tuple[int, int]]:
    return set(zip(catalogue.owners.tolist(), catalogue.positives.tolist(), strict=True))


# --- The table ---------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", ["ease", "itemknn", "popularity"])
@pytest.mark.parametrize(
    ("k", "exponent", "full"),
    [(1, 2.0, 0), (3, 1.0, 0), (4, 0.0, 3), (50, 2.5, 0), (4, 1.0, 10), (10**30, 1.0, 3)],
)
def test_the_table_is_that_of_a_slow_loop(prior: str, k: int, exponent: float, full: int) -> None:
    catalogue = catalogue_of()
    params = MineParams(prior=prior, prior_l2=2.0, items=k, exponent=exponent, full_until=full)
    values = values_of(build_prior(params, catalogue, {}), catalogue)
    expected = slowly(values, taken_in(catalogue), k, exponent, full)
    found = as_laws(mined_items(catalogue, params, {}))
    assert {user: list(law) for user, law in found.items()} == {
        user: list(law) for user, law in expected.items()
    }
    for user, probabilities in expected.items():
        assert found[user] == pytest.approx(probabilities, abs=1e-6)
    assert (found[5] == {}) == (prior != "popularity")  # nothing is known of who has no history
    assert found[6] == {}  # who has everything
    assert (
        full or len(found[1]) == min(k, 6) or prior != "popularity"
    )  # half of what the user has not


def test_a_prior_without_a_table_gives_the_same_block_by_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    catalogue = catalogue_of()
    params = MineParams(prior_l2=2.0, prior_items=4, items=3)
    whole = mined_items(catalogue, params, {})
    monkeypatch.setattr(pairs, "TABLE_LIMIT", 0)
    monkeypatch.setattr(pairs, "VALUES_AT_ONCE", 3 * ITEMS)
    assert isinstance(build_prior(params, catalogue, {}), pairs.NeighbourPairs)
    summed = mined_items(catalogue, params, {})
    assert torch.equal(whole.ids, summed.ids)
    torch.testing.assert_close(whole.cumulative, summed.cumulative, atol=2e-3, rtol=0)
    assert bool(whole.ids.any())


def test_equals_go_by_their_ids_and_nothing_below_zero_is_best() -> None:
    values = torch.tensor(
        [[9.0, 0.5, 2.0, 0.5, -1.0, 2.0], [0.0, -0.0, 0.0, 1e-40, float("nan"), -3.0]]
    )
    ids, found = best_items(values, 4)
    assert ids.tolist() == [[2, 5, 1, 3], [3, 0, 0, 0]]
    assert found[0].tolist() == [2.0, 2.0, 0.5, 0.5]
    assert found[1, 1:].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("k", [1, 3, 7, 40])
def test_of_equals_at_the_last_place_the_smaller_id_is_taken(k: int) -> None:
    source = np.random.default_rng(k)
    values = torch.from_numpy(source.integers(-2, 6, (200, 40))).float() / 4
    ids, found = best_items(values, k)
    for row, row_ids, row_found in zip(values.tolist(), ids.tolist(), found.tolist(), strict=True):
        best = sorted((-value, item) for item, value in enumerate(row) if item and value > 0)[:k]
        assert row_ids == [item for _, item in best] + [0] * (k - len(best))
        assert row_found == [-value for value, _ in best] + [0.0] * (k - len(best))


def test_a_law_ends_at_one_exactly_and_survives_great_exponents() -> None:
    source = np.random.default_rng(0)
    values = torch.from_numpy(source.random((500, 7))).float().sort(1, descending=True).values
    values[:, 5:] = 0
    values[0] = 0
    found = law(values, 400.0)
    assert bool((found[1:, 4:] == 1).all())
    assert bool((found[0] == 0).all())
    assert bool((found[:, 1:] >= found[:, :-1]).all())


def test_an_own_table_that_is_none_is_refused_by_its_setting(tmp_path: Any) -> None:
    np.save(tmp_path / "p.npy", np.zeros((2, 2)))
    for prior, words in (
        (str(tmp_path / "p.npy"), r"mine\.prior: got an array of shape \(2, 2\), allowed is"),
        (str(tmp_path / "no.npy"), r"mine\.prior: cannot read"),
    ):
        with pytest.raises(UsageError, match=words):
            mined_items(catalogue_of(), MineParams(prior=prior), {})


# --- Draws -------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [0, 3])
def test_draws_follow_the_law(full: int) -> None:
    catalogue = catalogue_of()
    params = MineParams(prior="popularity", items=4, exponent=1.5, full_until=full)
    mined = mined_items(catalogue, params, {})
    expected = as_laws(mined)
    miner = Miner(mined, 0.3, seed=5)
    rows = 20_000
    users = torch.arange(rows) % 8 + 1
    items, is_mined = miner.replace(users, torch.full((rows,), 77))
    assert bool((items[~is_mined] == 77).all())
    for user in range(1, USERS):
        mine = users == user
        counts = Counter(items[mine & is_mined].tolist())
        share = float((mine & is_mined).sum() / mine.sum())
        if not expected[user]:
            assert share == 0
            continue
        size = int(catalogue.indptr.diff()[user])
        assert share == pytest.approx(0.3 * factor(size, full), abs=0.04)
        assert set(counts) == set(expected[user])
        observed = [counts[item] for item in expected[user]]
        law_ = np.array(list(expected[user].values()))
        if len(observed) > 1:
            assert chisquare(observed, law_ / law_.sum() * sum(observed)).pvalue > 1e-4


@pytest.mark.parametrize(("share", "most"), [(0.0, 0), (1.0, 7)])
def test_all_or_none_make_way(share: float, most: int) -> None:
    mined = mined_items(catalogue_of(), MineParams(prior="popularity", items=2), {})
    users = torch.arange(1, USERS)
    items, is_mined = Miner(mined, share, 0).replace(users, torch.zeros(8, dtype=torch.long))
    assert int(is_mined.sum()) == most - (most > 0)  # two have nothing to be mined
    assert bool((items > 0).equal(is_mined))


def test_a_known_dislike_is_never_mined() -> None:
    catalogue, params = catalogue_of(), MineParams(prior="popularity", items=4)
    free = mined_items(catalogue, params, {})
    first = free.ids[1:, 0]
    users = torch.arange(1, USERS)[first > 0]
    told = torch.stack([users, first[first > 0]])
    mined = mined_items(catalogue, params, {"known_negatives": told})
    assert not bool((mined.ids[users] == told[1].unsqueeze(1)).any())
    assert torch.equal(mined.ids[users, 0], free.ids[users, 1])


def test_an_epochs_draws_are_its_own_whatever_was_drawn_before() -> None:
    mined = mined_items(catalogue_of(), MineParams(prior="popularity", items=4), {})
    users = torch.arange(160) % 8 + 1
    nothing = torch.zeros_like(users)

    def drawn(miner: Miner, epoch: int, batches: int = 2) -> list[list[int]]:
        miner.begin_epoch(epoch)
        return [miner.replace(users, nothing)[0].tolist() for _ in range(batches)]

    first = Miner(mined, 0.5, 1)
    one, two = drawn(first, 0), drawn(first, 1)
    assert one[0] != one[1]
    assert one != two
    again = Miner(mined, 0.5, 1)
    drawn(again, 0, 5)
    assert drawn(again, 1) == two
    assert drawn(Miner(mined, 0.5, 2), 1) != two


def test_a_share_moves_with_the_epochs() -> None:
    mined = mined_items(catalogue_of(), MineParams(prior="popularity", items=2), {})
    miner = Miner(mined, Schedule(0.8, -0.4, 0.0), 0)
    users = torch.full((4000,), 2)
    for epoch, share in enumerate((0.8, 0.4, 0.0, 0.0)):
        miner.begin_epoch(epoch)
        found = miner.replace(users, users)[1].float().mean()
        assert float(found) == pytest.approx(share, abs=0.05)


# --- What is no negative -----------------------------------------------------------------------


def test_what_may_be_mined_is_no_negative_and_else_all_stays() -> None:
    catalogue = catalogue_of()
    mined = mined_items(catalogue, MineParams(prior="popularity", items=3), {})
    both = WithMined(catalogue, mined)
    expected = taken_in(catalogue) | set(zip(*(x.tolist() for x in mined.pairs), strict=True))
    assert taken_in(both) == expected
    assert len(expected) > len(catalogue.positives)
    assert torch.equal(both.item_counts, catalogue.item_counts)
    assert both.observed is catalogue
    assert catalogue.observed is catalogue
    some = catalogue.negative_num > 0
    assert bool((both.negative_num[some] > 0).all())
    assert (both.bitmap is None) == (catalogue.bitmap is None)
    users = torch.tensor([1, 2, 3, 4, 7, 8]).repeat(200)
    ids = build("rns", both).sample(users, users, 1, None).squeeze(1)
    assert not bool(both.is_positive(users, ids).any())


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("spare", [1, 3, 50, 10**30])
def test_the_best_are_spared_of_every_user_alike(spare: int, share: float) -> None:
    catalogue = catalogue_of()
    params = MineParams(
        prior="popularity", items=4, exponent=1, full_until=3, spare=spare, share=share
    )
    values = values_of(build_prior(params, catalogue, {}), catalogue)
    taken = taken_in(catalogue)
    mined = mined_items(catalogue, params, {})
    laws = slowly(values, taken, 4, 1.0, 3) if share else {}
    best = slowly(values, taken, spare, 1.0, 0)
    for user in range(1, USERS):
        spared = [int(item) for item in mined.ids[user] if item]
        mined_of = list(laws.get(user, {}))
        assert spared == max(mined_of, list(best[user]), key=len)
        drawn = {item: p for item, p in as_laws(mined)[user].items() if p > 0}
        assert drawn == pytest.approx(laws.get(user, {}), abs=1e-6)


@pytest.mark.parametrize("prior", ["ease", "itemknn", "popularity"])
def test_the_prior_of_a_sampler_learns_of_interactions_alone(prior: str) -> None:
    catalogue = catalogue_of()
    both = WithMined(catalogue, mined_items(catalogue, MineParams(items=3, prior_l2=2.0), {}))
    args = {"prior": prior, "candidate_num": 2}
    one, other = (build("bns", each, args).prior for each in (catalogue, both))
    users = torch.arange(USERS)
    items = torch.arange(ITEMS).expand(USERS, -1)
    assert torch.equal(one(users, items), other(users, items))
