"""What each user has had so far, in order, as a sequential model is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


class Histories(NamedTuple):
    """Lists of item numbers, the newest last."""

    items: Tensor
    """``(N, L)``; 0 after the end of a list."""
    lengths: Tensor
    """``(N,)``; 0: there is none."""

    def batch(self, who: Tensor) -> tuple[Tensor, Tensor]:
        """Lists (S, L) and lengths (S,) of some."""
        return self.items[who], self.lengths[who]


def padded(lists: Sequence[Tensor], length: int) -> Histories:
    """The last ``length`` items of each list."""
    last = [each[-length:] for each in lists]
    items = pad_sequence(last, batch_first=True)
    lengths = torch.tensor([len(each) for each in last])
    return Histories(torch.nn.functional.pad(items, (0, length - items.shape[1])), lengths)


def histories_of(parts: Mapping[str, Any], length: int, until: str) -> Histories:
    """Of all users by number, of which the first is padding.

    RecBole keeps no list of a user, but for each item what came before it.

    Args:
        parts: by phase.
        length: L, of the longest list that the model is told.
        until: ``all``: to the user's last item; ``train``: what came before the first one that is
            held out, or to the last of the training part for whom nothing is.
    """
    train = parts["train"]
    held = Histories(
        torch.zeros(train.user_num, length, dtype=torch.long),
        torch.zeros(train.user_num, dtype=torch.long),
    )
    if until == "all":
        _write(held, _rows(parts.values()), latest=True)
        return held
    _write(held, _rows([train]), latest=True)
    others = [part for phase, part in parts.items() if phase != "train"]
    if others:
        _write(held, _rows(others), latest=False)
    return held


class _Rows(NamedTuple):
    users: Tensor
    items: Tensor
    past: Tensor
    lengths: Tensor


def _rows(parts: Any) -> _Rows:
    """Rows of some parts in the order of time."""
    parts = list(parts)
    first = parts[0]
    names = [first.uid_field, first.iid_field, first.item_id_list_field]
    names.append(first.item_list_length_field)
    columns = [_joined([part.inter_feat[name] for part in parts]) for name in names]
    if first.time_field in first.inter_feat:
        times = torch.cat([part.inter_feat[first.time_field] for part in parts])
        order = times.argsort(stable=True)
        columns = [column[order] for column in columns]
    return _Rows(*columns)


def _joined(columns: Sequence[Tensor]) -> Tensor:
    """One below another; lists of a fixed split may differ in width."""
    if columns[0].dim() == 1:
        return torch.cat(list(columns))
    width = max(column.shape[1] for column in columns)
    pad = torch.nn.functional.pad
    return torch.cat([pad(column, (0, width - column.shape[1])) for column in columns])


def _write(held: Histories, rows: _Rows, *, latest: bool) -> None:
    """Put down each user's history: with the latest row's item, or as before the first row."""
    length = held.items.shape[1]
    order = np.arange(len(rows.users))
    chosen = np.full(len(held.lengths), -1)
    for_last = order if latest else order[::-1]
    chosen[rows.users.numpy()[for_last]] = for_last  # of a user's rows the last one assigned stays
    who = torch.from_numpy((chosen >= 0).nonzero()[0])
    mine = torch.from_numpy(chosen[chosen >= 0])
    past, sizes = rows.past[mine], rows.lengths[mine].long()
    if latest:
        past = torch.nn.functional.pad(past, (0, 1))
        past.scatter_(1, sizes.unsqueeze(1), rows.items[mine].unsqueeze(1))
        sizes = sizes + 1
    kept = sizes.clamp(max=length)
    place = (sizes - kept).unsqueeze(1) + torch.arange(length)
    inside = torch.arange(length) < kept.unsqueeze(1)
    lists = past.gather(1, place.clamp(max=past.shape[1] - 1))
    held.items[who], held.lengths[who] = lists * inside, kept
