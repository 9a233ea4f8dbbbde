"""The compiled loops over ranks; see :mod:`.basics`."""

import math

import numba
import numpy as np

from .basics import is_positive, uniform

RADIX = 11


@numba.njit(cache=True, nogil=True)
def sort_rows(scores, out):
    """See :func:`.ranks.ranking`: a radix sort of the bits, three passes of eleven."""
    size = scores.shape[1]
    keys, other = np.empty(size, np.uint32), np.empty(size, np.uint32)
    ids, others = np.empty(size, np.int32), np.empty(size, np.int32)
    heads = np.empty(1 << RADIX, np.int32)
    for s in range(scores.shape[0]):
        bits = (scores[s] + np.float32(0)).view(np.uint32)
        for i in range(size):
            x = bits[i]
            ascending = x ^ np.uint32(0xFFFFFFFF) if x >> np.uint32(31) else x ^ np.uint32(1 << 31)
            keys[i], ids[i] = ~ascending, i
        for turn in range(3):
            shift = np.uint32(RADIX * turn)
            heads[:] = 0
            for i in range(size):
                heads[(keys[i] >> shift) & np.uint32((1 << RADIX) - 1)] += 1
            total = 0
            for h in range(len(heads)):
                heads[h], total = total, total + heads[h]
            for i in range(size):
                h = (keys[i] >> shift) & np.uint32((1 << RADIX) - 1)
                other[heads[h]], others[heads[h]] = keys[i], ids[i]
                heads[h] += 1
            keys, other, ids, others = other, keys, others, ids
        for i in range(size):
            out[s, i] = ids[i]


@numba.njit(inline="always")
def geometric(u, reach, lambda_, last):
    """See :func:`.ranks.draw_ranks`."""
    return np.int64(min(-lambda_ * math.log1p(-u * reach), np.float64(last)))


@numba.njit(inline="always")
def fresh(membership, user, item, row, found):
    """Whether ``item`` is a negative of the user that is not among the ``found`` first of row."""
    if item == 0 or is_positive(membership[0], membership[1], membership[2], user, item):
        return False
    for k in range(found):  # noqa: SIM110
        if row[k] == item:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def by_factor(
    user_vectors, spread, lists, lambda_, reach, tries, membership, key, users, index, out
):
    """See :func:`.ranks.by_factor`."""
    size, last = user_vectors.shape[1], lists.shape[1] - 1
    total = np.empty(size, np.float64)
    for b in range(len(users)):
        user = user_vectors[users[b]]
        mass = 0.0
        for d in range(size):
            mass += np.float64(abs(user[d]) * spread[d])
            total[d] = mass
        if not mass > 0:
            for d in range(size):
                total[d] = d + 1.0
            mass = np.float64(size)
        found = 0
        for t in range(tries):
            position = 2 * (index[b] * tries + t)
            d = np.searchsorted(total, uniform(key, position) * mass, side="right")
            d = min(d, size - 1)
            rank = geometric(uniform(key, position + 1), reach, lambda_, last)
            item = lists[d, rank if user[d] >= 0 else last - rank]
            if fresh(membership, users[b], item, out[b], found):
                out[b, found] = item
                found += 1
                if found == out.shape[1]:
                    break
        out[b, found:] = 0


@numba.njit(inline="always")
def walk(ranks, weights, membership, user, row, found, u):
    """An item of what is left of a user's list, by the same law; 0 where nothing is left.

    Once to the end for the mass, once until ``u`` of it is passed.
    """
    first, total = -1, 0.0
    for r in range(len(ranks)):
        if fresh(membership, user, ranks[r], row, found):
            first = r if first < 0 else first
            total += weights[r - first]
    if first < 0:
        return 0
    goal, total, chosen = u * total, 0.0, 0
    for r in range(first, len(ranks)):
        if fresh(membership, user, ranks[r], row, found):
            total += weights[r - first]
            chosen = ranks[r]
            if total > goal:
                break
    return chosen


@numba.njit(cache=True, nogil=True)
def by_rank(ranked, lambda_, reach, tries, weights, membership, key, users, index, out):
    """See :func:`.ranks.by_rank`: a few tries, then a walk over what is left."""
    width, last = out.shape[1], ranked.shape[1] - 1
    for b in range(len(users)):
        user, start = users[b], index[b] * (tries + width)
        found = 0
        for t in range(tries):
            item = ranked[user, geometric(uniform(key, start + t), reach, lambda_, last)]
            if fresh(membership, user, item, out[b], found):
                out[b, found] = item
                found += 1
                if found == width:
                    break
        while found < width:
            u = uniform(key, start + tries + found)
            item = walk(ranked[user], weights, membership, user, out[b], found, u)
            if item == 0:
                out[b, found:] = 0
                break
            out[b, found] = item
            found += 1
