"""From a RecBole model to a scorer, decided once by the model's type.

Three kinds, best first: vectors (:func:`.vectors.factors` is registered for the model's class),
all scores of a user (the class overrides ``full_sort_predict``), single pairs (``predict``). The
last two call the model in eval mode, without gradients and without its train/eval side effects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import AbstractRecommender, GeneralRecommender
from recbole.model.general_recommender import BPR
from torch import Tensor, nn

from recbole_bns.sampling import FactorScorer, NegativeSampler, Scorer, available
from recbole_bns.sampling.capabilities import (
    Requirement,
    Scores,
    ScoresBetweenBatches,
    Vectors,
    of_type,
    serves_any_loss,
)

from .lightgcn import SharedLightGCN
from .many_negatives import Drawn, ManyNegatives, ManyWithVectors, similarity_of
from .models import scoring_mode
from .vectors import alike, factors, has_queries, has_vectors, query_vectors

PAIRS_AT_ONCE = 1 << 18
"""Pairs that ``predict`` is given in one call."""

ScorerFactory = Callable[[Interaction | None], Scorer]


@dataclass(frozen=True)
class Columns:
    """How the data set names users and items, and what it knows of items."""

    user: str
    item: str
    item_num: int
    item_features: Interaction | None = None
    """One row an item id, on the model's device; None where the data set has none."""


class ModelScorer(Scorer):
    """Asks a RecBole model.

    Args:
        model: the model.
        columns: names of the data set.
        rows: the batch whose rows the users are, for models that score by more than ids (an item
            sequence, features); None where ids suffice.
    """

    def __init__(
        self, model: AbstractRecommender, columns: Columns, rows: Interaction | None
    ) -> None:
        self.model = model
        self.columns = columns
        self.rows = rows

    def context(self, users: Tensor) -> dict[str, Tensor]:
        """The other columns of the users' rows.

        Raises:
            UsageError: the model needs a batch and there is none.
        """
        if isinstance(self.model, GeneralRecommender):
            return {}
        if self.rows is None or len(self.rows) != len(users):
            model_class = type(self.model)
            raise ScoresBetweenBatches().refusal(model_class.__name__, served_by(model_class))
        return dict(self.rows.interaction)


