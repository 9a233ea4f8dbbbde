"""Known dislikes: items that were shown to a user and not taken. Knows no model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .catalogue import Catalogue
from .proposals import distinct_ranks, first_distinct
from .streams import integers, new_key, uniforms

FEW = 32
"""Different draws by ranks, which cost the square of their number; of more a stream is drawn."""


class KnownNegatives(nn.Module):
    """For each user the items that are known to be none of the user's.

    A training positive of a user is none of them, whatever was said: the positive wins. A pair
    that is told twice counts once.

    Args:
        catalogue: the training interactions.
        pairs: ``(2, N)`` int64 users and items; pairs with the padding are ignored.
    """

    number: Tensor
    """``(U,)`` how many each user has."""
    items: Tensor
    """``(nnz + 1,)`` int32 the users' lists one after another, and a place behind the last."""

    def __init__(self, catalogue: Catalogue, pairs: Tensor) -> None:
        super().__init__()
        users, items = pairs.to(catalogue.device)
        known = (users != 0) & (items != 0) & ~catalogue.is_positive(users, items)
        size = catalogue.user_num, catalogue.item_num
        self.listed = Catalogue(users[known], items[known], *size)
        self.register_buffer("number", self.listed.indptr.diff(), False)
        behind = nn.functional.pad(self.listed.positives, (0, 1))
        self.register_buffer("items", behind, False)

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self.listed.positives)

    def holds(self, users: Tensor, items: Tensor) -> Tensor:
        """Whether items (B, ...) are known dislikes of users (B,): bool, the shape of the items."""
        return self.listed.is_positive(users.view(-1, *[1] * (items.dim() - 1)), items)

    def draw(
        self, users: Tensor, k: int, generator: torch.Generator, *, distinct: bool = False
    ) -> Tensor:
        """Draw ``k`` of each user's, each as likely.

        Args:
            users: ``(B,)``.
            k: draws a user.
            generator: source of randomness, on the device of the catalogue.
            distinct: without replacement. A user with fewer than ``k`` gets each once, then 0;
                with more than :data:`FEW` draws perhaps a few less.

        Returns:
            ``(B, k)`` item ids; 0 for "no such item".
        """
        distinct = distinct and k > 1
        if distinct and k > FEW:
            stream = self._items(users, self._ranks(users, 2 * k, generator, distinct=False))
            return first_distinct(stream, stream > 0, k)
        return self._items(users, self._ranks(users, k, generator, distinct=distinct))

    def among(
        self,
        users: Tensor,
        ids: Tensor,
        share: float,
        generator: torch.Generator,
        *,
        distinct: bool = False,
    ) -> Tensor:
        """Ids (B, k), each with probability ``share`` replaced by a known dislike of the user.

        Users without any keep theirs, and where they have too few the rest stay.

        Args:
            users: ``(B,)``.
            ids: ``(B, k)``; 0 for none.
            share: of known ones.
            generator: source of randomness.
            distinct: no id twice in a row of the result; where that leaves a row too few it ends
                with 0.

        Returns:
            ``(B, k)`` item ids.
        """
        k = ids.shape[1]
        drawn = self.draw(users, k, generator, distinct=distinct)
        places = torch.arange(ids.numel(), device=ids.device).view(ids.shape)
        wanted = uniforms(new_key(generator), places) < share
        nth = (wanted.cumsum(1) - 1).clamp_(min=0)
        drawn = drawn.gather(1, nth)
        mixed = torch.where(wanted & (drawn > 0), drawn, ids)
        if not distinct or k == 1:
            return mixed
        stream = torch.cat((mixed, ids), 1)
        return first_distinct(stream, stream > 0, k)

    def _ranks(
        self, users: Tensor, k: int, generator: torch.Generator, *, distinct: bool
    ) -> Tensor:
        """Places ``(B, k)`` in the users' own lists; -1 where there are too few."""
        number = self.number[users]
        places = torch.arange(len(users) * k, device=users.device).view(-1, k)
        u = uniforms(new_key(generator), places)
        if distinct:
            return distinct_ranks(number, u)
        number = number.unsqueeze(1)
        return integers(number, u).masked_fill_(number == 0, -1)

    def _items(self, users: Tensor, ranks: Tensor) -> Tensor:
        """Items ``(B, k)`` at places (B, k) of the users' lists; 0 at -1."""
        place = self.listed.indptr[users].unsqueeze(1) + ranks.clamp(min=0)
        return self.items[place].long().masked_fill_(ranks < 0, 0)
