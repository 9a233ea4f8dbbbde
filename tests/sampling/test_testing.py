"""The contract catches what it promises to catch: each damage fails the check it belongs to."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from tiny import run_quickly
from torch import Tensor
from warm import PYTEST, run_warm

from recbole_bns.sampling import Catalogue
from recbole_bns.sampling.methods.dns import DNS
from recbole_bns.sampling.methods.pns import PNS
from recbole_bns.testing import SamplerContract


class Step(NamedTuple):
    """What a damaged sampler sees of one call of ``sample``."""

    sampler: Any
    ids: Tensor
    users: Tensor
    items: Tensor
    scorer: Any


Damage = Callable[[Step], Tensor | None]
DAMAGES: list[tuple[str, Damage]] = []


def fails(check: str) -> Callable[[Damage], Damage]:
    """The damage that follows must fail this check."""

    def remember(damage: Damage) -> Damage:
        DAMAGES.append((check, damage))
        return damage

    return remember


def contract_of(damage: Damage) -> SamplerContract:
    class Damaged(DNS):
        def __init__(self, catalogue: Catalogue, seed: int) -> None:
            super().__init__(catalogue, seed=seed)
            self.register_buffer("kept", None)
            self.seen: list[Any] = []
            self.steps = 0

        def sample(self, users: Tensor, items: Tensor, n: int, scorer: Any) -> Tensor:
            self.steps += 1
            ids = super().sample(users, items, n, scorer)
            changed = damage(Step(self, ids, users, items, scorer))
            return ids if changed is None else changed

    class Contract(SamplerContract):
        def make_sampler(self, catalogue: Catalogue, seed: int) -> Damaged:
            return Damaged(catalogue, seed)

    return Contract()


@fails("test_ids")
def padding(step: Step) -> Tensor:
    return step.ids.index_fill(0, torch.tensor([3]), 0)


@fails("test_ids")
def a_positive(step: Step) -> Tensor:
    return torch.cat((step.items.unsqueeze(1), step.ids), 1)[:, : step.ids.shape[1]]


@fails("test_ids")
def no_such_item(step: Step) -> Tensor:
    return step.ids + 41


@fails("test_ids")
def another_type(step: Step) -> Tensor:
    return step.ids.int()


@fails("test_ids")
def another_shape(step: Step) -> Tensor:
    return step.ids.T


@fails("test_ids")
def an_item_twice(step: Step) -> Tensor:
    return step.ids[:, :1].expand_as(step.ids)


@fails("test_one_user")
def a_dimension_lost(step: Step) -> Tensor | None:
    return step.ids.squeeze(0) if len(step.ids) == 1 else None


@fails("test_global_generators")
def generator_of_torch(step: Step) -> None:
    torch.rand(1)


@fails("test_global_generators")
def generator_of_numpy(step: Step) -> None:
    np.random.rand()  # noqa: NPY002


@fails("test_global_generators")
def generator_of_python(step: Step) -> None:
    random.random()


@fails("test_seed")
def a_seed_of_its_own(step: Step) -> None:
    step.sampler.generator.manual_seed(step.sampler.steps)


@fails("test_seed")
def ids_by_a_global_generator(step: Step) -> Tensor:
    spare = step.sampler.proposal.draw(
        step.users, step.ids.shape[1], torch.default_generator, distinct=True
    )
    return step.sampler.complete(spare, step.users)


@fails("test_restored_state_continues")
def a_memory_that_no_state_holds(step: Step) -> None:
    if step.sampler.steps % 3 == 0:
        step.sampler.proposal.draw(step.users, 1, step.sampler.generator)


@fails("test_nothing_else_changes")
def users_changed(step: Step) -> None:
    step.users.clamp_(max=9)


@fails("test_nothing_else_changes")
def scores_changed(step: Step) -> None:
    held = [x for x in vars(step.scorer).values() if isinstance(x, Tensor)]
    held[0].mul_(1.01)


@fails("test_nothing_else_changes")
def a_graph_kept(step: Step) -> None:
    step.sampler.kept = 2 * torch.ones(1, requires_grad=True)


@fails("test_unusable_scores")
def the_best_of_all_with_nan_on_top(step: Step) -> Tensor:
    taken = step.sampler.catalogue.positive_mask(step.users)
    taken[:, 0] = True
    scores = step.scorer.catalogue(step.users).masked_fill(taken, -1e30)
    return step.sampler.complete(scores.topk(step.ids.shape[1]).indices, step.users)


@fails("test_memory_is_bounded")
def a_list_that_grows(step: Step) -> None:
    step.sampler.seen.append(len(step.ids))


@fails("test_memory_is_bounded")
def a_buffer_that_grows(step: Step) -> None:
    kept = step.sampler.kept
    step.sampler.kept = step.ids if kept is None else torch.cat((kept, step.ids))


LAWS: list[tuple[str, str, Callable[[Any, Tensor], Any]]] = [
    ("test_log_prob", "log_prob", lambda sampler, told: told + 0.01),
    ("test_log_prob", "log_prob", lambda sampler, told: told.double()),
    ("test_log_prob", "log_prob", lambda sampler, told: told[:, 1:]),
    ("test_log_prob", "log_prob", lambda sampler, told: told.index_fill(0, ONE, -torch.inf)),
    ("test_log_prob", "sample", lambda sampler, ids: torch.minimum(ids, ids.flip(0))),
    ("test_shared_list", "sample_shared", lambda sampler, ids: ids[1:]),
    ("test_shared_list", "sample_shared", lambda sampler, ids: ids.int()),
    ("test_shared_list", "sample_shared", lambda sampler, ids: ids.index_fill(0, ONE - 1, 0)),
    ("test_shared_list", "sample_shared", lambda sampler, ids: ids + 40),
    ("test_shared_list", "sample_shared", lambda sampler, ids: torch.randint_like(ids, 1, 40)),
    ("test_shared_list", "sample_shared", lambda sampler, ids: counted_up(sampler, ids)),
    ("test_shared_log_prob", "shared_log_prob", lambda sampler, told: told + 0.01),
    ("test_shared_log_prob", "shared_log_prob", lambda sampler, told: told.flip(0)),
    ("test_shared_log_prob", "shared_log_prob", lambda sampler, told: told[1:]),
    ("test_shared_log_prob", "sample_shared", lambda sampler, ids: ids.clamp(max=20)),
]
"""A check, a method of PNS, and a damage to what it returns that fails the check."""
ONE = torch.tensor([1])


def counted_up(sampler: Any, ids: Tensor) -> Tensor:
    """Other items by a counter that no state holds."""
    sampler.steps = getattr(sampler, "steps", 0) + 1
    return (ids + sampler.steps) % 40 + 1


@pytest.mark.parametrize(("check", "method", "damage"), LAWS)
def test_damage_to_a_law_or_list_is_found(
    check: str, method: str, damage: Callable[[Any, Tensor], Any]
) -> None:
    class Damaged(PNS):
        pass

    def damaged(self: Any, *args: Any) -> Any:
        return damage(self, getattr(PNS, method)(self, *args))

    setattr(Damaged, method, damaged)

    class Contract(SamplerContract):
        def make_sampler(self, catalogue: Catalogue, seed: int) -> Damaged:
            return Damaged(catalogue, seed=seed)

    with pytest.raises(AssertionError):
        Contract().run_check(check)


@pytest.mark.parametrize(("check", "damage"), DAMAGES, ids=[d.__name__ for _, d in DAMAGES])
def test_damage_is_found(check: str, damage: Damage) -> None:
    with pytest.raises(AssertionError):
        contract_of(damage).run_check(check)


def test_without_damage_every_check_passes() -> None:
    contract = contract_of(lambda step: None)
    checks = [name for name in dir(contract) if name.startswith("test_")]
    assert {check for check, *_ in [*DAMAGES, *LAWS]} == set(checks)
    contract.run_all()


MINE = """
from recbole_bns.testing import SamplerContract


class TestMine(SamplerContract):
    name, args = "dns", {"candidate_num": 4}

    def check_ids(self, catalogue, users, ids, n):
        assert n == 1, "only one"

    def test_one_more(self):
        pass
"""


@pytest.mark.process
def test_a_failure_names_its_case(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(MINE, encoding="utf-8")
    words = ["-p", "no:cacheprovider", "-q", "-rA", "test_mine.py"]
    done = run_warm(PYTEST, tmp_path, *words)
    lines = done.stdout.splitlines()
    failed = {x.split()[1].partition("::")[2] for x in lines if x.startswith("FAILED")}
    passed = {x.split()[1].partition("::")[2] for x in lines if x.startswith("PASSED")}
    assert {"TestMine::test_ids[factor-3]", "TestMine::test_ids[table-3]"} <= failed
    assert "TestMine::test_unusable_scores[factor-3-nan]" in failed
    assert {"TestMine::test_ids[factor-1]", "TestMine::test_one_more"} <= passed
    assert all("-3" in name for name in failed)


@pytest.mark.process
def test_the_contract_is_imported_without_pytest(tmp_path: Path) -> None:
    run_quickly("import sys, recbole_bns.testing; assert 'pytest' not in sys.modules", tmp_path)
