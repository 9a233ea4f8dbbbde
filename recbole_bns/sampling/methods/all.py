"""All items: the full softmax, in which nothing is sampled.

Every item of the catalogue is in the list of every batch, so that the loss has no sampling error
and there is no law to correct for; a row's own positive and those that its user has too are for
the loss to leave out. How many items are wanted is ignored. Cost of the loss: B I scores a batch
and their memory.

It needs a loss over many negatives. The sampler alone draws uniformly, as RNS does.

Source: the cross-entropy that sampled losses stand for, as A. Klenitskiy and A. Vasilev train
with it (Turning Dross Into Gold Loss: is BERT4Rec really better than SASRec?, RecSys 2023).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..base import NegativeSampler
from ..capabilities import OneList, Requirement
from ..registry import register
from ..scoring import Scorer
from ..shared import SharedList


@register
class All(NegativeSampler, SharedList):
    """Every item at once."""

    name = "all"
    idea = "every item at once, the full softmax; for losses over many negatives"
    paper = "as in Klenitskiy & Vasilev, RecSys 2023"
    cost = "every item"
    only_shared = True

    @classmethod
    def requirements_of(cls, params: Any) -> tuple[Requirement, ...]:
        """A loss that takes one list for a batch."""
        return (*super().requirements_of(params), OneList())

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Draw ``(B, n)`` uniform negatives; see :meth:`NegativeSampler.sample`."""
        drawn = self.proposal.draw(users, n, self.generator, distinct=n > 1)
        return drawn if n == 1 else self.complete(drawn, users)

    def sample_shared(self, users: Tensor, items: Tensor, n: int) -> Tensor:
        """``(I - 1,)`` every item, ascending, in every process.

        See :meth:`SharedList.sample_shared`.
        """
        return torch.arange(1, self.catalogue.item_num, device=users.device)

    def shared_log_prob(self, ids: Tensor) -> None:
        """None: nothing is sampled; see :meth:`SharedList.shared_log_prob`."""

    def list_length(self, rows: int, n: int) -> int:
        """All items; see :meth:`SharedList.list_length`."""
        return self.catalogue.item_num - 1
