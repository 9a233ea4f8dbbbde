"""One list of negatives for a whole batch, for losses that compare a positive with many items.

Every row meets the same items, so that a batch costs one product of matrices. A list is drawn
without a look at the users: it may hold positives of some of them, which the loss leaves out
where a row's own negatives would have been drawn around them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from .catalogue import Catalogue
from .streams import uniforms


class SharedList(ABC):
    """The part of a sampler that gives lists; it stands beside :class:`.base.NegativeSampler`.

    A list is drawn from the sampler's own generator, looks at no model and tracks no gradient.
    Of several processes each asks for a list for its own rows, and all ask in the same order: one
    that is drawn is another one in each process, since their generators differ
    (:meth:`.peers.Divisible.divide`), with the length and the law that a single process has. One
    made of a batch is made of the whole batch, the rows of all processes by rank. Either way the
    seed and the number of processes decide it.
    """

    only_shared: ClassVar[bool] = False
    """With a loss over many negatives it gives a list even where nobody asks for a shared one,
    and the number of negatives is ignored."""
    of_batch: ClassVar[bool] = False
    """Items are drawn of the batch's positives: what these are decides how likely a draw is."""
    least_rows: ClassVar[int] = 1
    """Rows of a batch below which its list holds no negative of anybody."""

    @abstractmethod
    def sample_shared(self, users: Tensor, items: Tensor, n: int) -> Tensor:
        """Draw the list of a batch.

        Args:
            users: ``(B,)`` of this process's rows.
            items: ``(B,)`` their positives.
            n: how many items are wanted.

        Returns:
            ``(m,)`` int64 ids on the inputs' device, none 0, m of :meth:`list_length`.
        """

    @abstractmethod
    def shared_log_prob(self, ids: Tensor) -> Tensor | None:
        """Log-probability of items in one draw of a list, positives of whomever included.

        Where the items of a list differ it is that of the first draw, which for a list that is
        short beside the catalogue is close to that of the others.

        Args:
            ids: ``(m,)``, none 0.

        Returns:
            ``(m,)`` float32, finite; None where nothing is sampled.
        """

    def list_length(self, rows: int, n: int) -> int:
        """How long a list is.

        Args:
            rows: of the whole batch, those of other processes included.
            n: how many items are wanted.
        """
        return n


def uniform_list(catalogue: Catalogue, n: int, generator: torch.Generator) -> Tensor:
    """``(n,)`` different items of the whole catalogue in random order, n at most ``I - 1``.

    Cost: O(I), which is little beside an optimiser's step over the same items.
    """
    count = catalogue.item_num - 1
    return torch.randperm(count, generator=generator, device=catalogue.device)[:n] + 1


def different_items(items: Tensor, n: int, key: Tensor) -> Tensor:
    """``n`` different ones of ``items`` (B,): the first to occur when the rows are shuffled.

    So one that occurs often is likelier to be among them.

    Args:
        items: ``(B,)`` ids.
        n: how many.
        key: of the random numbers.

    Returns:
        ``(n,)``; 0 where there are fewer.
    """
    order = uniforms(key, torch.arange(len(items), device=items.device)).argsort()
    shuffled = items[order]
    ordered, place = shuffled.sort(stable=True)
    first = torch.ones_like(ordered, dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=first[1:])
    fresh = torch.zeros_like(first).scatter(0, place, first)
    chosen = fresh.logical_not().byte().argsort(stable=True)[:n]
    found = shuffled[chosen].masked_fill(~fresh[chosen], 0)
    return torch.nn.functional.pad(found, (0, n - len(found)))
