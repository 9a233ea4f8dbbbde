"""The contract over every registered loss x its parameters x every form of log q."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recbole_bns.losses import available
from recbole_bns.testing import LossContract

COLD = {"temperature": 0.01}
MORE: dict[str, list[dict[str, Any]]] = {
    "ssm": [COLD, {"temperature": "auto"}, {"reduction": "sum"}],
    "sl": [COLD],
    "bsl": [COLD, {"negative_weight": 1.32}],
    "psl": [
        COLD,
        *({"surrogate": word, "halved": False} for word in ("relu", "atan")),
        {"surrogate": "exp", "temperature": 0.01},
        {"surrogate": "relu", "temperature": 0.01},
    ],
    "slk": [COLD, {"refresh_every": 1, "reference_num": 8, "k": 3}],
    "ccl": [{"margin": 0.9, "negative_weight": 150}],
    "gbce": [{"t": 0}, {"t": 1}],
    "hinge": [{"margin": 0.1}],
    "dns_sum": [{"best_num": 1}, {"best_num": 100}],
}


CASES = [(name, args) for name in available() for args in [{}, *MORE.get(name, [])]]
CHECKS = [check for check in dir(LossContract) if check.startswith("test_")]


def contract_of(name: str, **more: Any) -> LossContract:
    contract: LossContract = type("OfOne", (LossContract,), {"name": name, **more})()
    return contract


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(("name", "args"), CASES, ids=str)
def test_a_loss_keeps_the_contract(name: str, args: dict[str, Any], check: str) -> None:
    contract_of(name, args=args).run_check(check)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", sorted(available()))
def test_on_a_gpu(name: str) -> None:
    contract_of(name, device="cuda").run_all()
