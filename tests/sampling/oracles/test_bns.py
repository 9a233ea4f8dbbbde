"""BNS against Eq. 4, 15-17, 32 and 35 of the paper, counted item by item."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from toys import (
    CANDIDATES,
    POPULARITY,
    Case,
    X,
    random_case,
    record_candidates,
    scorer_of,
    sigmoid,
    toy_catalogue,
    toy_choice,
    toy_scorer,
)

from recbole_bns.sampling import Catalogue, FactorScorer, build
from recbole_bns.sampling.cdf import SORT_FROM, count_not_above, estimated_cdf
from recbole_bns.sampling.kernels import engine as kernels
from recbole_bns.sampling.methods.bns import gain, information, risk, unbiasedness


@pytest.fixture(params=["compiled", "torch"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Count with the compiled loop (float32 scores) and without."""
    if request.param == "torch":
        monkeypatch.setattr(kernels, "available", lambda *tensors: False)
    elif not kernels.available():
        pytest.skip("numba is not installed")
    return str(request.param)


def slow_cdf(scores: Any, taken: set[int], value: float, form: str) -> float:
    """F of one value, by its form; item 0 is padding."""
    below = negatives = 0
    for item in range(1, len(scores)):
        if item in taken and form != "all_items":
            continue
        negatives += 1
        below += scores[item] <= value
    return below / (negatives if form == "paper" else negatives + 1)


def slow_unbias(cdf: float, prior: float) -> float:
    total = (1 - cdf) * (1 - prior) + cdf * prior
    return 0.5 if total == 0 else (1 - cdf) * (1 - prior) / total


def slow_risk(positive: float, score: float, unbias: float, lambda_: float) -> float:
    return (1 - sigmoid(positive - score)) * (1 - (1 + lambda_) * unbias)


GOLDEN: dict[str, tuple[list[float], list[float], list[float], int, int]] = {
    "exact": (
        [0.571429, 0.714286, 0.285714, 0.857143],
        [0.809524, 0.782609, 1, 0.76],
        [-0.703641, -1.395259, -0.596015, -2.602569],
        7,
        4,
    ),
    "all_items": (
        [0.444444, 0.666667, 0.222222, 0.888889],
        [0.876289, 0.818182, 1, 0.703704],
        [-0.776719, -1.475841, -0.596015, -2.355633],
        7,
        4,
    ),
    "paper": (
        [0.666667, 0.833333, 0.333333, 1],
        [0.73913, 0.642857, 1, 0],
        [-0.626592, -1.078688, -0.596015, 0.731059],
        3,
        4,
    ),
}


@pytest.mark.parametrize("kind", ["table", "factor"])
@pytest.mark.parametrize("form", GOLDEN)
def test_golden(form: str, kind: str) -> None:
    cdf, unbias, risks, at_5, at_01 = GOLDEN[form]
    sampler = build("bns", toy_catalogue(), {"cdf": form, "candidate_num": 4})
    scores = torch.tensor([[X[item] for item in CANDIDATES]], dtype=torch.float64)
    users, candidates = torch.tensor([1]), torch.tensor([CANDIDATES]) + 1
    f = sampler.scores_and_cdf(users, candidates, toy_scorer(kind))[1]
    prior = sampler.prior(users, candidates)
    info = information(torch.tensor([[X[0]]]), scores)
    given = unbiasedness(f, prior)
    assert f[0].tolist() == pytest.approx(cdf, abs=1e-6)
    assert prior[0].tolist() == pytest.approx([0.15, 0.1, 0, 0.05])
    assert info[0].tolist() == pytest.approx([0.182426, 0.377541, 0.119203, 0.731059], abs=1e-6)
    assert given[0].tolist() == pytest.approx(unbias, abs=1e-6)
    assert risk(info, given, 5.0)[0].tolist() == pytest.approx(risks, abs=1e-5)
    for lambda_, chosen in ((5.0, at_5), (0.1, at_01)):
        args = {"cdf": form, "candidate_num": 4, "lambda": lambda_}
        assert toy_choice(build("bns", toy_catalogue(), args), kind) == chosen


