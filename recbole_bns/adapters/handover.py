"""What a trainer tells a training loader, ours or anybody's: the model, and which epoch begins.

The trainer owns both. A loader of ours takes them itself; of another loader it is the sampler that
is told, where it is one of ours. RecBole's own loader and sampler are told nothing.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from .dataloader import BNSTrainDataLoader
from .sampler import BNSSampler


def sampler_of(train_data: Any) -> BNSSampler | None:
    """The sampler of ours that a training loader draws with; None where RecBole samples."""
    sampler = getattr(train_data, "_sampler", None)
    return sampler if isinstance(sampler, BNSSampler) else None


def hand_over(model: nn.Module, train_data: Any) -> None:
    """Let whoever draws the negatives of a loader look at ``model``; before the first epoch.

    Raises:
        UsageError: the model cannot give what the sampler needs.
    """
    sampler = sampler_of(train_data)
    if isinstance(train_data, BNSTrainDataLoader):
        train_data.get_model(model)
    elif sampler is not None:
        sampler.bind(model)


def begin_epoch(train_data: Any, epoch: int) -> None:
    """Say that the next pass over a loader is epoch ``epoch`` (0-based)."""
    sampler = sampler_of(train_data)
    if hasattr(train_data, "begin_epoch"):
        train_data.begin_epoch(epoch)
    elif sampler is not None:
        sampler.begin_epoch(epoch)
