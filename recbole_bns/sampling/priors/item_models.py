"""Item-item models of the training interactions: what a user may like, judged by what others do.

X is the (U, I) matrix of training interactions, 1 where there is one; G = X'X counts the users
that two items share. A model is a matrix of weights whose column l says what each item of a user's
history adds to the value of item l; :mod:`.pairs` makes probabilities of values.

    EASE        B = I - P / diag(P), P = (G + l2 I)^-1: ridge regression of each item on all others
    EDLAE       the same with c diag(G) added to G, c = p / (1 - p): the regression of an item on
                histories of which each item is dropped with probability p, in expectation
    power a     G = X'WX with W_uu ∝ |u|^-a, 1 on average over the users: long histories count less
    neighbours  the same regression of item l on the k items of the greatest cosine with it,
                w = (G_NN + l2 I)^-1 G_Nl; where I is great, only each item's greatest cosines are
                kept (:data:`KEPT` in all) and the others taken as 0: nothing (I, I) is ever held
    item kNN    w = cosine G_il / sqrt(G_ii G_ll) of those k, over the mean sum of them

Cost: EASE O(I^3) and 8 I^2 bytes, once; neighbours O(I k^3) and the co-occurrences of a block of
items at a time.

Sources: H. Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, and Autoencoders
that don't overfit towards the Identity, NeurIPS 2020 (EDLAE); X. Ning and G. Karypis, SLIM, ICDM
2011 (regression on a neighbourhood); M. Deshpande and G. Karypis, Item-Based Top-N Recommendation
Algorithms, TOIS 2004 (cosine, normalised neighbours).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from logging import getLogger
from threading import Event
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..catalogue import Catalogue
from ..kernels import engine
from ..kernels.regression import gather

KEPT = 1 << 26
"""Co-occurrences kept in all, at least four times the neighbours."""
TELL_AFTER = 10.0
"""Seconds between two lines about a regression that takes long."""
COUNTS_AT_ONCE = 1 << 24
"""Co-occurrences that a block of items may have, as a bound of memory."""


class Neighbours(NamedTuple):
    """Weights of the few items that predict each item."""

    ids: Tensor
    """``(I, k)`` int64; 0 where an item has fewer."""
    weights: Tensor
    """``(I, k)`` float32; 0 where there is none."""


class Ridge(NamedTuple):
    """How the regression of each item is held back."""

    l2: float
    dropout: float = 0.0
    """p of EDLAE, in [0, 1)."""
    power: float = 0.0
    """a, of how many items a user has."""

    def of(self, counts: Any) -> Any:
        """What is added to the diagonal of G, whose diagonal is ``counts``."""
        return self.l2 + self.dropout / (1 - self.dropout) * counts


def interactions(catalogue: Catalogue, power: float = 0.0) -> Any:
    """X as a SciPy CSR matrix (U, I), float32; a repeated interaction counts once.

    Args:
        catalogue: the training interactions.
        power: a; with another than 0 it is the root of W times X.
    """
    from scipy.sparse import csr_matrix

    places = catalogue.positives.cpu().numpy(), catalogue.indptr.cpu().numpy()
    values = np.ones(len(places[0]), np.float32)
    if power:
        sizes = np.diff(places[1])
        weights = np.where(sizes > 0, np.maximum(sizes, 1).astype(np.float64) ** -power, 0)
        weights /= weights.sum() / max((sizes > 0).sum(), 1)
        values = np.repeat(np.sqrt(weights), sizes).astype(np.float32)
    return csr_matrix((values, *places), shape=(catalogue.user_num, catalogue.item_num))


def ease(catalogue: Catalogue, ridge: Ridge) -> Tensor:
    """EASE's weights ``B`` (I, I) float32 on the catalogue's device, diagonal 0."""
    matrix = interactions(catalogue, ridge.power)
    total = torch.from_numpy((matrix.T @ matrix).toarray()).to(catalogue.device)
    total.diagonal().add_(ridge.of(total.diagonal()))
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
    """``(N,)`` float32, users that the two items share, by their weights."""
    users: np.ndarray
    """``(I,)`` users of each item, by their weights."""

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


def nearest(catalogue: Catalogue, k: int, power: float = 0.0) -> Nearest:
    """The k items of the greatest cosine with each item, fewer where fewer share a user."""
    matrix = interactions(catalogue, power)
    users_by_item = matrix.T.tocsr()
    users = np.diff(users_by_item.indptr).astype(np.float64)
    if power:
        users = np.asarray(users_by_item.multiply(users_by_item).sum(1), np.float64).ravel()
    norm = np.sqrt(np.where(users > 0, users, 1))
    ids, counts, sizes = [np.empty(0, np.int32)], [np.empty(0, np.float32)], [0]
    for low, high in _blocks(users_by_item, np.diff(matrix.indptr)):
        shared = users_by_item[low:high] @ matrix
        for row in range(high - low):
            entries = slice(shared.indptr[row], shared.indptr[row + 1])
            other, count = shared.indices[entries], shared.data[entries]
            # Its own norm would not change the order; an item is not near itself.
            cosine = np.where(other == low + row, -1.0, count / norm[other])
            # A partition leaves few to be sorted; all that equal the k-th are kept for the tie.
            least = np.partition(cosine, -k)[-k] if len(other) > k else 0.0
            best = np.flatnonzero((cosine >= least) & (cosine > 0))
            best = best[np.lexsort((other[best], -cosine[best]))][:k]
            ids.append(other[best])
            counts.append(count[best])
            sizes.append(len(best))
    return Nearest(np.cumsum(sizes), np.concatenate(ids), np.concatenate(counts), users)


def _blocks(users_by_item: Any, items_of_user: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges of items whose co-occurrences fit in :data:`COUNTS_AT_ONCE`.

    An item has at most as many as its users have items; that is what can be known beforehand.
    """
    most = (users_by_item @ items_of_user.astype(np.float64)).cumsum()
    edges = np.searchsorted(most, np.arange(COUNTS_AT_ONCE, most[-1], COUNTS_AT_ONCE))
    return pairwise(np.unique([0, *(edges + 1), users_by_item.shape[0]]))


