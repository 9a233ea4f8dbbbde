"""BNS+ against slow loops: the item-item models, the pairs' values, the choice."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix, save_npz
from toys import Case, random_case, record_candidates, scorer_of, sigmoid

from recbole_bns.common.errors import UsageError
from recbole_bns.sampling import Catalogue, build
from recbole_bns.sampling.kernels import engine as kernels
from recbole_bns.sampling.kernels import regression as equations
from recbole_bns.sampling.priors import item_models
from recbole_bns.sampling.priors import pairs as pair_priors
from recbole_bns.sampling.priors.item_models import Ridge, ease, item_knn, neighbour_ease
from recbole_bns.sampling.priors.pairs import NeighbourPairs, PairTable, learned

L2 = 0.7


def matrix_of(case: Case) -> np.ndarray:
    """X of a case, without repetitions."""
    matrix = np.zeros((len(case.taken), len(case.counts)))
    for user, items in case.taken.items():
        matrix[user, list(items)] = 1
    return matrix


def regression(matrix: np.ndarray, item: int, on: list[int], l2: float) -> dict[int, float]:
    """Weights of the least squares of an item's column on others, with a penalty, by lstsq."""
    rows = np.vstack((matrix[:, on], np.sqrt(l2) * np.eye(len(on))))
    target = np.concatenate((matrix[:, item], np.zeros(len(on))))
    return dict(zip(on, np.linalg.lstsq(rows, target, rcond=None)[0], strict=True))


def cosines(matrix: np.ndarray, item: int) -> list[tuple[float, int]]:
    """The other items with which an item shares users, the greatest cosine first."""
    found = []
    for other in range(1, matrix.shape[1]):
        shared = matrix[:, item] @ matrix[:, other]
        if other != item and shared:
            norm = np.sqrt(matrix[:, item].sum() * matrix[:, other].sum())
            found.append((-shared / norm, other))
    return [(-cosine, other) for cosine, other in sorted(found)]


@pytest.mark.parametrize("seed", range(3))
def test_ease_is_a_ridge_regression_of_each_item_on_the_others(seed: int) -> None:
    case = random_case(seed)
    given, matrix = ease(case.catalogue, Ridge(L2)).numpy(), matrix_of(case)
    for item in range(1, 16):
        wanted = regression(matrix, item, [i for i in range(16) if i != item], L2)
        assert given[item, item] == 0
        assert [given[i, item] for i in wanted] == pytest.approx(list(wanted.values()), abs=1e-5)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_dropped_items_and_weighted_users_by_least_squares(dropout: float, power: float) -> None:
    """Rows by the root of their weight, and below them the penalty as rows of its own."""
    shares = np.linspace(0.2, 0.9, 60)[:, None]
    matrix = (np.random.default_rng(0).random((60, 30)) < shares) * 1.0
    matrix[:, 0] = matrix[0] = matrix[7] = 0  # the padding, and a user without any
    catalogue = Catalogue(*torch.from_numpy(np.array(matrix.nonzero())), 60, 30)
    sizes = matrix.sum(1)
    weights = np.array([size**-power if size else 0.0 for size in sizes])
    weights *= np.count_nonzero(sizes) / weights.sum()
    rows = matrix * np.sqrt(weights)[:, None]
    counts, ridge = (rows**2).sum(0), Ridge(L2, dropout, power)
    found, near = ease(catalogue, ridge).numpy(), neighbour_ease(catalogue, ridge, 28)
    for item in range(1, 30):
        others = [i for i in range(1, 30) if i != item]
        penalty = np.diag(np.sqrt(L2 + dropout / (1 - dropout) * counts[others]))
        above = np.vstack((rows[:, others], penalty))
        target = np.concatenate((rows[:, item], np.zeros(len(others))))
        wanted = np.linalg.lstsq(above, target, rcond=None)[0]
        assert found[others, item] == pytest.approx(wanted, abs=1e-5)
        own = dict(zip(near.ids[item].tolist(), near.weights[item].tolist(), strict=True))
        assert [own[i] for i in others] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("k", [1, 3, 15])
