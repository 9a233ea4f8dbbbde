"""From the parameter ``prior`` to the module that looks it up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..capabilities import HeldOutPairs, ModelValues, SideData, UserColumn
from ..catalogue import Catalogue
from .item_models import Ridge
from .pairs import PairTable, learned, sparse_pairs
from .tables import (
    WHERE,
    OraclePrior,
    TablePrior,
    group_prior,
    own_prior,
    popularity_prior,
    uniform_prior,
)

LEARNED = ("ease", "itemknn")
"""Priors learned here."""
OTHERS = "popularity, uniform, ease, itemknn, oracle, a .npy, .npz or .pt file, {model: NAME}"
WITHOUT_TABLE = "use prior: ease, which keeps none"
CHECKPOINTS = (".pt", ".pth")


def is_model(prior: Any) -> bool:
    """Whether the prior is a RecBole model, to be trained or trained already."""
    return isinstance(prior, Mapping) or (isinstance(prior, str) and prior.endswith(CHECKPOINTS))


def is_learned(prior: Any) -> bool:
    """Whether the prior is a model's value, which a scale and a clip make a probability."""
    return is_model(prior) or (isinstance(prior, str) and prior in LEARNED)


def needs_of(prior: Any) -> tuple[SideData, ...]:
    """The data beside the interactions that a prior needs."""
    if is_model(prior):
        return (ModelValues(model=prior, setting=WHERE, hint=WITHOUT_TABLE),)
    if not isinstance(prior, str) or prior in {"popularity", "uniform", *LEARNED}:
        return ()
    if prior == "oracle":
        return (HeldOutPairs(setting=WHERE),)
    if prior.endswith((".npy", ".npz")):
        return ()
    return (UserColumn(column=prior, setting=WHERE, hint=OTHERS),)


def build_prior(params: Any, catalogue: Catalogue, side: Mapping[str, Tensor]) -> nn.Module:
    """The prior of BNS.

    Args:
        params: of BNS.
        catalogue: the training interactions.
        side: what :func:`needs_of` asked for, by name.

    Returns:
        a module that maps users (B,) and candidates (B, ...) to values like the candidates.
    """
    prior, catalogue = params.prior, catalogue.observed
    if is_model(prior):
        return PairTable(side[ModelValues.name].to(catalogue.device))
    if not isinstance(prior, str) or prior.endswith(".npy"):
        table = own_prior(prior, catalogue).to(catalogue.device)
        rows = torch.arange(len(table), device=catalogue.device) if len(table) > 1 else None
        return TablePrior(table, rows)
    if prior.endswith(".npz"):
        return sparse_pairs(prior, catalogue)
    if prior in LEARNED:
        ridge = Ridge(params.prior_l2, params.prior_dropout, params.prior_power)
        return learned(prior, catalogue, ridge, params.prior_items)
    if prior == "oracle":
        return OraclePrior(side[HeldOutPairs.name], catalogue.user_num, catalogue.item_num)
    if prior == "popularity":
        return TablePrior(popularity_prior(catalogue.item_weights).unsqueeze(0))
    if prior == "uniform":
        return TablePrior(uniform_prior(catalogue.item_num).to(catalogue.device).unsqueeze(0))
    groups = side[UserColumn(column=prior).name].to(catalogue.device)
    return TablePrior(group_prior(catalogue, groups), groups)
