"""Losses over many negatives, as pure functions of scores: the second axis beside the samplers.

A sampler says which negatives a positive meets; a loss says what is learned from them. It sees a
:class:`LossBatch`, the scores of B positives and of the n negatives that each meets, and gives one
number a positive; the mean over the batch, weighted by ``row_weight``, is taken outside
(:func:`mean_over_rows`). It knows no model and no sampler. :func:`build` makes one by its
registered name::

    loss = build("ssm", {"temperature": 0.1})
    values = loss(LossBatch(pos, neg, users, items, ids, item_num))            # (B,)

**How to write one.** One file in :mod:`.forms`: the formula and its source, the parameters as a
frozen dataclass, the formula as a pure function of tensors, and the class::

    @dataclass(frozen=True)
    class SquaredParams:
        margin: float = param(1.0, "how far apart is far enough", above=0)

    @register
    class Squared(Loss):
        name, idea, paper = "squared", "squared hinge of each pair", "nobody's"
        negatives = 16
        Params = SquaredParams

        def forward(self, batch):
            gaps = (self.params.margin - batch.pos.unsqueeze(1) + batch.neg).relu()    # (B, n)
            return batch.terms(gaps**2).sum(1) / batch.neg.shape[1]                    # (B,)

**What all promise**, and :class:`recbole_bns.testing.LossContract` checks: a term that the mask
leaves out has no part in value and gradient, one of weight 0 neither; a row whose terms are all
left out has loss 0. In a sum (:meth:`LossBatch.terms`) a weight multiplies its term and n stays
the nominal number; in a softmax (:meth:`LossBatch.logits`) its logarithm is added to the logit.
Values and gradients are finite for scores of any size and half precision. The order of rows and
of negatives does not matter.

Packages bring losses by an entry point in the group ``recbole_bns.losses``.
"""

from recbole_bns.common.params import param
from recbole_bns.sampling import NoParams

from .base import SIMILARITIES, EpochView, Loss, log_sum_exp, mean_over_rows
from .batch import LOG_Q, LossBatch
from .posterior import PosteriorParams, PosteriorWeight
from .registry import available, build, get, register

__all__ = [
    "LOG_Q",
    "SIMILARITIES",
    "EpochView",
    "Loss",
    "LossBatch",
    "NoParams",
    "PosteriorParams",
    "PosteriorWeight",
    "available",
    "build",
    "get",
    "log_sum_exp",
    "mean_over_rows",
    "param",
    "register",
]