def check_choices(case: Case, args: dict[str, Any], kind: str, seed: int, n: int = 1) -> None:
    """Every id chosen has the least risk (or greatest posterior) of its candidates."""
    sampler = build("bns", case.catalogue, args, seed=seed)
    seen = record_candidates(sampler)
    ids = sampler.sample(case.users, case.items, n, scorer_of(case.scores, kind)).tolist()
    form, lambda_ = args.get("cdf", "exact"), args.get("lambda", 5.0)
    total = sum(case.counts)
    for user, item, sets, row in zip(
        case.users.tolist(), case.items.tolist(), seen[0], ids, strict=True
    ):
        scores, taken = case.scores[user], case.taken[user]
        for candidates, chosen in zip(sets, row, strict=True):
            values = {}
            for candidate in candidates:
                if candidate == 0:
                    continue
                prior = {"uniform": 1 / (len(scores) - 1)}.get(
                    args.get("prior", ""), case.counts[candidate] / total
                )
                unbias = slow_unbias(slow_cdf(scores, taken, scores[candidate], form), prior)
                values[candidate] = slow_risk(scores[item], scores[candidate], unbias, lambda_)
                if args.get("criterion") == "posterior":
                    values[candidate] = -unbias
            if values:
                assert values[chosen] == pytest.approx(min(values.values()), abs=1e-6)


@pytest.mark.parametrize("kind", ["table", "factor"])
@pytest.mark.parametrize(
    "args",
    [
        {},
        {"cdf": "paper"},
        {"cdf": "all_items", "lambda": 0.1},
        {"prior": "uniform", "lambda": 0.5},
        {"criterion": "posterior"},
        {"criterion": "posterior", "cdf": "paper", "prior": "uniform"},
        {"candidate_num": 14, "lambda": 1.0},
        {"candidate_num": "all"},
        {"replacement": True, "candidate_num": 6},
    ],
)
def test_least_risk(args: dict[str, Any], kind: str) -> None:
    for seed in range(4):
        check_choices(random_case(seed, ties=False), args, kind, seed)
    check_choices(random_case(9, item_num=40), {**args, "replacement": False}, kind, 9, n=2)


def test_all_negatives_are_candidates() -> None:
    case = random_case(3)
    sampler = build("bns", case.catalogue, {"candidate_num": "all"}, seed=1)
    for n in (1, 3):
        seen = record_candidates(sampler)
        sampler.sample(case.users, case.items, n, scorer_of(case.scores))
        for user, sets in zip(case.users.tolist(), seen[0], strict=True):
            assert len(sets) == n
            assert sorted(i for one in sets for i in one if i) == case.negatives(user)


@pytest.mark.parametrize("form", ["exact", "paper", "all_items"])
@pytest.mark.parametrize("width", [3, SORT_FROM - 1, SORT_FROM, 60])
@pytest.mark.parametrize("broken", [False, True], ids=["finite", "nan and inf"])
def test_cdf_by_counting(path: str, form: str, width: int, broken: bool) -> None:
    case = random_case(width, item_num=50)
    scores = case.scores.astype(np.float32)
    if broken:
        scores[:, ::7], scores[:, 3], scores[:, 4] = np.nan, np.inf, -np.inf
    places = np.random.default_rng(1).choice(np.flatnonzero(np.isfinite(scores[1])), (40, width))
    scorer = scorer_of(scores)
    scorer.table = torch.tensor(scores)
    sampler = build("bns", case.catalogue, {"cdf": form})
    values, given = sampler.scores_and_cdf(case.users, torch.tensor(places), scorer)
    assert values.tolist() == scores[case.users.numpy()[:, None], places].tolist()
    for user, row, f in zip(case.users.tolist(), values.tolist(), given.tolist(), strict=True):
        wanted = [slow_cdf(scores[user], case.taken[user], value, form) for value in row]
        assert f == pytest.approx(wanted, abs=1e-6)


