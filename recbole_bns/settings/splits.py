"""``split``: how the parts of a data set are made, in one word, and the ``eval_args`` it means.

RecBole knows the first and the third; the other two are cut by :mod:`recbole_bns.adapters.cuts`
where RecBole would leave one out.

===========  ==========================================================================
``last``     each user's last interaction is tested, the one before it validates
``last_k``   each user's last ``split_k`` are tested, as many before them validate
``ratio``    at random, by ``split_shares``, of each user's or of all (``split_group``)
``time``     one date for all users: ``split_time``, or the one that ``split_shares`` make
``none``     as ``eval_args`` or the files of ``benchmark_filename`` say
===========  ==========================================================================
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recbole_bns.common.errors import UsageError

NONE = "none"
KINDS = ("last", "last_k", "ratio", "time", NONE)
WITHOUT_TIMES = ("ratio", NONE)
READ_BY: dict[str, tuple[str, ...]] = {
    "split_k": ("last_k",),
    "split_shares": ("ratio", "time"),
    "split_group": ("ratio",),
    "split_time": ("time",),
}
"""Settings of some splits -> those that read them."""
DEFAULT_K, DEFAULT_GROUP = 2, "user"
_DEFAULTS = {"split_k": DEFAULT_K, "split_group": DEFAULT_GROUP}
SHARES = (0.8, 0.1, 0.1)
"""Of training, validation and test where nothing is said: RecBole's."""
Moment = int | float | str
"""A number as in the column of times, or a date in ISO 8601."""


