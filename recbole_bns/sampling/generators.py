"""Learned generators: samplers with weights of their own, which the model's answers train.

The *recommender* is the model that is trained; the *generator* proposes its negatives. It is a
matrix factorisation with a bias for each item, ``g(u, j) = <x_u, y_j> + b_j``, and begins as a copy
of the recommender's vectors after ``pretrain_epochs`` epochs on uniform negatives (``pretrained``:
of those of another run, at once). From then on each step of the recommender is followed by one of
the generator, by REINFORCE and an Adam of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from recbole_bns.common.params import Above, param

from .base import NegativeSampler
from .candidates import CandidateSampler, gathered, usable
from .capabilities import Learns, Negatives, Pretrained, Requirement, Vectors
from .scoring import FactorScorer, Scorer
from .streams import new_key, softmax_keys, uniforms

NO_RUN = "none"
"""``pretrained`` where no other run is named."""
TABLES = ("user_vectors", "item_vectors", "item_bias")
"""Buffers of a generator's weights."""
RECOMMENDER, GENERATOR = "recommender", "generator"


@dataclass(frozen=True)
class GeneratorParams:
    """Parameters that all generators have."""

    pretrain_epochs: int = param(
        10, "epochs on uniform negatives before the generator", low=0, when={"pretrained": NO_RUN}
    )
    pretrained: str = param(NO_RUN, "folder of a run whose weights the model begins with, or none")
    generator_rate: float = param(0.001, "learning rate of the generator's Adam", above=0)
    tested: str = param(
        RECOMMENDER, "which of the two is validated and tested", choices=(RECOMMENDER, GENERATOR)
    )

    @property
    def start(self) -> int:
        """The first epoch (0-based) whose negatives the generator draws."""
        return self.pretrain_epochs if self.pretrained == NO_RUN else 0


