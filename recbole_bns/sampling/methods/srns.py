"""SRNS: hard negatives that fluctuate are true ones, those that stay high are false ones.

Each user keeps a memory M_u of S1 items. For a positive i::

    P_pos(k | u, i) = sigmoid(r_uk - r_ui)                                   (Eq. 1)
    choose   argmax over k in M_u of P_pos + alpha_t · std_5[P_pos]           (Eq. 4)
    alpha_t  = alpha · min(t / T0, 1), t the epoch, or a schedule over t      warm-up
    update   M_u <- S1 of M_u and S2 uniform new items, without replacement,
             with probability ∝ exp(r_uk / tau)                               (Eq. 3)

std_5 is the population standard deviation over the ends of the last five epochs; it is 0 until
two have ended. The memory is updated after the choice and before the gradient step, once for
each user of a batch, in every ``update_every``-th epoch. Draws without replacement are the top
S1 of r / tau plus Gumbel noise.

Memory: ``(U, S1)`` ids, and the history. For dot-product models that is five copies of the
factors, which give the *exact* P_pos of any pair at the last five epoch ends, new entrants
included: ``5 (U + I) D`` numbers (12.5 MB for ML-1M at D = 64). For other models it is the scores
of all pairs at five epoch ends, ``5 U I`` numbers (0.45 GB for ML-1M), refused beyond
:data:`HISTORY_LIMIT`. Cost a positive: S1 + S2 + 1 live scores and 5 (S1 + 1) historic ones.

``pick: uniform`` is NSCaching's rule: each item of the memory with equal probability, in place of
Eq. 4; the memory is updated as above, which is that method's update too. Nothing is looked up in
a history then, and nothing kept for it.

Where we differ from the authors' programs: the memory holds item ids and persists over epochs as
in the paper (the real-data program stores slot numbers of a list that it replaces every epoch);
entrants differ from the memory and from one another; no negative ``alpha``.

Sources: J. Ding et al., Simplify and Robustify Negative Sampling for Implicit Collaborative
Filtering, NeurIPS 2020; Y. Zhang et al., NSCaching: Simple and Efficient Negative Sampling for
Knowledge Graph Embedding, ICDE 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import Above, Schedule, param

from ..base import NegativeSampler
from ..capabilities import Negatives, Requirement, Scores, ScoresBetweenBatches
from ..kernels import memory as memory_kernels
from ..peers import Peers
from ..planted import Plantable, Planted
from ..registry import register
from ..scoring import FactorScorer, Scorer
from ..streams import new_key, softmax_keys, uniforms

HISTORY = 5
"""Epoch ends that the standard deviation looks back on."""
HISTORY_LIMIT = 4 << 30
"""Largest history in bytes for models without factors."""


@dataclass(frozen=True)
class SRNSParams:
    """Parameters of SRNS."""

    memory_num: int = param(20, "S1, items in each user's memory", low=1)
    new_num: int = param(20, "S2, uniform new items an update", low=0)
    alpha: float | Schedule = param(
        1.0,
        "weight of the standard deviation",
        low=0,
        schedule=True,
        when={"memory_num": Above(1), "pick": "value"},
    )
    warmup_epochs: int = param(
        50, "T0, epochs over which alpha rises from 0", low=0, when={"alpha": Above(0)}
    )
    tau: float = param(1.0, "temperature of the memory update", above=0, when={"new_num": Above(0)})
    update_every: int = param(
        1, "epochs between memory updates (lazy update)", low=1, when={"new_num": Above(0)}
    )
    pick: str = param(
        "value",
        "Eq. 4, or uniformly (NSCaching)",
        choices=("value", "uniform"),
        when={"memory_num": Above(1)},
    )

    @property
    def looks_back(self) -> bool:
        """Whether the choice is by the history too."""
        return self.pick == "value" and self.alpha != 0


def positive_probability(positive: Tensor, candidates: Tensor) -> Tensor:
    """``sigmoid(r_uk - r_ui)``: scores (B, 1) and (B, S) give (B, S)."""
    return torch.sigmoid(candidates - positive)


def deviation(history: Tensor) -> Tensor:
    """Population standard deviation of P_pos over epochs: (L, B, S) gives (B, S)."""
    difference = history - history.mean(0)  # std(0) would walk the history against its layout
    return difference.square().mean(0).sqrt()


def selection_value(live: Tensor, spread: Tensor, alpha: float) -> Tensor:
    """``P_pos + alpha · std``, all (B, S); a deviation that is no number counts as 0."""
    return live + alpha * spread.nan_to_num(0.0)


memory_keys = softmax_keys
"""Of the memory update: its S1 largest stay."""


@register
class SRNS(NegativeSampler, Plantable):
    """Hard and fluctuating items of a memory that each user keeps."""

    name = "srns"
    idea = "of each user's memory of hard items, take one whose P_pos is high and varies"
    paper = "Ding et al., NeurIPS 2020"
    cost = "few scores"
    needs = Scorer
    growing = ("user_history", "item_history")
    Params = SRNSParams

    memory: Tensor
    """``(U, S1)`` item ids, 0 where a user has too few negatives."""
    user_history: Tensor
    """``(L, U, D)`` user vectors at epoch ends, newest last, or ``(L, U, I)`` scores."""
    item_history: Tensor
    """``(L, I, D)`` item vectors at epoch ends; empty where scores are kept."""

    def setup(self) -> None:
        """Fill every user's memory with uniform negatives."""
        size, available = self.params.memory_num, self.catalogue.item_num - 1
        if size > available:
            raise UsageError(
                f"neg_sampler_args.memory_num: got {size}, but the data set has only {available} "
                f"items; allowed is 1 to {available}."
            )
        every = torch.arange(self.catalogue.user_num, device=self.catalogue.device)
        memory = self.proposal.draw(every, size, self.generator, distinct=True)
        self.register_buffer("memory", memory)
        self.register_buffer("user_history", torch.empty(0, device=self.catalogue.device))
        self.register_buffer("item_history", torch.empty(0, device=self.catalogue.device))
        self._packed: tuple[Tensor, tuple[Tensor, Tensor]] | None = None

    def begin_epoch(self, epoch: int, scorer: Scorer | None) -> None:
        """Record the end of the epoch before; the untrained model is not part of the history."""
        super().begin_epoch(epoch, scorer)
        if epoch == 0 or scorer is None or not self.params.looks_back:
            return
        if isinstance(scorer, FactorScorer):
            self.user_history = _push(self.user_history, scorer.users)
            self.item_history = _push(self.item_history, scorer.items)
        else:
            self.user_history = _push(self.user_history, self._all_scores(scorer))

    def divide(self, peers: Peers) -> None:
        """Keep one memory: every process has all of it and redraws a share of a step's users.

        What is drawn depends on key and user alone, so all keep the same generator, and the
        memory is the one that a single process would have.
        """
        self.peers = peers

    @classmethod
    def requirements_of(cls, params: SRNSParams) -> tuple[Requirement, ...]:
        """Scores, and those at the epochs' ends for the history, which only alpha weighs."""
        if not params.looks_back:
            return Scores(), Negatives()
        between = ScoresBetweenBatches(hint="srns with neg_sampler_args.alpha: 0")
        return Scores(), between, Negatives()

    def plant(self, planted: Planted) -> None:
        """Fill the memories without held-out items; see :meth:`.Plantable.plant`.

        In each batch the last place of a user's memory is a planted item's. It is not kept: the
        update is of the memory that chance has filled.
        """
        super().plant(planted)
        users, size = self.memory.shape
        every = torch.arange(users, device=self.memory.device)
        self.memory = self.proposal.draw(every, size, self.generator, distinct=True)

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Draw ``(B, n)`` negatives; see :meth:`NegativeSampler.sample`."""
        assert scorer is not None, "srns needs a scorer"
        params = self.params
        table = self.memory if self.planted is None else self.planted.within(self.memory)
        value = self._values(users, items, table, scorer)
        memory = table[users]
        size = min(n, value.shape[1])
        best = value.topk(size, 1).indices if n > 1 else value.argmax(1, keepdim=True)
        chosen = memory.gather(1, best)
        if params.new_num and self.epoch % params.update_every == 0:
            due = scorer.groups(users).users
            self.peers.rewrite(self.memory, due, lambda rows: self._update(rows, scorer))
        if n == 1:
            return chosen
        return self.complete(torch.nn.functional.pad(chosen, (0, n - size)), users)

    @property
    def alpha(self) -> float:
        """alpha_t of the running epoch; a schedule has no warm-up."""
        if isinstance(self.params.alpha, Schedule):
            return self.params.alpha.at(self.epoch)
        alpha, warmup = float(self.params.alpha), int(self.params.warmup_epochs)
        return alpha * (min(self.epoch / warmup, 1.0) if warmup else 1.0)

    def _values(self, users: Tensor, items: Tensor, table: Tensor, scorer: Scorer) -> Tensor:
        """What decides, of the users' memories, rows of ``table`` (U, S1): (B, S1).

        ``P_pos + alpha · std``, or chance.
        """
        if self.params.pick == "uniform":
            return self._chance(users, table[users], scorer)
        alpha = self.alpha if len(self.user_history) > 1 else 0.0
        if isinstance(scorer, FactorScorer) and scorer.compiled:
            vectors = scorer.users, scorer.items
            none = scorer.users[:, None][:, :0], scorer.items[:, None][:, :0]
            history = self._by_id() if alpha else none
            return memory_kernels.values(vectors, history, alpha, table, users, items)
        memory = table[users]
        scores = scorer.pairs(users, torch.cat((items.unsqueeze(1), memory), 1))
        value = positive_probability(scores[:, :1], scores[:, 1:])
        if alpha:
            value = selection_value(value, self._deviation(users, items, memory), alpha)
        return _last(value, ~scores[:, 1:].isfinite(), memory)

    def _chance(self, users: Tensor, memory: Tensor, scorer: Scorer) -> Tensor:
        """Random numbers for memories (B, S1), those of items without a usable score last."""
        place = torch.arange(memory.numel(), device=users.device).view(memory.shape)
        numbers = uniforms(new_key(self.generator), place)
        return _last(numbers, ~scorer.pairs(users, memory).isfinite(), memory)

    def _by_id(self) -> tuple[Tensor, Tensor]:
        """The histories as ``(U, L, D)`` and ``(I, L, D)``: what an id needs lies together."""
        if self._packed is None or self._packed[0] is not self.user_history:
            histories = self.user_history, self.item_history
            users, items = (history.transpose(0, 1).contiguous() for history in histories)
            self._packed = self.user_history, (users, items)
        return self._packed[1]

    def _deviation(self, users: Tensor, items: Tensor, memory: Tensor) -> Tensor:
        """std of P_pos ``(B, S1)`` over the last epoch ends."""
        ids = torch.cat((items.unsqueeze(1), memory), 1)
        if self.item_history.numel():
            past = [
                FactorScorer(user, item).pairs(users, ids)
                for user, item in zip(self.user_history, self.item_history, strict=True)
            ]
        else:
            past = [scores[users].gather(1, ids) for scores in self.user_history]
        return deviation(torch.stack([positive_probability(r[:, :1], r[:, 1:]) for r in past]))

    def _update(self, users: Tensor, scorer: Scorer) -> None:
        """Redraw the memory of users (R,); one who occurs twice gets the same one twice."""
        if isinstance(scorer, FactorScorer) and scorer.compiled:
            vectors = scorer.users, scorer.items
            keys = new_key(self.generator), new_key(self.generator)
            rest = self.params.new_num, self.memory, users
            memory_kernels.redraw(vectors, self.params.tau, keys, self.proposal.catalogue, *rest)
            return
        new = self.proposal.draw(
            users, self.params.new_num, self.generator, distinct=True, by_user=True
        )
        key, tau = new_key(self.generator), self.params.tau
        memory = self.memory[users]
        known = (new.unsqueeze(2) == memory.unsqueeze(1)).any(2)
        ids = torch.cat((memory, new.masked_fill(known, 0)), 1)
        scores = scorer.pairs(users, ids).double()
        place = torch.arange(ids.shape[1], device=users.device)
        u = uniforms(key, users.unsqueeze(1) * ids.shape[1] + place)
        order = _last(memory_keys(scores, tau, u), ~scores.isfinite(), ids)
        self.memory[users] = ids.gather(1, order.topk(memory.shape[1], 1).indices)

    def _all_scores(self, scorer: Scorer) -> Tensor:
        users, items = self.catalogue.user_num, self.catalogue.item_num
        if 4 * HISTORY * users * items > HISTORY_LIMIT:
            raise UsageError(
                f"neg_sampler srns: this model has no user and item vectors, so the history would "
                f"hold the scores of {users} x {items} pairs at {HISTORY} epoch ends, more than "
                f"{HISTORY_LIMIT >> 30} GiB; use a dot-product model (BPR, LightGCN) or alpha: 0."
            )
        every = torch.arange(users, device=self.catalogue.device)
        return torch.cat([scorer.catalogue(part).float() for part in torch.split(every, 1024)])


def _last(keys: Tensor, unusable: Tensor, ids: Tensor) -> Tensor:
    """Sort items without a usable score last, and after them the id 0, which is no item."""
    keys = keys.masked_fill(unusable, torch.finfo(keys.dtype).min)
    return keys.masked_fill(ids == 0, float("-inf"))


def _push(history: Tensor, newest: Tensor) -> Tensor:
    newest = newest.detach().clone().unsqueeze(0)
    if not history.numel():
        return newest
    return torch.cat((history[-(HISTORY - 1) :], newest))
