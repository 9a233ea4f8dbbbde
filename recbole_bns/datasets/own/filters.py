"""What is left of interactions: each pair once, good ratings, users and items with enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recbole_bns.common.errors import UsageError

from .interactions import Interactions


@dataclass(frozen=True)
class Least:
    """What is kept at least.

    Attributes:
        rating: of an interaction, or None.
        user: items of a user.
        item: users of an item.
    """

    rating: float | None = None
    user: int = 1
    item: int = 1


def once(data: Interactions) -> Interactions:
    """Each pair of user and item once: its latest row, or its last one where there are no times.

    The weights of its rows are added.
    """
    keys = data.users.astype(np.int64) * len(data.item_ids) + data.items
    if len(np.unique(keys)) == len(keys):
        return data.with_told("doubles: none")
    order = np.lexsort((keys,)) if data.time is None else np.lexsort((data.time, keys))
    ends = np.append(np.diff(keys[order]) != 0, True)
    rows = order[ends]
    changed = {}
    if data.weight is not None:
        starts = np.flatnonzero(np.append(True, ends[:-1]))
        changed["weight"] = np.add.reduceat(data.weight[order], starts)[np.argsort(rows)]
    which = "last" if data.time is None else "latest"
    added = ", with the sum of the weights" * (data.weight is not None)
    said = (
        f"doubles: {len(keys) - len(rows):,} rows repeat a pair of user and item; the {which} row "
        f"of a pair stays{added}"
    )
    return data.kept(np.sort(rows), **changed).with_told(said)


def filtered(data: Interactions, least: Least) -> Interactions:
    """Interactions of good ratings, then users and items with enough, to a fixed point.

    Users and items are taken out in turns until all of both that are left have enough.

    Raises:
        UsageError: there are no ratings, or nothing is left.
    """
    if least.rating is not None:
        if data.rating is None:
            raise UsageError(
                f"min_rating: got {least.rating:g}, but '{data.name}' has no ratings; name their "
                "column with --rating=COLUMN, or leave it out."
            )
        data = _dropped(data, data.rating >= least.rating, f"min_rating {least.rating:g}")
    while True:
        before = len(data)
        for what, codes, number in (("user", "users", least.user), ("item", "items", least.item)):
            counts = np.bincount(getattr(data, codes))
            enough = (counts >= number)[getattr(data, codes)]
            if not enough.all():
                data = _dropped(data, enough, f"min_{what} {number}")
        if len(data) == before:
            return data


def _dropped(data: Interactions, rows: np.ndarray, step: str) -> Interactions:
    """Some of the rows, and what the others took with them."""
    if not rows.any():
        raise UsageError(
            f"{step.replace(' ', ': got ')}, but no interaction of '{data.name}' is left then; "
            "allowed is a smaller number."
        )
    kept = data.kept(rows)
    pairs = {
        "interactions": len(data) - len(kept),
        "users": len(data.user_ids) - len(kept.user_ids),
        "items": len(data.item_ids) - len(kept.item_ids),
    }
    lost = ", ".join(f"{number:,} {what}" for what, number in pairs.items())
    return kept.with_told(f"{step}: {lost} dropped")
