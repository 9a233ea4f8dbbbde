"""SSM: sampled softmax, ``-s+/τ + log(exp(s+/τ) + Σ_j exp(s_j/τ))``.

One negative and τ = 1 is BPR; all items of the catalogue are the full softmax. The authors sum
over the batch where others average (``reduction: sum``; their learning rate and L2 presuppose
it), and correct for no proposal: in-batch SSM is biased against popular items on purpose.

``loss_log_q`` corrects for the proposal q: ``negatives`` subtracts log q_j from the logit of each
negative, ``both`` that of the positive too. ``corrected``: the positive was not drawn, so it gets
no correction and leaves the denominator, with ``q'_j = q_j / (1 - q+)``::

    w · (-s+ + log Σ_j exp(s_j - log q'_j)),   w = 1 - P without gradient,
    P = exp(s+) / (exp(s+) + mean_j exp(s_j - log q'_j))

Scores are over τ there as well; the mean is over the terms left in, each counted by its weight.

``temperature: auto`` is ``0.2 (4000 / items)^(1/4)``, in [0.08, 0.25]: the smaller a catalogue, the
softer. A curve through what validation preferred on data sets of 1,500 to 38,000 items, with mined
positives and without (``results/mined.md``). Authors of softmax losses report .17 for MovieLens,
.11 to .14 for Yelp2018, .12 for Gowalla, .1 and .14 for sets of Amazon, and .22 for iFashion, which
is far from it.

Where we differ: the authors train by cosine and evaluate by the inner product; here
``score_similarity`` is that of the training unless it is set.

Sources: J. Wu et al., On the Effectiveness of Sampled Softmax Loss for Item Recommendation, TOIS
2024; the corrected form: K. Khrylchenko et al., RecSys 2025 (arXiv 2507.09331).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_bns.common.params import param

from ..base import Loss
from ..batch import LOG_Q, LossBatch
from ..registry import register
from ..softmax_pass import SoftmaxForm
from .kpair import kpair
from .sl import softmax_loss

AUTO = "auto"


def temperature_for(item_num: int) -> float:
    """What ``temperature: auto`` is for a catalogue of so many items, padding included."""
    return min(max(0.2 * math.pow(4000 / max(item_num - 1, 1), 0.25), 0.08), 0.25)


@dataclass(frozen=True)
class SSMParams:
    """Parameters of SSM."""

    temperature: float | str = param(
        0.2,
        "divides the scores; auto: 0.2 (4000 / items)^(1/4), between 0.08 and 0.25",
        above=0,
        also=(AUTO,),
    )
    reduction: str = param("mean", "over the batch; the authors sum", choices=("mean", "sum"))


def corrected_softmax(pos: Tensor, logits: Tensor, log_number: Tensor) -> Tensor:
    """The corrected form; see the module's text.

    Args:
        pos: ``(B,)`` logits of the positives.
        logits: ``(B, n)`` of the negatives, corrected; ``-inf`` for none.
        log_number: ``(B,)`` logarithm of how many negatives there are, each counted by its weight.

    Returns:
        ``(B,)``; 0 for a row without a negative.
    """
    values = softmax_loss(pos, logits)
    weight = torch.sigmoid(values - log_number).detach()  # 1 - P
    return weight * values


@register
class SSM(Loss):
    """Softmax over the positive and its negatives."""

    name = "ssm"
    idea = "softmax over the positive and its negatives, scores over a temperature"
    paper = "Wu et al., TOIS 2024"
    similarity = "cosine"
    negatives = 64
    log_q = LOG_Q
    Params = SSMParams

    def decided(self, item_num: int) -> dict[str, float]:
        """The temperature, where that is ``auto``; see :meth:`Loss.decided`."""
        return {"temperature": temperature_for(item_num)} if self.params.temperature == AUTO else {}

    def softmax_form(self, item_num: int) -> SoftmaxForm:
        """With the positive in the denominator; see :meth:`Loss.softmax_form`."""
        summed = self.params.reduction == "sum"
        return SoftmaxForm(self._temperature(item_num), with_positive=True, summed=summed)

    def _temperature(self, item_num: int) -> float:
        return float(self.decided(item_num).get("temperature", self.params.temperature))

    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)``; see :meth:`Loss.forward`."""
        temperature = self._temperature(batch.item_num)
        positive, logits = batch.positive_logit(temperature), batch.logits(temperature)
        if batch.log_q_form == "corrected":
            number = batch.terms(torch.ones_like(logits)).sum(1)
            least = torch.finfo(number.dtype).tiny
            values = corrected_softmax(positive, logits, number.clamp_min(least).log())
        else:  # the softmax over the positive and its negatives is the K-pair loss of logits
            values = kpair(positive, logits)
        if self.params.reduction == "sum":  # the mean that is taken outside becomes the sum
            return values * (batch.row_num or len(values))
        return values
