"""A training dataloader that draws its negatives with a core sampler, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from recbole.data.dataloader import TrainDataLoader
from recbole.data.interaction import Interaction
from recbole.data.transform import Equal
from recbole.utils import InputType
from torch import Tensor, nn

from recbole_bns.common.errors import UsageError
from recbole_bns.runs.records import RunConfig
from recbole_bns.sampling.capabilities import Scores, of_type
from recbole_bns.sampling.mined import Miner
from recbole_bns.sampling.proposals import Announced

from .many_negatives import ManyNegatives
from .models import upgrade, weigh
from .sampler import BNSSampler
from .scorers import bind_loss, on_device
from .team import current
from .weights import ROW_WEIGHT, check_weighed, even, weights_of


class BatchWatcher(Protocol):
    """What watches the batches of a training loader, before each step."""

    def bind(self, model: nn.Module) -> None:
        """Score with ``model`` from now on."""

    def begin_epoch(self, batches: int) -> None:
        """An epoch of so many batches begins."""

    def sampling(self) -> AbstractContextManager[None]:
        """A context in which negatives are drawn."""

    def see(self, users: Tensor, items: Tensor, ids: Tensor, rows: Any = None) -> None:
        """Take note of a batch: users (B,), positives (B,), their negatives (B, n), its columns."""

    def see_mined(self, users: Tensor, items: Tensor) -> None:
        """Take note of positives (N,) of users (N,) that took the places of a batch's own."""

    def see_many(
        self, users: Tensor, items: Tensor, ids: Tensor, left_out: Any, rows: Any = None
    ) -> None:
        """The same under a loss over many negatives; ``left_out`` tells the terms not in it."""


