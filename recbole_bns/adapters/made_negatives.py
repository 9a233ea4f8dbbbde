"""The negatives that a mixer makes of a batch's candidates, as a loss sees them."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor
from torch.nn.functional import embedding

from recbole_bns.mixers import Made, MixBatch, Mixer
from recbole_bns.sampling import Catalogue

from .vectors import alike, layers


class Mixed(NamedTuple):
    """Scores of a batch, with their graph, and what was made for them."""

    pos: Tensor
    """``(B,)``."""
    neg: Tensor
    """``(B, K)``."""
    made: Made


def mixed(
    model: Any,
    mixer: Mixer,
    batch: tuple[Tensor, Tensor, Tensor],
    similarity: str,
    catalogue: Catalogue,
) -> Mixed:
    """Let a mixer make the negatives of a batch, and score them.

    Args:
        model: with vectors by layer.
        mixer: that makes them.
        batch: users (B,), positives (B,) and candidates (B, K, M).
        similarity: ``dot`` or ``cosine``, of the pooled vectors.
        catalogue: the training interactions.
    """
    users, items, ids = batch
    found = layers(model)
    assert found is not None
    of_batch = MixBatch(
        users=[embedding(users, table) for table in found.users],
        positives=[embedding(items, table) for table in found.items],
        tables=found.items,
        ids=ids,
        pooling=found.pooling,
        similarity=similarity,
        user_ids=users,
        catalogue=catalogue,
    )
    made = mixer(of_batch)
    queries, positives, negatives = (
        alike(of_batch.pool(each), similarity)
        for each in (of_batch.users, of_batch.positives, made.vectors)
    )
    neg = (negatives @ queries.unsqueeze(2)).squeeze(2)
    return Mixed((queries * positives).sum(1), neg, made)
