"""Pieces of rows become interactions: ids numbered, doubles and dislikes sorted out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from recbole_bns.common.errors import UsageError

from .filters import once
from .interactions import Interactions
from .pieces import Piece, readable
from .roles import NEEDED, Asked, listed, recognise
from .sources import Source
from .values import Refused, as_seconds, is_dates, labels_of, numbers_of, times_of, words_of


class Table:
    """A source, and which of its columns is what.

    Attributes:
        source: of the rows.
        asked: what the user says of the columns.
        roles: role -> name of its column.
        others: names of the columns that are not taken.
    """

    def __init__(self, source: Source, asked: Asked) -> None:
        """Look at the first rows.

        Raises:
            UsageError: see :func:`.roles.recognise`.
        """
        with readable(source.where):
            head = source.head()
        self.source, self.asked = source, asked
        self.roles = recognise(head, asked, source.where)
        taken = set(self.roles.values())
        self.others = [str(name) for name in head.columns if str(name) not in taken]

    @property
    def where(self) -> str:
        """What the source is called."""
        return self.source.where


def gather(table: Table, name: str, negatives: Table | None = None) -> Interactions:
    """All rows, each pair of user and item once.

    Args:
        table: of the interactions; rows with the label 0 are known dislikes.
        name: of the data set.
        negatives: of further known dislikes.

    Raises:
        UsageError: a value that cannot be what its column is, with its row; or no interaction.
    """
    ids = {role: _Words() for role in NEEDED}
    read = _read(table, ids)
    if not len(read["user"]):
        raise UsageError(
            f"{table.where}: there is no row in it; allowed is one or more of {_names(table)}."
        )
    label = read.pop("label", None)
    users, items = read.pop("user"), read.pop("item")
    disliked = None if label is None else np.stack([users[~label], items[~label]])
    if negatives is not None:
        more = _read(negatives, ids)
        pairs = np.stack([more["user"], more["item"]])
        disliked = pairs if disliked is None else np.concatenate([disliked, pairs], 1)
    time = read.get("time")
    if time is not None:
        read["time"] = as_seconds(time)
    every = Interactions(
        name,
        ids["user"].words(),
        ids["item"].words(),
        users,
        items,
        rating=read.get("rating"),
        time=read.get("time"),
        weight=read.get("weight"),
        negatives=disliked,
    )
    if label is not None:
        every = _liked(every, label, table)
    elif disliked is not None:  # whose users and items have numbers of their own
        every = every.kept(np.ones(len(users), bool))
    kept = once(every.with_told(_rows(table, len(users))))
    return kept if disliked is None else _without_known(kept, disliked.shape[1])


def _names(table: Table) -> str:
    return listed(list(table.roles.values()))


def _rows(table: Table, rows: int) -> str:
    taken = ", ".join(f"{role} = {name}" for role, name in table.roles.items())
    left = f" (not taken: {', '.join(table.others[:12])}{', ...' * (len(table.others) > 12)})"
    return f"columns: {taken}{left * bool(table.others)}\nrows:    {rows:,}"


def _liked(every: Interactions, label: np.ndarray, table: Table) -> Interactions:
    """The rows whose label says yes.

    Raises:
        UsageError: there is none.
    """
    if not label.any():
        name = table.roles["label"]
        raise UsageError(
            f"{table.where}: column {name!r} is 0 in all rows, so that there is no interaction; "
            f"name another column with {table.asked.write('label')}, or none with "
            f"{table.asked.write('label', 'none')}."
        )
    return every.kept(label)


def _without_known(data: Interactions, before: int) -> Interactions:
    """Known dislikes once each, without pairs that are interactions too.

    Those of users and items without an interaction have gone with these.
    """
    assert data.negatives is not None
    size = len(data.item_ids)
    keys = np.unique(data.negatives[0].astype(np.int64) * size + data.negatives[1])
    keys = keys[~np.isin(keys, data.users.astype(np.int64) * size + data.items)]
    pairs = np.stack([keys // size, keys % size]).astype(np.int32)
    found = replace(data, negatives=pairs)
    left = before - pairs.shape[1]
    if not left:
        return found
    return found.with_told(
        f"dislikes: {before:,} rows, of which {left:,} are left out: doubles, interactions, and "
        "those of users or items without an interaction"
    )


class _Words:
    """Words that get numbers in the order in which they come."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def numbers(self, codes: np.ndarray, words: Sequence[str]) -> np.ndarray:
        """``(N,)`` int32, of codes in a piece's own words."""
        known = self._numbers
        own = [known.setdefault(word, len(known)) for word in words]
        return np.array(own, np.int32)[codes]

    def words(self) -> np.ndarray:
        """``(words,)`` by number."""
        found = np.empty(len(self._numbers), object)
        found[:] = list(self._numbers)
        return found


_READ: dict[str, Callable[[pd.Series], np.ndarray]] = {
    "rating": numbers_of,
    "time": times_of,
    "label": labels_of,
    "weight": numbers_of,
}


def _read(table: Table, ids: dict[str, _Words]) -> dict[str, np.ndarray]:
    """Role -> ``(N,)`` its column: int32 for ids, bool for labels, else float64."""
    parts: dict[str, list[np.ndarray]] = {role: [] for role in table.roles}
    alike = _Alike()
    with readable(table.where):
        for piece in table.source.pieces(list(table.roles.values())):
            for role, name in table.roles.items():
                try:
                    parts[role].append(_values(role, piece.frame[name], ids, alike))
                except Refused as error:
                    raise UsageError(_sentence(table, piece, role, error)) from None
    empty = np.empty(0, np.int32)
    return {role: np.concatenate(some) if some else empty for role, some in parts.items()}


def _values(role: str, column: pd.Series, ids: dict[str, _Words], alike: _Alike) -> np.ndarray:
    if role in ids:
        return ids[role].numbers(*words_of(column))
    if role == "time":
        alike.check(column)
    values = _READ[role](column)
    if role == "weight" and (values <= 0).any():
        row = int((values <= 0).argmax())
        raise Refused(row, f"got {values[row]:g}, allowed are weights > 0; leave such rows out")
    return values


class _Alike:
    """Whether times are dates or numbers, which all pieces of a file have in common."""

    def __init__(self) -> None:
        self._dated: bool | None = None

    def check(self, column: pd.Series) -> None:
        """Compare a piece with those before it.

        Raises:
            Refused: it is of the other kind.
        """
        dated = is_dates(column)
        if self._dated not in (None, dated):
            raise Refused(0, "dates and numbers are mixed in this column; allowed is one of both")
        self._dated = dated


def _sentence(table: Table, piece: Piece, role: str, error: Refused) -> str:
    name = table.roles[role]
    remedy = ""
    if role not in NEEDED:
        remedy = f"; {table.asked.write(role, 'none')} takes no {role}s"
    return f"{piece.place(error.row)}, column {name!r}: {error.what}{remedy}."
