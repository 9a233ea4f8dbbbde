"""From the parameter ``prior`` to the module that looks it up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from recbole_bns.common.errors import UsageError

from ..catalogue import Catalogue
from .calibration import calibrated
from .pairs import PairTable, learned, sparse_pairs
from .tables import OraclePrior, TablePrior, group_prior, own_prior, popularity_prior, uniform_prior

LEARNED = ("ease", "itemknn")
"""Priors learned here."""
MODEL = "prior:model"
"""What the adapters are asked for where a RecBole model is the prior: its values ``(U, I)``."""
CHECKPOINTS = (".pt", ".pth")


def is_model(prior: Any) -> bool:
    """Whether the prior is a RecBole model, to be trained or trained already."""
    return isinstance(prior, Mapping) or (isinstance(prior, str) and prior.endswith(CHECKPOINTS))


def is_learned(prior: Any) -> bool:
    """Whether the prior is a model's value, which a scale and a clip make a probability."""
    return is_model(prior) or (isinstance(prior, str) and prior in LEARNED)


def needs_of(prior: Any) -> tuple[str, ...]:
    """Names of the data beside the interactions that a prior needs."""
    if is_model(prior):
        return (MODEL,)
    if not isinstance(prior, str) or prior in {"popularity", "uniform", *LEARNED}:
        return ()
    if prior == "oracle":
        return ("held_out",)
    return () if prior.endswith((".npy", ".npz")) else (f"user:{prior}",)


def build_prior(
    params: Any, catalogue: Catalogue, side: Mapping[str, Tensor], seed: int
) -> nn.Module:
    """The prior of BNS.

    Args:
        params: of BNS.
        catalogue: the training interactions.
        side: what :func:`needs_of` asked for, by name.
        seed: of what calibration draws.

    Returns:
        a module that maps users (B,) and candidates (B, ...) to values like the candidates.
    """
    prior = params.prior
    if params.prior_calibration != "none" and prior not in LEARNED:
        raise UsageError(
            f"neg_sampler_args.prior_calibration: got '{params.prior_calibration}', but only a "
            f"prior that is learned here can be calibrated ({', '.join(LEARNED)}); allowed for "
            f"prior '{prior}' is none."
        )
    if is_model(prior):
        return PairTable(side[MODEL].to(catalogue.device))
    if not isinstance(prior, str) or prior.endswith(".npy"):
        table = own_prior(prior, catalogue).to(catalogue.device)
        rows = torch.arange(len(table), device=catalogue.device) if len(table) > 1 else None
        return TablePrior(table, rows)
    if prior.endswith(".npz"):
        return sparse_pairs(prior, catalogue)
    if prior in LEARNED:
        learn = partial(learned, prior, l2=params.prior_l2, k=params.prior_items)
        kind = params.prior_calibration
        return learn(catalogue) if kind == "none" else calibrated(kind, catalogue, learn, seed)
    if prior == "oracle":
        return OraclePrior(side["held_out"], catalogue.user_num, catalogue.item_num)
    if prior == "popularity":
        return TablePrior(popularity_prior(catalogue.item_counts).unsqueeze(0))
    if prior == "uniform":
        return TablePrior(uniform_prior(catalogue.item_num).to(catalogue.device).unsqueeze(0))
    groups = side[f"user:{prior}"].to(catalogue.device)
    return TablePrior(group_prior(catalogue, groups), groups)
