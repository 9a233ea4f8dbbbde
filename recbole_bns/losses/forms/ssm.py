"""SSM: sampled softmax, ``-s+/τ + log(exp(s+/τ) + Σ_j exp(s_j/τ))``.

One negative and τ = 1 is BPR; all items of the catalogue are the full softmax. The authors sum
over the batch where others average (``reduction: sum``; their learning rate and L2 presuppose
it), and correct for no proposal: in-batch SSM is biased against popular items on purpose.

``loss_log_q`` corrects for the proposal q: ``negatives`` subtracts log q_j from the logit of each
negative, ``both`` that of the positive too. ``corrected``: the positive was not drawn, so it gets
no correction and leaves the denominator, with ``q'_j = q_j / (1 - q+)``::

    w · (-s+ + log Σ_j exp(s_j - log q'_j)),   w = 1 - P without gradient,
    P = exp(s+) / (exp(s+) + mean_j exp(s_j - log q'_j))

Where we differ: the authors train by cosine and evaluate by the inner product; here
``score_similarity`` is that of the training unless it is set.

Sources: J. Wu et al., On the Effectiveness of Sampled Softmax Loss for Item Recommendation, TOIS
2024; the corrected form: K. Khrylchenko et al., RecSys 2025 (arXiv 2507.09331).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_bns.common.params import param

from ..base import LOG_Q, Loss, LossBatch, log_sum_exp, register


@dataclass(frozen=True)
class SSMParams:
    """Parameters of SSM."""

    temperature: float = param(0.2, "divides the scores", above=0)
    reduction: str = param("mean", "over the batch; the authors sum", choices=("mean", "sum"))


def sampled_softmax(pos: Tensor, logits: Tensor) -> Tensor:
    """``-log softmax`` of the positive: logits (B,) and (B, n), ``-inf`` for none, give (B,)."""
    return log_sum_exp(torch.cat((pos.unsqueeze(1), logits), 1)) - pos


def corrected_softmax(pos: Tensor, logits: Tensor, log_q: Tensor, pos_log_q: Tensor) -> Tensor:
    """The corrected form; see the module's text.

    Args:
        pos: ``(B,)`` logits of the positives.
        logits: ``(B, n)`` of the negatives, uncorrected; ``-inf`` for none.
        log_q: ``(B, n)`` or ``(n,)``.
        pos_log_q: ``(B,)``.

    Returns:
        ``(B,)``; 0 for a row without a negative.
    """
    without = torch.log1p(-pos_log_q.exp().clamp(max=1 - 1e-7)).unsqueeze(1)
    total = log_sum_exp(logits - (log_q - without))
    number = logits.isfinite().sum(1).clamp(min=1).to(total.dtype).log()
    some = total.isfinite()
    total = total.where(some, 0.0)
    weight = torch.sigmoid(total - number - pos).detach()  # 1 - P
    return torch.where(some, weight * (total - pos), 0.0)


@register
class SSM(Loss):
    """Softmax over the positive and its negatives."""

    name = "ssm"
    idea = "softmax over the positive and its negatives, scores over a temperature"
    paper = "Wu et al., TOIS 2024"
    similarity = "cosine"
    log_q = LOG_Q
    Params = SSMParams

    def forward(self, batch: LossBatch) -> Tensor:
        """The loss ``(B,)``; see :meth:`Loss.forward`."""
        temperature = self.params.temperature
        if batch.log_q_form == "corrected":
            assert batch.log_q is not None
            assert batch.pos_log_q is not None
            logits = batch.left_in(batch.neg / temperature)
            values = corrected_softmax(
                batch.pos / temperature, logits, batch.log_q, batch.pos_log_q
            )
        else:
            values = sampled_softmax(batch.positive_logit(temperature), batch.logits(temperature))
        return values * len(values) if self.params.reduction == "sum" else values