def test_repeated_users_and_two_batches_of_one_scorer(path: str) -> None:
    case = random_case(5, item_num=30)
    scorer = scorer_of(case.scores, "factor")
    scorer.users, scorer.items = scorer.users.float(), scorer.items.float()
    table = scorer.catalogue(torch.arange(7))
    for users in (torch.tensor([3, 1, 3, 2, 1]), torch.tensor([2, 5])):
        items = torch.tensor([4, 9]).expand(len(users), -1).contiguous()
        values, given = build("bns", case.catalogue).scores_and_cdf(users, items, scorer)
        for user, row, f in zip(users.tolist(), values.tolist(), given.tolist(), strict=True):
            scores, taken = table[user].tolist(), case.taken[user]
            assert f == pytest.approx([slow_cdf(scores, taken, v, "exact") for v in row])


def test_counting_with_and_without_sorting_agree_on_what_is_no_number() -> None:
    scores = torch.tensor([[1.0, math.nan, -math.inf, math.inf, 0.5, 2.0]])
    counted = torch.tensor([[True, True, True, True, True, False]])
    values = torch.tensor([[-9.0, 0.5, 0.7, 1.0, 5.0]])
    wanted = [1, 2, 2, 3, 3]
    assert count_not_above(scores, counted, values)[0].tolist() == wanted
    many = values.repeat(1, SORT_FROM)
    assert count_not_above(scores, counted, many)[0].tolist() == wanted * SORT_FROM


def test_estimate_from_all_items_is_exact() -> None:
    case = random_case(4, item_num=30)
    scorer = scorer_of(case.scores)
    items = torch.arange(1, 30).expand(len(case.users), -1)
    exact, estimated = (
        build("bns", case.catalogue, args).scores_and_cdf(case.users, items, scorer)[1]
        for args in ({}, {"cdf": "estimated", "cdf_items": 29})
    )
    assert torch.equal(exact, estimated.to(exact.dtype))


def test_estimate_without_a_reference_counts_half_of_the_others() -> None:
    """Of n = 4 the item itself and a share of three, of n = 9 itself and half of eight."""
    below, total = torch.tensor([[0, 3], [0, 0]]), torch.tensor([[3, 3], [0, 0]])
    itself = torch.tensor([[True, True], [True, False]])
    given = estimated_cdf(below, total, torch.tensor([[4], [9]]), itself)
    assert given.tolist() == [
        [pytest.approx(1 / 5), pytest.approx(4 / 5)],
        [pytest.approx((1 + 4) / 10), pytest.approx(4.5 / 10)],
    ]


@pytest.mark.parametrize("kind", ["table", "factor"])
def test_estimate_counts_the_candidate_itself(path: str, kind: str) -> None:
    """F of one candidate from references that repeat: (1 + (n - 1) · share of others) / (n + 1)."""
    case = random_case(7, item_num=30)
    scorer = scorer_of(case.scores.round(3), kind)
    if kind == "factor":
        scorer.users, scorer.items = scorer.users.float(), scorer.items.float()
    sampler = build("bns", case.catalogue, {"cdf": "estimated", "cdf_items": 20}, seed=3)
    reference = torch.tensor([2, 2, 3, 5, 5, 5, 8, 9, 12, 12, 20, 21, 22, 25, 28, 29, 29])
    sampler._reference_items = lambda device: reference  # type: ignore[method-assign]
    items = torch.arange(1, 30).expand(len(case.users), -1).contiguous()
    table = scorer.catalogue(torch.arange(7))
    given = sampler.scores_and_cdf(case.users, items, scorer)[1]
    for user, row in zip(case.users.tolist(), given.tolist(), strict=True):
        scores, n = table[user].tolist(), len(case.negatives(user))
        for item, f in enumerate(row, 1):
            own = item not in case.taken[user]
            others = [r for r in reference.tolist() if r not in case.taken[user] and r != item]
            share = sum(scores[r] <= scores[item] for r in others) / len(others)
            assert f == pytest.approx((own + (n - own) * share) / (n + 1), abs=1e-6)


