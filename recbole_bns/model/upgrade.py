"""Give a model that RecBole built what sampling needs, in place."""

from __future__ import annotations

from typing import Any

from recbole.model.general_recommender import BPR, LightGCN
from torch import nn

from .propagation import SharedLightGCN
from .regularised import RegularisedBPR


def upgrade(model: nn.Module, config: Any) -> nn.Module:
    """Turn RecBole's own BPR or LightGCN into ours; other models, and subclasses, stay.

    The weights, the graph and the class's behaviour as seen by RecBole are untouched, so this works
    on models that other people's code has built.
    """
    if type(model) is LightGCN:
        model.__class__ = SharedLightGCN
    elif type(model) is BPR and config["reg_weight"]:
        model.__class__ = RegularisedBPR
        model.__dict__["reg_weight"] = float(config["reg_weight"])
    return model
