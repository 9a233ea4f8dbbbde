"""The compiled loops give what their torch twins give, on one thread and split over several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from recbole_bns.sampling import Catalogue, FactorScorer, Proposal, WeightedProposal, build, scoring
from recbole_bns.sampling.cdf import scores_and_counts, scores_and_references
from recbole_bns.sampling.kernels import engine as kernels
from recbole_bns.sampling.kernels import lists
from recbole_bns.sampling.kernels.softmax import softmax
from recbole_bns.sampling.ranks import ranking

pytestmark = pytest.mark.skipif(not kernels.available(), reason="numba is missing or off")

USERS, ITEMS, SIZE = 31, 30, 7
ROWS = [1, 5, 301]


class Twins:
    """What torch draws, by case; a case is a test and its parameters but the number of threads."""

    case = ""
    drawn: ClassVar[dict[str, Any]] = {}


@pytest.fixture(params=[1, 3], autouse=True)
def _threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    monkeypatch.setattr(kernels, "SPREAD_FROM", 0)
    others = {k: v for k, v in request.node.callspec.params.items() if k != request.fixturename}
    monkeypatch.setattr(Twins, "case", f"{request.node.originalname} {others}")
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=[True, False], ids=["bitmap", "lists"])
def catalogue(request: pytest.FixtureRequest) -> Catalogue:
    """User 3 has one negative left, user 4 none, user 5 no positive."""
    generator = torch.Generator().manual_seed(1)
    pairs = torch.randint(0, ITEMS, (2, 250), generator=generator)
    pairs = pairs[:, (pairs[0] != 5) & (pairs[0] != 3)]
    for user, last in ((3, ITEMS - 1), (4, ITEMS)):
        full = torch.stack((torch.full((last - 1,), user), torch.arange(1, last)))
        pairs = torch.cat((pairs, full), 1)
    return Catalogue(pairs[0], pairs[1], USERS, ITEMS, bitmap=request.param)


def users_of(rows: int, least: int = 0) -> Tensor:
    """Users with repetitions; from 5 on all have several negatives."""
    return torch.randint(least, USERS, (rows,), generator=torch.Generator().manual_seed(2))


def scorer_of(seed: int = 3, coarse: bool = True) -> FactorScorer:
    """Vectors that are not contiguous; scores on a coarse grid, so that many are equal."""
    generator = torch.Generator().manual_seed(seed)
    if not coarse:
        vectors = torch.randn(USERS + ITEMS, SIZE, generator=generator)
        return FactorScorer(vectors[:USERS], vectors[USERS:])
    wide = torch.randint(-2, 3, (USERS, 2 * SIZE), generator=generator).float()
    items = torch.randint(-2, 3, (SIZE, ITEMS), generator=generator).float()
    return FactorScorer(wide[:, :SIZE], items.T)


def both_ways(draw: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """What is drawn with the loops on some threads, and without them on the first number of these.

    The twin without loops is slow, and one number of threads is as good as another for it.
    """
    if Twins.case not in Twins.drawn:
        with monkeypatch.context() as patch:
            patch.setattr(kernels, "available", lambda *tensors: False)
            Twins.drawn[Twins.case] = draw()
    return draw(), Twins.drawn[Twins.case]


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [{}, {"distinct": True}, {"by_user": True}])
@pytest.mark.parametrize("k", [1, 4, 40])
def test_draws(
    catalogue: Catalogue,
    rows: int,
    weighted: bool,
    options: dict[str, bool],
    k: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def draw() -> Tensor:
        weights = torch.arange(ITEMS) % 4
        proposal = WeightedProposal(catalogue, weights) if weighted else Proposal(catalogue)
        generator = torch.Generator().manual_seed(3)
        return torch.stack([proposal.draw(users_of(rows), k, generator, **options) for _ in "ab"])

    compiled, plain = both_ways(draw, monkeypatch)
    assert torch.equal(compiled, plain)


def test_draws_by_user_are_the_same_for_each_row_of_a_user(catalogue: Catalogue) -> None:
    users = torch.tensor([7, 9, 7, 9, 7])
    drawn = Proposal(catalogue).draw(users, 6, torch.Generator().manual_seed(1), by_user=True)
    assert torch.equal(drawn[0], drawn[2])
    assert torch.equal(drawn[1], drawn[3])
    assert not torch.equal(drawn[0], drawn[1])


@pytest.mark.parametrize("rows", ROWS)
def test_pairs(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    items = torch.randint(0, ITEMS, (rows, 5), generator=torch.Generator().manual_seed(3))
    compiled, plain = both_ways(lambda: scorer_of().pairs(users_of(rows), items), monkeypatch)
    assert torch.equal(compiled, plain)


@pytest.mark.parametrize("rows", ROWS)
def test_groups(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    users = users_of(rows)
    for groups in both_ways(lambda: scorer_of().groups(users), monkeypatch):
        assert sorted(groups.users.tolist()) == users.unique().tolist()
        assert sorted(groups.order.tolist()) == list(range(rows))
        assert torch.equal(groups.users[groups.place], users[groups.order])


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("all_items", [False, True])
@pytest.mark.parametrize("at_once", [1, 1 << 20])
def test_counts(
    catalogue: Catalogue, rows: int, all_items: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(scoring.SCORES_AT_ONCE, "cpu", at_once)
    monkeypatch.setattr(scoring, "FEWEST_ROWS", 4)
    users, scorer = users_of(rows), scorer_of()
    scorer.items[5], scorer.items[6], scorer.items[8] = float("nan"), float("inf"), -float("inf")
    items = torch.arange(ITEMS).expand(rows, -1).contiguous()
    compiled, plain = both_ways(
        lambda: scores_and_counts(scorer, users, items, catalogue, all_items=all_items), monkeypatch
    )
    assert torch.equal(compiled[0].nan_to_num(7.5), plain[0].nan_to_num(7.5))
    number = ~compiled[0].isnan()
    assert bool(number.any())
    assert torch.equal(compiled[1][number], plain[1][number])


@pytest.mark.parametrize("rows", ROWS)
def test_counts_among_references(
    catalogue: Catalogue, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(4)
    reference = torch.randint(1, ITEMS, (40,), generator=generator).sort().values
    users = users_of(rows)
    items = torch.randint(0, ITEMS, (rows, 5), generator=generator)
    args = users, items, reference, catalogue
    compiled, plain = both_ways(lambda: scores_and_references(scorer_of(), *args), monkeypatch)
    for given, wanted in zip(compiled, plain, strict=True):
        assert torch.equal(given, wanted)


def test_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = torch.randn(301, 50, generator=torch.Generator().manual_seed(1)).round(decimals=1)
    scores[0, :4] = torch.tensor([-0.0, 0.0, 3e38, -3e38])
    compiled, plain = both_ways(lambda: ranking(scores), monkeypatch)
    assert torch.equal(compiled.long(), plain)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("aobpr", {"lambda": 2.0, "max_tries": 3}),
        ("aobpr", {"lambda": 20.0}),
        ("aobpr", {"definition": "global", "lambda": 0.5, "max_tries": 2}),
        ("aobpr", {"definition": "global", "lambda": 20.0}),
        ("srns", {"memory_num": 5, "new_num": 4, "warmup_epochs": 1}),
        ("bns", {}),
        ("bns", {"cdf": "estimated", "cdf_items": 12}),
        ("bns_plus", {"candidate_num": 9, "prior_l2": 5.0}),
        ("bns_plus", {"gamma": {"start": 4, "step": -1}, "prior_scale": 30.0, "prior_l2": 5.0}),
        ("ahns", {"candidate_num": 9}),
        ("dns", {"candidate_num": 4, "best_num": 2}),
        ("rns", {}),
        ("pns", {}),
    ],
)
@pytest.mark.parametrize("n", [1, 3])
def test_samplers(
    catalogue: Catalogue,
    name: str,
    args: dict[str, Any],
    n: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A few epochs of each method, in which the vectors change; F is compared without rounding."""

    def draw() -> Tensor:
        users = users_of(301, least=6)
        items = torch.randint(1, ITEMS, (301,), generator=torch.Generator().manual_seed(6))
        sampler, drawn = build(name, catalogue, args, seed=1), []
        for epoch in range(4):
            scorer = scorer_of(epoch, coarse=name == "bns")
            sampler.begin_epoch(epoch, scorer)
            drawn += [sampler.sample(users, items, n, scorer) for _ in range(2)]
        return torch.stack(drawn)

    compiled, plain = both_ways(draw, monkeypatch)
    assert torch.equal(compiled, plain)


