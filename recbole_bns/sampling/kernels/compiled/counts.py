"""The compiled loops that score whole rows and count in them; see :mod:`._numba`."""

import numba
import numpy as np

from .basics import dot

WIDE = 512
"""Items of a panel."""


@numba.njit(inline="always")
def eight(x, k):
    """Eight numbers from ``k`` on, to be held in registers."""
    return x[k], x[k + 1], x[k + 2], x[k + 3], x[k + 4], x[k + 5], x[k + 6], x[k + 7]


@numba.njit(inline="always")
def dot_eight(a, b):
    """Dot product of two eights."""
    left = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]
    return left + a[4] * b[4] + a[5] * b[5] + a[6] * b[6] + a[7] * b[7]


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def score_four(vectors, users, top, by_factor, left, right, out):
    """Scores of four users from ``top`` on for items ``left`` to ``right`` of (D, I), into (4, n).

    As fast as a library's matrix product: eight dimensions in one go keep the sums in registers,
    an item's numbers serve all four users, and the scores stay in the cache.
    """
    last = len(users) - 1  # who stands in where there are fewer than four
    a, b = vectors[users[top]], vectors[users[min(top + 1, last)]]
    c, d = vectors[users[min(top + 2, last)]], vectors[users[min(top + 3, last)]]
    size, width = len(a), right - left
    p, q, r, s = out[0, :width], out[1, :width], out[2, :width], out[3, :width]
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
            p[i] += dot_eight(a8, item)
            q[i] += dot_eight(b8, item)
            r[i] += dot_eight(c8, item)
            s[i] += dot_eight(d8, item)
    for k in range(size - size % 8, size):
        row = by_factor[k, left:right]
        for i in range(width):
            p[i] += a[k] * row[i]
            q[i] += b[k] * row[i]
            r[i] += c[k] * row[i]
            s[i] += d[k] * row[i]


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def score_items(user, item_vectors, items, out):
    """Scores of one user (D,) for some items."""
    for k in range(len(items)):
        out[k] = dot(user, item_vectors[items[k]])


@numba.njit(cache=True, nogil=True, fastmath={"reassoc"})
def not_above(row, value):
    """How many numbers of ``row`` are ``<= value``: float32, exact for up to 2 ** 24 of them.

    A sum of floats takes two instructions for eight numbers where one of integers takes three.
    """
    found = np.float32(0)
    for i in range(len(row)):
        found += np.float32(1) if row[i] <= value else np.float32(0)
    return np.int64(found)


@numba.njit(inline="always")
def count_among(row, masked, batch, values, counts):
    """How many of ``row``, ``masked`` of which hold infinity, are ``<=`` the values of a batch."""
    for m in batch:
        for k in range(values.shape[1]):
            counts[m, k] = not_above(row, values[m, k])
            if values[m, k] == np.inf:
                counts[m, k] -= masked


@numba.njit(cache=True, nogil=True)
def count(indptr, columns, order, items, values, counts, rows, users, starts, ends):
    """See :func:`.count_kernels.count`; what the columns not counted hold is put back when done."""
    kept = np.empty(rows.shape[1], np.float32)
    for s in range(len(users)):
        row, batch = rows[s], order[starts[s] : ends[s]]
        skipped = columns[indptr[users[s]] : indptr[users[s] + 1]]
        for m in batch:
            for k in range(items.shape[1]):
                values[m, k] = row[items[m, k]]
        for p in range(len(skipped)):
            kept[p] = row[skipped[p]]
            row[skipped[p]] = np.inf
        count_among(row[1:], len(skipped), batch, values, counts)
        for p in range(len(skipped)):
            row[skipped[p]] = kept[p]


@numba.njit(inline="always")
def count_panel(row, left, batch, items, values, counts):
    """Add how many scores of a panel, whose first item is ``left``, are ``<=`` each value.

    An item counts itself whatever the rounding of its two scores.
    """
    for m in batch:
        for k in range(items.shape[1]):
            counts[m, k] += not_above(row, values[m, k])
            place = items[m, k] - left
            if 0 <= place < len(row) and row[place] < np.inf:
                counts[m, k] += 1 - np.int64(row[place] <= values[m, k])


@numba.njit(cache=True, nogil=True)
def score_and_count(
    vectors,
    item_vectors,
    by_factor,
    indptr,
    columns,
    order,
    items,
    values,
    counts,
    users,
    starts,
    ends,
):
    """See :func:`.count_kernels.score_and_count`: a panel of items for all users, then the next.

    The panel's vectors stay in the second cache, four users' scores of it in the first.
    """
    width = by_factor.shape[1]
    rows = np.empty((4, WIDE), np.float32)
    pointer = np.empty(len(users), np.int64)
    for s in range(len(users)):
        pointer[s] = indptr[users[s]]
        for m in order[starts[s] : ends[s]]:
            score_items(vectors[users[s]], item_vectors, items[m], values[m])
            counts[m, :] = 0
    for left in range(0, width, WIDE):
        right = min(left + WIDE, width)
        for top in range(0, len(users), 4):
            score_four(vectors, users, top, by_factor, left, right, rows)
            for s in range(top, min(top + 4, len(users))):
                row, end = rows[s - top, : right - left], indptr[users[s] + 1]
                if left == 0:
                    row[0] = np.inf
                while pointer[s] < end and columns[pointer[s]] < right:
                    row[columns[pointer[s]] - left] = np.inf
                    pointer[s] += 1
                count_panel(row, left, order[starts[s] : ends[s]], items, values, counts)
    for s in range(len(users)):
        skipped = 1 + indptr[users[s] + 1] - indptr[users[s]]
        for m in order[starts[s] : ends[s]]:
            for k in range(items.shape[1]):
                if values[m, k] == np.inf:  # which the places of those not counted hold too
                    counts[m, k] -= skipped


@numba.njit(inline="always")
def without(row, size, own, slots, repeats, repeated):
    """Put infinity in the places of a user's positives ``own``; gives how many those are.

    A place beyond the ``size`` references takes the positives that are none: no branch is cheaper
    than one that few take. Of a repeated reference the first place is known.
    """
    taken = np.int32(0)
    for p in range(len(own)):
        place = np.uint64(min(np.uint32(slots[np.uint64(own[p])] - np.int32(1)), np.uint32(size)))
        row[place] = np.inf
        taken += repeats[place]
    for r in repeated:
        if row[r - 1] == np.inf:
            row[r] = np.inf
    return taken


@numba.njit(cache=True, nogil=True)
def score_reference(
    vectors,
    item_vectors,
    by_factor,
    indptr,
    positives,
    slots,
    repeats,
    repeated,
    order,
    items,
    values,
    below,
    total,
    users,
    starts,
    ends,
):
    """See :func:`.count_kernels.score_reference`."""
    size = by_factor.shape[1]
    rows = np.empty((4, size + 16 - size % 16), np.float32)
    for top in range(0, len(users), 4):
        score_four(vectors, users, top, by_factor, 0, size, rows)
        for s in range(top, min(top + 4, len(users))):
            own = positives[indptr[users[s]] : indptr[users[s] + 1]]
            batch = order[starts[s] : ends[s]]
            taken = without(rows[s - top], size, own, slots, repeats, repeated)
            for m in batch:
                score_items(vectors[users[s]], item_vectors, items[m], values[m])
                total[m, 0] = size - taken
            count_among(rows[s - top, :size], taken, batch, values, below)
