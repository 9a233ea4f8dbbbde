"""``recbole-bns predict``: recommendations of a trained model, like items, someone new."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recbole_bns.common.errors import UsageError
from recbole_bns.settings.declared import EXCLUDED

from .begin import say, say_weights
from .parser import Parser, choice, count

if TYPE_CHECKING:
    import pandas as pd

MEANS = """\
items that a user is not recommended:
all     (default) what the user has in any part of the data
train   what the user has in the training part; items of the
        validation and test parts may be recommended
none    nothing is left out"""
ON_SCREEN = 10
"""Lists that a table on the screen holds."""
FILES = {"users": "recommendations.csv", "similar": "similar.csv"}
"""What is written where more are asked for, and no file is named."""
FIGURES = ".4f"


def parser() -> Parser:
    """The flags of ``predict``, and its help."""
    made = Parser(
        "predict",
        "Write the best items of each user, by a trained model; or of someone who was not in\n"
        "training, or the items that are most like an item.",
        f"Without --out up to {ON_SCREEN} lists are a table on the screen. The file has a line a\n"
        "user and rank: user, item, rank from 1, score.\n\n"
        "example: recbole-bns predict --checkpoint=DIR --users=196,186 --k=20 --out=best.csv\n"
        "         recbole-bns predict --checkpoint=DIR --similar=50 --never=watched.txt",
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
        "--history",
        "items of someone who was not in training, the newest last,\n"
        "in the place of --users: ids or a file",
        metavar="A,B",
    )
    made.add(
        "--similar",
        "items, in the place of --users: those most like them, by\n"
        "the cosine of their vectors; ids or a file",
        metavar="A,B",
    )
    made.add(
        "--k",
        "items a user (default 20); fewer where fewer are left",
        metavar="N",
        type=count,
        default=20,
    )
    made.add("--only", "items that may be in a list: ids or a file (default: all)", metavar="A,B")
    made.add("--never", "items that may not: ids or a file", metavar="A,B")
    made.add("--exclude", MEANS, metavar="WHAT", type=choice(EXCLUDED))
    made.add("--data_path", "the folder of data sets, where it has moved", metavar="DIR")
    made.add(
        "--out",
        f"a name in .csv or .parquet; without it a table on the\n"
        f"screen, or {FILES['users']} where there are more than {ON_SCREEN} users",
        metavar="FILE",
        type=Path,
    )
    return made


def command(words: Sequence[str]) -> int:
    """Show or write recommendations.

    Raises:
        UsageError: there is no such run, user or item, its data is gone, its model cannot say
            what is asked, or the file cannot be written.
    """
    options = parser().read(words)
    from recbole_bns.common.table_files import check_path
    from recbole_bns.runs.folder import folder_of

    if options.out is not None:
        check_path(options.out, (".csv", ".parquet"))
    folder_of(options.checkpoint, "--checkpoint")
    kind = _kind(options)
    asked = {"users": users_of(options.users)}
    for flag in ("history", "similar", "only", "never"):
        asked[flag] = ids_of(getattr(options, flag), flag, "item")
    say(f"recommendations of {options.checkpoint}")
    from recbole_bns.training.model import load

    model = load(options.checkpoint, data_path=options.data_path)
    say_weights(model.trained)
    _give(model, _answer(model, kind, asked, options), kind, options.out)
    return 0


def _kind(options: argparse.Namespace) -> str:
    """What is asked for: lists of ``users``, of a ``history``, or ``similar`` items.

    Raises:
        UsageError: two of them, or ``--exclude`` where it says nothing.
    """
    given = [kind for kind in ("users", "history", "similar") if getattr(options, kind) is not None]
    if len(given) > 1:
        raise UsageError(
            f"--{given[1]}: got --{given[0]} too; allowed is one of --users, --history, --similar."
        )
    kind = (given or ["users"])[0]
    if kind == "similar" and options.exclude is not None:
        raise UsageError(
            "--exclude: got with --similar, where no user is; use --never=A,B to leave items out."
        )
    if kind == "history" and options.exclude == "train":
        raise UsageError("--exclude: got 'train', allowed with --history: all, none.")
    return kind


def _answer(
    model: Any, kind: str, asked: Mapping[str, list[str] | None], options: argparse.Namespace
) -> pd.DataFrame:
    chosen = {"k": options.k, "only": asked["only"], "never": asked["never"]}
    if kind == "similar":
        return model.similar_items(asked["similar"], **chosen)
    exclude = options.exclude or "all"
    if kind == "history":
        table = model.recommend_for_history(asked["history"], exclude=exclude, **chosen)
        return table.drop(columns="history")
    return model.recommend(asked["users"], exclude=exclude, **chosen)


def _give(model: Any, table: pd.DataFrame, kind: str, out: Path | None) -> None:
    """Write the table, or show it."""
    lists = 1 if kind == "history" else table.iloc[:, 0].nunique()
    if out is None and lists <= ON_SCREEN:
        print(_shown(table, "similar" if kind == "similar" else table.columns[-3], model.titles))
        return
    from recbole_bns.common.table_files import write_table

    path = Path(FILES[kind]) if out is None else out
    write_table(table, path)
    of = {"users": f", {lists} users", "similar": f", {lists} items", "history": ""}[kind]
    print(f"written: {path}, {len(table)} lines{of}")


def _shown(table: pd.DataFrame, found: str, titles: Mapping[str, str]) -> str:
    """A table for people, with titles of the items where there are some."""
    from tabulate import tabulate

    if table.empty:
        return "nothing is left to recommend"
    if titles:
        place = table.columns.get_loc(found) + 1
        table.insert(place, "title", [titles.get(item, "") for item in table[found]])
    numbers = {"rank", "score"}
    return tabulate(
        table.astype({"rank": int}).values.tolist(),
        list(table.columns),
        floatfmt=FIGURES,
        disable_numparse=[n for n, name in enumerate(table.columns) if name not in numbers],
    )


def users_of(value: str | None) -> list[str] | None:
    """``--users``: ids separated by commas, a file with one a line, or None for all.

    Raises:
        UsageError: the file cannot be read, or nobody is named.
    """
    return None if value == "all" else ids_of(value, "users", "user")


def ids_of(value: str | None, flag: str, what: str) -> list[str] | None:
    """Ids separated by commas, or of a file with one a line; None where the flag is not given.

    Args:
        value: of the flag.
        flag: its name.
        what: is named, in one word.

    Raises:
        UsageError: the file cannot be read, or nothing is named.
    """
    if value is None:
        return None
    # A long list of ids is too long for a path, which Path.is_file() answers with an exception.
    words = _lines(Path(value), flag) if os.path.isfile(value) else value.split(",")
    found = [word.strip() for word in words if word.strip()]
    if not found:
        raise UsageError(f"--{flag}: no {what} is named in '{value}'; write ids, or leave it out.")
    return found


def _lines(path: Path, flag: str) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--{flag}: cannot read '{path}'; allowed is a text file in UTF-8 with an id a line."
        ) from error
