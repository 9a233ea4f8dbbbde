"""The compiled loops of :mod:`.kernels`; only that module imports this one."""

# numba compiles these functions: they take arrays and are written as plain loops.
# mypy: disable-error-code="no-untyped-def, misc"

import numba
import numpy as np

from .streams import FIRST, GAMMA, RESOLUTION, SECOND

ALL_BITS = (1 << 64) - 1
STEP, ONE, TWO = (np.uint64(x & ALL_BITS) for x in (GAMMA, FIRST, SECOND))
TILE = 64
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
def is_positive(bitmap, indptr, positives, user, item):
    """Whether the pair is a training interaction; ``bitmap`` may be empty."""
    if bitmap.shape[0]:
        return bitmap[user, item]
    low, high = indptr[user], indptr[user + 1]
    while low < high:
        middle = (low + high) // 2
        if positives[middle] < item:
            low = middle + 1
        else:
            high = middle
    return low < indptr[user + 1] and positives[low] == item


@numba.njit(inline="always")
def ranks_of(key, index, bound, distinct, mass):
    """A row of random ranks below ``bound``: those of :func:`.proposals.distinct_ranks`, or any."""
    width = len(mass)
    for k in range(width):
        left = max(bound - k, 0) if distinct else bound
        mass[k] = min(np.int64(uniform(key, index * width + k) * left), max(left - 1, 0))
    if distinct:
        for i in range(width - 2, -1, -1):
            for k in range(i + 1, width):
                mass[k] += np.int64(mass[k] >= mass[i])


@numba.njit(cache=True, nogil=True)
def draw(indptr, positives, negative_num, key, distinct, users, index, out):
    """See :func:`.kernels.draw`: the searches of a row go down a level at a time together."""
    width = out.shape[1]
    before = np.empty(width, np.int64)
    for b in range(len(users)):
        user, row = users[b], out[b]
        first, size, bound = indptr[user], indptr[user + 1] - indptr[user], negative_num[user]
        ranks_of(key, index[b], bound, distinct, row)
        before[:] = 0
        while size > 0:
            half = (size + 1) >> 1
            for k in range(width):
                place = before[k] + half - 1
                before[k] += half * np.int64(positives[first + place] - 1 - place <= row[k])
            size -= half
        usable = min(width, bound) if distinct else (width if bound > 0 else 0)
        for k in range(width):
            row[k] = row[k] + 1 + before[k] if k < usable else 0


@numba.njit(cache=True, nogil=True)
def draw_one(indptr, positives, negative_num, key, users, index, out):
    """:func:`draw` of one item a user: the searches of :data:`TILE` users go down together.

    Their memory accesses overlap; after a training step nothing is in the cache.
    """
    first, size = np.empty(TILE, np.int64), np.empty(TILE, np.int64)
    before = np.empty(TILE, np.int64)
    for top in range(0, len(users), TILE):
        rows, longest = min(TILE, len(users) - top), 0
        for r in range(rows):
            user = users[top + r]
            first[r], size[r], before[r] = indptr[user], indptr[user + 1] - indptr[user], 0
            longest = max(longest, size[r])
            ranks_of(key, index[top + r], negative_num[user], False, out[top + r])
        while longest > 0:
            for r in range(rows):
                half = (size[r] + 1) >> 1
                place = before[r] + half - 1
                if half > 0 and positives[first[r] + place] - 1 - place <= out[top + r, 0]:
                    before[r] += half
                size[r] -= half
            longest >>= 1
        for r in range(rows):
            some = np.int64(negative_num[users[top + r]] > 0)
            out[top + r, 0] = some * (out[top + r, 0] + 1 + before[r])


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
    size = user_vectors.shape[1]
    for b in range(batch):
        user = user_vectors[users[b]]
        for k in range(width):
            item = item_vectors[items[b, k]]
            total = np.float32(0)
            for d in range(size):
                total += user[d] * item[d]
            out[b, k] = total


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
