"""AdvIR: its generator is RNS-AS's (tested there); what it asks of the recommender beside."""

from __future__ import annotations

import numpy as np
import torch
from learned import begun, vectors, weights
from toys import random_case

from recbole_bns.sampling import get
from recbole_bns.sampling.capabilities import Perturbed, of_type


def test_its_generator_is_that_of_rns_as_to_the_bit() -> None:
    case, model = random_case(6), vectors(random_case(6), 3)
    ended = []
    for name in ("advir", "rns_as"):
        sampler = begun(name, case, 8, candidate_num=5)
        for _ in range(3):
            ids = sampler.sample(case.users, case.items, 2, model)
            sampler.after_step(case.users, case.items, ids, model)
        ended.append([*weights(sampler), ids.numpy()])
    assert all(map(np.array_equal, *ended))


def test_it_asks_for_the_perturbed_loss_from_its_beginning_on() -> None:
    cls = get("advir")
    assert of_type(cls.requirements_of(cls.Params()), Perturbed) == Perturbed(size=0.1)
    assert of_type(cls.requirements_of(cls.Params(perturbation=0.0)), Perturbed) is None
    sampler = cls(random_case(1).catalogue, cls.Params(pretrain_epochs=1, candidate_num=4), seed=1)
    assert sampler.warming_up()
    sampler.begin_epoch(1, vectors(random_case(1), 1))
    assert not sampler.warming_up()
    assert torch.is_tensor(sampler.baseline)
