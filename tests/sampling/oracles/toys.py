"""What the oracles share: the toy of the golden vectors, random small cases, a goodness of fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from recbole_bns.sampling import CandidateSampler, Catalogue, FactorScorer, Peers, Scorer
from recbole_bns.testing import TableScorer

X = [2, 0.5, -1, 1.5, 0, 1, 0.5, 3]
"""Scores of the toy's user for items 0 to 7; ours are one higher, 0 being padding."""
POPULARITY = [4, 3, 1, 2, 0, 5, 4, 1]
POSITIVES = {0, 5}
CANDIDATES = [1, 3, 4, 7]
POSITIVE = 0


def scorer_of(table: Any, kind: str = "table") -> Scorer:
    """A scorer with the entries of a ``(U, I)`` table, float64, of either kind."""
    table = torch.as_tensor(np.asarray(table), dtype=torch.float64)
    if kind == "table":
        return TableScorer(table)
    return FactorScorer(table, torch.eye(table.shape[1], dtype=table.dtype))


def toy_catalogue() -> Catalogue:
    """User 1 has the toy's positives; others bring the popularity up to what it is there."""
    pairs = [(1, item + 1) for item in POSITIVES]
    for item, count in enumerate(POPULARITY):
        pairs += [(user, item + 1) for user in range(2, 2 + count - (item in POSITIVES))]
    return Catalogue(*torch.tensor(pairs).T, 8, 9)


def toy_scorer(kind: str = "table") -> Scorer:
    """Every user scores the items as the toy's user does; the padding scores highest."""
    return scorer_of([[9.0, *X]] * 8, kind)


def toy_choice(sampler: CandidateSampler, kind: str = "table") -> int:
    """The toy's item that the sampler chooses of the toy's candidates."""
    candidates = torch.tensor(CANDIDATES).view(1, 1, -1) + 1
    sampler.propose = lambda users, n: candidates  # type: ignore[method-assign]
    users, items = torch.tensor([1]), torch.tensor([POSITIVE + 1])
    return int(sampler.sample(users, items, 1, toy_scorer(kind))) - 1


class Case(NamedTuple):
    """A random small problem, in plain Python beside the tensors."""

    catalogue: Catalogue
    taken: dict[int, set[int]]
    counts: list[int]
    scores: np.ndarray
    users: Tensor
    items: Tensor

    def negatives(self, user: int) -> list[int]:
        """Items that the user has not taken."""
        return [i for i in range(1, len(self.counts)) if i not in self.taken[user]]


def random_case(seed: int, user_num: int = 7, item_num: int = 16, ties: bool = True) -> Case:
    """Users 1 to 6 with 1 to 9 positives each, some twice; scores with ties; a batch of 40."""
    source = np.random.default_rng(seed)
    taken: dict[int, set[int]] = {user: set() for user in range(user_num)}
    counts, pairs = [0] * item_num, []
    for user in range(1, user_num):
        for item in source.choice(item_num - 1, source.integers(1, 10), replace=False) + 1:
            taken[user].add(int(item))
            for _ in range(source.integers(1, 3)):
                pairs.append((user, int(item)))
                counts[item] += 1
    source.shuffle(pairs)
    scores = source.normal(size=(user_num, item_num))
    if ties:
        scores = scores.round(1)
    users = source.integers(1, user_num, 40)
    items = [sorted(taken[user])[0] for user in users]
    catalogue = Catalogue(*torch.tensor(pairs).T, user_num, item_num)
    return Case(catalogue, taken, counts, scores, torch.tensor(users), torch.tensor(items))


def record_candidates(sampler: CandidateSampler) -> list[list[list[list[int]]]]:
    """A list that gets the candidates (B, n, m) of every later call of ``sample``."""
    seen: list[Any] = []
    propose = sampler.propose

    def recorded(users: Tensor, n: int) -> Tensor:
        candidates = propose(users, n)
        seen.append(candidates.tolist())
        return candidates

    sampler.propose = recorded  # type: ignore[method-assign]
    return seen


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + float(np.exp(-x)))


def assert_law(draws: Any, probability: Sequence[float] | np.ndarray) -> None:
    """Chi-square test at 1e-4 that draws of 0, 1, … have these probabilities; rare ones pooled."""
    p = np.asarray(probability, dtype=float)
    counts = np.bincount(np.asarray(draws).ravel(), minlength=len(p)).astype(float)
    assert len(counts) == len(p)
    assert p.sum() == pytest.approx(1)
    assert counts[p == 0].sum() == 0, "something impossible was drawn"
    expected = p * counts.sum()
    rare = expected < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    wanted = np.append(expected[~rare], expected[rare].sum())
    keep = wanted > 0
    if keep.sum() == 1:  # one outcome: nothing is left to chance, and chi-square is no number
        return
    assert chisquare(observed[keep], wanted[keep]).pvalue > 1e-4


class OneOfSeveral(Peers):
    """A process whose others have been told beforehand what they would send."""

    def __init__(self, rank: int, rows: Sequence[Tensor]) -> None:
        self.rank, self.size, self.rows = rank, len(rows), list(rows)

    def gather(self, rows: Tensor) -> list[Tensor]:
        """Its own rows among those of the others."""
        assert torch.equal(rows, self.rows[self.rank])
        return self.rows
