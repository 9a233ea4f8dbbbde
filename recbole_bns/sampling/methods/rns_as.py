"""RNS-AS: a generator that is rewarded for negatives which the recommender finds hard.

Of M uniform candidates one is drawn with ``p(j) = softmax(g(u, j) / tau)``, g the
generator's score. After the recommender's step the reward is how informative it still is,
``r = -sigmoid(-s_uj)``, s the recommender's score: near 0 for what it likes, near -1 for what it
has learned to reject. The generator follows the gradient of::

    -Σ log p(j) · (r_j - b),   b the mean reward of the epoch before, 0 where there was none

over the negatives of a batch, by Adam. It begins as a copy of the recommender's vectors with a
bias for each item, after ``pretrain_epochs`` epochs on uniform negatives, or at once with the
weights of another run (``pretrained``). Cost a positive: M scores of the generator, forward and
backward, and one of the recommender.

Where we differ from the authors' program: it also knows items that were exposed and not clicked,
one of which is always a candidate, and rewards negatives like them (by a kernel distance); data
sets of clicks have none, and without them (``a = 0``) the rule is the one that program calls
KBGAN. Candidates are drawn with replacement. Its generator's model is that of the recommender;
here it is a matrix factorisation whatever is trained. SRNS's table has an RNS-AS on data without
exposures, too, and does not say how; the same reading is ours, not theirs.

Sources: J. Ding et al., Reinforced Negative Sampling for Recommendation with Exposure Data, IJCAI
2019; L. Cai and W. Wang, KBGAN: Adversarial Learning for Knowledge Graph Embeddings, NAACL 2018.
"""

from __future__ import annotations

from ..generators import CandidateGeneratorParams, LearnedCandidateSampler
from ..registry import register


@register
class RNSAS(LearnedCandidateSampler):
    """A reinforced generator over candidates."""

    name = "rns_as"
    idea = "a learned generator picks one of M candidates, rewarded for hard ones"
    paper = "Ding et al., IJCAI 2019"
    cost = "few scores, learns"
    Params = CandidateGeneratorParams
