"""Loss and gradients of plain BPR, without gathered vectors or sorted ids; see :mod:`.engine`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from . import engine

Triples = tuple[Tensor, Tensor, Tensor]
"""Users, positives and negatives, each ``(B,)``."""


def losses(
    tables: tuple[Tensor, Tensor], triples: Triples, gamma: float
) -> tuple[Tensor, Tensor, Tensor]:
    """``-log(gamma + sigmoid(x))`` of each triple's margin x, its derivative to x, and squares.

    Args:
        tables: ``(U, D)`` and ``(I, D)`` float32.
        triples: a batch.
        gamma: keeps the logarithm finite.

    Returns:
        ``(B,)`` losses, ``(B,)`` derivatives and ``(B,)`` sums of the three vectors' squares, all
        float32.
    """
    values = torch.empty(len(triples[0]), dtype=torch.float32)
    slopes, squares = torch.empty_like(values), torch.empty_like(values)
    each = tuple(t.numpy() for t in (*triples, values, slopes, squares))
    shared = *(t.numpy() for t in tables), np.float32(gamma)
    steps = len(values) * (tables[0].shape[1] // 4 + 20)
    engine.spread(engine.compiled("steps").losses, shared, each, steps)
    return values, slopes, squares


def gradients(
    tables: tuple[Tensor, Tensor],
    triples: Triples,
    slopes: Tensor,
    shrink: float,
    out: tuple[Tensor, Tensor],
) -> None:
    """Gradients of both tables, written over what ``out`` holds.

    A thread owns a range of a table's rows and goes through the whole batch for them, in its
    order. So nothing is sorted, no two threads write to one row, and the sums, hence their bits,
    are the same with any number of threads.

    Args:
        tables: ``(U, D)`` and ``(I, D)`` float32.
        triples: a batch.
        slopes: ``(B,)`` derivatives of the loss to the margins.
        shrink: factor of a vector in its gradient, each time that it is in a triple.
        out: ``(U, D)`` and ``(I, D)`` float32, written.
    """
    loops = engine.compiled("steps")
    shared = *(t.numpy() for t in (*tables, *triples, slopes)), np.float32(shrink)
    for loop, table in zip((loops.user_gradients, loops.item_gradients), out, strict=True):
        rows = torch.arange(len(table))
        steps = table.numel() // 8 + len(slopes) * (table.shape[1] // 4 + 10)
        engine.spread(loop, shared, (rows.numpy(), table.numpy()), steps)
