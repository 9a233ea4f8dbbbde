"""SL@K: the softmax loss of a positive counts by how near it is to its user's first K.

    σ((s+ - β_u) / τ_w) · SL(u, i),   β_u the K-th greatest score of user u

β_u is estimated every ``refresh_every`` epochs from the user's positives, at most as many as the
90th percentile of users has (those of the lowest ids), and ``reference_num`` uniform negatives; it
is 0 before the first time. τ_w → ∞ is SL / 2. The gradient flows through the weight too, as in the
authors' program. A row without a negative has loss 0.

Source: W. Yang et al., Breaking the Top-K Barrier: Advancing Top-K Ranking Metrics Optimization in
Recommender Systems, KDD 2025.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_bns.common.params import param
from recbole_bns.sampling import Proposal

from ..base import EpochView, Loss
from ..batch import LossBatch
from ..registry import register
from .sl import softmax_loss

PERCENTILE = 0.9
"""Of users have no more positives than are looked at."""
USERS_AT_ONCE = 1024


@dataclass(frozen=True)
class SLKParams:
    """Parameters of SL@K."""

    k: int = param(20, "K, length of the list", low=1)
    temperature: float = param(0.15, "divides the scores", above=0)
    weight_temperature: float = param(1.0, "τ_w, of the weight; great values make it 1/2", above=0)
    refresh_every: int = param(20, "epochs between two estimates of β", low=1)
    reference_num: int = param(1000, "uniform negatives that β is estimated from", low=1)


def quantiles(view: EpochView, k: int, number: int, generator: torch.Generator) -> Tensor:
    """``(U,)`` the k-th greatest score of each user's positives and ``number`` negatives.

    0 for a user with fewer than k of both.
    """
    catalogue = view.catalogue
    degree = catalogue.indptr.diff()
    width = int(torch.quantile(degree[degree > 0].double(), PERCENTILE))
    place = torch.arange(width, device=catalogue.device)
    proposal, estimates = Proposal(catalogue), []
    everyone = torch.arange(catalogue.user_num, device=catalogue.device)
    for users in torch.split(everyone, USERS_AT_ONCE):
        there = place < degree[users].unsqueeze(1)
        rows = (catalogue.indptr[users].unsqueeze(1) + place).where(there, 0)
        positives = catalogue.positives[rows].long().where(there, 0)
        ids = torch.cat((positives, proposal.draw(users, number, generator)), 1)
        scores = view.scorer.pairs(users, ids).float().masked_fill(ids == 0, float("-inf"))
        best = scores.topk(min(k, scores.shape[1]), 1).values[:, -1]
        estimates.append(best.where(best.isfinite(), 0.0))
    return torch.cat(estimates)


@register
class SLK(Loss):
    """Softmax loss weighed by how near the positive is to the first K."""

    name = "slk"
    idea = "softmax loss weighed by how near the positive is to its user's first K"
    paper = "Yang et al., KDD 2025"
    similarity = "cosine"
    negatives = 64
    log_q = ("none", "negatives", "both")
    Params = SLKParams

    quantile: Tensor
    """``(U,)`` β of each user; empty before the first estimate."""

    def __init__(self, params: SLKParams | None = None) -> None:
        super().__init__(params)
        self.register_buffer("quantile", torch.empty(0))

    def begin_epoch(self, epoch: int, view: EpochView) -> None:
        """Estimate β anew in every ``refresh_every``-th epoch but the first."""
        if epoch == 0 or epoch % self.params.refresh_every:
            return
        generator = torch.Generator(view.catalogue.device).manual_seed(view.seed + epoch)
        with torch.no_grad():
            self.quantile = quantiles(view, self.params.k, self.params.reference_num, generator)

    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)``; see :meth:`Loss.forward`."""
        temperature = self.params.temperature
        values = softmax_loss(batch.positive_logit(temperature), batch.logits(temperature))
        threshold = self.quantile[batch.users] if len(self.quantile) else 0.0
        return torch.sigmoid((batch.pos - threshold) / self.params.weight_temperature) * values

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *rest: object
    ) -> None:
        """Make room for a saved β, whose length only training knows."""
        saved = state_dict.get(prefix + "quantile")
        if saved is not None:
            self.quantile = torch.empty_like(saved, device=self.quantile.device)
        super()._load_from_state_dict(state_dict, prefix, *rest)
