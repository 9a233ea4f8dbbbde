"""The promises of a loss over many negatives."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from recbole_bns.common.params import as_mapping, defaults, parse
from recbole_bns.losses import LOG_Q, SIMILARITIES, EpochView, Loss, LossBatch, build, get
from recbole_bns.sampling import Catalogue

from .contract import Contract, Variations
from .samplers import generator_states, make_scorer, small_catalogue

ROWS, ITEMS, USERS = 5, 41, 24
SEVERAL = (1, 6)
"""Negatives a positive."""
SCALES = (1.0, 1e4)
"""Of scores: as cosines are, and far beyond what any model has."""


@cache
def _catalogue(device: str) -> Catalogue:
    """The small catalogue, made once: a loss only reads it."""
    return small_catalogue(device)


class LossContract(Contract):
    """The promises of a loss as test methods; derive a ``Test…`` class and set ``name``."""

    name: ClassVar[str]
    args: ClassVar[Mapping[str, Any]] = {}
    without_gradient: ClassVar[tuple[str, ...]] = ("corrected",)
    """Forms of log q in which a part of the value has no gradient on purpose."""
    device: ClassVar[str] = "cpu"

    def make_loss(self) -> Loss:
        """Build the loss; overwrite it for one that is not registered."""
        return build(self.name, self.args).to(self.device)

    def loss(self) -> Loss:
        """A fresh loss in its second epoch."""
        loss = self.make_loss()
        for epoch in (0, 1):
            loss.begin_epoch(epoch, self.view(epoch))
        return loss

    def view(self, epoch: int) -> EpochView:
        """What a loss may look at when an epoch begins."""
        catalogue = _catalogue(self.device)
        scorer = make_scorer("factor", catalogue, epoch)
        assert scorer is not None
        return EpochView(scorer, catalogue, seed=3)

    def batch(self, form: str, n: int, seed: int = 0) -> LossBatch:
        """A random batch in float64: scores between -1 and 1, some terms left out."""
        source = torch.Generator().manual_seed(seed)

        def uniform(*size: int) -> Tensor:
            drawn = torch.rand(size, generator=source, dtype=torch.float64)
            return drawn.to(self.device)

        return LossBatch(
            pos=uniform(ROWS) * 2 - 1,
            neg=uniform(ROWS, n) * 2 - 1,
            users=(uniform(ROWS) * (USERS - 1)).long() + 1,
            items=(uniform(ROWS) * (ITEMS - 1)).long() + 1,
            ids=(uniform(ROWS, n) * (ITEMS - 1)).long() + 1,
            item_num=ITEMS,
            mask=(uniform(ROWS, n) < 0.3) & (torch.arange(ROWS) > 0).to(self.device).unsqueeze(1),
            log_q=uniform(ROWS, n).log(),
            pos_log_q=(uniform(ROWS) / 2).log(),
            log_q_form=form,
        )

    def graded(self, loss: Loss, batch: LossBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Values (B,), and gradients (B,) and (B, n) of their sum for the scores."""
        pos, neg = (x.detach().clone().requires_grad_() for x in (batch.pos, batch.neg))
        values = loss(replace(batch, pos=pos, neg=neg))
        assert values.shape == batch.pos.shape, f"got the shape {tuple(values.shape)}"
        found = torch.autograd.grad(values.sum(), (pos, neg), allow_unused=True)
        of_pos, of_neg = (
            torch.zeros_like(x) if g is None else g for x, g in zip((pos, neg), found, strict=True)
        )
        return values.detach(), of_pos, of_neg

    def check_equal(self, loss: Loss, one: LossBatch, other: LossBatch, why: str) -> None:
        """The same values and gradients of two batches."""
        for a, b in zip(self.graded(loss, one), self.graded(loss, other), strict=True):
            assert torch.allclose(a, b, rtol=1e-9, atol=1e-12), why

    def _variations(self, name: str) -> Variations:
        if name not in vars(LossContract):
            return {}
        try:
            forms = self.make_loss().log_q
        except Exception:  # the loss cannot be made: each check says so, where it is made
            forms = LOG_Q[:1]
        return {
            ("form", "n"): [(form, n) for form in forms for n in SEVERAL],
            ("scale",): [(scale,) for scale in SCALES],
        }

    def test_declaration(self) -> None:
        """Idea, paper, similarity, forms of log q and negatives; parameters with their ranges."""
        loss = self.make_loss()
        assert loss.name
        assert loss.idea
        assert loss.paper
        assert loss.similarity in SIMILARITIES
        assert set(loss.log_q) <= set(LOG_Q)
        assert "none" in loss.log_q
        assert loss.negatives >= 1
        params: Any = loss.Params
        assert params.__dataclass_params__.frozen, "parameters change"
        assert all(each.metadata.get("help") for each in dataclasses.fields(params))
        assert parse(params, defaults(params), "loss_args") == params()
        given = as_mapping(loss.params)
        assert {key: given[key] for key in self.args} == self.args, "it has other parameters"

    def test_registered(self) -> None:
        """Its name gives its class."""
        assert isinstance(self.make_loss(), get(self.make_loss().name))

    def test_values(self, form: str, n: int) -> None:
        """Finite values ``(B,)`` in the scores' precision; float32 where that is half."""
        loss, batch = self.loss(), self.batch(form, n)
        for precision in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
            pos, neg = (x.to(precision) for x in (batch.pos, batch.neg))
            values = loss(replace(batch, pos=pos, neg=neg))
            wide = loss(replace(batch, pos=pos.double(), neg=neg.double()))
            assert values.shape == (ROWS,)
            assert bool(values.isfinite().all())
            assert torch.allclose(values.double(), wide, rtol=1e-4, atol=1e-4), precision

    def test_extreme_scores(self, form: str, n: int, scale: float) -> None:
        """Values and gradients are finite in float32, and where a negative scores ``-inf``."""
        loss = self.loss()
        for seed in range(3):
            batch = self.batch(form, n, seed)
            log_q, own = (x.float() for x in (batch.log_q, batch.pos_log_q) if x is not None)
            neg = (batch.neg * scale).float()
            batch = replace(
                batch, pos=(batch.pos * scale).float(), neg=neg, log_q=log_q, pos_log_q=own
            )
            equal = replace(batch, pos=torch.full_like(batch.pos, -scale), neg=neg * 0 - scale)
            none = replace(
                batch, neg=neg.index_fill(1, torch.tensor([0]).to(neg.device), -torch.inf)
            )
            for each in (batch, equal, none):
                for found in self.graded(loss, each):
                    assert bool(found.isfinite().all()), "a NaN, or infinite"

    def test_gradient(self, form: str, n: int) -> None:
        """The gradient is that of the value, by finite differences in float64."""
        if form in self.without_gradient:
            return
        loss, batch = self.loss(), self.batch(form, n, 4)
        inputs = tuple(x.clone().requires_grad_() for x in (batch.pos, batch.neg))
        assert torch.autograd.gradcheck(
            lambda pos, neg: loss(replace(batch, pos=pos, neg=neg)), inputs, atol=1e-6
        )

    def test_terms_left_out(self, form: str, n: int) -> None:
        """A masked term's score, weight and log q have no part in value and gradient."""
        loss, batch = self.loss(), self.batch(form, n)
        assert batch.mask is not None
        assert batch.log_q is not None
        weights = torch.ones_like(batch.neg)
        other = replace(
            batch,
            neg=batch.neg.where(~batch.mask, 7.0),
            log_q=batch.log_q.where(~batch.mask, -torch.inf),
            term_weight=weights.where(~batch.mask, 3.0),
        )
        self.check_equal(loss, replace(batch, term_weight=weights), other, "a masked term counts")
        assert not bool(self.graded(loss, batch)[2][batch.mask].any()), "it has a gradient"

    def test_weights(self, form: str, n: int) -> None:
        """A weight of 0 leaves a term out as the mask does; with 1 it is as without weights."""
        loss, batch = self.loss(), self.batch(form, n)
        assert batch.mask is not None
        ones = torch.ones_like(batch.neg)
        self.check_equal(loss, batch, replace(batch, term_weight=ones), "a weight of 1")
        zeros = replace(batch, mask=None, term_weight=ones.masked_fill(batch.mask, 0.0))
        self.check_equal(loss, batch, zeros, "a weight of 0")

    def test_nothing_left(self, form: str, n: int) -> None:
        """A row whose terms are all left out has loss 0 and no gradient; the others stay."""
        loss, batch = self.loss(), self.batch(form, n)
        assert batch.mask is not None
        mask = batch.mask.index_fill(0, torch.tensor([0, 2]).to(batch.mask.device), True)
        for with_none in (
            replace(batch, mask=mask),
            replace(batch, mask=None, term_weight=(~mask).to(batch.neg)),
        ):
            for found, plain in zip(
                self.graded(loss, with_none), self.graded(loss, batch), strict=True
            ):
                assert not bool(found[[0, 2]].any()), "a row without a term counts"
                assert torch.allclose(found[[1, 3, 4]], plain[[1, 3, 4]])

    def test_order(self, form: str, n: int) -> None:
        """The order of rows and of negatives does not matter."""
        loss, batch = self.loss(), self.batch(form, n)
        plain = self.graded(loss, batch)
        rows = torch.tensor([3, 0, 4, 1, 2], device=self.device)
        by_rows: dict[str, Any] = {
            field.name: value[rows]
            for field in dataclasses.fields(batch)
            if isinstance(value := getattr(batch, field.name), Tensor)
        }
        for found, expected in zip(
            self.graded(loss, replace(batch, **by_rows)), plain, strict=True
        ):
            assert torch.allclose(found, expected[rows]), "the order of rows matters"
        turned = {name: getattr(batch, name).flip(1) for name in ("neg", "ids", "mask", "log_q")}
        values, of_pos, of_neg = self.graded(loss, replace(batch, **turned))
        assert torch.allclose(values, plain[0]), "the order of negatives matters"
        assert torch.allclose(of_pos, plain[1])
        assert torch.allclose(of_neg.flip(1), plain[2])

    def test_shared_list(self, form: str, n: int) -> None:
        """Ids and log q ``(n,)`` of one list are as those of each row."""
        loss, batch = self.loss(), self.batch(form, n)
        assert batch.log_q is not None
        ids, log_q = batch.ids[0], batch.log_q[0]
        wide = replace(batch, ids=ids.expand(ROWS, n), log_q=log_q.expand(ROWS, n))
        self.check_equal(loss, replace(batch, ids=ids, log_q=log_q), wide, "a list is read wrongly")

    def test_nothing_else_changes(self, form: str, n: int) -> None:
        """The batch stays as it was, no global generator moves, nothing kept belongs to a graph."""
        loss, batch, before = self.make_loss(), self.batch(form, n), generator_states()
        seen = [x for x in vars(batch).values() if isinstance(x, Tensor)]
        copies = [x.clone() for x in seen]
        loss.begin_epoch(0, self.view(0))
        loss.begin_epoch(1, self.view(1))
        self.graded(loss, batch)
        assert all(map(torch.equal, seen, copies))
        assert generator_states() == before
        assert not any(x.requires_grad for x in loss.buffers())

    def test_restored_state_continues(self, form: str, n: int) -> None:
        """A saved state, loaded into another loss, gives the same values."""
        loss, fresh, batch = self.loss(), self.make_loss(), self.batch(form, n)
        file = io.BytesIO()
        torch.save(loss.state_dict(), file)
        file.seek(0)
        fresh.load_state_dict(torch.load(file, weights_only=True))
        self.check_equal_losses(loss, fresh, batch)
        for each in (loss, fresh):
            each.begin_epoch(2, self.view(2))
        self.check_equal_losses(loss, fresh, batch)

    def check_equal_losses(self, one: Loss, other: Loss, batch: LossBatch) -> None:
        """Two losses give the same values."""
        with torch.no_grad():
            assert torch.equal(one(batch), other(batch)), "a restored loss is another one"
