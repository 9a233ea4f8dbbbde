"""Exact draws from a user's non-positives, without rejection. Knows no model.

A user's negatives are the complement of a sorted list. Items carry integer masses; for every
positive we keep the *free mass* before it (the mass of the user's negatives that lie before it),
shifted per user so that one global array stays sorted. A draw is one integer below the user's
free mass: one ``searchsorted`` tells how many positives lie before it, a second one maps the mass
to an item. Uniform draws are the case of unit masses, where the second search is the identity.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import kernels
from .catalogue import Catalogue

MASS_BITS = 40
"""Real weights become integers below ``2**40``: a relative error of at most 1e-12 an item."""


def uniform_integers(bound: Tensor, generator: torch.Generator) -> Tensor:
    """One integer uniform in ``[0, bound)`` for every entry of ``bound``; 0 where it is 0."""
    u = torch.rand(bound.shape, generator=generator, device=bound.device, dtype=torch.float64)
    return torch.minimum((u * bound).long(), (bound - 1).clamp_(min=0))


def distinct_ranks(bound: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """``k`` distinct integers below each ``bound`` (B,), every ordered choice equally likely.

    The i-th draw is the rank of the i-th choice among what is left (a Lehmer code); decoding
    raises it past the earlier choices. Where ``bound < k`` the surplus entries are -1.

    Returns:
        ``(B, k)`` int64.
    """
    step = torch.arange(k, device=bound.device)
    left = bound.unsqueeze(1) - step
    ranks = uniform_integers(left.clamp(min=0), generator)
    for i in range(k - 2, -1, -1):
        later = ranks[:, i + 1 :]
        later += later >= ranks[:, i : i + 1]
    return ranks.masked_fill_(left <= 0, -1)


class Proposal(nn.Module):
    """Uniform draws over a user's negatives.

    ``draw`` costs O(log nnz) an item and a fixed number of random draws; there is no loop over
    users, items or tries.
    """

    catalogue: Catalogue
    free_before: Tensor
    """``(nnz,)`` free mass before each positive, plus ``user * stride``: sorted."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__()
        self.catalogue = catalogue
        before = self._free_before()
        self.register_buffer("free_before", before + catalogue.owners * self.stride, False)

    @property
    def stride(self) -> int:
        """More than the mass of the whole catalogue, so that users do not overlap."""
        return self.catalogue.item_num

    def _free_before(self) -> Tensor:
        catalogue = self.catalogue
        place = torch.arange(len(catalogue.positives), device=catalogue.device)
        return catalogue.positives - 1 - (place - catalogue.indptr[catalogue.owners])

    def draw(
        self, users: Tensor, k: int, generator: torch.Generator, *, distinct: bool = False
    ) -> Tensor:
        """Draw ``k`` negatives for each user.

        Args:
            users: ``(B,)`` user ids.
            k: draws a user.
            generator: source of randomness, on the device of the catalogue.
            distinct: without replacement; every ordered choice is equally likely. A user with
                fewer than ``k`` negatives gets each once, then 0.

        Returns:
            ``(B, k)`` item ids; 0 means "no such item" (a user without negatives gets only 0).
        """
        free = self.catalogue.negative_num[users]
        if distinct and k > 1:
            mass = distinct_ranks(free, k, generator)
        else:
            mass = uniform_integers(free.unsqueeze(1).expand(-1, k), generator)
        return self._locate(users, mass).masked_fill_((mass < 0) | (free == 0).unsqueeze(1), 0)

    def _locate(self, users: Tensor, mass: Tensor) -> Tensor:
        """Item at free mass ``mass`` (B, k): skip the positives that lie before it."""
        return mass + 1 + self._positives_before(users, mass)

    def _positives_before(self, users: Tensor, mass: Tensor) -> Tensor:
        keys = mass + (users * self.stride).unsqueeze(1)
        if kernels.available(keys, self.free_before):
            return kernels.positives_before(keys, users, self.catalogue.indptr, self.free_before)
        place = torch.searchsorted(self.free_before, keys, right=True)
        return place - self.catalogue.indptr[users].unsqueeze(1)


