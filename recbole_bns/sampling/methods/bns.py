"""BNS: Bayesian negative sampling.

Of m candidates l, uniform over the user's non-positives and different from one another, take the
one with the least expected risk::

    info(l)   = 1 - sigmoid(x_ui - x_ul)                            how much it would teach (Eq. 4)
    F(x_l)    = share of the user's negatives that score <= x_l     likelihood (Eq. 16)
    P(l)      = probability, before any score, of a false negative  prior (Eq. 17: popularity)
    unbias(l) = (1-F)(1-P) / ((1-F)(1-P) + F P)                     true negative (Eq. 15)
    choose    argmin info(l) · [1 - (1 + lambda) unbias(l)]         ``criterion: risk`` (Eq. 32)
              argmax unbias(l)                                     ``criterion: posterior`` (Eq. 35)

x: scores, u user, i positive. m = 1 is RNS. The paper's variants are parameters: BNS-1
``lambda: {start: 10, step: -0.1, stop: 2}``, BNS-2 ``warmup_epochs``, BNS-3 ``prior: uniform``,
BNS-4 ``prior: occupation`` (or any other column of the data set's ``.user`` file), Table IV
``prior: oracle``, which sees the held-out labels and says so in every output.

Cost a positive with the exact F: one row of scores (I·D) and m counts over it; with
``cdf: estimated`` the scores of ``cdf_items`` reference items, whatever the catalogue's size.

Where we differ. The paper's F divides by n_u, so the top negative has F = 1, hence unbias = 0 and
the greatest risk: it is never chosen. The authors' MF program divides by n_u + 1 (``cdf: exact``,
the default here), their LightGCN program counts over all items, positives included, and divides
by |I| + 1 (``cdf: all_items``); ``cdf: paper`` is the printed formula. 0/0 (F = 1 and P = 0, or
F = 0 and P = 1) is 1/2. The programs call lambda ``alpha``. A user with fewer than m negatives
has all of them as candidates where the program stops with an error.

Source: B. Liu and B. Wang, Bayesian Negative Sampling for Recommendation, ICDE 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..base import ALL, CandidateSampler
from ..cdf import estimated_cdf, scores_and_counts, scores_and_references
from ..params import Schedule, param
from ..priors import (
    OraclePrior,
    TablePrior,
    group_prior,
    own_prior,
    popularity_prior,
    uniform_prior,
)
from ..registry import register
from ..scoring import Scorer


@dataclass(frozen=True)
class BNSParams:
    """Parameters of BNS."""

    candidate_num: int = param(5, "m, candidates a negative", low=1, also=(ALL,))
    criterion: str = param(
        "risk", "least risk, or greatest posterior", choices=("risk", "posterior")
    )
    lambda_: float | Schedule = param(5.0, "weight of a true negative", low=0, schedule=True)
    warmup_epochs: int = param(0, "first epochs with uniform negatives", low=0)
    prior: str = param(
        "popularity",
        "popularity, uniform, oracle (sees test labels), a column of .user, or a .npy file",
        array=True,
    )
    cdf: str = param(
        "exact",
        "F over the user's negatives / (n+1), as printed, over all items, or from a sample",
        choices=("exact", "paper", "all_items", "estimated"),
    )
    cdf_items: int = param(256, "reference items of cdf: estimated", low=1)
    replacement: bool = param(False, "draw candidates with replacement")


def information(positive: Tensor, candidates: Tensor) -> Tensor:
    """``1 - sigmoid(x_ui - x_ul)``: (B, 1, 1) and (B, n, m) give (B, n, m)."""
    return torch.sigmoid(candidates - positive)


def unbiasedness(cdf: Tensor, prior: Tensor) -> Tensor:
    """Posterior probability of a true negative, Eq. 15; 1/2 where it is 0/0."""
    true = (1 - cdf) * (1 - prior)
    total = true + cdf * prior
    return torch.where(total > 0, true / total.where(total > 0, 1.0), 0.5)


def risk(info: Tensor, unbias: Tensor, lambda_: float) -> Tensor:
    """Expected sampling risk, Eq. 32: ``info · [1 - (1 + lambda) unbias]``."""
    return info * (1 - (1 + lambda_) * unbias)


@register
class BNS(CandidateSampler):
    """The candidate with the least Bayesian risk."""

    name = "bns"
    idea = "least risk: what a candidate teaches against the posterior that it is a true negative"
    paper = "Liu & Wang, ICDE 2023"
    Params = BNSParams

    def setup(self) -> None:
        """Look the prior up once; the data beside the interactions are not kept."""
        super().setup()
        self.prior = self._build_prior()
        self.side = {}
        self._cdf = torch.empty(0)

    @classmethod
    def side_data(cls, params: BNSParams) -> tuple[str, ...]:
        """The held-out pairs for the oracle, a group column for BNS-4, else nothing."""
        prior = params.prior
        if not isinstance(prior, str) or prior in {"popularity", "uniform"}:
            return ()
        if prior == "oracle":
            return ("held_out",)
        return () if prior.endswith(".npy") else (f"user:{prior}",)

    @property
    def label(self) -> str:
        """``bns``; with the oracle prior a name that warns."""
        return "bns (oracle: sees test labels)" if self._oracle else self.name

    def warming_up(self) -> bool:
        """Uniform negatives during the first ``warmup_epochs``."""
        return self.epoch < self.params.warmup_epochs

    def score(self, users: Tensor, candidates: Tensor, scorer: Scorer) -> Tensor:
        """Scores of candidates (B, M), and their F for :meth:`choose`: both come from one pass."""
        scores, self._cdf = self.scores_and_cdf(users, candidates, scorer)
        return scores

    def scores_and_cdf(self, users: Tensor, items: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        """Scores of items (B, M), and F of each in the form that ``cdf`` names: both (B, M)."""
        catalogue, kind = self.catalogue, self.params.cdf
        negatives = catalogue.negative_num[users].unsqueeze(1)
        if kind == "estimated":
            reference = self._reference_items(users.device)
            found = scores_and_references(scorer, users, items, reference, catalogue)
            return found[0], estimated_cdf(found[1], found[2], negatives)
        every = kind == "all_items"
        scores, below = scores_and_counts(scorer, users, items, catalogue, all_items=every)
        total = negatives if kind == "paper" else negatives + 1
        return scores, below / (catalogue.item_num if every else total)

    def choose(
        self, candidates: Tensor, scores: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor:
        """Positions ``(B, n)``; see :meth:`CandidateSampler.choose`."""
        unbias = unbiasedness(self._cdf.view_as(scores), self.prior(users, candidates))
        if self.params.criterion == "posterior":
            value = -unbias
        else:
            positive = scorer.pairs(users, items.unsqueeze(1)).unsqueeze(2)
            value = risk(information(positive, scores), unbias, self.lambda_now)
        return value.masked_fill(scores == float("-inf"), float("inf")).argmin(2)

    @property
    def lambda_now(self) -> float:
        """lambda of the running epoch."""
        given = self.params.lambda_
        return given.at(self.epoch) if isinstance(given, Schedule) else given

    @property
    def _oracle(self) -> bool:
        return isinstance(self.params.prior, str) and self.params.prior == "oracle"

    def _reference_items(self, device: torch.device) -> Tensor:
        """Items ``(R,)`` that stand for the catalogue in this step; all where R allows it."""
        items, size = self.catalogue.item_num, self.params.cdf_items
        if size >= items - 1:
            return torch.arange(1, items, device=device)
        drawn = torch.randint(1, items, (size,), generator=self.generator, device=device)
        return drawn.sort().values

    def _build_prior(self) -> nn.Module:
        catalogue, prior = self.catalogue, self.params.prior
        if self._oracle:
            return OraclePrior(self.side["held_out"], catalogue.user_num, catalogue.item_num)
        if not isinstance(prior, str) or prior.endswith(".npy"):
            table = own_prior(prior, catalogue).to(catalogue.device)
            rows = torch.arange(len(table), device=catalogue.device) if len(table) > 1 else None
            return TablePrior(table, rows)
        if prior == "popularity":
            return TablePrior(popularity_prior(catalogue.item_counts).unsqueeze(0))
        if prior == "uniform":
            return TablePrior(uniform_prior(catalogue.item_num).to(catalogue.device).unsqueeze(0))
        groups = self.side[f"user:{prior}"].to(catalogue.device)
        return TablePrior(group_prior(catalogue, groups), groups)
