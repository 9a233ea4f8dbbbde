"""What every loss is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from recbole_bns.sampling import Catalogue, NoParams, Scorer

from .batch import LossBatch
from .softmax_pass import SoftmaxForm

SIMILARITIES = ("dot", "cosine")


class EpochView(NamedTuple):
    """What a loss with state may look at when an epoch begins."""

    scorer: Scorer
    """Scores in the similarity that is trained with, under the weights of this moment."""
    catalogue: Catalogue
    """The training interactions."""
    seed: int = 0
    """Of the run, for a loss that draws."""


class Loss(nn.Module, ABC):
    """One number a positive from the scores of a batch; a subclass writes :meth:`forward`.

    One without state is a function in a class's clothes. Buffers and parameters of one with state
    are in the checkpoint, its parameters in the model's optimiser.

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
    negatives: ClassVar[int] = 1
    """K, the negatives that a positive is meant to meet: ``neg_sample_num`` where none is set."""
    log_q: ClassVar[tuple[str, ...]] = ("none",)
    """Those of :data:`LOG_Q` that it has a form for; who calls it refuses the others."""
    Params: ClassVar[type[Any]] = NoParams
    """A frozen dataclass whose fields are declared by ``param``."""

    def __init__(self, params: Any = None) -> None:
        super().__init__()
        self.params = self.Params() if params is None else params

    @abstractmethod
    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)`` of each positive; 0 for a row none of whose terms is left in."""

    def decided(self, item_num: int) -> Mapping[str, float]:
        """The values, by parameter, that a word such as ``auto`` stands for with so many items.

        Args:
            item_num: items of the catalogue, padding included.
        """
        return {}

    def softmax_form(self, item_num: int) -> SoftmaxForm | None:
        """The form by which one pass gives this loss for a list that all share; None: it has none.

        :meth:`forward` stays what the loss is: the pass is faster and is tested against it.

        Args:
            item_num: items of the catalogue, padding included.
        """
        return None

    def begin_epoch(self, epoch: int, view: EpochView) -> None:
        """Prepare for epoch ``epoch`` (0-based); does nothing by default."""


def log_sum_exp(logits: Tensor) -> Tensor:
    """``log Σ exp`` over the last dimension: (..., n) give (...), ``-inf`` where all are ``-inf``.

    There torch's own has a NaN for a gradient, this one 0.
    """
    empty = logits.isneginf().all(-1, keepdim=True)
    total = logits.masked_fill(empty, 0.0).logsumexp(-1)
    return total.masked_fill(empty.squeeze(-1), float("-inf"))


def mean_over_rows(values: Tensor, row_weight: Tensor | None) -> Tensor:
    """The mean ``()`` of values (B,), weighted where weights (B,) are given; 0 where all are 0."""
    if row_weight is None:
        return values.mean()
    return (values * row_weight).sum() / row_weight.sum().clamp_min(torch.finfo(values.dtype).tiny)
