"""Negative samplers for RecBole: Bayesian negative sampling (BNS) and its peers.

The public names; each is imported when it is first used, so that ``import recbole_bns`` is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import BNSConfig as BNSConfig
    from .data import data_preparation as data_preparation
    from .dataloader import BNSTrainDataLoader as BNSTrainDataLoader
    from .errors import UsageError as UsageError
    from .hooks import enable as enable
    from .quick_start import run_recbole_bns as run_recbole_bns
    from .sampler import BNSSampler as BNSSampler
    from .sampling import CandidateSampler as CandidateSampler
    from .sampling import NegativeSampler as NegativeSampler
    from .sampling import param as param
    from .sampling import register as register
    from .scorers import factors as factors
    from .trainer import get_trainer as get_trainer

__version__ = "0.1.0"

_HOME = {
    "BNSConfig": "config",
    "BNSSampler": "sampler",
    "BNSTrainDataLoader": "dataloader",
    "CandidateSampler": "sampling",
    "NegativeSampler": "sampling",
    "UsageError": "errors",
    "data_preparation": "data",
    "enable": "hooks",
    "factors": "scorers",
    "get_trainer": "trainer",
    "param": "sampling",
    "register": "sampling",
    "run_recbole_bns": "quick_start",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'recbole_bns' has no attribute '{name}'")
    if name not in {"UsageError", "CandidateSampler", "NegativeSampler", "param", "register"}:
        from .compat import mend

        mend()
    value = getattr(import_module(f"recbole_bns.{_HOME[name]}"), name)
    globals()[name] = value
    return value
