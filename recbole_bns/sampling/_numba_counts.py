"""The compiled loops that score whole rows and count in them; see :mod:`._numba`."""

# numba compiles these functions: they take arrays and are written as plain loops.
# mypy: disable-error-code="no-untyped-def, misc"

import numba
import numpy as np

TALL = 16
"""Users whose rows of scores a thread holds."""
WIDE = 2048
"""Items scored in one go."""


@numba.njit(inline="always")
def eight(x, k):
    """Eight numbers from ``k`` on, to be held in registers."""
    return x[k], x[k + 1], x[k + 2], x[k + 3], x[k + 4], x[k + 5], x[k + 6], x[k + 7]


@numba.njit(inline="always")
def dot(a, b):
    """Dot product of two eights."""
    left = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]
    return left + a[4] * b[4] + a[5] * b[5] + a[6] * b[6] + a[7] * b[7]


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def score_four(a, b, c, d, by_factor, left, right, out):
    """Scores of four users (D,) for items ``left`` to ``right`` of (D, I), into those of (4, I).

    As fast as a library's matrix product: eight dimensions in one go keep the sums in registers,
    an item's numbers serve all four users, and the scores stay in the cache.
    """
    size, width = len(a), right - left
    p, q = out[0, left:right], out[1, left:right]
    r, s = out[2, left:right], out[3, left:right]
    for i in range(width):
        p[i], q[i], r[i], s[i] = 0, 0, 0, 0
    for k in range(0, size - 7, 8):
        a8, b8, c8, d8 = eight(a, k), eight(b, k), eight(c, k), eight(d, k)
        t, u = by_factor[k, left:right], by_factor[k + 1, left:right]
        v, w = by_factor[k + 2, left:right], by_factor[k + 3, left:right]
        x, y = by_factor[k + 4, left:right], by_factor[k + 5, left:right]
        z, o = by_factor[k + 6, left:right], by_factor[k + 7, left:right]
        for i in range(width):
            item = (t[i], u[i], v[i], w[i], x[i], y[i], z[i], o[i])
            p[i] += dot(a8, item)
            q[i] += dot(b8, item)
            r[i] += dot(c8, item)
            s[i] += dot(d8, item)
    for k in range(size - size % 8, size):
        row = by_factor[k, left:right]
        for i in range(width):
            p[i] += a[k] * row[i]
            q[i] += b[k] * row[i]
            r[i] += c[k] * row[i]
            s[i] += d[k] * row[i]


@numba.njit(inline="always")
def count_row(row, skipped, batch, items, values, counts, kept):
    """Scores of the items of some rows of the batch, and how many of ``row`` are ``<=`` them.

    Columns ``skipped`` are not counted; what they hold is put back when done.
    """
    for m in batch:
        for k in range(items.shape[1]):
            values[m, k] = row[items[m, k]]
    for p in range(len(skipped)):
        kept[p] = row[skipped[p]]
        row[skipped[p]] = np.inf
    for m in batch:
        for k in range(items.shape[1]):
            value, total = values[m, k], np.int32(0)
            for i in range(1, len(row)):
                total += np.int32(row[i] <= value)
            if value == np.inf:  # which the skipped columns hold too
                total -= np.int32(len(skipped))
            counts[m, k] = total
    for p in range(len(skipped)):
        row[skipped[p]] = kept[p]


@numba.njit(cache=True, nogil=True)
def count(indptr, columns, order, items, values, counts, rows, users, starts, ends):
    """See :func:`.count_kernels.count`."""
    kept = np.empty(rows.shape[1], np.float32)
    for s in range(len(users)):
        skipped = columns[indptr[users[s]] : indptr[users[s] + 1]]
        batch = order[starts[s] : ends[s]]
        count_row(rows[s], skipped, batch, items, values, counts, kept)


@numba.njit(cache=True, nogil=True)
def score_and_count(
    vectors, by_factor, indptr, columns, order, items, values, counts, users, starts, ends
):
    """See :func:`.count_kernels.score_and_count`."""
    width, last = by_factor.shape[1], len(users) - 1
    rows, kept = np.empty((TALL, width), np.float32), np.empty(width, np.float32)
    for top in range(0, len(users), TALL):
        tall = min(TALL, len(users) - top)
        for left in range(0, width, WIDE):
            right = min(left + WIDE, width)
            for s in range(0, tall, 4):
                a, b = vectors[users[top + s]], vectors[users[min(top + s + 1, last)]]
                c = vectors[users[min(top + s + 2, last)]]
                d = vectors[users[min(top + s + 3, last)]]
                score_four(a, b, c, d, by_factor, left, right, rows[s : s + 4])
        for s in range(top, top + tall):
            skipped = columns[indptr[users[s]] : indptr[users[s] + 1]]
            batch = order[starts[s] : ends[s]]
            count_row(rows[s - top], skipped, batch, items, values, counts, kept)


@numba.njit(cache=True, nogil=True)
def count_reference(
    indptr, positives, reference, slots, order, values, below, total, rows, users, starts, ends
):
    """See :func:`.count_kernels.count_reference`; ``slots``: 1 + the first place of an item."""
    width, size = values.shape[1], len(reference)
    row = np.empty(size, np.float32)
    for s in range(len(users)):
        row[:] = rows[s]
        free = size
        for p in range(indptr[users[s]], indptr[users[s] + 1]):
            item = positives[p]
            place = np.int64(slots[item]) - 1
            if place >= 0:
                while place < size and reference[place] == item:
                    row[place] = np.inf
                    free -= 1
                    place += 1
        for m in range(starts[s], ends[s]):
            total[order[m], 0] = free
            for k in range(width):
                found, value = np.int32(0), values[order[m], k]
                for r in range(size):
                    found += np.int32(row[r] <= value)
                if value == np.inf:  # which the positives' places hold too
                    found -= np.int32(size - free)
                below[order[m], k] = found
