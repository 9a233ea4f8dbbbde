"""From a learned prior's values to probabilities: what share of pairs with a value is held out.

A tenth of the training interactions is held out and the prior learned from the rest. Pairs are
drawn as in training, users by their interactions and items uniformly from what the user has not
touched; the label of a pair is whether it was held out. A rising curve through the labels, isotonic
or logistic, turns the values of the prior that is learned from all of them into probabilities. They
are those of a tenth: ``prior_scale`` says how many more false negatives there are.

Sources: B. Zadrozny and C. Elkan, KDD 2002 (isotonic); J. Platt, 1999 (logistic).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..catalogue import Catalogue
from ..proposals import Proposal
from .pairs import PairTable

SHARE = 0.1
"""Of the training interactions that are held out."""
ROWS, DRAWS = 100_000, 20
"""Interactions whose users are asked about, and items for each."""
POINTS = 512
"""Of the curve."""


class Labelled(NamedTuple):
    """Values of pairs, and whether each pair was held out."""

    values: Tensor
    """``(N,)`` float32."""
    held_out: Tensor
    """``(N,)`` bool."""


def labelled(catalogue: Catalogue, learn: Callable[[Catalogue], nn.Module], seed: int) -> Labelled:
    """Hold out a share of the interactions, learn from the rest, and ask about pairs.

    Args:
        catalogue: the training interactions.
        learn: makes a prior of interactions.
        seed: of all draws.
    """
    generator = torch.Generator(catalogue.device).manual_seed(seed)
    users, items = catalogue.owners, catalogue.positives.long()
    order = torch.randperm(len(users), generator=generator, device=catalogue.device)
    cut = max(round(SHARE * len(order)), 1)
    shape = catalogue.user_num, catalogue.item_num
    held = Catalogue(users[order[:cut]], items[order[:cut]], *shape)
    rest = Catalogue(users[order[cut:]], items[order[cut:]], *shape)
    asked = users[
        torch.randint(
            len(users), (min(ROWS, len(users)),), generator=generator, device=catalogue.device
        )
    ]
    asked = asked[rest.negative_num[asked] > 0]
    drawn = Proposal(rest).draw(asked, DRAWS, generator)
    values = learn(rest)(asked, drawn)
    return Labelled(values.flatten().cpu(), held.is_positive(asked.unsqueeze(1), drawn).flatten())


def curve(kind: str, pairs: Labelled) -> tuple[Tensor, Tensor]:
    """A rising curve from values to the share of pairs that is held out.

    Args:
        kind: ``isotonic`` or ``logistic``.
        pairs: of :func:`labelled`.

    Returns:
        ``(P,)`` values, ascending, and ``(P,)`` shares.
    """
    values, labels = pairs.values.double().numpy(), pairs.held_out.cpu().numpy()
    places = np.linspace(0, 1, POINTS)
    ends = [np.quantile(part, places) for part in (values, values[labels]) if len(part)]
    points = np.unique(np.concatenate(ends))
    if labels.all() or not labels.any():
        shares = np.full(len(points), labels.mean())
    elif kind == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(values, labels)
        shares = fitted.predict(points)
    else:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=1e9).fit(values[:, None], labels)
        shares = model.predict_proba(points[:, None])[:, 1]
    return torch.from_numpy(points).float(), torch.from_numpy(shares).float()


def along(values: Tensor, points: Tensor, shares: Tensor) -> Tensor:
    """The curve at values (...): linear between its points, constant beyond them."""
    if len(points) == 1:
        return shares.expand(values.shape)
    right = torch.searchsorted(points, values.contiguous()).clamp(1, len(points) - 1)
    low, high = points[right - 1], points[right]
    part = ((values - low) / (high - low)).clamp(0, 1)
    return torch.lerp(shares[right - 1], shares[right], part)


class Calibrated(nn.Module):
    """A prior whose values are read off a curve.

    Args:
        prior: gives values.
        points: ``(P,)`` ascending.
        shares: ``(P,)``.
    """

    def __init__(self, prior: nn.Module, points: Tensor, shares: Tensor) -> None:
        super().__init__()
        self.prior = prior
        self.register_buffer("points", points, False)
        self.register_buffer("shares", shares, False)

    points: Tensor
    shares: Tensor

    def forward(self, users: Tensor, candidates: Tensor) -> Tensor:
        """Probabilities of candidates ``(B, ...)`` of users (B,): the shape of the candidates."""
        return along(self.prior(users, candidates), self.points, self.shares)


def calibrated(
    kind: str, catalogue: Catalogue, learn: Callable[[Catalogue], nn.Module], seed: int
) -> nn.Module:
    """The prior learned from all interactions, as probabilities.

    Args:
        kind: ``isotonic`` or ``logistic``.
        catalogue: the training interactions.
        learn: makes a prior of interactions.
        seed: of all draws.
    """
    points, shares = curve(kind, labelled(catalogue, learn, seed))
    points, shares = points.to(catalogue.device), shares.to(catalogue.device)
    prior = learn(catalogue)
    if not isinstance(prior, PairTable):
        return Calibrated(prior, points, shares)
    for rows in prior.table.split(1024):  # once for all, in place
        rows.copy_(along(rows.float(), points, shares))
    return prior
