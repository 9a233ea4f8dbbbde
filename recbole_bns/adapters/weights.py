"""Weights of interactions in a RecBole data set: who trains with them, and who is refused.

The loader gives every batch a column :data:`ROW_WEIGHT`: its rows' weights over their mean, so that
the loss stays a mean, and of several processes each knows the mean of the whole batch. Losses
multiply each row's term by it; L2 terms are not weighed. Where all interactions have the same
weight there is no such column, and no bit differs from a data set without weights.
"""

from __future__ import annotations

from typing import Any

import torch
from recbole.model.general_recommender import BPR, LightGCN
from recbole.utils import ModelType
from torch import Tensor

from recbole_bns.common.errors import UsageError
from recbole_bns.datasets.weights import weight_field
from recbole_bns.runs.records import RunConfig
from recbole_bns.settings.declared import NO_SAMPLER, NO_WEIGHT, OWN_LOSS

from .loss_settings import loss_name
from .sampler_settings import is_sampled

ROW_WEIGHT = "recbole_bns_row_weight"
"""The batch's column of weights ``(B,)``, float32, whose mean over the whole batch is 1."""


def weights_of(dataset: Any) -> Tensor | None:
    """``(N,)`` the weight of each interaction of a data set; None where all have the same."""
    name = weight_field(dataset.config)
    if name is None or name not in dataset.inter_feat:
        return None
    weights: Tensor = dataset.inter_feat[name]
    return weights if len(weights) and bool((weights != weights[0]).any()) else None


def check_weighed(config: RunConfig, train: Any) -> None:
    """Refuse weights that the training would pass over.

    Raises:
        UsageError: the model's own loss takes the plain mean, or RecBole samples.
    """
    if weights_of(train) is None:
        return
    reason = _not_weighed(config)
    if reason:
        raise UsageError(
            f"WEIGHT_FIELD: the interactions have weights (column '{weight_field(config)}'), but "
            f"{reason}; or WEIGHT_FIELD: {NO_WEIGHT}, which passes over them."
        )


def _not_weighed(config: RunConfig) -> str:
    """Why weights cannot act, and what is allowed; empty where they can."""
    model = config.model_class
    if not is_sampled(config):
        return (
            f"with neg_sampler '{NO_SAMPLER}' RecBole samples and takes the plain mean of its "
            "loss; allowed is a neg_sampler of ours"
        )
    if model.type == ModelType.CONTEXT:
        return (
            f"{model.__name__} takes every column of them for a feature, which no candidate has "
            "when it is scored; allowed is another model"
        )
    if loss_name(config) == OWN_LOSS and model not in (BPR, LightGCN):
        return (
            f"the loss of {model.__name__} is RecBole's own, which takes the plain mean; allowed "
            "is a loss of ours, such as --loss=bpr, with any model that has one, or the models BPR "
            "and LightGCN"
        )
    return ""


def row_weights(rows: Any) -> Tensor | None:
    """Weights ``(B,)`` of a batch's rows; None where the interactions have none."""
    if ROW_WEIGHT not in rows:
        return None
    weights: Tensor = rows[ROW_WEIGHT]
    return weights


def even(weights: Tensor, step: int) -> Tensor:
    """Weights (N,) of rows in batches of ``step``, each over the mean of its batch: float32.

    Equal weights give 1 to the bit: the mean is taken in float64.
    """
    wide = weights.double()
    batch = torch.arange(len(wide), device=wide.device) // step
    number = -(-len(wide) // step)
    sums = wide.new_zeros(number).index_add_(0, batch, wide)
    means = sums / torch.bincount(batch, minlength=number)
    return (wide / means[batch]).float()
