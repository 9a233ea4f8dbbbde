"""BNS in the paper's own training: plain SGD, one positive at a time, written out in Python.

Liu & Wang, ICDE 2023, section IV-A: d 32, learning rate 0.01, L2 0.01, vectors from N(0, 0.1²),
five candidates, lambda 5. The reference keeps its vectors in lists of floats and does every sum
itself; our sampler scores tensors that autograd updates. From the same candidates both must choose
the same item at every step, and so come to the same vectors.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from operator import mul
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import record_candidates, sigmoid

from recbole_bns.sampling import Catalogue, FactorScorer, build

RATE, L2, DIM, LAMBDA, EPOCHS = 0.01, 0.01, 32, 5.0, 2
Vector = list[float]


class Reference:
    """The paper's equations, item by item."""

    def __init__(self, users: np.ndarray, items: np.ndarray, taken: list[set[int]]) -> None:
        self.users: list[Vector] = users.astype(float).tolist()
        self.items: list[Vector] = items.astype(float).tolist()
        self.taken = taken
        popularity = [sum(i in each for each in taken) for i in range(len(items))]
        self.prior = [count / sum(popularity) for count in popularity]

    def score(self, user: int, item: int) -> float:
        return math.fsum(map(mul, self.users[user], self.items[item]))

    def choose(self, user: int, item: int, candidates: list[int]) -> int:
        """Eq. 4, 15, 16, 17 and 32; ranks over n + 1 as the authors' program has them."""
        negatives = [i for i in range(1, len(self.items)) if i not in self.taken[user]]
        scores = [self.score(user, i) for i in negatives]
        positive = self.score(user, item)
        risks = []
        for candidate in candidates:
            value = self.score(user, candidate)
            f = sum(score <= value for score in scores) / (len(negatives) + 1)
            p = self.prior[candidate]
            unbias = (1 - f) * (1 - p) / (1 - f - p + 2 * f * p)
            risks.append((1 - sigmoid(positive - value)) * (1 - (1 + LAMBDA) * unbias))
        return candidates[risks.index(min(risks))]

    def step(self, user: int, item: int, negative: int) -> None:
        """Descend along -ln sigmoid(x_ui - x_uj) + L2/2 (|p_u|² + |q_i|² + |q_j|²)."""
        u, i, j = self.users[user], self.items[item], self.items[negative]
        pull = 1 - sigmoid(self.score(user, item) - self.score(user, negative))
        self.users[user] = [
            a + RATE * (pull * (b - c) - L2 * a) for a, b, c in zip(u, i, j, strict=True)
        ]
        self.items[item] = [b + RATE * (pull * a - L2 * b) for a, b in zip(u, i, strict=True)]
        self.items[negative] = [c - RATE * (pull * a + L2 * c) for a, c in zip(u, j, strict=True)]


def subset(users: int = 24, items: int = 60) -> list[tuple[int, int]]:
    """Ratings of ML-100K's first users and most rated items, both counted from 1."""
    spec = find_spec("recbole")
    assert spec is not None
    folder = Path(str(spec.origin)).parent / "dataset_example" / "ml-100k"
    pairs = np.loadtxt(folder / "ml-100k.inter", skiprows=1, usecols=(0, 1), dtype=int)
    names, counts = np.unique(pairs[:, 1], return_counts=True)
    places = {
        name: n + 1 for n, name in enumerate(names[np.argsort(-counts, kind="stable")][:items])
    }
    return sorted((u, places[i]) for u, i in pairs.tolist() if u <= users and i in places)


@pytest.mark.parametrize(
    "dtype", [torch.float64, pytest.param(torch.float32, marks=pytest.mark.slow)]
)
def test_same_items_from_the_same_candidates(dtype: torch.dtype) -> None:
    pairs = subset()
    catalogue = Catalogue(*torch.tensor(pairs).T, 25, 61)
    source = np.random.default_rng(1)
    users, items = (source.normal(0, 0.1, (n, DIM)).astype(np.float32) for n in (25, 61))
    taken: list[set[int]] = [set() for _ in range(25)]
    for user, item in pairs:
        taken[user].add(item)
    reference = Reference(users, items, taken)
    p, q = (torch.tensor(each, dtype=dtype, requires_grad=True) for each in (users, items))
    sampler = build("bns", catalogue, {"candidate_num": 5, "lambda": LAMBDA}, seed=3)
    seen = record_candidates(sampler)
    order = source.permutation(len(pairs))
    hardest = 0
    for _ in range(EPOCHS):
        for place in order:
            user, item = pairs[place]
            with torch.no_grad():
                scorer = FactorScorer(p, q)
                chosen = sampler.sample(torch.tensor([user]), torch.tensor([item]), 1, scorer)
            candidates = [i for i in seen.pop()[0][0] if i]
            expected = reference.choose(user, item, candidates)
            assert chosen.item() == expected
            hardest += expected == max(candidates, key=lambda i: reference.score(user, i))
            rows = p[user], q[item], q[expected]
            margin = (rows[0] * (rows[1] - rows[2])).sum()
            loss = -torch.nn.functional.logsigmoid(margin)
            loss = loss + L2 / 2 * sum(row.square().sum() for row in rows)
            loss.backward()
            with torch.no_grad():
                for each in (p, q):
                    each -= RATE * each.grad
                    each.grad = None
            reference.step(user, item, expected)
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    np.testing.assert_allclose(p.detach().numpy(), reference.users, atol=tolerance)
    np.testing.assert_allclose(q.detach().numpy(), reference.items, atol=tolerance)
    steps = EPOCHS * len(pairs)
    assert steps > 1000
    assert 0 < hardest < steps, "the rule is not simply the hardest candidate"
