"""Tables and vectors as files: CSV, ``.npz``; Parquet and safetensors where these are installed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import UsageError
from .files import whole_file

if TYPE_CHECKING:  # a second to import, and most who check a format write no table
    import pandas as pd

FORMATS = ("csv", "parquet")


def check_format(name: str, setting: str) -> None:
    """Make sure, before anything is computed, that a table's format can be written.

    Args:
        name: of the format.
        setting: that asks for it.

    Raises:
        UsageError: an unknown format, or a package is missing.
    """
    if name not in FORMATS:
        raise UsageError(f"{setting}: got {name!r}, allowed: {', '.join(FORMATS)}.")
    if name == "parquet" and not find_spec("pyarrow"):
        raise UsageError(
            f"{setting}: parquet needs the package 'pyarrow', which is not installed; pip install "
            "pyarrow, or use csv."
        )


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
        import pandas as pd

        table = pd.DataFrame(vectors, columns=[f"d{n}" for n in range(vectors.shape[1])])
        table.insert(0, name, list(ids))
        write_table(table, path)
        return
    with _sentences(path), whole_file(path) as file:
        np.savez(file, ids=np.array(ids), vectors=vectors)


HEADER_LIMIT = 100_000_000
"""Bytes of a safetensors file's header, which its readers do not exceed."""


def write_tensors(vectors: Mapping[str, tuple[Sequence[str], np.ndarray]], path: Path) -> None:
    """Write vectors (N, D) in one safetensors file, whole or not at all.

    Args:
        vectors: name -> ids and vectors; the metadata of that name are the ids, a JSON list.
        path: of the file.

    Raises:
        UsageError: the ids are too many for the format, or the place cannot be written.
    """
    from safetensors.numpy import save

    ids = {name: json.dumps(list(each[0]), ensure_ascii=False) for name, each in vectors.items()}
    size = len(json.dumps(ids).encode())
    if size > HEADER_LIMIT:
        raise UsageError(
            f"--format: the ids take {size:,} bytes of a safetensors file's header, which holds "
            f"{HEADER_LIMIT:,}; use npz or parquet."
        )
    arrays = {name: np.ascontiguousarray(each[1]) for name, each in vectors.items()}
    with _sentences(path), whole_file(path) as file:
        file.write(save(arrays, ids))


def check_path(path: Path, endings: Sequence[str], setting: str = "--out") -> None:
    """Make sure, before anything is computed, that the file can be of its kind.

    Args:
        path: of the file.
        endings: that are allowed.
        setting: that asks for the kind.

    Raises:
        UsageError: another ending, or Parquet or safetensors without its package.
    """
    if path.suffix not in endings:
        allowed = ", ".join(endings)
        raise UsageError(f"--out: got '{path}', allowed are names that end in {allowed}.")
    if path.suffix == ".parquet":
        check_format("parquet", setting)
    if path.suffix == ".safetensors" and not find_spec("safetensors"):
        raise UsageError(
            f"{setting}: safetensors needs the package 'safetensors', which is not installed; pip "
            "install 'recbole-bns[export]', or use npz."
        )


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UsageError(f"--out: cannot write '{path}': {error.strerror}.") from error
