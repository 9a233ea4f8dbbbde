"""``loss_weight: posterior``: each term counts by BNS's probability that it is a true negative.

    w_j = unbias(j) ** gamma,    unbias(l) = (1-F)(1-P) / ((1-F)(1-P) + F P)

P the prior and F the likelihood of :mod:`recbole_bns.sampling.methods.bns`, of any item, whichever
sampler drew it. With ``likelihood: flat`` F is 1/2 and unbias is 1 - P, so that no score is looked
at; with ``prior: uniform`` and ``gamma: 0`` every weight is 1. In a softmax a weight adds its
logarithm to the logit, in a sum it multiplies (:class:`.LossBatch`). A known dislike of the user,
where the data have such, has P = 0 and the weight 1.

Source: the future work that B. Liu and B. Wang name (Bayesian Negative Sampling for
Recommendation, ICDE 2023): contrastive losses with their posterior.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import Schedule, changed, param
from recbole_bns.sampling import Catalogue, Scorer
from recbole_bns.sampling.capabilities import KnownPairs, Requirement, Scores
from recbole_bns.sampling.methods.bns import BNS, BNSParams, unbiasedness
from recbole_bns.sampling.priors.build import needs_of
from recbole_bns.sampling.priors.tables import WHERE as OF_SAMPLERS

WHERE = "loss_weight_args.prior"
"""The setting that asks for a prior, for sentences."""


@dataclass(frozen=True)
class PosteriorParams:
    """Parameters of the weights; names and meaning are BNS's."""

    prior: str | Mapping[str, object] = param(
        "ease",
        "popularity, uniform, ease, itemknn, oracle (sees test labels), a column of .user, a .npy "
        "or .npz file, a checkpoint (.pt), or {model: a non-iterative RecBole model}",
        array=True,
        mapping=True,
    )
    prior_scale: float | Schedule = param(
        1.0, "factor of the prior; learned ones are clipped to [0, 0.98]", above=0, schedule=True
    )
    prior_l2: float = changed(BNSParams, "prior_l2", 300.0)
    prior_dropout: float = changed(BNSParams, "prior_dropout", 0.0)
    prior_power: float = changed(BNSParams, "prior_power", 0.0)
    prior_items: int = changed(BNSParams, "prior_items", 0)
    likelihood: str = param(
        "flat", "the score's, by F, or flat: the prior decides alone", choices=("cdf", "flat")
    )
    cdf: str = changed(BNSParams, "cdf", "exact")
    cdf_items: int = changed(BNSParams, "cdf_items", 256)
    gamma: float | Schedule = param(
        2.0, "exponent of the posterior; 0: no weights", low=0, schedule=True
    )

    def requirements(self) -> tuple[Requirement, ...]:
        """What the weights need of their host: data for the prior, scores for F."""
        scores = (Scores(),) if self.likelihood == "cdf" else ()
        data = (replace(need, setting=WHERE) for need in needs_of(self.prior))
        return (*scores, *data, KnownPairs(optional=True))


OF_BNS = (
    "prior",
    "prior_scale",
    "prior_l2",
    "prior_dropout",
    "prior_power",
    "prior_items",
    "likelihood",
    "cdf",
    "cdf_items",
)
"""Parameters that BNS takes as they are."""


class PosteriorWeight(nn.Module):
    """Weights of the terms of a loss; see the module's text.

    Args:
        catalogue: the training interactions.
        params: of the weights.
        seed: of the reference items of ``cdf: estimated``.
        side: the data that the prior asks for, by name.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        params: PosteriorParams | None = None,
        *,
        seed: int = 0,
        side: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.params = params or PosteriorParams()
        own = {name: getattr(self.params, name) for name in OF_BNS}
        try:
            self.bns = BNS(catalogue, BNSParams(candidate_num=1, **own), seed=seed, side=side)
        except UsageError as error:  # a file that is no prior
            raise UsageError(str(error).replace(OF_SAMPLERS, WHERE)) from error

    def begin_epoch(self, epoch: int) -> None:
        """Take the values that schedules have in epoch ``epoch`` (0-based)."""
        self.bns.begin_epoch(epoch, None)

    @torch.no_grad()
    def forward(self, users: Tensor, ids: Tensor, scorer: Scorer | None) -> Tensor:
        """Weights ``(B, n)`` in [0, 1] of items (B, n) for users (B,); 1 where gamma is 0.

        Args:
            users: ``(B,)``.
            ids: ``(B, n)``, or a list ``(n,)`` that all share.
            scorer: this step's view of the model; not looked at with a flat likelihood.
        """
        gamma = self.bns._now(self.params.gamma)
        rows = ids.expand(len(users), -1)
        if gamma == 0:
            return torch.ones(rows.shape, device=users.device)
        prior = self.bns.prior_of(users, rows)
        unbias = 1 - prior
        if self.params.likelihood == "cdf":
            assert scorer is not None, "F needs scores"
            _, cdf = self.bns.scores_and_cdf(users, rows.contiguous(), scorer)
            unbias = unbiasedness(cdf, prior)
        return (self.bns.certain(unbias, users, rows) ** gamma).float()
