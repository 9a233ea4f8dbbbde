"""Files of any encoding, decoded piece by piece into UTF-8 with one kind of line end."""

from __future__ import annotations

import codecs
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from recbole_bns.common.errors import UsageError

PIECE = 1 << 24
"""Bytes at once."""
MARKS = {  # UTF-32's first: it begins as UTF-16's does
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8",
}
"""Byte order marks, and what a file that begins with one is encoded in."""


def decoded(path: Path, encoding: str, size: int = PIECE) -> Iterator[bytes]:
    """The text of a file in UTF-8, without byte order mark, lines ended by a line feed each.

    Args:
        path: the file.
        encoding: its name; UTF-8 may begin with a byte order mark.
        size: bytes that are read at once.

    Raises:
        UsageError: the file is written in another encoding, or there is no such one.
    """
    name = _codec(encoding)
    with _opened(path) as file:
        _check_mark(path, file.read(4), name, encoding)
        file.seek(0)
        decoder = io.IncrementalNewlineDecoder(
            codecs.getincrementaldecoder("utf-8-sig" if name == "utf-8" else name)(),
            translate=True,
        )
        lines = 1
        while True:
            raw = file.read(size)
            _check_other(path, raw, name, encoding)
            try:
                text = decoder.decode(raw, final=not raw)
            except UnicodeDecodeError as error:
                raise UsageError(_undecodable(path, error, lines, encoding)) from error
            if text:
                lines += text.count("\n")
                yield text.encode()
            if not raw:
                return


def start_of(path: Path) -> bytes:
    """A file's first four bytes, by which a byte order mark is known."""
    with _opened(path) as file:
        return file.read(4)


def _opened(path: Path) -> BinaryIO:
    """A file to read, unpacked where its name ends in ``.gz``."""
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _codec(encoding: str) -> str:
    """Python's name of an encoding of text."""
    try:
        info = codecs.lookup(encoding)
        " ".encode(encoding)  # bytes to bytes, as in base64, is refused here
    except (LookupError, TypeError, ValueError) as error:
        raise UsageError(
            f"encoding: got {encoding!r}, allowed is the name of one that Python knows, such as "
            "utf-8, utf-16, latin-1, gbk."
        ) from error
    return "utf-8" if info.name == "utf-8-sig" else info.name


def _check_mark(path: Path, start: bytes, name: str, encoding: str) -> None:
    """Refuse a byte order mark of another encoding."""
    mark = next((mark for mark in MARKS if start.startswith(mark)), None)
    if mark is not None and not name.startswith(MARKS[mark]):
        raise UsageError(
            f"{path}, line 1: it begins with the byte order mark of {MARKS[mark]}; encoding: got "
            f"{encoding!r}, allowed is the file's own, {MARKS[mark]}."
        )


def _check_other(path: Path, raw: bytes, name: str, encoding: str) -> None:
    """Refuse UTF-8 that is read as an encoding of one byte a character, which decodes anything."""
    if name in ("utf-8", "ascii") or raw.isascii() or not _is_single_byte(name):
        return
    try:
        codecs.getincrementaldecoder("utf-8")().decode(raw)
    except UnicodeDecodeError:
        return
    line = next(n for n, text in enumerate(raw.split(b"\n"), 1) if not text.isascii())
    raise UsageError(
        f"{path}, line {line}: its letters are those of UTF-8; encoding: got {encoding!r}, allowed "
        "is the file's own, utf-8."
    )


def _is_single_byte(name: str) -> bool:
    return len(bytes(range(256)).decode(name, "replace")) == 256


def _undecodable(path: Path, error: UnicodeDecodeError, lines: int, encoding: str) -> str:
    before = error.object[: error.start].decode(error.encoding, "ignore")
    line = lines + len(before.splitlines()) - (not before.endswith("\n")) * bool(before)
    byte = error.object[error.start : error.start + 1].hex()
    return (
        f"{path}, line {line}: byte {byte} is no text in {encoding}; allowed is the file's own "
        "encoding: name it, such as encoding: latin-1, utf-16 or gbk, or save the file in UTF-8."
    )
