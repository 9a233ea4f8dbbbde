"""A softmax over rows of scores in one loop, for losses over a shared list; see :mod:`.engine`."""

from __future__ import annotations

import torch
from torch import Tensor

from . import engine


def softmax(
    scores: Tensor, positive: Tensor, *, with_positive: bool, weight: float, share: float
) -> tuple[Tensor, Tensor]:
    """Losses ``weight · log Σ exp - s+`` of rows, and their derivatives.

    Args:
        scores: ``(b, n)`` float32 logits of the negatives, ``-inf`` for none; they become ``share``
            times the derivatives.
        positive: ``(b,)`` logits of the positives.
        with_positive: whether the sum has the positive.
        weight: of the logarithm.
        share: of a row in the whole loss.

    Returns:
        ``(b,)`` losses, and ``(b,)`` derivatives to the positives' logits, neither times ``share``.
        A row without a negative has loss 0 and moves nothing.
    """
    values, to_positive = torch.empty_like(positive), torch.empty_like(positive)
    each = tuple(t.numpy() for t in (scores, positive, values, to_positive))
    engine.spread(
        engine.compiled("softmax").softmax,
        (with_positive, weight, share),
        each,
        scores.numel(),
    )
    return values, to_positive