class BNSTrainDataLoader(TrainDataLoader):
    """RecBole's ``TrainDataLoader`` with our negatives.

    A batch holds the same positives whatever ``neg_sample_num`` is: ``train_batch_size`` of them
    for pairwise models, half as many for pointwise ones, as RecBole has with one negative.
    Batches are slices of one permutation, on the model's device. Users without a negative are
    left out. With mined positives some of a batch make way for these before negatives are drawn.
    One of several processes gets its share of each batch, whose :attr:`weight` it is.

    With a loss over many negatives a batch is ``train_batch_size`` positives and one column of
    negatives ``(B, n)``: a row each, or one list, a row that is repeated without being copied. With
    a mixer the column holds the candidates of each, ``(B, n · M)``.

    Attributes:
        batch: the last one, with its negatives.
        row_weights: ``(N,)`` weights of the interactions, where they have some; a batch has them in
            its column :data:`.weights.ROW_WEIGHT`.

    Args:
        config: RecBole's ``Config``; ``train_neg_sample_args`` as :mod:`.config` derives them.
        dataset: the training part.
        sampler: draws the negatives.
        shuffle: permute the positives anew for each epoch.
        recorder: watches every batch; None: nobody does.
    """

    _sampler: BNSSampler

    def __init__(
        self,
        config: RunConfig,
        dataset: Any,
        sampler: BNSSampler,
        shuffle: bool = False,
        recorder: BatchWatcher | None = None,
    ) -> None:
        if config["worker"] and of_type(sampler.core.requirements(), Scores):
            raise UsageError(
                f"worker: got {config['worker']}, but neg_sampler '{sampler.core.name}' looks at "
                "the model, and a worker process has a stale copy of it; allowed is 0."
            )
        check_weighed(config, dataset)
        self.row_weights = weights_of(dataset)
        users = dataset.inter_feat[dataset.uid_field]
        has_negative = sampler.core.catalogue.negative_num.cpu()[users] > 0
        if not bool(has_negative.any()):
            raise UsageError(
                f"data set '{config['dataset']}': no user has a negative left, every user has "
                "interacted with every item of the training part; use a larger catalogue or "
                "filter with user_inter_num_interval."
            )
        self.rows = has_negative.nonzero().squeeze(1)
        self.epoch = 0
        self.team, self.weight = current(), 1.0
        self.recorder, self.drawn, self.miner = recorder, sampler.drawn, sampler.miner
        self.batch: Interaction | None = None
        if self.drawn is not None and recorder is not None and self.drawn.candidates is not None:
            self.drawn.seen = self._see_made
        super().__init__(config, dataset, sampler, shuffle=shuffle)
        self.device = sampler.core.catalogue.device
        self._user_features = on_device(dataset.user_feat, self.device)
        self._item_features = sampler.columns.item_features

    def _set_neg_sample_args(
        self, config: RunConfig, dataset: Any, dl_format: Any, neg_sample_args: Any
    ) -> None:
        if self.drawn is None:
            super()._set_neg_sample_args(config, dataset, dl_format, neg_sample_args)
            return
        # RecBole would tell the data set of the column, and context-aware models make a table of it
        self.uid_field, self.iid_field = dataset.uid_field, dataset.iid_field
        self.dl_format, self.neg_sample_args = InputType.PAIRWISE, neg_sample_args
        self.neg_sample_num = neg_sample_args["sample_num"]
        self.neg_prefix = config["NEG_PREFIX"]
        self.neg_item_id = self.neg_prefix + self.iid_field
        self.times, self.sampling_func = 1, self._add_many

    def _init_batch_size_and_step(self) -> None:
        self.sample_size = len(self.rows)
        positives = self.config["train_batch_size"]
        if self.dl_format == InputType.POINTWISE:
            positives //= 2
        self.step = max(positives, 1)
        self.set_batch_size(self.step * self.times)

    def get_model(self, model: nn.Module) -> None:
        """Let the sampler look at ``model``, made whole, from now on.

        Our trainer hands it over, and RecBole's ``fit`` does: the same model a second time changes
        nothing.
        """
        if self.model is model:
            return
        super().get_model(upgrade(model, self.config))
        if self.row_weights is not None and self.drawn is None:
            weigh(model)
        self._sampler.bind(model)
        if self.drawn is not None:
            bind_loss(model, self.drawn, self._sampler.columns)
        if self.recorder:
            self.recorder.bind(model)

    def begin_epoch(self, epoch: int) -> None:
        """The next pass is epoch ``epoch`` (0-based), its trainer says; alone the loader counts."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Interaction]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        if self.recorder:
            self.recorder.begin_epoch(len(self))
        with self._sampling():
            self._sampler.begin_epoch(epoch)
            if isinstance(self.model, ManyNegatives):
                self.model.begin_epoch(epoch)
        sliced = self.config["single_spec"] and isinstance(self.transform, Equal)
        return self._slices() if sliced else self._collated()

    def _slices(self) -> Iterator[Interaction]:
        """Batches from one permutation of the columns; no per-row work."""
        order = self.rows
        if self.shuffle:
            order = order[torch.randperm(len(order), generator=self.generator)]
        shares = [self._share(start) for start in range(0, len(order), self.step)]
        weights = None if self.row_weights is None else even(self.row_weights[order], self.step)
        if self.team.size > 1:
            ours = [slice(first, end) for first, end, _ in shares]
            order = torch.cat([order[rows] for rows in ours])
            weights = None if weights is None else torch.cat([weights[rows] for rows in ours])
        feat = self._dataset.inter_feat.interaction
        columns = {name: value[order].to(self.device) for name, value in feat.items()}
        if weights is not None:
            columns[ROW_WEIGHT] = weights.to(self.device)
        announced = self._sampler.core.announce(columns[self.uid_field])
        start = 0
        for number, (first, end, self.weight) in enumerate(shares):
            self._tell_rows(number)
            rows = slice(start, start + end - first)
            start = rows.stop
            part = {name: value[rows] for name, value in columns.items()}
            batch = self._join(Interaction(part))
            with served(announced, rows, batch[self.uid_field]):
                batch = self._neg_sampling(batch)
            yield batch

    def _share(self, start: int) -> tuple[int, int, float]:
        """First row and end of our share of the batch that begins at ``start``, and its weight."""
        first, end, weight = self.team.share(self._row_num(start))
        return start + first, start + end, weight

    def _row_num(self, start: int) -> int:
        """Rows of the whole batch that begins at ``start``."""
        return min(self.step, self.sample_size - start)

    def _tell_rows(self, number: int) -> None:
        """Tell a loss how many rows batch ``number`` has in all processes together."""
        if self.drawn is not None and self.team.size > 1:
            self.drawn.row_num = self._row_num(number * self.step)

    def _collated(self) -> Iterator[Interaction]:
        """RecBole's way to a batch, for its transforms and distributed samplers.

        Workers fetch and transform; the negatives are drawn here, from one stream.
        """
        for number, data in enumerate(super().__iter__()):
            self.weight = self._share(number * self.step)[2]
            self._tell_rows(number)
            yield self._neg_sampling(data.to(self.device))

    def collate_fn(self, index: Any) -> Interaction:
        """The positives of a batch, transformed."""
        first, end, _ = self.team.share(len(index))
        rows = self.rows[np.array(index[first:end])]
        batch: Interaction = self.transform(self._dataset, self._dataset[rows])
        if self.row_weights is not None:
            weights = even(self.row_weights[self.rows[np.array(index)]], len(index))
            batch.update(Interaction({ROW_WEIGHT: weights[first:end]}))
        return batch

    def _neg_sampling(self, inter_feat: Interaction) -> Interaction:
        if self.miner is not None:
            inter_feat = self._with_mined(inter_feat, self.miner)
        users, items = inter_feat[self.uid_field], inter_feat[self.iid_field]
        with self._sampling():
            if self.drawn is not None and self.drawn.shared:
                drawn = self._sampler.sample_shared(users, items, self.neg_sample_num)
                ids = drawn.expand(len(users), -1)
            else:
                ids = self._sampler.sample(users, items, self._drawn_for_each, inter_feat)
        if self.recorder and self.drawn is not None and self.drawn.candidates is not None:
            pass  # the mixer chooses what enters the loss
        elif self.recorder and self.drawn is not None:
            self.recorder.see_many(users, items, ids, self._left_out, inter_feat)
        elif self.recorder:
            self.recorder.see(users, items, ids, inter_feat)
        self.batch = self.sampling_func(inter_feat, ids if self.drawn else ids.T.reshape(-1))
        return self.batch

    def _with_mined(self, inter_feat: Interaction, miner: Miner) -> Interaction:
        """The batch with some other positives, and what is known of these items.

        What a row says of the interaction itself, as its time, stays as it was.
        """
        users = inter_feat[self.uid_field]
        with self._sampling():
            items, is_mined = miner.replace(users, inter_feat[self.iid_field])
        if self.recorder:
            self.recorder.see_mined(users[is_mined], items[is_mined])
        inter_feat.update(Interaction({self.iid_field: items}))
        if self._item_features is not None:
            inter_feat.update(self._item_features[items])
        return inter_feat

    @property
    def _drawn_for_each(self) -> int:
        """Ids that are drawn for a positive: its negatives, or a mixer's candidates of these."""
        number: int = self.neg_sample_num
        return number * ((self.drawn.candidates if self.drawn else None) or 1)

    def _see_made(self, users: Tensor, items: Tensor, ids: Tensor, rows: Interaction) -> None:
        """Tell the recorder of the ids (B, n) that a batch's negatives were made of."""
        assert self.recorder is not None
        self.recorder.see_many(users, items, ids, lambda *_: None, rows)

    def _left_out(self, users: Tensor, items: Tensor, ids: Tensor) -> Tensor | None:
        """Terms ``(B, n)`` that a loss over many negatives leaves out; None: all are in."""
        assert self.drawn is not None
        return self.drawn.masked(users, items, ids, self.config["loss_mask"] is not False)

    def _add_many(self, inter_feat: Interaction, ids: Tensor) -> Interaction:
        """A column of negatives (B, n)."""
        inter_feat.update(Interaction({self.neg_item_id: ids}))
        return inter_feat

    def _sampling(self) -> AbstractContextManager[None]:
        return self.recorder.sampling() if self.recorder else nullcontext()

    def _neg_sample_by_pair_wise_sampling(
        self, inter_feat: Interaction, neg_item_ids: Tensor
    ) -> Interaction:
        if self.times > 1:
            inter_feat = inter_feat.repeat(self.times)
        negatives = self._join(Interaction({self.iid_field: neg_item_ids}))
        negatives.add_prefix(self.neg_prefix)
        inter_feat.update(negatives)
        return inter_feat

    def _neg_sample_by_point_wise_sampling(
        self, inter_feat: Interaction, neg_item_ids: Tensor
    ) -> Interaction:
        positives = len(inter_feat)
        data = inter_feat.repeat(self.times)
        data[self.iid_field][positives:] = neg_item_ids
        labels = torch.zeros(len(data), device=neg_item_ids.device)
        labels[:positives] = 1.0
        data.update(Interaction({self.label_field: labels}))
        return self._join(data)

    def _join(self, data: Interaction) -> Interaction:
        """Add the features of the users and items of ``data``, as RecBole's ``join`` does."""
        known = ((self.uid_field, self._user_features), (self.iid_field, self._item_features))
        for field, features in known:
            if features is not None and field in data:
                data.update(features[data[field]])
        return data


def served(announced: Announced | None, rows: slice, users: Tensor) -> AbstractContextManager[None]:
    """A context for the negatives of announced users, who lie in ``users``."""
    if announced is None:  # a sampler whose announce() says nothing
        return nullcontext()
    return announced.rows(rows.start, rows.stop, users)