@pytest.mark.parametrize("n", [1, 3])
def test_the_greatest_gain_where_scores_are_no_numbers(catalogue: Catalogue, n: int) -> None:
    given = {"candidate_num": 6, "prior_l2": 5.0, "replacement": True}
    sampler = build("bns_plus", catalogue, given)
    users, items = users_of(301, least=6), torch.full((301,), 2)
    candidates = sampler.propose(users, n)
    scorer = scorer_of(coarse=False)
    scorer.items[3:12] = torch.tensor([torch.nan, torch.inf, 1e30]).repeat(3).unsqueeze(1)
    found = sampler.choose_directly(candidates, users, items, scorer)
    assert found is not None
    scores = scorer.pairs(users, candidates.flatten(1)).view(candidates.shape)
    scores = scores.masked_fill(~scores.isfinite() | (candidates == 0), -torch.inf)
    wanted = sampler.choose(candidates, scores, users, items, scorer)
    assert torch.equal(found, candidates.gather(2, wanted.unsqueeze(2)).squeeze(2))
    assert 0.5 < float((found != candidates[..., 0]).double().mean()) < 1


def two_threads() -> None:
    if kernels._openmp() is None or torch.get_num_threads() < 2:
        pytest.skip("one thread does the work")


def test_a_loop_is_spread_as_it_runs_alone() -> None:
    """Arguments of all kinds, more rows than threads, a last part that is shorter."""
    two_threads()
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((2, 50, 7)).astype(np.float32)
    users, items = generator.integers(0, 50, 1001), generator.integers(0, 50, (1001, 3))
    alone, spread = np.empty((2, 1001, 3), np.float32)
    loop = kernels.compiled("pairs").pairs
    loop(*vectors, users, items, alone)
    kernels.spread(loop, tuple(vectors), (users, items, spread), kernels.SPREAD_FROM)
    assert np.array_equal(alone, spread)
    apart = np.asfortranarray(items)  # is not one block of rows
    spread[:] = 0
    kernels.spread(loop, tuple(vectors), (users, apart, spread), kernels.SPREAD_FROM)
    assert np.allclose(alone, spread, rtol=1e-5)


