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

from ..catalogue import Catalogue

KEPT = 1 << 26
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


class Nearest(NamedTuple):
    """The items of the greatest cosine with each item, those of item l in its slice of ``starts``.

    The greatest first; of equals the smaller id.
    """

    starts: np.ndarray
    """``(I + 1,)``."""
    ids: np.ndarray
    """``(N,)`` int32."""
    counts: np.ndarray
    """``(N,)`` float32, users that the two items share."""
    users: np.ndarray
    """``(I,)`` users of each item."""

    def first(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The first k of each item: ids (I, k), 0 for none, and their cosines, 0 for none."""
        row = np.repeat(np.arange(len(self.users)), np.diff(self.starts))
        place = np.arange(len(row)) - self.starts[row]
        kept = place < k
        row, place, other = row[kept], place[kept], self.ids[kept]
        ids, cosine = np.zeros((len(self.users), k), np.int64), np.zeros((len(self.users), k))
        ids[row, place] = other
        cosine[row, place] = self.counts[kept] / np.sqrt(self.users[row] * self.users[other])
        return ids, cosine


def nearest(catalogue: Catalogue, k: int) -> Nearest:
    """The k items of the greatest cosine with each item, fewer where fewer share a user."""
    matrix = interactions(catalogue)
    turned, items = matrix.T.tocsr(), catalogue.item_num
    users = np.diff(turned.indptr).astype(np.float64)
    norm = np.sqrt(np.maximum(users, 1))
    work = (turned @ np.diff(matrix.indptr).astype(np.float64)).cumsum()  # counts, at most
    edges = np.searchsorted(work, np.arange(COUNTS_AT_ONCE, work[-1], COUNTS_AT_ONCE))
    ids, counts, sizes = [np.empty(0, np.int32)], [np.empty(0, np.float32)], [0]
    for low, high in pairwise(np.unique([0, *(edges + 1), items])):
        block = turned[low:high] @ matrix
        for row in range(high - low):
            part = slice(block.indptr[row], block.indptr[row + 1])
            other, count = block.indices[part], block.data[part]
            cosine = np.where(other == low + row, -1.0, count / norm[other])
            least = np.partition(cosine, -k)[-k] if len(other) > k else 0.0
            best = np.flatnonzero((cosine >= least) & (cosine > 0))
            best = best[np.lexsort((other[best], -cosine[best]))][:k]
            ids.append(other[best])
            counts.append(count[best])
            sizes.append(len(best))
    return Nearest(np.cumsum(sizes), np.concatenate(ids), np.concatenate(counts), users)


def item_knn(catalogue: Catalogue, k: int) -> Neighbours:
    """Cosines of the k nearest items of each item, over the mean of their sums."""
    ids, cosine = nearest(catalogue, k).first(k)
    weights = cosine / max(cosine.sum(1)[1:].mean(), 1e-12)
    return Neighbours(torch.from_numpy(ids), torch.from_numpy(weights).float())


def neighbour_ease(catalogue: Catalogue, l2: float, k: int) -> Neighbours:
    """Ridge regression of each item on its k nearest; see the top of this module."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):  # systems this small take longer with several threads
        return _regress(catalogue, l2, k)


def _regress(catalogue: Catalogue, l2: float, k: int) -> Neighbours:
    found = nearest(catalogue, max(4 * k, KEPT // catalogue.item_num))
    ids, _ = found.first(k)
    weights = np.zeros(ids.shape, np.float32)
    place = np.full(len(ids), -1)
    for item in np.flatnonzero(ids[:, 0]):
        mine = ids[item][ids[item] > 0]
        size = len(mine)
        place[mine] = np.arange(size)
        parts = [slice(found.starts[i], found.starts[i + 1]) for i in mine]
        row = np.repeat(np.arange(size), [part.stop - part.start for part in parts])
        column = place[np.concatenate([found.ids[part] for part in parts])]
        inside = column >= 0
        row, column = row[inside], column[inside]
        system = np.zeros((size, size))
        system[row, column] = np.concatenate([found.counts[part] for part in parts])[inside]
        system = np.maximum(system, system.T)  # one of the two may not have been kept
        system.flat[:: size + 1] = found.users[mine] + l2
        own = slice(found.starts[item], found.starts[item] + size)
        weights[item, :size] = np.linalg.solve(system, found.counts[own])
        place[mine] = -1
    return Neighbours(torch.from_numpy(ids), torch.from_numpy(weights))
