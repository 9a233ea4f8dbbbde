"""The compiled loops give what their torch twins give, on one thread and split over several."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from recbole_bns.sampling import Catalogue, FactorScorer, Proposal, WeightedProposal, kernels
from recbole_bns.sampling.cdf import count_negatives

pytestmark = pytest.mark.skipif(not kernels.available(), reason="numba is missing or off")

ROWS = kernels.SPREAD_FROM + 45
"""Enough to be split, and not evenly."""


@pytest.fixture(params=[1, 2, 4])
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def catalogue() -> Catalogue:
    generator = torch.Generator().manual_seed(1)
    pairs = torch.randint(0, 30, (2, 250), generator=generator)
    return Catalogue(pairs[0], pairs[1], 31, 30)


def users_of(rows: int) -> torch.Tensor:
    return torch.randint(0, 31, (rows,), generator=torch.Generator().manual_seed(2))


def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "available", lambda *tensors: False)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("rows", [1, 5, ROWS])
def test_draws(catalogue: Catalogue, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    users, weights = users_of(rows), torch.arange(30) % 4
    proposals = Proposal(catalogue), WeightedProposal(catalogue, weights)
    drawn = []
    for _ in range(2):
        for proposal in proposals:
            for distinct in (False, True):
                generator = torch.Generator().manual_seed(3)
                drawn.append(proposal.draw(users, 4, generator, distinct=distinct))
        without(monkeypatch)
    for compiled, plain in zip(drawn[:4], drawn[4:], strict=True):
        assert torch.equal(compiled, plain)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("rows", [1, 5, ROWS])
def test_pairs(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(3)
    wide = torch.randn(31, 14, generator=generator)
    scorer = FactorScorer(wide[:, :7], torch.randn(7, 30, generator=generator).T)
    items = torch.randint(0, 30, (rows, 5), generator=generator)
    compiled = scorer.pairs(users_of(rows), items)
    without(monkeypatch)
    assert torch.allclose(compiled, scorer.pairs(users_of(rows), items), atol=1e-5)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("rows", [1, 5, ROWS])
def test_counts(catalogue: Catalogue, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(4)
    scores = torch.randn(31, 30, generator=generator).round(decimals=1)
    scores[:, 5], scores[:, 6] = float("nan"), float("inf")
    users = users_of(rows)
    different, place = users.unique(return_inverse=True)
    values = scores[users][:, 7:12]
    args = scores[different], place, users, catalogue, values
    compiled = count_negatives(*args)
    without(monkeypatch)
    assert torch.equal(compiled, count_negatives(*args))
