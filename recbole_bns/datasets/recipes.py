"""Which public data sets there are originals of: their files, lines and counts.

Counts are those of the published files. Yahoo! R3: the ratings of users 1 to 5400 together with the
survey's make up the 5,400 x 1,000 of Liu & Wang, ICDE 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .originals import ITEM, USER, Field, Original, numbered


@dataclass(frozen=True)
class Recipe:
    """What is published, and what becomes of it.

    Attributes:
        origin: who hands it out.
        ratings: one file, or two: training and test.
        counts: expected users, items, interactions, then interactions of each of two parts.
        parts: what the counts call the two; the files too, where they stay apart.
        split: whether they stay apart: a fixed split, without the ratings.
        users: features of users, a file that may be missing.
        last_user: users after this one are left out of the first file.
        first_appearance: whether ids are the order of first appearance in RecBole's ML-100K.
    """

    origin: str
    ratings: tuple[Original, ...]
    counts: tuple[int, ...]
    parts: tuple[str, ...] = ()
    split: bool = False
    users: Original | None = None
    last_user: int | None = None
    first_appearance: bool = False


_RATING = Field("rating:float", r"[0-9](\.[0-9]+)?", "a number from 1 to 5", 1, 5)
_TIME = Field("timestamp:float", "[0-9]+", "a whole number")
_AGE = Field("age:token", "[0-9]+", "a whole number")
_GENDER = Field("gender:token", "[MF]", "M or F")
_JOB = Field("occupation:token", '[^\t"]+', "a word")
_ZIP = Field("zip_code:token", '[^\t"]+', "a code")
_SMALL = numbered(USER, 1, 943), numbered(ITEM, 1, 1682)
_LARGE = numbered(USER, 1, 6040), numbered(ITEM, 1, 3952)
_SONGS = numbered(USER, 1, 15_400), numbered(ITEM, 1, 1000), _RATING
_BNS = numbered(USER, 0, 942), numbered(ITEM, 0, 1681), _RATING
_AHNS = numbered(USER, 0, 6039), numbered(ITEM, 0, 3705)

RECIPES: Mapping[str, Recipe] = {
    "ml-100k": Recipe(
        "GroupLens (ml-100k.zip)",
        (Original("u.data", (*_SMALL, _RATING, _TIME), "\t"),),
        (943, 1682, 100_000),
        users=Original("u.user", (_SMALL[0], _AGE, _GENDER, _JOB, _ZIP), "|"),
    ),
    "ml-1m": Recipe(
        "GroupLens (ml-1m.zip)",
        (Original("ratings.dat", (*_LARGE, _RATING, _TIME), "::"),),
        (6040, 3706, 1_000_209),
        users=Original("users.dat", (_LARGE[0], _GENDER, _AGE, _JOB, _ZIP), "::"),
    ),
    "yahoo-r3": Recipe(
        "Yahoo! Webscope (R3, after a signed agreement)",
        (
            Original("ydata-ymusic-rating-study-v1_0-train.txt", _SONGS, "\t"),
            Original("ydata-ymusic-rating-study-v1_0-test.txt", _SONGS, "\t"),
        ),
        (5400, 1000, 183_179, 129_179, 54_000),
        ("train, users 1 to 5400", "survey"),
        last_user=5400,
    ),
    "ml-100k-bns": Recipe(
        "the BNS authors' repository (100k_train.csv, 100k_test.csv)",
        (
            Original("*train*.csv", _BNS, ",", header=True),
            Original("*test*.csv", _BNS, ",", header=True),
        ),
        (943, 1682, 100_000, 80_000, 20_000),
        ("train", "test"),
        split=True,
        first_appearance=True,
    ),
    "ml-1m-ahns": Recipe(
        "the AHNS authors' repository (train.txt, test.txt)",
        (
            Original("*train*.txt", _AHNS, " ", grouped=True),
            Original("*test*.txt", _AHNS, " ", grouped=True),
        ),
        (6040, 3706, 1_000_209, 800_005, 200_204),
        ("train", "test"),
        split=True,
    ),
}