def item_knn(catalogue: Catalogue, k: int) -> Neighbours:
    """Cosines of the k nearest items of each item, over the mean of their sums."""
    ids, cosine = nearest(catalogue, k).first(k)
    weights = cosine / max(cosine.sum(1)[1:].mean(), 1e-12)
    return Neighbours(torch.from_numpy(ids), torch.from_numpy(weights).float())


def neighbour_ease(catalogue: Catalogue, ridge: Ridge, k: int) -> Neighbours:
    """Ridge regression of each item on its k nearest; see the top of this module."""
    from threadpoolctl import threadpool_limits

    # More than k are kept of each item, since the system of an item holds the counts of its
    # neighbours with one another, which are looked up in the neighbours' own lists.
    kept = nearest(catalogue, max(4 * k, KEPT // catalogue.item_num), ridge.power)
    ids, _ = kept.first(k)
    found = Neighbours(torch.from_numpy(ids), torch.zeros(ids.shape))
    diagonal = kept.users + ridge.of(kept.users)
    threads = torch.get_num_threads()
    items = np.flatnonzero(ids[:, 0])
    parts = [items[first::threads] for first in range(threads)]
    tells = [_Wait(len(parts[0]), len(items)).tell, *([None] * (threads - 1))]
    over = Event()
    engine.compiled("regression")  # loaded here: two threads would set its cache folder at once
    # A library's own threads make systems this small slower: each thread here has its own items,
    # and neither the gathering nor the solving holds the interpreter.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        try:
            list(pool.map(lambda *part: _regress(kept, diagonal, found, over, *part), parts, tells))
        finally:
            over.set()  # after Ctrl-C nobody waits until all are solved
    return found


class _Wait:
    """Says every :data:`TELL_AFTER` seconds how far a regression is.

    Args:
        steps: of the thread that tells.
        items: of all threads, which have as many each, or one less.
    """

    def __init__(self, steps: int, items: int) -> None:
        self._steps, self._items = steps, items
        self._began = self._told = perf_counter()

    def tell(self, done: int) -> None:
        """``done`` of the steps are done."""
        now = perf_counter()
        if now - self._told < TELL_AFTER:
            return
        self._told = now
        left = (now - self._began) * (self._steps - done) / done
        number = self._items * done // self._steps
        text = f"prior ease: {number} of {self._items} items, about {left:.0f} s left"
        getLogger().info(text, extra={"waiting": True})  # on the screen too, where one is shown


def _regress(
    kept: Nearest,
    diagonal: np.ndarray,
    found: Neighbours,
    over: Event,
    items: np.ndarray,
    tell: Callable[[int], None] | None,
) -> None:
    """Solve the systems of some items, into their rows of the weights, until it is over."""
    ids, weights = (part.numpy() for part in found)
    column_of = np.full(len(ids), -1, np.int32)  # of each item in the system at hand; -1 is none
    lists = kept.starts, kept.ids, kept.counts
    for done, item in enumerate(items, 1):
        if over.is_set():
            return
        neighbours = ids[item][ids[item] > 0]
        size = len(neighbours)
        system = gather(lists, diagonal, neighbours, column_of)
        target = slice(kept.starts[item], kept.starts[item] + size)  # the list begins with them
        weights[item, :size] = np.linalg.solve(system, kept.counts[target])
        if tell is not None:
            tell(done)
