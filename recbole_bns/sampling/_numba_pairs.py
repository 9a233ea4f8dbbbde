"""The compiled loops over pairs and their priors; see :mod:`._numba`."""

# numba compiles these functions: they take arrays and are written as plain loops.
# mypy: disable-error-code="no-untyped-def, misc"

import numba
import numpy as np

from ._numba import dot


@numba.njit(cache=True, nogil=True)
def neighbour_values(bitmap, indptr, positives, ids, weights, users, items, out):
    """See :func:`.pair_kernels.neighbour_values`."""
    tabled = len(bitmap) > 0
    for b in range(len(users)):
        user = users[b]
        own = positives[indptr[user] : indptr[user + 1]]
        for m in range(items.shape[1]):
            item = items[b, m]
            total = np.float32(0)
            for k in range(ids.shape[1]):
                other = ids[item, k]
                if tabled:
                    has = (bitmap[user, other >> 3] >> (other & 7)) & 1 > 0
                else:
                    place = np.searchsorted(own, other)
                    has = place < len(own) and own[place] == other
                if has:
                    total += weights[item, k]
            out[b, m] = total


LOG_2 = np.float32(np.log(2))


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def choose_gain(user_vectors, item_vectors, codes, logs, users, positives, candidates, out):
    """See :func:`.pair_kernels.choose_gain`."""
    zero, half, one = np.float32(0), np.float32(0.5), np.float32(1)
    width = candidates.shape[1]
    values = np.empty(width, np.float32)
    for b in range(len(users)):
        user, own = user_vectors[users[b]], codes[users[b]]
        for k in range(width):  # by itself, so that the memory is asked for all of them at once
            values[k] = logs[own[candidates[b, k]]]
        positive = dot(user, item_vectors[positives[b]])
        chosen, most = 0, np.float32(-np.inf)
        for k in range(width):
            item = candidates[b, k]
            score = dot(user, item_vectors[item])
            if item == 0 or not abs(score) < np.float32(np.inf):
                continue
            gap = score - positive
            far, value = abs(gap), values[k] + min(gap, zero)
            # log(1 + exp(-far)) is dear, and nowhere below its tangent at 0.
            if value - max(zero, LOG_2 - half * far) > most:
                value -= np.log(one + np.exp(-far))
                if value > most:
                    chosen, most = k, value
        out[b] = candidates[b, chosen]
