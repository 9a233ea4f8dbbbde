"""The contract of a loss catches what it promises to: each damage fails the check it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from recbole_bns.losses import LossBatch
from recbole_bns.losses.forms.sl import SL
from recbole_bns.testing import LossContract

Damage = Callable[[Any, LossBatch, Tensor], Tensor | None]
DAMAGES: list[tuple[str, Damage]] = []


def fails(check: str) -> Callable[[Damage], Damage]:
    """The damage that follows must fail this check."""

    def remember(damage: Damage) -> Damage:
        DAMAGES.append((check, damage))
        return damage

    return remember


def contract_of(damage: Damage, **more: Any) -> LossContract:
    class Damaged(SL):
        scale = 1.0

        def begin_epoch(self, epoch: int, view: Any) -> None:
            self.scale = 1.0 + epoch

        def forward(self, batch: LossBatch) -> Tensor:
            values = super().forward(batch)
            changed = damage(self, batch, values)
            return values if changed is None else changed

    for key, value in more.items():
        setattr(Damaged, key, value)

    class Contract(LossContract):
        def make_loss(self) -> Damaged:
            return Damaged()

        def test_registered(self) -> None:
            """It has the name of another class."""

    return Contract()


@fails("test_values")
def the_mean(loss: Any, batch: LossBatch, values: Tensor) -> Tensor:
    return values.mean()


@fails("test_values")
def a_nan(loss: Any, batch: LossBatch, values: Tensor) -> Tensor:
    return values.index_fill(0, torch.tensor([2]), float("nan"))


@fails("test_extreme_scores")
def exponentials(loss: Any, batch: LossBatch, values: Tensor) -> Tensor:
    return batch.rows(batch.logits(0.15).exp().sum(1).clamp_min(1e-9).log() - batch.pos)


@fails("test_gradient")
def a_stopped_gradient(loss: Any, batch: LossBatch, values: Tensor) -> Tensor:
    return values * values.detach()


@fails("test_terms_left_out")
def no_mask(loss: Any, batch: LossBatch, values: Tensor) -> Tensor:
    return batch.neg.exp().sum(1)


@fails("test_weights")
def no_weights(loss: Any, batch: LossBatch, values: Tensor) -> Tensor:
    terms = batch.neg.exp()
    return (terms if batch.mask is None else terms.masked_fill(batch.mask, 0)).sum(1)


@fails("test_nothing_left")
def the_positive_alone(loss: Any, batch: LossBatch, values: Tensor) -> Tensor:
    return values - batch.pos


@fails("test_order")
def the_rows_before(loss: Any, batch: LossBatch, values: Tensor) -> Tensor:
    return values.cumsum(0)


@fails("test_order")
def the_first_negative(loss: Any, batch: LossBatch, values: Tensor) -> Tensor:
    return values + batch.terms(batch.neg)[:, 0]


@fails("test_shared_list")
def as_many_as_ids(loss: Any, batch: LossBatch, values: Tensor) -> Tensor:
    return values * batch.ids.numel()


@fails("test_nothing_else_changes")
def users_changed(loss: Any, batch: LossBatch, values: Tensor) -> None:
    batch.users.clamp_(max=3)


@fails("test_nothing_else_changes")
def a_global_generator(loss: Any, batch: LossBatch, values: Tensor) -> None:
    torch.rand(1)


@fails("test_nothing_else_changes")
def a_graph_kept(loss: Any, batch: LossBatch, values: Tensor) -> None:
    loss.register_buffer("kept", values)


@fails("test_restored_state_continues")
def a_memory_that_no_state_holds(loss: Any, batch: LossBatch, values: Tensor) -> Tensor:
    return values * loss.scale


@pytest.mark.parametrize(("check", "damage"), DAMAGES, ids=[d.__name__ for _, d in DAMAGES])
def test_damage_is_found(check: str, damage: Damage) -> None:
    with pytest.raises((AssertionError, GradcheckError)):
        contract_of(damage).run_check(check)


@pytest.mark.parametrize(
    "damage",
    [{"idea": ""}, {"similarity": "euclid"}, {"log_q": ("all",)}, {"negatives": 0}],
    ids=str,
)
def test_a_bad_declaration_is_found(damage: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        contract_of(lambda *_: None, **damage).run_check("test_declaration")


def test_a_loss_that_is_not_registered_is_found() -> None:
    contract = contract_of(lambda *_: None, name="ssm")
    with pytest.raises(AssertionError):
        LossContract.test_registered(contract)


def test_without_damage_every_check_passes() -> None:
    contract = contract_of(lambda *_: None)
    checks = {name for name in dir(contract) if name.startswith("test_")}
    assert {check for check, _ in DAMAGES} == checks - {"test_declaration", "test_registered"}
    contract.run_all()
