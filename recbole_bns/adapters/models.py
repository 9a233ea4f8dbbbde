"""RecBole's own models with what training needs: made whole by the seed, a loss, scoring mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from recbole.model.general_recommender import BPR, LightGCN
from recbole.model.loss import BPRLoss
from recbole.utils import get_model, init_seed
from torch import Tensor, nn

from recbole_bns.losses import bpr_pass
from recbole_bns.runs.records import RunConfig

from .lightgcn import SharedLightGCN
from .loss_settings import chosen_loss
from .many_negatives import ManyNegatives, over_many
from .mixer_settings import chosen_mixer
from .sampler_settings import is_sampled
from .vectors import forget_evaluation
from .weights import row_weights

if TYPE_CHECKING:
    from recbole.model.abstract_recommender import AbstractRecommender as _Host
else:
    _Host = object

__all__ = [
    "FusedBPR",
    "RegularisedBPR",
    "SharedLightGCN",
    "fused_step",
    "make_model",
    "scoring_mode",
    "upgrade",
    "weigh",
]


def make_model(config: RunConfig, dataset: Any) -> Any:
    """A model, initialised by the seed and made whole by :func:`upgrade`, on its device.

    Args:
        config: of the run.
        dataset: the training part.
    """
    init_seed(config["seed"], config["reproducibility"])
    model_class = config.model_class or get_model(config["model"])
    return upgrade(model_class(config, dataset), config).to(config["device"])


@contextmanager
def scoring_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients, restored afterwards, and so is the global generator.

    Sets the flags directly: SGL rebuilds its graphs whenever ``train()`` is called. Vectors that a
    model keeps for evaluation (``restore_user_e``) are dropped before and after, so that neither
    stale ones are used nor ours are left behind. NGCF drops messages in eval mode too.
    """
    flags = [(module, module.training) for module in model.modules()]
    devices = {weight.device for weight in model.parameters() if weight.is_cuda}
    for module, _ in flags:
        module.training = False
    forget_evaluation(model)
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            yield
    finally:
        for module, training in flags:
            module.training = training
        forget_evaluation(model)


def batch_l2(*vectors: Tensor) -> Tensor:
    """``Σ |v|² / 2B`` over the rows of vectors (B, D): a scalar."""
    return torch.stack([v.square().sum() for v in vectors]).sum() / (2 * len(vectors[0]))


class WeighedBPRLoss(BPRLoss):
    """RecBole's BPR loss, its rows weighed by :attr:`weights` where these are set."""

    weights: Tensor | None = None
    """``(B,)``, of mean 1 over the batch."""

    def forward(self, pos_score: Tensor, neg_score: Tensor) -> Tensor:
        """The weighed mean of ``-log(gamma + sigmoid(pos - neg))``, both (B,): a scalar."""
        if self.weights is None:
            loss: Tensor = super().forward(pos_score, neg_score)
            return loss
        values = -torch.log(self.gamma + torch.sigmoid(pos_score - neg_score))
        return (values * self.weights).mean()


class Weighed(_Host):
    """Goes before BPR or LightGCN, of RecBole or ours: a batch's weights are its loss's."""

    def calculate_loss(self, interaction: Any) -> Tensor:
        """The class's own, with rows weighed by the batch's :data:`.weights.ROW_WEIGHT`."""
        criterion = next(each for each in self.children() if isinstance(each, WeighedBPRLoss))
        criterion.weights = row_weights(interaction)
        try:
            loss: Tensor = super().calculate_loss(interaction)
            return loss
        finally:
            criterion.weights = None


@cache
def _weighed(model_class: Any) -> Any:
    return type(model_class.__name__, (Weighed, model_class), {})


def weigh(model: Any) -> None:
    """Turn BPR or LightGCN, in place, into one whose loss weighs the rows of a batch."""
    if isinstance(model, Weighed):
        return
    for name, child in list(model.named_children()):
        if type(child) is BPRLoss:
            setattr(model, name, WeighedBPRLoss(child.gamma))
    before: Any = type(model)
    model.__class__ = _weighed(before)


