"""What every mixer is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from recbole_bns.sampling.streams import new_key, uniforms

from .batch import Made, MixBatch

APART = 1_000_003
"""Between the seeds of two epochs' numbers: more than there are epochs."""


class Mixer(nn.Module, ABC):
    """Makes negatives of candidates; a subclass writes :meth:`forward`.

    Parameters of one that learns are in the model's optimiser and in the checkpoint. What it draws
    it draws by :meth:`uniform`, so that no state of a generator need be kept.

    Args:
        dim: D, the width of the model's layers.
        params: an instance of :attr:`Params`; its defaults when None.
    """

    name: ClassVar[str]
    """What people write: ``mixer: mixgcf``."""
    idea: ClassVar[str]
    """One line for tables."""
    paper: ClassVar[str]
    """Author, venue and year."""
    sampler: ClassVar[str] = "rns"
    """Who draws the candidates where no ``neg_sampler`` is named."""
    loss: ClassVar[str] = "kpair"
    """The loss where none is named."""
    negatives: ClassVar[int] = 1
    """K, the negatives that a positive is meant to meet: ``neg_sample_num`` where none is set."""
    Params: ClassVar[type[Any]]
    """A frozen dataclass whose fields are declared by ``param``; one of them ``candidate_num``."""

    def __init__(self, dim: int, params: Any = None) -> None:
        super().__init__()
        self.dim = dim
        self.params = self.Params() if params is None else params
        self.begin_epoch(0)

    @abstractmethod
    def forward(self, batch: MixBatch) -> Made:
        """The negatives of a batch."""

    def begin_epoch(self, epoch: int, seed: int = 0) -> None:
        """Prepare for epoch ``epoch`` (0-based) of a run with this seed."""
        self.epoch = epoch
        source = torch.Generator().manual_seed((seed * APART + epoch) % (1 << 63))
        self._key, self._drawn = new_key(source), 0

    def uniform(self, *size: int, like: Tensor) -> Tensor:
        """Numbers in [0, 1), the next of this epoch, as ``like`` is: of ``size``."""
        first, self._drawn = self._drawn, self._drawn + math.prod(size)
        positions = torch.arange(first, self._drawn, device=like.device)
        return uniforms(self._key.to(like.device), positions).view(size).to(like.dtype)
