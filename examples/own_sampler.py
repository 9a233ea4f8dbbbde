"""A sampler of your own.

A rule of a few lines: of uniform candidates not the highest-scored, which may be a false negative,
but one of the three after it. Registered, it is a name like any other: in settings, in comparisons,
and in RecBole's calls after `enable()`. In its tests a package subclasses
`recbole_bns.testing.SamplerContract`, which checks what all samplers promise.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_bns import CandidateSampler, param, register, run_recbole_bns


@dataclass(frozen=True)
class NearTopParams:
    """Parameters, with what they may be."""

    candidate_num: int = param(8, "uniform candidates a negative", low=4)
    replacement: bool = param(False, "draw candidates with replacement")


@register
class NearTop(CandidateSampler):
    """One of the three candidates after the best."""

    name, idea, paper = "near_top", "one of the three candidates after the best", "this example"
    Params = NearTopParams

    def choose(
        self, candidates: Tensor, scores: Tensor, users: Tensor, items: Tensor, scorer: object
    ) -> Tensor:
        """Positions ``(B, n)`` among candidates ``(B, n, m)`` with scores of that shape."""
        after = scores.topk(4, dim=2).indices[..., 1:]  # (B, n, 3)
        place = torch.randint(
            3, (*after.shape[:2], 1), generator=self.generator, device=after.device
        )
        return after.gather(2, place).squeeze(2)


def main(epochs: int = 20) -> None:
    """Train MF with it, with a parameter changed."""
    settings = {
        "neg_sampler": "near_top",
        "neg_sampler_args.candidate_num": 12,
        "epochs": epochs,
        "learning_rate": 0.01,
    }
    result = run_recbole_bns("BPR", "ml-100k", config_dict=settings)
    print(f"NDCG@20 on the test part: {result['test_result']['ndcg@20']:.4f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