class RegularisedBPR(BPR):
    """RecBole's BPR, its loss plus ``reg_weight · Σ (|p_u|² + |q_i|² + |q_j|²) / 2B``."""

    reg_weight: float = 0.0

    def calculate_loss(self, interaction: Any) -> Tensor:
        """RecBole's loss and the batch L2."""
        loss = super().calculate_loss(interaction)
        if not self.reg_weight:
            return loss
        users = self.user_embedding(interaction[self.USER_ID])
        positives = self.item_embedding(interaction[self.ITEM_ID])
        negatives = self.item_embedding(interaction[self.NEG_ITEM_ID])
        return loss + self.reg_weight * batch_l2(users, positives, negatives)


class FusedBPR(RegularisedBPR):
    """The same in one compiled pass, loss and gradients, where :mod:`..losses.bpr_pass` serves."""

    _memory: bpr_pass.GradientMemory

    def calculate_loss(self, interaction: Any) -> Tensor:
        """RecBole's loss and the batch L2, up to the rounding of sums."""
        tables = self.user_embedding, self.item_embedding
        users, items = (table.weight for table in tables)
        plain = type(self.loss) in (BPRLoss, WeighedBPRLoss)
        if not (plain and all(map(_looked_up, tables))):
            return super().calculate_loss(interaction)
        if not bpr_pass.available(users, items):
            return super().calculate_loss(interaction)
        names = self.USER_ID, self.ITEM_ID, self.NEG_ITEM_ID
        user, positive, negative = (interaction[name] for name in names)
        return bpr_pass.bpr_pass(
            users,
            items,
            (user, positive, negative),
            self._memory,
            gamma=self.loss.gamma,
            reg_weight=self.reg_weight,
            weights=getattr(self.loss, "weights", None),
        )


def _looked_up(table: nn.Embedding) -> bool:
    """Whether a table does nothing but look rows up, with gradients for all weights."""
    plain = type(table) is nn.Embedding and not (table.sparse or table.scale_grad_by_freq)
    return plain and table.padding_idx is None and table.max_norm is None


def fused_step(config: RunConfig) -> bool:
    """Whether the step is fused: as ``fused_step`` says, or where a sampler of ours draws."""
    asked = config["fused_step"]
    return is_sampled(config) if asked is None else bool(asked)


def upgrade(model: nn.Module, config: RunConfig) -> nn.Module:
    """Turn RecBole's own BPR or LightGCN into ours; with a ``loss`` any model that it serves.

    BPR gets the batch L2 that ``reg_weight`` asks for, whoever samples, and the pass of
    :class:`FusedBPR` where :func:`fused_step` says so. LightGCN shares its
    propagation where a sampler of ours may look at it; with ``neg_sampler: none`` nobody does, and
    it stays RecBole's to the bit. Other models, and subclasses, stay, but for the loss over many
    negatives (:mod:`.many_negatives`).

    The weights, the graph and the class's behaviour as seen by RecBole are untouched, so this works
    on models that other people's code has built. A second call changes nothing.

    Args:
        model: of RecBole, or anybody's.
        config: of the run, ours or stock.

    Returns:
        the same object.
    """
    if isinstance(model, ManyNegatives):
        return model
    choice = chosen_loss(config)
    if type(model) is LightGCN and is_sampled(config):
        model.__class__ = SharedLightGCN
    elif type(model) is BPR and choice is None:
        _upgrade_bpr(model, float(config["reg_weight"] or 0.0), fused_step(config))
    if choice is not None:
        item = config["ITEM_ID_FIELD"]
        columns = (config["USER_ID_FIELD"], item, config["NEG_PREFIX"] + item)
        over_many(model, choice, columns, config["seed"], chosen_mixer(config))
    return model


def _upgrade_bpr(model: Any, reg_weight: float, fused: bool) -> None:
    if fused:
        model.__class__ = FusedBPR
        model.__dict__["_memory"] = bpr_pass.GradientMemory()
    elif reg_weight:
        model.__class__ = RegularisedBPR
    if fused or reg_weight:
        model.__dict__["reg_weight"] = reg_weight
