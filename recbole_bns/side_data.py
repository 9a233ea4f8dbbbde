"""What a prior of BNS may need beside the interactions: columns, held-out pairs, model values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .errors import UsageError
from .prior_models import prior_values
from .sampling import Catalogue
from .sampling.build_prior import MODEL


def pairs_of(parts: list[Any]) -> Tensor:
    """``(2, N)`` user and item of each interaction of these parts."""
    fields = (parts[0].uid_field, parts[0].iid_field)
    return torch.stack([torch.cat([part.inter_feat[f] for part in parts]) for f in fields])


def side_data(
    need: str, params: Any, config: Any, train: Any, catalogue: Catalogue, held_out: list[Any]
) -> Tensor:
    """One of the data that a sampler's ``side_data`` names.

    Args:
        need: ``held_out``, ``prior:model`` or ``user:<column>``.
        params: of the sampler.
        config: of the run.
        train: the training part.
        catalogue: its interactions.
        held_out: validation and test parts.

    Raises:
        UsageError: there is no such column, or no such model.
    """
    if need == "held_out":
        return pairs_of(held_out)
    if need == MODEL:
        return prior_values(params.prior, config, train, catalogue, pairs_of(held_out))
    column = need.removeprefix("user:")
    known = list(train.user_feat.interaction) if train.user_feat is not None else []
    if column not in known:
        found = ", ".join(name for name in known if name != train.uid_field) or "none"
        raise UsageError(
            f"neg_sampler_args.prior: '{column}' is no column of the data set's .user file (loaded "
            f"columns: {found}); allowed: popularity, uniform, ease, itemknn, oracle, a .npy, "
            ".npz or .pt file, {model: NAME}, or such a column, loaded with load_col: "
            f"{{user: [{train.uid_field}, {column}]}}."
        )
    return train.user_feat[column].long()
