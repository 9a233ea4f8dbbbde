"""The compiled loop of a softmax over rows of scores; see :mod:`..softmax`."""

import numba
import numpy as np

LOG2E = np.float32(1.44269504)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
P0, P1, P2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
P3, P4, P5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
ONE, HALF, LEAST = np.float32(1), np.float32(0.5), np.float32(-87)
BIAS, MANTISSA = np.int32(127), np.int32(23)


@numba.njit(inline="always")
def exp_of_negative(x):
    """``exp(x)`` of a float32 of at most 0, to one unit in the last place or two; 0 below -87.

    Cephes' ``expf``: a power of two and a polynomial of the rest. It has no branch and no call, so
    that a loop over it becomes vector instructions, which one over ``math.exp`` does not.
    """
    held = max(x, LEAST)
    whole = np.floor(held * LOG2E + HALF)
    rest = held - whole * LN2_HIGH - whole * LN2_LOW
    series = ((((P0 * rest + P1) * rest + P2) * rest + P3) * rest + P4) * rest + P5
    power = np.int32((np.int32(whole) + BIAS) << MANTISSA).view(np.float32)
    value = (series * rest * rest + rest + ONE) * power
    return value if x >= LEAST else np.float32(0)


@numba.njit(inline="always")
def leave_out(taken, byte, bit, row):
    """``-inf`` for the items of a list whose bits are set, without a branch."""
    for j in range(len(row)):
        row[j] = np.float32(-np.inf) if taken[byte[j]] & bit[j] else row[j]


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def softmax(
    with_positive, weight, share, bitmap, byte, bit, users, scores, positive, values, to_positive
):
    """See :func:`..softmax.softmax`."""
    width = scores.shape[1]
    for b in range(len(scores)):
        row = scores[b]
        if len(byte):
            leave_out(bitmap[users[b]], byte, bit, row)
        highest = np.float32(-np.inf)
        for j in range(width):
            highest = max(highest, row[j])
        if highest == np.float32(-np.inf):
            values[b] = to_positive[b] = np.float32(0)
            for j in range(width):
                row[j] = np.float32(0)
            continue
        if with_positive:
            highest = max(highest, positive[b])
        total = np.float32(0)
        for j in range(width):
            row[j] = exp_of_negative(row[j] - highest)
            total += row[j]
        own = np.float32(0)
        if with_positive:
            own = np.float32(np.exp(positive[b] - highest))
            total += own
        factor = np.float32(weight * share) / total
        for j in range(width):
            row[j] *= factor
        values[b] = np.float32(weight) * (np.float32(np.log(total)) + highest) - positive[b]
        to_positive[b] = np.float32(weight) * own / total - ONE
