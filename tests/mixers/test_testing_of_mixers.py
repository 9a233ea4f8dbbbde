"""The contract of a mixer catches what it promises to: each damage fails its own check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.autograd.gradcheck import GradcheckError

from recbole_bns.mixers import Made, MixBatch
from recbole_bns.mixers.ways.mixgcf import MixGCF
from recbole_bns.testing import MixerContract

Damage = Callable[[Any, MixBatch, Made], Made | None]
DAMAGES: list[tuple[str, Damage]] = []


def fails(check: str) -> Callable[[Damage], Damage]:
    """The damage that follows must fail this check."""

    def remember(damage: Damage) -> Damage:
        DAMAGES.append((check, damage))
        return damage

    return remember


def contract_of(damage: Damage, **more: Any) -> MixerContract:
    class Damaged(MixGCF):
        def __init__(self, dim: int, params: Any = None) -> None:
            super().__init__(dim, params)
            self.weight = torch.nn.Parameter(torch.zeros(dim))
            self.calls = 0

        def forward(self, batch: MixBatch) -> Made:
            made = super().forward(batch)
            self.calls += 1
            changed = damage(self, batch, made)
            return made if changed is None else changed

    for key, value in more.items():
        setattr(Damaged, key, value)

    class Contract(MixerContract):
        def make_mixer(self) -> Damaged:
            return Damaged(4)

        def test_registered(self) -> None:
            """It has the name of another class."""

    return Contract()


def with_vectors(made: Made, change: Callable[[Any], Any]) -> Made:
    return made._replace(vectors=tuple(map(change, made.vectors)))


@fails("test_made")
def the_mean_of_its_negatives(mixer: Any, batch: MixBatch, made: Made) -> Made:
    return with_vectors(made, lambda each: each.mean(1))


@fails("test_made")
def ids_of_another_row(mixer: Any, batch: MixBatch, made: Made) -> Made:
    return made._replace(ids=made.ids.roll(1, 0))


@fails("test_made")
def a_scalar_extra(mixer: Any, batch: MixBatch, made: Made) -> Made:
    return made._replace(extra=made.vectors[0].sum())


@fails("test_finite")
def plain_exponentials(mixer: Any, batch: MixBatch, made: Made) -> Made:
    return with_vectors(made, lambda each: each * each.exp() / (1 + each.exp()))


@fails("test_finite")
def a_dtype_of_its_own(mixer: Any, batch: MixBatch, made: Made) -> Made:
    return with_vectors(made, lambda each: each.double())


@fails("test_one_candidate")
def an_id_that_is_the_second(mixer: Any, batch: MixBatch, made: Made) -> Made:
    return made._replace(ids=made.ids + 1)


@fails("test_gradient")
def a_gradient_that_is_cut(mixer: Any, batch: MixBatch, made: Made) -> Made:
    return with_vectors(made, lambda each: each + (each - each.detach()))


@fails("test_gradient")
def a_weight_without_gradient(mixer: Any, batch: MixBatch, made: Made) -> Made:
    return with_vectors(made, lambda each: each + mixer.weight.detach() * mixer.weight)


@fails("test_rows_are_apart")
def a_mean_over_rows(mixer: Any, batch: MixBatch, made: Made) -> Made:
    return with_vectors(made, lambda each: each + each.mean(0, keepdim=True))


@fails("test_negatives_are_apart")
def a_mean_over_negatives(mixer: Any, batch: MixBatch, made: Made) -> Made:
    return with_vectors(made, lambda each: each + each.mean(1, keepdim=True))


@fails("test_order_of_candidates")
def the_first_candidate(mixer: Any, batch: MixBatch, made: Made) -> Made:
    first = batch.ids[..., 0]
    vectors = tuple(batch.vectors(layer, first) for layer in range(batch.layer_num))
    return made._replace(vectors=vectors, ids=first.unsqueeze(2).expand_as(made.ids))


@fails("test_others_have_no_gradient")
def a_mean_of_all_candidates(mixer: Any, batch: MixBatch, made: Made) -> Made:
    means = (batch.vectors(layer, batch.ids).mean(2) for layer in range(batch.layer_num))
    return made._replace(vectors=tuple(means))


@fails("test_draws_follow_from_seed_and_epoch")
def numbers_of_its_own(mixer: Any, batch: MixBatch, made: Made) -> Made:
    return with_vectors(made, lambda each: each + mixer.calls)


@fails("test_restored_state_continues")
def a_state_that_is_not_saved(mixer: Any, batch: MixBatch, made: Made) -> Made | None:
    mixer.of_this = getattr(mixer, "of_this", id(mixer) % 97)
    return with_vectors(made, lambda each: each + mixer.of_this)


@fails("test_nothing_else_changes")
def a_global_generator(mixer: Any, batch: MixBatch, made: Made) -> None:
    torch.rand(1)


@fails("test_nothing_else_changes")
def a_graph_that_is_kept(mixer: Any, batch: MixBatch, made: Made) -> None:
    mixer.last = made.vectors[0]


@fails("test_nothing_else_changes")
def a_table_that_is_changed(mixer: Any, batch: MixBatch, made: Made) -> None:
    batch.ids.add_(1)


@pytest.mark.parametrize(
    ("check", "damage"), DAMAGES, ids=lambda each: getattr(each, "__name__", each)
)
def test_a_damage_fails_its_check(check: str, damage: Damage) -> None:
    with pytest.raises((AssertionError, GradcheckError, RuntimeError)):
        contract_of(damage).run_check(check)


def test_every_check_of_values_has_a_damage() -> None:
    without = {"test_declaration", "test_registered"}
    checks = {name for name in dir(MixerContract) if name.startswith("test_")} - without
    assert {check for check, _ in DAMAGES} == checks


def test_what_is_whole_passes() -> None:
    contract_of(lambda mixer, batch, made: None).run_all()


@pytest.mark.parametrize("missing", ["idea", "paper"])
def test_what_is_not_said_is_missed(missing: str) -> None:
    with pytest.raises(AssertionError):
        contract_of(lambda *_: None, **{missing: ""}).run_check("test_declaration")


def test_a_loss_that_there_is_not_is_missed() -> None:
    with pytest.raises(AssertionError):
        contract_of(lambda *_: None, loss="kpaar").run_check("test_declaration")


def test_similarity_is_one_that_a_batch_has() -> None:
    contract = contract_of(lambda *_: None)
    batch = contract.batch(2, 1)
    by_length = replace(batch, similarity="cosine").scores(0, batch.query(0))
    plain = batch.scores(0, batch.query(0)) / batch.tables[0][batch.ids].norm(dim=3)
    torch.testing.assert_close(by_length, plain, rtol=1e-12, atol=1e-12)
