"""What a negative sampler is. It knows tensors, not RecBole and not the configuration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from .capabilities import Asking
from .catalogue import Catalogue
from .peers import Divisible
from .proposals import Announced, Draws, Proposal, completed
from .scoring import Scorer


@dataclass(frozen=True)
class NoParams:
    """Parameters of a method that has none."""


class NegativeSampler(Asking, Divisible, ABC):
    """Maps users and positives to negatives: a subclass writes :meth:`sample`.

    Ids returned are int64 on the inputs' device, never 0, never a training positive of that
    user. Sampling tracks no gradient, leaves the model as it is, and draws from the sampler's own
    :attr:`generator`, never from the global one. Memory is buffers; a ``state_dict`` round trip
    continues identically (:mod:`.state`). What it needs of its host it says by type
    (:mod:`.capabilities`), and how processes share it by ``divide`` (:mod:`.peers`).

    Args:
        catalogue: the training interactions.
        params: an instance of :attr:`Params`; its defaults when None.
        seed: seed of the sampler's generator.
        side: the data beside the interactions that it asked for, by name.
    """

    name: ClassVar[str]
    """What people write: ``neg_sampler: bns``."""
    idea: ClassVar[str]
    """One line for tables."""
    paper: ClassVar[str]
    """Author, venue and year."""
    cost: ClassVar[str] = ""
    """What a draw costs, in a few words: ``few scores``; empty says it by what is needed."""
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
        super().__init__(catalogue, seed)
        self.params = self.Params() if params is None else params
        self.side = dict(side or {})
        self.proposal: Draws = Proposal(catalogue)
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
            scorer: this step's view of the model; may be None where no scores were asked for.

        Returns:
            ``(B, n)`` item ids.
        """

    def log_prob(self, users: Tensor, ids: Tensor) -> Tensor | None:
        """Log-probability that a single draw of :meth:`sample` for a user is this item.

        A training positive of the user, which is never drawn, has the value that the same law
        gives it with the same normaliser: a loss that corrects for the law asks for negatives and
        positives by one formula.

        Args:
            users: ``(B,)``.
            ids: ``(B, n)`` items, none 0.

        Returns:
            ``(B, n)`` float32, finite; None where the law is not known, as here.
        """
        return None

    def begin_epoch(self, epoch: int, scorer: Scorer | None) -> None:
        """Prepare for epoch ``epoch`` (0-based). Records it; methods with a memory extend it."""
        self.counters["epoch"] = epoch

    def after_step(self, users: Tensor, items: Tensor, ids: Tensor, scorer: Scorer) -> None:
        """Learn from a step that the model has just made on a batch. Does nothing by default.

        Called only where the sampler asks for it (:class:`.capabilities.Learns`), without
        gradients; what it learns by is its own affair, with ``torch.enable_grad()``.

        Args:
            users: ``(B,)`` of the last :meth:`sample`.
            items: ``(B,)`` their positives.
            ids: ``(B, n)`` the negatives that it returned.
            scorer: the model after the step.
        """

    def announce(self, users: Tensor) -> Announced | None:
        """Say whose negatives (N,) will be asked for; see :class:`.Announced`, which it returns."""
        announced = Announced(users)
        for module in self.modules():
            if isinstance(module, Draws):
                module.expect(announced)
        return announced

    @property
    def label(self) -> str:
        """The name that every output shows."""
        return self.name

    def complete(self, ids: Tensor, users: Tensor) -> Tensor:
        """``ids`` (B, n), different from one another, none 0; see :func:`.completed`."""
        return completed(ids, users, self.proposal, self.generator)
