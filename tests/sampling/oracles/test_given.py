"""Given negatives against the law that their module tells, item by item; BNS's certainty."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import pytest
import torch
from test_bns import slow_cdf, slow_risk, slow_unbias
from toys import Case, assert_law, random_case, record_candidates, scorer_of

from recbole_bns.common.errors import UsageError
from recbole_bns.losses import PosteriorParams, PosteriorWeight
from recbole_bns.sampling import build
from recbole_bns.sampling.kernels import engine
from recbole_bns.sampling.known import FEW, KnownNegatives

USER = 2


def pairs_of(case: Case, each: int = 4) -> tuple[torch.Tensor, dict[int, list[int]]]:
    """Known dislikes of users 1 to 4: ``each`` negatives, one twice, and a positive beside."""
    known = {user: case.negatives(user)[:each] for user in range(1, 5)}
    pairs = [(user, item) for user, items in known.items() for item in [*items, items[0]]]
    pairs += [(user, min(case.taken[user])) for user in known]
    return torch.tensor(pairs).T, known


def given(case: Case, args: dict[str, Any], seed: int = 0, each: int = 4) -> Any:
    side = {"known_negatives": pairs_of(case, each)[0]}
    return build("given", case.catalogue, args, seed=seed, side=side)


def slow_law(case: Case, user: int, known: list[int], share: float, exponent: float) -> list[float]:
    """p(j | u) of each item, by the module's formula."""
    negatives = case.negatives(user)
    total = sum(case.counts[item] ** exponent for item in negatives)
    share = share if known else 0.0
    law = [0.0] * len(case.counts)
    for item in negatives:
        law[item] = (1 - share) * case.counts[item] ** exponent / total
        law[item] += share / len(known) if item in known else 0.0
    return law


@pytest.mark.parametrize(("share", "exponent"), [(0.5, 0.0), (0.25, 0.75), (1.0, 0.0)])
@pytest.mark.parametrize("user", [USER, 6])
def test_draws_have_the_law(user: int, share: float, exponent: float) -> None:
    """User 6 has no known dislike, and is served by the base alone."""
    case = random_case(3)
    known = pairs_of(case)[1].get(user, [])
    sampler = given(case, {"share": share, "exponent": exponent}, seed=1)
    users = torch.full((4000,), user)
    law = slow_law(case, user, known, share, exponent)
    assert_law(sampler.sample(users, users, 1, None), law)
    told = sampler.log_prob(torch.tensor([user]), torch.arange(1, 16).unsqueeze(0))
    if share == 1:
        assert told is None
        return
    found = [float(x) for item, x in enumerate(told[0], 1) if law[item]]
    assert found == pytest.approx([log(p) for p in law if p], abs=1e-6)


def test_of_several_negatives_the_share_is_known() -> None:
    """Four of each row's different negatives, half of them known on average."""
    case = random_case(1, item_num=60)
    sampler = given(case, {"share": 0.5}, seed=2, each=20)
    known = pairs_of(case, 20)[1][USER]
    users = torch.full((3000,), USER)
    ids = sampler.sample(users, users, 4, None)
    assert bool((ids.sort(1).values.diff(dim=1) > 0).all())
    rate = float(torch.isin(ids, torch.tensor(known)).float().mean())
    expected = 0.5 + 0.5 * len(known) / len(case.negatives(USER))  # the base meets them, too
    assert rate == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("name", "exponent"), [("rns", 0.0), ("pns", 0.75)])
@pytest.mark.parametrize("n", [1, 3])
def test_without_a_share_it_is_its_base_to_the_bit(name: str, exponent: float, n: int) -> None:
    case = random_case(0)
    one = given(case, {"share": 0.0, "exponent": exponent}, seed=9)
    other = build(name, case.catalogue, {"exponent": exponent} if exponent else {}, seed=9)
    for _ in range(3):
        drawn = (each.sample(case.users, case.items, n, None) for each in (one, other))
        assert torch.equal(*drawn)


def test_a_positive_is_no_dislike_and_a_pair_counts_once() -> None:
    case = random_case(5)
    pairs, known = pairs_of(case)
    lists = KnownNegatives(case.catalogue, torch.cat((pairs, torch.tensor([[0, 1], [3, 0]])), 1))
    assert len(lists) == 16
    assert lists.number.tolist() == [0, 4, 4, 4, 4, 0, 0]
    every = torch.arange(16).expand(7, -1)
    held = lists.holds(torch.arange(7), every)
    assert [held[u].nonzero().flatten().tolist() for u in (1, 4)] == [known[1], known[4]]
    assert not bool(held[5].any())


