"""``recbole-bns predict`` and ``export``: what they read and write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .errors import UsageError
from .parquet import check_format
from .whole_file import whole_file


def users_of(value: Any) -> list[str] | None:
    """``--users``: ids separated by commas, a file with one a line, or None for all."""
    if value is None or str(value) == "all":
        return None
    if Path(str(value)).is_file():
        lines = Path(str(value)).read_text(encoding="utf-8").splitlines()
        return [line.strip() for line in lines if line.strip()]
    return [word.strip() for word in str(value).split(",")]


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV or Parquet, whole or not at all.

    Raises:
        UsageError: the ending is neither, a package is missing, or the place cannot be written.
    """
    check_path(path, (".csv", ".parquet"))
    with _sentences(path), whole_file(path) as file:
        if path.suffix == ".parquet":
            table.to_parquet(file, index=False)
        else:
            table.to_csv(file, index=False)


def write_embeddings(name: str, ids: Sequence[str], vectors: np.ndarray, path: Path) -> None:
    """Write ids and vectors (N, D): CSV, Parquet, or ``.npz`` with ``ids`` and ``vectors``."""
    if path.suffix != ".npz":
        table = pd.DataFrame(vectors, columns=[f"d{n}" for n in range(vectors.shape[1])])
        table.insert(0, name, list(ids))
        write_table(table, path)
        return
    with _sentences(path), whole_file(path) as file:
        np.savez(file, ids=np.array(ids), vectors=vectors)


def check_path(path: Path, endings: Sequence[str], setting: str = "--out") -> None:
    """Make sure, before anything is computed, that the file can be of its kind.

    Args:
        path: of the file.
        endings: that are allowed.
        setting: that asks for the kind.

    Raises:
        UsageError: another ending, or Parquet without its package.
    """
    if path.suffix not in endings:
        allowed = ", ".join(endings)
        raise UsageError(f"--out: got '{path}', allowed are names that end in {allowed}.")
    if path.suffix == ".parquet":
        check_format("parquet", setting)


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UsageError(f"--out: cannot write '{path}': {error.strerror}.") from error