class Tables(NamedTuple):
    """Weights of a generator."""

    users: Tensor
    """``(U, D)``."""
    items: Tensor
    """``(I, D)``."""
    bias: Tensor
    """``(I,)``."""

    def pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores ``(B, M)`` of users (B,) for their own rows of items (B, M), with their graph."""
        vectors = self.items[items]
        return torch.bmm(vectors, self.users[users].unsqueeze(2)).squeeze(2) + self.bias[items]

    def catalogue(self, users: Tensor) -> Tensor:
        """Scores ``(B, I)`` of users (B,) for every item, with their graph; padding included."""
        return self.users[users] @ self.items.T + self.bias


class LearnedSampler(NegativeSampler):
    """A sampler that learns; a subclass writes ``sample`` and :meth:`after_step`."""

    needs = FactorScorer
    growing = TABLES
    Params: ClassVar[type[Any]] = GeneratorParams

    user_vectors: Tensor
    """``(U, D)``; empty before the generator has begun, as the other two."""
    item_vectors: Tensor
    """``(I, D)``."""
    item_bias: Tensor
    """``(I,)``."""

    def setup(self) -> None:
        """No weights yet: how long vectors are is the recommender's matter."""
        super().setup()
        for name in TABLES:
            self.register_buffer(name, torch.empty(0, device=self.catalogue.device))
        self._optimizer: torch.optim.Adam | None = None
        self._optimizer_state: dict[str, Any] | None = None

    @classmethod
    def requirements_of(cls, params: Any) -> tuple[Requirement, ...]:
        """Vectors to begin with, an answer to each step, and perhaps the weights of a run."""
        asked = Vectors(since=params.start), Learns(since=params.start)
        candidates = Negatives(getattr(params, "candidate_num", 1))
        run = () if params.pretrained == NO_RUN else (Pretrained(path=params.pretrained),)
        return (*asked, candidates, *run)

    @property
    def label(self) -> str:
        """The name, and which of the two models is tested."""
        return f"{self.name} ({self.params.tested} tested)"

    @property
    def tables(self) -> Tables:
        """The weights."""
        return Tables(self.user_vectors, self.item_vectors, self.item_bias)

    def begin_epoch(self, epoch: int, scorer: Scorer | None) -> None:
        """Begin as a copy of the recommender, when it is time."""
        super().begin_epoch(epoch, scorer)
        if epoch >= self.params.start and not self.user_vectors.numel():
            assert isinstance(scorer, FactorScorer), f"{self.name} needs the model's vectors"
            self.user_vectors, self.item_vectors = scorer.users.clone(), scorer.items.clone()
            self.item_bias = scorer.items.new_zeros(len(scorer.items))

    def learn(self, terms: Iterable[Callable[[Tables], Tensor]]) -> None:
        """One step of the optimiser on the sum of some terms; what is no number moves nothing.

        Args:
            terms: each gives a part of the loss (scalar) of weights with a graph.
        """
        leaves = Tables(*(table.detach().requires_grad_() for table in self.tables))
        with torch.enable_grad():
            for term in terms:
                term(leaves).backward()
        optimizer = self._optimiser()
        for table, leaf in zip(self.tables, leaves, strict=True):
            table.grad = None if leaf.grad is None else leaf.grad.nan_to_num(0.0, 0.0, 0.0)
        optimizer.step()
        optimizer.zero_grad()

    def _optimiser(self) -> torch.optim.Adam:
        """The generator's own; made when first asked for, on the weights' device."""
        if self._optimizer is None:
            self._optimizer = torch.optim.Adam(list(self.tables), lr=self.params.generator_rate)
            if self._optimizer_state is not None:
                self._optimizer.load_state_dict(self._optimizer_state)
        return self._optimizer

    def get_extra_state(self) -> dict[str, Any]:
        """The optimiser's state too."""
        held = self._optimizer_state if self._optimizer is None else self._optimizer.state_dict()
        return {**super().get_extra_state(), "optimizer": held}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore it, for the weights that have just been loaded."""
        super().set_extra_state(state)
        self._optimizer, self._optimizer_state = None, deepcopy(state["optimizer"])


def generator_vectors(state: Any) -> tuple[Tensor, Tensor] | None:
    """Vectors (U, D + 1) and (I, D + 1) whose dot products are a generator's scores.

    Args:
        state: of a :class:`LearnedSampler`, its ``state_dict()``.

    Returns:
        None where it has not begun: until then it is what the recommender is.
    """
    users, items, bias = (state[name] for name in TABLES)
    if not users.numel():
        return None
    return pad(users, (0, 1), value=1.0), torch.cat((items, bias.unsqueeze(1)), 1)


def informativeness(scores: Tensor) -> Tensor:
    """``-sigmoid(-s)`` in (-1, 0), the same shape: near 0 where the recommender likes the item."""
    return -torch.sigmoid(-scores)


def reinforce(log_p: Tensor, advantage: Tensor) -> Tensor:
    """``-Σ log p · advantage``, a scalar; the advantage is a number and has no graph.

    Args:
        log_p: log-probabilities of what was drawn.
        advantage: of each, the same shape.
    """
    return -(log_p * advantage.detach()).sum()


@dataclass(frozen=True)
class CandidateGeneratorParams(GeneratorParams):
    """Parameters of those that choose among candidates."""

    candidate_num: int = param(30, "M, uniform candidates a negative", low=1)
    generator_tau: float = param(
        1.0, "temperature of the generator's softmax", above=0, when={"candidate_num": Above(1)}
    )
    replacement: bool = param(
        True, "draw candidates with replacement", when={"candidate_num": Above(1)}
    )


class Candidates(NamedTuple):
    """What was drawn last."""

    ids: Tensor
    """``(B, n, m)``."""
    chosen: Tensor
    """``(B, n)`` positions in ``[0, m)``."""


class LearnedCandidateSampler(LearnedSampler, CandidateSampler):
    """Chooses among uniform candidates by a softmax of its scores; rewarded by how hard they are.

    ``p(j) = softmax over the M candidates of g(u, j) / tau``, reward ``r_j =
    -sigmoid(-s_uj)``, loss ``-Σ log p(j) · (r_j - b)``; b is the mean reward of the epoch before,
    0 where there was none.
    """

    reward_sum: Tensor
    """``(2,)`` float64: sum and number of the rewards of the running epoch."""
    baseline: Tensor
    """A scalar, float64."""

    def setup(self) -> None:
        """No reward yet."""
        super().setup()
        zeros = torch.zeros(3, dtype=torch.float64, device=self.catalogue.device)
        self.register_buffer("reward_sum", zeros[:2].clone())
        self.register_buffer("baseline", zeros[2].clone())
        self._drawn: Candidates | None = None

    def begin_epoch(self, epoch: int, scorer: Scorer | None) -> None:
        """The mean reward of the epoch that has ended becomes the baseline of this one."""
        super().begin_epoch(epoch, scorer)
        total, number = self.reward_sum
        self.baseline = torch.where(number > 0, total / number.clamp(min=1), self.baseline)
        self.reward_sum = torch.zeros_like(self.reward_sum)

    def score(self, users: Tensor, candidates: Tensor, scorer: Scorer) -> Tensor:
        """The generator's scores (B, M); see :meth:`CandidateSampler.score`."""
        own = FactorScorer(self.user_vectors, self.item_vectors)
        return own.pairs(users, candidates) + self.item_bias[candidates]

    def choose(
        self, candidates: Tensor, scores: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor:
        """Positions ``(B, n)`` drawn by the softmax; see :meth:`CandidateSampler.choose`."""
        place = torch.arange(scores.numel(), device=scores.device).view(scores.shape)
        u = uniforms(new_key(self.generator), place)
        chosen = softmax_keys(scores, self.params.generator_tau, u).argmax(2)
        self._drawn = Candidates(candidates, chosen)
        return chosen

    def after_step(self, users: Tensor, items: Tensor, ids: Tensor, scorer: Scorer) -> None:
        """Learn how hard the negatives were; see :meth:`NegativeSampler.after_step`."""
        drawn, self._drawn = self._drawn, None
        if drawn is None:  # they were drawn before the generator had begun
            return
        flat = drawn.ids.flatten(1)
        chosen = gathered(drawn.ids, drawn.chosen)
        reward = informativeness(scorer.pairs(users, chosen)).double()
        counts = (chosen > 0) & reward.isfinite()
        advantage = torch.where(counts, reward - self.baseline, 0.0)
        rewarded = torch.where(counts, reward, 0.0).sum()
        self.reward_sum += torch.stack((rewarded, counts.sum().double()))

        def loss(tables: Tables) -> Tensor:
            scores = usable(tables.pairs(users, flat).view(drawn.ids.shape), drawn.ids)
            log_p = (scores / self.params.generator_tau).log_softmax(2)
            picked = gathered(log_p, drawn.chosen).masked_fill(~counts, 0.0)
            return reinforce(picked, advantage.to(picked.dtype))

        self.learn([loss])
