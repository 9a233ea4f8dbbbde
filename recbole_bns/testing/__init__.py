"""Conformance suites for samplers, losses and mixers, ours and those of other packages.

A sampler keeps the promises of :class:`~recbole_bns.sampling.NegativeSampler` if this passes::

    from recbole_bns.testing import SamplerContract

    class TestMine(SamplerContract):
        name = "mine"                    # as registered
        args = {"candidate_num": 8}      # neg_sampler_args; {} if left out

and a loss those of :class:`~recbole_bns.losses.Loss` if this does::

    from recbole_bns.testing import LossContract

    class TestMyLoss(LossContract):
        name = "my_loss"                 # as registered
        args = {"temperature": 0.1}      # loss_args; {} if left out

and a mixer those of :class:`~recbole_bns.mixers.Mixer` if this does::

    from recbole_bns.testing import MixerContract

    class TestMyMixer(MixerContract):
        name = "my_mixer"                # as registered
        args = {"candidate_num": 8}      # mixer_args; {} if left out

pytest collects the inherited ``test_`` methods: for a sampler once for every kind of scorer that it
can use and for 1 and 3 negatives a positive, for a loss once for every form of ``log_q`` that it
has and for 1 and 6, for a mixer for 1 and 3 layers and negatives; a failure names the case
(``TestMine::test_seed[factor-3]``). Without pytest, ``TestMine().run_all()`` does the same. All is
small and seeded: a failure repeats.
"""

from .losses import LossContract
from .mixers import MixerContract
from .samplers import (
    KINDS,
    NOT_FINITE,
    NUMBERS,
    Bad,
    Batch,
    Case,
    SamplerContract,
    TableScorer,
    footprint,
    generator_states,
    make_scorer,
    small_catalogue,
)

__all__ = [
    "KINDS",
    "NOT_FINITE",
    "NUMBERS",
    "Bad",
    "Batch",
    "Case",
    "LossContract",
    "MixerContract",
    "SamplerContract",
    "TableScorer",
    "footprint",
    "generator_states",
    "make_scorer",
    "small_catalogue",
]
