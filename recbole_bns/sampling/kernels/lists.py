"""Leaving items out of a list that all rows of a batch share; see :mod:`.engine`.

A row's user has some hundred items and the list a thousand, so that it is the user's items that
are looked up in the list, and not the other way round.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..catalogue import Catalogue
from . import engine


class ListExclusion:
    """Takes terms out of scores of a shared list, some rows at a time; on the CPU.

    Args:
        catalogue: the training interactions.
        ids: ``(n,)`` the list; an item may stand in it more than once.
        users: ``(B,)``.
        items: ``(B,)`` positives.
        own_only: take out a row's positive alone, and not all training items of its user.
    """

    def __init__(
        self, catalogue: Catalogue, ids: Tensor, users: Tensor, items: Tensor, own_only: bool
    ) -> None:
        self.users, self.items, self.own_only = users, items, own_only
        self.indptr, self.positives = catalogue.indptr.numpy(), catalogue.positives.numpy()
        self.each = len(catalogue.positives) // max(catalogue.user_num, 1) + 1
        first = torch.full((catalogue.item_num,), -1, dtype=torch.int32).numpy()
        following = torch.empty(len(ids), dtype=torch.int32).numpy()
        engine.compiled("lists").places(ids.numpy(), first, following)
        self.places = first, following

    def leave_out(self, scores: Tensor, rows: slice) -> None:
        """Put ``-inf`` into scores (b, n) of the rows b of the batch, in place."""
        loops = engine.compiled("lists")
        if self.own_only:
            each = self.items[rows].numpy(), scores.numpy()
            engine.spread(loops.leave_out_own, self.places, each, len(scores))
            return
        shared = *self.places, self.indptr, self.positives
        each = self.users[rows].numpy(), scores.numpy()
        engine.spread(loops.leave_out_positives, shared, each, 2 * len(scores) * self.each)