def test_rows_that_were_left_out_are_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that ends early, for want of memory, leaves its mark unset."""
    two_threads()
    loop, zeros = kernels.compiled("pairs").pairs, np.zeros((8, 1), np.int64)
    vectors = np.ones((2, 9, 4), np.float32)
    rows = zeros[:, 0].copy(), zeros, np.zeros((8, 1), np.float32)
    bodies = kernels.compiled("bodies")
    taken = bodies.table((*vectors, *rows), 2)
    taken[0] = 1  # the first part is somebody else's, who never does it
    monkeypatch.setattr(bodies, "table", lambda *_: taken)
    with pytest.raises(MemoryError):
        kernels.spread(loop, tuple(vectors), rows, kernels.SPREAD_FROM)


@pytest.mark.parametrize("own_only", [False, True])
@pytest.mark.parametrize("length", [1, 12, 400])
def test_a_list_leaves_out_the_same_by_items_and_by_bits(
    catalogue: Catalogue, length: int, own_only: bool
) -> None:
    users = users_of(23)
    source = torch.Generator().manual_seed(6)
    items = torch.randint(1, ITEMS, users.shape, generator=source)
    ids = torch.randint(1, ITEMS, (length,), generator=source)  # some more than once
    wanted = ids == items.unsqueeze(1)
    if not own_only:
        wanted = catalogue.is_positive(users.unsqueeze(1), ids)
        assert torch.equal(lists.taken(catalogue, users, ids), wanted)
    scores = torch.randn(len(users), length, generator=source)
    exclusion = lists.ListExclusion(catalogue, ids, users, items, own_only)
    for start in range(0, len(users), 7):
        rows = slice(start, min(start + 7, len(users)))
        found, positive = scores[rows].clone(), torch.zeros(rows.stop - start)
        look = exclusion.leave_out(found, rows)
        softmax(found, positive, with_positive=True, weight=1.0, share=1.0, taken=look)
        assert torch.equal(found == 0, wanted[rows])
