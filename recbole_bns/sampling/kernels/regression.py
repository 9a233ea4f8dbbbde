"""A fused loop that gathers the equations of an item's neighbourhood; see :mod:`.engine`."""

from __future__ import annotations

import numpy as np

from . import engine


def gather(
    lists: tuple[np.ndarray, np.ndarray, np.ndarray],
    diagonal: np.ndarray,
    neighbours: np.ndarray,
    column_of: np.ndarray,
) -> np.ndarray:
    """What the neighbours of an item have in common, two by two.

    Args:
        lists: of each item's kept neighbours starts (I + 1,), ids (N,), counts (N,) float32.
        diagonal: ``(I,)`` float64.
        neighbours: ``(k,)`` int64, different ones.
        column_of: ``(I,)`` int32 of -1 for this thread; it is used and left as it was.

    Returns:
        ``(k, k)`` float64: the greater of the counts in the two lists, 0 where neither has one;
        ``diagonal`` on the diagonal.
    """
    loops = engine.compiled("regression")
    if loops is None:
        return _by_numpy(lists, diagonal, neighbours, column_of)
    system = np.empty((len(neighbours), len(neighbours)))
    loops.gather(*lists, diagonal, neighbours, column_of, system)
    return system


def _by_numpy(
    lists: tuple[np.ndarray, np.ndarray, np.ndarray],
    diagonal: np.ndarray,
    neighbours: np.ndarray,
    column_of: np.ndarray,
) -> np.ndarray:
    """The twin: all lists are laid end to end and looked up at once."""
    starts, ids, counts = lists
    size = len(neighbours)
    column_of[neighbours] = np.arange(size)
    slices = [slice(starts[i], starts[i + 1]) for i in neighbours]
    row = np.repeat(np.arange(size), [each.stop - each.start for each in slices])
    column = column_of[np.concatenate([ids[each] for each in slices])]
    column_of[neighbours] = -1
    inside = column >= 0
    system = np.zeros((size, size))
    system[row[inside], column[inside]] = np.concatenate([counts[e] for e in slices])[inside]
    system = np.maximum(system, system.T)  # one of the two may not have been kept
    system.flat[:: size + 1] = diagonal[neighbours]
    return system
