"""Every loss against a slow loop over its formula; corrections, golden values, identities."""

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

from recbole_bns.common.errors import UsageError
from recbole_bns.losses import (
    EpochView,
    LossBatch,
    build,
    log_sum_exp,
    mean_over_rows,
)
from recbole_bns.losses.forms.slk import quantiles
from recbole_bns.sampling import FactorScorer, Proposal
from recbole_bns.testing import small_catalogue

B, N, ITEMS = 5, 7, 41


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
    return build(name, params)


@pytest.mark.parametrize(
    ("items", "temperature"),
    [
        (4000, 0.2),
        (64000, 0.1),
        (40500, 0.2 / 10.125**0.25),
        (1000, 0.25),
        (10**6, 0.08),
        (0, 0.25),
    ],
)
def test_the_temperature_of_ssm_may_follow_from_the_catalogue(
    items: int, temperature: float
) -> None:
    auto, given = made("ssm", temperature="auto"), made("ssm", temperature=temperature)
    of_catalogue = replace(batch(), item_num=items + 1)
    assert auto.decided(items + 1) == pytest.approx({"temperature": temperature})
    assert given.decided(items + 1) == {}
    assert identical(auto(of_catalogue), given(of_catalogue))
    assert auto.softmax_form(items + 1).temperature == pytest.approx(temperature)


def identical(ours: Tensor, theirs: Tensor) -> bool:
    return torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12)


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
    ranked = sorted(zip(s, w, strict=True), reverse=True)
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


@pytest.mark.parametrize(
    ("name", "params", "row"), ORACLES, ids=lambda x: None if callable(x) else str(x)[:40]
)
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


def test_golden_values() -> None:
    ids, one = torch.tensor([[1, 2, 3]]), torch.tensor([1])
    small = LossBatch(torch.tensor([0.6]), torch.tensor([[0.1, 0.5, -0.2]]), one, one, ids, ITEMS)
    assert float(made("ssm", temperature=0.2)(small)) == pytest.approx(0.534697, abs=1e-6)
    assert float(made("sl", temperature=0.2)(small)) == pytest.approx(-0.346822, abs=1e-6)
    four = LossBatch(
        torch.tensor([2.0]), torch.tensor([[0.5, 1.5, 0.0, 3.0]]), one, one, ids, ITEMS
    )
    assert float(made("dns_sum", best_num=2)(four)) == pytest.approx(1.787339, abs=1e-6)


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


def corrected_by(form: str, seed: int = 0) -> LossBatch:
    """A batch whose negatives and positives have log-probabilities."""
    generator = torch.Generator().manual_seed(seed + 9)
    log_q, own = (
        torch.rand(size, generator=generator, dtype=torch.float64).log() for size in ((B, N), (B,))
    )
    return batch(seed, log_q=log_q, pos_log_q=own - math.log(2), log_q_form=form)


SOFT: dict[str, Callable[[float, list[float]], float]] = {
    "ssm": lambda z, zs: -z + math.log(math.exp(z) + sum(map(math.exp, zs))),
    "sl": lambda z, zs: -z + math.log(sum(map(math.exp, zs))),
    "bsl": lambda z, zs: -z + 1.1 * math.log(sum(map(math.exp, zs))),
}
"""Softmax losses of the positive's logit and those of its negatives."""


