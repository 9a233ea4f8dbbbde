"""The full softmax's list, and the law of what is drawn without it."""

from __future__ import annotations

import torch
from toys import assert_law, random_case

from recbole_bns.sampling import SharedList, build
from recbole_bns.sampling.capabilities import OneList, of_type


def test_every_item_is_in_the_list_of_every_batch() -> None:
    case = random_case(0)
    sampler = build("all", case.catalogue)
    assert isinstance(sampler, SharedList)
    for n in (1, 99):
        ids = sampler.sample_shared(case.users, case.items, n)
        assert ids.tolist() == list(range(1, 16))
    assert sampler.only_shared
    assert sampler.shared_log_prob(ids) is None
    assert sampler.log_prob(case.users, case.items.unsqueeze(1)) is None


def test_it_says_that_it_needs_a_loss_which_takes_a_list() -> None:
    assert of_type(build("all", random_case(0).catalogue).requirements(), OneList) is not None


def test_alone_it_is_uniform() -> None:
    case = random_case(1)
    sampler = build("all", case.catalogue, seed=2)
    users = torch.full((12_000,), 4)
    negatives = case.negatives(4)
    law = [(item in negatives) / len(negatives) for item in range(16)]
    assert_law(sampler.sample(users, users, 1, None), law)
