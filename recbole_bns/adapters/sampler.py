"""The RecBole face of a core sampler, and the samplers that evaluation keeps."""

from __future__ import annotations

from collections.abc import Sequence
from logging import getLogger

import numpy as np
import torch
from recbole.data.interaction import Interaction
from recbole.sampler import Sampler
from torch import Tensor, nn

from recbole_bns.common.errors import UsageError
from recbole_bns.runs.records import RunConfig
from recbole_bns.sampling import Catalogue, NegativeSampler, Scorer, SharedList
from recbole_bns.sampling.capabilities import Learns, Scores, of_type
from recbole_bns.sampling.mined import Miner

from .many_negatives import Drawn
from .scorers import Columns, ScorerFactory, scorer_factory


class BNSSampler(Sampler):
    """A RecBole ``Sampler`` whose negatives a core sampler draws.

    Any dataloader that calls ``sample_by_user_ids`` is served; one that looks at the model needs
    :meth:`bind` first, which our dataloader and trainer do by themselves.

    Args:
        core: draws the negatives.
        columns: how the data set names users and items.
        config: RecBole's ``Config``, kept for those who ask for it.
        drawn: what a loss over many negatives asks of the core; None: the model's own is trained.
        miner: puts mined positives into the batches of our loader; None: they stay as they are.
    """

    def __init__(
        self,
        core: NegativeSampler,
        columns: Columns,
        config: RunConfig | None = None,
        drawn: Drawn | None = None,
        miner: Miner | None = None,
    ) -> None:
        # RecBole's own constructor builds Python sets of all phases; the catalogue has them.
        self.core = core
        self.columns = columns
        self.config = config
        self.drawn, self.miner = drawn, miner
        self.user_num, self.item_num = core.catalogue.user_num, core.catalogue.item_num
        self.uid_field, self.iid_field = columns.user, columns.item
        self.distribution, self.alpha = "uniform", 1.0
        self.phase = "train"
        self.phases = ["train"]
        self._factory: ScorerFactory | None = None
        self._bound = False
        self._learns = of_type(core.requirements(), Learns) is not None
        self._last: tuple[Tensor, Tensor, Tensor, Interaction | None] | None = None
        self._answers = 0

    def set_phase(self, phase: str) -> BNSSampler:
        """Itself for ``train``; evaluation has samplers of its own.

        Raises:
            ValueError: any other phase.
        """
        if phase != "train":
            raise ValueError(f"a training sampler never serves the phase [{phase}].")
        return self

    @property
    def used_ids(self) -> np.ndarray:
        """RecBole's view: for each user the set of its training positives."""
        return user_sets(self.core.catalogue)

    def bind(self, model: nn.Module) -> None:
        """Let the sampler see ``model``, which stays as it is; called once, before the first batch.

        Raises:
            UsageError: the model cannot give what the sampler needs.
        """
        self._factory = scorer_factory(model, self.core, self.columns)
        self._bound = True

    def begin_epoch(self, epoch: int) -> None:
        """Tell the core that epoch ``epoch`` (0-based) begins."""
        if self._last is not None and not self._answers:
            getLogger().warning(
                f"neg_sampler '{self.core.name}' was told of no step in the epoch that is over, so "
                "that its generator learned nothing; call sampler.after_step() after each "
                "(recbole_bns.get_trainer and recbole_bns.enable() do it)."
            )
        self._last, self._answers = None, 0
        if self.miner is not None:
            self.miner.begin_epoch(epoch)
        with torch.no_grad():
            self.core.begin_epoch(epoch, self._scorer(None))

    def sample(
        self, users: Tensor, items: Tensor, num: int, rows: Interaction | None = None
    ) -> Tensor:
        """Draw ``num`` negatives for each positive.

        Args:
            users: ``(B,)``.
            items: ``(B,)``.
            num: negatives a positive.
            rows: the batch, for models that score by more than ids.

        Returns:
            ``(B, num)`` item ids on the device of ``users``.
        """
        scorer = self._scorer(rows, self.core.epoch)
        with torch.no_grad():
            ids = self.core.sample(users, items, num, scorer)
        if self._learns:
            self._last = users, items, ids, rows
        return ids

    def after_step(self) -> None:
        """Let a core that learns know that the model has made a step on what was drawn last."""
        if self._last is None:
            return
        self._answers += 1
        users, items, ids, rows = self._last
        self._last = None
        scorer = self._scorer(rows, self.core.epoch)
        if scorer is not None:  # a warm-up has nothing to learn
            with torch.no_grad():
                self.core.after_step(users, items, ids, scorer)

    def sample_shared(self, users: Tensor, items: Tensor, num: int) -> Tensor:
        """Draw one list ``(m,)`` for all positives of a batch.

        Args:
            users: ``(B,)``.
            items: ``(B,)``.
            num: length of the list, where the sampler leaves a choice.
        """
        assert isinstance(self.core, SharedList)
        with torch.no_grad():
            return self.core.sample_shared(users, items, num)

    def sample_by_user_ids(
        self, user_ids: Sequence[int] | Tensor, item_ids: Sequence[int] | Tensor, num: int
    ) -> Tensor:
        """RecBole's call: ``(B · num,)`` on the CPU, ids[k · B + b] belongs to row b.

        Raises:
            ValueError: an id outside the data set, or a user without a negative.
        """
        users, items = _ids(user_ids), _ids(item_ids)
        for name, ids, size in (("user", users, self.user_num), ("item", items, self.item_num)):
            if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < size:
                raise ValueError(f"{name}_id outside 0 to {size - 1}.")
        device = self.core.catalogue.device
        none = users[self.core.catalogue.negative_num.cpu()[users] <= 0]
        if len(none):
            raise ValueError(f"user_id {int(none[0])} has interacted with every item.")
        drawn = self.sample(users.to(device), items.to(device), num)
        return drawn.T.reshape(-1).cpu()

    def _scorer(self, rows: Interaction | None, epoch: int | None = None) -> Scorer | None:
        """The scorer of a step of ``epoch``, of a moment between two where it is None."""
        needed = of_type(self.core.requirements(), Scores)
        if needed is None or (epoch is not None and epoch < needed.since):
            return None
        if not self._bound:
            raise UsageError(
                f"neg_sampler '{self.core.name}' looks at the model, but was not given one; call "
                "sampler.bind(model) before the first batch (recbole_bns.get_trainer and "
                "recbole_bns.enable() do it)."
            )
        assert self._factory is not None
        return self._factory(rows)


def user_sets(catalogue: Catalogue) -> np.ndarray:
    """For each user (U,) the Python set of its items, as RecBole's evaluation wants them."""
    ends = catalogue.indptr.cpu().numpy()[1:-1]
    parts = np.split(catalogue.positives.cpu().numpy(), ends)
    sets = np.empty(catalogue.user_num, dtype=object)
    sets[:] = [set(part.tolist()) for part in parts]
    return sets


def _ids(values: Sequence[int] | Tensor) -> Tensor:
    return torch.as_tensor(np.asarray(values) if not isinstance(values, Tensor) else values).long()
