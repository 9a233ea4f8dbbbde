"""RecBole's own quick start, mended."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType, SimpleNamespace
from typing import Any

from .wraps import wrap


def mend_quick_start() -> None:
    """Let RecBole's own ``run``, ``run_recbole`` and ``load_data_and_model`` run to their end.

    RecBole's checkpoints hold a live Config, which ``torch.load`` refuses since torch 2.6. The
    trainers are mended at once, ``recbole.quick_start`` when somebody imports it, since it imports
    Ray; where Ray is missing, that import says what to do.

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
        _let_load(loaded, "load_data_and_model")
        _let_load(sys.modules["recbole.quick_start"], "load_data_and_model")


def _let_load(owner: Any, name: str) -> None:
    """Wrap ``owner.name`` in ``_full_loads``, unless it is inherited."""
    if name in vars(owner):
        wrap(owner, name, _loading)


def _loading(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with _full_loads():
        return original(*args, **kwargs)


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
        try:
            load(module)
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] != "ray":
                raise
            raise ImportError(
                "recbole.quick_start imports Ray, which is not installed: pip install 'ray[tune]', "
                "or train with recbole_bns.run_recbole_bns, which does without."
            ) from error
        _let_load(module, "load_data_and_model")

    spec.loader.exec_module = exec_module  # type: ignore[method-assign]
    return spec


_HOOK: Any = SimpleNamespace(find_spec=_find_quick_start)
