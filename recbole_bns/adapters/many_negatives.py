"""RecBole's models under a loss over many negatives.

A batch holds B positives and a column of their negatives, ``(B, n)``; a list that all share is one
row that is repeated without being copied. The model gives vectors or scores with their graph
(:mod:`.vectors`); what a loss sees of them is put together here, and the L2 term beside it::

    reg_weight / 2B · (Σ |u|² + Σ |p|² + Σ over the negatives)

on the trained tables, before any propagation: each row of a shared list counts once, however many
processes share the batch, each of a positive's own K negatives 1/K. (RecBole's ``EmbLoss`` divides
by the length of its last argument, which is not B here.)

With a mixer the batch's column holds candidates, of which :mod:`.made_negatives` makes what the
loss sees; the L2 term's negatives are then the made vectors of layer 0.

A model is turned by its class, as :func:`.models.upgrade` does with BPR and LightGCN: its weights,
and what RecBole sees of it, stay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from recbole.data.interaction import Interaction
from torch import Tensor, nn
from torch.nn.functional import embedding

from recbole_bns.common.errors import UsageError
from recbole_bns.losses import Loss, LossBatch, PosteriorWeight, get
from recbole_bns.losses.base import EpochView, mean_over_rows
from recbole_bns.losses.softmax_pass import softmax_pass
from recbole_bns.mixers import Mixer
from recbole_bns.mixers import get as mixer_class
from recbole_bns.sampling import NegativeSampler, Scorer, SharedList
from recbole_bns.sampling.kernels import engine
from recbole_bns.sampling.kernels.lists import ListExclusion, taken

from .loss_settings import LossChoice, law_unknown
from .made_negatives import mixed
from .mixer_settings import MixerChoice
from .team import current
from .vectors import (
    alike,
    factors,
    forget_evaluation,
    has_queries,
    has_vectors,
    layer_width,
    layer_zero,
    pair_scores,
    query_vectors,
)
from .weights import ROW_WEIGHT, row_weights

if TYPE_CHECKING:
    from recbole.model.abstract_recommender import AbstractRecommender as _Host
else:
    _Host = object

Batch = tuple[Tensor, Tensor, Tensor]
"""Users (B,), positives (B,) and negatives, ``(B, n)`` or a list ``(n,)``."""
Seen = Callable[[Tensor, Tensor, Tensor, Interaction], None]
"""Takes note of users (B,), positives (B,), the ids (B, n) that entered the loss, and the rows."""
ScorerOf = Callable[[Any], Scorer]
"""Makes a scorer of the rows of a batch, or of None: between batches."""


class Drawn:
    """Who draws a model's negatives, and what a loss asks of them.

    Args:
        core: draws them.
        shared: whether a batch has one list.
        weigher: weighs the terms; None: nobody.
        candidates: M, of which a mixer makes each negative; None: there is no mixer.

    Attributes:
        scorer_of: makes a step's scorer, in the similarity of the training.
        item_features: one row an item id; None where the data set has none.
        row_num: rows of the whole batch, of which a process of several has a share; None: all
            rows are here.
        seen: is told of what a mixer has made negatives of; None: nobody is.
    """

    row_num: int | None = None
    scorer_of: ScorerOf
    item_features: Interaction | None
    seen: Seen | None = None

    def __init__(
        self,
        core: NegativeSampler,
        shared: bool,
        weigher: PosteriorWeight | None = None,
        candidates: int | None = None,
    ) -> None:
        self.core, self.shared, self.weigher, self.candidates = core, shared, weigher, candidates

    def masked(self, users: Tensor, items: Tensor, ids: Tensor, mask: bool) -> Tensor | None:
        """``(B, n)``, True: the term is left out; None: all are left in.

        A row's own list holds no training item of its user. Of a shared one the row's own
        positive is always left out, with ``mask`` all training items of the user, too.
        """
        if not self.shared:
            return None
        if not mask:
            return ids == items.unsqueeze(1)
        listed = ids if ids.dim() == 1 else ids[0]
        return taken(self.core.catalogue, users, listed)

    def log_probs(self, users: Tensor, items: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the negatives, ``(B, n)`` or ``(n,)``, and the positives ``(B,)``.

        Raises:
            UsageError: the sampler does not know them.
        """
        core = self.core
        if self.shared:
            assert isinstance(core, SharedList)
            both = core.shared_log_prob(ids), core.shared_log_prob(items)
        else:
            joined = core.log_prob(users, torch.cat((ids, items.unsqueeze(1)), 1))
            both = (None, None) if joined is None else (joined[:, :-1], joined[:, -1])
        if both[0] is None or both[1] is None:
            raise law_unknown(core.name)
        return both[0], both[1]


