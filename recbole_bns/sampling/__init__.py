"""The core: negative samplers on tensors. Nothing in here imports RecBole."""

from recbole_bns.common.params import Schedule, param, parse

from .base import NegativeSampler, NoParams
from .candidates import CandidateSampler
from .capabilities import ALL
from .catalogue import Catalogue
from .peers import Peers
from .proposals import Proposal
from .registry import available, build, get, register
from .scoring import FactorScorer, Scorer
from .weighted import WeightedProposal

__all__ = [
    "ALL",
    "CandidateSampler",
    "Catalogue",
    "FactorScorer",
    "NegativeSampler",
    "NoParams",
    "Peers",
    "Proposal",
    "Schedule",
    "Scorer",
    "WeightedProposal",
    "available",
    "build",
    "get",
    "param",
    "parse",
    "register",
]
