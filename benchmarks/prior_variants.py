"""Samplers that benchmarks/learned_prior.py tries and that the package does not have.

``popular_bns_plus``: candidates drawn by popularity to a power. ``debiased_bns_plus``: the prior
divided by a power of the item's popularity. ``selfish_bns_plus``: a prior that is refreshed from
the model in training. ``prior_dns``, ``prior_ahns``, ``prior_srns``: the other samplers, which see
``score + gamma · log(1 - P)`` for a candidate, or candidates that were thinned: one of them is
kept with probability ``(1 - P) ** gamma``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recbole_bns.common.params import param
from recbole_bns.sampling import Catalogue, Scorer
from recbole_bns.sampling.methods.ahns import AHNS, AHNSParams
from recbole_bns.sampling.methods.bns import BayesianSampler, BNSPlusParams
from recbole_bns.sampling.methods.dns import DNS, DNSParams
from recbole_bns.sampling.methods.srns import SRNS, SRNSParams
from recbole_bns.sampling.priors.item_models import Ridge
from recbole_bns.sampling.priors.pairs import PairTable, learned, probability
from recbole_bns.sampling.registry import register
from recbole_bns.sampling.weighted import WeightedProposal, popularity_weights


@dataclass(frozen=True)
class PopularParams(BNSPlusParams):
    """Of candidates by popularity, or of a prior without it."""

    exponent: float = param(0.25, "power of the training popularity", low=0)


@register
class PopularBNSPlus(BayesianSampler):
    """Candidates of a user by popularity to a power."""

    name = "popular_bns_plus"
    Params = PopularParams

    def setup(self) -> None:
        """Weigh the items."""
        super().setup()
        weights = popularity_weights(self.catalogue.item_counts, self.params.exponent)
        self.proposal = WeightedProposal(self.catalogue, weights)


@register
class DebiasedBNSPlus(BayesianSampler):
    """The prior over popularity to a power, with the same mean over all pairs."""

    name = "debiased_bns_plus"
    Params = PopularParams

    def setup(self) -> None:
        """Divide the table."""
        super().setup()
        table = self.prior.table.float().clamp(min=0)
        fair = table / popularity_weights(
            self.catalogue.item_counts.clamp(min=1), self.params.exponent
        ).to(table.dtype)
        self.prior = PairTable(fair * table.mean() / fair.mean())


@dataclass(frozen=True)
class SelfishParams(BNSPlusParams):
    """Of a prior that is refreshed from the model."""

    share: float = param(0.5, "weight of the model's values; the rest is the fixed prior's", low=0)
    first: int = param(5, "first epoch of them; before it the fixed prior", low=0)
    every: int = param(1, "epochs between two of them", low=1)


@register
class SelfishBNSPlus(BayesianSampler):
    """The fixed prior's values of a user, dealt to items in the order of the model's scores."""

    name = "selfish_bns_plus"
    Params = SelfishParams

    def setup(self) -> None:
        """Sort each user's values."""
        super().setup()
        self.fixed = self.prior.table.float()
        taken = torch.arange(self.catalogue.user_num)
        self.taken = self.catalogue.positive_mask(taken)
        self.taken[:, 0] = True
        self.sorted = self.fixed.masked_fill(self.taken, float("inf")).sort(1).values

    def looks_between_batches(self) -> bool:
        """It does."""
        return True

    def begin_epoch(self, epoch: int, scorer: Scorer | None) -> None:
        """Deal the values anew."""
        super().begin_epoch(epoch, scorer)
        since = epoch - self.params.first
        if since < 0 or since % self.params.every:
            return
        scores = scorer.catalogue(torch.arange(self.catalogue.user_num))
        order = scores.masked_fill(self.taken, float("inf")).argsort(1)
        dealt = torch.empty_like(self.sorted).scatter_(1, order, self.sorted)
        dealt = torch.where(dealt.isfinite(), dealt, 0.0)
        self.prior = PairTable(self.fixed + self.params.share * (dealt - self.fixed))


class Penalised(Scorer):
    """A model's scores, and ``gamma · log(1 - P)`` more for what is not a training positive."""

    def __init__(self, scorer: Scorer, sampler: Any) -> None:
        self.scorer, self.sampler = scorer, sampler

    def pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores (B, M) of items (B, M)."""
        penalty = self.sampler.log_true(users, items)
        known = self.sampler.catalogue.is_positive(users.unsqueeze(1), items)
        return self.scorer.pairs(users, items) + penalty.masked_fill(known, 0)

    def catalogue(self, users: Tensor) -> Tensor:
        """Not needed."""
        raise NotImplementedError

    def block(self, users: Tensor, items: Tensor) -> Tensor:
        """Not needed."""
        raise NotImplementedError


class WithPrior:
    """A learned prior inside another sampler."""

    params: Any
    catalogue: Catalogue
    generator: torch.Generator

    def setup(self) -> None:
        """Learn the prior."""
        super().setup()  # type: ignore[misc]
        self.values = learned("ease", self.catalogue, Ridge(self.params.prior_l2), 0)

    def log_true(self, users: Tensor, items: Tensor) -> Tensor:
        """``gamma · log(1 - P)`` of items (B, ...)."""
        p = probability(self.values(users, items), self.params.prior_scale)
        return self.params.prior_gamma * torch.log1p(-p)

    def propose(self, users: Tensor, n: int) -> Tensor:
        """Candidates, thinned; the first one stays if none would."""
        candidates = super().propose(users, n)  # type: ignore[misc]
        if not self.params.thin:
            return candidates
        keep = self.log_true(users, candidates).exp()
        gone = torch.rand(keep.shape, generator=self.generator) > keep
        gone[..., 0] &= ~gone.all(2)
        return candidates.masked_fill(gone, 0)

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer) -> Tensor:
        """As ever, of penalised scores."""
        seen = scorer if self.params.thin else Penalised(scorer, self)
        return super().sample(users, items, n, seen)  # type: ignore[misc]


def with_prior(base: type, params: type) -> type:
    """A sampler with a prior inside."""
    fields = {
        "prior_gamma": param(1.0, "exponent of 1 - P", low=0),
        "prior_scale": param(1.0, "factor of P", above=0),
        "prior_l2": param(300.0, "EASE's", above=0),
        "thin": param(False, "thin the candidates instead of lowering their scores"),
    }
    types = {"prior_gamma": float, "prior_scale": float, "prior_l2": float, "thin": bool}
    own = dataclass(frozen=True)(
        type(f"Prior{params.__name__}", (params,), {**fields, "__annotations__": types})
    )
    name = f"prior_{base.name}"  # type: ignore[attr-defined]
    return register(type(f"Prior{base.__name__}", (WithPrior, base), {"name": name, "Params": own}))


for each in ((DNS, DNSParams), (AHNS, AHNSParams), (SRNS, SRNSParams)):
    with_prior(*each)
