"""BNS: Bayesian negative sampling, and BNS+ with a prior that knows the user.

Of m candidates l, uniform over the user's non-positives and different from one another, take the
one with the least expected risk::

    info(l)   = 1 - sigmoid(x_ui - x_ul)                            how much it would teach (Eq. 4)
    F(x_l)    = share of the user's negatives that score <= x_l     likelihood (Eq. 16)
    P(l)      = probability, before any score, of a false negative  prior (Eq. 17: popularity)
    unbias(l) = (1-F)(1-P) / ((1-F)(1-P) + F P)                     true negative (Eq. 15)
    choose    argmin info(l) · [1 - (1 + lambda) unbias(l)]         ``criterion: risk`` (Eq. 32)
              argmax unbias(l)                                     ``criterion: posterior`` (Eq. 35)
              argmax log info(l) + gamma · log unbias(l)           ``criterion: gain``

x: scores, u user, i positive. m = 1 is RNS. The paper's variants are parameters: BNS-1
``lambda: {start: 10, step: -0.1, stop: 2}``, BNS-2 ``warmup_epochs``, BNS-3 ``prior: uniform``,
BNS-4 ``prior: occupation`` (or any other column of the data set's ``.user`` file), Table IV
``prior: oracle``, which sees the held-out labels and says so in every output.

``bns_plus`` is our own: P(u, l) from an item-item model of the training interactions (``prior:
ease``; :mod:`..priors.item_models`), F = 1/2 (``likelihood: flat``, so that unbias = 1 - P and no
score beyond the candidates' is needed) and the gain, which is the risk's limit for a great lambda
with an exponent for how far the prior is trusted. P = clip(prior_scale · value, 0, 0.98).

Cost a positive with the exact F: one row of scores (I·D) and m counts over it, of which the
compiled loop does what the choice depends on (:func:`..kernels.counts.score_until_certain`); with
``cdf: estimated`` the scores of ``cdf_items`` reference items, whatever the catalogue's size; with
a flat likelihood m scores.

*Known dislikes* (items shown to the user and not taken: ``<data set>.neg``, or the file that
``negatives`` names) are what no other sampler can use for what they are: a prior of certainty, P =
0 and unbias = 1 whatever F, so that the risk is ``-lambda · info(l)``, the least that an item of
its score can have. Of the m candidates each is, with probability ``given_share``, one of the user's
known dislikes in place of a uniform item (0.2 is one of five: among thousands of items uniform
draws would hardly meet them; with ``candidate_num: all`` they are candidates anyway). Which one is
taken the criterion decides as ever: a known dislike that teaches little loses to an item that
teaches much. Users without any have uniform candidates alone, and so have warm-up epochs; without
such a file no bit changes.

``cdf: estimated``: with R reference items, drawn anew in every step, the candidate counts itself
and its other n - 1 negatives by their share among the references; with all items it is the exact
F. Of candidates that are certain to be false negatives (P = 1) none is chosen while another can be.

Where we differ. The paper's F divides by n_u, so the top negative has F = 1, hence unbias = 0 and
the greatest risk: it is never chosen. The authors' MF program divides by n_u + 1 (``cdf: exact``,
the default here), their LightGCN program counts over all items, positives included, and divides
by |I| + 1 (``cdf: all_items``); ``cdf: paper`` is the printed formula. 0/0 (F = 1 and P = 0, or
F = 0 and P = 1) is 1/2. The programs call lambda ``alpha``. A user with fewer than m negatives
has all of them as candidates where the program stops with an error.

Source: B. Liu and B. Wang, Bayesian Negative Sampling for Recommendation, ICDE 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from recbole_bns.common.params import Above, Schedule, changed, param

from ..candidates import ProposingSampler, gathered, usable
from ..capabilities import ALL, KnownPairs, Requirement, Scores, negatives_by
from ..cdf import (
    can_stop,
    choices_and_counts,
    estimated_cdf,
    scores_and_counts,
    scores_and_references,
)
from ..kernels.counts import Rule
from ..known import KnownNegatives
from ..priors.build import build_prior, is_learned, needs_of
from ..priors.pairs import PairTable, probability
from ..registry import register
from ..scoring import FactorScorer, Scorer


@dataclass(frozen=True)
class BNSParams:
    """Parameters of BNS."""

    REMOVED: ClassVar[Mapping[str, tuple[Any, str]]] = {
        "prior_calibration": (
            "none",
            "calibration has gone, since it did not help; write prior_scale, the factor of the "
            "prior, instead.",
        )
    }

    candidate_num: int = param(5, "m, candidates a negative", low=1, also=(ALL,))
    criterion: str = param(
        "risk",
        "least risk, greatest posterior, or greatest gain",
        choices=("risk", "posterior", "gain"),
        when={"candidate_num": Above(1)},
    )
    lambda_: float | Schedule = param(
        5.0,
        "criterion risk: weight of a true negative",
        low=0,
        schedule=True,
        when={"criterion": "risk"},
    )
    gamma: float | Schedule = param(
        2.0,
        "criterion gain: exponent of the posterior",
        low=0,
        schedule=True,
        when={"criterion": "gain"},
    )
    warmup_epochs: int = param(
        0, "first epochs with uniform negatives", low=0, when={"candidate_num": Above(1)}
    )
    prior: str | Mapping[str, object] = param(
        "popularity",
        "popularity, uniform, ease, itemknn, oracle (sees test labels), a column of .user, a .npy "
        "or .npz file, a checkpoint (.pt), or {model: a non-iterative RecBole model}",
        array=True,
        mapping=True,
        when={"candidate_num": Above(1)},
    )
    prior_scale: float | Schedule = param(
        1.0,
        "factor of the prior; learned ones are clipped to [0, 0.98]",
        above=0,
        schedule=True,
        when={"candidate_num": Above(1)},
    )
    prior_l2: float = param(
        300.0, "prior ease: L2 of the regression", above=0, when={"prior": "ease"}
    )
    prior_dropout: float = param(
        0.0,
        "prior ease: share of a history's items that are dropped (EDLAE)",
        low=0,
        below=1,
        when={"prior": "ease"},
    )
    prior_power: float = param(
        0.0,
        "prior ease: a user of n items counts n to the minus this",
        low=0,
        when={"prior": "ease"},
    )
    prior_items: int = param(
        0,
        "priors ease, itemknn: items that predict one; 0: all, or 200 where they are many",
        low=0,
        when={"prior": ("ease", "itemknn")},
    )
    likelihood: str = param(
        "cdf",
        "the score's, by F, or flat: the prior decides alone",
        choices=("cdf", "flat"),
        when={"candidate_num": Above(1)},
    )
    cdf: str = param(
        "exact",
        "F over the user's negatives / (n+1), as printed, over all items, or from a sample",
        choices=("exact", "paper", "all_items", "estimated"),
        when={"likelihood": "cdf"},
    )
    cdf_items: int = param(
        256, "reference items of cdf: estimated", low=1, when={"cdf": "estimated"}
    )
    replacement: bool = param(
        False, "draw candidates with replacement", when={"candidate_num": Above(1)}
    )
    given_share: float = param(
        0.2,
        "share of known dislikes among the candidates, where there are any",
        low=0,
        high=1,
        when={"candidate_num": Above(1)},
    )


@dataclass(frozen=True)
class BNSPlusParams(BNSParams):
    """Parameters of BNS+: the same, with other defaults."""

    candidate_num: int = changed(BNSParams, "candidate_num", 20)
    criterion: str = changed(BNSParams, "criterion", "gain")
    prior: str | Mapping[str, object] = changed(BNSParams, "prior", "ease")
    prior_scale: float | Schedule = changed(BNSParams, "prior_scale", 2.0)
    likelihood: str = changed(BNSParams, "likelihood", "flat")


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


def gain(positive: Tensor, candidates: Tensor, unbias: Tensor, gamma: float) -> Tensor:
    """``log info + gamma · log unbias``: (B, 1, 1), (B, n, m) and (B, n, m) give (B, n, m).

    ``0 · log 0`` is 0.
    """
    info = nn.functional.logsigmoid(candidates - positive)
    return info if gamma == 0 else info + gamma * unbias.log()


class BayesianSampler(ProposingSampler):
    """What BNS and BNS+ share: all but names and defaults."""

    def setup(self) -> None:
        """Look the prior up once; the data beside the interactions are not kept."""
        super().setup()
        self.prior = build_prior(self.params, self.catalogue, self.side)
        pairs = self.side.get(KnownPairs.name)
        self.known = None if pairs is None else KnownNegatives(self.catalogue, pairs)
        self.side = {}

    @classmethod
    def requirements_of(cls, params: BNSParams) -> tuple[Requirement, ...]:
        """Scores after the warm-up, what the prior needs, and known dislikes if there are any."""
        scores = Scores(since=params.warmup_epochs)
        known = KnownPairs(optional=True)
        return (scores, *negatives_by(params), *needs_of(params.prior), known)

    @classmethod
    def side_data(cls, params: BNSParams) -> tuple[str, ...]:
        """The held-out pairs for the oracle, a group column for BNS-4, else nothing."""
        return tuple(need.name for need in needs_of(params.prior))

    @property
    def label(self) -> str:
        """The name; with the oracle prior one that warns."""
        return f"{self.name} (oracle: sees test labels)" if self._oracle else self.name

    def draw_candidates(self, users: Tensor, k: int, distinct: bool) -> Tensor:
        """Uniform ones, a share of them replaced by known dislikes; see the module's text."""
        drawn = super().draw_candidates(users, k, distinct)
        share = self.params.given_share
        if self.known is None or not share or self.params.candidate_num == 1:
            return drawn
        return self.known.among(users, drawn, share, self.generator, distinct=distinct)

    def pick(self, candidates: Tensor, users: Tensor, items: Tensor, scorer: Scorer) -> Tensor:
        """The best by the criterion; see :meth:`ProposingSampler.pick`."""
        scores, cdf = self.score(users, candidates.flatten(1), scorer)
        scores = usable(scores.view(candidates.shape), candidates)
        return gathered(candidates, self.choose(candidates, scores, users, items, scorer, cdf))

    def choose_directly(
        self, candidates: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor | None:
        """The best ``(B, n)`` in one pass, None where no loop is compiled for it."""
        if self.params.likelihood == "cdf":
            return self._choose_by_bounds(candidates, users, items, scorer)
        gains = self.params.criterion == "gain"
        if not (gains and isinstance(self.prior, PairTable) and isinstance(scorer, FactorScorer)):
            return None
        if self.known is not None:  # whose certainty the loop does not know
            return None
        gamma, scale = map(self._now, (self.params.gamma, self.params.prior_scale))
        return self.prior.greatest_gain(candidates, users, items, scorer, gamma, scale)

    def _choose_by_bounds(
        self, candidates: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor | None:
        """The best, F counted no further than its bounds leave a choice open.

        What they settle is what the whole F would give; the rest is chosen by the whole F. The
        arithmetic of that is done for all rows, since its last bits may depend on the place.
        """
        flat = candidates.flatten(1)
        if self.params.cdf == "estimated" or not can_stop(scorer, flat):
            return None
        if self.known is not None and self.params.cdf == "paper":  # F = 1 and P = 0 is 1/2 there
            return None
        priors = self.prior_of(users, flat)
        rule = Rule(
            self.params.criterion,
            self.lambda_now if self.params.criterion == "risk" else self._now(self.params.gamma),
            scorer.pairs(users, items.unsqueeze(1)).squeeze(1),
            priors.float().masked_fill(flat == 0, torch.nan).contiguous(),
            self._totals(users).double(),
        )
        every = self.params.cdf == "all_items"
        scores, below, chosen = choices_and_counts(
            scorer, users, flat, self.catalogue, candidates.shape[1], rule, all_items=every
        )
        is_open = chosen < 0
        if bool(is_open.any()):
            cdf = below / self._totals(users).unsqueeze(1)
            whole = usable(scores.view(candidates.shape), candidates)
            by_all = self.choose(candidates, whole, users, items, scorer, cdf)
            chosen = torch.where(is_open, by_all, chosen)
        return gathered(candidates, chosen)

    def _totals(self, users: Tensor) -> Tensor:
        """By what the exact kinds of F divide, for users (B,): ``(B,)`` int64."""
        if self.params.cdf == "all_items":
            return torch.full_like(users, self.catalogue.item_num)
        negatives = self.catalogue.negative_num[users]
        return negatives if self.params.cdf == "paper" else negatives + 1

    def score(
        self, users: Tensor, candidates: Tensor, scorer: Scorer
    ) -> tuple[Tensor, Tensor | None]:
        """Scores of candidates (B, M) and their F, from one pass; None with a flat likelihood."""
        if self.params.likelihood == "flat":
            return scorer.pairs(users, candidates), None
        return self.scores_and_cdf(users, candidates, scorer)

    def scores_and_cdf(self, users: Tensor, items: Tensor, scorer: Scorer) -> tuple[Tensor, Tensor]:
        """Scores of items (B, M), and F of each in the form that ``cdf`` names: both (B, M)."""
        catalogue, kind = self.catalogue, self.params.cdf
        if kind == "estimated":
            negatives = catalogue.negative_num[users].unsqueeze(1)
            reference = self._reference_items(users.device)
            scores, below, total = scores_and_references(scorer, users, items, reference, catalogue)
            itself = (items > 0) & ~catalogue.is_positive(users.unsqueeze(1), items)
            return scores, estimated_cdf(below, total, negatives, itself)
        every = kind == "all_items"
        scores, below = scores_and_counts(scorer, users, items, catalogue, all_items=every)
        return scores, below / self._totals(users).unsqueeze(1)

    def choose(
        self,
        candidates: Tensor,
        scores: Tensor,
        users: Tensor,
        items: Tensor,
        scorer: Scorer,
        cdf: Tensor | None = None,
    ) -> Tensor:
        """Choose one of the m candidates of each negative.

        Args:
            candidates: ``(B, n, m)`` item ids; 0 where a user has run out of negatives.
            scores: ``(B, n, m)`` their scores; ``-inf`` marks what must not be chosen.
            users: ``(B,)``.
            items: ``(B,)`` positives.
            scorer: for the positives' scores.
            cdf: ``(B, n · m)`` F of the candidates; None: 1/2 for all, the flat likelihood.

        Returns:
            ``(B, n)`` positions in ``[0, m)``; the first of equals.
        """
        prior = self.prior_of(users, candidates)
        unbias = 1 - prior if cdf is None else unbiasedness(cdf.view_as(scores), prior)
        unbias = self.certain(unbias, users, candidates)
        value = self._value(scores, unbias, users, items, scorer)
        return value.masked_fill(scores == float("-inf"), float("inf")).argmin(2)

    def _value(
        self, scores: Tensor, unbias: Tensor, users: Tensor, items: Tensor, scorer: Scorer
    ) -> Tensor:
        """What is least for the candidate to be chosen: ``(B, n, m)``, finite for finite scores."""
        if self.params.criterion == "posterior":
            return -unbias
        positive = scorer.pairs(users, items.unsqueeze(1)).unsqueeze(2)
        if self.params.criterion == "risk":
            return risk(information(positive, scores), unbias, self.lambda_now)
        gains = gain(positive, scores, unbias, self._now(self.params.gamma))
        # A certain false negative is worth less than any other, however small gamma is, and more
        # than what has no score.
        return -gains.masked_fill(unbias == 0, torch.finfo(gains.dtype).min)

    def prior_of(self, users: Tensor, candidates: Tensor) -> Tensor:
        """Prior of candidates ``(B, ...)`` of users (B,) in the running epoch, the same shape."""
        value: Tensor = self.prior(users, candidates)
        scale = self._now(self.params.prior_scale)
        if is_learned(self.params.prior) or scale != 1:
            value = probability(value, scale)
        if self.known is None:
            return value
        return value.masked_fill(self.known.holds(users, candidates), 0.0)

    def certain(self, unbias: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """The posterior of items (B, ...) of users (B,), 1 for a known dislike: the same shape."""
        if self.known is None:
            return unbias
        return unbias.masked_fill(self.known.holds(users, items), 1.0)

    @property
    def lambda_now(self) -> float:
        """lambda of the running epoch."""
        return self._now(self.params.lambda_)

    def _now(self, given: float | Schedule) -> float:
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


@register
@final
class BNS(BayesianSampler):
    """The candidate with the least Bayesian risk."""

    name = "bns"
    idea = "least risk: what a candidate teaches against the posterior that it is a true negative"
    paper = "Liu & Wang, ICDE 2023"
    cost = "all scores"  # the exact F counts over a row of them
    Params = BNSParams


@register
@final
class BNSPlus(BayesianSampler):
    """The same with a prior learned from the training interactions, weighed by an exponent."""

    name = "bns_plus"
    idea = "most taught, times a learned and personal probability of a true negative"
    paper = "this project, after Liu & Wang, ICDE 2023, and Steck, WWW 2019"
    Params = BNSPlusParams