def test_neighbours_are_those_of_the_greatest_cosine(k: int) -> None:
    case = random_case(4)
    matrix = matrix_of(case)
    regressed, near = neighbour_ease(case.catalogue, Ridge(L2), k), item_knn(case.catalogue, k)
    chosen = {item: cosines(matrix, item)[:k] for item in range(1, 16)}
    mean = sum(cosine for best in chosen.values() for cosine, _ in best) / 15
    for item, best in chosen.items():
        wanted = regression(matrix, item, [other for _, other in best], L2)
        for found, weights in ((regressed, wanted), (near, {o: c / mean for c, o in best})):
            own = dict(zip(found.ids[item].tolist(), found.weights[item].tolist(), strict=True))
            own.pop(0, None)
            assert own == pytest.approx(weights, abs=1e-5)
        assert regressed.ids[item].tolist()[: len(best)] == [other for _, other in best]


def test_all_neighbours_make_ease_and_blocks_make_no_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dense = np.random.default_rng(0).random((60, 30)) < 0.5
    dense[:, 0] = False
    catalogue = Catalogue(*torch.from_numpy(np.array(dense.nonzero())), 60, 30)
    whole = ease(catalogue, Ridge(L2))
    for size in (1 << 24, 50):
        monkeypatch.setattr(item_models, "COUNTS_AT_ONCE", size)
        found = neighbour_ease(catalogue, Ridge(L2), 28)
        weights = torch.zeros(30, 30).scatter_add_(1, found.ids, found.weights)
        assert torch.allclose(weights[1:], whole.T[1:], atol=1e-4)


def test_regressions_are_the_same_by_the_compiled_loop_by_numpy_and_by_any_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(item_models, "KEPT", 0)  # not all that a system needs is kept
    matrix = np.random.default_rng(2).random((300, 40)) < 0.3
    matrix[:, :3] = False  # two items, and the padding, without any neighbour
    catalogue = Catalogue(*torch.from_numpy(np.array(matrix.nonzero())), 300, 40)
    ridge, found = Ridge(L2, 0.3, 0.25), []
    for threads, compiled in product((1, 3), (True, False)):
        with monkeypatch.context() as patched:
            patched.setattr(torch, "get_num_threads", lambda threads=threads: threads)
            if not compiled:
                patched.setattr(kernels, "compiled", lambda name="basics": None)
            found.append(neighbour_ease(catalogue, ridge, 5))
    assert found[0].weights.count_nonzero() > 150
    for other in found[1:]:
        assert torch.equal(other.ids, found[0].ids)
        assert torch.equal(other.weights, found[0].weights)


def test_a_regression_that_takes_long_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    case = random_case(4)
    with caplog.at_level("INFO"):
        neighbour_ease(case.catalogue, Ridge(L2), 3)
        assert not caplog.messages
        monkeypatch.setattr(item_models, "TELL_AFTER", 0.0)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
        neighbour_ease(case.catalogue, Ridge(L2), 3)
    assert len(caplog.messages) == 8  # one of the two threads tells
    assert caplog.messages[0].startswith("prior ease: 1 of 15 items, about ")
    assert caplog.messages[-1] == "prior ease: 15 of 15 items, about 0 s left"


