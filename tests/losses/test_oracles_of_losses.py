"""Every loss against a slow loop over its formula, golden values, identities, extremes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from recbole_bns.losses import LossBatch, available, get
from recbole_bns.losses.base import EpochView, log_sum_exp, mean_over_rows
from recbole_bns.losses.forms.slk import quantiles
from recbole_bns.sampling import FactorScorer, Proposal
from recbole_bns.testing import small_catalogue

B, N, ITEMS = 5, 7, 41
MASKABLE = sorted(available())


def batch(seed: int = 0, *, dtype: torch.dtype = torch.float64, **more: Any) -> LossBatch:
    """A random batch; scores in [-1, 1], as cosines are, some terms masked, one row wholly."""
    generator = torch.Generator().manual_seed(seed)
    pos = torch.rand(B, generator=generator, dtype=dtype) * 2 - 1
    neg = torch.rand((B, N), generator=generator, dtype=dtype) * 2 - 1
    mask = torch.rand((B, N), generator=generator) < 0.3
    mask[0], mask[1] = True, False
    ids = torch.randint(1, ITEMS, (B, N), generator=generator)
    users, items = torch.arange(1, B + 1), torch.arange(2, B + 2)
    return LossBatch(pos, neg, users, items, ids, ITEMS, mask=mask, **more)


def made(name: str, **params: Any) -> Any:
    cls = get(name)
    return cls(cls.Params(**params))


Row = Callable[[float, list[float], list[float]], float]
"""The loss of a row from the positive's score, the negatives' that are left in, their weights."""


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def soft(terms: Sequence[tuple[float, float]]) -> float:
    """log of a weighted sum of exponentials."""
    return math.log(sum(w * math.exp(z) for z, w in terms))


def bpr(p: float, s: list[float], w: list[float]) -> float:
    return sum(-v * math.log(sigmoid(p - x)) for x, v in zip(s, w, strict=True)) / N


def kpair(p: float, s: list[float], w: list[float]) -> float:
    return math.log(1 + sum(v * math.exp(x - p) for x, v in zip(s, w, strict=True)))


def hinge(p: float, s: list[float], w: list[float]) -> float:
    return sum(v * max(0.0, 0.7 - p + x) for x, v in zip(s, w, strict=True)) / N


def dns_sum(p: float, s: list[float], w: list[float]) -> float:
    ranked = sorted(zip(s, w, strict=True), key=lambda pair: -(pair[0] + math.log(pair[1])))
    return sum(-v * math.log(sigmoid(p - x)) for x, v in ranked[:2])


def ssm(p: float, s: list[float], w: list[float]) -> float:
    t = 0.3
    return -p / t + soft([(p / t, 1.0), *((x / t, v) for x, v in zip(s, w, strict=True))])


def sl(p: float, s: list[float], w: list[float]) -> float:
    return -p / 0.3 + soft([(x / 0.3, v) for x, v in zip(s, w, strict=True)])


def bsl(p: float, s: list[float], w: list[float]) -> float:
    return -p / 0.3 + 1.2 * soft([(x / 0.3, v) for x, v in zip(s, w, strict=True)])


def psl(surrogate: Callable[[float], float]) -> Row:
    def row(p: float, s: list[float], w: list[float]) -> float:
        terms = zip(s, w, strict=True)
        return math.log(sum(v * surrogate((x - p) / 2) ** (1 / 0.25) for x, v in terms))

    return row


def slk(p: float, s: list[float], w: list[float]) -> float:
    return sigmoid(p / 0.8) * sl(p, s, w)  # before the first estimate every β is 0


def ccl(p: float, s: list[float], w: list[float]) -> float:
    return 1 - p + 3 * sum(v * max(0.0, x - 0.2) for x, v in zip(s, w, strict=True)) / N


def pointwise(exponent: float) -> Row:
    def row(p: float, s: list[float], w: list[float]) -> float:
        negative = sum(-v * math.log(1 - sigmoid(x)) for x, v in zip(s, w, strict=True))
        return (-exponent * math.log(sigmoid(p)) + negative) / (N + 1)

    return row


RATE = N / (ITEMS - 2)  # of 40 real items
ORACLES: list[tuple[str, dict[str, Any], Row]] = [
    ("bpr", {}, bpr),
    ("kpair", {}, kpair),
    ("hinge", {"margin": 0.7}, hinge),
    ("dns_sum", {"best_num": 2}, dns_sum),
    ("ssm", {"temperature": 0.3}, ssm),
    ("sl", {"temperature": 0.3}, sl),
    ("bsl", {"temperature": 0.3, "negative_weight": 1.2}, bsl),
    ("psl", {"temperature": 0.25, "surrogate": "tanh"}, psl(lambda d: math.tanh(d) + 1)),
    ("psl", {"temperature": 0.25, "surrogate": "relu"}, psl(lambda d: max(d + 1, 0.0))),
    ("psl", {"temperature": 0.25, "surrogate": "atan"}, psl(lambda d: math.atan(d) + 1)),
    ("psl", {"temperature": 0.25, "surrogate": "exp"}, psl(math.exp)),
    ("slk", {"temperature": 0.3, "weight_temperature": 0.8}, slk),
    ("ccl", {"margin": 0.2, "negative_weight": 3.0}, ccl),
    ("bce", {}, pointwise(1.0)),
    ("gbce", {"t": 0.6}, pointwise(RATE * (0.6 * (1 - 1 / RATE) + 1 / RATE))),
]


@pytest.mark.parametrize(("name", "params", "row"), ORACLES, ids=lambda x: str(x)[:40])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_loss_is_its_published_formula(
    name: str, params: dict[str, Any], row: Row, weighted: bool
) -> None:
    given = batch()
    weights = torch.rand(B, N, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    weights = weights + 0.1 if weighted else torch.ones_like(weights)
    given = replace(given, term_weight=weights if weighted else None)
    values = made(name, **params)(given)
    assert values.shape == (B,)
    assert given.mask is not None
    for b in range(B):
        left = [j for j in range(N) if not given.mask[b, j]]
        scores = [float(given.neg[b, j]) for j in left]
        expected = row(float(given.pos[b]), scores, weights[b, left].tolist()) if left else 0.0
        assert float(values[b]) == pytest.approx(expected, rel=1e-9, abs=1e-12), b


def test_every_loss_has_an_oracle() -> None:
    ours = {name for name, cls in available().items() if cls.__module__.startswith("recbole_bns.")}
    assert {name for name, _, _ in ORACLES} == ours


def test_golden_values() -> None:
    ids = torch.tensor([[1, 2, 3]])
    one = torch.tensor([1])
    small = LossBatch(torch.tensor([0.6]), torch.tensor([[0.1, 0.5, -0.2]]), one, one, ids, ITEMS)
    assert float(made("ssm", temperature=0.2)(small)) == pytest.approx(0.534697, abs=1e-6)
    assert float(made("sl", temperature=0.2)(small)) == pytest.approx(-0.346822, abs=1e-6)
    four = LossBatch(
        torch.tensor([2.0]), torch.tensor([[0.5, 1.5, 0.0, 3.0]]), one, one, ids, ITEMS
    )
    assert float(made("dns_sum", best_num=2)(four)) == pytest.approx(1.787339, abs=1e-6)


def identical(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_identities() -> None:
    given = replace(batch(), mask=None)
    one = replace(given, neg=given.neg[:, :1], ids=given.ids[:, :1])
    bpr_of_one = made("bpr")(one)
    assert identical(made("ssm", temperature=1.0)(one), bpr_of_one)
    assert identical(made("kpair")(one), bpr_of_one)
    assert identical(made("dns_sum", best_num=1)(one), bpr_of_one)
    assert identical(made("ssm", temperature=1.0)(given), made("kpair")(given))
    assert identical(made("gbce", t=0.0)(given), made("bce")(given))
    assert identical(made("bsl", negative_weight=1.0)(given), made("sl")(given))
    psl_exp = made("psl", surrogate="exp", temperature=0.1)(given)
    assert identical(psl_exp, made("sl", temperature=0.2)(given))
    flat = made("slk", temperature=0.2, weight_temperature=1e12)(given)
    assert identical(flat, made("sl", temperature=0.2)(given) / 2)
    summed = made("ssm", reduction="sum")(given).mean()
    assert identical(summed, made("ssm")(given).sum())
    every = made("dns_sum", best_num=N)(given)
    assert identical(every, made("bpr")(given) * N)


def test_corrections_by_the_proposal() -> None:
    log_q = torch.rand(B, N, dtype=torch.float64).log()
    own = (torch.rand(B, dtype=torch.float64) / 2).log()
    for name in ("ssm", "sl", "bsl", "slk"):
        plain = replace(batch(), log_q=log_q, pos_log_q=own)
        loss = made(name, temperature=0.5)
        for form, left, right in (
            ("negatives", log_q * 0.5, 0.0),
            ("both", log_q * 0.5, own * 0.5),
        ):
            shifted = replace(batch(), neg=plain.neg - left, pos=plain.pos - right)
            if name != "slk" or form == "negatives":  # SL@K's weight sees the score itself
                assert identical(loss(replace(plain, log_q_form=form)), loss(shifted)), (name, form)
        assert identical(loss(replace(plain, log_q_form="none")), loss(batch()))


def test_the_corrected_form_against_a_loop() -> None:
    t = 0.4
    log_q = torch.rand(B, N, dtype=torch.float64).log()
    own = (torch.rand(B, dtype=torch.float64) / 2).log()
    given = replace(batch(), log_q=log_q, pos_log_q=own, log_q_form="corrected")
    pos = given.pos.clone().requires_grad_()
    values = made("ssm", temperature=t)(replace(given, pos=pos))
    assert given.mask is not None
    for b in range(B):
        left = [j for j in range(N) if not given.mask[b, j]]
        if not left:
            assert float(values[b].detach()) == 0
            continue
        free = 1 - math.exp(float(own[b]))
        terms = [
            math.exp(float(given.neg[b, j]) / t) / (math.exp(float(log_q[b, j])) / free)
            for j in left
        ]
        p = math.exp(float(given.pos[b]) / t)
        weight = 1 - p / (p + sum(terms) / len(terms))
        expected = weight * (-float(given.pos[b]) / t + math.log(sum(terms)))
        assert float(values[b].detach()) == pytest.approx(expected, rel=1e-9)
        gradient = torch.autograd.grad(values[b], pos, retain_graph=True)[0]
        assert float(gradient[b]) == pytest.approx(-weight / t)  # none flows through the weight


@pytest.mark.parametrize("name", MASKABLE)
def test_gradients(name: str) -> None:
    given = batch(4)
    loss = made(name)
    inputs = (given.pos.clone().requires_grad_(), given.neg.clone().requires_grad_())
    assert torch.autograd.gradcheck(
        lambda pos, neg: loss(replace(given, pos=pos, neg=neg)), inputs, atol=1e-6
    )


@pytest.mark.parametrize("name", MASKABLE)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_no_extreme_gives_a_nan(name: str, scale: float) -> None:
    params = {"temperature": 0.01} if "temperature" in get(name).Params.__annotations__ else {}
    loss = made(name, **params)
    for seed in range(3):
        given = batch(seed, dtype=torch.float32)
        pos, neg = ((x * scale).requires_grad_() for x in (given.pos, given.neg))
        values = loss(replace(given, pos=pos, neg=neg))
        assert bool(values.isfinite().all())
        assert float(values[0].detach()) == 0, "a row without a term"
        values.sum().backward()
        assert pos.grad is not None
        assert neg.grad is not None
        assert bool(pos.grad.isfinite().all())
        assert bool(neg.grad.isfinite().all())
        assert given.mask is not None
        assert not bool(neg.grad[given.mask].any()), "a masked term has a gradient"


def test_the_mean_is_weighted_by_rows() -> None:
    values = torch.tensor([1.0, 2.0, 4.0])
    assert float(mean_over_rows(values, None)) == pytest.approx(7 / 3)
    assert float(mean_over_rows(values, torch.tensor([1.0, 0.0, 3.0]))) == pytest.approx(13 / 4)


def test_log_sum_exp_of_nothing_has_no_nan() -> None:
    z = torch.full((2, 3), float("-inf"))
    z[1, 0] = 2.0
    z.requires_grad_()
    total = log_sum_exp(z)
    assert total.tolist() == [float("-inf"), 2.0]
    total[1].backward()
    assert z.grad is not None
    assert bool(z.grad.isfinite().all())


def test_slk_estimates_the_kth_score() -> None:
    catalogue = small_catalogue()
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(n, 4, generator=generator) for n in (24, 41))
    view = EpochView(FactorScorer(users, items), catalogue)
    estimates = quantiles(view, 3, 8, torch.Generator().manual_seed(1))
    drawn = Proposal(catalogue).draw(torch.arange(24), 8, torch.Generator().manual_seed(1))
    own = [catalogue.positives[a:b].tolist() for a, b in pairwise(catalogue.indptr.tolist())]
    width = int(statistics.quantiles([len(p) for p in own if p], n=10, method="inclusive")[-1])
    for user in range(1, 24):
        ids = own[user][:width] + drawn[user].tolist()
        scores = sorted((float(users[user] @ items[i]) for i in ids), reverse=True)
        assert float(estimates[user]) == pytest.approx(scores[2], rel=1e-5), user


def test_slk_refreshes_saves_and_weighs() -> None:
    catalogue = small_catalogue()
    generator = torch.Generator().manual_seed(0)
    view = EpochView(
        FactorScorer(*(torch.randn(n, 4, generator=generator) for n in (24, 41))), catalogue
    )
    loss = made("slk", refresh_every=2, k=2, weight_temperature=0.5)
    loss.begin_epoch(0, view)
    loss.begin_epoch(1, view)
    assert loss.quantile is None
    loss.begin_epoch(2, view)
    kept = loss.quantile.clone()
    loss.begin_epoch(3, view)
    assert torch.equal(loss.quantile, kept)
    other = made("slk", refresh_every=2, k=2, weight_temperature=0.5)
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other.quantile, kept)
    given = batch(2)
    expected = torch.sigmoid((given.pos - kept[given.users]) / 0.5) * made("sl")(given)
    assert identical(other(given), expected)
