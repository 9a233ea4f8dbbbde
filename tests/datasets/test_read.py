"""The reader against a plain one, on files of every shape."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from recbole_bns import UsageError
from recbole_bns.datasets import encodings, read
from recbole_bns.datasets.read import Format, read_header, read_table

FORM = Format("\t", " ", "utf-8")
EVERY = examples(max_examples=60, deadline=None, derandomize=True)
SEPARATORS = ("\t", ",", ";", "|", "::", "§", "\x1f")
ODD = ["NA", "nan", "None", "null", "", '"', "'", '"a', 'a"', "#", "\\", "007", "7", "-0", "+1"]
ODD += [
    " 1",
    "1.0",
    "1e5",
    "True",
    "é",
    "e\u0301",
    "用户",
    "\u2028",
    "\x85",
    "\x0b",
    "\ufeffx",
    "9" * 30,
]


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of few lines, so that small files have many."""
    monkeypatch.setattr(encodings.decoded, "__defaults__", (64,))
    monkeypatch.setattr(read._blocks, "__defaults__", (64,))


def words(separator: str, sequence: bool) -> Any:
    """Fields that hold no separator and no line end; neither NUL, which is refused."""
    excluded = set(separator) | set("\r\n\0") | (set(" ") if not sequence else set())
    letters = st.characters(blacklist_categories=["Cs"], blacklist_characters="".join(excluded))
    odd = [word for word in ODD if not set(word) & excluded]
    return st.one_of(st.sampled_from(odd), st.text(letters, max_size=5), st.integers().map(str))


@st.composite
def files(draw: Any) -> dict[str, Any]:
    """What a file says, and how it is written."""
    separator = draw(st.sampled_from(SEPARATORS))
    types = draw(st.lists(st.sampled_from(read.TYPES), min_size=2, max_size=5))
    numbers = st.one_of(
        st.integers(-(2**60), 2**60).map(str), st.floats(allow_nan=False, width=64).map(repr)
    ).filter(lambda word: math.isfinite(float(word)))
    fields = {
        "token": words(separator, True),
        "token_seq": st.lists(words(separator, False), max_size=3).map(" ".join),
        "float": st.one_of(numbers, st.just("")),
        "float_seq": st.lists(numbers, max_size=3).map(" ".join),
    }
    rows = draw(st.lists(st.tuples(*(fields[kind] for kind in types)), min_size=1, max_size=12))
    return {
        "separator": separator,
        "types": types,
        "rows": rows,
        "ending": draw(st.sampled_from(["\n", "\r\n", "\r"])),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"])),
        "tail": draw(st.integers(0, 2)),
    }


def write(path: Path, file: dict[str, Any]) -> None:
    header = [f"c{n}:{kind}" for n, kind in enumerate(file["types"])]
    lines = [file["separator"].join(row) for row in [header, *file["rows"]]]
    text = file["ending"].join(lines) + file["ending"] * file["tail"]
    path.write_bytes(text.encode(file["encoding"]))


def plain(word: str, kind: str) -> Any:
    """A field's value, read the slow way."""
    parts = [part for part in word.split(" ") if part]
    return {
        "token": lambda: word or None,
        "token_seq": lambda: parts,
        "float": lambda: float(word) if word else None,
        "float_seq": lambda: [float(part) for part in parts],
    }[kind]()


def seen(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, int):  # more exact than the plain reader
        return float(value)
    return None if isinstance(value, float) and math.isnan(value) else value


MARKED = {
    "separator": "\t",
    "types": ["token", "token_seq"],
    "rows": [("\ufeffx", ""), ("y", "\ufeff")],
    "ending": "\n",
    "encoding": "utf-8",
    "tail": 0,
}
"""A byte order mark as a part of a value, at the very start of a block."""


