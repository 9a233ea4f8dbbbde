"""What the oracles of learned generators share: one in float64, and Adam by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from toys import Case

from recbole_bns.sampling import FactorScorer, build
from recbole_bns.sampling.generators import TABLES, LearnedSampler


def vectors(case: Case, seed: int) -> FactorScorer:
    """A recommender in float64, three numbers a vector."""
    source = torch.Generator().manual_seed(seed)
    sizes = case.catalogue.user_num, case.catalogue.item_num
    return FactorScorer(
        *(torch.randn(size, 3, generator=source, dtype=torch.float64) for size in sizes)
    )


def begun(name: str, case: Case, seed: int = 0, **args: Any) -> LearnedSampler:
    """A generator that began as the recommender ``vectors(case, 1)``."""
    args = {"pretrain_epochs": 0, "generator_rate": 0.01, **args}
    sampler = build(name, case.catalogue, args, seed=seed)
    assert isinstance(sampler, LearnedSampler)
    sampler.begin_epoch(0, vectors(case, 1))
    return sampler


def weights(sampler: LearnedSampler) -> list[np.ndarray]:
    """Copies of its tables."""
    return [getattr(sampler, name).numpy().copy() for name in TABLES]


def to_tables(of_scores: np.ndarray, before: list[np.ndarray]) -> list[np.ndarray]:
    """Gradients of a generator's tables from those of all its scores (U, I), one pair at a time."""
    grads = [np.zeros_like(table) for table in before]
    for user, row in enumerate(of_scores):
        for item, slope in enumerate(row):
            grads[0][user] += slope * before[1][item]
            grads[1][item] += slope * before[0][user]
            grads[2][item] += slope
    return grads


class SlowAdam:
    """Adam as published, with the usual constants."""

    def __init__(self, rate: float) -> None:
        self.rate, self.steps = rate, 0
        self.first: list[Any] = [0.0] * 3
        self.second: list[Any] = [0.0] * 3

    def step(self, tables: list[np.ndarray], grads: list[np.ndarray]) -> None:
        """Change the tables in place."""
        self.steps += 1
        for k, grad in enumerate(grads):
            self.first[k] = 0.9 * self.first[k] + 0.1 * grad
            self.second[k] = 0.999 * self.second[k] + 0.001 * grad**2
            mean = self.first[k] / (1 - 0.9**self.steps)
            spread = self.second[k] / (1 - 0.999**self.steps)
            tables[k] -= self.rate * mean / (np.sqrt(spread) + 1e-8)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Of a row."""
    raised = np.exp(scores - scores.max())
    return raised / raised.sum()
