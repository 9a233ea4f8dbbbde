"""BPR with the batch L2 that the papers of the field use and RecBole's BPR lacks."""

from __future__ import annotations

from typing import Any

import torch
from recbole.model.general_recommender import BPR
from torch import Tensor


def batch_l2(*vectors: Tensor) -> Tensor:
    """``Σ |v|² / 2B`` over the rows of vectors (B, D): a scalar."""
    return torch.stack([v.square().sum() for v in vectors]).sum() / (2 * len(vectors[0]))


class RegularisedBPR(BPR):
    """RecBole's BPR, its loss plus ``reg_weight · Σ (|p_u|² + |q_i|² + |q_j|²) / 2B``."""

    reg_weight: float = 0.0

    def calculate_loss(self, interaction: Any) -> Tensor:
        """RecBole's loss and the batch L2."""
        loss = super().calculate_loss(interaction)
        if not self.reg_weight:
            return loss
        users = self.user_embedding(interaction[self.USER_ID])
        positives = self.item_embedding(interaction[self.ITEM_ID])
        negatives = self.item_embedding(interaction[self.NEG_ITEM_ID])
        return loss + self.reg_weight * batch_l2(users, positives, negatives)