class ManyNegatives(_Host):
    """Goes before a model class of RecBole; see :func:`over_many`.

    Predictions of a model without vectors stay its own.
    """

    choice: LossChoice
    over_negatives: Loss
    """The loss, a part of the model: its state is in the checkpoint, its parameters are trained."""
    mixer_of_negatives: Mixer
    """The mixer, a part of the model as the loss is; only where one is set."""
    columns: tuple[str, str, str]
    """Columns of users, positives and negatives in a batch."""
    seed: int
    drawn: Drawn | None = None

    def calculate_loss(self, interaction: Interaction) -> Tensor:
        """The loss of a batch of positives and their negatives: a scalar."""
        if self.drawn is None:
            raise UsageError(
                f"loss: got '{self.choice.name}', whose batches only this package's loader makes; "
                "use recbole_bns.data_preparation and get_trainer, or recbole_bns.enable()."
            )
        forget_evaluation(self)
        try:
            return self._loss(interaction, self.drawn)
        finally:
            forget = getattr(self, "forget_kept", None)
            if forget:
                forget()

    def _loss(self, rows: Interaction, drawn: Drawn) -> Tensor:
        users, items, ids = (rows[column] for column in self.columns)
        if drawn.candidates is not None:
            return self._of_made((users, items, ids), rows, drawn, drawn.candidates)
        ids = ids[0] if drawn.shared else ids
        found = query_vectors(self, rows) if has_queries(type(self)) else None
        which = users, items, ids
        if found is None:
            loss = self._of_scores(*self._pair_scores(rows, items, ids, drawn), which, rows, drawn)
        else:
            vectors = self._compared(*found, items, ids)
            fused = None if ROW_WEIGHT in rows else self._in_one_pass(vectors, which, drawn)
            if fused is None:
                fused = self._of_scores(*_products(*vectors), which, rows, drawn)
            loss = fused
        if not self.choice.reg_weight:
            return loss
        share = len(users) / (drawn.row_num or len(users)) if ids.dim() == 1 else 1 / ids.shape[1]
        return loss + self._l2(users, items, ids, share)

    def _of_made(self, which: Batch, rows: Interaction, drawn: Drawn, candidates: int) -> Tensor:
        """The loss over negatives that the mixer makes of candidates (B, K · M)."""
        users, items, ids = which
        number = ids.shape[1] // candidates
        batch = users, items, ids.view(-1, number, candidates)
        pos, neg, made = mixed(
            self,
            self.mixer_of_negatives,
            batch,
            self.choice.similarity,
            drawn.core.catalogue.observed,
        )
        if drawn.seen is not None:
            drawn.seen(users, items, made.ids.flatten(1), rows)
        loss = self._of_scores(pos, neg, (users, items, made.ids[..., 0]), rows, drawn)
        if made.extra is not None:
            loss = loss + _mean(made.extra, row_weights(rows))
        if not self.choice.reg_weight:
            return loss
        return loss + self._l2(users, items, made.vectors[0], 1 / number)

    def _in_one_pass(
        self, vectors: tuple[Tensor, Tensor, Tensor], which: Batch, drawn: Drawn
    ) -> Tensor | None:
        """The loss where a fused pass serves it: softmax over a shared list, on the CPU."""
        form = self.over_negatives.softmax_form(drawn.core.catalogue.item_num)
        log_q = self.choice.log_q
        users, items, ids = which
        if form is None or not drawn.shared or drawn.weigher is not None or log_q == "corrected":
            return None
        if not engine.available(*vectors) or any(v.dtype != torch.float32 for v in vectors):
            return None
        with torch.no_grad():
            catalogue = drawn.core.catalogue
            exclusion = ListExclusion(catalogue, ids, users, items, not self.choice.mask)
            probs = (None, None) if log_q == "none" else drawn.log_probs(users, items, ids)
        return softmax_pass(
            *vectors,
            form,
            leave_out=exclusion.leave_out,
            log_q=probs[0],
            pos_log_q=probs[1] if log_q == "both" else None,
            row_num=drawn.row_num,
        )

    def _compared(
        self, queries: Tensor, table: Tensor, items: Tensor, ids: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors of the rows (B, D), their positives (B, D) and the negatives (…, D)."""
        similarity = self.choice.similarity
        whole = ids.numel() > len(table)  # then each is made comparable once
        table = alike(table, similarity) if whole else table
        queries = alike(queries, similarity)
        positives, negatives = (embedding(each, table) for each in (items, ids))
        if not whole:
            positives, negatives = (alike(each, similarity) for each in (positives, negatives))
        return queries, positives, negatives

    def _pair_scores(
        self, rows: Interaction, items: Tensor, ids: Tensor, drawn: Drawn
    ) -> tuple[Tensor, Tensor]:
        """The same of a model without vectors, from all pairs."""
        item = self.columns[1]
        each = torch.cat((items.unsqueeze(1), ids.expand(len(items), -1)), 1)
        number = each.shape[1]
        flat = each.reshape(-1)
        pairs = {
            name: value.repeat_interleave(number, 0)
            for name, value in rows.interaction.items()
            if name not in self.columns[1:]
        }
        if drawn.item_features is not None:
            known = drawn.item_features.interaction
            pairs.update({name: value[flat] for name, value in known.items()})
        pairs[item] = flat
        found = pair_scores(self, Interaction(pairs))
        assert found is not None
        scores = found.view(-1, number)
        return scores[:, 0], scores[:, 1:]

    def _of_scores(
        self, pos: Tensor, neg: Tensor, which: Batch, rows: Interaction, drawn: Drawn
    ) -> Tensor:
        """The loss of scores (B,) and (B, n)."""
        users, items, ids = which
        choice = self.choice
        log_q = pos_log_q = weight = None
        with torch.no_grad():
            if choice.log_q != "none":
                log_q, pos_log_q = drawn.log_probs(users, items, ids)
            if drawn.weigher is not None:
                looks = drawn.weigher.params.likelihood == "cdf"
                weight = drawn.weigher(users, ids, drawn.scorer_of(rows) if looks else None)
            mask = drawn.masked(users, items, ids, choice.mask)
        batch = LossBatch(
            pos=pos,
            neg=neg,
            users=users,
            items=items,
            ids=ids,
            item_num=drawn.core.catalogue.item_num,
            mask=mask,
            log_q=log_q,
            pos_log_q=pos_log_q,
            log_q_form=choice.log_q,
            row_weight=row_weights(rows),
            term_weight=weight,
            row_num=drawn.row_num,
        )
        return _mean(self.over_negatives(batch), batch.row_weight)

    def _l2(self, users: Tensor, items: Tensor, negatives: Tensor, share: float) -> Tensor:
        """See the module's text.

        Args:
            users: ``(B,)``.
            items: ``(B,)``.
            negatives: ids ``(...)``, or where they are made their vectors of layer 0 ``(..., D)``.
            share: by which each of them counts; the mean over the rows of a share of a batch is
                weighed by that.
        """
        tables = layer_zero(self)
        if tables is None:
            return torch.zeros((), device=users.device)
        of_users = embedding(users, tables[0]).square().sum()
        of_items = embedding(items, tables[1]).square().sum()
        made = negatives.is_floating_point()
        vectors = negatives if made else embedding(negatives, tables[1])
        of_negatives = vectors.square().sum() * share
        return self.choice.reg_weight / (2 * len(users)) * (of_users + of_items + of_negatives)

    def begin_epoch(self, epoch: int) -> None:
        """Let a mixer, and a loss with state, prepare for epoch ``epoch`` (0-based)."""
        if self.drawn is None:
            return
        if self.drawn.candidates is not None:
            self.mixer_of_negatives.begin_epoch(epoch, current().seed(self.seed))
        if self.drawn.weigher is not None:
            self.drawn.weigher.begin_epoch(epoch)
        if type(self.over_negatives).begin_epoch is not Loss.begin_epoch:
            observed = self.drawn.core.catalogue.observed
            with torch.no_grad():
                view = EpochView(self.drawn.scorer_of(None), observed, self.seed)
                self.over_negatives.begin_epoch(epoch, view)


class ManyWithVectors(ManyNegatives):
    """The same for a model with vectors, which an evaluation may compare in another way."""

    _evaluated: tuple[tuple[int, ...], tuple[Tensor, Tensor]] | None = None

    def evaluation_vectors(self) -> tuple[Tensor, Tensor]:
        """Vectors (U, D) and (I, D) whose dot products are the scores that are evaluated.

        Kept until the weights change: an evaluation asks for them batch by batch.
        """
        versions = tuple(n for w in self.parameters() for n in (w._version, w.data_ptr()))
        if self._evaluated is None or self._evaluated[0] != versions:
            found = factors(self)
            assert found is not None
            users, items = (alike(each, self.choice.score_similarity) for each in found)
            self._evaluated = versions, (users, items)
        return self._evaluated[1]

    def full_sort_predict(self, interaction: Interaction) -> Tensor:
        """Scores of all items, in the similarity of the evaluation."""
        if self.choice.score_similarity == "dot":
            return super().full_sort_predict(interaction)
        queries, items = self._to_evaluate(interaction)
        return (queries @ items.T).view(-1)

    def predict(self, interaction: Interaction) -> Tensor:
        """Scores of pairs, in the similarity of the evaluation."""
        if self.choice.score_similarity == "dot":
            return super().predict(interaction)
        queries, items = self._to_evaluate(interaction)
        return (queries * items[interaction[self.columns[1]]]).sum(1)

    def _to_evaluate(self, interaction: Interaction) -> tuple[Tensor, Tensor]:
        if has_vectors(type(self)):
            users, items = self.evaluation_vectors()
            return users[interaction[self.columns[0]]], items
        found = query_vectors(self, interaction)
        assert found is not None
        return alike(found[0], "cosine"), alike(found[1], "cosine")


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """The mean ``()`` of values (B,) under weights (B,) whose mean over the whole batch is 1.

    They are not divided by their sum here, which of a process's share of a batch is another.
    """
    return mean_over_rows(values if weights is None else values * weights, None)


def _products(queries: Tensor, positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of the positives (B,) and of the negatives (B, n); a list of those is ``(n, D)``."""
    pos = (queries * positives).sum(1)
    if negatives.dim() == 2:
        return pos, queries @ negatives.T
    return pos, torch.bmm(negatives, queries.unsqueeze(2)).squeeze(2)


@cache
def _turned(model_class: Any) -> Any:
    mixin = ManyWithVectors if has_queries(model_class) else ManyNegatives
    return type(model_class.__name__, (mixin, model_class), {})


def over_many(
    model: Any,
    choice: LossChoice,
    columns: tuple[str, str, str],
    seed: int,
    mixer: MixerChoice | None = None,
) -> None:
    """Turn a model, in place, into one that is trained by a loss over many negatives.

    Args:
        model: of RecBole, or anybody's that has vectors or pair scores.
        choice: of the loss.
        columns: of users, positives and negatives in a batch.
        seed: of the run, for a loss and a mixer that draw.
        mixer: makes the negatives of candidates; None: these are the negatives.
    """
    before: Any = type(model)
    model.__class__ = _turned(before)
    model.__dict__["choice"] = choice
    model.__dict__["columns"], model.__dict__["seed"] = columns, seed
    loss, device = get(choice.name)(choice.params), next(model.parameters()).device
    model.over_negatives = loss.to(device)
    if mixer is not None:
        made_by = mixer_class(mixer.name)(layer_width(model), mixer.params)
        model.mixer_of_negatives = made_by.to(device)


def similarity_of(model: nn.Module) -> str:
    """How the vectors of a model are compared in its training."""
    return model.choice.similarity if isinstance(model, ManyNegatives) else "dot"
