"""Choices that bounds on F settle are those of the whole F, to the id."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from recbole_bns.sampling import Catalogue, FactorScorer, build
from recbole_bns.sampling.kernels import engine
from recbole_bns.sampling.methods.bns import BayesianSampler

pytestmark = pytest.mark.skipif(not engine.available(), reason="numba is missing or off")

USERS, ITEMS, SIZE = 60, 1300, 9
"""Several panels of both widths, and a last one that is narrower."""
ROWS = 2000


def catalogue_of(seed: int) -> Catalogue:
    """User 0 has three negatives left, user 1 no positive."""
    source = torch.Generator().manual_seed(seed)
    users = torch.randint(2, USERS, (6000,), generator=source)
    items = (torch.rand(6000, generator=source) ** 2 * (ITEMS - 1)).long() + 1
    most = torch.arange(1, ITEMS - 3)
    return Catalogue(
        torch.cat((users, torch.zeros_like(most))), torch.cat((items, most)), USERS, ITEMS
    )


def scorer_of(kind: str, seed: int) -> FactorScorer:
    """Scores as of a trained model, close together, on a grid, or some that are no numbers."""
    source = torch.Generator().manual_seed(seed)
    users = torch.randn(USERS, SIZE, generator=source)
    items = torch.randn(ITEMS, SIZE, generator=source)
    if kind == "close":
        users, items = users * 1e-3, items * 1e-3
    if kind == "grid":
        users, items = users.round().clamp(-1, 1), items.round().clamp(-1, 1)
    if kind == "wild":
        items[5:40:5], items[7:40:7] = torch.inf, torch.nan
        users *= 30
    return FactorScorer(users, items)


def both_ways(
    args: dict[str, Any], kind: str, n: int = 1, seed: int = 0
) -> tuple[Tensor, Tensor, float]:
    """Ids by bounds and by the whole F, and the share of the choices that the bounds settled."""
    from recbole_bns.sampling import cdf

    catalogue = catalogue_of(seed)
    sampler: Any = build("bns", catalogue, args, seed=seed)
    assert isinstance(sampler, BayesianSampler)
    source = torch.Generator().manual_seed(seed + 1)
    users = torch.randint(0, USERS, (ROWS,), generator=source)
    items = torch.randint(1, ITEMS, (ROWS,), generator=source)
    scorer = scorer_of(kind, seed)
    candidates = sampler.propose(users, n)
    settled = []
    found = cdf.choices_and_counts

    def seen(*given: Any, **more: Any) -> Any:
        every = found(*given, **more)
        settled.append(float((every[2] >= 0).float().mean()))
        return every

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recbole_bns.sampling.methods.bns.choices_and_counts", seen)
        by_bounds = sampler.choose_directly(candidates, users, items, scorer)
    whole = sampler.pick(candidates, users, items, scorer)
    return by_bounds, whole, settled[0]


RULES: list[dict[str, Any]] = [
    {},
    {"candidate_num": 12, "lambda": 0.3},
    {"lambda": 0.0, "cdf": "paper"},
    {"prior": "uniform", "cdf": "all_items", "lambda": 1e4},
    {"criterion": "posterior"},
    {"criterion": "posterior", "cdf": "paper", "prior_scale": 40.0},
    {"criterion": "gain", "prior_scale": 300.0},
    {"criterion": "gain", "gamma": 0.0, "replacement": True},
    {"prior": "ease", "criterion": "gain", "prior_l2": 5.0, "gamma": 7.5},
]


@pytest.mark.parametrize("kind", ["trained", "close", "grid", "wild"])
@pytest.mark.parametrize("args", RULES, ids=str)
def test_bounds_settle_what_the_whole_f_gives(args: dict[str, Any], kind: str) -> None:
    by_bounds, whole, _ = both_ways(args, kind)
    assert torch.equal(by_bounds, whole)


@pytest.mark.parametrize("n", [2, 3])
def test_several_negatives_are_settled_each(n: int) -> None:
    by_bounds, whole, settled = both_ways({}, "trained", n)
    assert by_bounds.shape == (ROWS, n)
    assert torch.equal(by_bounds, whole)
    assert settled > 0.5


def test_most_choices_of_a_trained_model_are_settled() -> None:
    assert both_ways({}, "trained")[2] > 0.8
    assert both_ways({}, "grid")[2] < 1  # equal scores stay open


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["trained", "close", "grid", "wild"])
def test_a_million_choices(kind: str) -> None:
    rules = [{}, {"prior_scale": 100.0}, {"criterion": "posterior"}, {"criterion": "gain"}]
    different = chosen = 0
    for seed in range(130):
        by_bounds, whole, _ = both_ways(rules[seed % len(rules)], kind, seed=seed)
        different += int((by_bounds != whole).sum())
        chosen += len(whole)
    assert chosen >= 260_000
    assert different == 0
