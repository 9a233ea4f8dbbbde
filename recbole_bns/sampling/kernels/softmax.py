"""A softmax over rows of scores in one loop, for losses over a shared list; see :mod:`.engine`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import engine


class Taken(NamedTuple):
    """Where it stands that the users of some rows have interacted with the items of a list."""

    bitmap: np.ndarray
    """``(U, ceil(I / 8))``, of the catalogue."""
    byte: np.ndarray
    """``(n,)`` int32, the byte of each item of the list."""
    bit: np.ndarray
    """``(n,)`` uint8, its bit there."""
    users: Tensor
    """``(b,)``."""


NOTHING = np.empty((0, 0), np.uint8), np.empty(0, np.int32), np.empty(0, np.uint8)


def softmax(
    scores: Tensor,
    positive: Tensor,
    *,
    with_positive: bool,
    weight: float,
    share: float,
    taken: Taken | None = None,
) -> tuple[Tensor, Tensor]:
    """Losses ``weight · log Σ exp - s+`` of rows, and their derivatives.

    Args:
        scores: ``(b, n)`` float32 logits of the negatives, ``-inf`` for none; they become ``share``
            times the derivatives.
        positive: ``(b,)`` logits of the positives.
        with_positive: whether the sum has the positive.
        weight: of the logarithm.
        share: of a row in the whole loss.
        taken: items that are left out, by a look at each; None: none are.

    Returns:
        ``(b,)`` losses, and ``(b,)`` derivatives to the positives' logits, neither times ``share``.
        A row without a negative has loss 0 and moves nothing.
    """
    values, to_positive = torch.empty_like(positive), torch.empty_like(positive)
    users = torch.zeros(len(scores), dtype=torch.long) if taken is None else taken.users
    each = tuple(t.numpy() for t in (users, scores, positive, values, to_positive))
    look = NOTHING if taken is None else (taken.bitmap, taken.byte, taken.bit)
    shared = with_positive, weight, share, *look
    engine.spread(engine.compiled("softmax").softmax, shared, each, scores.numel())
    return values, to_positive
