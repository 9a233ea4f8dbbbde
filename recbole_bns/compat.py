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
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

import numpy as np

# What NumPy 2 calls the names that it removed. RecBole's Config reads the first three; Ray 2.6
# reads the last one, which NumPy deprecated in 1.24.
_ALIASES = {"float_": "float64", "complex_": "complex128", "unicode_": "str_", "bool8": "bool_"}

# (category, start of the message, module that the warning is laid to; "" where it is not RecBole)
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
        warnings.simplefilter("ignore", DeprecationWarning)  # NumPy 1.24+ warns when bool8 is read
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

    for matrix in (dok_matrix, dok_array):
        matrix._update = _update


MENDS = (
    Mend(
        "numpy-aliases",
        "NumPy 2 removed np.float_, np.complex_ and np.unicode_, which RecBole's Config reads,"
        " and np.bool8, which Ray 2.6 reads",
        lambda: bool(_missing_aliases()),
        _add_aliases,
    ),
    Mend(
        "scipy-dok-update",
        "SciPy 1.13 removed dok_matrix._update, with which LightGCN, NGCF, NCL, GCMC, SpectralCF,"
        " KGIN and MCCLK build their graphs",
        _dok_update_is_missing,
        _add_dok_update,
    ),
)

_mended: list[str] = []


def mend() -> tuple[str, ...]:
    """Apply every mend that is needed; return the names of all that this process has needed.

    A second call finds nothing to do and returns the same names.
    """
    for repair in MENDS:
        if repair.needed():
            repair.apply()
            _mended.append(repair.name)
    return tuple(name for name in (repair.name for repair in MENDS) if name in _mended)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings that RecBole is known to raise on today's stack, and no others."""
    with warnings.catch_warnings():
        for category, message, module in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message, category, module)
        yield


@contextmanager
def tensorboard_in(folder: Path) -> Iterator[None]:
    """Make the trainers built in this context log to ``folder``.

    RecBole has no setting for it: its trainers write to ``log_tensorboard`` in the working
    directory.
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

    Three things stop them today. RecBole's checkpoints hold a live Config, which ``torch.load``
    has refused since torch 2.6, so the functions of RecBole that read checkpoints are wrapped to
    read them in full. ``recbole.quick_start`` imports Ray at its top, and RecBole 1.2.0 uses
    psutil without requiring it; neither is needed to train, so both may be missing.
    ``recbole.quick_start`` is mended when it is imported: Ray is not imported before that.

    Reading a checkpoint in full runs the code in it: open only files you trust, as ever with
    RecBole. A name bound by ``from recbole.quick_start import load_data_and_model`` before this
    call keeps the unmended function.
    """
    from recbole.trainer import trainer as host

    for trainer in list(vars(host).values()):
        if isinstance(trainer, type) and issubclass(trainer, host.AbstractTrainer):
            _let_load(trainer, "evaluate")
            _let_load(trainer, "resume_checkpoint")
    if _QuickStartFinder not in sys.meta_path:
        sys.meta_path.insert(0, _QuickStartFinder)  # type: ignore[arg-type]
    for name in ("recbole.quick_start", _QuickStartFinder.target):
        if name in sys.modules:
            _mend_quick_start_module(sys.modules[name])


def _let_load(owner: Any, name: str) -> None:
    """Wrap ``owner.name``, unless it is inherited or wrapped already, in ``_full_loads``."""
    inner = vars(owner).get(name)
    if inner is None or hasattr(inner, "_bns_mended"):
        return

    @functools.wraps(inner)
    def outer(*args: Any, **kwargs: Any) -> Any:
        with _full_loads():
            return inner(*args, **kwargs)

    outer._bns_mended = True  # type: ignore[attr-defined]
    setattr(owner, name, outer)


@contextmanager
def _full_loads() -> Iterator[None]:
    """Let ``torch.load`` read whole objects where its caller did not ask for weights only.

    torch reads the environment at every load, and refuses to load when it is told both things,
    so a user who asks for TORCH_FORCE_WEIGHTS_ONLY_LOAD is left with what they asked for.
    """
    name, before = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", dict(os.environ)
    if before.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0").lower() not in {"1", "y", "yes", "true"}:
        os.environ[name] = "1"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", f"Environment variable {name} detected")
            yield
    finally:
        os.environ.pop(name, None)
        if name in before:
            os.environ[name] = before[name]


class _QuickStartFinder:
    """Import hook that finds only ``recbole.quick_start.quick_start`` and mends it as it loads."""

    target = "recbole.quick_start.quick_start"

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        """Return the usual spec of the one module, with a loader that mends what it loads."""
        spec = PathFinder.find_spec(name, path) if name == cls.target else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            for part in ("config", "data", "utils"):  # so that none of them sees the stub of Ray
                importlib.import_module(f"recbole.{part}")
            with _ray_or_stub():
                load(module)
            _mend_quick_start_module(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _mend_quick_start_module(module: types.ModuleType) -> None:
    _let_load(module, "load_data_and_model")
    report = getattr(module, "get_environment", None)  # recbole.quick_start itself has none
    if report is None or hasattr(report, "_bns_mended"):
        return

    @functools.wraps(report)
    def get_environment(config: Any) -> Any:
        try:
            return report(config)
        except ModuleNotFoundError as error:
            if error.name != "psutil":
                raise
            return types.SimpleNamespace(draw=lambda: "unknown: psutil is not installed")

    get_environment._bns_mended = True  # type: ignore[attr-defined]
    module.get_environment = get_environment  # type: ignore[attr-defined]


@contextmanager
def _ray_or_stub() -> Iterator[None]:
    """Put a stub in the place of Ray for the duration, if Ray Tune cannot be imported."""
    try:
        importlib.import_module("ray.tune")
    except ImportError:
        pass
    else:
        yield
        return

    def report(*args: Any, **kwargs: Any) -> None:
        raise ImportError(
            "RecBole's objective_function reports to Ray Tune, which is not installed;"
            " install it with: pip install 'ray[tune]'"
        )

    stub = types.ModuleType("ray")
    stub.tune = types.SimpleNamespace(report=report)  # type: ignore[attr-defined]
    before = {"ray": sys.modules["ray"]} if "ray" in sys.modules else {}
    sys.modules["ray"] = stub
    try:
        yield
    finally:
        del sys.modules["ray"]
        sys.modules.update(before)
