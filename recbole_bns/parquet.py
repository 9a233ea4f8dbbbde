"""Formats of tables: CSV always, Parquet where its package is installed."""

from __future__ import annotations

from importlib.util import find_spec

from .errors import UsageError

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
