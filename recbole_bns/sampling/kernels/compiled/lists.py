"""Loops over a list of items that all rows of a batch share; see :mod:`..lists`."""

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def places(ids, first, following):
    """Where each item stands in a list: ``first`` (I,) and ``following`` (n,), -1 for nowhere."""
    for place in range(len(ids) - 1, -1, -1):
        following[place] = first[ids[place]]
        first[ids[place]] = place


@numba.njit(nogil=True, cache=True)
def taken(bitmap, byte, bit, users, out):
    """See :func:`..lists.taken`."""
    for row in range(len(users)):
        own = bitmap[users[row]]
        for place in range(len(byte)):
            out[row, place] = (own[byte[place]] & bit[place]) != 0


@numba.njit(nogil=True, cache=True)
def leave_out_positives(first, following, indptr, positives, users, scores):
    """``-inf`` for the items of a list that a row's user has interacted with."""
    for row in range(len(users)):
        for entry in range(indptr[users[row]], indptr[users[row] + 1]):
            place = first[positives[entry]]
            while place >= 0:
                scores[row, place] = -np.inf
                place = following[place]


@numba.njit(nogil=True, cache=True)
def leave_out_own(first, following, items, scores):
    """``-inf`` for a row's own positive."""
    for row in range(len(items)):
        place = first[items[row]]
        while place >= 0:
            scores[row, place] = -np.inf
            place = following[place]
