"""Prior probabilities that an item is a false negative: what is known before any score.

Pure functions make tables; two small modules look them up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recbole_bns.common.errors import UsageError

from ..catalogue import Catalogue

WHERE = "neg_sampler_args.prior"
"""The setting, for errors."""
ORACLE = (0.04, 0.64)
"""``(label - 0.2) ** 2`` for label 0 and 1: Table IV of the BNS paper."""


def popularity_prior(popularity: Tensor) -> Tensor:
    """``pop_l / N`` for each item (I,): its share of the training interactions (Eq. 17)."""
    return popularity.double() / popularity.sum().clamp(min=1)


def uniform_prior(item_num: int) -> Tensor:
    """``1 / |I|`` for each of ``item_num`` ids (I,), padding included in I but not in ``|I|``."""
    return torch.full((item_num,), 1.0 / max(item_num - 1, 1), dtype=torch.float64)


def group_prior(catalogue: Catalogue, groups: Tensor) -> Tensor:
    """``pop_l / N · (1 + Δ)`` with Δ from the counts of user groups (BNS-4).

    ``Δ = (o_gl - mean_g o_gl) / max_g o_gl``, o_gl the training interactions of item l by users
    of group g; Δ = 0 for an item without interactions. Group 0 (padding, unknown) has Δ = 0.

    Args:
        catalogue: the training interactions.
        groups: ``(U,)`` group of each user, 0 where unknown.

    Returns:
        ``(G, I)`` in [0, 1].
    """
    groups = groups.to(catalogue.device)
    size, items = int(groups.max()) + 1, catalogue.item_num
    keys = groups[catalogue.owners] * items + catalogue.positives
    counts = torch.bincount(keys, minlength=size * items).view(size, items).double()
    known = counts[1:] if size > 1 else counts
    delta = (counts - known.mean(0)) / known.amax(0).clamp(min=1)
    delta[0] = 0
    return (popularity_prior(catalogue.item_weights) * (1 + delta)).clamp(0, 1)


def own_prior(source: Any, catalogue: Catalogue) -> Tensor:
    """A user's own array: a path to a ``.npy`` file, a NumPy array or a tensor.

    Returns:
        ``(1, I)`` or ``(U, I)``, checked, in RecBole's internal ids with padding 0 in front.

    Raises:
        UsageError: unreadable, wrong shape, or values outside [0, 1].
    """
    try:
        table = np.load(source, allow_pickle=False) if isinstance(source, (str, Path)) else source
        prior = torch.as_tensor(np.asarray(table), dtype=torch.float64)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{WHERE}: cannot read '{source}' as a NumPy array: {error}.") from error
    items, users = catalogue.item_num, catalogue.user_num
    if tuple(prior.shape) not in {(items,), (users, items)}:
        raise UsageError(
            f"{WHERE}: got an array of shape {tuple(prior.shape)}, allowed is ({items},) or "
            f"({users}, {items}): RecBole's internal ids, padding 0 included."
        )
    if not bool(((prior >= 0) & (prior <= 1)).all()):
        raise UsageError(f"{WHERE}: the array has values outside [0, 1] or NaN.")
    return prior.view(-1, items)


class TablePrior(nn.Module):
    """Looks a prior up: one row for all users, or one a group, or one a user.

    Args:
        table: ``(G, I)``.
        row_of_user: ``(U,)`` row of each user; None: row 0 for all.
    """

    def __init__(self, table: Tensor, row_of_user: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("table", table.float(), False)
        self.register_buffer("row_of_user", row_of_user, False)

    table: Tensor
    row_of_user: Tensor | None

    def forward(self, users: Tensor, candidates: Tensor) -> Tensor:
        """Prior of candidates ``(B, ...)`` of users (B,): the shape of the candidates."""
        if self.row_of_user is None:
            return self.table[0][candidates]
        rows = self.row_of_user[users].view(-1, *[1] * (candidates.dim() - 1))
        return self.table[rows, candidates]


class OraclePrior(nn.Module):
    """Sees the held-out labels: 0.64 for a held-out positive, 0.04 for the rest.

    A simulation of the best prior there could be, never a result.

    Args:
        held_out: ``(2, N)`` user and item of the validation and test parts.
        user_num: U.
        item_num: I.
    """

    def __init__(self, held_out: Tensor, user_num: int, item_num: int) -> None:
        super().__init__()
        self.labels = Catalogue(held_out[0], held_out[1], user_num, item_num)

    def forward(self, users: Tensor, candidates: Tensor) -> Tensor:
        """Prior of candidates ``(B, ...)`` of users (B,): the shape of the candidates."""
        owners = users.view(-1, *[1] * (candidates.dim() - 1))
        return torch.where(self.labels.is_positive(owners, candidates), ORACLE[1], ORACLE[0])
