"""Groups of items by popularity and of users by activity, and ``groups.csv``, their metrics.

A *place* in an order is where the middle of all that are equal lies, so that equals stand together:
with 10 users, of whom 4 have the fewest interactions, these four lie at 2/10.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recbole_bns.common.files import write_text

GROUPS = "groups.csv"

HEAD, MID, TAIL = ITEMS = ("head", "mid", "tail")
LEAST, MIDDLE, MOST = USERS = ("least active", "middle", "most active")

Bound = tuple[int, int]
"""Numerator and denominator of a share."""
OF_ITEMS: tuple[Bound, Bound] = ((1, 5), (4, 5))
"""Shares of the training interactions, from the most popular item on, where mid and tail begin."""
OF_USERS: tuple[Bound, Bound] = ((1, 3), (2, 3))
"""Shares of the users, from the least active on."""

COLUMNS = (
    "kind",
    "group",
    "members",
    "interactions",
    "least",
    "most",
    "metric",
    "users",
    "value",
)
"""Of ``groups.csv``: ``kind`` is items or users; ``members`` are in the group, which have so many
training ``interactions`` together, the ``least`` and the ``most`` of one; ``value`` is the mean of
``metric`` over ``users``, empty where there are none."""


class Measured(NamedTuple):
    """A metric of each group, in the order of the groups; all (3,)."""

    users: NDArray[np.int64]
    """That the means are over."""
    value: NDArray[np.float64]
    """NaN where there are no users."""


def item_groups(popularity: NDArray[Any]) -> NDArray[np.int64]:
    """0 head, 1 mid, 2 tail: where an item lies among all training interactions.

    Items are ordered from the most popular on. Head are those in the first fifth of the
    interactions, tail those in the last fifth, and items without any.

    Args:
        popularity: ``(I,)`` training interactions of each item.
    """
    return _groups(-popularity.astype(np.int64), popularity.astype(np.int64), OF_ITEMS)


def user_groups(activity: NDArray[Any]) -> NDArray[np.int64]:
    """0 least active, 1 middle, 2 most active: thirds of the users.

    Args:
        activity: ``(U,)`` training interactions of each user.
    """
    return _groups(activity.astype(np.int64), np.ones(len(activity), np.int64), OF_USERS)


def _groups(
    order: NDArray[np.int64], weights: NDArray[np.int64], bounds: Sequence[Bound]
) -> NDArray[np.int64]:
    """How many of the bounds each place (N,) has reached.

    Args:
        order: ``(N,)`` ascending from where the first group begins.
        weights: ``(N,)`` what each takes up.
        bounds: shares of all weights.
    """
    _, which = np.unique(order, return_inverse=True)
    blocks = np.bincount(which.ravel(), weights=weights).astype(np.int64)
    twice = (2 * np.cumsum(blocks) - blocks)[which.ravel()]  # whole numbers: no rounding
    total = 2 * int(weights.sum())
    reached = [twice * below >= total * above for above, below in bounds]
    return np.asarray(np.sum(reached, axis=0), dtype=np.int64)


def lines_of(
    kind: str,
    names: Sequence[str],
    group: NDArray[np.int64],
    interactions: NDArray[Any],
    metrics: Mapping[str, Measured],
) -> Iterator[dict[str, Any]]:
    """Lines of ``groups.csv``: one a group that has members, and metric.

    Args:
        kind: ``items`` or ``users``.
        names: of the groups.
        group: ``(N,)`` of each member.
        interactions: ``(N,)`` in training, of each member.
        metrics: by name.
    """
    for number, name in enumerate(names):
        counts = interactions[group == number]
        if not len(counts):
            continue
        of_group = {
            "kind": kind,
            "group": name,
            "members": len(counts),
            "interactions": int(counts.sum()),
            "least": int(counts.min()),
            "most": int(counts.max()),
        }
        for metric, (users, value) in metrics.items():
            mean = float(value[number])
            shown = "" if np.isnan(mean) else repr(mean)
            yield {**of_group, "metric": metric, "users": int(users[number]), "value": shown}


def means_of(group: NDArray[np.int64], values: NDArray[np.float64]) -> Measured:
    """Mean of a metric in each group of users.

    Args:
        group: ``(U,)`` of each user.
        values: ``(U,)`` of each user.
    """
    size = len(USERS)
    users = np.bincount(group, minlength=size)
    sums = np.bincount(group, weights=values, minlength=size)
    return Measured(users, ratio(sums, users))


def ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    """``above / below``, NaN where that is 0 / 0."""
    empty = np.full(np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=empty, where=np.broadcast_to(below > 0, empty.shape))
    return empty


def write_groups(folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write ``groups.csv`` into the folder of a run, whole or not at all."""
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_text(folder / GROUPS, table.getvalue())
