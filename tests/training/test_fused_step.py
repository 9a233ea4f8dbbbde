"""``fused_step``: PyTorch's fused optimisers and the pass of plain BPR, beside RecBole's step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import Settings

from recbole_bns import run_recbole_bns
from recbole_bns.adapters.handover import tell_of_changes
from recbole_bns.adapters.models import FusedBPR, fused_step, make_model
from recbole_bns.adapters.split import open_data
from recbole_bns.training.loaders import make_loaders
from recbole_bns.training.trainer import fused, get_trainer

Make = Callable[..., Any]


class Own(torch.nn.Module):
    """Another loss than RecBole's."""

    def forward(self, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        return (positive - negative).mean() + 7


class Refusing(torch.optim.SGD):
    """As PyTorch's are where the device of the weights has no such pass."""

    def __init__(self, params: Any, lr: float, foreach: Any = None, fused: Any = None) -> None:
        if fused:
            raise RuntimeError("`fused=True` requires all the params to be elsewhere")
        super().__init__(params, lr=lr)


def weights_of(result: Any) -> dict[str, torch.Tensor]:
    state: dict[str, Any] = torch.load(result["checkpoint"], weights_only=True)
    return state["state_dict"]


@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
@pytest.mark.parametrize("learner", ["adam", "sgd", "adagrad", "rmsprop"])
def test_a_fused_run_is_recboles_up_to_rounding(
    settings: Settings, tmp_path: Path, model: str, learner: str
) -> None:
    given = {**settings, "neg_sampler": "rns", "learner": learner, "reg_weight": 0.05}
    runs = [
        run_recbole_bns(model, "tiny", None, given | more, out=tmp_path / str(number))
        for number, more in enumerate(({}, {"fused_step": False}))
    ]
    one, other = map(weights_of, runs)
    for name in ("user_embedding.weight", "item_embedding.weight"):
        assert torch.allclose(one[name], other[name], atol=2e-5), name
    if learner == "adam":
        assert any(not torch.equal(one[name], other[name]) for name in one), "nothing was fused"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"neg_sampler": "rns"}, True),
        ({"neg_sampler": "none"}, False),
        ({"neg_sampler": "none", "fused_step": True}, True),
        ({"neg_sampler": "dns", "fused_step": False}, False),
    ],
)
def test_who_trains_by_it(make: Make, given: dict[str, Any], wanted: bool) -> None:
    config = make("BPR", **given)
    assert fused_step(config) is wanted
    dataset = make_loaders(config, open_data(config))["train"]._dataset
    model = make_model(config, dataset)
    assert isinstance(model, FusedBPR) is wanted
    trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, model)
    trainer.tensorboard.close()
    assert bool(trainer.optimizer.param_groups[0]["fused"]) is wanted


def test_a_model_that_was_changed_trains_as_it_says(make: Make) -> None:
    """A table that leaves a row out, and a loss of one's own, are not what the pass computes."""
    config = make("BPR", neg_sampler="rns")
    train = make_loaders(config, open_data(config))["train"]
    model = make_model(config, train._dataset)
    train.get_model(model)
    batch = next(iter(train))
    plain = float(model.calculate_loss(batch).detach())
    model.loss = Own()
    assert abs(float(model.calculate_loss(batch).detach()) - 7) < 1
    assert abs(plain - 7) > 1


def test_what_has_no_fused_form_stays() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    plain = torch.optim.RMSprop([weight], lr=0.1)
    assert fused(plain) is plain
    odd = Refusing([weight], lr=0.1)
    assert fused(odd) is odd


def test_groups_and_their_settings_are_kept() -> None:
    one, other = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    plain = torch.optim.AdamW(
        [{"params": [one], "lr": 0.5}, {"params": [other], "weight_decay": 0.3}], lr=0.1
    )
    groups = fused(plain).param_groups
    assert [group["lr"] for group in groups] == [0.5, 0.1]
    assert [group["weight_decay"] for group in groups] == [0.01, 0.3]
    assert [group["params"] for group in groups] == [[one], [other]]


def test_a_resumed_run_goes_on_bit_for_bit(settings: Settings, tmp_path: Path) -> None:
    given = {**settings, "neg_sampler": "rns", "epochs": 3, "valid_ratio": 0}
    whole = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "whole")
    run_recbole_bns("BPR", "tiny", None, given | {"epochs": 2}, out=tmp_path / "part")
    more = {"epochs": 3, "show_progress": False}
    resumed = run_recbole_bns(None, None, None, more, resume=tmp_path / "part")
    one, other = weights_of(whole), weights_of(resumed)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_fused_step_is_counted_in_the_versions_of_weights() -> None:
    """By which LightGCN, and an evaluation by cosines, know that what they keep is stale."""
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = fused(torch.optim.Adam([weight], lr=0.1))
    told = tell_of_changes(optimizer)
    weight.grad = torch.ones(3)
    before = weight._version
    optimizer.step()
    assert weight._version > before
    told.remove()
