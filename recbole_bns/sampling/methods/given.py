"""Given: a share of the negatives are known dislikes, the rest are drawn as ever.

Of a user u with k_u > 0 known dislikes (shown and not taken: ``<data set>.neg``, or the file that
``negatives`` names) a negative is, with probability w, the ``share``, one of these, each as likely;
else it is drawn from all of the user's non-positives::

    p(j | u) = w [j known] / k_u + (1 - w) r_j ** a / Σ_l r_l ** a,    l over the non-positives

r_j are the training interactions of item j (their weights, where they have some), a is the
``exponent``: 0 is uniform, 0.75 the base of ``pns``. A user without known dislikes is served by the
base alone, k_u = 0 being w = 0. ``share: 0`` is RNS, or with an exponent PNS, to the bit. Cost:
two draws a negative.

With n negatives a positive each of them is a known one with probability w, all are different, and
where a user has too few known ones the base gives the rest. What is a positive in the training part
is no dislike, whatever the file says. With ``share: 1`` other items have no probability, so that
``loss_log_q`` is refused.

Source: this project; the idea of a part of the negatives from what was seen and not taken is that
of J. Ding et al., Sampler Design for Bayesian Personalized Ranking by Leveraging View Data, TKDE
2021, who weigh such items by a rule of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from recbole_bns.common.params import param

from ..base import NegativeSampler
from ..capabilities import KnownPairs, Requirement
from ..known import KnownNegatives
from ..proposals import Draws
from ..registry import register
from ..scoring import Scorer
from ..weighted import WeightedProposal, popularity_weights


@dataclass(frozen=True)
class GivenParams:
    """Parameters of given negatives."""

    share: float = param(0.5, "share of known dislikes among the negatives", low=0.0, high=1.0)
    exponent: float = param(
        0.0, "of the rest: power of the training popularity; 0 is uniform", low=0.0, high=10.0
    )


def law(share: Tensor, known: Tensor, number: Tensor, base: Tensor) -> Tensor:
    """``log p(j | u)``; see the module's text.

    Args:
        share: ``(B, 1)`` w of each user, below 1.
        known: ``(B, n)`` bool, whether the item is a known dislike.
        number: ``(B, 1)`` k_u.
        base: ``(B, n)`` log-probabilities of the base.

    Returns:
        ``(B, n)``.
    """
    of_known = known / number.clamp_min(1)
    return (share * of_known + (1 - share) * base.exp()).log()


@register
class Given(NegativeSampler):
    """Known dislikes, and draws from all that the user has not touched."""

    name = "given"
    idea = "a share of known dislikes (shown and not taken), the rest uniform or by popularity"
    paper = "this project; on views without a click Ding et al., TKDE 2021"
    Params = GivenParams

    @classmethod
    def requirements_of(cls, params: GivenParams) -> tuple[Requirement, ...]:
        """The known dislikes, and what every sampler asks for."""
        return (*super().requirements_of(params), KnownPairs())

    def setup(self) -> None:
        """Make the users' lists, and weigh the items, once."""
        self.known = KnownNegatives(self.catalogue, self.side[KnownPairs.name])
        self.side = {}
        self.base: Draws = self.proposal
        if self.params.exponent:
            weights = popularity_weights(self.catalogue.item_weights, self.params.exponent)
            self.base = WeightedProposal(self.catalogue, weights)

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Scorer | None) -> Tensor:
        """Draw ``(B, n)`` negatives of either kind; see :meth:`NegativeSampler.sample`."""
        drawn = self.base.draw(users, n, self.generator, distinct=n > 1)
        if self.params.share:
            drawn = self.known.among(
                users, drawn, self.params.share, self.generator, distinct=n > 1
            )
        return drawn if n == 1 else self.complete(drawn, users)

    def log_prob(self, users: Tensor, ids: Tensor) -> Tensor | None:
        """``(B, n)``: see the module's text; None where some items have no probability."""
        if self.params.share == 1:
            return None
        number = self.known.number[users].unsqueeze(1)
        share = self.params.share * (number > 0)
        base = self.base.log_prob(users, ids)
        return law(share, self.known.holds(users, ids), number, base).float()
