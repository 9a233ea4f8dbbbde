"""Which model an evaluation ranks by: the one that is trained, or its sampler's generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import GeneralRecommender
from torch import Tensor, nn

from recbole_bns.runs.records import RunConfig
from recbole_bns.sampling.generators import GENERATOR, generator_vectors

from .sampler_settings import is_sampled, parsed_settings
from .vectors import factors


class TestedGenerator(GeneralRecommender):
    """Stands in for a recommender in evaluation, with the scores of a generator.

    Args:
        model: the recommender, for the names of its columns.
        vectors: of users (U, D) and items (I, D), whose dot products are the scores.
    """

    __test__ = False

    def __init__(self, model: Any, vectors: tuple[Tensor, Tensor]) -> None:
        nn.Module.__init__(self)  # RecBole's wants the data set
        self.USER_ID, self.ITEM_ID = model.USER_ID, model.ITEM_ID
        self.device = vectors[0].device
        self.register_buffer("users", vectors[0])
        self.register_buffer("items", vectors[1])

    def full_sort_predict(self, interaction: Interaction) -> Tensor:
        """Scores of all items, one user after another."""
        scores: Tensor = self.users[interaction[self.USER_ID]] @ self.items.T
        return scores.view(-1)

    def predict(self, interaction: Interaction) -> Tensor:
        """Scores of pairs."""
        users, items = self.users[interaction[self.USER_ID]], self.items[interaction[self.ITEM_ID]]
        return torch.sum(users * items, 1)


@factors.register
def _(model: TestedGenerator) -> tuple[Tensor, Tensor]:
    return model.users, model.items


def generator_is_tested(config: RunConfig) -> bool:
    """Whether the settings ask for the generator to be tested."""
    if not is_sampled(config):
        return False
    return getattr(parsed_settings(config)[1], "tested", None) == GENERATOR


def evaluated_model(config: RunConfig, model: Any, state: Mapping[str, Any] | None) -> Any:
    """What an evaluation ranks by.

    Args:
        config: of the run.
        model: the recommender.
        state: of the sampler; None where there is none.

    Returns:
        the recommender, or its generator: where that has not begun, it is as the recommender is.
    """
    if state is None or not generator_is_tested(config):
        return model
    vectors = generator_vectors(state)
    return model if vectors is None else TestedGenerator(model, vectors)