class WeightedProposal(Proposal):
    """Draws over a user's negatives with probability proportional to item weights.

    A user whose negatives all have weight 0 is served uniformly.

    Args:
        catalogue: the training interactions.
        weights: ``(I,)`` non-negative; entry 0 (padding) is ignored.
    """

    def __init__(self, catalogue: Catalogue, weights: Tensor) -> None:
        nn.Module.__init__(self)
        self.catalogue = catalogue
        weights = weights.double().clone()
        weights[0] = 0
        share = weights / weights.sum().clamp_min(torch.finfo(torch.float64).tiny)
        mass = (share * (1 << MASS_BITS)).round().long()
        mass = torch.where(weights > 0, mass.clamp_min(1), mass)
        self.register_buffer("mass", mass, False)
        self.register_buffer("cumulative", mass.cumsum(0), False)
        taken = mass[catalogue.positives].cumsum(0)
        padded = nn.functional.pad(taken, (1, 0))
        self.register_buffer("taken", padded, False)
        first = padded[catalogue.indptr]
        self.register_buffer("free", self.cumulative[-1] - (first[1:] - first[:-1]), False)
        self._stride = int(self.cumulative[-1]) + 1
        before = self.cumulative[catalogue.positives] - mass[catalogue.positives]
        before = before - (padded[:-1] - first[catalogue.owners])
        self.register_buffer("free_before", before + catalogue.owners * self._stride, False)
        self.uniform = Proposal(catalogue)

    mass: Tensor
    cumulative: Tensor
    taken: Tensor
    free: Tensor

    @property
    def stride(self) -> int:
        """More than the mass of the whole catalogue, so that users do not overlap."""
        return self._stride

    def draw(
        self, users: Tensor, k: int, generator: torch.Generator, *, distinct: bool = False
    ) -> Tensor:
        """Draw ``k`` negatives for each user; see :meth:`Proposal.draw`.

        With ``distinct`` each draw has the weights of the items not yet drawn (successive
        sampling); once only items of weight 0 are left, the rest are uniform.
        """
        free = self.free[users]
        uniform = self.uniform.draw(users, k, generator, distinct=distinct)
        if distinct and k > 1:
            items = self._draw_distinct(users, free, k, generator)
            return _complete(items, uniform)
        mass = uniform_integers(free.unsqueeze(1).expand(-1, k), generator)
        return torch.where((free > 0).unsqueeze(1), self._locate(users, mass), uniform)

    def _locate(self, users: Tensor, mass: Tensor) -> Tensor:
        before = self._positives_before(users, mass) + self.catalogue.indptr[users].unsqueeze(1)
        skipped = self.taken[before] - self.taken[self.catalogue.indptr[users]].unsqueeze(1)
        return torch.searchsorted(self.cumulative, mass + skipped, right=True)

    def _draw_distinct(
        self, users: Tensor, free: Tensor, k: int, generator: torch.Generator
    ) -> Tensor:
        """Successive draws: each integer is below what is left and is raised past the taken."""
        items = torch.zeros(len(users), k, dtype=torch.long, device=users.device)
        starts = torch.full_like(items, torch.iinfo(torch.long).max)
        sizes = torch.zeros_like(items)
        left = free.clone()
        for i in range(k):
            mass = uniform_integers(left, generator)
            order = starts[:, :i].argsort(1)
            start, size = starts[:, :i].gather(1, order), sizes[:, :i].gather(1, order)
            gone = size.cumsum(1)
            passed = (start - (gone - size)) <= mass.unsqueeze(1)
            mass = mass + (size * passed).sum(1)
            item = self._locate(users, mass.unsqueeze(1)).squeeze(1)
            item = item.masked_fill(left <= 0, 0).clamp_(max=self.catalogue.item_num - 1)
            items[:, i] = item
            sizes[:, i] = self.mass[item]
            starts[:, i] = torch.where(item > 0, self._free_start(users, item), starts[:, i])
            left = left - sizes[:, i]
        return items

    def _free_start(self, users: Tensor, items: Tensor) -> Tensor:
        """Free mass of a user before one of the user's negatives: both (B,)."""
        keys = users * self.catalogue.item_num + items
        place = torch.searchsorted(self.catalogue.pair_keys, keys)
        taken = self.taken[place] - self.taken[self.catalogue.indptr[users]]
        return self.cumulative[items] - self.mass[items] - taken


def _complete(items: Tensor, spare: Tensor) -> Tensor:
    """Fill the zeros of ``items`` (B, k) with entries of ``spare`` (B, k) that are not in it."""
    stream = torch.cat((items, spare), 1)
    return first_distinct(stream, stream > 0, items.shape[1])


def first_distinct(stream: Tensor, allowed: Tensor, k: int) -> Tensor:
    """First ``k`` different allowed ids of each row of ``stream`` (B, T), 0 where there are none.

    Args:
        stream: ``(B, T)`` ids.
        allowed: ``(B, T)`` bool.
        k: how many to keep, in the order of the stream.

    Returns:
        ``(B, k)`` ids.
    """
    allowed = allowed & (stream > 0)
    if k > 1:
        same = stream.unsqueeze(2) == stream.unsqueeze(1)
        earlier = (same & allowed.unsqueeze(1)).tril(-1).any(2)
        allowed = allowed & ~earlier
    order = allowed.logical_not().byte().argsort(dim=1, stable=True)[:, :k]
    return stream.gather(1, order).masked_fill_(~allowed.gather(1, order), 0)
