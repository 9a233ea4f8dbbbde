"""CuCo: candidates become easier, or harder, from epoch to epoch.

Of M uniform candidates an epoch allows a share; e is the epoch from 0, E how many there are.

``schedule: shrink``, hard to easy: the first ``max(1, floor((1 - e / E) M))`` candidates as they
were drawn stay, and the one that scores highest is taken. Epoch 0 is ``dns`` with M candidates,
the last ones are uniform; E to infinity is ``dns`` throughout. It is how the comparison of AHNS
brings CuCo to recommendation.

``schedule: grow``, easy to hard, the original curriculum: candidates are sorted by score, lowest
first, and one of the first ``max(1, floor(((e + 1) / E) ^ exponent M))`` is drawn, each with equal
probability. The last epoch is uniform over all M: it is no harder than ``rns``.

Symbols: M ``candidate_num``, E ``epochs``. Cost a positive: the scores of what stays, at most M
(``grow``: M). E is the setting ``epochs``, also where early stopping ends a training before: the
pool is then left at the size it has. A run that goes on with more epochs goes on with their E.

Sizes are rounded as that program rounds them, in floating point: ``(1 - 8 / 10) · 10`` is 1. Where
we differ: the original is about graphs; its candidates are all others of the data set, compared by
cosine, and their number is halved whenever the loss of an epoch has risen. Here ``neg_sample_num``
stays as it was set. AHNS's text calls shrinking an anti-curriculum, and so it is.

Sources: G. Chu et al., CuCo: Graph Representation with Curriculum Contrastive Learning, IJCAI
2021; R. Lai et al., Adaptive Hardness Negative Sampling for Collaborative Filtering, AAAI 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_bns.common.params import Above, param

from ..candidates import CandidateSampler, at_rank
from ..capabilities import EpochNumber, Negatives, Requirement, Scores
from ..registry import register
from ..scoring import Scorer
from ..streams import uniform_integers


@dataclass(frozen=True)
class CuCoParams:
    """Parameters of CuCo."""

    candidate_num: int = param(32, "M, uniform candidates a negative", low=1)
    schedule: str = param(
        "shrink",
        "hard to easy (the best of fewer and fewer), or easy to hard",
        choices=("shrink", "grow"),
        when={"candidate_num": Above(1)},
    )
    exponent: float = param(
        0.5, "grow: power of the share of epochs", above=0, when={"schedule": "grow"}
    )
    replacement: bool = param(
        True, "draw candidates with replacement", when={"candidate_num": Above(1)}
    )


def shrunk(candidate_num: int, epoch: int, epochs: int) -> int:
    """Candidates that stay in epoch ``epoch`` (0-based): ``floor((1 - e / E) M)``, at least 1."""
    return max(1, int((1 - epoch / epochs) * candidate_num))


def grown(candidate_num: Tensor, epoch: int, epochs: int, exponent: float) -> Tensor:
    """How many of the easiest are allowed, of each of some numbers of candidates (...)."""
    share = min((epoch + 1) / epochs, 1.0) ** exponent
    allowed: Tensor = (share * candidate_num.double()).long()
    return allowed.clamp(min=1)


@register
class CuCo(CandidateSampler):
    """A curriculum of candidates over the epochs."""

    name = "cuco"
    idea = "the hardest of M candidates, of fewer from epoch to epoch; or easy ones first"
    paper = "Chu et al., IJCAI 2021; as in Lai et al., AAAI 2024"
    Params = CuCoParams

    @classmethod
    def requirements_of(cls, params: CuCoParams) -> tuple[Requirement, ...]:
        """Scores, and the number of epochs."""
        candidates = Negatives(params.candidate_num, not params.replacement)
        return Scores(), EpochNumber(), candidates

    @property
    def size(self) -> int:
        """Candidates that are looked at in the running epoch."""
        whole = self.params.schedule == "grow" or self.epoch == 0
        m: int = self.params.candidate_num
        return m if whole else shrunk(m, self.epoch, self.known_epochs())

    def choose_directly(
        self, candidates: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor | None:
        """The highest-scored of those that stay; see :meth:`ProposingSampler.choose_directly`."""
        if self.params.schedule == "grow" or candidates.shape[1] > 1:
            return None
        highest = torch.full(users.shape, torch.inf, device=users.device)
        left = candidates[:, 0, : self.size].contiguous()
        ids = scorer.nearest(users, left, highest)
        return None if ids is None else ids.unsqueeze(1)

    def pick(self, candidates: Tensor, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        """Only what stays is scored; see :meth:`ProposingSampler.pick`."""
        return super().pick(candidates[..., : self.size], users, items, scorer)

    def choose(
        self, candidates: Tensor, scores: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor:
        """Positions ``(B, n)``; see :meth:`CandidateSampler.choose`."""
        if self.params.schedule == "shrink":
            return scores.argmax(2)
        usable = scores.isfinite().sum(2)
        allowed = grown(usable, self.epoch, self.known_epochs(), self.params.exponent)
        from_below = uniform_integers(allowed, self.generator)
        return at_rank(scores, (usable - 1 - from_below).clamp(min=0))
