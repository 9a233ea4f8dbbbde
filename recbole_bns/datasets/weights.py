"""Weights of interactions: a column of the ``.inter`` file, by which each counts in training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.settings.declared import NO_WEIGHT, declared

from .read import Column, Table


def weight_field(config: Any) -> str | None:
    """The column that ``WEIGHT_FIELD`` names, whether or not there is one; None: weights are off.

    They are in a ``Config`` of RecBole's own that does not name one.
    """
    name = config["WEIGHT_FIELD"]
    return None if name is None or str(name).lower() in (NO_WEIGHT, "null", "") else str(name)


def check_weight_column(config: Any, path: Path, columns: Mapping[str, Column]) -> None:
    """Make sure that the column of weights is one of numbers, and is there where it is named.

    Args:
        config: a ``Config``.
        path: of the interactions.
        columns: of its header, by name.

    Raises:
        UsageError: it is not.
    """
    name = weight_field(config)
    if name is None:
        return
    if name not in columns:
        if name != declared()["WEIGHT_FIELD"].default:
            raise UsageError(
                f"WEIGHT_FIELD: got '{name}', which is no column of {path}"
                f"{nearest(name, columns)}; allowed are {', '.join(columns)}, or {NO_WEIGHT}."
            )
        return
    if columns[name].type != "float":
        raise UsageError(
            f"{path}, line 1: got '{columns[name]}' for WEIGHT_FIELD, allowed is the type float: "
            f"{name}:float; or WEIGHT_FIELD: {NO_WEIGHT}, which passes over weights."
        )


def check_weights(config: Any, table: Table) -> None:
    """Make sure that all weights of a table of interactions are above 0.

    Raises:
        UsageError: names the line.
    """
    name = weight_field(config)
    if name is None or name not in table.frame:
        return
    weights = table.frame[name].to_numpy()
    bad = ~(weights > 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise UsageError(
            f"{table.path}, line {row + 2}: got {weights[row]:g} in column '{name}' (WEIGHT_FIELD),"
            f" allowed are finite numbers above 0 ({int(bad.sum())} lines have others); leave such "
            f"a line out, or pass over weights with WEIGHT_FIELD: {NO_WEIGHT}."
        )
