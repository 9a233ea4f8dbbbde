"""Which column is what: recognised by its name and by what is in it, or named by the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from recbole_bns.common.errors import UsageError, nearest

from .values import Refused, labels_of, numbers_of, times_of

ROLES = ("user", "item", "time", "rating", "label", "weight")
NEEDED = ("user", "item")
NONE = "none"
"""In the place of a column's name: no column is taken for it."""

_WHO = (
    "user u customer cust visitor member client account reviewer person buyer player listener "
    "viewer reader subscriber patron guest shopper"
)
_WHAT = (
    "item i product asin sku movie film book isbn song track artist album article business game "
    "app video news course recipe place venue poi restaurant hotel offer good anime show joke"
)
_WHEN = (
    "time timestamp date datetime ts eventtime eventdate eventtimestamp createdat created unixtime "
    "unixtimestamp unixreviewtime reviewtime ratingtime ratedat clicktime when occurredat t epoch"
)
_HOW_GOOD = (
    "rating ratings score scores star stars rate overall grade vote reviewscore userrating rated "
    "reviewrating"
)
_WHETHER = (
    "label labels click clicked isclick isclicked like liked islike isliked purchased bought "
    "converted target positive"
)
_HOW_MUCH = (
    "weight weights count counts quantity qty plays playcount listens listencount frequency freq"
)
NAMES: Mapping[str, frozenset[str]] = {
    role: frozenset(words.split())
    for role, words in zip(ROLES, (_WHO, _WHAT, _WHEN, _HOW_GOOD, _WHETHER, _HOW_MUCH), strict=True)
}
"""What columns of a role are called, in lower case without anything but letters and digits;
users and items also with ``id``, ``idx``, ``index``, ``no``, ``key``, ``code`` or ``number`` behind
it."""

_IDS = re.compile("(ids?|idx|index|no|key|code|number|num)$")


@dataclass(frozen=True)
class Asked:
    """What the user says of the columns, and how that is written.

    Attributes:
        columns: role -> name of a column, or ``none``; roles of which nothing is said are missing.
        written: how a role is named: ``--user=COLUMN`` or ``user=``.
    """

    columns: Mapping[str, str]
    written: str = "--{}={}"

    def write(self, role: str, column: str = "COLUMN") -> str:
        """How a column is named for a role: ``--user=COLUMN``."""
        return self.written.format(role, column)


def recognise(head: pd.DataFrame, asked: Asked, where: str) -> dict[str, str]:
    """Role -> name of its column.

    Args:
        head: the first rows, all columns.
        asked: what the user says of them.
        where: they are from, for sentences.

    Raises:
        UsageError: a column that is named is not there; none, or several could be the one of users
            or items.
    """
    names = [str(name) for name in head.columns]
    _check_named(names, asked, where)
    taken = {role: name for role, name in asked.columns.items() if name in names}
    for role in ROLES:
        if role in asked.columns:
            continue
        left = [name for name in names if name not in taken.values()]
        found = _candidates(role, head, left)
        if len(found) > 1:
            raise UsageError(_several(role, found, names, asked, where))
        if found:
            taken[role] = found[0]
    for role in NEEDED:
        if role not in taken:
            raise UsageError(
                f"{where}: no column is recognised as that of {role}s; its columns are "
                f"{listed(names)}; name it with {asked.write(role)}."
            )
    return {role: taken[role] for role in ROLES if role in taken}


def listed(names: Sequence[str], most: int = 30) -> str:
    """Names with commas between, in quotes; of very many the first."""
    words = ", ".join(repr(name) for name in names[:most])
    return words + f" and {len(names) - most} more" * (len(names) > most)


def plain(name: str) -> str:
    """A name as :data:`NAMES` has it; the type of an atomic file's column is no part of it."""
    return re.sub("[^0-9a-z]", "", name.partition(":")[0].lower())


def is_known(name: str) -> bool:
    """Whether a column's name says that it is the one of users or items."""
    return any(_means(role, name) for role in NEEDED)


def _means(role: str, name: str) -> bool:
    word = plain(name)
    if role not in NEEDED:
        return word in NAMES[role]
    return word in NAMES[role] or _IDS.sub("", word) in NAMES[role]


def _candidates(role: str, head: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Columns that may have a role; ``user_id`` before ``user``, which is then a name."""
    found = [name for name in names if _means(role, name) and _fits(role, head[name])]
    if role in NEEDED and len(found) > 1:
        stems = {_IDS.sub("", plain(name)) for name in found}
        ids = [name for name in found if re.search("ids?$", plain(name))]
        if len(stems) == 1 and len(ids) == 1:
            return ids
    return found


_READ: Mapping[str, Callable[[pd.Series], object]] = {
    "time": times_of,
    "rating": numbers_of,
    "weight": numbers_of,
    "label": labels_of,
}


def _fits(role: str, column: pd.Series) -> bool:
    """Whether what is in the first rows can be what a role has; where there is nothing it can."""
    if role in NEEDED:
        return True
    try:
        _READ[role](column)
    except Refused:
        return False
    return True


def _check_named(names: Sequence[str], asked: Asked, where: str) -> None:
    """Columns that the user names are there, once each, and needed ones are not left out."""
    doubles = [name for name in names if names.count(name) > 1]
    for role, name in asked.columns.items():
        if name in doubles:
            raise UsageError(
                f"{where}: there are {names.count(name)} columns {name!r}, so that "
                f"{asked.write(role, name)} may mean each of them; rename all but one."
            )
        if name not in names and (name.lower() != NONE or role in NEEDED):
            raise UsageError(
                f"{asked.write(role, name)}: {where} has no column of this name"
                f"{nearest(name, names)}; its columns are {listed(names)}."
            )
    known = [name for name in dict.fromkeys(doubles) if any(_means(r, name) for r in ROLES)]
    if known:
        raise UsageError(
            f"{where}: there are {names.count(known[0])} columns {known[0]!r}; allowed is one of "
            "each name: rename all but one."
        )
    named = [name for name in asked.columns.values() if name in names]
    for name in named:
        if named.count(name) > 1:
            roles = [role for role, other in asked.columns.items() if other == name]
            raise UsageError(
                f"{where}: column {name!r} is named for {' and '.join(roles)}; allowed is a column "
                "for each."
            )


def _several(
    role: str, found: Sequence[str], names: Sequence[str], asked: Asked, where: str
) -> str:
    out = "" if role in NEEDED else f", or take none with {asked.write(role, NONE)}"
    return (
        f"{where}: {' and '.join(map(repr, found))} may each be the column of "
        f"{role}s; its columns are {listed(names)}; say which with "
        f"{asked.write(role, found[0])}{out}."
    )
