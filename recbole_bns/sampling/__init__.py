"""The core: negative samplers on tensors. Nothing in here imports RecBole.

A recommender that learns from clicks alone sees positives: user u touched item i. To learn an
order it needs something to be better than, so for each positive a *negative* is drawn: an item j
that u has not touched. Which one decides what the model learns. Uniform draws are mostly easy and
soon teach nothing; hard ones teach much, and many of them are *false* negatives, items that u
would like and has not met. Every sampler here is an answer to that.

**What there is.** :class:`Catalogue` holds the training interactions. :class:`Proposal` draws
uniformly from what a user has not touched, :class:`WeightedProposal` with a weight for each item;
both are exact, without rejection, in a bounded number of steps. :class:`Scorer` is what a sampler
may see of the model in one step, :class:`FactorScorer` one with vectors. A
:class:`NegativeSampler` maps ``(B,)`` users and positives to ``(B, n)`` negatives; a
:class:`CandidateSampler` draws a few uniform candidates, scores them and chooses. :func:`build`
makes one by its registered name. A loss over many negatives may ask a :class:`SharedList` for one
list for a whole batch, and a sampler for the law of its draws (``log_prob``)::

    catalogue = Catalogue(users, items, user_num, item_num)      # (N,) each; item 0 is padding
    sampler = build("dns", catalogue, {"candidate_num": 8}, seed=1)
    sampler.begin_epoch(0, scorer)
    negatives = sampler.sample(users[:256], items[:256], 1, scorer)      # (256, 1)

**How to write one.** One method a file: what the paper says and where we differ, the parameters
as a frozen dataclass, the rule as a pure function of tensors, and the class::

    @dataclass(frozen=True)
    class SecondParams:
        candidate_num: int = param(8, "uniform candidates a negative", low=2)
        replacement: bool = param(False, "draw candidates with replacement")

    @register
    class Second(CandidateSampler):
        name, idea, paper = "second", "the second-best candidate", "nobody's"
        Params = SecondParams

        def choose(self, candidates, scores, users, items, scorer):
            return scores.topk(2, dim=2).indices[..., 1]                 # (B, n) of (B, n, m)

With a rule that is not "score the candidates, choose one" derive from :class:`NegativeSampler`
and write ``sample``. What a sampler needs, it says by type (:mod:`.capabilities`): scores or
vectors of the model, scores between two batches, how many epochs there are, an answer to each
step (:mod:`.generators`), held-out pairs, a column of users. The host gives it or refuses, in the
capability's own sentence, before anything is trained. Memory is buffers (:mod:`.state`); a sampler
with a memory says how several processes share it (:mod:`.peers`). Where torch is slow there are
compiled loops (:mod:`.kernels`), each with a twin in torch that gives the same numbers.

**What all promise**, and :class:`recbole_bns.testing.SamplerContract` checks: ids are int64, on
the inputs' device, never 0, never a training positive of the user; the n negatives of a positive
differ where the user has that many. The sampler's generator alone decides: the same seed gives
the same ids, and no global generator moves. Inputs, model and catalogue stay as they are, nothing
kept belongs to a graph. A state saved in mid-epoch continues identically. A score that is no
finite number is not chosen while another can be. Memory does not grow.
"""

from recbole_bns.common.params import Schedule, param, parse

from .base import NegativeSampler, NoParams
from .candidates import CandidateSampler
from .capabilities import ALL
from .catalogue import Catalogue
from .peers import Peers
from .proposals import Proposal
from .registry import available, build, get, register
from .scoring import FactorScorer, Scorer
from .shared import SharedList
from .weighted import WeightedProposal

__all__ = [
    "ALL",
    "CandidateSampler",
    "Catalogue",
    "FactorScorer",
    "NegativeSampler",
    "NoParams",
    "Peers",
    "Proposal",
    "Schedule",
    "Scorer",
    "SharedList",
    "WeightedProposal",
    "available",
    "build",
    "get",
    "param",
    "parse",
    "register",
]
