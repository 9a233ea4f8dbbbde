"""The compiled loops that draw negatives; see :mod:`.basics`."""

import numba
import numpy as np

from ...streams import TRIES
from .basics import distinct_row, is_positive, uniform


@numba.njit(cache=True, nogil=True)
def draw(bitmap, indptr, positives, item_num, key, users, index, out):
    """See :func:`.proposals.tried_items`."""
    width = out.shape[1]
    for b in range(len(users)):
        user = users[b]
        own = positives[indptr[user] : indptr[user + 1]]
        bound = item_num - 1 - len(own)
        for k in range(width):
            position = (index[b] * width + k) * (TRIES + 1)
            item, t = np.int64(0), 0
            while t < TRIES:
                item = 1 + np.int64(uniform(key, position + t) * (item_num - 1))
                if not is_positive(bitmap, indptr, positives, user, item):
                    break
                t += 1
            if t == TRIES:
                mass = min(np.int64(uniform(key, position + TRIES) * bound), bound - 1)
                low, high = 0, len(own)
                while low < high:
                    middle = (low + high) // 2
                    if own[middle] - 1 - middle <= mass:
                        low = middle + 1
                    else:
                        high = middle
                item = np.int64(mass + 1 + low if bound > 0 else 0)
            out[b, k] = item


@numba.njit(cache=True, nogil=True)
def draw_distinct(indptr, positives, item_num, key, users, index, out):
    """See :func:`.kernels.draws.draw`."""
    before = np.empty(out.shape[1], np.int64)
    for b in range(len(users)):
        own = positives[indptr[users[b]] : indptr[users[b] + 1]]
        distinct_row(own, item_num, key, index[b], out[b], before)


@numba.njit(cache=True, nogil=True)
def first_distinct(items, stream, allowed, out):
    """See :func:`.kernels.draws.first_distinct`."""
    last = np.full(items, -1, np.int32)  # the row that had an item last
    for b in range(len(stream)):
        found = 0
        for t in range(stream.shape[1]):
            if found == out.shape[1]:
                break
            item = stream[b, t]
            if allowed[b, t] and last[item] != b:
                last[item] = b
                out[b, found] = item
                found += 1


@numba.njit(cache=True, nogil=True)
def positives_before(indptr, free_before, keys, users, out):
    """See :func:`.kernels.draws.positives_before`."""
    batch, width = keys.shape
    for b in range(batch):
        first, last = indptr[users[b]], indptr[users[b] + 1]
        for k in range(width):
            key = keys[b, k]
            low, high = first, last
            while low < high:
                middle = (low + high) // 2
                if free_before[middle] <= key:
                    low = middle + 1
                else:
                    high = middle
            out[b, k] = low - first
