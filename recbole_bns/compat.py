"""Mends for what RecBole 1.2 relies on and its dependencies have since dropped.

RecBole has had no release since February 2025, so the mends live here. Each stands behind a
feature test and steps aside where it is not needed. Importing this module imports NumPy and
nothing else that is slow; RecBole, torch and SciPy are imported by the functions that mend them.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType, SimpleNamespace
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


def mend_quick_start() -> None:
    """Let RecBole's own ``run``, ``run_recbole`` and ``load_data_and_model`` run to their end.

    Two things stop them: RecBole's checkpoints hold a live Config, which ``torch.load`` refuses
    since torch 2.6, and ``recbole.quick_start`` imports Ray, which only tuning needs. The trainers
    are mended at once, ``recbole.quick_start`` when somebody imports it, so that Ray is not
    imported here.

    To read a checkpoint in full is to run the code in it: open only files you trust, as ever with
    RecBole. Call this first: a ``load_data_and_model`` imported by name earlier stays as it was.
    """
    from recbole.trainer import trainer as host

    for trainer in list(vars(host).values()):
        if isinstance(trainer, type) and issubclass(trainer, host.AbstractTrainer):
            _let_load(trainer, "evaluate")
            _let_load(trainer, "resume_checkpoint")
    if _HOOK not in sys.meta_path:
        sys.meta_path.insert(0, _HOOK)
    if loaded := sys.modules.get(_QUICK_START):
        _mend_loaded(loaded)
        _let_load(sys.modules["recbole.quick_start"], "load_data_and_model")


def _let_load(owner: Any, name: str) -> None:
    """Wrap ``owner.name`` in ``_full_loads``, unless it is inherited or already wrapped."""
    inner = vars(owner).get(name)
    if inner is None or hasattr(inner, "_may_load"):
        return

    @functools.wraps(inner)
    def outer(*args: Any, **kwargs: Any) -> Any:
        with _full_loads():
            return inner(*args, **kwargs)

    outer._may_load = True  # type: ignore[attr-defined]
    setattr(owner, name, outer)


@contextmanager
def _full_loads() -> Iterator[None]:
    """Let ``torch.load`` read whole objects wherever its caller does not say ``weights_only``.

    torch reads the environment at every load. It rejects contradictory orders, so that a user who
    sets TORCH_FORCE_WEIGHTS_ONLY_LOAD is left with it.
    """
    name = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    strict = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "").lower()
    if strict not in {"1", "y", "yes", "true"}:
        os.environ[name] = "1"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", f"Environment variable {name} detected")
            yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


_QUICK_START = "recbole.quick_start.quick_start"


def _find_quick_start(
    name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
) -> ModuleSpec | None:
    """Find that one module as Python does, and have it mended as soon as it is loaded."""
    spec = PathFinder.find_spec(name, path) if name == _QUICK_START else None
    if spec is None or spec.loader is None:
        return None
    load = spec.loader.exec_module

    def exec_module(module: ModuleType) -> None:
        for part in ("config", "data", "utils"):  # what it imports must not see the stub
            importlib.import_module(f"recbole.{part}")
        with _ray_or_stub():
            load(module)
        _mend_loaded(module)

    spec.loader.exec_module = exec_module  # type: ignore[method-assign]
    return spec


_HOOK: Any = SimpleNamespace(find_spec=_find_quick_start)


def _mend_loaded(module: Any) -> None:
    _let_load(module, "load_data_and_model")


@contextmanager
def _ray_or_stub() -> Iterator[None]:
    """Put a stub in Ray's place for the duration, if Ray Tune cannot be imported."""

    def report(*args: Any, **kwargs: Any) -> None:
        raise ImportError("RecBole's objective_function needs Ray: pip install 'ray[tune]'")

    try:
        importlib.import_module("ray.tune")
    except ImportError:
        stub: Any = ModuleType("ray")
        stub.tune = SimpleNamespace(report=report)
        before = {"ray": sys.modules["ray"]} if "ray" in sys.modules else {}
        sys.modules["ray"] = stub
        try:
            yield
        finally:
            del sys.modules["ray"]
            sys.modules.update(before)
    else:
        yield
