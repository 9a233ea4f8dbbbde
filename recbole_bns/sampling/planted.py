"""False negatives that are put before a sampler on purpose: SRNS's study (section 4.2).

Of a user's held-out items some are *available*. At every draw one of them, each as likely, is put
among what the sampler chooses from: a memory's place or a candidate. No other held-out item is ever
drawn, so that the planted ones are all the false negatives there are, as in the authors' program.
Nothing of this exists in a sampler that nothing is planted in, and its draws are those of old.

Source: J. Ding et al., Simplify and Robustify Negative Sampling for Implicit Collaborative
Filtering, NeurIPS 2020.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recbole_bns.common.errors import UsageError

from .catalogue import Catalogue
from .proposals import Draws, Proposal
from .state import Resumable


class Planted(Resumable):
    """What is planted, and uniform draws without any held-out item.

    Args:
        catalogue: the training interactions.
        held_out: ``(2, N)`` users and items that are never drawn by chance.
        available: ``(2, M)`` those of them that are planted.
        seed: of the generator that says which one, the sampler's own stays as it is.

    Raises:
        UsageError: a user has interacted with every item, in training or held out.
    """

    def __init__(
        self, catalogue: Catalogue, held_out: Tensor, available: Tensor, seed: int
    ) -> None:
        super().__init__(catalogue, seed)
        size = catalogue.user_num, catalogue.item_num
        users = torch.cat((catalogue.owners, held_out[0]))
        items = torch.cat((catalogue.positives.long(), held_out[1]))
        every = Catalogue(users, items, *size)
        if bool((every.negative_num[1:] <= 0).any()):
            raise UsageError(
                "planted items: a user has interacted with every item, in the training part or in "
                "the test part, so that there is no true negative; use a larger catalogue."
            )
        self.proposal = Proposal(every)
        self.items = Catalogue(available[0], available[1], *size, bitmap=False)

    def pick(self, users: Tensor) -> Tensor:
        """An available item of each user (B,), ``(B,)``; 0 of one who has none."""
        first, end = self.items.indptr[users], self.items.indptr[users + 1]
        u = torch.rand(
            users.shape, generator=self.generator, dtype=torch.float64, device=users.device
        )
        place = first + (u * (end - first)).long()
        items = torch.nn.functional.pad(self.items.positives, (0, 1))[place].long()
        return items.where(end > first, 0)

    def among(self, users: Tensor, candidates: Tensor) -> Tensor:
        """Candidates (B, m) of users (B,), the first of them planted where a user has such."""
        picked = self.pick(users)
        first = picked.where(picked > 0, candidates[:, 0])
        return torch.cat((first.unsqueeze(1), candidates[:, 1:]), 1)

    def within(self, memory: Tensor) -> Tensor:
        """A copy of a memory (U, S) whose last place holds a planted item of the user, if any."""
        picked = self.pick(torch.arange(len(memory), device=memory.device))
        last = picked.where(picked > 0, memory[:, -1])
        return torch.cat((memory[:, :-1], last.unsqueeze(1)), 1)


class Plantable(Resumable):
    """The part of a sampler that chooses among items, of which one can be planted."""

    params: Any
    proposal: Draws

    @property
    def planted(self) -> Planted | None:
        """What is planted; None where nothing is."""
        held = self._modules.get("planted_items")
        return held if isinstance(held, Planted) else None

    @classmethod
    def unplantable(cls, params: Any) -> str:
        """Why nothing can be planted with these parameters, a clause; "" where it can."""
        return ""

    def plant(self, planted: Planted) -> None:
        """Choose among planted items from now on; called before the first draw.

        Raises:
            UsageError: with these parameters there is nothing that an item could be put among.
        """
        if reason := self.unplantable(self.params):
            raise UsageError(f"planted items: {reason}.")
        self.add_module("planted_items", planted)
        self.proposal = planted.proposal
