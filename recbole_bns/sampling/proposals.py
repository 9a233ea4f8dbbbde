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
from .streams import integers, new_key, uniforms

MASS_BITS = 40
"""Real weights become integers below ``2**40``: a relative error of at most 1e-12 an item."""


def distinct_ranks(bound: Tensor, u: Tensor) -> Tensor:
    """Distinct integers below each ``bound`` (B,), every ordered choice equally likely.

    The i-th draw is the rank of the i-th choice among what is left (a Lehmer code); decoding
    raises it past the earlier choices. Where ``bound < k`` the surplus entries are -1.

    Args:
        bound: ``(B,)``.
        u: ``(B, k)`` uniforms in [0, 1).

    Returns:
        ``(B, k)`` int64.
    """
    k = u.shape[1]
    left = bound.unsqueeze(1) - torch.arange(k, device=bound.device)
    ranks = integers(left.clamp(min=0), u)
    for i in range(k - 2, -1, -1):
        later = ranks[:, i + 1 :]
        later += later >= ranks[:, i : i + 1]
    return ranks.masked_fill_(left <= 0, -1)


class Proposal(nn.Module):
    """Uniform draws over a user's negatives.

    ``draw`` costs O(log n) an item, n the user's positives, and a fixed number of random draws;
    there is no loop over users, items or tries.
    """

    catalogue: Catalogue

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__()
        self.catalogue = catalogue
        self._free_before: Tensor | None = None

    @property
    def stride(self) -> int:
        """More than the mass of the whole catalogue, so that users do not overlap."""
        return self.catalogue.item_num

    @property
    def free_before(self) -> Tensor:
        """``(nnz,)`` free mass before each positive, plus ``user * stride``: sorted."""
        if self._free_before is None or self._free_before.device != self.catalogue.device:
            owners = self.catalogue.owners
            before = self._mass_before(owners)
            self._free_before = before.add_(owners.mul_(self.stride))
        return self._free_before

    def _mass_before(self, owners: Tensor) -> Tensor:
        catalogue = self.catalogue
        place = torch.arange(len(catalogue.positives), device=catalogue.device)
        return catalogue.positives - 1 - (place - catalogue.indptr[owners])

    def draw(
        self,
        users: Tensor,
        k: int,
        generator: torch.Generator,
        *,
        distinct: bool = False,
        by_user: bool = False,
    ) -> Tensor:
        """Draw ``k`` negatives for each user.

        Args:
            users: ``(B,)`` user ids.
            k: draws a user.
            generator: source of randomness, on the device of the catalogue.
            distinct: without replacement; every ordered choice is equally likely. A user with
                fewer than ``k`` negatives gets each once, then 0.
            by_user: a user who occurs several times gets the same draws each time.

        Returns:
            ``(B, k)`` item ids; 0 means "no such item" (a user without negatives gets only 0).
        """
        distinct = distinct and k > 1
        key = new_key(generator)
        index = users if by_user else torch.arange(len(users), device=users.device)
        if kernels.available(users, self.catalogue.positives):
            return kernels.draw(self.catalogue, key, users, index, k, distinct)
        free = self.catalogue.negative_num[users]
        u = uniforms(key, index.unsqueeze(1) * k + torch.arange(k, device=users.device))
        mass = distinct_ranks(free, u) if distinct else integers(free.unsqueeze(1), u)
        ids = mass + 1 + self._positives_before(users, mass)
        return ids.masked_fill_((mass < 0) | (free == 0).unsqueeze(1), 0)

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
        super().__init__(catalogue)
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
        self._all_served = bool((self.free > 0).all())
        self.uniform = Proposal(catalogue)

    mass: Tensor
    cumulative: Tensor
    taken: Tensor
    free: Tensor

    @property
    def stride(self) -> int:
        """More than the mass of the whole catalogue, so that users do not overlap."""
        return self._stride

    def _mass_before(self, owners: Tensor) -> Tensor:
        positives = self.catalogue.positives
        first = self.taken[self.catalogue.indptr[owners]]
        return self.cumulative[positives] - self.mass[positives] - (self.taken[:-1] - first)

    def draw(
        self,
        users: Tensor,
        k: int,
        generator: torch.Generator,
        *,
        distinct: bool = False,
        by_user: bool = False,
    ) -> Tensor:
        """Draw ``k`` negatives for each user; see :meth:`Proposal.draw`.

        With ``distinct`` each draw has the weights of the items not yet drawn (successive
        sampling); once only items of weight 0 are left, the rest are uniform.
        """
        free = self.free[users]
        index = users if by_user else torch.arange(len(users), device=users.device)
        if distinct and k > 1:
            items = self._draw_distinct(users, free, k, index, generator)
            options = {"distinct": True, "by_user": by_user}
            return _complete(items, self.uniform.draw(users, k, generator, **options))
        positions = index.unsqueeze(1) * k + torch.arange(k, device=users.device)
        mass = integers(free.unsqueeze(1), uniforms(new_key(generator), positions))
        ids = self._locate(users, mass)
        if not self._all_served:
            spare = self.uniform.draw(users, k, generator, by_user=by_user)
            ids = torch.where((free > 0).unsqueeze(1), ids, spare)
        return ids

    def _locate(self, users: Tensor, mass: Tensor) -> Tensor:
        before = self._positives_before(users, mass) + self.catalogue.indptr[users].unsqueeze(1)
        skipped = self.taken[before] - self.taken[self.catalogue.indptr[users]].unsqueeze(1)
        return torch.searchsorted(self.cumulative, mass + skipped, right=True)

    def _draw_distinct(
        self, users: Tensor, free: Tensor, k: int, index: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Successive draws: each integer is below what is left and is raised past the taken."""
        items = torch.zeros(len(users), k, dtype=torch.long, device=users.device)
        starts = torch.full_like(items, torch.iinfo(torch.long).max)
        sizes = torch.zeros_like(items)
        left = free.clone()
        for i in range(k):
            mass = integers(left, uniforms(new_key(generator), index))
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
