"""Exact draws from a user's non-positives in a fixed number of steps. Knows no model.

A user's negatives are the complement of a sorted list: a rank among them becomes an item by a
search that tells how many positives lie before it. Independent draws first try a few items of the
whole catalogue, which costs a bit test each; distinct ones are ranks without replacement.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from .catalogue import Catalogue
from .kernels import draws, engine
from .streams import TRIES, integers, new_key, uniforms

MANY = 64
"""Different draws from which a stream of independent ones is cheaper than ranks among the rest."""
AHEAD = 1 << 18
"""Draws made at once for announced users (2 MiB)."""


class Announced:
    """Users whose negatives will be asked for, and those of them who are being served.

    Draws for many batches at once cost less: the users' lists are then in the cache, which they
    are not after a training step. So a host announces an epoch's users, and serves them in order::

        announced = sampler.announce(users)
        with announced.rows(0, 2048):
            sampler.sample(users[:2048], items, n, scorer)

    What is drawn for those users inside was drawn ahead; it is their values that count, not where
    they lie in memory. A host that does not serve them gets draws of each batch by itself.

    Args:
        users: ``(N,)``, in the order in which they will be served.
    """

    def __init__(self, users: Tensor) -> None:
        self.users = users.contiguous()
        self._served: tuple[int, Tensor] | None = None

    @contextmanager
    def rows(self, first: int, end: int, users: Tensor | None = None) -> Iterator[None]:
        """Serve the announced users from ``first`` up to ``end``.

        Args:
            first: number of the first one.
            end: number of the one after the last.
            users: ``(end - first,)`` the tensor that holds them in this step, where there is one
                of its own: it is then known without a look at its values.
        """
        self._served = first, self.users[first:end] if users is None else users
        try:
            yield
        finally:
            self._served = None

    def place(self, users: Tensor) -> int | None:
        """Number of the first of ``users`` (B,) if they are those being served, else None."""
        if self._served is None:
            return None
        first, served = self._served
        alike = (users.shape, users.dtype, users.device) == (
            served.shape,
            served.dtype,
            served.device,
        )
        return first if users is served or (alike and torch.equal(users, served)) else None


class Ahead(NamedTuple):
    """Draws for announced users."""

    ids: Tensor
    """``(rows, k)``."""
    first: int
    """Announced user that the first row is for."""
    unread: int
    """First announced user who has not been served."""


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


def tried_items(catalogue: Catalogue, users: Tensor, u: Tensor, spare: Tensor) -> Tensor:
    """Items of the whole catalogue from uniforms ``u`` (B, k, T): the first that is a negative.

    Where none is, ``spare`` (B, k), drawn among the negatives alone; either way every negative of
    the user is equally likely.
    """
    stream = 1 + (u * (catalogue.item_num - 1)).long()
    free = ~catalogue.is_positive(users.view(-1, 1, 1), stream)
    item = stream.gather(2, free.int().argmax(2, keepdim=True)).squeeze(2)
    return torch.where(free.any(2), item, spare)


class Draws(nn.Module, ABC):
    """Exact draws from a user's negatives; a subclass says how likely each item is.

    Args:
        catalogue: the training interactions.
    """

    catalogue: Catalogue

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__()
        self.catalogue = catalogue
        self._free_before: Tensor | None = None
        self._announced: Announced | None = None
        self._ahead: dict[tuple[int, bool], Ahead] = {}

    @property
    @abstractmethod
    def stride(self) -> int:
        """More than the mass of the whole catalogue, so that users do not overlap."""

    @abstractmethod
    def _mass_before(self, owners: Tensor) -> Tensor:
        """``(nnz,)`` free mass before each positive, whose users are ``owners`` (nnz,)."""

    @abstractmethod
    def _draw(
        self, users: Tensor, k: int, generator: torch.Generator, distinct: bool, by_user: bool
    ) -> Tensor:
        """Draws ``(B, k)`` as :meth:`draw` gives them, made now."""

    @abstractmethod
    def log_prob(self, users: Tensor, ids: Tensor) -> Tensor:
        """Log-probability of each item in one draw for its user.

        Args:
            users: ``(B,)``.
            ids: ``(B, n)``; a positive of the user has what it would have if it were a negative,
                with the normaliser of the negatives.

        Returns:
            ``(B, n)`` float32, finite.
        """

    @property
    def free_before(self) -> Tensor:
        """``(nnz,)`` free mass before each positive, plus ``user * stride``: sorted."""
        if self._free_before is None or self._free_before.device != self.catalogue.device:
            owners = self.catalogue.owners
            before = self._mass_before(owners)
            self._free_before = before.add_(owners.mul_(self.stride))
        return self._free_before

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
        first = None
        if self._announced is not None and not by_user:
            first = self._announced.place(users)
        if first is None:
            return self._draw(users, k, generator, distinct, by_user)
        ahead = self._ahead.get((k, distinct), Ahead(users.new_empty(0, k), 0, 0))
        if first < ahead.unread:  # a second draw for the same users is another one
            return self._draw(users, k, generator, distinct, by_user)
        if first + len(users) > ahead.first + len(ahead.ids):
            assert self._announced is not None
            coming = self._announced.users[first : first + max(len(users), AHEAD // k)]
            ahead = Ahead(self._draw(coming, k, generator, distinct, False), first, first)
        self._ahead[k, distinct] = ahead._replace(unread=first + len(users))
        return ahead.ids[first - ahead.first :][: len(users)]

    def announce(self, users: Tensor) -> Announced:
        """Say for whom (N,) the coming draws will be; what it returns serves them."""
        announced = Announced(users)
        self.expect(announced)
        return announced

    def expect(self, announced: Announced) -> None:
        """Draw ahead for users who were announced elsewhere."""
        self._announced = announced
        self._ahead = {}

    def _positives_before(self, users: Tensor, mass: Tensor) -> Tensor:
        keys = mass + (users * self.stride).unsqueeze(1)
        if engine.available(keys, self.free_before):
            return draws.positives_before(keys, users, self.catalogue.indptr, self.free_before)
        place = torch.searchsorted(self.free_before, keys, right=True)
        return place - self.catalogue.indptr[users].unsqueeze(1)


@final
class Proposal(Draws):
    """Uniform draws over a user's negatives.

    ``draw`` costs O(log n) an item at the most, n the user's positives, with a bounded number of
    random numbers.
    """

    @property
    def stride(self) -> int:
        """The catalogue's size: an item has the mass 1."""
        return self.catalogue.item_num

    def log_prob(self, users: Tensor, ids: Tensor) -> Tensor:
        """``-log(n_u)`` for every item; see :meth:`Draws.log_prob`."""
        free = self.catalogue.negative_num[users].clamp_min(1)
        return -free.float().log().unsqueeze(1).expand(ids.shape)

    def _mass_before(self, owners: Tensor) -> Tensor:
        catalogue = self.catalogue
        place = torch.arange(len(catalogue.positives), device=catalogue.device)
        return catalogue.positives - 1 - (place - catalogue.indptr[owners])

    def _draw(
        self, users: Tensor, k: int, generator: torch.Generator, distinct: bool, by_user: bool
    ) -> Tensor:
        key = new_key(generator)
        index = users if by_user else torch.arange(len(users), device=users.device)
        if distinct and k > MANY and users.device.type == "cpu":
            return self._draw_many_distinct(key, users, index, k, generator)
        return self._draw_each(key, users, index, k, distinct)

    def _draw_many_distinct(
        self, key: Tensor, users: Tensor, index: Tensor, k: int, generator: torch.Generator
    ) -> Tensor:
        """The first ``k`` different ones of a stream; ranks would cost the square of ``k``.

        Rows whose stream has too few, which says nothing of which items those are, are drawn anew.
        """
        stream = self._draw_each(key, users, index, 2 * k, distinct=False)
        items = first_distinct(stream, stream > 0, k)
        short = (items[:, -1] == 0).nonzero().squeeze(1)
        if len(short):
            again = new_key(generator)
            items[short] = self._draw_each(again, users[short], index[short], k, distinct=True)
        return items

    def _draw_each(
        self, key: Tensor, users: Tensor, index: Tensor, k: int, distinct: bool
    ) -> Tensor:
        """Draws ``(B, k)``, each of its own random number."""
        if engine.available(users, self.catalogue.positives):
            return draws.draw(self.catalogue, key, users, index, k, distinct)
        free = self.catalogue.negative_num[users].unsqueeze(1)
        positions = index.unsqueeze(1) * k + torch.arange(k, device=users.device)
        if distinct:
            mass = distinct_ranks(free.squeeze(1), uniforms(key, positions))
            ids = mass + 1 + self._positives_before(users, mass)
            return ids.masked_fill_(mass < 0, 0)
        tries = positions.unsqueeze(2) * (TRIES + 1) + torch.arange(TRIES + 1, device=users.device)
        u = uniforms(key, tries)
        mass = integers(free, u[..., TRIES])
        spare = (mass + 1 + self._positives_before(users, mass)).masked_fill_(free == 0, 0)
        return tried_items(self.catalogue, users, u[..., :TRIES], spare)


def completed(ids: Tensor, users: Tensor, proposal: Draws, generator: torch.Generator) -> Tensor:
    """Make ``ids`` (B, n) different from one another and replace the zeros.

    Gaps are filled with draws of ``proposal``, again with one where a user has fewer than n.
    """
    if ids.shape[1] > 1:
        spare = proposal.draw(users, ids.shape[1], generator, distinct=True)
        stream = torch.cat((ids, spare), 1)
        ids = first_distinct(stream, stream > 0, ids.shape[1])
    return torch.where(ids > 0, ids, ids.amax(1, keepdim=True))


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
    if k > 1 and engine.available(stream):
        return draws.first_distinct(stream, allowed, k)
    if k > 1:
        same = stream.unsqueeze(2) == stream.unsqueeze(1)
        earlier = (same & allowed.unsqueeze(1)).tril(-1).any(2)
        allowed = allowed & ~earlier
    order = allowed.logical_not().byte().argsort(dim=1, stable=True)[:, :k]
    return stream.gather(1, order).masked_fill_(~allowed.gather(1, order), 0)