@EVERY
@example(file=MARKED)
@given(file=files())
@pytest.mark.parametrize("size", [64, encodings.PIECE])
def test_every_line_is_read_as_it_is_written(size: int, file: dict[str, Any]) -> None:
    rows = file["rows"]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings.decoded, "__defaults__", (size,))
        patch.setattr(read._blocks, "__defaults__", (size,))
        path = Path(folder) / "a.inter"
        write(path, file)
        form = Format(file["separator"], " ", file["encoding"])
        table = read_table(path, form, filled=())
        assert len(table.frame) == len(rows)
        for n, kind in enumerate(file["types"]):
            column = [seen(value) for value in table.frame[f"c{n}"]]
            assert column == [plain(row[n], kind) for row in rows]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("u1\ti1\t1\nu2\t\t1\n", "line 3: 'u2\\t\\t1' is malformed; .* none of them empty"),
        ("u1\ti1\t1\n\nu2\ti1\t1\n", "line 3: '' is malformed"),
        ("u1\ti1\t1\nu2\ti1\n", "line 3: 'u2\\ti1' is malformed; allowed are 3 fields"),
        ("u1\ti1\t1\nu2\ti1\t1\t\n", "line 3: .* is malformed; allowed are 3 fields"),
        ("u1\ti1\t1\nu2\ti1\tTrue\n", "line 3: .* in column 'w:float' .* got 'True'"),
        ("u1\ti1\t1\nu2\ti1\tinf\n", "line 3: .* finite numbers, got 'inf'"),
        ("u1\ti1\t1e999\n", "line 2: .* finite numbers, got '1e999'"),
        ("u1\ti1\t0x10\n", "line 2: .* finite numbers, got '0x10'"),
        ("u1\ti1\t1_000\n", "line 2: .* finite numbers, got '1_000'"),
        ("u1\ti1\t1\nu\0\ti1\t1\n", "line 3: it holds a NUL character"),
        ("", "there is no line in it but the first"),
        ("\n\n", "there is no line in it but the first"),
    ],
)
@pytest.mark.parametrize("before", [0, 40])
def test_a_malformed_line_is_named(
    body: str, sentence: str, before: int, tmp_path: Path, small_pieces: None
) -> None:
    if before and "no line" in sentence:
        before = 0
    path = tmp_path / "a.inter"
    good = "".join(f"u{n}\ti{n}\t{n}\n" for n in range(before))
    path.write_text(f"u:token\ti:token\tw:float\n{good}{body}", encoding="utf-8")
    for number in (2, 3):
        sentence = sentence.replace(f"line {number}:", f"line {number + before}:", 1)
        if f"line {number + before}:" in sentence:
            break
    with pytest.raises(UsageError, match=sentence.replace("\\t", "\\\\t")):
        read_table(path, FORM)


@pytest.mark.parametrize(
    ("content", "encoding", "sentence"),
    [
        ("u:token\n用户\n".encode("gbk"), "utf-8", "line 2: byte d3 is no text in utf-8; .*encod"),
        ("u:token\né\n".encode("latin-1"), "utf-8", "line 2: byte e9 .*encoding"),
        ("u:token\né\n".encode(), "latin-1", "line 2: .*UTF-8; encoding: got 'latin-1'"),
        ("u:token\né\n".encode(), "ascii", "line 2: byte c3 is no text in ascii"),
        ("u:token\nx\n".encode("utf-16"), "utf-8", "byte order mark of utf-16; encoding: got"),
        ("u:token\nx\n".encode("utf-8-sig"), "gbk", "byte order mark of utf-8; encoding: got"),
        ("u:token\nx\n".encode("utf-16-le"), "utf-8", "line 1: .* is no field|NUL"),
        (b"u:token\nx\n", "utf-9", "encoding: got 'utf-9', allowed is"),
        (b"u:token\nx\n", "base64", "encoding: got 'base64', allowed is"),
    ],
)
def test_another_encoding_is_named(
    content: bytes, encoding: str, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.inter"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=sentence):
        read_table(path, Format("\t", " ", encoding))


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("u:token,i:token", "separated by ',', but field_separator is '.t'; .*separator: ','"),
        ("u:token::i:token", "separated by '::', but field_separator"),
        ("u:token\tu:float", "there are two columns 'u'"),
        ("u:token\t:float", "':float' is no field"),
        ("u:token\ti", "'i' is no field of a RecBole atomic file"),
        ("u:token\ti:token ", "'i:token ' is no field"),
    ],
)
def test_a_header_that_is_none_is_named(header: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "a.inter"
    path.write_text(f"{header}\nx\ty\n", encoding="utf-8")
    with pytest.raises(UsageError, match=f"a.inter, line 1: .*{sentence}"):
        read_header(path, FORM)


@pytest.mark.parametrize("word", [None, "", "\n", "a\r", 5])
def test_a_separator_that_cannot_be_one_is_refused(word: Any) -> None:
    with pytest.raises(UsageError, match="field_separator: got"):
        Format.of({"field_separator": word, "seq_separator": " ", "encoding": None})


def test_equal_words_are_one_object_and_integers_stay_exact(tmp_path: Path) -> None:
    path = tmp_path / "a.inter"
    large = [2**60 + n for n in (1, 0, 1)]
    lines = [f"{10 + n % 2}\t{time}" for n, time in enumerate(large)]
    path.write_text("u:token\tt:float\n" + "\n".join(lines), encoding="utf-8")
    frame = read_table(path, FORM).frame
    assert frame["u"][0] is frame["u"][2]
    assert frame["t"].tolist() == large
