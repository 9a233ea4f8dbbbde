"""Priors that know the user: how likely a pair is a false negative, looked up or summed.

A module gives the raw value of pairs; :func:`probability` scales and clips it. Where U x I values
fit in :data:`TABLE_LIMIT`, they are computed once and looked up; else the value of a candidate is
summed when it is asked for, from the few items that predict it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn

from recbole_bns.common.errors import UsageError

from ..catalogue import Catalogue
from ..kernels import engine
from ..kernels import pairs as pair_kernels
from ..scoring import FactorScorer
from .item_models import Neighbours, Ridge, ease, interactions, item_knn, neighbour_ease
from .tables import WHERE

MOST = 0.98
"""No prior is surer than this."""
TABLE_LIMIT = 1 << 29
"""Bytes of the table of all pairs, two a pair."""
DENSE_TO = 16_000
"""Largest catalogue whose EASE is solved whole: 2 GB, a minute or two on two cores."""
NEIGHBOURS = 200
"""Items that predict one, beyond :data:`DENSE_TO` and for item kNN."""
USERS_AT_ONCE = 2048
VALUES_AT_ONCE = 1 << 23
"""Values that :func:`all_values` gives in a block."""


def probability(value: Tensor, scale: float) -> Tensor:
    """``clip(scale · value, 0, 0.98)``, the shape of the values."""
    return (value.float() * scale).clamp(0, MOST)


class PairTable(nn.Module):
    """A value for every pair.

    Args:
        table: ``(U, I)``; kept in half precision.
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("table", table.half(), False)

    table: Tensor

    def forward(self, users: Tensor, candidates: Tensor) -> Tensor:
        """Values of candidates ``(B, ...)`` of users (B,): the shape of the candidates, float32."""
        first = users.view(-1, *[1] * (candidates.dim() - 1)) * self.table.shape[1]
        places = (first + candidates).flatten()
        return self.table.view(-1).index_select(0, places).float().view(candidates.shape)

    def greatest_gain(
        self,
        candidates: Tensor,
        users: Tensor,
        items: Tensor,
        scorer: FactorScorer,
        gamma: float,
        scale: float,
    ) -> Tensor | None:
        """What :func:`.methods.bns.gain` chooses, in one pass where a loop is compiled.

        Args:
            candidates: ``(B, n, m)``; 0 is left out.
            users: ``(B,)``.
            items: ``(B,)`` positives.
            scorer: of the model.
            gamma: exponent.
            scale: of the values.

        Returns:
            ``(B, n)`` item ids, or None where there is no loop.
        """
        if not scorer.compiled:
            return None
        n = candidates.shape[1]
        users, items = (x if n == 1 else x.repeat_interleave(n) for x in (users, items))
        vectors, logs = (scorer.users, scorer.items), log_true(gamma, scale)
        flat = candidates.flatten(0, 1)
        return pair_kernels.choose_gain(vectors, self.table, logs, users, items, flat).view(-1, n)


@lru_cache(maxsize=4)
def log_true(gamma: float, scale: float) -> Tensor:
    """``gamma · log(1 - P)`` of whatever a table may hold: (65536,), in the order of the bits."""
    values = torch.arange(1 << 16).to(torch.int16).view(torch.half)
    return gamma * (1 - probability(values, scale)).log()


class SparsePairs(nn.Module):
    """Values of few pairs, 0 for the others.

    Args:
        keys: ``(N,)`` int64, ``user * I + item``, ascending.
        values: ``(N,)``.
        item_num: I.
    """

    def __init__(self, keys: Tensor, values: Tensor, item_num: int) -> None:
        super().__init__()
        self.item_num = item_num
        # A last key that no pair has: an empty prior, and a place for what lies beyond the end.
        last = torch.tensor([torch.iinfo(torch.long).max], device=keys.device)
        self.register_buffer("keys", torch.cat((keys, last)), False)
        self.register_buffer("values", nn.functional.pad(values.float(), (0, 1)), False)

    keys: Tensor
    values: Tensor

    def forward(self, users: Tensor, candidates: Tensor) -> Tensor:
        """Values of candidates ``(B, ...)`` of users (B,): the shape of the candidates, float32."""
        first = users.view(-1, *[1] * (candidates.dim() - 1)) * self.item_num
        wanted = first + candidates
        place = torch.searchsorted(self.keys, wanted)
        return torch.where(self.keys[place] == wanted, self.values[place], 0.0)


def sparse_pairs(path: str, catalogue: Catalogue) -> SparsePairs:
    """A user's own sparse matrix: a file that ``scipy.sparse.save_npz`` has written.

    Args:
        path: of the file; shape (U, I) in RecBole's internal ids, values in [0, 1].
        catalogue: the training interactions.

    Raises:
        UsageError: unreadable, wrong shape, or values outside [0, 1].
    """
    from scipy.sparse import load_npz

    try:
        matrix = load_npz(path).tocsr()
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise UsageError(f"{WHERE}: cannot read '{path}' as a sparse matrix: {error}.") from error
    matrix.sum_duplicates()
    shape = catalogue.user_num, catalogue.item_num
    if matrix.shape != shape:
        raise UsageError(
            f"{WHERE}: got a matrix of shape {matrix.shape}, allowed is {shape}: RecBole's "
            "internal ids, padding 0 included."
        )
    if not ((matrix.data >= 0) & (matrix.data <= 1)).all():
        raise UsageError(f"{WHERE}: the matrix has values outside [0, 1] or NaN.")
    users = np.repeat(np.arange(shape[0]), np.diff(matrix.indptr))
    keys = torch.from_numpy(users * shape[1] + matrix.indices)
    values = torch.from_numpy(matrix.data.astype(np.float32))
    return SparsePairs(keys.to(catalogue.device), values.to(catalogue.device), shape[1])


