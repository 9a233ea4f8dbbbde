"""``--data=FILE`` of ``run``, ``compare`` and ``tune``: interactions of one's own."""

from __future__ import annotations

import filecmp
import shlex
import tempfile
from argparse import SUPPRESS
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recbole_bns.common.errors import UsageError

from .begin import say
from .parser import Parser

if TYPE_CHECKING:  # pandas, which takes half a second
    from recbole_bns.datasets.own.filters import Least
    from recbole_bns.datasets.own.gather import Table
    from recbole_bns.datasets.own.interactions import Interactions

COLUMNS = {
    "user": "the column of users; of a file without names, columns by number: --user=1",
    "item": "the column of items",
    "time": "the column of times: dates, or numbers; none: take none, so too below",
    "rating": "the column of ratings",
    "label": "a column of 1 (an interaction) and 0 (a known dislike)",
    "weight": "a column of weights",
}
NUMBERS = {
    "min_rating": "leave out interactions with a rating below N",
    "min_user": "keep users with N items or more, to a fixed point with the next",
    "min_item": "keep items with N users or more",
}
NEGATIVES = "known dislikes: a second file, with columns of users and items of the same names"
SETTINGS = ("weight", "negatives")
"""Flags that without ``--data`` are settings: of GCSAN, and the file of known dislikes."""
WITHOUT = ("resume", "data_path", "benchmark_filename")
"""Flags that say otherwise where the data are."""


def add_data(made: Parser) -> None:
    """Declare ``--data`` and the flags that go with it, which the help of ``prepare`` explains."""
    made.add(
        "--data",
        "your own .csv, .jsonl, .parquet; --user=COLUMN, --item ... as in prepare",
        metavar="FILE",
        raw=True,
    )
    add_columns(made, shown=False)


def add_columns(made: Parser, *, shown: bool) -> None:
    """Declare the flags that say what is in a file, and what is kept of it."""
    for name, meaning in COLUMNS.items():
        made.add(f"--{name}", meaning if shown else SUPPRESS, metavar="COLUMN", raw=True)
    made.add("--negatives", NEGATIVES if shown else SUPPRESS, metavar="FILE", raw=True)
    for name, meaning in NUMBERS.items():
        made.add(f"--{name}", meaning if shown else SUPPRESS, metavar="N", raw=True)


@dataclass(frozen=True)
class Own:
    """Interactions that are asked for, the first rows of which have been looked at."""

    name: str
    table: Table
    negatives: Table | None
    least: Least
    command: str
    """The words that repeat it."""

    def read(self) -> Interactions:
        """Read all rows, and print what there is to know of them.

        Raises:
            UsageError: a value cannot be what its column is, or nothing is left.
        """
        from recbole_bns.datasets.own.filters import filtered
        from recbole_bns.datasets.own.gather import gather

        if self.command:
            print(self.command, flush=True)
        data = filtered(gather(self.table, self.name, self.negatives), self.least)
        print(data, flush=True)
        return data


def taken(flags: dict[str, Any], command: str, words: Sequence[str]) -> Own | None:
    """Take the flags of one's own data out of the others, and look at the file's first rows.

    Args:
        flags: of the command line; those that are read here are gone after it.
        command: the command's name.
        words: that were written.

    Returns:
        None where no file is named.

    Raises:
        UsageError: a flag that goes with ``--data`` alone, a file that is not there, or columns
            that cannot be told.
    """
    path = flags.pop("data", None)
    names = [*COLUMNS, "negatives", *NUMBERS]
    if path is None:
        _refuse_without(flags, [name for name in names if name not in SETTINGS])
        return None
    _refuse_beside(flags, str(path))
    own = {name: flags.pop(name) for name in names if name in flags}
    say(f"data of {path}", "pandas")
    found = look(str(path), own, flags.pop("dataset", None))
    more = [f"--{role}={name}" for role, name in found.table.roles.items() if role not in own]
    repeats = shlex.join(["recbole-bns", command, *words, *more])
    flags["dataset"] = found.name
    return Own(found.name, found.table, found.negatives, found.least, repeats)


