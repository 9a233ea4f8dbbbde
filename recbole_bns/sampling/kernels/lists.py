"""Leaving items out of a list that all rows of a batch share; see :mod:`.engine`.

Either each item of the list is looked up among the user's, a bit each, or each item of the user in
the list, which is less where the user has few and the list is long, or where no table of bits fits.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..catalogue import Catalogue
from . import engine
from .softmax import Taken

LOOK_UPS = 6
"""Look-ups of a bit that cost as much as one in the list."""


def taken(catalogue: Catalogue, users: Tensor, ids: Tensor) -> Tensor:
    """Which items of a list (n,) each user (B,) has interacted with: ``(B, n)`` bool."""
    if catalogue.bitmap is None or not engine.available(users, ids, catalogue.bitmap):
        return catalogue.is_positive(users.unsqueeze(1), ids)
    out = torch.empty((len(users), len(ids)), dtype=torch.bool)
    each = users.numpy(), out.numpy()
    shared = catalogue.bitmap.numpy(), *_places_of_bits(ids)
    engine.spread(engine.compiled("lists").taken, shared, each, out.numel())
    return out


def _places_of_bits(ids: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The byte (n,) of each item in a user's row of the table of bits, and its bit there (n,)."""
    return (ids >> 3).int().numpy(), (1 << (ids & 7)).to(torch.uint8).numpy()


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
        self.bits: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        if catalogue.bitmap is not None and not own_only:
            held = int((catalogue.indptr[users + 1] - catalogue.indptr[users]).sum())
            if len(ids) * len(users) < LOOK_UPS * held:
                self.bits = catalogue.bitmap.numpy(), *_places_of_bits(ids)
                return
        first = torch.full((catalogue.item_num,), -1, dtype=torch.int32).numpy()
        following = torch.empty(len(ids), dtype=torch.int32).numpy()
        engine.compiled("lists").places(ids.numpy(), first, following)
        self.places = first, following

    def leave_out(self, scores: Tensor, rows: slice) -> Taken | None:
        """Put ``-inf`` into scores (b, n) of the rows b of the batch, in place.

        Or say where :func:`.softmax.softmax` finds the bits, which it looks up in its own loop.
        """
        if self.bits is not None:
            return Taken(*self.bits, self.users[rows])
        loops = engine.compiled("lists")
        if self.own_only:
            each = self.items[rows].numpy(), scores.numpy()
            engine.spread(loops.leave_out_own, self.places, each, len(scores))
            return None
        shared = *self.places, self.indptr, self.positives
        each = self.users[rows].numpy(), scores.numpy()
        engine.spread(loops.leave_out_positives, shared, each, 2 * len(scores) * self.each)
        return None
