"""``recbole-bns prepare``: original files, or one's own, become RecBole's atomic files."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from recbole_bns.common.errors import UsageError

from .own_data import COLUMNS, NUMBERS, add_columns, look
from .parser import Parser

NAMES = """\
ml-100k       u.data, u.user
ml-1m         ratings.dat, users.dat
yahoo-r3      ydata-ymusic-rating-study-v1_0-train.txt and -test.txt
ml-100k-bns   the BNS authors' split: *train*.csv, *test*.csv
ml-1m-ahns    the AHNS authors' split: *train*.txt, *test*.txt
another name  a file of your own: .csv, .tsv, .jsonl, .parquet"""


def parser() -> Parser:
    """The words and flags of ``prepare``, and its help."""
    made = Parser(
        "prepare",
        "Write RecBole's atomic files from the original files of a data set, or from your own.",
        "example: recbole-bns prepare clicks --from clicks.csv --min_rating=4 --min_user=5",
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
    add_columns(made, shown=True)
    return made


def command(words: Sequence[str]) -> int:
    """Write a data set.

    Raises:
        UsageError: an unknown name, a file that is missing or malformed, a folder that exists.
    """
    options = parser().read(words)
    source, out = options.source.expanduser(), options.out.expanduser()
    from recbole_bns.datasets.recipes import RECIPES

    if options.name not in RECIPES and _is_own(source):
        return _prepare_own(options, source, out)
    for name in _given(options):
        raise UsageError(
            f"--{name}: got {getattr(options, name)!r}, which is for a file of your own under a "
            f"name of your own; allowed beside '{options.name}' are --from, --out and --overwrite."
        )
    from recbole_bns.datasets import prepare as data

    prepared = data.prepare(options.name, source, out, overwrite=options.overwrite)
    print(data.report(prepared))
    return 0


def _is_own(source: Path) -> bool:
    """Whether a path is one of a file of interactions, there or not."""
    from recbole_bns.datasets.own.sources import is_file_name

    return is_file_name(source) and not source.is_dir()


def _given(options: Namespace) -> dict[str, str]:
    """The flags that say what is in a file of one's own."""
    every = {name: getattr(options, name) for name in (*COLUMNS, "negatives", *NUMBERS)}
    return {name: value for name, value in every.items() if value is not None}


def _prepare_own(options: Namespace, source: Path, out: Path) -> int:
    """Write the atomic files of a file of one's own, and print what became of it."""
    from recbole_bns.datasets.write import check_target

    own = look(str(source), _given(options), options.name, "prepare NAME")
    check_target(out / own.name, overwrite=options.overwrite)
    data = own.read()
    folder = data.write(out, overwrite=options.overwrite)
    print(f"\nwritten: {', '.join(str(path) for path in sorted(folder.iterdir()))}")
    print(
        f"next:    recbole-bns run --dataset={shlex.quote(own.name)} "
        f"--data_path={shlex.quote(str(out))} --neg_sampler=bns"
    )
    return 0
