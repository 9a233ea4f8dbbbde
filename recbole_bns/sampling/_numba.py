"""The compiled loops of :mod:`.kernels`; only that module imports this one."""

# numba compiles these functions: they take arrays and are written as plain loops.
# mypy: disable-error-code="no-untyped-def, misc"

import numba


@numba.njit(parallel=True, cache=True, nogil=True)
def count_negatives_not_above(scores, rows, users, indptr, positives, values, out):
    """See :func:`.kernels.count_negatives_not_above`."""
    batch, width = values.shape
    items = scores.shape[1]
    for b in numba.prange(batch):
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
