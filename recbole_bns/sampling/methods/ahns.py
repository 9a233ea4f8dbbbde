"""AHNS: the harder the positive is to tell, the easier the negative, and the other way round.

``target = beta · (s_ui + alpha) ** (p + 1)``; of M uniform candidates take the one whose score is
nearest to the target. alpha > 0, beta > 0, p < 0; the hardness s_uj / s_ui is then about
``beta · (s_ui + alpha) ** p``, which falls as the positive is scored higher. p = -1 makes the
target the constant beta. Cost a positive: M + 1 scores; no memory. Candidates with replacement,
as in the authors' program.

Where we differ: the paper assumes positive scores. At ``s_ui = -alpha`` the target has a pole and
below it the authors' program gets a negative target (p = -2) or NaN (p not an integer). Here the
base is held at :data:`BASE_FLOOR`, so that for p < -1 the target stays the large number it tends
to, and no target is taken beyond the highest score, so that rounding leaves no ties there: the
highest-scored candidate is taken. The same holds where the positive's score is NaN.

Source: R. Lai et al., Adaptive Hardness Negative Sampling for Collaborative Filtering, AAAI 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from recbole_bns.common.params import Above, OtherThan, param

from ..candidates import CandidateSampler
from ..registry import register
from ..scoring import Scorer

BASE_FLOOR = 1e-6
"""Smallest base ``s_ui + alpha`` that is raised to a power."""


@dataclass(frozen=True)
class AHNSParams:
    """Parameters of AHNS."""

    candidate_num: int = param(32, "M, uniform candidates a negative", low=1)
    alpha: float = param(1.0, "shift of the positive's score", above=0, when={"p": OtherThan(-1.0)})
    beta: float = param(0.1, "scale of the target", above=0, when={"candidate_num": Above(1)})
    p: float = param(
        -2.0,
        "power; -1 makes the target constant",
        below=0,
        when={"candidate_num": Above(1)},
    )
    replacement: bool = param(
        True, "draw candidates with replacement", when={"candidate_num": Above(1)}
    )


def target_score(positive: Tensor, alpha: float, beta: float, p: float) -> Tensor:
    """``beta · max(positive + alpha, BASE_FLOOR) ** (p + 1)``, the shape of ``positive``."""
    return beta * (positive + alpha).clamp(min=BASE_FLOOR) ** (p + 1)


@register
class AHNS(CandidateSampler):
    """The candidate whose score is nearest to a target that adapts to the positive."""

    name = "ahns"
    idea = "negatives as hard as beta·(s_ui + alpha)^p asks: easier where the positive scores high"
    paper = "Lai et al., AAAI 2024"
    Params = AHNSParams

    def choose_directly(
        self, candidates: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor | None:
        """The candidates nearest to the target; see :meth:`ProposingSampler.choose_directly`."""
        if candidates.shape[1] > 1:
            return None
        ids = scorer.nearest(users, candidates[:, 0], self._target(users, items, scorer))
        return None if ids is None else ids.unsqueeze(1)

    def choose(
        self, candidates: Tensor, scores: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor:
        """Positions ``(B, n)``; see :meth:`CandidateSampler.choose`."""
        target = self._target(users, items, scorer).view(-1, 1, 1)
        target = target.fmin(scores.amax(2, keepdim=True))
        return (scores - target).abs().argmin(2)

    def _target(self, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        """Scores ``(B,)`` that negatives should have."""
        positive = scorer.pairs(users, items.unsqueeze(1)).squeeze(1)
        return target_score(positive, self.params.alpha, self.params.beta, self.params.p)
