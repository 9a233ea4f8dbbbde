"""Made negatives, as pure functions of vectors: the third axis, between sampler and loss.

A sampler says which candidates a positive meets; a mixer makes of them, layer by layer of the
model, the negatives that the loss sees: vectors that are no item's. It knows no model and no
sampler: it sees a :class:`MixBatch`, vectors of B users and positives with their graph in each of
the model's layers, and ids ``(B, K, M)`` of M candidates of each of K negatives, and gives
:class:`Made`. A model of one layer is matrix factorisation. :func:`build` makes one by its
registered name::

    mixer = build("mixgcf", dim=64, args={"candidate_num": 16})
    mixer.begin_epoch(0, seed=2020)
    made = mixer(MixBatch(users, positives, tables, ids))    # made.vectors: (B, K, D) a layer

**How to write one.** One file in :mod:`.ways`: the formula and its source, the parameters as a
frozen dataclass with ``candidate_num``, the formula as a pure function of tensors, and the class::

    @dataclass(frozen=True)
    class HalfwayParams:
        candidate_num: int = param(8, "M, candidates of a negative", low=1)

    @register
    class Halfway(Mixer):
        name, idea, paper = "halfway", "halfway from hardest to positive", "nobody's"
        Params = HalfwayParams

        def forward(self, batch):
            ids = [batch.hardest(layer) for layer in range(batch.layer_num)]     # (B, K) each
            vectors = [
                (batch.vectors(layer, each) + batch.positives[layer].unsqueeze(1)) / 2
                for layer, each in enumerate(ids)
            ]
            return Made(tuple(vectors), torch.stack(ids, 2))

**What all promise**, and :class:`recbole_bns.testing.MixerContract` checks: rows, and the K
negatives of a row, do not see one another; the order of candidates does not matter; ids are of the
negative's own candidates; candidates that were not chosen get no gradient; values and gradients
are finite for vectors of any length; what is drawn follows from seed and epoch alone, so that a run
that goes on draws what it would have drawn.

Packages bring mixers by an entry point in the group ``recbole_bns.mixers``.
"""

from recbole_bns.common.params import param

from .base import Mixer
from .batch import POOLINGS, Made, MixBatch, pooled
from .registry import available, build, get, register

__all__ = [
    "POOLINGS",
    "Made",
    "MixBatch",
    "Mixer",
    "available",
    "build",
    "get",
    "param",
    "pooled",
    "register",
]
