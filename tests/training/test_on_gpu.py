"""On a GPU: every sampler and loss trains, and nothing waits for it in a step. Needs a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import LOSS, Settings

from recbole_bns import losses, run_recbole_bns, sampling
from recbole_bns.adapters.models import make_model
from recbole_bns.adapters.split import open_data
from recbole_bns.sampling.capabilities import serves_any_loss
from recbole_bns.training.loaders import make_loaders
from recbole_bns.training.trainer import get_trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

Make = Callable[..., Any]
SAMPLERS = [name for name, cls in sampling.available().items() if serves_any_loss(cls)]
LEARNED = {"irgan", "rns_as", "advir"}
"""Whose generators take steps of their own."""


@pytest.fixture(autouse=True)
def _the_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield
    torch.cuda.set_sync_debug_mode("default")


def trained(settings: Settings, folder: Path, model: str, **given: Any) -> float:
    more = {"use_gpu": True, "gpu_id": "0", "epochs": 1}
    result = run_recbole_bns(model, "tiny", None, {**settings, **more, **given}, out=folder)
    return float(result["test_result"]["ndcg@10"])


@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_trains(settings: Settings, tmp_path: Path, sampler: str, model: str) -> None:
    assert (
        0
        < trained(settings, tmp_path / "run", model, neg_sampler=sampler, **LOSS.get(sampler, {}))
        < 1
    )


@pytest.mark.parametrize("loss", sorted(losses.available()))
def test_every_loss_trains(settings: Settings, tmp_path: Path, loss: str) -> None:
    assert 0 < trained(settings, tmp_path / "run", "BPR", neg_sampler="rns", loss=loss) < 1


@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - LEARNED))
def test_nothing_waits_in_a_step(make: Make, sampler: str, model: str) -> None:
    """RecBole's loop reads each loss; what is ours draws, computes and steps without a wait."""
    config = make(model, neg_sampler=sampler, use_gpu=True, gpu_id="0", **LOSS.get(sampler, {}))
    train = make_loaders(config, open_data(config))["train"]
    net = make_model(config, train._dataset)
    train.get_model(net)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, net)
    trainer.tensorboard.close()
    batches = iter(train)
    for number in range(3):
        torch.cuda.set_sync_debug_mode("error" if number else "default")  # the first one sets up
        batch = next(batches)
        trainer.optimizer.zero_grad()
        net.calculate_loss(batch).backward()
        trainer.optimizer.step()