@dataclass(frozen=True)
class Split:
    """How the parts are made.

    Attributes:
        kind: one of :data:`KINDS`, but ``none``.
        k: interactions of each user that are tested, and as many that validate.
        shares: of training, validation and test; they sum to 1.
        group: ``user`` or ``all``: of whose interactions a random share is taken.
        moments: the first of the test part, or the first of validation and that of test.
    """

    kind: str
    k: int
    shares: tuple[float, ...]
    group: str
    moments: tuple[Moment, ...]

    @property
    def needs_times(self) -> bool:
        """Whether each interaction must have a time."""
        return self.kind not in WITHOUT_TIMES

    def eval_args(self) -> dict[str, Any]:
        """What RecBole is told; where it knows no such split, to leave one out."""
        if self.kind == "ratio":
            group = "user" if self.group == "user" else "none"
            return {"split": {"RS": list(self.shares)}, "order": "RO", "group_by": group}
        return {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user"}


def chosen_split(settings: Mapping[str, Any]) -> Split | None:
    """The split that settings name; None where ``eval_args`` or files make the parts.

    Args:
        settings: checked, each by itself.
    """
    kind = settings.get("split") or NONE
    if kind == NONE:
        return None
    shares = listed(settings.get("split_shares")) or list(SHARES)
    return Split(
        kind,
        k=1 if kind == "last" else int(settings.get("split_k") or DEFAULT_K),
        shares=tuple(float(share) / sum(map(float, shares)) for share in shares),
        group=str(settings.get("split_group") or DEFAULT_GROUP),
        moments=tuple(listed(settings.get("split_time"))),
    )


def check_split(settings: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """Refuse what contradicts ``split``.

    Args:
        settings: all of them, each checked by itself.
        said: the entries of ``eval_args`` that the user has written, less those at their defaults
            in a file, as the ``settings.yaml`` of a run holds them.

    Raises:
        UsageError: names both settings, and what to write.
    """
    chosen = chosen_split(settings)
    _check_read(settings, chosen)
    if chosen is not None:
        _check_beside(settings, chosen)
        _check_eval_args(said, chosen)


def _check_beside(settings: Mapping[str, Any], chosen: Split) -> None:
    """Refuse other settings that make parts."""
    if settings.get("benchmark_filename") is not None:
        raise UsageError(
            f"split: got '{chosen.kind}', but benchmark_filename names files that fix the split; "
            "leave one of them out (benchmark_filename: null, where the data set's own settings "
            "name the files)."
        )
    if settings.get("valid_ratio"):
        raise UsageError(
            f"valid_ratio: got {settings['valid_ratio']!r}, but split: {chosen.kind} makes the "
            "validation part; leave it out, or write 0 for training on both."
        )
    if len(chosen.moments) == 2 and settings.get("split_shares") is not None:
        raise UsageError(
            f"split_shares: got {settings['split_shares']!r}, but split_time names the first "
            "moments of validation and of test; leave one of them out, or name that of test alone."
        )


def _check_eval_args(said: Mapping[str, Any], chosen: Split) -> None:
    """Refuse entries of ``eval_args`` that say another split."""
    made = chosen.eval_args()
    for name, value in said.items():
        if name in made and not _is_same(value, made[name]):
            raise UsageError(
                f"eval_args.{name}: got {value!r}, but split: {chosen.kind} makes the parts; leave "
                "one of them out."
            )


def _check_read(settings: Mapping[str, Any], chosen: Split | None) -> None:
    """Refuse a setting of another split than the chosen one."""
    kind = chosen.kind if chosen else NONE
    for key, readers in READ_BY.items():
        value = settings.get(key)
        if value not in (None, _DEFAULTS.get(key)) and kind not in readers:
            raise UsageError(
                f"{key}: got {value!r}, but split is '{kind}', which does not read it; leave it "
                f"out, or write split: {' or '.join(readers)}."
            )


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values of an entry of ``eval_args`` say the same."""
    if isinstance(one, str) or one is None:
        return str(one).lower() == str(other).lower()
    return bool(one == other)


def listed(value: Any) -> list[Any]:
    """A list, a single value or None as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def shares_of(value: Any, key: str) -> Any:
    """Three shares of training, validation and test.

    Raises:
        UsageError: another number of them, or one that is not above 0.
    """
    shares = listed(value)
    fit = [isinstance(s, (int, float)) and not isinstance(s, bool) and s > 0 for s in shares]
    if len(shares) != 3 or not all(fit) or sum(shares) == float("inf"):
        raise UsageError(
            f"{key}: got {value!r}, allowed are three shares > 0 of training, validation and test: "
            "0.8,0.1,0.1."
        )
    return value


def moments_of(value: Any, key: str) -> Any:
    """The first moment of the test part, or those of validation and test.

    Raises:
        UsageError: neither numbers nor dates, or the second is not after the first.
    """
    moments = listed(value)
    read = [_position(moment) for moment in moments]
    kinds = {type(moment) is str or isinstance(moment, datetime.date) for moment in moments}
    if None in read or len(moments) not in (1, 2) or len(kinds) > 1:
        raise UsageError(
            f"{key}: got {_plain(value)!r}, allowed is the first moment of the test part, or those "
            "of validation and test: dates such as 2024-05-31 or 2024-05-31T12:00 (UTC), or "
            "numbers as in the column of times."
        )
    if len(read) == 2 and not read[0] < read[1]:  # type: ignore[operator]
        raise UsageError(
            f"{key}: got {_plain(value)!r}, allowed are two moments of which the first, that of "
            "validation, is earlier."
        )
    return value


def plain_moments(value: Any) -> Any:
    """``split_time`` as JSON has it: dates that YAML has read are words again."""
    return [_plain(each) for each in value] if isinstance(value, list) else _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime.date) else value


def _position(moment: Any) -> float | None:
    """Where a moment is in time; None for what is none."""
    if isinstance(moment, bool):
        return None
    if isinstance(moment, (int, float)):
        return moment if abs(moment) < float("inf") else None
    try:
        return seconds_of(str(_plain(moment)))
    except (ValueError, OverflowError):
        return None


def seconds_of(date: str) -> float:
    """Seconds from 1970 to a date in ISO 8601, UTC where it does not say.

    Raises:
        ValueError: it is none.
    """
    read = datetime.datetime.fromisoformat(date.strip().replace("Z", "+00:00"))
    aware = read if read.tzinfo else read.replace(tzinfo=datetime.timezone.utc)
    return aware.timestamp()


UNITS = ((1e17, 10**9), (1e14, 10**6), (1e11, 10**3), (0.0, 1))
"""Times from ... on are counted in so many parts of a second: 1e11 s is the year 5138."""


def unit_of(largest: float) -> int:
    """Parts of a second that a column of times since 1970 counts, by its largest."""
    return next(unit for bound, unit in UNITS if abs(largest) >= bound)


def number_of(moment: Moment, largest: float) -> float | int:
    """A moment as the column of times has it.

    Args:
        moment: a number, which stays, or a date.
        largest: of the column; it tells seconds from milliseconds, micro- and nanoseconds.
    """
    if not isinstance(moment, str):
        return moment
    return round(seconds_of(moment) * 10**6) * unit_of(largest) // 10**6


def in_words(time: float | int) -> str:
    """A time of a column as a date, where it is one since 1980, else the number."""
    seconds = time / unit_of(time)
    if not 3.15e8 < seconds < 1e11:
        return f"{time:g}" if isinstance(time, float) else str(time)
    read = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return read.strftime("%Y-%m-%d %H:%M")
