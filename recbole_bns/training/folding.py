"""Someone who was not in training, put among the vectors of the items: one ridge solve.

With the items' vectors fixed, a vector p is sought that gives each item of a history H the score
1::

    p = argmin  Σ_{i in H} (1 − p·v_i)² + λ |p|²,      λ = regularisation · mean_i |v_i|²
      = (Σ_{i in H} v_i v_iᵀ + λ 1)⁻¹ Σ_{i in H} v_i

An item counts once. λ is in units of the vectors' own mean squared length, so that it means the
same whatever their scale; with a great one p points where the mean of the history's vectors does.
Scores p·v_i are comparable within a list, not with those of users who were in training.

Cost: O(|H| D² + D³) a history. :data:`REGULARISATION` is measured: ``benchmarks/serving.py
--folding RUN`` folds each user of a run in anew and compares the lists with those of the trained
vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

REGULARISATION = 10.0
AT_ONCE = 256


def folded(lists: Sequence[Tensor], items: Tensor, regularisation: float) -> Tensor:
    """Vectors (N, D) of N lists of different item numbers, by the vectors (I, D) of the items.

    Args:
        lists: none is empty.
        items: the first is padding, and not counted.
        regularisation: λ, times the mean squared length of the items' vectors.
    """
    table = items.detach().cpu().double()
    table[0] = 0
    squares = table[1:].square().sum(1).mean()
    ridge = regularisation * squares * torch.eye(table.shape[1], dtype=table.dtype)
    parts = [_solved(lists[i : i + AT_ONCE], table, ridge) for i in range(0, len(lists), AT_ONCE)]
    return torch.cat(parts).to(items.dtype)


def _solved(lists: Sequence[Tensor], table: Tensor, ridge: Tensor) -> Tensor:
    vectors = table[pad_sequence(list(lists), batch_first=True)]
    return torch.linalg.solve(vectors.transpose(1, 2) @ vectors + ridge, vectors.sum(1))
