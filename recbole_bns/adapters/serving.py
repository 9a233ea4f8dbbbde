"""What a trained model says outside of training: scores of whole rows, of pairs, and vectors.

Two kinds, by what a model scores by: a user's number (:class:`ByUser`), or what the user has had
so far, in order (:class:`ByHistory`). Scores are those that an evaluation ranks by.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import (
    ContextRecommender,
    GeneralRecommender,
    SequentialRecommender,
)
from torch import Tensor

from recbole_bns.common.errors import UsageError
from recbole_bns.sampling import Catalogue, FactorScorer, Scorer

from .histories import Histories, histories_of, padded
from .many_negatives import ManyNegatives
from .models import scoring_mode
from .scorers import PairScorer, best_scorer, columns_of, evaluated_vectors
from .split import everything
from .vectors import alike, has_queries, query_vectors

Rows = Callable[[Tensor], Tensor]
"""Scores (S, J) of the rows (S,) that are asked for, of items that were named before.

Who asks may write in them; they hold until the next ones are asked for."""
PAIRS_AT_ONCE = 1 << 22
"""Scores that a model is asked for in one call."""
PRODUCTS_AT_ONCE = 1 << 24
"""Scores that are made in one product of vectors."""
HISTORIES_AT_ONCE = 512
"""Histories that are encoded in one call."""


class Served(ABC):
    """A model and its data set, asked for scores.

    Args:
        model: in evaluation mode, on ``device``.
        parts: of the data set, by phase.
        device: of the model.
    """

    def __init__(self, model: Any, parts: dict[str, Any], device: torch.device) -> None:
        self.model, self.parts, self.device = model, parts, device
        self.item_num = int(parts["train"].item_num)

    def at_once(self, columns: int) -> int:
        """Rows of so many columns that are scored in one call."""
        return max(PAIRS_AT_ONCE // columns, 1)

    @abstractmethod
    def rows(self, items: Tensor, exclude: str) -> Rows:
        """What scores users (S,) on ``items`` (J,); sequences end where ``exclude`` says."""

    @abstractmethod
    def pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores (N,) of pairs."""

    @abstractmethod
    def vectors(self) -> tuple[Tensor, Tensor] | None:
        """Of users (U, D) and items (I, D), whose products are the scores; None without."""

    def seen(self, exclude: str) -> Catalogue | None:
        """What users are not recommended; see ``EXCLUDED``."""
        if exclude == "none":
            return None
        parts = everything(self.parts) if exclude == "all" else [self.parts["train"]]
        return self._catalogue([_pairs(part) for part in parts])

    def _catalogue(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> Catalogue:
        users, items = (torch.cat(each) for each in zip(*pairs, strict=True))
        return Catalogue(users, items, self.parts["train"].user_num, self.item_num, bitmap=False)

    def without_history(self, exclude: str) -> Tensor:
        """Numbers of users that nothing can be said about."""
        return torch.empty(0, dtype=torch.long)


class ByUser(Served):
    """A model of users and items."""

    def __init__(self, model: Any, parts: dict[str, Any], device: torch.device) -> None:
        super().__init__(model, parts, device)
        with torch.no_grad(), scoring_mode(model):
            found = evaluated_vectors(model)
        self._vectors = None if found is None else (found[0].detach(), found[1].detach())

    def at_once(self, columns: int) -> int:
        """More where they are products; whole rows where the model gives no other."""
        if self._vectors is not None:
            return max(PRODUCTS_AT_ONCE // columns, 1)
        return super().at_once(columns if isinstance(self._scorer(), PairScorer) else self.item_num)

    def _scorer(self) -> Scorer:
        if self._vectors is not None:
            return FactorScorer(*self._vectors)
        return best_scorer(self.model, columns_of(self.parts["train"], self.device))(None)

    def rows(self, items: Tensor, exclude: str) -> Rows:
        """A product of vectors, or the model's own scores."""
        columns = items.to(self.device)
        if self._vectors is not None:
            return self._products(*self._vectors, columns)
        scorer = self._scorer()
        if isinstance(scorer, PairScorer):
            return lambda who: scorer.block(who.to(self.device), columns)
        return lambda who: scorer.catalogue(who.to(self.device))[:, columns]

    def _products(self, users: Tensor, items: Tensor, columns: Tensor) -> Rows:
        """In one buffer, until the next rows are asked for: new memory would cost as much."""
        chosen = items[columns].T.contiguous()
        buffer = chosen.new_empty(self.at_once(max(len(columns), 1)), len(columns))

        def scores(who: Tensor) -> Tensor:
            return torch.mm(users[who.to(self.device)], chosen, out=buffer[: len(who)])

        return scores

    def pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """A product of vectors, or the model's own scores, some at a time."""
        scorer = self._scorer()
        by_row = self._vectors is None and not isinstance(scorer, PairScorer)
        size = self.at_once(self.item_num) if by_row else PAIRS_AT_ONCE
        found = [
            scorer.pairs(who.to(self.device), what.to(self.device).unsqueeze(1)).squeeze(1)
            for who, what in zip(users.split(size), items.split(size), strict=True)
        ]
        return torch.cat(found)

    def vectors(self) -> tuple[Tensor, Tensor] | None:
        """As they are after propagation."""
        return self._vectors


class ByHistory(Served):
    """A sequential model: it scores what comes after a list of items."""

    def __init__(self, model: Any, parts: dict[str, Any], device: torch.device) -> None:
        super().__init__(model, parts, device)
        self.length = int(model.max_seq_length)
        self._histories: dict[str, Histories] = {}

    def at_once(self, columns: int) -> int:
        """As many as there is room for scores of all items."""
        return min(max(PAIRS_AT_ONCE // self.item_num, 1), HISTORIES_AT_ONCE)

    def histories(self, exclude: str) -> Histories:
        """Of all users: whole, or with ``train`` up to their first held-out item."""
        until = "train" if exclude == "train" else "all"
        if until not in self._histories:
            self._histories[until] = histories_of(self.parts, self.length, until)
        return self._histories[until]

    def seen(self, exclude: str) -> Catalogue | None:
        """The users' histories too, which begin before the first row of RecBole's."""
        if exclude == "none":
            return None
        parts = everything(self.parts) if exclude == "all" else [self.parts["train"]]
        items, lengths = self.histories(exclude)
        owners = torch.arange(len(items)).repeat_interleave(lengths)
        return self._catalogue([*map(_pairs, parts), (owners, items[items != 0])])

    def without_history(self, exclude: str) -> Tensor:
        """Users with one interaction have no row in RecBole's sequences."""
        return (self.histories(exclude).lengths[1:] == 0).nonzero().squeeze(1) + 1

    def rows(self, items: Tensor, exclude: str) -> Rows:
        """Scores of the users' histories."""
        held, columns = self.histories(exclude), items.to(self.device)
        return lambda who: self._scores(held.batch(who), who)[:, columns]

    def rows_of(self, lists: Sequence[Tensor], items: Tensor) -> Rows:
        """Scores of lists of item numbers, the newest last, of nobody in particular.

        Raises:
            UsageError: the model scores by who it is, too.
        """
        held, columns = padded(lists, self.length), items.to(self.device)

        def scores(places: Tensor) -> Tensor:
            try:
                return self._scores(held.batch(places), None)[:, columns]
            except (KeyError, IndexError, NotImplementedError) as error:
                raise UsageError(
                    f"--history: {_name(self.model)} asks for more than a list of items ({error}), "
                    "so it can say nothing of someone who was not in training; allowed are models "
                    "of the list alone, such as SASRec and GRU4Rec."
                ) from error

        return scores

    def pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """Each user's row once."""
        held = self.histories("all")
        found = torch.empty(len(users))
        different, place = users.unique(return_inverse=True)
        order = place.argsort(stable=True)
        size = self.at_once(self.item_num)
        ends = torch.bincount(place, minlength=len(different)).cumsum(0)
        start = 0
        for first in range(0, len(different), size):
            who = different[first : first + size]
            end = int(ends[first + len(who) - 1])
            mine = order[start:end]
            scores = self._scores(held.batch(who), who).cpu()
            found[mine] = scores[place[mine] - first, items[mine]].float()
            start = end
        return found

    def vectors(self) -> tuple[Tensor, Tensor] | None:
        """Of whole histories, and of items; a user without one has zeros."""
        if not has_queries(type(self.model)):
            return None
        held = self.histories("all")
        known = (held.lengths > 0).nonzero().squeeze(1)
        parts = [self._queries(held.batch(who), who) for who in known.split(HISTORIES_AT_ONCE)]
        queries = torch.cat([part[0] for part in parts])
        users = queries.new_zeros(len(held.lengths), queries.shape[1])
        users[known.to(users.device)] = queries
        return users, parts[0][1]

    def _queries(self, batch: tuple[Tensor, Tensor], who: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad(), scoring_mode(self.model):
            found = query_vectors(self.model, self._interaction(batch, who))
        assert found is not None
        model = self.model
        kind = model.choice.score_similarity if isinstance(model, ManyNegatives) else "dot"
        return alike(found[0], kind).detach(), alike(found[1], kind).detach()

    def _scores(self, batch: tuple[Tensor, Tensor], who: Tensor | None) -> Tensor:
        """Scores (S, I)."""
        with torch.no_grad(), scoring_mode(self.model):
            scores: Tensor = self.model.full_sort_predict(self._interaction(batch, who))
        return scores.view(-1, self.item_num)

    def _interaction(self, batch: tuple[Tensor, Tensor], who: Tensor | None) -> Interaction:
        columns = {self.model.ITEM_SEQ: batch[0], self.model.ITEM_SEQ_LEN: batch[1]}
        if who is not None:
            columns[self.model.USER_ID] = who
        return Interaction(columns).to(self.device)


def is_served(model: Any) -> bool:
    """Whether :func:`served` takes a model."""
    return isinstance(model, (GeneralRecommender, SequentialRecommender))


def served(model: Any, parts: dict[str, Any], device: torch.device) -> Served:
    """What answers for a model.

    Raises:
        UsageError: it scores by more than a user or a list of items.
    """
    if isinstance(model, GeneralRecommender):
        return ByUser(model, parts, device)
    if isinstance(model, SequentialRecommender):
        return ByHistory(model, parts, device)
    by = "features of each interaction" if isinstance(model, ContextRecommender) else "more"
    raise UsageError(
        f"model: {_name(model)} scores by {by}, which ids of users and items do not name; allowed "
        "are models that score by user and item, such as BPR, LightGCN, NeuMF, and sequential "
        "ones, such as SASRec, GRU4Rec."
    )


def _name(model: Any) -> str:
    """RecBole's name of a model that we may have changed the class of."""
    classes = (c for c in type(model).__mro__ if not c.__module__.startswith("recbole_bns."))
    return next(classes).__name__


def _pairs(part: Any) -> tuple[Tensor, Tensor]:
    feat = part.inter_feat
    users, items = feat[part.uid_field], feat[part.iid_field]
    name = getattr(part, "item_id_list_field", None)
    if name is None or name not in feat:
        return users, items
    past = feat[name]
    known = past != 0
    owners = users.unsqueeze(1).expand_as(past)[known]
    return torch.cat((users, owners)), torch.cat((items, past[known]))
