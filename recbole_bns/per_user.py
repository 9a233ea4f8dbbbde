"""Test metrics of every user: what RecBole's evaluator averages, kept before it does.

Every ranking metric of RecBole computes a matrix (users, max k) and hands it to ``topk_result``,
which averages over the users; that call is where the values are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recbole.evaluator import Evaluator
from recbole.evaluator.base_metric import TopkMetric

from .whole_file import whole_file

Values = dict[str, NDArray[np.float64]]


class PerUserEvaluator(Evaluator):
    """RecBole's evaluator that keeps the values of each user; its results stay the same.

    Attributes:
        values: ``recall@5`` -> (users,), in the order of the loader; of the last evaluation.
            Metrics that are no average over users (GAUC, coverage) are not among them.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.values: Values = {}
        for metric in self.metric_class.values():
            if isinstance(metric, TopkMetric):
                metric.topk_result = partial(self._keep, metric.topk_result, metric.topk)

    def _keep(
        self,
        average: Callable[[str, NDArray[np.float64]], dict[str, float]],
        cuts: list[int],
        name: str,
        matrix: NDArray[np.float64],
    ) -> dict[str, float]:
        """Take the columns (users,) of ``matrix`` (users, max k), then average as RecBole does."""
        for k in cuts:
            self.values[f"{name}@{k}"] = matrix[:, k - 1].astype(np.float64)
        return average(name, matrix)


def users_of(loader: Any) -> NDArray[np.str_]:
    """Users (users,) of an evaluation loader as the data set writes them, one a row of scores.

    A loader of a sequential model has a row for each test interaction, and so may repeat a user.
    """
    dataset = loader._dataset
    ids = getattr(loader, "uid_list", None)
    if ids is None:
        ids = dataset.inter_feat[dataset.uid_field]
    return np.asarray(dataset.id2token(dataset.uid_field, np.asarray(ids))).astype(str)


def save(path: str | Path, users: NDArray[np.str_], values: Mapping[str, Any]) -> None:
    """Write users and their values as ``.npz``; the file appears whole or not at all."""
    with whole_file(path) as file:
        np.savez_compressed(file, users=users, **values)


def load(path: str | Path) -> Values:
    """What :func:`save` wrote: ``users`` (users,) and one (users,) a metric."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
