"""Mends for what RecBole 1.2 relies on and its dependencies have since dropped.

RecBole has had no release since February 2025, so the mends live here. Each stands behind a
feature test and steps aside where it is not needed. Importing this module imports NumPy and
nothing else that is slow; RecBole, torch and SciPy are imported by the functions that mend them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Removed names of NumPy and what they stood for: RecBole's Config reads the first three, Ray 2.6
# reads the last.
_ALIASES = {"float_": "float64", "complex_": "complex128", "unicode_": "str_", "bool8": "bool_"}

# (category, start of the message, module that is blamed; "" where RecBole is not blamed for it)
_KNOWN_WARNINGS: tuple[tuple[type[Warning], str, str], ...] = (
    (FutureWarning, r"A value is trying to be set on a copy of a DataFrame", r"recbole\."),
    (FutureWarning, r"`torch\.cuda\.amp\.(GradScaler|autocast)\(args", r"recbole\."),
    (UserWarning, r"torch\.sparse\.SparseTensor\(.*\) is deprecated", r"recbole\."),
    (UserWarning, r"Creating a tensor from a list of numpy\.ndarrays", r"recbole\."),
    (DeprecationWarning, r"__array__ implementation doesn't accept a copy keyword", r"recbole\."),
    (DeprecationWarning, r"__array_wrap__ must accept context and return_scalar", ""),
    (DeprecationWarning, r"distutils Version classes are deprecated", r"thop\."),
    (UserWarning, r"TypedStorage is deprecated", ""),
    (UserWarning, r"Sparse CSR tensor support is in beta", ""),
)


@dataclass(frozen=True)
class Mend:
    """One repair: what it is called, why it exists, when it is needed and what it does."""

    name: str
    why: str
    needed: Callable[[], bool]
    apply: Callable[[], None]


def _missing_aliases() -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NumPy 1.24+ warns of reading bool8
        return [name for name in _ALIASES if not hasattr(np, name)]


def _add_aliases() -> None:
    for name in _missing_aliases():
        setattr(np, name, getattr(np, _ALIASES[name]))


def _dok_update_is_missing() -> bool:
    from scipy.sparse import dok_matrix

    return not hasattr(dok_matrix, "_update")


def _add_dok_update() -> None:
    from scipy.sparse import dok_array, dok_matrix

    def _update(self: Any, data: dict[tuple[int, int], float]) -> None:
        """Set the entries in ``data`` without checking their indices, as SciPy < 1.13 did."""
        self._dict.update(data)

    dok_matrix._update = dok_array._update = _update


MENDS = (
    Mend(
        "numpy-aliases",
        "NumPy 2 removed float_, complex_ and unicode_, which Config reads, and bool8 (Ray 2.6)",
        lambda: bool(_missing_aliases()),
        _add_aliases,
    ),
    Mend(
        "scipy-dok-update",
        "SciPy 1.13 removed dok_matrix._update, with which LightGCN and its kin build their graphs",
        _dok_update_is_missing,
        _add_dok_update,
    ),
)

_mended: dict[str, None] = {}


def mend() -> tuple[str, ...]:
    """Apply every mend that is needed; return the names of all that this process has needed.

    Once is enough: a second call finds nothing to do and returns the same names.
    """
    for repair in MENDS:
        if repair.needed():
            repair.apply()
            _mended[repair.name] = None
    return tuple(_mended)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings that RecBole is known to raise on today's stack, and no others."""
    with warnings.catch_warnings():
        for category, message, module in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message, category, module)
        yield


@contextmanager
def tensorboard_in(folder: Path) -> Iterator[None]:
    """Make every trainer built in this context log to ``folder``.

    RecBole has no setting for it: it logs to ``log_tensorboard`` in the working directory.
    """
    from recbole.trainer import trainer as host
    from torch.utils.tensorboard import SummaryWriter

    original = host.get_tensorboard
    host.get_tensorboard = lambda logger: SummaryWriter(str(folder))
    try:
        yield
    finally:
        host.get_tensorboard = original
