"""What the items are called for people, where the data set's ``.item`` file says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from recbole_bns.common.errors import UsageError

from .read import Format, read_header, read_table

NAMES = ("title", "name", "item_title", "item_name", "movie_title", "product_name")
"""Columns that are a title, best first; else the first that ends in one of the first two."""


def titles_of(config: Any) -> dict[str, str]:
    """Item -> title; empty where there is no such file or column, or it cannot be read.

    Args:
        config: a ``Config``; the file need not be one that it loads.
    """
    path = Path(config["data_path"]) / f"{config['dataset']}.item"
    item = config["ITEM_ID_FIELD"]
    if not path.is_file():
        return {}
    try:
        form = Format.of(config)
        title = _title([column.name for column in read_header(path, form)])
        if title is None:
            return {}
        frame = read_table(path, form, lambda name: name in (item, title), set()).frame
    except UsageError:  # it is no matter of the model: ids are shown
        return {}
    return dict(zip(frame[item].astype(str), map(_words, frame[title]), strict=True))


def _words(value: Any) -> str:
    """Of a word, a list of words, or nothing, which is not a number."""
    return "" if isinstance(value, float) else " ".join(map(str, np.atleast_1d(value)))


def _title(columns: list[str]) -> str | None:
    """The column that is most like a title."""
    named = [name for name in NAMES if name in columns]
    ending = [name for name in columns if name.endswith(("title", "_name"))]
    return next(iter([*named, *ending]), None)
