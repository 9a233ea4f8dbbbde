"""The contract over every registered sampler x its parameters x every kind of scorer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from recbole_bns.sampling import available, get, parse
from recbole_bns.sampling.capabilities import Scores, of_type
from recbole_bns.testing import SamplerContract

MORE: dict[str, list[dict[str, Any]]] = {
    "pns": [{"exponent": 0}],
    "given": [{"share": 0.9, "exponent": 0.5}, {"share": 1.0}, {"share": 0.0}],
    "mixed": [{"uniform_share": 0.25}, {"uniform_share": 0.0}, {"uniform_share": 1.0}],
    "dns": [
        {"choice": "linear"},
        {"candidate_num": 8, "best_num": 3},
        {"replacement": False, "candidate_num": 12},
    ],
    "cuco": [{"schedule": "grow"}, {"replacement": False, "candidate_num": 12}],
    "irgan": [{"pretrain_epochs": 0, "generator_rate": 0.1}],
    "rns_as": [{"pretrain_epochs": 1, "generator_rate": 0.1}],
    "aobpr": [
        {"lambda": 3.0},
        {"definition": "global", "lambda": 3.0},
        {"definition": "global"},
    ],
    "srns": [
        {"update_every": 2, "warmup_epochs": 2},
        {"memory_num": 4, "new_num": 30, "tau": 0.1, "warmup_epochs": 0},
        {"new_num": 0, "alpha": 0},
        {"pick": "uniform"},
    ],
    "bns": [
        {"cdf": "paper"},
        {"cdf": "all_items"},
        {"cdf": "estimated", "cdf_items": 8},
        {"criterion": "posterior"},
        {"prior": "uniform"},
        {"prior": "occupation"},
        {"prior": "oracle"},
        {"prior": np.linspace(0, 1, 41)},
        {"candidate_num": "all"},
        {"candidate_num": "all", "criterion": "posterior", "cdf": "estimated", "cdf_items": 99},
        {"replacement": True, "warmup_epochs": 2},
        {"lambda": {"start": 10, "step": -0.1, "stop": 2}},
    ],
    "bns_plus": [{"candidate_num": "all"}, {"prior": np.ones(41), "gamma": 0}],
    "ahns": [
        {"p": -1},
        {"p": -0.5, "candidate_num": 4},
        {"p": -9.0, "replacement": False, "candidate_num": 6},
    ],
}


WITH_KNOWN_DISLIKES: dict[str, list[dict[str, Any]]] = {
    "bns": [{}, {"cdf": "paper", "given_share": 0.6}, {"candidate_num": "all"}],
    "bns_plus": [{"prior": "uniform"}],
}


def _is_deterministic(args: dict[str, Any]) -> bool:
    """All negatives are candidates of BNS, and the CDF is not an estimate."""
    return args.get("candidate_num") == "all"


def _kinds(name: str, args: dict[str, Any]) -> tuple[str, ...]:
    """Who looks at no scores is checked without a scorer and with one; another kind is no news."""
    cls = get(name)
    looks = of_type(cls.requirements_of(parse(cls.Params, args, "args")), Scores) is not None
    return SamplerContract.kinds if looks else ("none", "factor")


def _contracts() -> dict[str, type[SamplerContract]]:
    classes = {}
    for name in available():
        known = WITH_KNOWN_DISLIKES.get(name, [])
        cases = [
            *((args, False) for args in [{}, *MORE.get(name, [])]),
            *((a, True) for a in known),
        ]
        for args, with_known in cases:
            words = [f"{k}_{'array' if isinstance(v, np.ndarray) else v}" for k, v in args.items()]
            label = "_".join(["Test", name, *words, *(["known"] if with_known else [])])
            body = {
                "with_optional": with_known,
                "name": name,
                "args": args,
                "deterministic": _is_deterministic(args),
                "kinds": _kinds(name, args),
            }
            classes[label] = type(label, (SamplerContract,), body)
    return classes


globals().update(_contracts())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", sorted(available()))
def test_on_a_gpu(name: str) -> None:
    type("OnGpu", (SamplerContract,), {"name": name, "device": "cuda"})().run_all()
