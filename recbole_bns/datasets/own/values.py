"""What is in a column: ids as words, numbers, times in seconds, labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NoReturn

import numpy as np
import pandas as pd

PAD = "[PAD]"
"""RecBole's word for nobody."""
_BREAKS = re.compile("[\t\n\r\0]")
_NAMES = {"\t": "a tab", "\n": "a line break", "\r": "a line break", "\0": "a NUL character"}


class Refused(Exception):
    """A value that cannot be what its column is; whoever knows the file makes a sentence of it.

    Args:
        row: in the column, from 0.
        what: was got, and what is allowed: the sentence's end, without the stop.
    """

    def __init__(self, row: int, what: str) -> None:
        super().__init__(what)
        self.row, self.what = row, what


def words_of(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Ids as words: integers without ``.0``, text as it is.

    Args:
        column: ``(N,)`` of any type.

    Returns:
        ``(N,)`` codes, and the word of each code, different ones.

    Raises:
        Refused: an id is missing, is no whole number, or cannot stand in an atomic file.
    """
    codes, values = _factorized(column)
    if (codes < 0).any():
        _refuse(codes, -1, "the id is missing; fill it in, or leave the row out")
    words = [_word(value, code, codes) for code, value in enumerate(values)]
    _check_words(words, codes)
    if len(set(words)) == len(words):
        return codes, words
    again, kept = pd.factorize(np.array(words, object))  # 1 and "1" in a column of objects
    return again[codes], list(kept)


def _factorized(column: pd.Series) -> tuple[np.ndarray, Any]:
    """``(N,)`` codes, -1 for what is missing, and the different values."""
    try:
        return pd.factorize(column)
    except TypeError:  # a list or a dict, which has no hash
        kinds = column.map(lambda value: isinstance(value, (dict, list, set, np.ndarray)))
        row = int(kinds.to_numpy(bool).argmax())
        got = f"{column.iloc[row]!r:.60}"
        raise Refused(row, f"got {got}, allowed are whole numbers and text") from None


def _refuse(codes: np.ndarray, code: int, what: str) -> NoReturn:
    raise Refused(int((codes == code).argmax()), what)


def _word(value: Any, code: int, codes: np.ndarray) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (float, np.floating)):
        if not float(value).is_integer():
            _refuse(codes, code, f"got {float(value)!r} for an id, allowed are whole numbers, text")
        return str(int(value))
    if isinstance(value, (bytes, tuple)):
        got = f"{value!r:.60}"
        _refuse(codes, code, f"got {got} for an id, allowed are whole numbers and text")
    return str(value)


def _check_words(words: Sequence[str], codes: np.ndarray) -> None:
    """All words can stand in an atomic file: none is empty, breaks its line, or is RecBole's."""
    text = "".join(words)
    broken = _BREAKS.search(text) is not None
    try:
        text.encode()
    except UnicodeEncodeError:
        broken = True
    if not broken and "" not in words and PAD not in words:
        return
    for code, word in enumerate(words):
        found = _BREAKS.search(word)
        if not word:
            _refuse(codes, code, "the id is missing; fill it in, or leave the row out")
        if found:
            _refuse(
                codes,
                code,
                f"the id {word[:60]!r} holds {_NAMES[found[0]]}, which ends a field of RecBole's "
                "files; replace it in the ids, such as by a space",
            )
        if word == PAD:
            _refuse(codes, code, f"the id {PAD!r} is RecBole's word for nobody; rename it")
        if not _is_text(word):
            _refuse(codes, code, f"the id {word!a:.60} is no text in Unicode; rename it")


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def numbers_of(column: pd.Series) -> np.ndarray:
    """``(N,)`` float64.

    Raises:
        Refused: a value is missing or no finite number.
    """
    if column.dtype.kind in "Mm":
        raise Refused(0, f"got {column.iloc[0]}, allowed are numbers")
    try:
        found = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    except TypeError:  # lists or dicts
        found = np.full(len(column), np.nan)
    bad = ~np.isfinite(found)
    if bad.any():
        row = int(bad.argmax())
        raise Refused(row, _no_number(column.iloc[row]))
    return found


def _no_number(value: Any) -> str:
    if value is None or value != value or value == "":
        return "the number is missing; fill it in, leave the row out, or take no such column"
    return f"got {value!r:.60}, allowed are finite numbers such as 4.5"


def times_of(column: pd.Series) -> np.ndarray:
    """``(N,)`` float64: numbers as they are, dates as seconds since 1970 (UTC).

    Raises:
        Refused: a value is missing, or neither a number nor a date in the order of ISO 8601.
    """
    if not is_dates(column):
        return numbers_of(column)
    found = _dates(column)
    bad = np.isnan(found)
    if bad.any():
        row = int(bad.argmax())
        value = column.iloc[row]
        if value is None or value != value or value == "":
            raise Refused(row, "the time is missing; fill it in, or leave the row out")
        raise Refused(
            row,
            f"got {str(value)[:60]!r}, allowed are dates such as 2024-12-31 or "
            "2024-12-31T10:00:00Z, and seconds since 1970",
        )
    return found


def is_dates(column: pd.Series) -> bool:
    """Whether a column holds dates, by its type or by its first value."""
    if column.dtype.kind == "M":
        return True
    first = next((value for value in column if value is not None and value == value), None)
    if isinstance(first, str):
        return re.fullmatch(r"\s*[-+]?[\d.]+([eE][-+]?\d+)?\s*", first) is None
    return isinstance(first, (date, datetime, np.datetime64))


def _dates(column: pd.Series) -> np.ndarray:
    """``(N,)`` seconds since 1970, NaN for what is no date."""
    if column.dtype.kind == "O":
        column = column.astype("string").str.strip().str.replace(r"\s*UTC$", "Z", regex=True)
        column = column.mask(~column.str.match(r"\d{4}-?\d\d-?\d\d").fillna(False).astype(bool))
    options = {"format": "ISO8601"} if int(pd.__version__.partition(".")[0]) >= 2 else {}
    times = pd.to_datetime(column, errors="coerce", utc=True, **options)
    seconds = (times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    return seconds.to_numpy(np.float64, na_value=np.nan)


_LABELS = {"1": True, "0": False, "true": True, "false": False, "1.0": True, "0.0": False}


def labels_of(column: pd.Series) -> np.ndarray:
    """``(N,)`` bool: 1 and True are interactions, 0 and False are known dislikes.

    Raises:
        Refused: a value is neither.
    """
    codes, values = _factorized(column)
    if (codes < 0).any():
        _refuse(codes, -1, "the label is missing; write 1 or 0, or leave the row out")
    read = np.zeros(len(values) + 1, bool)
    for code, value in enumerate(values):
        word = str(value).strip().lower()
        if word not in _LABELS:
            got = f"{value!r:.60}" if isinstance(value, str) else str(value)[:60]
            _refuse(
                codes,
                code,
                f"got {got} for a label, allowed are 1 and True (an interaction), 0 and False (a "
                "known dislike)",
            )
        read[code] = _LABELS[word]
    return read[codes]


UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Times as large as this are in nano-, micro- and milliseconds: so many are a second."""
DATED = 1e8
"""Numbers up to here (March 1973 in seconds) are no dates but numbers of something."""


def as_seconds(times: np.ndarray) -> np.ndarray:
    """Numbers that are times in seconds since 1970, whatever their unit; others as they are.

    Args:
        times: ``(N,)`` seconds, milliseconds, microseconds, nanoseconds, days as ``YYYYMMDD``, or
            numbers that say an order alone.
    """
    if not len(times):
        return times
    most = np.abs(times).max()
    if _are_days(times):
        days = pd.to_datetime(pd.Series(times.astype(np.int64).astype(str)), format="%Y%m%d")
        return (days.to_numpy("datetime64[s]").astype(np.int64)).astype(np.float64)
    scale = next((scale for limit, scale in UNITS if most >= limit), 1.0)
    return times if scale == 1 else times / scale


def _are_days(times: np.ndarray) -> bool:
    if times.min() < 19000101 or times.max() > 21001231 or (times % 1).any():
        return False
    month, day = times // 100 % 100, times % 100
    in_range = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    if not in_range.all():
        return False
    words = pd.Series(np.unique(times).astype(np.int64).astype(str))
    return bool(pd.to_datetime(words, format="%Y%m%d", errors="coerce").notna().all())
