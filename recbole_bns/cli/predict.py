"""``recbole-bns predict``: recommendations of a trained model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from recbole_bns.common.errors import UsageError
from recbole_bns.settings.declared import EXCLUDED

from .begin import say, say_weights
from .parser import Parser, choice, count

MEANS = """\
items that a user is not recommended:
all     (default) what the user has in any part of the data
train   what the user has in the training part; items of the
        validation and test parts may be recommended
none    nothing is left out"""


def parser() -> Parser:
    """The flags of ``predict``, and its help."""
    made = Parser(
        "predict",
        "Write the best items of each user, by a trained model.",
        "The file has a line a user and rank: user, item, rank from 1, score.\n\n"
        "example: recbole-bns predict --checkpoint=DIR --users=196,186 --k=20 --out=best.csv",
    )
    made.add(
        "--checkpoint",
        "a run's folder (the weights that were tested, or those of\n"
        "train_on: all where there are some), or a file in it",
        metavar="DIR",
        required=True,
    )
    made.add(
        "--users",
        "ids separated by commas, or a file with one a line\n"
        "(default: all); one that is named twice appears once",
        metavar="A,B",
    )
    made.add(
        "--k",
        "items a user (default 20); fewer where fewer are left",
        metavar="N",
        type=count,
        default=20,
    )
    made.add("--exclude", MEANS, metavar="WHAT", type=choice(EXCLUDED), default="all")
    made.add("--data_path", "the folder of data sets, where it has moved", metavar="DIR")
    made.add(
        "--out",
        "recommendations.csv (default), or a name in .parquet",
        metavar="FILE",
        type=Path,
        default=Path("recommendations.csv"),
    )
    return made


def command(words: Sequence[str]) -> int:
    """Write recommendations.

    Raises:
        UsageError: there is no such run or user, its data is gone, or the file cannot be written.
    """
    options = parser().read(words)
    from recbole_bns.common.table_files import check_path, write_table
    from recbole_bns.runs.folder import folder_of

    check_path(options.out, (".csv", ".parquet"))
    folder_of(options.checkpoint, "--checkpoint")
    users = users_of(options.users)
    say(f"recommendations of {options.checkpoint}")
    from recbole_bns.training import trained

    model = trained.load(options.checkpoint, data_path=options.data_path)
    say_weights(model)
    table = trained.recommend(model, users, options.k, options.exclude)
    write_table(table, options.out)
    print(f"written: {options.out}, {len(table)} lines, {table.iloc[:, 0].nunique()} users")
    return 0


def users_of(value: str | None) -> list[str] | None:
    """``--users``: ids separated by commas, a file with one a line, or None for all.

    Raises:
        UsageError: the file cannot be read, or nobody is named.
    """
    if value is None or value == "all":
        return None
    # A long list of ids is too long for a path, which Path.is_file() answers with an exception.
    words = _lines(Path(value)) if os.path.isfile(value) else value.split(",")
    users = [word.strip() for word in words if word.strip()]
    if not users:
        raise UsageError(f"--users: no user is named in '{value}'; write ids, or leave it out.")
    return users


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--users: cannot read '{path}'; allowed is a text file in UTF-8 with an id a line."
        ) from error