def look(path: str, own: Mapping[str, Any], name: str | None, setting: str = "--dataset") -> Own:
    """Look at the first rows of a file.

    Args:
        path: of it.
        own: the flags that go with it, as they were written.
        name: of the data set, or None: the file's.
        setting: that names it.

    Raises:
        UsageError: see :func:`taken`.
    """
    from recbole_bns.datasets.own import roles
    from recbole_bns.datasets.own.gather import Table
    from recbole_bns.datasets.own.make import check_name, dislikes
    from recbole_bns.datasets.own.sources import open_file, stem_of

    least = _least(own)
    file = Path(path).expanduser()
    columns = {role: own[role] for role in COLUMNS if role in own}
    table = Table(open_file(file, list(columns.values())), roles.Asked(columns))
    if least.rating is not None and "rating" not in table.roles:
        raise UsageError(
            f"--min_rating: got {least.rating:g}, but no column of '{file}' is one of ratings; "
            "name it with --rating=COLUMN, or leave it out."
        )
    negatives = own.get("negatives")
    name = stem_of(file) if name is None else str(name)
    check_name(name, setting)
    return Own(name, table, None if negatives is None else dislikes(negatives, table), least, "")


def named(flags: Mapping[str, Any], *, of_rows: bool = False) -> str:
    """How a folder is named after what flags ask for: ``BPR-dns+ssm``.

    Args:
        flags: of the command line.
        of_rows: the samplers are those of rows, and the model alone is named.
    """
    from recbole_bns.settings import early
    from recbole_bns.settings.properties import cell

    rest = {key: value for key, value in flags.items() if key not in early.OF_A_SWEEP}
    model, dataset, files = (rest.pop(key, None) for key in ("model", "dataset", "config_files"))
    asked = early.read_words(files, rest).asked(model, dataset)
    return asked.model if of_rows else f"{asked.model}-{cell(*asked.chosen)}"


def put(flags: dict[str, Any], own: Own, out: Path) -> None:
    """Write the data once into the folder of a comparison or a sweep, which is the flags' then.

    Raises:
        UsageError: the folder holds other data, or cannot be written.
    """
    root = out / "data"
    data = own.read()
    if (root / own.name).exists():
        _check_equal(data, root / own.name, out)
    else:
        data.write(root)
    flags |= {"dataset": own.name, "data_path": str(root.resolve()), "out": str(out)}


def _check_equal(data: Interactions, folder: Path, out: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        new = data.write(Path(beside))
        names = sorted({path.name for each in (new, folder) for path in each.iterdir()})
        _, *others = filecmp.cmpfiles(new, folder, names, shallow=False)
    if any(others):
        raise UsageError(
            f"--out: '{out}' holds other data of the name '{data.name}' than --data has now; bring "
            "those back, or name another folder with --out=DIR."
        )


def _refuse_without(flags: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if name in flags:
            raise UsageError(
                f"--{name}: got {flags[name]!r}, which says what is in a file of your own; name "
                "that with --data=FILE, or leave it out."
            )


def _refuse_beside(flags: Mapping[str, Any], path: str) -> None:
    for name in WITHOUT:
        if flags.get(name) not in (None, False):
            remedy = "leave one of the two out"
            if name == "resume":
                remedy = "they lie in the folder of what goes on: leave --data out"
            raise UsageError(
                f"--{name}: got {flags[name]!r} beside --data={path}, but the data are that "
                f"file's; {remedy}."
            )


def _least(own: Mapping[str, Any]) -> Least:
    from recbole_bns.datasets.own.filters import Least

    rating = None if "min_rating" not in own else _number(own["min_rating"], "min_rating")
    counts = {name: _count(own.get(name, "1"), name) for name in ("min_user", "min_item")}
    return Least(rating, counts["min_user"], counts["min_item"])


def _number(word: str, name: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = float("nan")
    if value - value != 0:
        raise UsageError(f"--{name}: got {word!r}, allowed is a number such as 4.")
    return value


def _count(word: str, name: str) -> int:
    if not (word.isdecimal() and int(word) > 0):
        raise UsageError(f"--{name}: got {word!r}, allowed is an integer >= 1.")
    return int(word)