@pytest.mark.parametrize("name", [*SOFT, "slk"])
@pytest.mark.parametrize("form", ["none", "negatives", "both"])
def test_log_q_is_taken_from_the_logits(name: str, form: str) -> None:
    temperature, given = 0.5, corrected_by(form)
    values = made(name, temperature=temperature)(given)
    assert given.mask is not None
    assert given.log_q is not None
    assert given.pos_log_q is not None
    for b in range(1, B):
        z = float(given.pos[b]) / temperature
        z -= float(given.pos_log_q[b]) if form == "both" else 0.0
        zs = [
            float(given.neg[b, j]) / temperature
            - (0.0 if form == "none" else float(given.log_q[b, j]))
            for j in range(N)
            if not given.mask[b, j]
        ]
        weight = sigmoid(float(given.pos[b])) if name == "slk" else 1.0
        expected = weight * SOFT.get(name, SOFT["sl"])(z, zs)
        assert float(values[b]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_corrected_form_against_a_loop(weighted: bool) -> None:
    t, given = 0.4, corrected_by("corrected")
    weights = torch.rand(B, N, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    weights = weights if weighted else torch.ones_like(weights)
    pos = given.pos.clone().requires_grad_()
    given = replace(given, pos=pos, term_weight=weights if weighted else None)
    values = made("ssm", temperature=t)(given)
    assert given.mask is not None
    assert given.log_q is not None
    assert given.pos_log_q is not None
    gradient = torch.autograd.grad(values.sum(), pos)[0]
    for b in range(B):
        left = [j for j in range(N) if not given.mask[b, j]]
        if not left:
            assert float(values[b].detach()) == 0
            continue
        others = 1 - math.exp(float(given.pos_log_q[b]))
        terms = [
            float(weights[b, j])
            * math.exp(float(given.neg[b, j]) / t)
            / (math.exp(float(given.log_q[b, j])) / others)
            for j in left
        ]
        z = float(given.pos[b].detach()) / t
        weight = 1 - math.exp(z) / (math.exp(z) + sum(terms) / float(weights[b, left].sum()))
        assert float(values[b].detach()) == pytest.approx(
            weight * (-z + math.log(sum(terms))), rel=1e-9
        )
        assert float(gradient[b]) == pytest.approx(-weight / t)  # none flows through the weight


@pytest.mark.parametrize(
    ("form", "given", "sentence"),
    [
        ("some", {}, r"loss_log_q: got 'some'; allowed: none, negatives, both, corrected\."),
        ("negatives", {}, "got 'negatives' without log_q, allowed is"),
        ("both", {"log_q": torch.zeros(B, N)}, "got 'both' without pos_log_q"),
        ("corrected", {}, "got 'corrected' without log_q and pos_log_q"),
    ],
)
def test_a_correction_without_probabilities_is_refused(
    form: str, given: dict[str, Tensor], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        batch(log_q_form=form, **given)


def scores_of(size: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Users, positives and a list of negatives, (B,), (B,) and (size,), as rows of scores."""
    generator = torch.Generator().manual_seed(seed)
    users, own, many = (
        torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (B, B, size)
    )
    return users @ own.T, (users * own).sum(1), users @ many.T


def cross_entropy(pos: Tensor, neg: Tensor, temperature: float) -> Tensor:
    """By torch: the positive is class 0."""
    logits = torch.cat((pos.unsqueeze(1), neg), 1) / temperature
    zeros = torch.zeros(len(pos), dtype=torch.long)
    return torch.nn.functional.cross_entropy(logits, zeros, reduction="none")


def test_the_three_modes_of_ssm() -> None:
    """In the batch, summed; a list that all share; negatives of each row's own."""
    users, items = torch.arange(1, B + 1), torch.arange(2, B + 2)
    square, pos, shared = scores_of(N)
    classes = torch.arange(B)
    within = LossBatch(pos, square, users, items, items, ITEMS, mask=torch.eye(B, dtype=torch.bool))
    summed = made("ssm", temperature=0.3, reduction="sum")(within).mean()
    assert identical(
        summed, torch.nn.functional.cross_entropy(square / 0.3, classes, reduction="sum")
    )
    ids = torch.arange(7, 7 + N)
    for given in (ids, ids.expand(B, N)):
        one = LossBatch(pos, shared, users, items, given, ITEMS)
        assert identical(made("ssm", temperature=0.3)(one), cross_entropy(pos, shared, 0.3))


def test_small_losses_keep_their_digits() -> None:
    """Of a softmax by log-sum-exp minus the positive's logit, float32 would leave nothing."""
    one = torch.tensor([1])
    given = LossBatch(torch.tensor([1.0]), torch.tensor([[0.8, 0.75]]), one, one, one, ITEMS)
    value = float(made("ssm", temperature=0.01)(given))
    assert value == pytest.approx(math.exp(-20) + math.exp(-25), rel=1e-4)


def test_the_mean_is_weighted_by_rows() -> None:
    values = torch.tensor([1.0, 2.0, 4.0])
    assert float(mean_over_rows(values, None)) == pytest.approx(7 / 3)
    assert float(mean_over_rows(values, torch.tensor([1.0, 0.0, 3.0]))) == pytest.approx(13 / 4)
    assert float(mean_over_rows(values, torch.zeros(3))) == 0


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
    assert len(loss.quantile) == 0
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