class QueryScorer(ModelScorer):
    """Products of vectors of the batch's rows and of items, as a loss over many negatives has them.

    Unlike ``full_sort_predict`` it compares as the training does, not as the evaluation.
    """

    _last: tuple[Tensor, Tensor, Tensor] | None = None

    def pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores ``(B, M)``: gather and multiply."""
        queries, table = self._vectors_of(users)
        return torch.bmm(table[items], queries.unsqueeze(2)).squeeze(2)

    def catalogue(self, users: Tensor) -> Tensor:
        """Scores ``(B, I)``: one product."""
        queries, table = self._vectors_of(users)
        return queries @ table.T

    def block(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores ``(B, R)``: one product."""
        queries, table = self._vectors_of(users)
        return queries @ table[items].T

    def _vectors_of(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of the rows of the users (B, D), made once a step, and of all items (I, D)."""
        if self._last is None or self._last[0] is not users:
            fields = self.context(users)
            with scoring_mode(self.model):
                found = query_vectors(self.model, Interaction({**fields, self.columns.user: users}))
            assert found is not None
            similarity = similarity_of(self.model)
            self._last = users, alike(found[0], similarity), alike(found[1], similarity)
        return self._last[1:]


class PairScorer(ModelScorer):
    """Scores by ``predict``, a chunk of pairs at a time."""

    def pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores ``(B, M)`` by ``predict`` on B·M pairs."""
        width = items.shape[1]
        fields = {name: v.repeat_interleave(width, 0) for name, v in self.context(users).items()}
        flat = items.reshape(-1)
        if self.columns.item_features is not None:
            known = self.columns.item_features.interaction
            fields.update({name: value[flat] for name, value in known.items()})
        fields[self.columns.user] = users.repeat_interleave(width)
        fields[self.columns.item] = flat
        interaction = Interaction(fields)
        with scoring_mode(self.model):
            parts = [
                self.model.predict(interaction[start : start + PAIRS_AT_ONCE]).reshape(-1)
                for start in range(0, len(flat), PAIRS_AT_ONCE)
            ]
        return torch.cat(parts).view(items.shape)

    def catalogue(self, users: Tensor) -> Tensor:
        """Scores ``(B, I)``; padding is given the score of item 1."""
        items = torch.arange(self.columns.item_num, device=users.device).clamp(min=1)
        return self.block(users, items)

    def block(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores ``(B, R)`` by ``predict`` on all pairs, of a repeated user once."""
        if not isinstance(self.model, GeneralRecommender):
            return self.pairs(users, items.expand(len(users), -1))
        different, place = users.unique(return_inverse=True)
        return self.pairs(different, items.expand(len(different), -1))[place]


class CatalogueScorer(ModelScorer):
    """Scores by ``full_sort_predict``: every user's row once, pairs by gathering from it."""

    _last: tuple[Tensor, Tensor] | None = None

    def catalogue(self, users: Tensor) -> Tensor:
        """Scores ``(B, I)``; a second call for the same users costs nothing."""
        if self._last is None or self._last[0] is not users:
            self._last = (users, self._scores(users))
        return self._last[1]

    def pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores ``(B, M)`` gathered from the users' rows."""
        return self.catalogue(users).gather(1, items)

    def block(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores ``(B, R)`` gathered from the users' rows."""
        return self.catalogue(users)[:, items]

    def _scores(self, users: Tensor) -> Tensor:
        fields = self.context(users)
        place = None
        if fields:
            fields[self.columns.user] = users
        else:
            different, place = users.unique(return_inverse=True)
            fields = {self.columns.user: different}
        with scoring_mode(self.model):
            scores = self.model.full_sort_predict(Interaction(fields))
        scores = scores.view(-1, self.columns.item_num)
        return scores if place is None else scores[place]


def scorer_kind(model_class: type[nn.Module]) -> type[Scorer]:
    """The best scorer that models of this class can be given."""
    if has_vectors(model_class):
        return FactorScorer
    if issubclass(model_class, ManyNegatives) and has_queries(model_class):
        return QueryScorer
    stock = AbstractRecommender.full_sort_predict
    overridden = getattr(model_class, "full_sort_predict", stock) is not stock
    return CatalogueScorer if overridden else PairScorer


def can_give(requirement: Requirement, model_class: type[nn.Module]) -> bool:
    """Whether models of this class can give what a sampler asks of its model."""
    match requirement:
        case Vectors():
            return scorer_kind(model_class) is FactorScorer
        case ScoresBetweenBatches():
            return issubclass(model_class, GeneralRecommender)
    return True


def served_by(model_class: type[nn.Module]) -> list[str]:
    """Names of the samplers that models of this class serve, with their default parameters.

    Those that ask for a loss over many negatives are not among them: they help with that alone.
    """
    return [
        name
        for name, cls in available().items()
        if serves_any_loss(cls)
        and all(can_give(need, model_class) for need in cls.requirements_of(cls.Params()))
    ]


def check_served(sampler: NegativeSampler, model_class: type[nn.Module]) -> None:
    """Refuse, before the training, a sampler that needs more than the model can give.

    Raises:
        UsageError: names the samplers that work.
    """
    for need in sampler.requirements():
        if can_give(need, model_class):
            continue
        others = served_by(model_class)
        if isinstance(need, Vectors):
            raise need.refusal(sampler.name, model_class.__name__, others)
        if isinstance(need, ScoresBetweenBatches):
            raise need.refusal(model_class.__name__, others)


def scorer_factory(
    model: AbstractRecommender, sampler: NegativeSampler, columns: Columns
) -> ScorerFactory | None:
    """How to make this step's scorer for ``sampler``; None where it needs no scores."""
    if of_type(sampler.requirements(), Scores) is None:
        return None
    check_served(sampler, type(model))
    return best_scorer(model, columns)


def best_scorer(model: AbstractRecommender, columns: Columns) -> ScorerFactory:
    """How to make a step's scorer, the best that the model's class allows.

    Where training and evaluation compare vectors in two ways, these are the training's scores.
    """
    kind = scorer_kind(type(model))
    if issubclass(kind, ModelScorer):
        return lambda rows: kind(model, columns, rows)
    return lambda rows: FactorScorer(*_vectors(model))


def bind_loss(model: nn.Module, drawn: Drawn, columns: Columns) -> None:
    """Tell a model under a loss over many negatives who draws them; others are told nothing."""
    if isinstance(model, ManyNegatives):
        drawn.scorer_of, drawn.item_features = best_scorer(model, columns), columns.item_features
        model.__dict__["drawn"] = drawn


def vectors_at_hand(model: nn.Module) -> bool:
    """Whether vectors cost nothing: they are weights, or LightGCN's that its loss will use."""
    plain = factors.dispatch(type(model)) is factors.dispatch(BPR)
    return plain or (isinstance(model, SharedLightGCN) and model.training)


def _vectors(model: nn.Module) -> tuple[Tensor, Tensor]:
    """The vectors of this moment."""
    with nullcontext() if vectors_at_hand(model) else scoring_mode(model):
        found = factors(model)
    assert found is not None
    similarity = similarity_of(model)
    return alike(found[0], similarity), alike(found[1], similarity)


SCORES_AT_ONCE = 1 << 22


def columns_of(train: Any, device: torch.device) -> Columns:
    """What scorers are told of a training part; the features of items lie on ``device``."""
    features = on_device(train.item_feat, device)
    return Columns(train.uid_field, train.iid_field, train.item_num, features)


def all_scores(
    model: Any, train: Any, users: Tensor, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Users (S,) of ``users`` and their scores of all items (S, I), some at a time.

    They are those that an evaluation ranks by.

    Args:
        model: on ``device``, as it is left to score (``scoring_mode``).
        train: the part that it was trained on.
        users: numbers, on the CPU.
        device: of the model.
    """
    vectors = evaluated_vectors(model)
    if vectors is None:
        scorer = best_scorer(model, columns_of(train, device))(None)
    else:
        scorer = FactorScorer(*vectors)
    for part in users.split(max(SCORES_AT_ONCE // train.item_num, 1)):
        yield part, scorer.catalogue(part.to(device)).float()


def evaluated_vectors(model: Any) -> tuple[Tensor, Tensor] | None:
    """User vectors (U, D) and item vectors (I, D) whose dot products an evaluation ranks by.

    They may be others than those of the training. None for a model without.

    Args:
        model: as it is left to score (``scoring_mode``).
    """
    if isinstance(model, ManyWithVectors) and has_vectors(type(model)):
        return model.evaluation_vectors()
    return factors(model)


def on_device(features: Interaction | None, device: torch.device) -> Interaction | None:
    """Features of users or items on ``device``; None where the data set has none."""
    return None if features is None else features.to(device)
