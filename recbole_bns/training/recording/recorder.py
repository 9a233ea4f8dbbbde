"""Watches a training loader and tells after each epoch what its negatives were worth.

The held-out labels live here and nowhere else in training: samplers do not know the recorder.
What ids alone tell (TNR, popularity, repeats, coverage) rests on every negative. What needs scores
(INF, information, hardness) rests on one batch in :data:`EVERY` (16), which are random samples of
the epoch's positives; where scores are dear (a model without vectors at hand), on one in
:data:`EVERY_DEAR` (32) and :data:`ROWS` rows of it. The scored batches are the centres of equal
stretches of the epoch (:func:`centres`), since a batch is scored by the weights before its step.
``scored`` in the table says on how many negatives. The epoch's ids are kept until its end: 16 bytes
a negative.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import getLogger
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from recbole_bns.adapters.scorers import Columns, ScorerFactory, best_scorer, vectors_at_hand
from recbole_bns.common.errors import UsageError
from recbole_bns.sampling import Catalogue, Scorer

from . import quality
from .files import WHEN_MINED, RecordFolder

MANY = 1 << 20
"""Negatives of an epoch that are looked at where a positive meets many: 16 MiB."""
EVERY, EVERY_DEAR, ROWS = 16, 32, 256
"""One batch in so many is scored, at least one, and so many of its rows where scores are dear."""
TABLE = 1 << 22
"""Pairs whose held-out labels are kept a byte each."""
SCORES, MOST_USERS = 1 << 22, 1000
"""Scores, and users, that a histogram rests on at the most."""


@dataclass
class Seen:
    """What an epoch has shown so far, batch by batch."""

    users: list[Tensor] = field(default_factory=list)
    """``(B,)`` each."""
    ids: list[Tensor] = field(default_factory=list)
    """``(B, n)`` each; 0 where a loss leaves a term out."""
    scored: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)
    """Users (b,), ids (b, n) and scores (b, 1 + n), the positive's first."""
    mined: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Users (m,) and mined positives (m,) of each batch, where positives are mined."""
    sampling: float = 0.0
    """Seconds spent sampling; on a GPU those that the CPU spent."""
    recording: float = 0.0
    """Seconds spent recording."""


class NegativeRecorder:
    """Measures of the negatives of each epoch; see :mod:`.quality` for their definitions.

    Args:
        catalogue: the training interactions.
        held_out: ``(2, N)`` user and item of the validation and test parts together.
        columns: how the data set names users and items.
        score_epochs: epochs, counted from 1, after which score histograms are made.
        seed: chooses the users of the histograms where not all fit.

    Attributes:
        rows: the measures of each epoch.
        folder: writes them; None: they are only kept.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        held_out: Tensor,
        columns: Columns,
        score_epochs: tuple[int, ...] = (),
        seed: int = 0,
    ) -> None:
        self.catalogue, self.columns = catalogue, columns
        users, items = held_out.to(catalogue.device)
        self.held_out = Catalogue(users, items, catalogue.user_num, catalogue.item_num)
        self._false: Tensor | None = None
        if catalogue.user_num * catalogue.item_num <= TABLE:  # one look-up, where a cache holds it
            everyone = torch.arange(catalogue.user_num, device=catalogue.device)
            self._false = self.held_out.positive_mask(everyone).view(-1)
        self.score_epochs = frozenset(score_epochs)
        self.seed = seed
        self.rows: list[dict[str, float]] = []
        self.folder: RecordFolder | None = None
        self.draws = torch.zeros(catalogue.item_num, dtype=torch.int64, device=catalogue.device)
        self._seen = Seen()
        self._factory: ScorerFactory | None = None
        self._dear = False
        self._to_score: frozenset[int] = frozenset()
        self._most = 0

    def bind(self, model: nn.Module) -> None:
        """Score with ``model`` from now on."""
        self._factory = best_scorer(model, self.columns)
        self._dear = not vectors_at_hand(model)

    def write_to(self, folder: RecordFolder) -> None:
        """Write the measures of the epochs from now on."""
        self.folder = folder

    def begin_epoch(self, batches: int) -> None:
        """Forget an epoch that was left halfway, and choose the batches to score.

        Args:
            batches: that the epoch has; :meth:`see` is to be told of each, in order.
        """
        self._seen = Seen()
        self._to_score = centres(batches, EVERY_DEAR if self._dear else EVERY)
        self._most = MANY // max(batches, 1)

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Count the seconds within as spent sampling."""
        start = perf_counter()
        try:
            yield
        finally:
            self._seen.sampling += perf_counter() - start

    def see_mined(self, users: Tensor, items: Tensor) -> None:
        """Take note of the mined positives (m,) of users (m,) in a batch."""
        self._seen.mined.append((users, items))

    def see_many(
        self, users: Tensor, items: Tensor, ids: Tensor, left_out: Any, rows: Any = None
    ) -> None:
        """Take note of a batch under a loss over many negatives: of what enters the loss.

        A batch is shuffled, so its first rows stand for all where there are more negatives than an
        epoch has room for (:data:`MANY`).

        Args:
            users: ``(B,)``.
            items: ``(B,)`` positives.
            ids: ``(B, n)`` their negatives; a list that all share is met by each.
            left_out: called with users, positives and negatives; ``(B, n)`` bool, terms that the
                loss leaves out, or None.
            rows: the batch, for models that score by more than ids.
        """
        start = perf_counter()
        taken = slice(max(self._most // ids.shape[1], 1))
        users, items, ids = users[taken], items[taken], ids[taken]
        masked = left_out(users, items, ids)
        if masked is not None:
            ids = ids.masked_fill(masked, 0)
        self._seen.recording += perf_counter() - start
        self.see(users, items, ids, rows[taken] if rows is not None else None)

    def see(self, users: Tensor, items: Tensor, ids: Tensor, rows: Any = None) -> None:
        """Take note of a batch, before its step.

        Args:
            users: ``(B,)``.
            items: ``(B,)`` positives.
            ids: ``(B, n)`` their negatives.
            rows: the batch, for models that score by more than ids.
        """
        start = perf_counter()
        seen = self._seen
        if self._factory is not None and len(seen.ids) in self._to_score:
            taken = slice(ROWS if self._dear else None)
            with torch.no_grad():
                scorer = self._factory(rows[taken] if self._dear and rows is not None else rows)
                pairs = torch.cat((items[taken].unsqueeze(1), ids[taken]), 1)
                scores = scorer.pairs(users[taken], pairs)
            seen.scored.append((users[taken], ids[taken], scores))
        seen.users.append(users)
        seen.ids.append(ids)
        seen.recording += perf_counter() - start

    def end_epoch(self, epoch: int, seconds: float) -> dict[str, float]:
        """Measure, write and forget the epoch.

        Args:
            epoch: counted from 1.
            seconds: that its training took.

        Returns:
            the row of ``negatives.csv``; NaN where nothing was drawn or scored.
        """
        start = perf_counter()
        seen, self._seen = self._seen, Seen()
        with torch.no_grad():
            row = {"epoch": float(epoch), **self._drawn(seen), **self._scored(seen)}
            row |= self._mined(seen)
        row["sampling_share"] = seen.sampling / seconds
        row["recording_share"] = (seen.recording + perf_counter() - start) / seconds
        self.rows.append(row)
        if self.folder:
            self.folder.negatives(row)
        if epoch in self.score_epochs:
            self._histogram(epoch)
        return row

    def _drawn(self, seen: Seen) -> dict[str, float]:
        """Measures of all negatives; the ids alone tell them."""
        if not seen.ids:
            return {}
        users, ids = _flat(seen.users, seen.ids)
        draws = torch.bincount(ids, minlength=self.catalogue.item_num)
        self.draws += draws
        catalogue = self.catalogue
        keys, popularity = users * catalogue.item_num + ids, catalogue.item_counts
        table = self._false
        is_false = self.held_out.is_positive(users, ids) if table is None else table[keys]
        return {
            "negatives": float(len(ids)),
            "true_negative_rate": quality.true_negative_rate(is_false),
            "popularity": quality.mean_popularity(draws, popularity),
            "popularity_gini": quality.gini(popularity, draws),
            "item_gini": quality.gini(draws[1:]),
            "repeated": quality.repeated_share(keys, catalogue.user_num * catalogue.item_num),
            "coverage": quality.coverage(draws),
        }

    def _mined(self, seen: Seen) -> dict[str, float]:
        """How many of the mined positives are ones indeed; nothing where none is mined."""
        if not seen.mined:
            return {}
        users, items = (torch.cat(parts) for parts in zip(*seen.mined, strict=True))
        is_held_out = self.held_out.is_positive(users, items)
        values = float(len(items)), quality.mean(is_held_out)
        return dict(zip(WHEN_MINED, values, strict=True))

    def _scored(self, seen: Seen) -> dict[str, float]:
        """Measures that need scores."""
        if not seen.scored:
            return {"scored": 0.0}
        users, ids, parts = zip(*seen.scored, strict=True)
        owners, flat = _flat(list(users), list(ids))
        scores = torch.cat([part[:, 1:].reshape(-1) for part in parts])
        positive = torch.cat([part[:, :1].expand_as(part[:, 1:]).reshape(-1) for part in parts])
        there = torch.cat([part.reshape(-1) for part in ids]) > 0
        scores, positive = scores[there], positive[there]
        info = quality.information(positive, scores)
        is_false = self.held_out.is_positive(owners, flat)
        return {
            "scored": float(len(flat)),
            "informativeness": quality.informativeness(info, is_false),
            "information": quality.mean(info),
            "hardness": quality.hardness(positive, scores),
        }

    def _sample(self, wanted: Tensor) -> Tensor:
        """Users among ``wanted`` (U,) bool: all that :data:`SCORES` allows, the same every time."""
        users = (wanted & (self.catalogue.negative_num > 0)).nonzero()[:, 0]
        most = min(max(SCORES // self.catalogue.item_num, 50), MOST_USERS)
        source = torch.Generator().manual_seed(int(self.seed))
        order = torch.randperm(len(users), generator=source)[:most]
        return users[order.sort().values.to(users.device)]

    def _scores_of(self, users: Tensor) -> Tensor | None:
        """``(S, I)`` scores of users (S,); None where the model scores the rows of a batch."""
        assert self._factory is not None
        try:
            with torch.no_grad():
                scorer: Scorer = self._factory(None)
                return torch.cat([scorer.catalogue(part) for part in users.split(256)])
        except UsageError:
            getLogger().warning(
                "neg_record: the model scores by the rows of a batch (item sequence or features), "
                "so that there are no score histograms and no recommended items."
            )
            return None

    def _histogram(self, epoch: int) -> None:
        """Count the scores of all true and false negatives of a fixed sample of users."""
        users = self._sample(self.held_out.indptr.diff() > 0)
        scores = self._scores_of(users) if len(users) else None
        if scores is None:
            return
        free = ~self.catalogue.positive_mask(users) & scores.isfinite()
        free[:, 0] = False
        is_false = self.held_out.positive_mask(users)[free]
        if self.folder:
            self.folder.scores(epoch, quality.score_histogram(scores[free], is_false))

    def finish(self, k: int, names: Any) -> None:
        """Write what was trained on and what is recommended, item by item: ``items.csv``.

        Args:
            k: length of the recommended lists, of a fixed sample of users, from all items that a
                user has no training interaction with; by the model's weights of this moment.
            names: ``(I,)`` of the items.
        """
        users = self._sample(self.catalogue.indptr.diff() > 0)
        scores = self._scores_of(users) if self.folder else None
        if scores is None or self.folder is None:
            return
        scores = scores.masked_fill(self.catalogue.positive_mask(users), float("-inf"))
        scores[:, 0] = float("-inf")
        best = scores.topk(min(k, self.catalogue.item_num - 1)).indices
        recommended = torch.bincount(best.reshape(-1), minlength=self.catalogue.item_num)
        self.folder.items(
            names, *(t.cpu() for t in (self.catalogue.item_counts, self.draws, recommended))
        )


def centres(batches: int, every: int) -> frozenset[int]:
    """Batches, counted from 0, in the middle of ``ceil(batches / every)`` equal stretches.

    Their mean is that of all batches, up to half a batch, so that what is measured at them is
    neither early nor late: with 40 batches and one in 16 they are 6, 20 and 33.
    """
    stretches = -(-batches // every)
    return frozenset((2 * i + 1) * batches // (2 * stretches) for i in range(stretches))


def _flat(users: list[Tensor], ids: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Users (B,) and ids (B, n) of some batches as two columns (N,), without what is left out."""
    owners = torch.cat([u.repeat_interleave(i.shape[1]) for u, i in zip(users, ids, strict=True)])
    drawn = torch.cat([each.reshape(-1) for each in ids])
    there = drawn > 0
    return owners[there], drawn[there]