class NeighbourPairs(nn.Module):
    """The sum of the weights of those neighbours of an item that the user has.

    Args:
        catalogue: the training interactions.
        neighbours: of each item.
    """

    def __init__(self, catalogue: Catalogue, neighbours: Neighbours) -> None:
        super().__init__()
        self.catalogue = catalogue
        self.register_buffer("ids", neighbours.ids.int(), False)
        self.register_buffer("weights", neighbours.weights, False)

    ids: Tensor
    weights: Tensor

    def forward(self, users: Tensor, candidates: Tensor) -> Tensor:
        """Values of candidates ``(B, ...)`` of users (B,): the shape of the candidates, float32."""
        flat = candidates.flatten(1)
        if engine.available(candidates):
            found = pair_kernels.neighbour_values(
                self.catalogue, self.ids, self.weights, users, flat
            )
            return found.view(candidates.shape)
        owners = users.view(-1, 1, 1)
        has = self.catalogue.is_positive(owners, self.ids[flat].long())
        return (self.weights[flat] * has).sum(2).view(candidates.shape)


def table_fits(catalogue: Catalogue) -> bool:
    """Whether all pairs can be computed once and kept."""
    return 2 * catalogue.user_num * catalogue.item_num <= TABLE_LIMIT


def learned(kind: str, catalogue: Catalogue, ridge: Ridge, k: int) -> nn.Module:
    """Values of pairs by an item-item model of the training interactions.

    Args:
        kind: ``ease`` or ``itemknn``.
        catalogue: the training interactions.
        ridge: of EASE.
        k: items that predict one; 0: all of them where EASE is solved whole, else 200.
    """
    whole = kind == "ease" and not k and catalogue.item_num <= DENSE_TO
    if whole:
        weights = ease(catalogue, ridge)
        if table_fits(catalogue):
            return PairTable(dense_values(catalogue, weights))
        best = weights.abs().topk(min(NEIGHBOURS, len(weights)), 0).indices.T.contiguous()
        found = Neighbours(best, weights.T.gather(1, best))
    else:
        k = min(k or NEIGHBOURS, catalogue.item_num - 1)
        found = item_knn(catalogue, k) if kind == "itemknn" else neighbour_ease(catalogue, ridge, k)
    if table_fits(catalogue):
        return PairTable(neighbour_values(catalogue, found))
    return NeighbourPairs(catalogue, Neighbours(*(part.to(catalogue.device) for part in found)))


def dense_values(catalogue: Catalogue, weights: Tensor) -> Tensor:
    """``X B`` (U, I) in half precision, for weights (I, I)."""
    return _values(catalogue, weights.cpu().numpy()).to(catalogue.device)


def neighbour_values(catalogue: Catalogue, neighbours: Neighbours) -> Tensor:
    """The same from the neighbours' weights."""
    return _values(catalogue, _matrix(neighbours)).to(catalogue.device)


def _matrix(neighbours: Neighbours) -> Any:
    """The weights as a SciPy CSR matrix (I, I)."""
    from scipy.sparse import csr_matrix

    ids, weights = (part.cpu().numpy() for part in neighbours)
    size = len(ids)
    columns = np.repeat(np.arange(size), ids.shape[1])
    return csr_matrix((weights.ravel(), (ids.ravel(), columns)), shape=(size, size))


def all_values(prior: nn.Module, catalogue: Catalogue) -> Iterator[tuple[Tensor, Tensor]]:
    """Every value of a prior, block by block: users (B,) and the values (B, I) float32 of each.

    Args:
        prior: of :func:`.build.build_prior`.
        catalogue: the training interactions.
    """
    values = _sums(prior) if isinstance(prior, NeighbourPairs) else prior
    items = torch.arange(catalogue.item_num, device=catalogue.device)
    everyone = torch.arange(catalogue.user_num, device=catalogue.device)
    for users in everyone.split(max(VALUES_AT_ONCE // len(items), 1)):
        yield users, values(users, items.expand(len(users), -1)).float()


def _sums(prior: NeighbourPairs) -> Callable[[Tensor, Tensor], Tensor]:
    """What ``prior`` gives for all items in order, as one product a block."""
    matrix = interactions(prior.catalogue)
    weights = _matrix(Neighbours(prior.ids, prior.weights))

    def values(users: Tensor, items: Tensor) -> Tensor:
        rows = matrix[users.cpu().numpy()] @ weights
        return torch.from_numpy(rows.toarray()).to(users.device)

    return values


def _values(catalogue: Catalogue, weights: Any) -> Tensor:
    matrix = interactions(catalogue)
    table = torch.empty((catalogue.user_num, catalogue.item_num), dtype=torch.half)
    for low in range(0, catalogue.user_num, USERS_AT_ONCE):
        part = matrix[low : low + USERS_AT_ONCE] @ weights
        part = part.toarray() if hasattr(part, "toarray") else part
        table[low : low + USERS_AT_ONCE] = torch.from_numpy(part)
    return table
