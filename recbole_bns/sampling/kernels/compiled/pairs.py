"""The compiled loops over pairs and their priors; see :mod:`.basics`."""

import numba
import numpy as np

from .basics import STEP, dot


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def pairs(user_vectors, item_vectors, users, items, out):
    """See :func:`.kernels.pairs.pairs`."""
    batch, width = items.shape
    for b in range(batch):
        user = user_vectors[users[b]]
        for k in range(width):
            out[b, k] = dot(user, item_vectors[items[b, k]])


@numba.njit(cache=True, nogil=True)
def group(users, different, order, starts):
    """See :func:`.kernels.pairs.group`; gives how many different users there are."""
    batch = len(users)
    bits = 1
    while (1 << bits) < 2 * batch:
        bits += 1
    mask = (1 << bits) - 1
    slots = np.full(1 << bits, -1, np.int64)
    place = np.empty(batch, np.int64)
    found = 0
    for b in range(batch):
        slot = np.int64((np.uint64(users[b]) * STEP) >> np.uint64(64 - bits))
        while slots[slot] >= 0 and different[slots[slot]] != users[b]:
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            slots[slot] = found
            different[found] = users[b]
            starts[found + 1] = 0
            found += 1
        place[b] = slots[slot]
        starts[place[b] + 1] += 1
    starts[0] = 0
    for s in range(found):
        starts[s + 1] += starts[s]
    filled = starts[:found].copy()
    for b in range(batch):
        order[filled[place[b]]] = b
        filled[place[b]] += 1
    return found


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def choose_nearest(user_vectors, item_vectors, users, targets, candidates, out):
    """See :func:`.kernels.pairs.choose_nearest`."""
    width = candidates.shape[1]
    scores = np.empty(width, np.float32)
    for b in range(len(users)):
        user, best = user_vectors[users[b]], np.float32(-np.inf)
        for k in range(width):
            score = dot(user, item_vectors[candidates[b, k]])
            usable = candidates[b, k] > 0 and abs(score) < np.float32(np.inf)
            scores[k] = score if usable else np.float32(-np.inf)
            best = max(best, scores[k])
        target = targets[b] if targets[b] < best else best
        chosen, least = 0, np.float32(np.inf)
        for k in range(width):
            distance = abs(scores[k] - target)
            if distance < least:
                chosen, least = k, distance
        out[b] = candidates[b, chosen]


@numba.njit(cache=True, nogil=True)
def neighbour_values(bitmap, indptr, positives, ids, weights, users, items, out):
    """See :func:`.kernels.pairs.neighbour_values`."""
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
    """See :func:`.kernels.pairs.choose_gain`."""
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
