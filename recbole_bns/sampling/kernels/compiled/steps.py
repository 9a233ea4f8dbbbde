"""The compiled loops of a whole step of plain BPR; see :mod:`..steps`."""

import numba
import numpy as np

from .basics import dot

ONE = np.float32(1)


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def losses(user_vectors, item_vectors, gamma, users, positives, negatives, values, slopes, squares):
    """See :func:`..steps.losses`."""
    for b in range(len(users)):
        user = user_vectors[users[b]]
        positive, negative = item_vectors[positives[b]], item_vectors[negatives[b]]
        margin = dot(user, positive) - dot(user, negative)
        chance = ONE / (ONE + np.exp(-margin))
        values[b] = -np.log(gamma + chance)
        slopes[b] = -chance * (ONE - chance) / (gamma + chance)
        squares[b] = dot(user, user) + dot(positive, positive) + dot(negative, negative)


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def user_gradients(
    user_vectors, item_vectors, users, positives, negatives, slopes, shrink, rows, gradients
):
    """See :func:`..steps.gradients`; ``rows`` are consecutive."""
    first = rows[0]
    gradients[:] = 0
    for b in range(len(users)):
        place = users[b] - first
        if 0 <= place < len(rows):
            own, vector = gradients[place], user_vectors[users[b]]
            positive, negative = item_vectors[positives[b]], item_vectors[negatives[b]]
            slope = slopes[b]
            for d in range(len(own)):
                own[d] += slope * (positive[d] - negative[d]) + shrink * vector[d]


@numba.njit(inline="always")
def add_item(own, vector, slope, shrink, user):
    """Add what one pair says of its item's vector."""
    for d in range(len(own)):
        own[d] += slope * user[d] + shrink * vector[d]


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def item_gradients(
    user_vectors, item_vectors, users, positives, negatives, slopes, shrink, rows, gradients
):
    """The same for the items."""
    first = rows[0]
    gradients[:] = 0
    for b in range(len(users)):
        place, other = positives[b] - first, negatives[b] - first
        user, slope = user_vectors[users[b]], slopes[b]
        if 0 <= place < len(rows):
            add_item(gradients[place], item_vectors[positives[b]], slope, shrink, user)
        if 0 <= other < len(rows):
            add_item(gradients[other], item_vectors[negatives[b]], -slope, shrink, user)
