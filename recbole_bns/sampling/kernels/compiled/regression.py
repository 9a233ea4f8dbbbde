"""The compiled loop that gathers a neighbourhood's equations; see :mod:`.basics`."""

import numba


@numba.njit(cache=True, nogil=True)
def gather(starts, ids, counts, diagonal, neighbours, column_of, system):
    """See :func:`..regression.gather`; ``column_of`` (I,) holds -1 and is left so."""
    size = len(neighbours)
    for a in range(size):
        column_of[neighbours[a]] = a
        for b in range(size):
            system[a, b] = 0
    for a in range(size):
        item = neighbours[a]
        for place in range(starts[item], starts[item + 1]):
            b = column_of[ids[place]]
            if b >= 0:
                system[a, b] = max(system[a, b], counts[place])
                system[b, a] = max(system[b, a], counts[place])
    for a in range(size):
        system[a, a] = diagonal[neighbours[a]]
        column_of[neighbours[a]] = -1
