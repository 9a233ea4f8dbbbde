"""Exact draws from a user's non-positives with a probability for each item. Knows no model.

As :mod:`.proposals`, with integer masses in place of ones: a draw is an integer below the user's
free mass; one search tells how many positives lie before it, a second one maps the mass to an item.
"""

from __future__ import annotations

from math import log
from typing import final

import torch
from torch import Tensor, nn

from .catalogue import Catalogue
from .proposals import Draws, Proposal, first_distinct
from .streams import integers, new_key, uniforms

FEW = 8
"""Different draws that are made one after another; of more the stream of independent ones is."""
MASS_BITS = 40
"""Real weights become integers below ``2**40``: a relative error of at most 1e-12 an item."""


def popularity_weights(popularity: Tensor, exponent: float) -> Tensor:
    """``r_j ** exponent`` for each item (I,), float64; 1 for every item when the exponent is 0."""
    return popularity.double() ** exponent


@final
class WeightedProposal(Draws):
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
        taken = mass[catalogue.positives.long()].cumsum(0)
        padded = nn.functional.pad(taken, (1, 0))
        self.register_buffer("taken", padded, False)
        first = padded[catalogue.indptr]
        self.register_buffer("free", self.cumulative[-1] - (first[1:] - first[:-1]), False)
        self._stride = int(self.cumulative[-1]) + 1
        real = mass[mass > 0]
        self._least = int(real.min()) if len(real) else 1
        self._all_served = bool((self.free > 0).all())
        self.uniform = Proposal(catalogue)

    mass: Tensor
    cumulative: Tensor
    taken: Tensor
    free: Tensor

    @property
    def stride(self) -> int:
        """One more than the mass of the whole catalogue."""
        return self._stride

    def log_prob(self, users: Tensor, ids: Tensor) -> Tensor:
        """The item's mass over the user's free mass, uniform where that is 0.

        An item of weight 0, which is drawn only when nothing else is left, counts as one of the
        least weight above 0, so that what a loss divides by stays a number. See
        :meth:`Draws.log_prob`.
        """
        free = self.free[users].unsqueeze(1)
        weighted = (self._log_mass(ids) - free.clamp_min(1).double().log()).float()
        if self._all_served:
            return weighted
        return torch.where(free > 0, weighted, self.uniform.log_prob(users, ids))

    def draw_any(self, n: int, generator: torch.Generator) -> Tensor:
        """``(n,)`` items by their weights, whoever has interacted with them, with repetition.

        Uniform where all weights are 0.
        """
        u = uniforms(new_key(generator), torch.arange(n, device=self.cumulative.device))
        if not self._total:
            return 1 + (u * (self.catalogue.item_num - 1)).long()
        mass = integers(self.cumulative[-1].expand(n), u)
        return torch.searchsorted(self.cumulative, mass, right=True)

    def log_share(self, ids: Tensor) -> Tensor:
        """Log-probability of items (...) in a draw of :meth:`draw_any`: the same shape, float32.

        An item of weight 0 counts as in :meth:`log_prob`.
        """
        if not self._total:
            return torch.full(ids.shape, -log(self.catalogue.item_num - 1), device=ids.device)
        return (self._log_mass(ids) - log(self._total)).float()

    def _log_mass(self, ids: Tensor) -> Tensor:
        return self.mass[ids].clamp_min(self._least).double().log()

    @property
    def _total(self) -> int:
        """The mass of the whole catalogue."""
        return self._stride - 1

    def _mass_before(self, owners: Tensor) -> Tensor:
        positives = self.catalogue.positives.long()
        first = self.taken[self.catalogue.indptr[owners]]
        return self.cumulative[positives] - self.mass[positives] - (self.taken[:-1] - first)

    def _draw(
        self, users: Tensor, k: int, generator: torch.Generator, distinct: bool, by_user: bool
    ) -> Tensor:
        """With ``distinct`` each draw has the weights of the items not yet drawn (successive
        sampling); once only items of weight 0 are left, the rest are uniform.
        """
        free = self.free[users]
        index = users if by_user else torch.arange(len(users), device=users.device)
        if distinct:
            if k > FEW and users.device.type == "cpu":
                items = self._draw_many_distinct(users, free, k, index, generator)
            else:
                items = self._draw_distinct(users, free, k, index, generator)
            spare = self.uniform.draw(users, k, generator, distinct=True, by_user=by_user)
            return _complete(items, spare)
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

    def _draw_many_distinct(
        self, users: Tensor, free: Tensor, k: int, index: Tensor, generator: torch.Generator
    ) -> Tensor:
        """The different ones of independent draws, which have the law of successive draws.

        Rows whose stream has too few are gone on with draw by draw, which keeps the law.
        """
        positions = index.unsqueeze(1) * (2 * k) + torch.arange(2 * k, device=users.device)
        stream = self._locate(
            users, integers(free.unsqueeze(1), uniforms(new_key(generator), positions))
        )
        stream = stream.clamp(max=self.catalogue.item_num - 1)
        items = first_distinct(stream, (free > 0).unsqueeze(1).expand_as(stream), k)
        short = (items[:, -1] == 0).nonzero().squeeze(1)
        if len(short):
            items[short] = self._draw_distinct(
                users[short], free[short], k, index[short], generator, items[short]
            )
        return items

    def _draw_distinct(
        self,
        users: Tensor,
        free: Tensor,
        k: int,
        index: Tensor,
        generator: torch.Generator,
        begun: Tensor | None = None,
    ) -> Tensor:
        """Successive draws: each integer is below what is left and is raised past the taken.

        Those of ``begun`` (B, k) stand, where there are any, and those that are 0 are drawn.
        """
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
            if begun is not None:
                item = torch.where(begun[:, i] > 0, begun[:, i], item)
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


Proposal.register(WeightedProposal)  # who asks whether something is a Proposal means any draws
