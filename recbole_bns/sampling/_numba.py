"""The compiled loops of :mod:`.kernels`; only that module imports this one."""

# numba compiles these functions: they take arrays and are written as plain loops.
# mypy: disable-error-code="no-untyped-def, misc"

import numba


@numba.njit(cache=True, nogil=True)
def count_negatives_not_above(scores, indptr, positives, rows, users, values, out):
    """See :func:`.kernels.count_negatives_not_above`."""
    batch, width = values.shape
    items = scores.shape[1]
    for b in range(batch):
        row = scores[rows[b]]
        first, last = indptr[users[b]], indptr[users[b] + 1]
        for k in range(width):
            value = values[b, k]
            count = numba.int32(0)
            for i in range(1, items):
                count += numba.int32(row[i] <= value)
            for p in range(first, last):
                count -= numba.int32(row[positives[p]] <= value)
            out[b, k] = count


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
            total = numba.float32(0)
            for d in range(size):
                total += user[d] * item[d]
            out[b, k] = total
