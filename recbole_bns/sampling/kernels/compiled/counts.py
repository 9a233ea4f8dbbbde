"""The compiled loops that score whole rows and count in them; see :mod:`.basics`."""

import numba
import numpy as np

from .basics import dot

WIDE = 512
"""Items of a panel: four users' scores of it are 8 KiB, its factors at D = 64 are 128."""
NARROW = 128
"""Items of each of the first panels after which a choice may be certain; a part of :data:`WIDE`.

All panels begin at a multiple of it, so that a score's bits are the same in panels of any width."""
RISK, POSTERIOR, GAIN = 0, 1, 2
"""The criteria of :func:`..methods.bns`."""
ROUNDED = 1e-5
"""More than what float32 arithmetic on the same numbers may be off by, of the terms' size."""
F_ROUNDED = 1e-7
"""The same of F, which is near 1 where it matters, so that 1 - F may lose most of its bits."""
LEAST = 1e-35
"""Below it float32 loses bits: nothing smaller is told apart here."""


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

    As fast as a library's matrix product, for three reasons. Eight dimensions are added in one go,
    so that a score is read and written once for eight products. Each of an item's eight numbers
    serves all four users while it is in a register. And the four rows of scores are short enough
    to stay in the first cache between two goes. Each user, row of scores and row of factors has a
    name of its own, since an array of them would be looked up in memory again in the inner loop.
    """
    last = len(users) - 1  # who stands in where there are fewer than four
    user0, user1 = vectors[users[top]], vectors[users[min(top + 1, last)]]
    user2, user3 = vectors[users[min(top + 2, last)]], vectors[users[min(top + 3, last)]]
    size, width = len(user0), right - left
    scores0, scores1 = out[0, :width], out[1, :width]
    scores2, scores3 = out[2, :width], out[3, :width]
    for i in range(width):
        scores0[i], scores1[i], scores2[i], scores3[i] = 0, 0, 0, 0
    for k in range(0, size - 7, 8):
        eight0, eight1 = eight(user0, k), eight(user1, k)
        eight2, eight3 = eight(user2, k), eight(user3, k)
        factor0, factor1 = by_factor[k, left:right], by_factor[k + 1, left:right]
        factor2, factor3 = by_factor[k + 2, left:right], by_factor[k + 3, left:right]
        factor4, factor5 = by_factor[k + 4, left:right], by_factor[k + 5, left:right]
        factor6, factor7 = by_factor[k + 6, left:right], by_factor[k + 7, left:right]
        for i in range(width):
            item = (
                factor0[i],
                factor1[i],
                factor2[i],
                factor3[i],
                factor4[i],
                factor5[i],
                factor6[i],
                factor7[i],
            )
            scores0[i] += dot_eight(eight0, item)
            scores1[i] += dot_eight(eight1, item)
            scores2[i] += dot_eight(eight2, item)
            scores3[i] += dot_eight(eight3, item)
    for k in range(size - size % 8, size):  # what is left of the dimensions, one at a time
        factor = by_factor[k, left:right]
        for i in range(width):
            scores0[i] += user0[k] * factor[i]
            scores1[i] += user1[k] * factor[i]
            scores2[i] += user2[k] * factor[i]
            scores3[i] += user3[k] * factor[i]


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
    """See :func:`.kernels.counts.count`; what the columns not counted hold is put back at last."""
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


@numba.njit(inline="always")
def leave_skipped(skipped, batch, values, counts):
    """Take those not counted out of the counts of infinity, which their places hold too."""
    for m in batch:
        for k in range(values.shape[1]):
            if values[m, k] == np.inf:
                counts[m, k] -= skipped


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
    """See :func:`.kernels.counts.score_and_count`: a panel of items for all users, then the next.

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
        leave_skipped(skipped, order[starts[s] : ends[s]], values, counts)


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


@numba.njit(inline="always")
def leave_itself(row, slots, repeats, batch, items, values, below, total):
    """Take each item's own scores out of the counts; a positive has none among them."""
    for m in batch:
        for k in range(items.shape[1]):
            place = slots[items[m, k]] - 1
            if place >= 0 and row[place] < np.inf:
                total[m, k] -= repeats[place]
                if row[place] <= values[m, k]:
                    below[m, k] -= repeats[place]


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
    """See :func:`.kernels.counts.score_reference`."""
    size = by_factor.shape[1]
    rows = np.empty((4, size + 16 - size % 16), np.float32)
    for top in range(0, len(users), 4):
        score_four(vectors, users, top, by_factor, 0, size, rows)
        for s in range(top, min(top + 4, len(users))):
            row, batch = rows[s - top], order[starts[s] : ends[s]]
            own = positives[indptr[users[s]] : indptr[users[s] + 1]]
            taken = without(row, size, own, slots, repeats, repeated)
            for m in batch:
                score_items(vectors[users[s]], item_vectors, items[m], values[m])
                total[m, :] = size - taken
            count_among(row[:size], taken, batch, values, below)
            leave_itself(row, slots, repeats, batch, items, values, below, total)


@numba.njit(inline="always")
def unbias_of(cdf, prior):
    """``(1-F)(1-P) / ((1-F)(1-P) + F P)`` in float64, of F in [0, 1]; a NaN for 0/0."""
    true = (1 - cdf) * (1 - prior)
    total = true + cdf * prior
    return true / total if total > 0 else np.nan