def test_who_ends_a_regression_does_not_wait_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C: the other thread, which has 200 items, stops after the one at hand."""
    gathered = []

    def gather(*args: Any) -> np.ndarray:
        gathered.append(1)
        sleep(0.005)
        return equations.gather(*args)

    def tell(wait: Any, done: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(item_models, "gather", gather)
    monkeypatch.setattr(item_models._Wait, "tell", tell)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    matrix = np.random.default_rng(2).random((300, 401)) < 0.3
    matrix[:, 0] = False
    catalogue = Catalogue(*torch.from_numpy(np.array(matrix.nonzero())), 300, 401)
    with pytest.raises(KeyboardInterrupt):
        neighbour_ease(catalogue, Ridge(L2), 5)
    assert len(gathered) < 150


def test_co_occurrences_that_are_not_kept_count_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_models, "KEPT", 0)  # four times k of each item
    matrix = (np.random.default_rng(1).random((900, 20)) < 0.3) * 1.0
    matrix[:, 0] = 0
    pairs = torch.from_numpy(np.array(matrix.nonzero()))
    found, lost = neighbour_ease(Catalogue(*pairs, 900, 20), Ridge(L2), 2), 0
    kept = {item: {other for _, other in cosines(matrix, item)[:8]} for item in range(1, 20)}
    for item in range(1, 20):
        one, two = [other for _, other in cosines(matrix, item)[:2]]
        assert found.ids[item].tolist() == [one, two]
        shared = matrix[:, [one, two]].T @ matrix[:, [one, two, item]]
        if two not in kept[one] and one not in kept[two]:
            shared[0, 1] = shared[1, 0] = 0
            lost += 1
        wanted = np.linalg.solve(shared[:, :2] + L2 * np.eye(2), shared[:, 2])
        assert found.weights[item].numpy() == pytest.approx(wanted, rel=1e-4)
    assert 0 < lost < 19


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "torch"])
@pytest.mark.parametrize("bitmap", [True, False])
@pytest.mark.parametrize("kind", ["ease", "itemknn"])
def test_values_of_pairs_by_table_and_by_neighbours(
    kind: str, bitmap: bool, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = random_case(5, user_num=9)
    given = case.catalogue
    catalogue = Catalogue(given.owners, given.positives.long(), 9, 16, bitmap=bitmap)
    table = learned(kind, catalogue, Ridge(L2), 4)
    monkeypatch.setattr(pair_priors, "TABLE_LIMIT", 0)
    if not compiled:
        monkeypatch.setattr(kernels, "available", lambda *tensors: False)
    summed = learned(kind, catalogue, Ridge(L2), 4)
    assert isinstance(table, PairTable)
    assert isinstance(summed, NeighbourPairs)
    users = torch.arange(9)
    items = torch.arange(16).expand(9, 1, 16).contiguous()
    found = summed(users, items)
    assert found.shape == items.shape
    for user in range(1, 9):
        for item in range(1, 16):
            parts = zip(summed.ids[item].tolist(), summed.weights[item].tolist(), strict=True)
            wanted = sum(w for other, w in parts if other in case.taken[user])
            assert float(found[user, 0, item]) == pytest.approx(wanted, abs=1e-5)
            assert float(table(users, items)[user, 0, item]) == pytest.approx(wanted, abs=1e-3)


def test_where_no_table_fits_ease_keeps_the_greatest_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = random_case(5)
    monkeypatch.setattr(pair_priors, "TABLE_LIMIT", 0)
    monkeypatch.setattr(pair_priors, "NEIGHBOURS", 3)
    prior, whole = (
        learned("ease", case.catalogue, Ridge(L2), 0),
        ease(case.catalogue, Ridge(L2)).numpy(),
    )
    for item in range(1, 16):
        best = sorted(np.abs(whole[:, item]), reverse=True)[:3]
        assert np.abs(prior.weights[item].numpy()) == pytest.approx(best)
        assert prior.weights[item].numpy() == pytest.approx(whole[prior.ids[item].numpy(), item])


def slow_gain(case: Case, user: int, item: int, other: int, p: float, gamma: float) -> float:
    """log info + gamma · log (1 - P)."""
    info = 1 - sigmoid(case.scores[user][item] - case.scores[user][other])
    return float(np.log(info) + gamma * np.log(1 - p))


@pytest.mark.parametrize("kind", ["table", "factor"])
@pytest.mark.parametrize(
    ("args", "gamma", "scale"),
    [
        ({}, 2.0, 2.0),
        ({"gamma": 0.5, "prior_scale": 0.3}, 0.5, 0.3),
        ({"gamma": {"start": 1.0, "step": 1.0, "stop": 3.0}}, 3.0, 2.0),
        ({"prior_scale": {"start": 4.0, "step": -0.5}}, 2.0, 2.0),
    ],
)
def test_greatest_gain(args: dict[str, Any], gamma: float, scale: float, kind: str) -> None:
    case = random_case(11, ties=False)
    weights, matrix = ease(case.catalogue, Ridge(L2, 0.5, 0.5)).numpy(), matrix_of(case)
    given = {"candidate_num": 4, "prior_l2": L2, "prior_dropout": 0.5, "prior_power": 0.5, **args}
    for n in (1, 2):
        sampler = build("bns_plus", case.catalogue, given, seed=3)
        sampler.begin_epoch(4, None)
        seen = record_candidates(sampler)
        ids = sampler.sample(case.users, case.items, n, scorer_of(case.scores, kind)).tolist()
        rows = zip(case.users.tolist(), case.items.tolist(), seen[0], ids, strict=True)
        for user, item, sets, chosen in rows:
            for candidates, one in zip(sets, chosen, strict=True):
                gains = {}
                for other in filter(None, candidates):
                    value = float(np.float16(matrix[user] @ weights[:, other]))
                    p = min(max(scale * value, 0), 0.98)
                    gains[other] = slow_gain(case, user, item, other, p, gamma)
                if gains and one in gains:
                    assert gains[one] == pytest.approx(max(gains.values()), abs=1e-3)
                else:  # a set ran dry: filled up with another negative
                    assert one in case.negatives(user)


def test_without_trust_in_the_prior_it_is_dns_and_with_much_it_follows_the_prior() -> None:
    case = random_case(3, ties=False)
    scorer = scorer_of(case.scores)
    for gamma in (0.0, 1e6):
        args = {"candidate_num": "all", "gamma": gamma, "prior_l2": L2}
        sampler = build("bns_plus", case.catalogue, args)
        ids = sampler.sample(case.users, case.items, 1, scorer)[:, 0].tolist()
        for user, chosen in zip(case.users.tolist(), ids, strict=True):
            negatives = case.negatives(user)
            prior = sampler.prior_of(torch.tensor([user]), torch.tensor([negatives]))[0].tolist()
            if gamma:
                assert prior[negatives.index(chosen)] == min(prior)
            else:
                assert case.scores[user][chosen] == max(case.scores[user][i] for i in negatives)


def test_the_likelihood_of_the_scores_goes_with_a_learned_prior() -> None:
    case = random_case(3, ties=False)
    args = {"likelihood": "cdf", "candidate_num": "all", "criterion": "posterior", "prior_l2": L2}
    sampler = build("bns_plus", case.catalogue, args)
    ids = sampler.sample(case.users, case.items, 1, scorer_of(case.scores))[:, 0].tolist()
    for user, chosen in zip(case.users.tolist(), ids, strict=True):
        owners, items = torch.tensor([user]), torch.tensor([case.negatives(user)])
        p = sampler.prior_of(owners, items)
        f = sampler.scores_and_cdf(owners, items, scorer_of(case.scores))[1]
        unbias = ((1 - f) * (1 - p) / ((1 - f) * (1 - p) + f * p))[0]
        assert float(unbias[case.negatives(user).index(chosen)]) == pytest.approx(
            float(unbias.max())
        )


def test_own_sparse_matrix(tmp_path: Path) -> None:
    case, path = random_case(3), str(tmp_path / "p.npz")
    table = np.random.default_rng(0).random((7, 16)) * (np.arange(16) % 3 == 0)
    users, items = torch.arange(7), torch.arange(16).expand(7, 16)
    for values in (table, np.zeros((7, 16))):
        save_npz(path, csr_matrix(values))
        prior = build("bns", case.catalogue, {"prior": path}).prior
        assert prior(users, items).numpy() == pytest.approx(values)
    for wrong, sentence in (
        (np.zeros((7, 15)), "got a matrix of shape (7, 15), allowed is (7, 16): RecBole's"),
        (np.full((7, 16), 1.5), "the matrix has values outside [0, 1] or NaN."),
    ):
        save_npz(path, csr_matrix(wrong))
        with pytest.raises(UsageError) as error:
            build("bns", case.catalogue, {"prior": path})
        assert str(error.value).startswith(f"neg_sampler_args.prior: {sentence}")
    Path(path).write_bytes(b"no archive")
    with pytest.raises(UsageError, match=r"^neg_sampler_args.prior: cannot read"):
        build("bns", case.catalogue, {"prior": path})


@pytest.mark.parametrize("kind", ["isotonic", "logistic", None])
def test_the_calibration_that_has_gone_is_refused_unless_it_was_off(kind: Any) -> None:
    for name in ("bns", "bns_plus"):
        catalogue = random_case(0, item_num=30).catalogue
        off = build(name, catalogue, {"prior_calibration": "none"})
        assert off.params == type(off.params)()
        with pytest.raises(UsageError) as error:
            build(name, catalogue, {"prior_calibration": kind})
        assert str(error.value) == (
            "neg_sampler_args.prior_calibration: calibration has gone, since it did not help; "
            "write prior_scale, the factor of the prior, instead."
        )
