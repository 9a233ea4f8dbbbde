"""What a sampler may see of a model: a read-only view that lives for one step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .kernels import engine
from .kernels import pairs as pair_kernels

SCORES_AT_ONCE = {"cpu": 1 << 20, "cuda": 1 << 28}
"""Scores that :meth:`FactorScorer.blocks` holds: on the CPU what a core's cache can keep."""
FEWEST_ROWS = 16
"""Rows a block has however long they are, so that the matrix product pays."""


class Groups(NamedTuple):
    """The rows of a batch, those of the same user together."""

    users: Tensor
    """``(S,)`` users; different ones where finding them is cheap."""
    order: Tensor
    """``(n,)`` rows of the batch, group by group."""
    starts: Tensor
    """``(S + 1,)``: group s is ``order[starts[s]:starts[s + 1]]``."""

    @property
    def place(self) -> Tensor:
        """``(n,)`` the group of each entry of :attr:`order`."""
        every = torch.arange(len(self.users), device=self.users.device)
        return every.repeat_interleave(self.starts.diff(), output_size=len(self.order))


class Scorer(ABC):
    """Scores of users for items under the weights of this moment. Never tracks gradients."""

    @abstractmethod
    def pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores ``(B, M)`` of each user (B,) for its own row of items (B, M)."""

    @abstractmethod
    def catalogue(self, users: Tensor) -> Tensor:
        """Scores ``(B, I)`` of each user (B,) for every item, padding included."""

    @abstractmethod
    def block(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores ``(B, R)`` of each user (B,) for the same items (R,)."""

    def nearest(self, users: Tensor, candidates: Tensor, targets: Tensor) -> Tensor | None:
        """The candidate of each row whose score is nearest to a target, where a loop is compiled.

        Args:
            users: ``(B,)``.
            candidates: ``(B, M)`` item ids; 0 and scores that are not finite are left out.
            targets: ``(B,)``; where all scores lie below, the highest is chosen.

        Returns:
            ``(B,)`` item ids, the first of equals; None by default.
        """
        return None

    def groups(self, users: Tensor) -> Groups:
        """Rows of users (B,) that have the same scores. By default each is on its own."""
        every = torch.arange(len(users) + 1, device=users.device)
        return Groups(users, every[:-1], every)

    def blocks(self, users: Tensor) -> Iterator[tuple[Tensor, Groups]]:
        """The catalogue's scores, a part of the users (B,) at a time.

        Yields:
            ``(S, I)`` scores, valid until the next are asked for, and the groups they belong to.
            By default one block.
        """
        yield self.catalogue(users), self.groups(users)


class FactorScorer(Scorer):
    """Scores are dot products of user and item vectors.

    Args:
        users: ``(U, D)`` user vectors.
        items: ``(I, D)`` item vectors.
    """

    def __init__(self, users: Tensor, items: Tensor) -> None:
        self.users = users.detach()
        self.items = items.detach()

    @property
    def compiled(self) -> bool:
        """Whether the compiled loops serve these vectors: float32 on the CPU."""
        return self.users.dtype == torch.float32 and engine.available(self.users, self.items)

    def pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """Gather and multiply: O(B M D)."""
        if self.compiled:
            return pair_kernels.pairs(self.users, self.items, users, items)
        return torch.bmm(self.items[items], self.users[users].unsqueeze(2)).squeeze(2)

    def nearest(self, users: Tensor, candidates: Tensor, targets: Tensor) -> Tensor | None:
        """One pass, for float32 vectors on the CPU."""
        if not self.compiled:
            return None
        vectors = self.users, self.items
        return pair_kernels.choose_nearest(vectors, users, targets.float(), candidates)

    def catalogue(self, users: Tensor) -> Tensor:
        """One matrix product: O(B I D)."""
        return self.users[users] @ self.items.T

    def groups(self, users: Tensor) -> Groups:
        """On the CPU a group for each different user; elsewhere finding them would synchronise."""
        if engine.available(users):
            return Groups(*pair_kernels.group(users))
        if users.device.type != "cpu":
            return super().groups(users)
        different, place, sizes = torch.unique(users, return_inverse=True, return_counts=True)
        starts = torch.nn.functional.pad(sizes.cumsum(0), (1, 0))
        return Groups(different, place.argsort(stable=True), starts)

    def blocks(self, users: Tensor) -> Iterator[tuple[Tensor, Groups]]:
        """Matrix products into one buffer of about :data:`SCORES_AT_ONCE` scores."""
        every, items = self.groups(users), len(self.items)
        size = max(FEWEST_ROWS, SCORES_AT_ONCE.get(users.device.type, 1 << 28) // items)
        size = min(size, len(every.users))
        buffer = self.users.new_empty(size, items)
        if size == len(every.users):
            yield torch.mm(self.users[every.users], self.items.T, out=buffer), every
            return
        on_cpu = users.device.type == "cpu"
        ends = every.starts[::size].tolist() if on_cpu else list(range(0, len(users), size))
        for part, first in enumerate(range(0, len(every.users), size)):
            chosen = every.users[first : first + size]
            starts = every.starts[first : first + size + 1]
            low = ends[part]
            order = every.order[low : ends[part + 1] if part + 1 < len(ends) else None]
            scores = torch.mm(self.users[chosen], self.items.T, out=buffer[: len(chosen)])
            yield scores, Groups(chosen, order, starts - low)

    def block(self, users: Tensor, items: Tensor) -> Tensor:
        """One matrix product: O(B R D)."""
        return self.users[users] @ self.items[items].T
