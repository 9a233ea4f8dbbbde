"""Item-item models of the training interactions: what a user may like, judged by what others do.

X is the (U, I) matrix of training interactions, 1 where there is one; G = X'X counts the users
that two items share. A model is a matrix of weights whose column l says what each item of a user's
history adds to the value of item l; :mod:`.pair_priors` makes probabilities of values.

    EASE        B = I - P / diag(P), P = (G + l2 I)^-1: ridge regression of each item on all others
    neighbours  the same regression of item l on the k items of the greatest cosine with it,
                w = (G_NN + l2 I)^-1 G_Nl; where I is great, only each item's greatest cosines are
                kept (:data:`KEPT` in all) and the others taken as 0: nothing (I, I) is ever held
    item kNN    w = cosine G_il / sqrt(G_ii G_ll) of those k, over the mean sum of them

Cost: EASE O(I^3) and 8 I^2 bytes, once; neighbours O(I k^3) and the co-occurrences of a block of
items at a time.

Sources: H. Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019; X. Ning and
G. Karypis, SLIM, ICDM 2011 (regression on a neighbourhood); M. Deshpande and G. Karypis,
Item-Based Top-N Recommendation Algorithms, TOIS 2004 (cosine, normalised neighbours).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .catalogue import Catalogue

KEPT = 1 << 27
"""Co-occurrences kept in all, at least four times the neighbours."""
COUNTS_AT_ONCE = 1 << 24
"""Co-occurrences that a block of items may have, as a bound of memory."""


class Neighbours(NamedTuple):
    """Weights of the few items that predict each item."""

    ids: Tensor
    """``(I, k)`` int64; 0 where an item has fewer."""
    weights: Tensor
    """``(I, k)`` float32; 0 where there is none."""


def interactions(catalogue: Catalogue) -> Any:
    """X as a SciPy CSR matrix (U, I), float32; a repeated interaction counts once."""
    from scipy.sparse import csr_matrix

    places = catalogue.positives.cpu().numpy(), catalogue.indptr.cpu().numpy()
    ones = np.ones(len(places[0]), np.float32)
    return csr_matrix((ones, *places), shape=(catalogue.user_num, catalogue.item_num))


def ease(catalogue: Catalogue, l2: float) -> Tensor:
    """EASE's weights ``B`` (I, I) float32 on the catalogue's device, diagonal 0."""
    matrix = interactions(catalogue)
    total = torch.from_numpy((matrix.T @ matrix).toarray()).to(catalogue.device)
    total.diagonal().add_(l2)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(total))
    del total
    weights = inverse.div_(-inverse.diagonal().clone())
    return weights.fill_diagonal_(0)


def nearest(catalogue: Catalogue, k: int) -> tuple[Any, np.ndarray]:
    """The k items of the greatest cosine with each item.

    Returns:
        a SciPy CSR matrix (I, I) whose row l counts the users that each of them shares with l,
        and ``(I,)`` the users of each item.
    """
    from scipy.sparse import csr_matrix

    matrix = interactions(catalogue)
    turned, items = matrix.T.tocsr(), catalogue.item_num
    users = np.diff(turned.indptr).astype(np.float64)
    work = (turned @ np.diff(matrix.indptr).astype(np.float64)).cumsum()  # counts, at most
    edges = np.searchsorted(work, np.arange(COUNTS_AT_ONCE, work[-1], COUNTS_AT_ONCE))
    edges = np.unique([0, *(edges + 1), items])
    rows, columns, counts = [], [], []
    for low, high in pairwise(edges):
        block = (turned[low:high] @ matrix).tocoo()
        other = block.row + low != block.col
        row, column, count = block.row[other] + low, block.col[other], block.data[other]
        cosine = count / np.sqrt(users[row] * users[column])
        order = np.lexsort((column, -cosine, row))
        row, column, count = row[order], column[order], count[order]
        kept = np.arange(len(row)) - np.searchsorted(row, row) < k
        rows.append(row[kept])
        columns.append(column[kept])
        counts.append(count[kept])
    places = np.concatenate(rows), np.concatenate(columns)
    return csr_matrix((np.concatenate(counts), places), shape=(items, items)), users


def ranked(counts: Any, users: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The first k neighbours of each row of :func:`nearest`: ids (I, k), 0 for none, and cosine."""
    row = np.repeat(np.arange(len(users)), np.diff(counts.indptr))
    cosine = counts.data / np.sqrt(users[row] * users[counts.indices])
    order = np.lexsort((counts.indices, -cosine, row))
    place = np.arange(len(row)) - counts.indptr[row]
    kept = place < k
    ids, values = np.zeros((len(users), k), np.int64), np.zeros((len(users), k))
    ids[row[kept], place[kept]] = counts.indices[order][kept]
    values[row[kept], place[kept]] = cosine[order][kept]
    return ids, values


def item_knn(catalogue: Catalogue, k: int) -> Neighbours:
    """Cosines of the k nearest items of each item, over the mean of their sums."""
    ids, cosine = ranked(*nearest(catalogue, k), k)
    weights = cosine / max(cosine.sum(1)[1:].mean(), 1e-12)
    return Neighbours(torch.from_numpy(ids), torch.from_numpy(weights).float())


def neighbour_ease(catalogue: Catalogue, l2: float, k: int) -> Neighbours:
    """Ridge regression of each item on its k nearest; see the top of this module."""
    counts, users = nearest(catalogue, max(4 * k, KEPT // catalogue.item_num))
    ids, _ = ranked(counts, users, k)
    wide = counts.maximum(counts.T).tocsr()
    weights = np.zeros(ids.shape, np.float32)
    own = np.zeros(len(ids), np.float64)
    for item in np.flatnonzero(ids[:, 0]):
        mine = ids[item][ids[item] > 0]
        row = slice(wide.indptr[item], wide.indptr[item + 1])
        own[wide.indices[row]] = wide.data[row]
        system = wide[mine][:, mine].toarray().astype(np.float64)
        system.flat[:: len(mine) + 1] = users[mine] + l2
        weights[item, : len(mine)] = np.linalg.solve(system, own[mine])
        own[wide.indices[row]] = 0
    return Neighbours(torch.from_numpy(ids), torch.from_numpy(weights))