@numba.njit(inline="always")
def unbias_between(low, high, prior):
    """Bounds on the posterior, which falls as F rises, of F between ``low`` and ``high``.

    Where it could be 0/0, for which the rule has 1/2, the bounds hold that too.
    """
    low, high = max(low - F_ROUNDED, 0.0), min(high + F_ROUNDED, 1.0)
    least, most = unbias_of(high, prior), unbias_of(low, prior)
    if prior <= 0:
        least, most = (0.5 if high >= 1 else 1.0), 1.0
    elif prior >= 1:
        least, most = 0.0, (0.5 if low <= 0 else 0.0)
    return least, most


@numba.njit(inline="always")
def worth(criterion, weight, margin, least, most):
    """Bounds on what the criterion makes greatest, of a candidate whose score is ``margin`` higher.

    They hold for the rule's own float32 arithmetic: :data:`ROUNDED` of the terms is added.
    """
    if criterion == POSTERIOR:
        return least * (1 - ROUNDED) - LEAST, most * (1 + ROUNDED) + LEAST
    info = 1 / (1 + np.exp(-margin))
    if criterion == RISK:
        slack = info * (2 + weight) * ROUNDED + LEAST
        low, high = info * ((1 + weight) * least - 1), info * ((1 + weight) * most - 1)
        return low - slack, high + slack
    log_info = -np.log1p(np.exp(-margin)) if margin > -30 else margin
    if weight == 0:
        slack = (1 - log_info) * ROUNDED
        return log_info - slack, log_info + slack
    log_least = np.log(least) if least > LEAST else -np.inf
    log_most = np.log(most + LEAST)
    low, high = log_info + weight * log_least, log_info + weight * log_most
    of_low = (1 - log_info + weight * (1 - log_least)) * ROUNDED
    of_high = (1 - log_info + weight * (1 - log_most)) * ROUNDED
    return low - of_low, high + of_high


@numba.njit(cache=True, nogil=True)
def certain(criterion, weight, positive, priors, values, counts, left, total):
    """Which of some candidates is chosen whatever ``left`` more scores are; -1: that depends.

    Args:
        criterion: :data:`RISK`, :data:`POSTERIOR` or :data:`GAIN`.
        weight: lambda of the risk, gamma of the gain.
        positive: float32 score of the positive.
        priors: ``(m,)`` float32.
        values: ``(m,)`` float32 scores.
        counts: ``(m,)`` how many of the scores seen are not above each.
        left: scores not seen.
        total: by which F divides.
    """
    best, second, chosen, best_high = -np.inf, -np.inf, -1, -np.inf
    for k in range(len(values)):
        margin = np.float64(values[k] - positive)
        if not np.isfinite(margin):
            return -1
        low, high = counts[k] / total, (counts[k] + left) / total
        least, most = unbias_between(low, high, np.float64(priors[k]))
        low, high = worth(criterion, weight, margin, least, most)
        if not low <= high:  # a NaN
            return -1
        if low > best:
            second = max(second, best_high)
            best, best_high, chosen = low, high, k
        else:
            second = max(second, high)
    return chosen if best > second else -1


@numba.njit(inline="always")
def settle(rule, batch, facts, values, counts, left, chosen):
    """Look at what of a user's rows is not certain yet; whether anything is left so."""
    (criterion, weight, width), (positives, priors, totals) = rule, facts
    open_ones = 0
    for m in batch:
        for g in range(chosen.shape[1]):
            if chosen[m, g] < 0:
                k = slice(g * width, (g + 1) * width)
                chosen[m, g] = certain(
                    criterion,
                    weight,
                    positives[m],
                    priors[m, k],
                    values[m, k],
                    counts[m, k],
                    left,
                    totals[m],
                )
                open_ones += chosen[m, g] < 0
    return open_ones > 0


@numba.njit(cache=True, nogil=True)
def score_until_certain(
    vectors,
    item_vectors,
    by_factor,
    indptr,
    columns,
    order,
    items,
    criterion,
    weight,
    positives,
    priors,
    totals,
    values,
    counts,
    chosen,
    users,
    starts,
    ends,
):
    """See :func:`.kernels.counts.score_until_certain`: users leave as their choices are certain."""
    width, group = by_factor.shape[1], items.shape[1] // chosen.shape[1]
    rows = np.empty((4, WIDE), np.float32)
    pointer, active, names = np.empty_like(users), np.empty_like(users), users.copy()
    for s in range(len(users)):
        pointer[s], active[s] = indptr[users[s]], s
        for m in order[starts[s] : ends[s]]:
            score_items(vectors[users[s]], item_vectors, items[m], values[m])
            counts[m, :], chosen[m, :] = 0, -1
    number, left = len(users), 0
    while left < width and number > 0:
        right = min(left + (NARROW if left < WIDE else WIDE), width)
        stay = 0
        for top in range(0, number, 4):
            score_four(vectors, names[:number], top, by_factor, left, right, rows)
            for place in range(top, min(top + 4, number)):
                s = active[place]
                row, batch = rows[place - top, : right - left], order[starts[s] : ends[s]]
                end = indptr[users[s] + 1]
                if left == 0:
                    row[0] = np.inf
                while pointer[s] < end and columns[pointer[s]] < right:
                    row[columns[pointer[s]] - left] = np.inf
                    pointer[s] += 1
                count_panel(row, left, batch, items, values, counts)
                unseen = width - right - (end - pointer[s])
                rule, facts = (criterion, weight, group), (positives, priors, totals)
                if right == width or settle(rule, batch, facts, values, counts, unseen, chosen):
                    active[stay], names[stay] = s, users[s]
                    stay += 1
        number, left = stay, right
    for place in range(number):
        s = active[place]
        skipped = 1 + indptr[users[s] + 1] - indptr[users[s]]
        leave_skipped(skipped, order[starts[s] : ends[s]], values, counts)
