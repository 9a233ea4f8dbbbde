"""``recbole-bns prepare``: original files become RecBole's atomic files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .parser import Parser

NAMES = """\
ml-100k       u.data, u.user
ml-1m         ratings.dat, users.dat
yahoo-r3      ydata-ymusic-rating-study-v1_0-train.txt and -test.txt
ml-100k-bns   the BNS authors' split: *train*.csv, *test*.csv
ml-1m-ahns    the AHNS authors' split: *train*.txt, *test*.txt"""


def parser() -> Parser:
    """The words and flags of ``prepare``, and its help."""
    made = Parser(
        "prepare",
        "Write RecBole's atomic files from the original files of a data set.",
        "example: recbole-bns prepare ml-1m --from ml-1m.zip",
    )
    made.add("name", NAMES, metavar="NAME")
    made.add(
        "--from",
        "the folder of these files, the first of them, or a zip archive",
        dest="source",
        metavar="PATH",
        type=Path,
        required=True,
    )
    made.add(
        "--out",
        "folder of data sets (default: dataset); NAME/ appears in it",
        metavar="DIR",
        type=Path,
        default=Path("dataset"),
    )
    made.add("--overwrite", "replace the files of an earlier run", action="store_true")
    return made


def command(words: Sequence[str]) -> int:
    """Write a data set.

    Raises:
        UsageError: an unknown name, a file that is missing or malformed, a folder that exists.
    """
    options = parser().read(words)
    from recbole_bns.datasets import prepare as data

    source, out = options.source.expanduser(), options.out.expanduser()
    prepared = data.prepare(options.name, source, out, overwrite=options.overwrite)
    print(data.report(prepared))
    return 0
