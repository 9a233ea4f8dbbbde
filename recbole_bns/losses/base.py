"""What a loss sees, and what every loss is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from recbole_bns.common.registry import Registry
from recbole_bns.sampling import Catalogue, Scorer

LOG_Q = ("none", "negatives", "both", "corrected")
"""How scores are corrected by the log-probabilities of a proposal: ``loss_log_q``."""
SIMILARITIES = ("dot", "cosine")


@dataclass(frozen=True)
class NoParams:
    """Parameters of a loss that has none."""


@dataclass(frozen=True)
class LossBatch:
    """Scores of a batch, with their graph, and what else a loss may weigh.

    B positives, n negatives that each meets; a list that all of them share is broadcast to (B, n).
    """

    pos: Tensor
    """``(B,)`` scores of the positives."""
    neg: Tensor
    """``(B, n)`` scores of the negatives."""
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
    """``(B,)`` those of the positives under the same proposal."""
    log_q_form: str = "none"
    """One of :data:`LOG_Q`."""
    row_weight: Tensor | None = None
    """``(B,)`` weights of the rows in the mean."""
    term_weight: Tensor | None = None
    """``(B, n)`` weights of the terms, not negative."""

    def terms(self, values: Tensor) -> Tensor:
        """Values ``(B, n)`` of a sum: weighted, 0 where masked."""
        if self.term_weight is not None:
            values = values * self.term_weight
        return values if self.mask is None else values.masked_fill(self.mask, 0.0)

    def logits(self, temperature: float) -> Tensor:
        """Logits ``(B, n)`` of the negatives in a softmax: ``s / temperature - log q + log w``.

        ``-inf`` where masked or of weight 0.
        """
        logits = self.neg / temperature
        if self.log_q is not None and self.log_q_form in {"negatives", "both"}:
            logits = logits - self.log_q
        return self.left_in(logits)

    def left_in(self, logits: Tensor) -> Tensor:
        """Logits ``(B, n)`` plus the logarithm of their weights; ``-inf`` where masked."""
        if self.term_weight is not None:
            logits = logits + self.term_weight.log()
        return logits if self.mask is None else logits.masked_fill(self.mask, float("-inf"))

    def positive_logit(self, temperature: float) -> Tensor:
        """Logit ``(B,)`` of the positive in the same softmax."""
        logit = self.pos / temperature
        if self.pos_log_q is not None and self.log_q_form == "both":
            return logit - self.pos_log_q
        return logit

    def without_terms(self) -> Tensor | None:
        """``(B,)`` bool, rows none of whose terms is left in; None where all have some."""
        if self.mask is None:
            return None
        return self.mask.all(1)


class EpochView(NamedTuple):
    """What a loss with state may look at when an epoch begins."""

    scorer: Scorer
    """Scores in the similarity that is trained with, under the weights of this moment."""
    catalogue: Catalogue
    """The training interactions."""


def log_sum_exp(logits: Tensor) -> Tensor:
    """``log Σ exp`` over the last dimension: (..., n) give (...), ``-inf`` where all are ``-inf``.

    There torch's own has a NaN gradient.
    """
    highest = logits.detach().amax(-1, keepdim=True)
    highest = highest.where(highest.isfinite(), 0.0)
    total = (logits - highest).exp().sum(-1)
    none = total == 0
    return torch.where(none, float("-inf"), total.where(~none, 1.0).log()) + highest.squeeze(-1)


class Loss(nn.Module, ABC):
    """One number a positive from the scores of a batch.

    One without state is a function in a class's clothes; buffers and parameters of one with
    state are in the checkpoint, its parameters in the model's optimiser.

    Args:
        params: an instance of :attr:`Params`; its defaults when None.
    """

    name: ClassVar[str]
    """What people write: ``loss: ssm``."""
    idea: ClassVar[str]
    """One line for tables."""
    paper: ClassVar[str]
    """Author, venue and year."""
    similarity: ClassVar[str] = "dot"
    """One of :data:`SIMILARITIES`: what it is meant to be trained with."""
    log_q: ClassVar[tuple[str, ...]] = ("none",)
    """Corrections that it has a form for."""
    Params: ClassVar[type[Any]] = NoParams
    """A frozen dataclass whose fields are declared by ``param``."""

    def __init__(self, params: Any = None) -> None:
        super().__init__()
        self.params = self.Params() if params is None else params

    @abstractmethod
    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)`` of each positive; 0 for a row none of whose terms is left in."""

    def begin_epoch(self, epoch: int, view: EpochView) -> None:
        """Prepare for epoch ``epoch`` (0-based); does nothing by default."""


def mean_over_rows(values: Tensor, row_weight: Tensor | None) -> Tensor:
    """The mean ``()`` of values (B,), weighted where weights (B,) are given."""
    if row_weight is None:
        return values.mean()
    return (values * row_weight).sum() / row_weight.sum().clamp_min(torch.finfo(values.dtype).tiny)


_losses: Registry[Loss] = Registry("loss", "recbole_bns.losses", "recbole_bns.losses.forms")
register, available, get = _losses.register, _losses.available, _losses.get
