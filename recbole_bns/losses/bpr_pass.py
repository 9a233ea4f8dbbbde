"""The step of plain BPR in one pass: ``-log(gamma + sigmoid(u·p - u·n))``, its mean and gradients.

Autograd gathers three ``(B, D)`` blocks, keeps them, writes as many gradients, and scatters those
into two tables that are allocated anew in each step. Here the vectors are read where they lie, and
the gradients go straight into memory that stays from step to step. What is left is what must be
moved: three rows a triple to read, twice, and each table's gradient, once, to write.

The values are autograd's up to the rounding of sums in another order, the same with any number of
threads (``tests/losses/test_bpr_pass.py``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recbole_bns.sampling.kernels import engine, steps

OWN = 2
"""References to an array that only its :class:`GradientMemory` holds, as it asks for them."""


class GradientMemory:
    """The gradients of some tables, in memory that is used again once nobody holds them.

    A gradient belongs to its parameter until that is cleared. Whoever keeps it for longer, or adds
    up those of several batches, holds the array that it lies in, and the next one gets a new one.
    """

    def __init__(self) -> None:
        self._arrays: dict[int, np.ndarray[Any, np.dtype[np.float32]]] = {}

    def like(self, number: int, table: Tensor) -> Tensor:
        """Memory of the shape of ``table``, the gradient of table ``number``; not cleared."""
        kept = self._arrays.pop(number, None)
        if kept is None or kept.shape != table.shape or sys.getrefcount(kept) > OWN:
            kept = np.empty(table.shape, dtype=np.float32)
        self._arrays[number] = kept
        return torch.from_numpy(kept)


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        user_table: Tensor,
        item_table: Tensor,
        triples: steps.Triples,
        gamma: float,
        reg_weight: float,
        memory: GradientMemory,
        weights: Tensor | None,
    ) -> Tensor:
        tables = user_table.detach(), item_table.detach()
        values, slopes, squares = steps.losses(tables, triples, gamma)
        if weights is not None:
            values, slopes = values * weights, slopes * weights
        ctx.save_for_backward(user_table, item_table, slopes, *triples)
        ctx.reg_weight, ctx.memory = reg_weight, memory
        loss = values.mean()
        return loss + squares.mean() * (reg_weight / 2) if reg_weight else loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        user_table, item_table, slopes, *triples = ctx.saved_tensors
        share = float(gradient) / len(slopes)
        tables = user_table.detach(), item_table.detach()
        out = ctx.memory.like(0, user_table), ctx.memory.like(1, item_table)
        steps.gradients(tables, tuple(triples), slopes * share, ctx.reg_weight * share, out)
        return *out, None, None, None, None, None


def available(*tables: Tensor) -> bool:
    """Whether the pass serves tables (U, D) and (I, D)."""
    plain = all(t.dtype == torch.float32 and t.is_contiguous() for t in tables)
    return plain and engine.available(*tables)


def bpr_pass(
    user_table: Tensor,
    item_table: Tensor,
    triples: steps.Triples,
    memory: GradientMemory,
    *,
    gamma: float = 0.0,
    reg_weight: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """The mean loss of a batch, a scalar with its graph.

    Args:
        user_table: ``(U, D)`` float32, on the CPU.
        item_table: ``(I, D)``.
        triples: users, positives and negatives, each ``(B,)``.
        memory: of the two tables' gradients.
        gamma: is added to the sigmoid, as RecBole's ``BPRLoss`` does.
        reg_weight: of ``Σ (|u|² + |p|² + |n|²) / 2B``, which is added.
        weights: ``(B,)`` float32 of the triples in the mean, their own mean being 1; the L2 term
            is not weighed.
    """
    apply: Callable[..., Tensor] = _Pass.apply
    return apply(user_table, item_table, triples, gamma, reg_weight, memory, weights)
