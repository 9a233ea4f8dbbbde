"""What the compiled loops share; only :mod:`recbole_bns.sampling.kernels` imports this package."""

import numba
import numpy as np

from ...streams import FIRST, GAMMA, RESOLUTION, SECOND

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
