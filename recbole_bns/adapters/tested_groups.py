"""What a test comes to for items of several groups, counted from the scores that RecBole ranks.

Of a user with test items in a group: recall@k is the share of them among the first k places, ndcg@k
has the gains of these items alone, over that of an ideal list of them. share@k is the group's share
of the first k places of all users. The lists are those of the test: all groups compete.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recbole_bns.runs.groups import (
    ITEMS,
    USERS,
    Measured,
    item_groups,
    lines_of,
    means_of,
    ratio,
    user_groups,
)
from recbole_bns.runs.results import Values
from recbole_bns.sampling import Catalogue

from .evaluation import user_ids_of
from .team import Team


class TestedItems:
    """Counts, batch by batch of a test, what falls to each group of items.

    Args:
        group: ``(I,)`` of each item, -1 for RecBole's padding, which is in none.
        cuts: lengths k of the lists.
    """

    def __init__(self, group: NDArray[np.int64], cuts: Sequence[int]) -> None:
        self.cuts = sorted(set(cuts))
        self._group = torch.from_numpy(group)
        size = len(ITEMS), len(self.cuts)
        self._users = np.zeros((size[0], 1), dtype=np.int64)
        self._recall, self._ndcg = np.zeros(size), np.zeros(size)
        self._places = np.zeros(size, dtype=np.int64)
        self._seen = 0

    def see(self, scores: Tensor, users: Tensor, items: Tensor) -> None:
        """Count a batch.

        Args:
            scores: ``(B, I)``, -inf for items that are not ranked.
            users: ``(P,)`` rows of the test items, 0 to B - 1.
            items: ``(P,)`` test items.
        """
        self._group = self._group.to(scores.device)
        best = scores.topk(self.cuts[-1], dim=-1)
        wanted = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
        wanted[users, items] = True
        hit, shown = wanted.gather(1, best.indices), best.values > -torch.inf
        of_place = self._group[best.indices]
        self._seen += len(scores)
        for number in range(len(ITEMS)):
            here = of_place == number
            self._count_places(number, here & shown)
            self._count_hits(number, hit & here, wanted[:, self._group == number].sum(1))

    def _count_places(self, number: int, here: Tensor) -> None:
        upto = [cut - 1 for cut in self.cuts]
        self._places[number] += here.long().sum(0).cumsum(0)[upto].cpu().numpy()

    def _count_hits(self, number: int, hits: Tensor, total: Tensor) -> None:
        """Add the recall and NDCG of a group.

        Args:
            number: of the group.
            hits: ``(B, k)`` bool, places with test items of the group.
            total: ``(B,)`` test items of the group.
        """
        hits, total = hits[total > 0].double(), total[total > 0].unsqueeze(1)
        cuts = torch.tensor(self.cuts, device=hits.device)
        ranks = torch.arange(self.cuts[-1], dtype=torch.float64, device=hits.device)
        gains = 1 / torch.log2(ranks + 2)
        ideal = gains.cumsum(0)[torch.minimum(total, cuts) - 1]
        recall = hits.cumsum(1)[:, cuts - 1] / total
        ndcg = (hits * gains).cumsum(1)[:, cuts - 1] / ideal
        self._users[number] += len(hits)
        self._recall[number] += recall.sum(0).cpu().numpy()
        self._ndcg[number] += ndcg.sum(0).cpu().numpy()

    def gather(self, team: Team) -> None:
        """Add up what the processes of a team have counted, in each of them."""
        names = ("_users", "_recall", "_ndcg", "_places", "_seen")
        counted = team.collect({name: getattr(self, name) for name in names})
        for name in names:
            setattr(self, name, sum(each[name] for each in counted))

    def metrics(self) -> dict[str, Measured]:
        """Of each group, ``recall@5`` and so on; none where no batch was seen."""
        if not self._seen:
            return {}
        users, everyone = self._users[:, 0], np.full(len(ITEMS), self._seen)
        shares = ratio(self._places, self._places.sum(0))
        tables = {
            "recall": (users, ratio(self._recall, self._users)),
            "ndcg": (users, ratio(self._ndcg, self._users)),
            "share": (everyone, shares),
        }
        return {
            f"{name}@{cut}": Measured(counted, values[:, column])
            for name, (counted, values) in tables.items()
            for column, cut in enumerate(self.cuts)
        }


class TestedGroups:
    """Groups of items and of users in a test.

    Args:
        catalogue: the training interactions.
        cuts: lengths k of the lists.
    """

    def __init__(self, catalogue: Catalogue, cuts: Sequence[int]) -> None:
        self._popularity = catalogue.item_counts.cpu().numpy()
        self._activity = catalogue.indptr.diff().cpu().numpy()
        self._group = np.full(len(self._popularity), -1)
        self._group[1:] = item_groups(self._popularity[1:])
        self.items = TestedItems(self._group, cuts)

    @contextmanager
    def watching(self, trainer: Any) -> Iterator[None]:
        """While it lasts, what a trainer ranks in a test is counted; its results stay the same."""
        collector = trainer.eval_collector
        collect = collector.eval_batch_collect

        def see_too(scores: Tensor, interaction: Any, users: Tensor, items: Tensor) -> None:
            collect(scores, interaction, users, items)
            if scores.dim() == 2:  # a metric of values has one score a row
                self.items.see(scores, users, items)

        collector.eval_batch_collect = see_too
        try:
            yield
        finally:
            del collector.eval_batch_collect

    def lines(self, loader: Any, values: Values) -> list[dict[str, Any]]:
        """Lines of ``groups.csv``.

        Args:
            loader: of the test.
            values: metric -> (users,) in the order of the loader.
        """
        activity = self._activity[user_ids_of(loader)] if values else self._activity[:0]
        users = user_groups(activity)
        of_users = {name: means_of(users, value) for name, value in values.items()}
        of_items = self.items.metrics()
        popularity, group = self._popularity[1:], self._group[1:]
        return [
            *lines_of("items", ITEMS, group, popularity, of_items),
            *lines_of("users", USERS, users, activity, of_users),
        ]
