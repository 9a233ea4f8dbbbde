"""Priors of BNS against loops over the interactions, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys import Case, random_case, scorer_of

from recbole_bns.common.errors import UsageError
from recbole_bns.sampling import Catalogue, build


def prior_of(case: Case, prior: Any, side: dict[str, torch.Tensor] | None = None) -> torch.Tensor:
    """P(l) of every user and item, as the sampler looks it up: (U, I)."""
    sampler = build("bns", case.catalogue, {"prior": prior}, side=side)
    users = torch.arange(case.catalogue.user_num)
    return sampler.prior(users, torch.arange(len(case.counts)).expand(len(users), -1))


def slow_group_prior(case: Case, groups: list[int], user: int, item: int) -> float:
    """BNS-4: pop / N · (1 + Δ), Δ = (o_gl - mean o_gl) / max o_gl over the known groups."""
    share = case.counts[item] / sum(case.counts)
    by_group = [0] * (max(groups) + 1)
    for other, taken in case.taken.items():
        by_group[groups[other]] += item in taken
    known = by_group[1:]
    if groups[user] == 0 or max(known) == 0:
        return share
    delta = (by_group[groups[user]] - sum(known) / len(known)) / max(known)
    return min(max(share * (1 + delta), 0), 1)


@pytest.mark.parametrize("seed", range(4))
def test_prior_of_user_groups(seed: int) -> None:
    case = random_case(seed)
    groups = [0, 1, 2, 2, 3, 1, 0]
    given = prior_of(case, "occupation", {"user:occupation": torch.tensor(groups)})
    for user in range(7):
        wanted = [slow_group_prior(case, groups, user, item) for item in range(16)]
        assert given[user].tolist() == pytest.approx(wanted, abs=1e-6)
    assert len({round(float(x), 6) for x in given[1:, 1:].flatten()}) > 10


def test_prior_of_users_whose_groups_are_unknown_is_popularity() -> None:
    case = random_case(0)
    unknown = {"user:age": torch.zeros(7, dtype=torch.long)}
    assert torch.equal(prior_of(case, "age", unknown), prior_of(case, "popularity"))


def test_uniform_and_popularity() -> None:
    case = random_case(1)
    share = [count / sum(case.counts) for count in case.counts]
    assert prior_of(case, "popularity")[3].tolist() == pytest.approx(share)
    assert prior_of(case, "uniform")[3, 1:].tolist() == pytest.approx([1 / 15] * 15)


def test_oracle_sees_the_held_out_items_and_its_name_says_so() -> None:
    case = random_case(2)
    held_out = torch.tensor([[1, 1, 4], [9, 3, 9]])
    given = prior_of(case, "oracle", {"held_out": held_out})
    wanted = torch.full((7, 16), (0 - 0.2) ** 2)
    wanted[held_out[0], held_out[1]] = (1 - 0.2) ** 2
    assert torch.allclose(given, wanted)
    sampler = build("bns", case.catalogue, {"prior": "oracle"}, side={"held_out": held_out})
    assert sampler.label == "bns (oracle: sees test labels)"


def test_oracle_steers_away_from_the_held_out_item() -> None:
    """Of two items with the same score the one that is held out has the greater risk."""
    catalogue = Catalogue(torch.tensor([1]), torch.tensor([1]), 2, 4)
    scorer = scorer_of([[0.0] * 4, [0.0, 0.0, 1.0, 1.0]])
    one = torch.ones(50, dtype=torch.long)
    for held_out, chosen in ((2, 3), (3, 2)):
        args = {"prior": "oracle", "candidate_num": 2}
        side = {"held_out": torch.tensor([[1], [held_out]])}
        ids = build("bns", catalogue, args, side=side).sample(one, one, 1, scorer)
        assert bool((ids == chosen).all())


def test_own_array_of_items_of_pairs_and_from_a_file(tmp_path: Path) -> None:
    case = random_case(3)
    table = np.random.default_rng(0).random((7, 16))
    np.save(tmp_path / "p.npy", table)
    for source in (table, torch.tensor(table), str(tmp_path / "p.npy")):
        assert prior_of(case, source).numpy() == pytest.approx(table)
    assert prior_of(case, table[2])[5].numpy() == pytest.approx(table[2])


WRONG = [
    (
        np.zeros(15),
        "neg_sampler_args.prior: got an array of shape (15,), allowed is (16,) or (7, 16): "
        "RecBole's internal ids, padding 0 included.",
    ),
    (
        np.full(16, 1.5),
        "neg_sampler_args.prior: the array has values outside [0, 1] or NaN.",
    ),
    (
        np.array([np.nan] * 16),
        "neg_sampler_args.prior: the array has values outside [0, 1] or NaN.",
    ),
]


@pytest.mark.parametrize(("array", "sentence"), WRONG, ids=["shape", "range", "nan"])
def test_own_array_that_cannot_be_a_prior(array: np.ndarray, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        prior_of(random_case(0), array)
    assert str(error.value) == sentence


def test_own_file_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"^neg_sampler_args.prior: cannot read 'no/such.npy' as"):
        prior_of(random_case(0), "no/such.npy")
