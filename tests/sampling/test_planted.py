"""Planted false negatives: always one of them among what is chosen from, and no other held-out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from recbole_bns import UsageError
from recbole_bns.sampling import CandidateSampler, Catalogue, available, build
from recbole_bns.sampling.methods.srns import SRNS
from recbole_bns.sampling.planted import Plantable, Planted
from recbole_bns.testing import TableScorer, make_scorer, small_catalogue

CHOOSERS: list[tuple[str, dict[str, Any]]] = [
    ("dns", {}),
    ("dns", {"replacement": False, "candidate_num": 6}),
    ("bns", {}),
    ("bns_plus", {"candidate_num": 6}),
    ("ahns", {"candidate_num": 6}),
]
USERS = torch.tensor([4, 5, 6, 7, 8] * 8)


def held_out(catalogue: Catalogue, each: int = 4) -> Tensor:
    """``(2, N)`` the first negatives of users 4 to 8."""
    pairs = []
    for user in range(4, 9):
        free = (~catalogue.positive_mask(torch.tensor([user]))[0]).nonzero()[:, 0].tolist()
        pairs += [(user, item) for item in free[1 : each + 1]]
    return torch.tensor(pairs).T


def planted_in(name: str, args: dict[str, Any], held: Tensor, available_: Tensor) -> Any:
    sampler = build(name, small_catalogue(), args, seed=3)
    assert isinstance(sampler, Plantable)
    sampler.plant(Planted(sampler.catalogue, held, available_, 5))
    return sampler


def positives() -> Tensor:
    catalogue = small_catalogue()
    return catalogue.positives[catalogue.indptr[USERS]].long()


@pytest.mark.parametrize(("name", "args"), CHOOSERS)
@pytest.mark.parametrize("n", [1, 3])
def test_with_nothing_held_out_the_draws_are_those_of_old(
    name: str, args: dict[str, Any], n: int
) -> None:
    nothing = torch.empty(2, 0, dtype=torch.long)
    samplers = [
        planted_in(name, args, nothing, nothing),
        build(name, small_catalogue(), args, seed=3),
    ]
    for step in range(3):
        scorer = make_scorer("factor", small_catalogue(), step)
        first, second = (each.sample(USERS, positives(), n, scorer) for each in samplers)
        assert torch.equal(first, second)


@pytest.mark.parametrize(("name", "args"), CHOOSERS)
@pytest.mark.parametrize("n", [1, 3])
def test_one_candidate_is_planted_and_none_is_held_out_by_chance(
    name: str, args: dict[str, Any], n: int
) -> None:
    held = held_out(small_catalogue())
    available_ = held[:, held[0] < 8]
    pairs, some = ({*map(tuple, each.T.tolist())} for each in (held, available_))
    sampler = planted_in(name, args, held, available_)
    seen = set()
    for _ in range(5):
        candidates = sampler.propose(USERS, n)
        for user, sets in zip(USERS.tolist(), candidates.tolist(), strict=True):
            (first, *rest), *others = sets
            seen.add((user, first))
            assert ((user, first) in some) is (user < 8)
            by_chance = [*rest, *(item for one in others for item in one)]
            assert not pairs & {(user, item) for item in by_chance}
    assert some <= seen


def test_each_available_item_is_as_likely() -> None:
    held = held_out(small_catalogue())
    planted = Planted(small_catalogue(), held, held, 1)
    picked = planted.pick(torch.full((4000,), 6))
    counts = torch.bincount(picked)[held[1, held[0] == 6]]
    assert int(counts.sum()) == 4000
    assert chisquare(counts.numpy()).pvalue > 1e-4
    assert bool((planted.pick(torch.tensor([20, 1])) == 0).all()), "of who has none"


@pytest.mark.parametrize("kind", ["factor", "table"])
@pytest.mark.parametrize("n", [1, 3])
def test_a_memory_shows_one_planted_item_and_keeps_none(kind: str, n: int) -> None:
    catalogue = small_catalogue()
    held = held_out(catalogue)
    pairs = {*map(tuple, held.T.tolist())}
    sampler = planted_in("srns", {"memory_num": 5, "new_num": 4}, held, held)
    assert isinstance(sampler, SRNS)
    chosen = set()
    for epoch in range(3):
        sampler.begin_epoch(epoch, make_scorer(kind, catalogue, epoch))
        for step in range(3):
            scorer = make_scorer(kind, catalogue, 10 * epoch + step)
            ids = sampler.sample(USERS, positives(), n, scorer)
            chosen |= {
                (u, i) for u, row in zip(USERS.tolist(), ids.tolist(), strict=True) for i in row
            }
            kept = {(u, i) for u, row in enumerate(sampler.memory.tolist()) for i in row}
            assert not pairs & kept
    assert pairs & chosen
    assert chosen - pairs


def test_a_planted_item_is_chosen_where_it_scores_highest_and_alone_then() -> None:
    held = held_out(small_catalogue(), each=1)
    table = torch.randn(24, 41, generator=torch.Generator().manual_seed(2))
    for name, args in (("dns", {}), ("srns", {"alpha": 0})):
        for height, share in ((9.0, 1.0), (-9.0, 0.0)):
            table[held[0], held[1]] = height
            sampler = planted_in(name, args, held, held)
            ids = sampler.sample(USERS, positives(), 1, TableScorer(table))[:, 0]
            wanted = held[1, USERS - 4]
            assert float((ids == wanted).double().mean()) == share, (name, height)


def test_a_saved_state_goes_on_with_the_same_planted_items() -> None:
    held = held_out(small_catalogue())
    first, second = (planted_in("dns", {}, held, held) for _ in range(2))
    first.propose(USERS, 1)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.propose(USERS, 1), second.propose(USERS, 1))


@pytest.mark.parametrize("number", [1, "all"])
def test_without_a_choice_nothing_can_be_planted(number: Any) -> None:
    held = held_out(small_catalogue())
    with pytest.raises(UsageError, match=f"candidate_num: got {number}, with which a planted"):
        planted_in("bns", {"candidate_num": number}, held, held)


def test_a_user_without_a_true_negative_is_refused() -> None:
    with pytest.raises(UsageError, match="so that there is no true negative"):
        Planted(small_catalogue(), torch.tensor([[1], [40]]), torch.tensor([[1], [40]]), 0)


def test_those_who_choose_are_known() -> None:
    able = {name for name, cls in available().items() if issubclass(cls, Plantable)}
    assert {"dns", "bns", "bns_plus", "ahns", "srns"} <= able
    assert not {"rns", "pns", "aobpr", "inbatch", "mixed", "all"} & able
    assert issubclass(CandidateSampler, Plantable), "so that samplers of others are"
