"""What a loss sees of a batch: scores, ids, and which terms count for how much."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from recbole_bns.common.errors import UsageError

LOG_Q = ("none", "negatives", "both", "corrected")
"""How scores are corrected by the log-probabilities of a proposal: ``loss_log_q``."""
CERTAIN = 1 - 1e-7
"""The greatest probability of a positive that the corrected form divides by the rest of."""


@dataclass(frozen=True)
class LossBatch:
    """Scores of a batch, with their graph, and what else a loss may weigh.

    B positives, n negatives that each meets; a list that all of them share is broadcast to (B, n).
    Scores of half precision become float32 here, so that every loss divides by its temperature and
    sums in float32.

    Raises:
        UsageError: a correction without the log-probabilities that it needs.
    """

    pos: Tensor
    """``(B,)`` scores of the positives."""
    neg: Tensor
    """``(B, n)`` scores of the negatives; ``-inf`` for none."""
    users: Tensor
    """``(B,)`` ids."""
    items: Tensor
    """``(B,)`` ids of the positives."""
    ids: Tensor
    """``(B, n)`` ids of the negatives, or ``(n,)`` where all positives share one list."""
    item_num: int
    """Items of the catalogue, padding included."""
    mask: Tensor | None = None
    """``(B, n)`` bool, True: the term is left out (a training item of the user's own)."""
    log_q: Tensor | None = None
    """``(B, n)`` or ``(n,)`` log-probabilities with which the negatives were proposed."""
    pos_log_q: Tensor | None = None
    """``(B,)`` those of the positives under the same proposal; finite where ``both`` uses them."""
    log_q_form: str = "none"
    """One of :data:`LOG_Q`."""
    row_weight: Tensor | None = None
    """``(B,)`` weights of the rows in the mean."""
    term_weight: Tensor | None = None
    """``(B, n)`` weights of the terms, not negative; 0 leaves a term out as the mask does."""
    row_num: int | None = None
    """Rows of the whole batch where several processes share it; None: those of this one."""

    def __post_init__(self) -> None:
        """Check the correction, and widen the scores."""
        if self.log_q_form not in LOG_Q:
            raise UsageError(f"loss_log_q: got '{self.log_q_form}'; allowed: {', '.join(LOG_Q)}.")
        needed = {"none": (), "negatives": ("log_q",)}.get(self.log_q_form, ("log_q", "pos_log_q"))
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise UsageError(
                f"loss_log_q: got '{self.log_q_form}' without {' and '.join(missing)}, allowed is "
                "that with a sampler that knows its log-probabilities; write loss_log_q: none."
            )
        for name in ("pos", "neg"):
            object.__setattr__(self, name, _at_least_float32(getattr(self, name)))

    @cached_property
    def left_out(self) -> Tensor | None:
        """``(B, n)`` bool, terms left out by the mask or a weight of 0; None: every term is in."""
        if self.term_weight is None:
            return self.mask
        weightless = self.term_weight == 0
        return weightless if self.mask is None else weightless | self.mask

    def terms(self, values: Tensor) -> Tensor:
        """Values ``(B, n)`` of a sum: weighted, 0 where left out."""
        if self.term_weight is not None:
            values = values * self.term_weight
        return values if self.left_out is None else values.masked_fill(self.left_out, 0.0)

    def rows(self, values: Tensor) -> Tensor:
        """Values ``(B,)``: 0 for a row none of whose terms is left in."""
        return values if self.left_out is None else values.masked_fill(self.left_out.all(1), 0.0)

    def logits(self, temperature: float) -> Tensor:
        """Logits ``(B, n)`` of the negatives in a softmax: ``s / temperature - log q + log w``.

        ``corrected`` has ``q / (1 - q+)`` in place of q. ``-inf`` where left out.
        """
        logits = self.neg / temperature
        if self.log_q is not None and self.log_q_form != "none":
            logits = logits - self.log_q
        if self.pos_log_q is not None and self.log_q_form == "corrected":
            others = torch.log1p(-self.pos_log_q.exp().clamp(max=CERTAIN))
            logits = logits + others.unsqueeze(1)
        return self.left_in(logits)

    def left_in(self, logits: Tensor) -> Tensor:
        """Logits ``(B, n)`` plus the logarithm of their weights; ``-inf`` where left out."""
        if self.left_out is None:
            return logits
        if self.term_weight is not None:  # the logarithm of 0 would have no gradient
            logits = logits + self.term_weight.masked_fill(self.left_out, 1.0).log()
        return logits.masked_fill(self.left_out, float("-inf"))

    def positive_logit(self, temperature: float) -> Tensor:
        """Logit ``(B,)`` of the positive in the same softmax."""
        logit = self.pos / temperature
        if self.pos_log_q is not None and self.log_q_form == "both":
            return logit - self.pos_log_q
        return logit


def _at_least_float32(scores: Tensor) -> Tensor:
    return scores.float() if scores.dtype in {torch.float16, torch.bfloat16} else scores
