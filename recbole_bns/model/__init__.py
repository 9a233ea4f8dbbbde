"""RecBole's own models with what sampling needs: propagation shared with the scorer, batch L2."""

from .make import make_model
from .mode import scoring_mode
from .propagation import SharedLightGCN
from .regularised import RegularisedBPR
from .upgrade import upgrade

__all__ = ["RegularisedBPR", "SharedLightGCN", "make_model", "scoring_mode", "upgrade"]
