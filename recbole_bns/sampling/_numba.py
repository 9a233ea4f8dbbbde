"""The compiled loops of :mod:`.kernels`; only that module imports this one."""

# numba compiles these functions: they take arrays and are written as plain loops.
# mypy: disable-error-code="no-untyped-def, misc"

import numba
import numpy as np

from .streams import FIRST, GAMMA, RESOLUTION, SECOND, TRIES

ALL_BITS = (1 << 64) - 1
STEP, ONE, TWO = (np.uint64(x & ALL_BITS) for x in (GAMMA, FIRST, SECOND))
S30, S27, S31, S11 = (np.uint64(bits) for bits in (30, 27, 31, 11))


@numba.njit(inline="always")
def uniform(key, position):
    """See :func:`.streams.uniforms`."""
    z = np.uint64(key) + np.uint64(position + 1) * STEP
    z = (z ^ (z >> S30)) * ONE
    z = (z ^ (z >> S27)) * TWO
    z = z ^ (z >> S31)
    return np.float64(z >> S11) * RESOLUTION


@numba.njit(inline="always")
def dot(a, b):
    """Dot product of two float32 vectors (D,), summed as the caller's ``fastmath`` allows."""
    total = np.float32(0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return total


@numba.njit(inline="always")
def is_positive(bitmap, indptr, positives, user, item):
    """Whether the pair is a training interaction; ``bitmap`` may be empty."""
    if bitmap.shape[0]:
        return (bitmap[user, item >> 3] >> np.uint8(item & 7)) & np.uint8(1) > 0
    low, high = indptr[user], indptr[user + 1]
    while low < high:
        middle = (low + high) // 2
        if positives[middle] < item:
            low = middle + 1
        else:
            high = middle
    return low < indptr[user + 1] and positives[low] == item


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
                item = mass + 1 + low if bound > 0 else 0
            out[b, k] = item


@numba.njit(inline="always")
def distinct_row(own, item_num, key, index, row, before):
    """Different negatives of a user with positives ``own``, by :func:`.proposals.distinct_ranks`.

    The searches of the row go down together, level by level.
    """
    width, size = len(row), len(own)
    bound = item_num - 1 - size
    for k in range(width):
        left = max(bound - k, 0)
        row[k] = min(np.int64(uniform(key, index * width + k) * left), max(left - 1, 0))
        before[k] = 0
    for i in range(width - 2, -1, -1):
        for k in range(i + 1, width):
            row[k] += np.int64(row[k] >= row[i])
    while size > 0:
        half = (size + 1) >> 1
        for k in range(width):
            place = before[k] + half - 1
            before[k] += half * np.int64(own[place] - 1 - place <= row[k])
        size -= half
    for k in range(width):
        row[k] = row[k] + 1 + before[k] if k < bound else 0


@numba.njit(cache=True, nogil=True)
def draw_distinct(indptr, positives, item_num, key, users, index, out):
    """See :func:`.kernels.draw`."""
    before = np.empty(out.shape[1], np.int64)
    for b in range(len(users)):
        own = positives[indptr[users[b]] : indptr[users[b] + 1]]
        distinct_row(own, item_num, key, index[b], out[b], before)


@numba.njit(cache=True, nogil=True)
def positives_before(indptr, free_before, keys, users, out):
    """See :func:`.kernels.positives_before`."""
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


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def pairs(user_vectors, item_vectors, users, items, out):
    """See :func:`.kernels.pairs`."""
    batch, width = items.shape
    for b in range(batch):
        user = user_vectors[users[b]]
        for k in range(width):
            out[b, k] = dot(user, item_vectors[items[b, k]])


@numba.njit(cache=True, nogil=True)
def group(users, different, order, starts):
    """See :func:`.kernels.group`; gives how many different users there are."""
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
    """See :func:`.kernels.choose_nearest`."""
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
