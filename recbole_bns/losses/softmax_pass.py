"""Softmax losses over a list that all rows share, in one pass: scores, softmax and gradients.

Autograd would keep the scores (B, n), their exponentials and their gradient, several tens of
megabytes that are written and read again. Here the batch goes through in blocks of rows that a
core's cache holds: scores, what is left out, the sum, the softmax, and with it at once what the
rows add to the gradients of all three inputs. Of size B x n nothing outlives its block. That works
because the mean over the rows is a part of the pass: every row's share of the loss is known, and
the gradient that comes back is one number.

The values are those of the plain losses up to the rounding of sums in another order
(``tests/losses/test_softmax_pass.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recbole_bns.sampling.kernels import engine
from recbole_bns.sampling.kernels import softmax as kernels

SCORES_AT_ONCE = 1 << 20
"""Scores of a block: 4 MiB. With a quarter of it they stay in a core's own cache, but the matrix
products lose more than the loop gains."""
FEWEST_ROWS = 32
"""Rows that a block has however long the list is, so that the matrix products pay."""


@dataclass(frozen=True)
class SoftmaxForm:
    """A loss of the form ``c · log(Σ_j exp(s_j/τ) [+ exp(s+/τ)]) - s+/τ``."""

    temperature: float
    """τ."""
    with_positive: bool
    """Whether the sum has the positive."""
    weight: float = 1.0
    """c."""
    summed: bool = False
    """The sum over the batch in place of the mean."""


LeaveOut = Callable[[Tensor, slice], kernels.Taken | None]
"""Puts ``-inf`` into scores (b, n) of some rows of the batch, in place, or says by what the
compiled loop does."""


class _Pass(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        positives: Tensor,
        negatives: Tensor,
        form: SoftmaxForm,
        leave_out: LeaveOut | None,
        log_q: Tensor | None,
        pos_log_q: Tensor | None,
        row_num: int | None,
    ) -> Tensor:
        """The loss of a batch, and its gradients, which are kept."""
        scaled = queries / form.temperature
        positive = (scaled * positives).sum(1)
        if pos_log_q is not None:
            positive -= pos_log_q
        share = (row_num or len(queries) if form.summed else 1) / len(queries)
        total = queries.new_zeros(())
        to_queries = torch.empty_like(queries)
        to_negatives = torch.zeros_like(negatives)
        to_positive = torch.empty_like(positive)
        size = max(FEWEST_ROWS, SCORES_AT_ONCE // len(negatives))
        buffer = queries.new_empty(min(size, len(queries)), len(negatives))
        for start in range(0, len(queries), size):
            rows = slice(start, min(start + size, len(queries)))
            scores = torch.mm(scaled[rows], negatives.T, out=buffer[: rows.stop - start])
            if log_q is not None:
                scores -= log_q
            taken = None if leave_out is None else leave_out(scores, rows)
            values, to_positive[rows] = softmax(scores, positive[rows], form, share, taken)
            total += values.sum()
            torch.mm(scores, negatives, out=to_queries[rows])
            to_negatives.addmm_(scores.T, scaled[rows])
        pull = (to_positive * (share / form.temperature)).unsqueeze(1)
        to_queries.div_(form.temperature).addcmul_(pull, positives)
        ctx.save_for_backward(to_queries, queries * pull, to_negatives)
        return total * share

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """What was kept, times the gradient of the loss."""
        return *(kept * gradient for kept in ctx.saved_tensors), None, None, None, None, None


def softmax(
    scores: Tensor,
    positive: Tensor,
    form: SoftmaxForm,
    share: float,
    taken: kernels.Taken | None = None,
) -> tuple[Tensor, Tensor]:
    """Losses (b,) of rows, and the derivatives to their positives' logits (b,).

    Scores (b, n) become ``share`` times the derivatives to the negatives' logits. A row without a
    negative has loss 0 and moves nothing.
    """
    if scores.dtype == torch.float32 and engine.available(scores, positive):
        with_positive, weight = form.with_positive, form.weight
        return kernels.softmax(
            scores, positive, with_positive=with_positive, weight=weight, share=share, taken=taken
        )
    assert taken is None, "only the compiled loop looks bits up"
    highest = scores.amax(1)
    none = highest == float("-inf")
    if form.with_positive:
        highest = torch.maximum(highest, positive)
    highest = highest.masked_fill(none, 0.0)
    scores.sub_(highest.unsqueeze(1)).exp_()
    total = scores.sum(1)
    to_positive = torch.full_like(positive, -1.0)
    if form.with_positive:
        own = (positive - highest).exp()
        total = total + own
        to_positive += form.weight * own / total
    total = total.masked_fill(none, 1.0)
    scores.mul_((form.weight * share / total).unsqueeze(1))
    values = form.weight * (total.log() + highest) - positive
    return values.masked_fill(none, 0.0), to_positive.masked_fill(none, 0.0)


def softmax_pass(
    queries: Tensor,
    positives: Tensor,
    negatives: Tensor,
    form: SoftmaxForm,
    *,
    leave_out: LeaveOut | None = None,
    log_q: Tensor | None = None,
    pos_log_q: Tensor | None = None,
    row_num: int | None = None,
) -> Tensor:
    """The loss of a batch, a scalar with its graph.

    Args:
        queries: ``(B, D)``.
        positives: ``(B, D)`` vectors of the rows' positives.
        negatives: ``(n, D)`` of the list.
        form: of the loss.
        leave_out: takes terms out; None: all count.
        log_q: ``(n,)`` is subtracted from the negatives' logits; None: nothing is.
        pos_log_q: ``(B,)`` from the positives'.
        row_num: rows of the whole batch, for a sum over it; None: those of this call.
    """
    apply: Callable[..., Tensor] = _Pass.apply
    return apply(queries, positives, negatives, form, leave_out, log_q, pos_log_q, row_num)
