"""What a trainer tells whoever draws: how many epochs, each step, the loss under perturbation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import build_model, prepare
from torch import Tensor, nn
from torch.nn.functional import embedding, softplus

from recbole_bns import get_trainer
from recbole_bns.adapters.handover import add_perturbed_gradients, hand_over, steps_told
from recbole_bns.adapters.tested import TestedGenerator, evaluated_model
from recbole_bns.common.errors import UsageError
from recbole_bns.sampling.generators import TABLES

EARLY: dict[str, Any] = {"neg_sampler_args.pretrain_epochs": 0}


def test_samplers_are_told_how_many_epochs_there_are(make: Any) -> None:
    for name in ("cuco", "rns"):
        assert prepare(make(neg_sampler=name, epochs=7))[0]._sampler.core.epochs == 7


class Toy(nn.Module):
    """BPR in float64."""

    def __init__(self) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(1)
        for name, size in (("users", 4), ("items", 6)):
            table = torch.randn(size, 3, generator=source, dtype=torch.float64)
            setattr(self, name, nn.Parameter(table))

    def calculate_loss(self, batch: Tensor) -> Tensor:
        """Of triples (3, B)."""
        return of_tables(batch, self.users, self.items)


def of_tables(batch: Tensor, users: Tensor, items: Tensor) -> Tensor:
    u, p, n = embedding(batch[0], users), embedding(batch[1], items), embedding(batch[2], items)
    return softplus((u * (n - p)).sum(1)).mean()


BATCH = torch.tensor([[0, 1, 1], [0, 2, 3], [4, 4, 0]])


def test_perturbed_gradients_are_those_of_the_moved_loss() -> None:
    model = Toy()
    before = [table.detach().clone() for table in (model.users, model.items)]
    model.calculate_loss(BATCH).backward()
    plain = [table.grad.clone() for table in (model.users, model.items)]
    add_perturbed_gradients(model, BATCH, (model.users, model.items), 0.3)
    moved = [table.clone() for table in before]
    for table, grad in zip(moved, plain, strict=True):
        for row, slope in zip(table, grad, strict=True):
            length = slope.square().sum().sqrt()
            if length > 0:  # users 2 and 3, item 1 and 5 are in no triple
                row += 0.3 * slope / length
        table.requires_grad_()
    again = torch.autograd.grad(of_tables(BATCH, *moved), moved)
    for table, kept, one, two in zip((model.users, model.items), before, plain, again, strict=True):
        assert torch.equal(table, kept), "weights stay"
        torch.testing.assert_close(table.grad, one + two)


def test_a_perturbation_that_cannot_be_is_refused(make: Any) -> None:
    train = prepare(make(neg_sampler="advir"))[0]
    with (
        pytest.raises(UsageError, match=r"'advir' .* not known which weights of Toy are vectors; "),
        steps_told(
            SimpleNamespace(model=Toy(), optimizer=torch.optim.SGD(Toy().parameters())), train
        ),
    ):
        pass
    model = build_model(make(), train)
    trainer = SimpleNamespace(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1))
    others = SimpleNamespace(_sampler=train._sampler)
    with (
        pytest.raises(
            UsageError, match=r"SimpleNamespace does not keep its batch; allowed is neg_"
        ),
        steps_told(trainer, others),
    ):
        pass


def test_each_step_is_told_once_and_no_hook_is_left(make: Any, monkeypatch: Any) -> None:
    config = make(neg_sampler="advir", epochs=2, **EARLY)
    train = prepare(config)[0]
    core, told = train._sampler.core, []
    learn = core.after_step
    core.after_step = lambda *batch: told.append(batch) or learn(*batch)
    trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, build_model(config, train))
    losses = []
    calculate = trainer.model.calculate_loss
    monkeypatch.setattr(
        trainer.model, "calculate_loss", lambda rows: losses.append(rows) or calculate(rows)
    )
    trainer.fit(train, saved=False)
    assert len(told) == 2 * len(train)
    assert len(losses) == 4 * len(train), "each once more, under the perturbation"
    ids = [rows["neg_item_id"] for rows in losses]
    assert all(map(torch.equal, ids[::2], ids[1::2]))
    assert not torch.equal(ids[0], ids[2])
    users, items, ids, scorer = told[-1]
    assert torch.equal(ids.flatten(), losses[-1]["neg_item_id"])
    assert torch.equal(users, losses[-1]["user_id"])
    assert torch.equal(items, losses[-1]["item_id"])
    assert torch.equal(scorer.users, trainer.model.user_embedding.weight), "after the step"
    optimizer: Any = trainer.optimizer
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_a_sampler_that_learns_nothing_has_no_hook(make: Any) -> None:
    config = make(neg_sampler="dns")
    train = prepare(config)[0]
    model = build_model(config, train)
    trainer = SimpleNamespace(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1))
    with steps_told(trainer, train):
        assert not trainer.optimizer._optimizer_step_post_hooks


def test_who_tells_no_step_is_warned(make: Any, caplog: Any) -> None:
    config = make(neg_sampler="rns_as", **EARLY)
    train = prepare(config)[0]
    model = build_model(config, train)
    hand_over(SimpleNamespace(model=model, start_epoch=0), train)
    for _ in range(2):
        for _ in train:
            train._sampler.after_step()
    list(train)
    assert "learned nothing" not in caplog.text
    list(train)
    assert caplog.text.count("'rns_as' was told of no step in the epoch that is over") == 1


def test_a_generator_stands_in_for_the_model(make: Any) -> None:
    config = make(neg_sampler="irgan", **EARLY, **{"neg_sampler_args.tested": "generator"})
    train, _, test = prepare(config)
    model = build_model(config, train)
    core = train._sampler.core
    assert evaluated_model(config, model, core.state_dict()) is model, "before it has begun"
    hand_over(SimpleNamespace(model=model, start_epoch=0), train)
    iter(train)
    core.item_bias += torch.arange(len(core.item_bias)) / 9
    stand_in = evaluated_model(config, model, core.state_dict())
    assert isinstance(stand_in, TestedGenerator)
    rows = next(iter(test))[0]
    every = core.tables.catalogue(rows["user_id"])
    torch.testing.assert_close(stand_in.full_sort_predict(rows).view(every.shape), every)
    rows["item_id"] = torch.arange(len(rows)) % 50 + 1
    picked = every.gather(1, rows["item_id"].unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(stand_in.predict(rows), picked)
    for other in (make(neg_sampler="irgan"), make(neg_sampler="none"), make(neg_sampler="dns")):
        assert evaluated_model(other, model, core.state_dict()) is model
    assert {name for name, _ in core.named_buffers(recurse=False)} == set(TABLES)