def test_error_of_the_estimate_keeps_the_dkw_bound() -> None:
    """sup |F_R - F| > sqrt(log(2 / d) / 2R) for at most a share d of 4000 independent users."""
    user_num, item_num = 4001, 300
    source = np.random.default_rng(0)
    pairs = [(u, i) for u in range(1, user_num) for i in source.integers(1, item_num, 30)]
    catalogue = Catalogue(*torch.tensor(pairs).T, user_num, item_num)
    scorer = scorer_of(source.normal(size=(user_num, item_num)))
    users = torch.arange(1, user_num)
    items = torch.arange(item_num).expand(len(users), -1).contiguous()
    taken = catalogue.positive_mask(users)
    exact = build("bns", catalogue).scores_and_cdf(users, items, scorer)[1]
    sampler = build("bns", catalogue, {"cdf": "estimated", "cdf_items": 64}, seed=1)
    estimate = sampler.scores_and_cdf(users, items, scorer)[1]
    n = catalogue.negative_num[users]
    error = (estimate - exact) * ((n + 1) / n).unsqueeze(1)
    sup = error.masked_fill(taken, 0)[:, 1:].abs().amax(1)
    for d in (0.3, 0.1, 0.03):
        used = 64 * (n / (item_num - 1)).numpy()  # references that are negatives, on average
        bound = np.sqrt(np.log(2 / d) / (2 * used))
        share = (sup.numpy() > bound).mean()
        assert d / 20 < share <= d * 1.1
    assert abs(float(error.masked_fill(taken, 0).mean())) < 0.003


def test_one_half_and_zero_over_zero() -> None:
    p = torch.linspace(0, 1, 11)
    half = torch.full_like(p, 0.5)
    assert torch.allclose(unbiasedness(half, p), 1 - p)
    assert torch.allclose(unbiasedness(p, half), 1 - p)
    corners = torch.tensor([[1.0, 0], [0, 1], [1, 0.2], [0, 0], [1, 1]]).T
    assert unbiasedness(corners[0], corners[1]).tolist() == [0.5, 0.5, 0, 1, 0]


@pytest.mark.parametrize(("prior", "turn"), [(0.64, 0.737705), (0.04, 0.991736)])
def test_risk_turns_positive_where_it_should(prior: float, turn: float) -> None:
    cdf = torch.tensor([turn - 1e-4, turn + 1e-4])
    before, after = risk(torch.tensor(0.5), unbiasedness(cdf, torch.tensor(prior)), 5.0).tolist()
    assert before < 0 < after


def test_a_great_lambda_takes_the_greatest_information_times_posterior() -> None:
    case = random_case(6, ties=False)
    sampler = build("bns", case.catalogue, {"lambda": 1e7, "candidate_num": 8}, seed=1)
    seen = record_candidates(sampler)
    ids = sampler.sample(case.users, case.items, 1, scorer_of(case.scores)).tolist()
    total = sum(case.counts)
    for user, item, (candidates,), (chosen,) in zip(
        case.users.tolist(), case.items.tolist(), seen[0], ids, strict=True
    ):
        scores, values = case.scores[user], {}
        for c in filter(None, candidates):
            f = slow_cdf(scores, case.taken[user], scores[c], "exact")
            unbias = slow_unbias(f, case.counts[c] / total)
            values[c] = (1 - sigmoid(scores[item] - scores[c])) * unbias
        assert values[chosen] == pytest.approx(max(values.values()), abs=1e-6)


def test_schedule_of_bns_1() -> None:
    args = {"lambda": {"start": 10, "step": -0.1, "stop": 2}}
    sampler = build("bns", toy_catalogue(), {**args, "candidate_num": 4})
    for epoch in (0, 1, 37, 79, 80, 81, 500):
        sampler.begin_epoch(epoch, None)
        assert sampler.lambda_now == pytest.approx(max(10 - 0.1 * epoch, 2))


def test_lambda_of_the_epoch_decides() -> None:
    """lambda 0.1 takes item 4 of the toy, lambda 5 item 7."""
    args = {"lambda": {"start": 0.1, "step": 0.7, "stop": 5}, "candidate_num": 4}
    sampler = build("bns", toy_catalogue(), args)
    assert toy_choice(sampler) == 4
    sampler.begin_epoch(7, None)
    assert toy_choice(sampler) == 7


