"""RNS-AS against REINFORCE by hand: the law of its draws, its update, its baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from learned import SlowAdam, begun, softmax, to_tables, vectors, weights
from toys import assert_law, random_case, record_candidates, sigmoid

from recbole_bns.sampling import get


def score(tables: list[np.ndarray], user: int, item: int) -> float:
    return float(tables[0][user] @ tables[1][item] + tables[2][item])


def test_draws_have_the_law_of_the_softmax() -> None:
    case = random_case(1)
    sampler: Any = begun("rns_as", case, candidate_num=4, generator_tau=0.5)
    sampler.item_bias += torch.arange(16) / 20
    candidates = [case.negatives(2)[k] for k in (0, 3, 1, 4)]
    sampler.propose = lambda users, n: torch.tensor(candidates).expand(len(users), 1, -1)
    users = torch.full((8000,), 2)
    ids = sampler.sample(users, users, 1, vectors(case, 1)).flatten().tolist()
    law = softmax(np.array([score(weights(sampler), 2, item) for item in candidates]) / 0.5)
    assert_law([candidates.index(item) for item in ids], law)


@pytest.mark.parametrize("name", ["rns_as", "advir"])
@pytest.mark.parametrize("n", [1, 2])
def test_updates_follow_the_published_gradient(name: str, n: int) -> None:
    case = random_case(4)
    tau = 0.7
    args = {"candidate_num": 4, "generator_tau": tau, "generator_rate": 0.02}
    sampler: Any = begun(name, case, 3, **args)
    seen = record_candidates(sampler)
    tables, adam, baseline = weights(sampler), SlowAdam(0.02), 0.0
    for epoch in range(3):
        model, rewards = vectors(case, 10 + epoch), []
        sampler.begin_epoch(epoch, model)
        for _ in range(2):
            ids = sampler.sample(case.users, case.items, n, model)
            chosen = sampler._drawn.chosen.tolist()
            sampler.after_step(case.users, case.items, ids, model)
            slopes = np.zeros((case.catalogue.user_num, case.catalogue.item_num))
            for user, sets, places in zip(case.users.tolist(), seen[-1], chosen, strict=True):
                for candidates, place in zip(sets, places, strict=True):
                    left = [item for item in candidates if item]
                    if not left:
                        continue
                    taken = candidates[place]
                    answer = float(model.users[user] @ model.items[taken])
                    reward = -sigmoid(-answer)
                    rewards.append(reward)
                    p = softmax(np.array([score(tables, user, item) for item in left]) / tau)
                    for item, share in zip(left, p, strict=True):
                        slopes[user, item] += (reward - baseline) * share / tau
                    slopes[user, taken] -= (reward - baseline) / tau
            adam.step(tables, to_tables(slopes, tables))
            for ours, theirs in zip(weights(sampler), tables, strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
        baseline = sum(rewards) / len(rewards)


@pytest.mark.parametrize("name", ["rns_as", "advir"])
def test_a_generator_whose_reward_is_its_baseline_does_not_move(name: str) -> None:
    case = random_case(2)
    sampler = begun(name, case, 1, candidate_num=4)
    model = vectors(case, 1)
    model.items = torch.zeros_like(model.items)  # every reward is -1/2
    before = weights(sampler)
    moved = []
    for epoch in range(2):
        sampler.begin_epoch(epoch, model)
        if epoch == 1:
            sampler._optimizer = None  # nor does it coast
            before = weights(sampler)
        for _ in range(3):
            ids = sampler.sample(case.users, case.items, 1, model)
            sampler.after_step(case.users, case.items, ids, model)
        moved.append(not all(map(np.array_equal, weights(sampler), before)))
    assert moved == [True, False], "the first epoch has no baseline yet"


def test_until_it_begins_negatives_are_uniform_and_nothing_is_learned() -> None:
    case = random_case(3)
    sampler = get("rns_as")(
        case.catalogue, get("rns_as").Params(pretrain_epochs=2, candidate_num=4), seed=1
    )
    model = vectors(case, 1)
    for epoch in range(2):
        sampler.begin_epoch(epoch, model)
        ids = sampler.sample(torch.full((4000,), 5), torch.full((4000,), 1), 1, None)
        sampler.after_step(case.users, case.items, ids, model)
    negatives = case.negatives(5)
    assert_law(ids, [(item in negatives) / len(negatives) for item in range(16)])
    assert not sampler.user_vectors.numel()
    sampler.begin_epoch(2, model)
    assert torch.equal(sampler.user_vectors, model.users)
    assert torch.equal(sampler.item_vectors, model.items)
    assert sampler.user_vectors.data_ptr() != model.users.data_ptr()
    sampler.begin_epoch(3, vectors(case, 9))
    assert torch.equal(sampler.user_vectors, model.users), "it begins once"


def test_what_is_no_number_moves_nothing() -> None:
    case = random_case(4)
    sampler = begun("rns_as", case, 3, candidate_num=4)
    model = vectors(case, 2)
    ids = sampler.sample(case.users, case.items, 1, model)
    model.items[int(ids[0, 0])] = torch.nan
    sampler.after_step(case.users, case.items, ids, model)
    assert all(np.isfinite(table).all() for table in weights(sampler))
