"""The compiled loop over an item's neighbours; see :mod:`._numba`."""

# numba compiles this function: it takes arrays and is written as plain loops.
# mypy: disable-error-code="no-untyped-def, misc"

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def neighbour_values(bitmap, indptr, positives, ids, weights, users, items, out):
    """See :func:`.pair_kernels.neighbour_values`."""
    tabled = len(bitmap) > 0
    for b in range(len(users)):
        user = users[b]
        own = positives[indptr[user] : indptr[user + 1]]
        for m in range(items.shape[1]):
            item = items[b, m]
            total = np.float32(0)
            for k in range(ids.shape[1]):
                other = ids[item, k]
                if tabled:
                    has = (bitmap[user, other >> 3] >> (other & 7)) & 1 > 0
                else:
                    place = np.searchsorted(own, other)
                    has = place < len(own) and own[place] == other
                if has:
                    total += weights[item, k]
            out[b, m] = total
