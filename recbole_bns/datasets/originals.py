"""Data sets as their authors publish them: where a file is, and what stands in which line.

Formats: GroupLens' READMEs of MovieLens (``u.data``, ``u.user``, ``ratings.dat``, ``users.dat``),
the one of Yahoo! Webscope R3, and the splits of the BNS authors (CSV) and the AHNS authors (a
user's items on a line). What such a data set becomes is decided in :mod:`.prepare`.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

import pandas as pd

from recbole_bns.common.errors import UsageError

USER, ITEM = "user_id:token", "item_id:token"
_BOM = b"\xef\xbb\xbf"
_NO_ITEM = "\n"  # what no line can hold
_HEADER = re.compile(r"[A-Za-z_]+(,[A-Za-z_]+)*")


@dataclass(frozen=True)
class Field:
    """A field of a line: its column in the atomic file and what may stand in it."""

    column: str
    pattern: str
    allowed: str
    low: float = 0
    high: float | None = None

    @property
    def word(self) -> str:
        """What a reader calls it: ``user`` for ``user_id:token``."""
        return self.column.partition(":")[0].removesuffix("_id")

    def fits(self, text: str) -> bool:
        """Whether this text may stand there."""
        if not re.fullmatch(self.pattern, text):
            return False
        return self.high is None or self.low <= float(text) <= self.high


def numbered(column: str, low: int, high: int) -> Field:
    """A number of a user or an item; one without leading zeros, so that it has one spelling."""
    return Field(column, "0|[1-9][0-9]*", f"a whole number from {low} to {high}", low, high)


@dataclass(frozen=True)
class Original:
    """A file as its authors publish it.

    Attributes:
        name: of the file, ``*`` for anything.
        fields: of a line, in order.
        separator: between them.
        header: whether the first line may name the fields.
        grouped: whether a line holds a user and any number of items.
    """

    name: str
    fields: tuple[Field, ...]
    separator: str
    header: bool = False
    grouped: bool = False

    @property
    def form(self) -> str:
        """How a line looks."""
        words = self.separator.replace("\t", "<TAB>").join(field.word for field in self.fields)
        return f"{words} {self.fields[-1].word} ..." if self.grouped else words


@dataclass(frozen=True)
class File:
    """A file that was found: its name, where it is in words, and how to get its content."""

    name: str
    where: str
    content: Callable[[], bytes]


def locate(source: Path, originals: Sequence[Original]) -> dict[Original, File]:
    """Those of the files that are in a folder, in a zip archive, or beside a file that is given.

    Args:
        source: a folder; a zip archive; or one of the files, the first of ``originals`` where its
            name says nothing. The others are then looked for in its folder.
        originals: what is looked for.

    Raises:
        UsageError: the source cannot be read, or two of its files could be the same one.
    """
    files, given = _files(source)
    found: dict[Original, File] = {}
    for original in originals:
        hits = [file for file in files if fnmatch(file.name.lower(), original.name)]
        if given in hits:
            hits, given = [given], None
        if len(hits) > 1:
            raise UsageError(
                f"--from: {' and '.join(file.where for file in hits)} could each be the file "
                f"{original.name}; give a folder with one of them."
            )
        if hits:
            found[original] = hits[0]
    if given is not None:
        found[originals[0]] = given
    return found


def _files(source: Path) -> tuple[list[File], File | None]:
    """The files of a source, and the one that it is itself."""
    try:
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                members = [info.filename for info in archive.infolist() if not info.is_dir()]
            packed = [
                File(Path(name).name, f"{source}/{name}", partial(_unpack, source, name))
                for name in members
            ]
            return [file for file in packed if not file.name.startswith(".")], None
        if source.suffix == ".zip" and source.is_file():
            raise zipfile.BadZipFile("it is no whole zip archive")
        folder = source if source.is_dir() else source.parent
        paths = [path for path in sorted(folder.iterdir()) if path.is_file()]
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"--from: cannot read '{source}': {_reason(error)}.") from error
    files = {path: File(path.name, str(path), path.read_bytes) for path in paths}
    shown = [file for file in files.values() if not file.name.startswith(".")]
    return shown, files.get(source)


def _unpack(archive: Path, member: str) -> bytes:
    with zipfile.ZipFile(archive) as opened:
        return opened.read(member)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).rstrip(".")


def read(file: File, original: Original) -> pd.DataFrame:
    """The file's content as text, a column a field; the index is the number of the line.

    Raises:
        UsageError: it cannot be read, is empty, or a line is malformed (says which, and why).
    """
    try:
        raw = file.content()
    except (OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(f"{file.where}: cannot be read: {_reason(error)}.") from error
    text = raw.removeprefix(_BOM).decode("latin-1").replace("\r\n", "\n").rstrip("\n")
    lines = text.split("\n") if text else []
    first = 1
    if original.header and lines and _HEADER.fullmatch(lines[0]):
        _check_header(file, original.fields, lines[0])
        first = 2
    numbers: Sequence[int] = range(first, len(lines) + 1)
    if original.grouped:
        numbers, columns = _ungroup(original, lines)
    else:
        columns = _columns(file, original, lines[first - 1 :], first)
    _check_fields(file, original.fields, numbers, columns)
    names = [field.column for field in original.fields]
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)), index=pd.Index(numbers))
    if original.grouped:
        frame = frame[frame[ITEM] != _NO_ITEM]
    if frame.empty:
        raise UsageError(
            f"{file.where}: there is nothing in it; allowed are lines {original.form}."
        )
    return frame


def _check_header(file: File, fields: Sequence[Field], line: str) -> None:
    """Make sure that a header with the fields' own words has them in their order."""
    found, wanted = line.lower().split(","), [field.word for field in fields]
    if found != wanted and sorted(found) == sorted(wanted):
        raise UsageError(
            f"{file.where}, line 1: the columns are {line!r}, allowed is {','.join(wanted)!r}; "
            "put them in that order."
        )