@pytest.mark.parametrize("k", [3, 6, FEW + 8])
def test_different_draws_are_of_the_users_own_and_end_with_none(k: int) -> None:
    case = random_case(5)
    pairs, known = pairs_of(case)
    lists = KnownNegatives(case.catalogue, pairs)
    users = torch.tensor([1, 2, 6] * 50)
    ids = lists.draw(users, k, torch.Generator().manual_seed(3), distinct=True)
    for user, row in zip(users.tolist(), ids.tolist(), strict=True):
        real = [item for item in row if item]
        assert len(set(real)) == len(real)
        assert set(real) <= set(known.get(user, []))
        assert len(real) == min(k, len(known.get(user, [])))


@pytest.mark.parametrize("path", ["compiled", "torch"])
@pytest.mark.parametrize("kind", ["table", "factor"])
@pytest.mark.parametrize(
    "args",
    [{}, {"cdf": "paper"}, {"criterion": "posterior"}, {"lambda": 0.2, "candidate_num": 8}],
)
def test_bns_chooses_the_least_risk_with_certain_dislikes(
    args: dict[str, Any], kind: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P = 0 of a known dislike, so that its unbias is 1: the risk of each counted item by item."""
    if path == "torch":
        monkeypatch.setattr(engine, "available", lambda *tensors: False)
    met = 0
    for seed in range(3):
        case = random_case(seed)
        pairs, known = pairs_of(case)
        side = {"known_negatives": pairs}
        sampler = build("bns", case.catalogue, {"given_share": 0.4, **args}, seed=seed, side=side)
        seen = record_candidates(sampler)  # type: ignore[arg-type]
        ids = sampler.sample(case.users, case.items, 1, scorer_of(case.scores, kind)).tolist()
        rows = zip(case.users.tolist(), case.items.tolist(), seen[0], ids, strict=True)
        for user, item, (candidates,), (chosen,) in rows:
            scores, values = case.scores[user], {}
            for each in filter(None, candidates):
                prior = case.counts[each] / sum(case.counts)
                cdf = slow_cdf(scores, case.taken[user], scores[each], args.get("cdf", "exact"))
                sure = each in known.get(user, [])
                met += sure
                unbias = 1.0 if sure else slow_unbias(cdf, prior)
                values[each] = slow_risk(scores[item], scores[each], unbias, args.get("lambda", 5))
                if args.get("criterion") == "posterior":
                    values[each] = -unbias
            assert values[chosen] == pytest.approx(min(values.values()), abs=1e-6)
    assert met > 100


def test_with_one_dislike_among_equals_the_dislike_is_taken() -> None:
    """Equal scores and a prior of one half: the certain one has the least risk."""
    case = random_case(2)
    pairs, known = pairs_of(case, each=1)
    args = {"prior": np.full(16, 0.5), "candidate_num": "all"}
    flat = torch.zeros(7, 16, dtype=torch.float64)
    for name in ("bns", "bns_plus"):
        sampler = build(name, case.catalogue, args, side={"known_negatives": pairs})
        ids = sampler.sample(torch.arange(1, 5), torch.tensor([1] * 4), 1, scorer_of(flat))
        assert ids.flatten().tolist() == [known[user][0] for user in range(1, 5)]


def test_the_share_of_candidates_is_known() -> None:
    case = random_case(4, item_num=80)
    pairs, known = pairs_of(case, each=30)
    side = {"known_negatives": pairs}
    sampler = build("bns", case.catalogue, {"given_share": 0.3}, seed=1, side=side)
    users = torch.full((2000,), USER)
    candidates = sampler.propose(users, 1)  # type: ignore[attr-defined]
    assert bool((candidates[:, 0].sort(1).values.diff(dim=1) > 0).all())
    rate = float(torch.isin(candidates, torch.tensor(known[USER])).float().mean())
    expected = 0.3 + 0.7 * len(known[USER]) / len(case.negatives(USER))
    assert rate == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("likelihood", ["flat", "cdf"])
def test_weights_of_a_loss_are_one_for_known_dislikes(likelihood: str) -> None:
    case = random_case(2)
    pairs, known = pairs_of(case)
    params = PosteriorParams(prior="uniform", likelihood=likelihood, cdf="paper")
    weigher = PosteriorWeight(case.catalogue, params, side={"known_negatives": pairs})
    ids = torch.arange(1, 16).expand(1, -1)
    weights = weigher(torch.tensor([USER]), ids, scorer_of(case.scores))[0].tolist()
    certain = [item for item, weight in enumerate(weights, 1) if weight == 1]
    assert set(known[USER]) <= set(certain)
    if likelihood == "flat":
        assert certain == known[USER]


def test_a_dislike_is_asked_for() -> None:
    with pytest.raises(KeyError, match="known_negatives"):
        build("given", random_case(0).catalogue)


@pytest.mark.parametrize("share", [-0.1, 1.1, "half"])
def test_shares_out_of_range(share: Any) -> None:
    with pytest.raises(UsageError, match=r"neg_sampler_args\.share: got "):
        given(random_case(0), {"share": share})
