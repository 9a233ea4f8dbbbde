"""Who interacted with what: the facts every sampler draws from. No randomness, no model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

BITMAP_LIMIT = 1 << 28
"""Largest table of memberships in bytes; a byte holds eight pairs."""


class Catalogue(nn.Module):
    """The training interactions of U users with I items, as tensors.

    Item 0 is RecBole's padding: never a positive, never a negative. Interactions are stored once,
    sorted by user and item; repeated ones count once for membership and as often as they occur
    for :attr:`item_counts`.

    Args:
        users: ``(N,)`` int64, user ids in ``[0, user_num)``.
        items: ``(N,)`` int64, item ids in ``[0, item_num)``; pairs with item 0 are ignored.
        user_num: U, padding included.
        item_num: I, padding included.
        bitmap: keep a bit for every pair; by default where they fit in :data:`BITMAP_LIMIT`.
            Answers are the same, the table is faster.
        weights: ``(N,)`` how much each interaction counts in :attr:`item_weights`; by default all
            the same.
    """

    indptr: Tensor
    """``(U + 1,)``: positives of user u are ``positives[indptr[u]:indptr[u + 1]]``."""
    positives: Tensor
    """``(nnz,)`` int32 item ids, sorted within each user."""
    item_counts: Tensor
    """``(I,)`` training interactions of each item, repetitions included."""
    item_weights: Tensor
    """``(I,)`` float64, popularity: the sum of the weights of each item's interactions, which are 1
    on average; their number where none are given."""
    negative_num: Tensor
    """``(U,)`` number of items each user has not interacted with."""
    bitmap: Tensor | None
    """``(U, ceil(I / 8))`` uint8: bit ``i % 8`` of byte ``i // 8`` tells of item i."""

    def __init__(
        self,
        users: Tensor,
        items: Tensor,
        user_num: int,
        item_num: int,
        *,
        bitmap: bool | None = None,
        weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        real = items != 0
        if not bool(real.all()):
            users, items = users[real], items[real]
            weights = None if weights is None else weights[real]
        del real
        self.user_num, self.item_num = int(user_num), int(item_num)
        counts = torch.bincount(items, minlength=self.item_num)
        popularity = counts.double()
        if weights is not None and len(weights):
            even = weights.double() / weights.double().mean()
            popularity = torch.bincount(items, even, minlength=self.item_num)
        keys = sorted_pairs(users.long(), items, self.item_num)
        degree = torch.bincount(keys // self.item_num, minlength=self.user_num)
        self.register_buffer("indptr", nn.functional.pad(degree.cumsum(0), (1, 0)), False)
        self.register_buffer("positives", keys.remainder_(self.item_num).int(), False)
        self.register_buffer("item_counts", counts, False)
        self.register_buffer("item_weights", popularity, False)
        self.register_buffer("negative_num", self.item_num - 1 - degree, False)
        self._pair_keys: Tensor | None = None
        if bitmap is None:
            bitmap = self.user_num * -(-self.item_num // 8) <= BITMAP_LIMIT
        table = self._bits() if bitmap else None
        self.register_buffer("bitmap", table, False)

    def _bits(self) -> Tensor:
        width = -(-self.item_num // 8)
        item = self.positives.long()
        table = torch.zeros(self.user_num * width, dtype=torch.uint8, device=self.device)
        bit = torch.ones_like(item, dtype=torch.uint8) << (item & 7).to(torch.uint8)
        table.index_add_(0, self.owners * width + (item >> 3), bit)  # different bits: adding sets
        return table.view(self.user_num, width)

    @property
    def observed(self) -> Catalogue:
        """The interactions that are in the data; another one where more are no negatives."""
        return self

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.positives.device

    @property
    def owners(self) -> Tensor:
        """``(nnz,)`` the user of each entry of :attr:`positives`."""
        every = torch.arange(self.user_num, device=self.device)
        return every.repeat_interleave(self.indptr.diff(), output_size=len(self.positives))

    @property
    def pair_keys(self) -> Tensor:
        """``(nnz,)`` ``user * I + item``, sorted; made when first asked for."""
        if self._pair_keys is None or self._pair_keys.device != self.device:
            self._pair_keys = self.owners.mul_(self.item_num).add_(self.positives)
        return self._pair_keys

    def is_positive(self, users: Tensor, items: Tensor) -> Tensor:
        """Whether each pair is a training interaction: bool, the shape the two broadcast to."""
        if self.bitmap is not None:
            byte = self.bitmap.view(-1)[users * self.bitmap.shape[1] + (items >> 3)]
            return (byte >> (items & 7).to(torch.uint8)) & 1 > 0
        keys = users * self.item_num + items
        if not len(self.positives):
            return torch.zeros_like(keys, dtype=torch.bool)
        place = torch.searchsorted(self.pair_keys, keys).clamp_(max=len(self.pair_keys) - 1)
        return self.pair_keys[place] == keys

    def positives_of(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """The training items of each of ``users`` (B,), one behind the other.

        Returns:
            ``(n,)`` the place in ``users`` and ``(n,)`` int64 the item of each.
        """
        sizes = self.indptr.diff()[users]
        rows = torch.arange(len(users), device=self.device).repeat_interleave(sizes)
        first = self.indptr[users] - (sizes.cumsum(0) - sizes)
        entry = torch.arange(len(rows), device=self.device) + first.repeat_interleave(sizes)
        return rows, self.positives[entry].long()

    def positive_mask(self, users: Tensor) -> Tensor:
        """``(B, I)`` bool: the training positives of each user (padding is not one)."""
        if self.bitmap is not None or self.device.type != "cpu":  # a GPU would wait for the sizes
            every = torch.arange(self.item_num, device=self.device)
            return self.is_positive(users.unsqueeze(1), every)
        mask = torch.zeros((len(users), self.item_num), dtype=torch.bool)
        mask[self.positives_of(users)] = True
        return mask


def sorted_pairs(users: Tensor, items: Tensor, item_num: int) -> Tensor:
    """``user * item_num + item`` of each different pair (users and items (N,)), ascending: int64.

    On the CPU in place, since a sort that also gives indices takes three times the memory.
    """
    keys = (users * item_num).add_(items)
    if keys.device.type != "cpu":
        different: Tensor = torch.unique(keys)
        return different
    keys.numpy().sort()
    new = torch.ones(len(keys), dtype=torch.bool)
    torch.ne(keys[1:], keys[:-1], out=new[1:])
    return keys if bool(new.all()) else keys[new]
