"""``recbole_bns.interactions``: from a file, a data frame or a sparse matrix."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recbole_bns.common.errors import UsageError

from .gather import Table, gather
from .interactions import Interactions
from .roles import ROLES, Asked
from .sources import Frame, frame_of, open_file, stem_of

NAME = "data"
"""Of a data set whose source has none."""
VALUES = "values"
"""``weight="values"``: the values of a matrix are weights."""


def interactions(
    frame: Any,
    user: str | Sequence[Any] | None = None,
    item: str | Sequence[Any] | None = None,
    time: str | None = None,
    rating: str | None = None,
    label: str | None = None,
    weight: str | None = None,
    name: str | None = None,
    negatives: Any = None,
) -> Interactions:
    """Interactions of one's own, to train on: ``run_recbole_bns("BPR", interactions(frame))``.

    Columns of which nothing is said are recognised by their names and values; ``"none"`` takes none
    for a role. Ids are the words of the values: integers without ``.0``, text as it is. Of rows
    with the same user and item the latest stays (without times: the last), with the sum of their
    weights.

    Args:
        frame: a DataFrame of pandas; what speaks the Arrow or the dataframe interchange protocol
            (polars, pyarrow); a sparse matrix of SciPy, users in rows, items in columns; or the
            path of a file (CSV, TSV, JSON lines, Parquet).
        user: the column of users; of a matrix: the ids of its rows, 0, 1, ... where none are given.
        item: the column of items; of a matrix: the ids of its columns.
        time: the column of times: dates, or numbers.
        rating: the column of ratings.
        label: a column of 1 (an interaction) and 0 (a known dislike).
        weight: a column of weights. Of a matrix the values are ratings, unless all are 1;
            ``"values"`` says that they are weights.
        name: of the data set; where nothing is said a file's own, else ``data``.
        negatives: known dislikes, as ``frame``, with the same columns of users and items.

    Raises:
        UsageError: a column that is not there or could be several, a value that cannot be what its
            column is (with its row), or nothing that could be read.
    """
    given = {"time": time, "rating": rating, "label": label, "weight": weight}
    if _is_sparse(frame):
        return _of_matrix(frame, user, item, given, name or NAME, negatives)
    asked = Asked(_columns({"user": user, "item": item, **given}), "{}={!r}")
    if name is None:
        name = stem_of(Path(frame)) if isinstance(frame, (str, os.PathLike)) else NAME
    check_name(name, "name")
    table = _table(frame, asked, "the frame")
    return gather(table, name, None if negatives is None else dislikes(negatives, table))


def dislikes(source: Any, table: Table) -> Table:
    """The known dislikes of a second source, which has the same columns of users and items."""
    own = {role: table.roles[role] for role in ("user", "item")}
    return _table(source, replace(table.asked, columns=own), "negatives", pairs_alone=True)


def _table(source: Any, asked: Asked, where: str, *, pairs_alone: bool = False) -> Table:
    if pairs_alone:
        others = {role: "none" for role in ROLES if role not in asked.columns}
        asked = replace(asked, columns={**asked.columns, **others})
    if isinstance(source, (str, os.PathLike)):
        path = Path(source).expanduser()
        return Table(open_file(path, list(asked.columns.values())), asked)
    frame = frame_of(source)
    if frame is None:
        raise UsageError(
            f"interactions: got a {type(source).__name__}, allowed are a DataFrame, what speaks "
            "the Arrow or the dataframe interchange protocol, a sparse matrix of SciPy, and the "
            "path of a file."
        )
    return Table(Frame(frame, where), asked)


def _columns(given: Mapping[str, Any]) -> dict[str, str]:
    for role, column in given.items():
        if column is not None and not isinstance(column, (str, int)):
            raise UsageError(f"{role}: got {column!r:.60}, allowed is the name of a column.")
    return {role: str(column) for role, column in given.items() if column is not None}


def check_name(name: str, setting: str) -> None:
    """Make sure that a data set's name can be a folder's.

    Raises:
        UsageError: it cannot.
    """
    bad = not name or name.startswith(".") or set(name) & set('/\\:*?"<>|\0\n\r\t')
    if bad or len(name.encode()) > 200:
        raise UsageError(
            f"{setting}: got {name!r:.80}, allowed is a name that a folder can have: clicks."
        )


def _is_sparse(data: Any) -> bool:
    from scipy import sparse

    return bool(sparse.issparse(data))


def _of_matrix(
    matrix: Any, user: Any, item: Any, given: Mapping[str, Any], name: str, negatives: Any
) -> Interactions:
    """Interactions of the entries of a matrix that are not zero."""
    import pandas as pd

    for role, value in given.items():
        if value is not None and not (role in ("weight", "rating") and value == VALUES):
            raise UsageError(
                f"{role}: got {value!r:.60}, but a matrix has no columns by name; allowed is "
                f"weight={VALUES!r}, where its values are weights and no ratings."
            )
    check_name(name, "name")
    entries = matrix.tocoo(copy=True)
    entries.sum_duplicates()
    entries.eliminate_zeros()
    ids = {"user": user, "item": item}
    columns: dict[str, Any] = {}
    numbers = zip(ids.items(), (entries.row, entries.col), entries.shape, strict=True)
    for (role, words), codes, size in numbers:
        columns[role] = _ids(words, size, role)[codes]
    role = "weight" if given["weight"] == VALUES else "rating"
    if role == "weight" or given["rating"] == VALUES or not (entries.data == 1).all():
        columns[role] = np.asarray(entries.data, np.float64)
    asked = Asked({name: name for name in columns}, "{}={!r}")
    table = Table(Frame(pd.DataFrame(columns), "the matrix"), asked)
    if negatives is None:
        return gather(table, name)
    if not _is_sparse(negatives) or negatives.shape != matrix.shape:
        raise UsageError("negatives: allowed beside a matrix is one of the same shape.")
    pairs = negatives.tocoo()
    both = {
        role: _ids(words, size, role)[codes]
        for (role, words), codes, size in zip(
            ids.items(), (pairs.row, pairs.col), entries.shape, strict=True
        )
    }
    return gather(table, name, Table(Frame(pd.DataFrame(both), "negatives"), asked_pairs()))


def asked_pairs() -> Asked:
    """Columns ``user`` and ``item``, and no others."""
    others = {role: "none" for role in ROLES if role not in ("user", "item")}
    return Asked({"user": "user", "item": "item", **others}, "{}={!r}")


def _ids(words: Any, size: int, role: str) -> np.ndarray:
    """``(size,)`` ids of a matrix's rows or columns."""
    if words is None:
        return np.arange(size)
    if isinstance(words, str) or len(words) != size:
        got = repr(words) if isinstance(words, str) else f"{len(words)} ids"
        raise UsageError(f"{role}: got {got}, allowed are {size} ids, as many as the matrix has.")
    ids = np.empty(size, object)
    ids[:] = list(words)
    return ids
