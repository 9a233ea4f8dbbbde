"""What a sampler may see of a model: a read-only view that lives for one step."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from . import kernels


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

    def distinct(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the whole catalogue with repeated users once.

        Returns:
            ``(S, I)`` rows and ``(B,)`` the row of each user. By default a row each.
        """
        return self.catalogue(users), torch.arange(len(users), device=users.device)


class FactorScorer(Scorer):
    """Scores are dot products of user and item vectors.

    Args:
        users: ``(U, D)`` user vectors.
        items: ``(I, D)`` item vectors.
    """

    def __init__(self, users: Tensor, items: Tensor) -> None:
        self.users = users.detach()
        self.items = items.detach()
        self._distinct: tuple[Tensor, tuple[Tensor, Tensor]] | None = None

    def pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """Gather and multiply: O(B M D)."""
        if self.users.dtype == torch.float32 and kernels.available(self.users, items):
            return kernels.pairs(self.users, self.items, users, items)
        return torch.bmm(self.items[items], self.users[users].unsqueeze(2)).squeeze(2)

    def catalogue(self, users: Tensor) -> Tensor:
        """One matrix product: O(B I D)."""
        return self.users[users] @ self.items.T

    def distinct(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """On the CPU each different user's row once; elsewhere finding them would synchronise."""
        if self._distinct is None or self._distinct[0] is not users:
            if users.device.type == "cpu":
                different, place = users.unique(return_inverse=True)
                self._distinct = users, (self.catalogue(different), place)
            else:
                self._distinct = users, super().distinct(users)
        return self._distinct[1]

    def block(self, users: Tensor, items: Tensor) -> Tensor:
        """One matrix product: O(B R D)."""
        return self.users[users] @ self.items[items].T
