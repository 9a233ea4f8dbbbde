"""Losses over many negatives, as pure functions of scores: the second axis beside the samplers.

A loss sees a :class:`LossBatch`, the scores of B positives and of the negatives that each meets,
and gives one number a positive; the mean over the batch, weighted by ``row_weight``, is taken
outside. It knows no model and no sampler. Every loss is a small class with a name, declared
parameters and, beside it, the paper's formula as a pure function::

    @register
    class Mine(Loss):
        name, idea, paper = "mine", "what it does", "Author, Venue Year"

        def forward(self, batch):
            return (batch.neg - batch.pos.unsqueeze(1)).relu().mean(1)

A term that the mask leaves out has no part in a loss; a row whose terms are all left out has loss
0. A term's weight multiplies it in a sum, and adds its logarithm to the logit in a softmax.
Packages bring losses by an entry point in the group ``recbole_bns.losses``.
"""

from .base import Loss, LossBatch, available, get, register
from .posterior import PosteriorParams, PosteriorWeight

__all__ = [
    "Loss",
    "LossBatch",
    "PosteriorParams",
    "PosteriorWeight",
    "available",
    "get",
    "register",
]
