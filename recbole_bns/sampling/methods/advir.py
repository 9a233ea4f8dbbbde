"""AdvIR: a learned generator as in RNS-AS, and a recommender that is trained against perturbations.

The generator draws one of M uniform candidates and learns as :mod:`.rns_as` says: reward
``-sigmoid(-s_uj)``, REINFORCE with the mean of the epoch before. The recommender's loss L is taken
a second time at weights that are moved to where it rises fastest, and both are minimised::

    L(W) + L(W + eps · g / |g|),   g = dL / dW, for each vector of users and items alone

eps is ``perturbation``, 0 switches it off; the gradient does not run through g. It begins with the
generator. Cost: a second forward and backward pass of the recommender a step.

There is no official program. This follows the description in the SRNS paper (a generator over S1
candidates, REINFORCE, pretraining) and adversarial training as usually done on embeddings; sizes,
the weight 1 of the second term, and the reward are this project's reading. No result here can be
checked against an original.

Source: D. H. Park and Y. Chang, Adversarial Sampling and Training for Semi-Supervised Information
Retrieval, WWW 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

from recbole_bns.common.params import param

from ..capabilities import Perturbed, Requirement
from ..generators import CandidateGeneratorParams, LearnedCandidateSampler
from ..registry import register


@dataclass(frozen=True)
class AdvIRParams(CandidateGeneratorParams):
    """Parameters of AdvIR."""

    perturbation: float = param(0.1, "eps, how far vectors are moved; 0: not at all", low=0)


@register
class AdvIR(LearnedCandidateSampler):
    """A reinforced generator over candidates, and adversarial training of the recommender."""

    name = "advir"
    idea = "as rns_as, and the loss holds under the worst small change of the vectors too"
    paper = "Park & Chang, WWW 2019, after its description"
    cost = "few scores, learns"
    Params = AdvIRParams

    @classmethod
    def requirements_of(cls, params: AdvIRParams) -> tuple[Requirement, ...]:
        """What a generator needs, and the perturbed loss."""
        moved = (Perturbed(size=params.perturbation),) if params.perturbation else ()
        return (*super().requirements_of(params), *moved)
