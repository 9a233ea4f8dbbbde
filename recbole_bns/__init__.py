"""Negative samplers for RecBole: Bayesian negative sampling (BNS) and its peers.

The public names; each is imported when it is first used, so that ``import recbole_bns`` is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .common.version import __version__ as __version__

if TYPE_CHECKING:
    from .adapters.config import BNSConfig as BNSConfig
    from .adapters.dataloader import BNSTrainDataLoader as BNSTrainDataLoader
    from .adapters.sampler import BNSSampler as BNSSampler
    from .adapters.vectors import Layers as Layers
    from .adapters.vectors import factors as factors
    from .adapters.vectors import layers as layers
    from .adapters.vectors import pair_scores as pair_scores
    from .adapters.vectors import query_vectors as query_vectors
    from .common.errors import UsageError as UsageError
    from .datasets.own.interactions import Interactions as Interactions
    from .datasets.own.make import interactions as interactions
    from .sampling import CandidateSampler as CandidateSampler
    from .sampling import NegativeSampler as NegativeSampler
    from .sampling import param as param
    from .sampling import register as register
    from .training.enable import enable as enable
    from .training.loaders import data_preparation as data_preparation
    from .training.model import Model as Model
    from .training.model import load as load
    from .training.run import run_recbole_bns as run_recbole_bns
    from .training.trainer import get_trainer as get_trainer

_HOME = {
    "BNSConfig": "adapters.config",
    "BNSSampler": "adapters.sampler",
    "BNSTrainDataLoader": "adapters.dataloader",
    "CandidateSampler": "sampling",
    "Interactions": "datasets.own.interactions",
    "Layers": "adapters.vectors",
    "Model": "training.model",
    "NegativeSampler": "sampling",
    "UsageError": "common.errors",
    "data_preparation": "training.loaders",
    "enable": "training.enable",
    "factors": "adapters.vectors",
    "get_trainer": "training.trainer",
    "interactions": "datasets.own.make",
    "layers": "adapters.vectors",
    "load": "training.model",
    "pair_scores": "adapters.vectors",
    "param": "sampling",
    "query_vectors": "adapters.vectors",
    "register": "sampling",
    "run_recbole_bns": "training.run",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'recbole_bns' has no attribute '{name}'")
    value = getattr(import_module(f"recbole_bns.{_HOME[name]}"), name)
    globals()[name] = value
    return value
