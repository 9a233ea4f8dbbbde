"""Mixed negatives: a share of them uniform, the rest from the batch.

In-batch negatives are popular items, and rare ones are hardly ever told that they are none; uniform
negatives reach all. A list of m items holds ``round(m w)`` different uniform ones of the whole
catalogue, w the ``uniform_share``, then different ones of the batch, the first to occur when its
rows are shuffled; where the batch has too few, more uniform ones. An item may be in both parts:
``q(j) = w / (I - 1) + (1 - w) r_j / N``, r_j the training interactions of item j, N all of them
(an item without any counts as in ``inbatch``). That is exact for short lists; in long ones popular
items are in the batch's part once where they would be drawn twice. Cost: O(I + B log B) a list.

Where one negative at a time is asked for, it is with probability w uniform over the user's
non-positives, else drawn as ``inbatch`` does. ``uniform_share: 1`` is RNS, 0 ``inbatch``.

Where we differ: the paper's uniform part is one index of items beside each batch, and its batch
part the whole batch with repetitions.

Source: J. Yang et al., Mixed Negative Sampling for Learning Two-tower Neural Networks in
Recommendations, WWW 2020 Companion.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_bns.common.params import param

from ..base import NegativeSampler
from ..registry import register
from ..scoring import Scorer
from ..shared import SharedList, different_items, uniform_list
from ..streams import new_key, uniforms
from ..weighted import WeightedProposal
from .inbatch import draw_in_batch


@dataclass(frozen=True)
class MixedParams:
    """Parameters of mixed negatives."""

    uniform_share: float = param(
        0.5, "share of uniform negatives; the rest are of the batch", low=0.0, high=1.0
    )


def mixture(share: float, first: Tensor, second: Tensor) -> Tensor:
    """``log(share * exp(first) + (1 - share) * exp(second))``: three tensors of one shape."""
    return (share * first.exp() + (1 - share) * second.exp()).log()


def mixed_list(uniform: Tensor, in_batch: Tensor, share: float) -> Tensor:
    """A list (m,) whose first ``round(m * share)`` items are uniform ones.

    Args:
        uniform: ``(m,)`` different items.
        in_batch: ``(m,)`` different items of the batch; 0 where there are fewer.
        share: of uniform ones.
    """
    behind = torch.arange(len(uniform), device=uniform.device) - round(len(uniform) * share)
    chosen = in_batch[behind.clamp_min(0)]
    return torch.where((behind >= 0) & (chosen > 0), chosen, uniform)


@register
class Mixed(NegativeSampler, SharedList):
    """Uniform items and the positives of other rows."""

    name = "mixed"
    idea = "a share of uniform negatives, the rest positives of the batch's other rows"
    paper = "Yang et al., WWW 2020 Companion"
    of_batch = True
    Params = MixedParams

    def setup(self) -> None:
        """Weigh the items by their training interactions, once."""
        self.weighted = WeightedProposal(self.catalogue, self.catalogue.item_counts)

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Draw ``(B, n)`` negatives of either kind; see :meth:`NegativeSampler.sample`.

        Of several processes each draws from its own rows: the law is the same.
        """
        uniform = self.proposal.draw(users, n, self.generator)
        in_batch = draw_in_batch(self.weighted, users, items, n, self.generator)
        place = torch.arange(uniform.numel(), device=uniform.device).view(uniform.shape)
        is_uniform = uniforms(new_key(self.generator), place) < self.params.uniform_share
        drawn = torch.where(is_uniform, uniform, in_batch)
        return drawn if n == 1 else self.complete(drawn, users)

    def log_prob(self, users: Tensor, ids: Tensor) -> Tensor:
        """``(B, n)``: that of the mixture, over shuffled epochs.

        See :meth:`NegativeSampler.log_prob`.
        """
        uniform = self.proposal.log_prob(users, ids)
        return mixture(self.params.uniform_share, uniform, self.weighted.log_prob(users, ids))

    def sample_shared(self, users: Tensor, items: Tensor, n: int) -> Tensor:
        """Draw ``(m,)`` items of either kind; see :meth:`SharedList.sample_shared`.

        Of several processes each draws a list of its own from the rows of all.
        """
        uniform = uniform_list(self.catalogue, n, self.generator)
        rows = torch.cat(self.peers.gather(items))
        in_batch = different_items(rows, len(uniform), new_key(self.generator))
        return mixed_list(uniform, in_batch, self.params.uniform_share)

    def shared_log_prob(self, ids: Tensor) -> Tensor:
        """``(m,)``: that of the mixture; see :meth:`SharedList.shared_log_prob`."""
        uniform = torch.full(ids.shape, 1 / (self.catalogue.item_num - 1), device=ids.device).log()
        return mixture(self.params.uniform_share, uniform, self.weighted.log_share(ids))

    def list_length(self, rows: int, n: int) -> int:
        """At most all items; see :meth:`SharedList.list_length`."""
        return min(n, self.catalogue.item_num - 1)