def _columns(file: File, original: Original, lines: Sequence[str], first: int) -> list[list[str]]:
    """The fields of all lines, which are cut at once: a million lines in a second."""
    width = len(original.fields)
    for number, line in enumerate(lines, first):
        fields = line.count(original.separator) + 1
        if fields != width:
            before = _columns(file, original, lines[: number - first], first)
            _check_fields(file, original.fields, range(first, number), before)
            raise UsageError(
                f"{file.where}, line {number}: {line[:80]!r} has {fields} field{'s' * (fields > 1)}"
                f", allowed are the {width} of {original.form}."
            )
    text = "\n".join(lines)
    cut = text.replace(original.separator, "\n").split("\n") if lines else []
    return [cut[place::width] for place in range(width)]


def _ungroup(original: Original, lines: Sequence[str]) -> tuple[list[int], list[list[str]]]:
    """The pairs of lines that hold a user and any number of items, with their lines' numbers."""
    cut = [line.rstrip(" ").split(original.separator) for line in lines]
    rows = [row if len(row) > 1 else [*row, _NO_ITEM] for row in cut]
    numbers = [number for number, row in enumerate(rows, 1) for _ in row[1:]]
    users = [row[0] for row in rows for _ in row[1:]]
    return numbers, [users, [item for row in rows for item in row[1:]]]


def _check_fields(
    file: File,
    fields: Sequence[Field],
    numbers: Sequence[int],
    columns: Sequence[Sequence[str]],
) -> None:
    """Look at each value once, however often it is there; name the first line with a bad one."""
    bad = []
    for order, (field, values) in enumerate(zip(fields, columns, strict=True)):
        wrong = {value for value in set(values) if not field.fits(value)} - {_NO_ITEM}
        bad += [(place, order) for place, value in enumerate(values) if value in wrong][:1]
    if bad:
        place, order = min(bad)
        value = columns[order][place][:80]
        raise UsageError(
            f"{file.where}, line {numbers[place]}: {fields[order].word} is {value!r}, "
            f"allowed is {fields[order].allowed}."
        )