def test_warm_up_is_uniform_and_looks_at_no_score() -> None:
    case = random_case(2)
    sampler = build("bns", case.catalogue, {"warmup_epochs": 3, "candidate_num": "all"}, seed=1)
    for epoch, negatives in ((0, True), (2, True), (3, False)):
        sampler.begin_epoch(epoch, None)
        users = torch.full((300,), 4)
        scorer = None if negatives else scorer_of(case.scores)
        drawn = set(sampler.sample(users, torch.full_like(users, 1), 1, scorer).flatten().tolist())
        assert (drawn == set(case.negatives(4))) is negatives
        assert (len(drawn) == 1) is not negatives


def test_popularity_of_the_toy_sums_to_the_interactions() -> None:
    prior = build("bns", toy_catalogue(), {"candidate_num": 4}).prior
    everything = prior(torch.tensor([1]), torch.arange(9).unsqueeze(0))[0]
    assert everything.tolist() == pytest.approx([0, *(count / 20 for count in POPULARITY)])


def test_nothing_times_log_of_nothing_is_nothing_in_the_gain() -> None:
    positive, scores = torch.tensor([[[0.5]]]), torch.tensor([[[1.0, 2.0, 3.0]]])
    unbias = torch.tensor([[[1.0, 0.0, 0.4]]])
    info = torch.log(torch.sigmoid(scores - positive))
    assert torch.allclose(gain(positive, scores, unbias, 0.0), info)
    some = gain(positive, scores, unbias, 2.0)
    assert some[0, 0].tolist() == pytest.approx(
        [float(info[0, 0, 0]), -math.inf, float(info[0, 0, 2]) + 2 * math.log(0.4)]
    )


@pytest.mark.parametrize("kind", ["table", "factor"])
@pytest.mark.parametrize("n", [1, 3])
def test_a_certain_false_negative_is_not_chosen_while_another_can_be(kind: str, n: int) -> None:
    """However little the prior is trusted; and gamma 0 chooses what a tiny gamma does."""
    case = random_case(3, ties=False)
    certain = np.zeros(16)
    certain[6:] = 1
    drawn = []
    for gamma in (0, 1e-6, 2.0):
        args = {
            "candidate_num": "all",
            "criterion": "gain",
            "likelihood": "flat",
            "gamma": gamma,
            "prior": certain,
        }
        sampler = build("bns", case.catalogue, args, seed=1)
        drawn.append(sampler.sample(case.users, case.items, n, scorer_of(case.scores, kind)))
    assert torch.equal(drawn[0], drawn[1])
    if n == 1:
        for user, (chosen,) in zip(case.users.tolist(), drawn[0].tolist(), strict=True):
            possible = [i for i in case.negatives(user) if i < 6] or case.negatives(user)
            assert chosen in possible
        assert torch.equal(drawn[0], drawn[2])


def test_where_all_are_certain_false_negatives_one_with_a_score_is_chosen() -> None:
    case = random_case(3, ties=False)
    scores = case.scores.copy()
    scores[:, 5:] = np.nan
    args = {"candidate_num": "all", "criterion": "gain", "likelihood": "flat", "gamma": 1.0}
    sampler = build("bns", case.catalogue, {**args, "prior": np.ones(16)}, seed=1)
    ids = sampler.sample(case.users, case.items, 1, scorer_of(scores))[:, 0].tolist()
    for user, chosen in zip(case.users.tolist(), ids, strict=True):
        possible = [i for i in case.negatives(user) if i < 5] or case.negatives(user)
        assert chosen in possible


@pytest.mark.parametrize("name", ["bns", "bns_plus"])
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_without_a_finite_score_all_candidates_give_no_padding(
    path: str, name: str, n: int, value: float
) -> None:
    case = random_case(3)
    vectors = torch.full((7, 2), value), torch.ones(16, 2)
    sampler = build(name, case.catalogue, {"candidate_num": "all"}, seed=1)
    for _ in range(5):
        ids = sampler.sample(case.users, case.items, n, FactorScorer(*vectors))
        for user, row in zip(case.users.tolist(), ids.tolist(), strict=True):
            assert set(row) <= set(case.negatives(user))
