"""In-batch negatives: a row's negatives are the positives of the other rows.

A list is the batch's positives, B items that a loss over many negatives has at hand anyway; a
row's own positive and those that its user has too are for the loss to leave out. Over shuffled
epochs an item lies in it as often as it is popular: ``q(j) = r_j / N``, r_j the training
interactions of item j, N all of them; an item without any, which no batch holds, counts as the
least popular of the others. How many items are wanted is ignored. Cost: nothing.

Where one negative at a time is asked for (a loss over pairs), it is drawn uniformly from the other
rows, training positives of the user left out, so that over shuffled epochs
``p(j | u) = r_j / (sum of r over the user's non-positives)``: ``pns`` with exponent 1, but from
items of the batch. Eight tries a draw; where none serves (a batch of one row, a user who has
nearly everything), the draw is made by that law itself, so that it holds for all. Several negatives
of a positive differ; those that the batch does not give are uniform. Cost: a draw of ``pns`` and
eight bit tests a negative.

Where we differ: NNCF's and SSM's programs leave a user's other positives among the negatives,
which on a small catalogue is a large share of them; whether the loss does is its own setting.

Sources: T. Chen et al., On Sampling Strategies for Neural Network-based Collaborative Filtering,
KDD 2017; J. Wu et al., On the Effectiveness of Sampled Softmax Loss for Item Recommendation,
TOIS 2024.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..base import NegativeSampler
from ..catalogue import Catalogue
from ..registry import register
from ..scoring import Scorer
from ..shared import SharedList
from ..streams import TRIES, new_key, uniforms
from ..weighted import WeightedProposal


def of_other_rows(
    catalogue: Catalogue, users: Tensor, items: Tensor, n: int, key: Tensor
) -> Tensor:
    """For each row ``n`` items of other rows that are no positives of its user.

    Args:
        catalogue: who interacted with what.
        users: ``(B,)``.
        items: ``(B,)`` their positives.
        n: draws a row, independent of one another.
        key: of the random numbers.

    Returns:
        ``(B, n)``; 0 where no try has found one.
    """
    rows = len(items)
    if rows == 1:
        return items.new_zeros(1, n)
    tries = torch.arange(rows * n * TRIES, device=items.device).view(rows, n, TRIES)
    beyond = 1 + (uniforms(key, tries) * (rows - 1)).long()  # 1 to B - 1 rows further on
    own = torch.arange(rows, device=items.device).view(-1, 1, 1)
    drawn = items[(own + beyond) % rows]
    free = ~catalogue.is_positive(users.view(-1, 1, 1), drawn)
    item = drawn.gather(2, free.int().argmax(2, keepdim=True)).squeeze(2)
    return item.masked_fill(~free.any(2), 0)


def draw_in_batch(
    popular: WeightedProposal, users: Tensor, items: Tensor, n: int, generator: torch.Generator
) -> Tensor:
    """For each row ``n`` independent draws of :func:`of_other_rows`, by popularity where none is.

    Args:
        popular: draws with the items' training interactions for weights.
        users: ``(B,)``.
        items: ``(B,)`` their positives.
        n: draws a row.
        generator: source of randomness.

    Returns:
        ``(B, n)`` negatives of the users.
    """
    key = new_key(generator)
    spare = popular.draw(users, n, generator)
    ids = of_other_rows(popular.catalogue, users, items, n, key)
    return torch.where(ids > 0, ids, spare)


@register
class InBatch(NegativeSampler, SharedList):
    """The positives of the other rows."""

    name = "inbatch"
    idea = "the positives of the batch's other rows, so popular items more often"
    paper = "Chen et al., KDD 2017"
    only_shared = True
    of_batch = True
    least_rows = 2

    def setup(self) -> None:
        """Weigh the items by their training interactions, once."""
        self.weighted = WeightedProposal(self.catalogue, self.catalogue.item_counts)

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Draw ``(B, n)`` items of other rows; see :meth:`NegativeSampler.sample`.

        Of several processes each draws from its own rows: the law is the same.
        """
        drawn = draw_in_batch(self.weighted, users, items, n, self.generator)
        return drawn if n == 1 else self.complete(drawn, users)

    def log_prob(self, users: Tensor, ids: Tensor) -> Tensor:
        """``(B, n)``: popularity over that of all the user's negatives, as a logarithm.

        It holds over shuffled epochs, not for one batch; see :meth:`NegativeSampler.log_prob`.
        """
        return self.weighted.log_prob(users, ids)

    def sample_shared(self, users: Tensor, items: Tensor, n: int) -> Tensor:
        """The positives of all rows of the batch; see :meth:`SharedList.sample_shared`.

        Row b of the process of rank 0 has its own positive at place b; behind them lie those of
        the other processes by rank. Where a batch has fewer rows than there are processes, one
        without a row of its own adds the batch's first once more.
        """
        return torch.cat(self.peers.gather(items))

    def shared_log_prob(self, ids: Tensor) -> Tensor:
        """``(m,)``: popularity over that of all items, as a logarithm.

        See :meth:`SharedList.shared_log_prob`.
        """
        return self.weighted.log_share(ids)

    def list_length(self, rows: int, n: int) -> int:
        """As many as there are rows; see :meth:`SharedList.list_length`."""
        return rows
