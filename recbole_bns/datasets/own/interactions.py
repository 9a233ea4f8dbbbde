"""Interactions in memory, each pair of user and item once, and the files that they become."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from recbole_bns.settings.properties import OWN

from ..write import whole_folder

NUMBERS = {"rating": "rating", "time": "timestamp", "weight": "weight"}
"""Attribute -> field of the atomic file."""
ROWS = 1 << 17
"""Lines that are written at once."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """Who had to do with what; ``recbole_bns.interactions`` makes it.

    It stands in the place of a data set's name: ``run_recbole_bns("BPR", interactions)``. Print it
    to see what was read.

    Attributes:
        name: of the data set.
        user_ids: ``(users,)`` words.
        item_ids: ``(items,)`` words.
        users: ``(N,)`` int32, numbers in ``user_ids``, in the order of the rows.
        items: ``(N,)`` int32, numbers in ``item_ids``.
        rating: ``(N,)`` float64, or None.
        time: ``(N,)`` float64, seconds since 1970 or other numbers, or None.
        weight: ``(N,)`` float64, or None.
        negatives: ``(2, M)`` int32, users and items of known dislikes, or None.
        told: what there is to be said of how they came about, a sentence a line.
    """

    name: str
    user_ids: np.ndarray
    item_ids: np.ndarray
    users: np.ndarray
    items: np.ndarray
    rating: np.ndarray | None = None
    time: np.ndarray | None = None
    weight: np.ndarray | None = None
    negatives: np.ndarray | None = None
    told: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        return (
            f"<Interactions '{self.name}': {len(self):,} of {len(self.user_ids):,} users with "
            f"{len(self.item_ids):,} items>"
        )

    def __str__(self) -> str:
        from .story import story

        return story(self)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Attribute -> ``(N,)`` numbers, of those that there are."""
        every = {name: getattr(self, name) for name in NUMBERS}
        return {name: values for name, values in every.items() if values is not None}

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of a data set of these: which columns are read."""
        fields = [NUMBERS[name] for name in self.columns]
        return {"load_col": {"inter": ["user_id", "item_id", *fields]}}

    def with_told(self, *sentences: str) -> Interactions:
        """With more to be said."""
        return replace(self, told=(*self.told, *sentences))

    def kept(self, rows: np.ndarray, **changed: np.ndarray) -> Interactions:
        """Some of the rows, with the users and items that are in them.

        Args:
            rows: ``(N,)`` bool, or ``(n,)`` numbers of rows.
            changed: columns of the rows that have other values.
        """
        own = {name: values[rows] for name, values in self.columns.items()} | changed
        user_codes, users = _compact(self.users[rows], len(self.user_ids))
        item_codes, items = _compact(self.items[rows], len(self.item_ids))
        return replace(
            self,
            user_ids=self.user_ids[user_codes >= 0],
            item_ids=self.item_ids[item_codes >= 0],
            users=users,
            items=items,
            negatives=_renumbered(self.negatives, user_codes, item_codes),
            **own,
        )

    def write(self, root: str | Path, *, overwrite: bool = False) -> Path:
        """Write ``root/<name>/`` with RecBole's atomic files, whole or not at all.

        Returns:
            the folder.

        Raises:
            UsageError: it cannot be written.
        """
        folder = Path(root) / self.name
        with whole_folder(folder, overwrite=overwrite) as new:
            _write(new / f"{self.name}.inter", self._header(), self._lines())
            if self.negatives is not None:
                head = "user_id:token\titem_id:token"
                _write(new / f"{self.name}.neg", head, self._negative_lines())
            self._write_settings(new)
        return folder

    def write_settings(self, root: Path) -> None:
        """Write ``root/<name>/`` with the settings alone, without a single interaction."""
        (root / self.name).mkdir(parents=True)
        self._write_settings(root / self.name)

    def _write_settings(self, folder: Path) -> None:
        head = f"# Settings of the data set '{self.name}', read with it.\n"
        path = folder / f"{self.name}{OWN}"
        path.write_text(head + yaml.safe_dump(self.settings), encoding="utf-8")

    def _header(self) -> str:
        fields = [f"{NUMBERS[name]}:float" for name in self.columns]
        return "\t".join(["user_id:token", "item_id:token", *fields])

    def _lines(self) -> Iterator[list[list[str]]]:
        written = {name: _written(values) for name, values in self.columns.items()}
        for first in range(0, len(self), ROWS):
            part = slice(first, first + ROWS)
            yield [
                self.user_ids[self.users[part]].tolist(),
                self.item_ids[self.items[part]].tolist(),
                *(written[name](values[part]) for name, values in self.columns.items()),
            ]

    def _negative_lines(self) -> Iterator[list[list[str]]]:
        if self.negatives is not None:
            users, items = self.negatives
            yield [self.user_ids[users].tolist(), self.item_ids[items].tolist()]


def _compact(codes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """``(size,)`` new numbers of those that are there, -1 for the others; the codes with them."""
    there = np.zeros(size, bool)
    there[codes] = True
    numbers = np.where(there, np.cumsum(there) - 1, -1).astype(np.int32)
    return numbers, numbers[codes]


def _renumbered(
    pairs: np.ndarray | None, user_codes: np.ndarray, item_codes: np.ndarray
) -> np.ndarray | None:
    """``(2, M)`` pairs under new numbers, without those that have none."""
    if pairs is None:
        return None
    new = np.stack([user_codes[pairs[0]], item_codes[pairs[1]]])
    return new[:, (new >= 0).all(0)]


def _written(values: np.ndarray) -> Callable[[np.ndarray], list[str]]:
    """How the numbers of a column are written: without a point where all of them are whole."""
    if len(values) and not (values % 1).any() and np.abs(values).max() < 2**53:
        return lambda part: list(map(str, part.astype(np.int64).tolist()))
    return lambda part: list(map(repr, part.tolist()))


def _write(path: Path, header: str, blocks: Iterator[list[list[str]]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(header + "\n")
        for columns in blocks:
            file.writelines("\t".join(row) + "\n" for row in zip(*columns, strict=True))
