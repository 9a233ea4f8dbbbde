"""The model that a ``Config`` describes."""

from __future__ import annotations

from typing import Any

from recbole.utils import get_model, init_seed


def make_model(config: Any, dataset: Any) -> Any:
    """A model, initialised by the seed, on its device.

    Args:
        config: a ``Config``.
        dataset: the training part.
    """
    init_seed(config["seed"], config["reproducibility"])
    model_class = config.model_class or get_model(config["model"])
    return model_class(config, dataset).to(config["device"])
