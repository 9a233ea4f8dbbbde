"""The compiled loops over the memory of SRNS; see :mod:`.basics`."""

import math

import numba
import numpy as np

from .basics import distinct_row, dot, uniform

LOWEST = np.finfo(np.float32).min
LOWEST_KEY = np.finfo(np.float64).min
TINY = np.finfo(np.float64).tiny


@numba.njit(inline="always")
def sigmoid(x):
    """``1 / (1 + exp(-x))`` in float32."""
    return np.float32(1) / (np.float32(1) + np.float32(math.exp(-x)))


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def values(
    user_vectors, item_vectors, user_history, item_history, alpha, memory, users, items, out
):
    """See :func:`.kernels.memory.values`."""
    epochs, width = user_history.shape[1], memory.shape[1]
    past = np.empty((epochs, width), np.float32)
    for b in range(len(users)):
        user, item, known = users[b], items[b], memory[users[b]]
        for e in range(epochs):
            positive = dot(user_history[user, e], item_history[item, e])
            for k in range(width):
                score = dot(user_history[user, e], item_history[known[k], e])
                past[e, k] = sigmoid(score - positive)
        positive = dot(user_vectors[user], item_vectors[item])
        for k in range(width):
            score = dot(user_vectors[user], item_vectors[known[k]])
            value = sigmoid(score - positive)
            if epochs > 0:
                mean, square = np.float32(0), np.float32(0)
                for e in range(epochs):
                    mean += past[e, k]
                mean /= np.float32(epochs)
                for e in range(epochs):
                    square += (past[e, k] - mean) * (past[e, k] - mean)
                spread = np.float32(math.sqrt(square / np.float32(epochs)))
                value += np.float32(alpha) * (spread if spread == spread else np.float32(0))
            if not abs(score) < np.inf:
                value = LOWEST
            out[b, k] = value if known[k] else np.float32(-np.inf)


@numba.njit(inline="always")
def among(row, item):
    """Whether an item is in a memory already."""
    found = False
    for k in range(len(row)):
        found |= row[k] == item
    return found


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def redraw(
    user_vectors,
    item_vectors,
    tau,
    key,
    drawing,
    indptr,
    positives,
    item_num,
    new_num,
    memory,
    users,
):
    """See :func:`.kernels.memory.redraw`."""
    size, width = memory.shape[1], memory.shape[1] + new_num
    new, before = np.empty(new_num, np.int64), np.empty(new_num, np.int64)
    ids, keys = np.empty(width, np.int64), np.empty(width, np.float64)
    for s in range(len(users)):
        user = users[s]
        row, own = memory[user], positives[indptr[user] : indptr[user + 1]]
        distinct_row(own, item_num, drawing, user, new, before)
        for k in range(width):
            item = row[k] if k < size else new[k - size]
            if k >= size and among(row, item):
                item = 0
            ids[k], keys[k] = item, -np.inf
            if item > 0:
                score = np.float64(dot(user_vectors[user], item_vectors[item]))
                waiting = -math.log(max(uniform(key, user * width + k), TINY))
                keys[k] = score / tau - math.log(max(waiting, TINY))
                if not abs(score) < np.inf:
                    keys[k] = LOWEST_KEY
        for place in range(size):
            best = -1
            for k in range(width):
                if ids[k] >= 0 and (best < 0 or keys[k] > keys[best]):
                    best = k
            row[place], ids[best] = ids[best], -1
