"""The two abstract classes. They know tensors, not RecBole and not the configuration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from recbole_bns.common.errors import UsageError

from .catalogue import Catalogue
from .peers import Divisible
from .proposals import Proposal, first_distinct
from .scoring import Scorer

ALL = "all"
"""``candidate_num: all`` makes every negative of the user a candidate."""


@dataclass(frozen=True)
class NoParams:
    """Parameters of a method that has none."""


class NegativeSampler(Divisible, nn.Module, ABC):
    """Maps users and positives to negatives.

    Ids returned are int64 on the inputs' device, never 0, never a training positive of that
    user. Sampling tracks no gradient, leaves the model as it is, and draws from the sampler's own
    generator, never from the global one. Memory is buffers; a ``state_dict`` round trip continues
    identically.

    Args:
        catalogue: the training interactions.
        params: an instance of :attr:`Params`; its defaults when None.
        seed: seed of the sampler's generator.
        side: what :meth:`side_data` asked for, by name.
    """

    name: ClassVar[str]
    """What people write: ``neg_sampler: bns``."""
    idea: ClassVar[str]
    """One line for tables."""
    paper: ClassVar[str]
    """Author, venue and year."""
    needs: ClassVar[type[Scorer] | None] = None
    """The least capable scorer that serves it; None: it never looks at the model."""
    growing: ClassVar[tuple[str, ...]] = ()
    """Buffers whose shape is known only after a while; loading takes over the saved one."""
    Params: ClassVar[type[Any]] = NoParams
    """A frozen dataclass whose fields are declared by :func:`~.params.param`."""

    def __init__(
        self,
        catalogue: Catalogue,
        params: Any = None,
        *,
        seed: int = 0,
        side: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.catalogue = catalogue
        self.params = self.Params() if params is None else params
        self.seed = seed
        self.side = dict(side or {})
        self.proposal = Proposal(catalogue)
        self.counters = {"epoch": 0}
        self._generator: torch.Generator | None = None
        self.setup()

    def setup(self) -> None:
        """Build tables and buffers from catalogue and parameters. Does nothing by default."""

    @abstractmethod
    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Draw ``n`` negatives for each positive.

        Args:
            users: ``(B,)`` user ids; each has at least one negative.
            items: ``(B,)`` their positives.
            n: negatives a positive; different from one another where the user has that many.
            scorer: this step's view of the model; may be None where :attr:`needs` is.

        Returns:
            ``(B, n)`` item ids.
        """

    def begin_epoch(self, epoch: int, scorer: Scorer | None) -> None:
        """Prepare for epoch ``epoch`` (0-based). Records it; methods with a memory extend it."""
        self.counters["epoch"] = epoch

    def announce(self, users: Tensor) -> None:
        """Say whose negatives (N,) will be asked for, in order; see :meth:`.Proposal.announce`."""
        for module in self.modules():
            if isinstance(module, Proposal):
                module.announce(users)

    @property
    def epoch(self) -> int:
        """The running epoch, 0-based."""
        return self.counters["epoch"]

    @property
    def label(self) -> str:
        """The name that every output shows."""
        return self.name

    def scorer_needed(self) -> type[Scorer] | None:
        """The least capable scorer that serves it with its parameters."""
        return type(self).needs

    def looks_between_batches(self) -> bool:
        """Whether :meth:`begin_epoch` looks at scores; False by default."""
        return False

    @classmethod
    def side_data(cls, params: Any) -> tuple[str, ...]:
        """Names of the data beside the interactions that these parameters need.

        ``user:<column>`` is a ``(U,)`` tensor of group ids, ``held_out`` the ``(2, N)`` pairs of
        the validation and test parts.
        """
        return ()

    @property
    def generator(self) -> torch.Generator:
        """The sampler's own randomness, on the catalogue's device."""
        device = self.catalogue.device
        if self._generator is None or self._generator.device != device:
            self._generator = torch.Generator(device).manual_seed(self.seed)
        return self._generator

    def get_extra_state(self) -> dict[str, Any]:
        """Generator and counters, so that a restored sampler draws the same ids."""
        return {"generator": self.generator.get_state(), "counters": dict(self.counters)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore generator and counters."""
        self.generator.set_state(state["generator"].cpu())
        self.counters.update(state["counters"])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Make room for the buffers that :attr:`growing` names; others must have their shape."""
        for name in self.growing:
            saved, buffer = state_dict.get(prefix + name), self._buffers[name]
            if saved is not None and buffer is not None and saved.shape != buffer.shape:
                self._buffers[name] = torch.empty_like(saved, device=buffer.device)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def complete(self, ids: Tensor, users: Tensor) -> Tensor:
        """Make ``ids`` (B, n) different from one another and replace the zeros.

        Gaps are filled with uniform negatives, again with one where a user has fewer than n.
        """
        if ids.shape[1] > 1:
            spare = self.proposal.draw(users, ids.shape[1], self.generator, distinct=True)
            stream = torch.cat((ids, spare), 1)
            ids = first_distinct(stream, stream > 0, ids.shape[1])
        return torch.where(ids > 0, ids, ids.amax(1, keepdim=True))


class CandidateSampler(NegativeSampler):
    """Draws a few uniform candidates, scores them and chooses: propose, score, choose, gather.

    Its ``Params`` hold ``candidate_num`` and ``replacement``. A subclass writes :meth:`choose`.
    """

    needs = Scorer

    def setup(self) -> None:
        """Refuse more candidates than there are items."""
        wanted, available = self.params.candidate_num, self.catalogue.item_num - 1
        if wanted != ALL and wanted > available:
            raise UsageError(
                f"neg_sampler_args.candidate_num: got {wanted}, but the data set has only "
                f"{available} items; allowed is 1 to {available}."
            )

    @abstractmethod
    def choose(
        self, candidates: Tensor, scores: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor:
        """Choose one of the m candidates of each negative.

        Args:
            candidates: ``(B, n, m)`` item ids; 0 where a user has run out of negatives.
            scores: ``(B, n, m)`` their scores; ``-inf`` marks what must not be chosen.
            users: ``(B,)``.
            items: ``(B,)`` positives.
            scorer: for scores beyond the candidates'.

        Returns:
            ``(B, n)`` positions in ``[0, m)``; the first of equals.
        """

    def warming_up(self) -> bool:
        """True while negatives are uniform and no score is needed. False by default."""
        return False

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Propose, score, choose, gather; see :meth:`NegativeSampler.sample`."""
        if self.warming_up():
            ids = self.proposal.draw(users, n, self.generator, distinct=n > 1)
            return self.complete(ids, users)
        assert scorer is not None, f"{self.name} needs a scorer"
        candidates = self.propose(users, n)
        direct = self.choose_directly(candidates, users, items, scorer)
        if direct is not None:
            return direct if n == 1 else self.complete(direct, users)
        scores = self.score(users, candidates.flatten(1), scorer).view(candidates.shape)
        scores = scores.masked_fill((candidates == 0) | ~scores.isfinite(), float("-inf"))
        chosen = self.choose(candidates, scores, users, items, scorer)
        ids = candidates.gather(2, chosen.unsqueeze(2)).squeeze(2)
        ids = torch.where(ids > 0, ids, candidates.amax(2))
        return ids if n == 1 else self.complete(ids, users)

    def score(self, users: Tensor, candidates: Tensor, scorer: Scorer) -> Tensor:
        """Scores of candidates (B, M), the same shape. The scorer's by default."""
        return scorer.pairs(users, candidates)

    def choose_directly(
        self, candidates: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor | None:
        """The negatives ``(B, n)`` where a faster way than :meth:`choose` is open, else None."""
        return None

    def propose(self, users: Tensor, n: int) -> Tensor:
        """Candidates ``(B, n, m)``.

        With n > 1 the n sets of a positive have no item in common, so what is chosen from them
        differs. A user with fewer than n·m negatives has smaller sets, filled up with 0.
        """
        m = self.params.candidate_num
        if m == ALL:
            return self._propose_all(users, n)
        distinct = n > 1 or not self.params.replacement
        drawn = self.proposal.draw(users, m * n, self.generator, distinct=distinct)
        return drawn.view(-1, m, n).transpose(1, 2)

    def _propose_all(self, users: Tensor, n: int) -> Tensor:
        """All negatives, dealt at random into n sets."""
        items = self.catalogue.item_num - 1
        order = torch.randperm(items, generator=self.generator, device=users.device) + 1
        order = nn.functional.pad(order, (0, -items % n)).view(1, -1, n).transpose(1, 2)
        taken = self.catalogue.is_positive(users.view(-1, 1, 1), order)
        return order.expand(len(users), -1, -1).masked_fill(taken, 0)
