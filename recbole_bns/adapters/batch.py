"""``train_batch_size: auto``: how many positives a step has, by the model and the training part.

A step of LightGCN passes the whole graph whatever its batch holds, so that an epoch costs as many
passes as it has steps: on a large graph a large batch is the same training in a fraction of the
time. On a small one it would leave too few steps.
"""

from __future__ import annotations

from logging import getLogger
from math import sqrt
from typing import NamedTuple

from recbole_bns.common.threads import AUTO
from recbole_bns.runs.records import RunConfig

LEAST, MOST = 2048, 8192
"""Positives a step; the least for every model that passes no graph."""
STEPS = 128
"""An epoch keeps about as many, before batches grow."""


class Batch(NamedTuple):
    """What ``auto`` stands for."""

    train_batch_size: int
    learning_rate: float


def decided_batch(interactions: int, learning_rate: float, *, graph: bool) -> Batch:
    """The batch of a training part, and its learning rate.

    Adam's rate grows with the square root of the batch (Malladi et al., On the SDEs and Scaling
    Rules for Adaptive Gradient Algorithms, NeurIPS 2022).

    Args:
        interactions: of the training part.
        learning_rate: for a batch of :data:`LEAST`.
        graph: whether every step passes the whole graph of interactions.
    """
    size = LEAST
    while graph and size < MOST and interactions >= STEPS * 2 * size:
        size *= 2
    return Batch(size, learning_rate * sqrt(size / LEAST))


def decide_batch(config: RunConfig, interactions: int) -> None:
    """Put what ``auto`` stands for in its place; nothing where the user wrote a number.

    Args:
        config: of the run; it keeps what was decided, for ``result.json``.
        interactions: of the training part.
    """
    if config["train_batch_size"] != AUTO:
        return
    graph = hasattr(config.model_class, "get_norm_adj_mat")  # as RecBole's graph models have it
    batch = decided_batch(interactions, config["learning_rate"], graph=graph)
    for key, value in batch._asdict().items():
        config[key] = value
    config["batch_decided"] = batch._asdict()
    getLogger().info(
        f"train_batch_size: auto is {batch.train_batch_size}, learning_rate "
        f"{batch.learning_rate:g}, for {interactions} interactions"
    )
