"""Evaluation: RecBole's loaders and metrics, with fixed negatives and values a user."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recbole.data.dataloader import FullSortEvalDataLoader, NegSampleEvalDataLoader
from recbole.evaluator import Evaluator, smaller_metrics
from recbole.evaluator.base_metric import TopkMetric
from recbole.sampler import RepeatableSampler, Sampler
from torch import Tensor

from recbole_bns.common.errors import UsageError
from recbole_bns.runs.records import RunConfig
from recbole_bns.runs.results import Values
from recbole_bns.sampling import Catalogue

from .sampler import user_sets
from .split import pairs_of

SMALLER_IS_BETTER = frozenset(smaller_metrics)
"""Metrics, without a cut, of which less is better."""


def eval_samplers(config: RunConfig, parts: dict[str, Any]) -> dict[str, Any]:
    """For each phase but training RecBole's sampler, with fixed negatives."""
    cls: Any = RepeatableEvalSampler if config["repeatable"] else EvalSampler
    by_name: dict[str, Any] = {}
    chosen = {}
    for phase in parts:
        if phase != "train":
            name = config[f"{phase}_neg_sample_args"]["distribution"]
            name = "uniform" if name == "none" else name
            if name not in by_name:
                by_name[name] = cls(parts, name, config["seed"])
            chosen[phase] = by_name[name]
    return chosen


def eval_loader(config: RunConfig, phase: str) -> type:
    """RecBole's loader for the evaluation mode of this phase."""
    full = config["eval_args"]["mode"][phase] == "full"
    return FullSortEvalDataLoader if full else NegSampleEvalDataLoader


class PerUserEvaluator(Evaluator):
    """RecBole's evaluator that keeps the values of each user; its results stay the same.

    Attributes:
        values: ``recall@5`` -> (users,), in the order of the loader; of the last evaluation.
            Metrics that are no average over users (GAUC, coverage) are not among them.
    """

    def __init__(self, config: RunConfig) -> None:
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


def user_ids_of(loader: Any) -> NDArray[np.int64]:
    """Internal ids (users,) of an evaluation loader, one a row of scores.

    A loader of a sequential model has a row for each test interaction, and so may repeat a user.
    """
    dataset = loader._dataset
    ids = getattr(loader, "uid_list", None)
    if ids is None:
        ids = dataset.inter_feat[dataset.uid_field]
    return np.asarray(ids)


def users_of(loader: Any) -> NDArray[np.str_]:
    """Users (users,) of an evaluation loader as the data set writes them, one a row of scores."""
    dataset = loader._dataset
    return np.asarray(dataset.id2token(dataset.uid_field, user_ids_of(loader))).astype(str)


class EvalSampler(Sampler):
    """RecBole's sampler for validation and test, with negatives that stay the same.

    RecBole draws the negatives of ``uni100`` and ``pop100`` anew at every evaluation, from the
    global generator, so that they depend on what training has drawn. Here a user's are fixed by
    seed, phase and user. The distributions are RecBole's own.

    Args:
        parts: the parts of the data set by phase, in order.
        distribution: ``uniform`` or ``popularity``.
        seed: of the run.
    """

    def __init__(self, parts: Mapping[str, Any], distribution: str, seed: int) -> None:
        self.seed = int(seed)
        super().__init__(list(parts), list(parts.values()), distribution)

    def get_used_ids(self) -> dict[str, np.ndarray]:
        """For each phase and user the items of this phase and those before it.

        This decides what full ranking masks: RecBole's loader masks these but the phase's own.
        Unlike RecBole's, a user who has interacted with every item is no error here.
        """
        used: dict[str, np.ndarray] = {}
        for number, phase in enumerate(self.phases, 1):
            users, items = pairs_of(self.datasets[:number])
            joined = Catalogue(users, items, self.user_num, self.item_num, bitmap=False)
            used[phase] = user_sets(joined)
        return used

    def sample_by_user_ids(self, user_ids: Any, item_ids: Any, num: int) -> Tensor:
        """RecBole's draw under a seed of its own; the global generator is left as it was.

        Raises:
            UsageError: the user has no negative.
        """
        if len(self.used_ids[int(user_ids[0])]) + 1 >= self.item_num:
            raise UsageError(
                f"eval_args.mode: user {int(user_ids[0])} (internal id) has interacted with every "
                "item, so there is no negative to evaluate against; use mode: full."
            )
        with _seeded(self.seed, self.phase, user_ids[0]):
            return super().sample_by_user_ids(user_ids, item_ids, num)


class RepeatableEvalSampler(RepeatableSampler):
    """The same for ``repeatable: True``, where a user's earlier items may be recommended again.

    Args:
        parts: the parts of the data set by phase, in order.
        distribution: ``uniform`` or ``popularity``.
        seed: of the run.
    """

    def __init__(self, parts: Mapping[str, Any], distribution: str, seed: int) -> None:
        self.seed, self.parts = int(seed), list(parts.values())
        super().__init__(list(parts), parts["train"], distribution)

    def _get_candidates_list(self) -> list[int]:
        """Items of all parts, an item as often as it occurs: RecBole's popularity."""
        return [item for part in self.parts for item in part.inter_feat[self.iid_field].tolist()]

    def sample_by_user_ids(self, user_ids: Any, item_ids: Any, num: int) -> Tensor:
        """RecBole's draw under a seed of its own; the global generator is left as it was."""
        with _seeded(self.seed, self.phase, user_ids[0]):
            return super().sample_by_user_ids(user_ids, item_ids, num)


@contextmanager
def _seeded(seed: int, phase: str, user: Any) -> Iterator[None]:
    """Give NumPy's global generator, which RecBole draws from, a seed for the time being."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(zlib.crc32(f"{seed} {phase} {int(user)}".encode()))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
