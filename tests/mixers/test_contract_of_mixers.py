"""The contract over every registered mixer x its parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recbole_bns.mixers import available
from recbole_bns.testing import MixerContract

MORE: dict[str, list[dict[str, Any]]] = {
    "mixgcf": [{"share_max": 0.0}],
    "dens": [{"gamma": 0.0}, {"selection": "constant", "alpha": 0.4, "gamma": 2.0}],
    "dins": [{"alpha": 20.0}],
    "dcans": [{"window": 0}, {"window": 40, "alpha": 1e-30}],
}


CASES = [(name, args) for name in available() for args in [{}, *MORE.get(name, [])]]
CHECKS = [check for check in dir(MixerContract) if check.startswith("test_")]


def contract_of(name: str, **more: Any) -> MixerContract:
    contract: MixerContract = type("OfOne", (MixerContract,), {"name": name, **more})()
    return contract


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(("name", "args"), CASES, ids=str)
def test_a_mixer_keeps_the_contract(name: str, args: dict[str, Any], check: str) -> None:
    contract_of(name, args=args).run_check(check)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", sorted(available()))
def test_a_mixer_on_a_gpu(name: str) -> None:
    contract_of(name, device="cuda").run_all()
