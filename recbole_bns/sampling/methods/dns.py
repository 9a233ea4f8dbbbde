"""DNS and DNS(M, N): of a few uniform candidates, prefer those that score high.

*Hard* choice (all modern programs): the candidate with the highest score; with ``best_num`` N > 1
one of the N best, each with equal probability (the DNS(M, N) of the WWW 2023 paper as its
re-implementations draw it). *Linear* choice (the rule of 2013): candidates in descending order
of score, rank k = 0 … M-1, are drawn with a weight that falls linearly in the rank,
``w_k ∝ 1 - (1 - beta) k / M``; beta = 1 is uniform.

Symbols: M ``candidate_num``, N ``best_num``. Cost a positive: M scores. Candidates are drawn with
replacement, as the authors' and RecBole's programs do.

Where we differ: the program of the WWW 2023 paper sums the loss over all N best, draws candidates
from all items (positives included), and calls the candidates N and the best M. RecBole's own
``dynamic: True`` is ``dns`` with N = 1; it scores with gradients and repeats LightGCN's
propagation for every batch.

Sources: W. Zhang et al., Optimizing Top-N Collaborative Filtering via Dynamic Negative Item
Sampling, SIGIR 2013; W. Shi et al., On the Theories Behind Hard Negative Sampling for
Recommendation, WWW 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import Above, param

from ..candidates import CandidateSampler, at_rank
from ..registry import register
from ..scoring import Scorer
from ..streams import uniform_integers


@dataclass(frozen=True)
class DNSParams:
    """Parameters of DNS and DNS(M, N)."""

    candidate_num: int = param(5, "M, uniform candidates a negative", low=1)
    best_num: int = param(
        1, "N, one of the N best is taken at random", low=1, when={"choice": "hard"}
    )
    choice: str = param(
        "hard",
        "the N best, or a linear law over ranks",
        choices=("hard", "linear"),
        when={"candidate_num": Above(1)},
    )
    beta: float = param(
        0.25,
        "linear choice: weight of the last rank; 1 is uniform",
        above=0,
        high=1,
        when={"choice": "linear"},
    )
    replacement: bool = param(
        True, "draw candidates with replacement", when={"candidate_num": Above(1)}
    )

    def __post_init__(self) -> None:
        """Refuse more best candidates than candidates."""
        if self.best_num > self.candidate_num:
            raise UsageError(
                f"neg_sampler_args.best_num: got {self.best_num}, but candidate_num is "
                f"{self.candidate_num}; allowed is 1 to {self.candidate_num}: the best are taken "
                "from the candidates."
            )


def linear_weights(candidate_num: Tensor, beta: float, size: int) -> Tensor:
    """Probability of each rank under the linear choice.

    Args:
        candidate_num: ``(...)`` number of candidates M.
        beta: in (0, 1].
        size: length of the last dimension, at least the largest M.

    Returns:
        ``(..., size)``: ``1 - (1 - beta) k / M`` normalised over k < M, 0 from M on.
    """
    rank = torch.arange(size, device=candidate_num.device)
    total = candidate_num.unsqueeze(-1).clamp(min=1)
    weights = (1 - (1 - beta) * rank / total) * (rank < candidate_num.unsqueeze(-1))
    return weights / weights.sum(-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)


@register
class DNS(CandidateSampler):
    """One of the best-scored of a few uniform candidates."""

    name = "dns"
    idea = "of M uniform candidates take one of the N that score highest"
    paper = "Zhang et al., SIGIR 2013; Shi et al., WWW 2023"
    Params = DNSParams

    def choose_directly(
        self, candidates: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor | None:
        """The highest-scored candidates; see :meth:`ProposingSampler.choose_directly`."""
        if self.params.choice == "linear" or self.params.best_num > 1 or candidates.shape[1] > 1:
            return None
        highest = torch.full(users.shape, torch.inf, device=users.device)
        ids = scorer.nearest(users, candidates[:, 0], highest)
        return None if ids is None else ids.unsqueeze(1)

    def choose(
        self, candidates: Tensor, scores: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor:
        """Positions ``(B, n)``; see :meth:`CandidateSampler.choose`."""
        if self.params.choice == "linear":
            return at_rank(scores, self._linear_rank(scores))
        if self.params.best_num == 1:
            return scores.argmax(2)
        usable = scores.isfinite().sum(2).clamp(max=self.params.best_num)
        return at_rank(scores, uniform_integers(usable, self.generator))

    def _linear_rank(self, scores: Tensor) -> Tensor:
        weights = linear_weights(scores.isfinite().sum(2), self.params.beta, scores.shape[2])
        u = torch.rand(weights.shape[:2], generator=self.generator, device=weights.device)
        rank = (weights.cumsum(2) <= u.unsqueeze(2)).sum(2)
        return torch.minimum(rank, scores.isfinite().sum(2).sub(1).clamp(min=0))
