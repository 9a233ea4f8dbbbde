"""Mined positives, the mirror of a false negative: what is likely one becomes a positive.

What a user does not know yet and a prior calls a likely false negative is not only spared, it is
trained on: with probability ``share`` a row's positive i makes way for an item l of the user's K
best by the prior P (share and K are times f / n where the user has n > f = ``full_until``
interactions, K rounded), drawn with

    p(l | u) = P_ul ** exponent / sum over the K best k of P_uk ** exponent

P is the value of a prior of BNS (:mod:`.priors`), below 0 taken as 0 and otherwise as it is: a
factor would not change the law, and a clip would make the best alike. The K best are those of the
greatest P > 0 among the items that the user has no training interaction with and is not known to
dislike (:mod:`.known`); of equals the smaller id comes first. They are at most half of the former,
so that everybody keeps a negative; a user with none keeps all positives.

What may be mined of a user is no negative of that user (:class:`WithMined`), in no row: else one
batch would push away what another one draws near. So a shared list masks it and no sampler draws
it, while popularity, priors and histories stay those of the training interactions. The ``spare``
best are no negatives either, of every user alike; with ``share`` 0 that is all that is done.

Draws come from a stream of their own, by seed, epoch and position, so that nothing else is drawn
otherwise, and nothing need be kept for a run to go on. Cost: a table of K ids and K numbers a user,
made once from all values of the prior; a batch looks 2 K numbers a row up.

Source: this project; others have found positives in communities of the interaction graph.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import OtherThan, Schedule, changed, param

from .capabilities import KnownPairs, Requirement
from .catalogue import Catalogue
from .known import KnownNegatives
from .methods.bns import BNSParams
from .priors.build import OTHERS, build_prior, needs_of
from .priors.pairs import all_values
from .priors.tables import WHERE as OF_SAMPLERS
from .streams import new_key, uniforms

WHERE = "mine.prior"
"""The setting that asks for a prior, for sentences."""
MINED_BY = OTHERS.replace("uniform, ", "").replace("oracle, ", "")
"""The priors that have best items and see no held-out labels."""


_MINING = {"share": OtherThan(0.0)}


@dataclass(frozen=True)
class MineParams:
    """Parameters of mined positives; those that begin with ``prior`` are BNS's."""

    prior: str | Mapping[str, object] = param(
        "ease",
        "ease, itemknn, popularity, a column of .user, a .npy or .npz file, a checkpoint (.pt), or "
        "{model: a non-iterative RecBole model}",
        mapping=True,
    )
    prior_l2: float = changed(BNSParams, "prior_l2", 100.0)
    prior_dropout: float = changed(BNSParams, "prior_dropout", 0.33)
    prior_power: float = changed(BNSParams, "prior_power", 0.25)
    prior_items: int = changed(BNSParams, "prior_items", 0)
    share: float | Schedule = param(
        0.5,
        "share of the positives that make way; 0: none",
        low=0,
        high=1,
        schedule=True,
    )
    full_until: int = param(
        10,
        "interactions of a user up to which share and items are whole; with n of them both are "
        "times this over n; 0: whole for everybody",
        low=0,
        when=_MINING,
    )
    items: int = param(
        10, "K, the user's best by the prior that are drawn from", low=1, when=_MINING
    )
    exponent: float = param(
        2.0, "of P in the law of a draw; 0: each of the K alike", low=0, when=_MINING
    )
    spare: int = param(
        0,
        "the user's best by the prior that are no negatives, of every user alike; what may be "
        "mined is none in any case",
        low=0,
    )

    @property
    def mines(self) -> bool:
        """Whether any positive makes way."""
        return self.share != 0

    def requirements(self) -> tuple[Requirement, ...]:
        """The data beside the interactions: the prior's, and known dislikes if there are any."""
        data = [replace(need, setting=WHERE) for need in needs_of(self.prior)]
        data = [replace(n, hint=MINED_BY) if n.hint == OTHERS else n for n in data]
        return (*data, KnownPairs(optional=True))


class Mined(NamedTuple):
    """The items that are no negatives of each user, and the law of a draw of the first of them."""

    ids: Tensor
    """``(U, K)`` int64, the best first, K the most that are mined or spared; 0 where there are
    fewer."""
    cumulative: Tensor
    """``(U, K)`` float32: the probability of this or an earlier one; 0 where a user has none."""
    factor: Tensor
    """``(U,)`` float32 in [0, 1]: how much of the share is each user's; of K it is in ``ids``."""

    @property
    def pairs(self) -> tuple[Tensor, Tensor]:
        """Users (N,) and items (N,) of all that may be mined, or are spared."""
        users, place = self.ids.nonzero(as_tuple=True)
        return users, self.ids[users, place]


def best_items(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The items of the k greatest values above 0, the greatest first, of equals the smaller id.

    Args:
        values: ``(B, I)`` float32; item 0 and values up to 0 are passed over.
        k: at most I.

    Returns:
        ``(B, k)`` int64 ids, 0 for none, and ``(B, k)`` their values, 0 for none.
    """
    size = values.shape[1]
    values = values.nan_to_num(0.0).clamp_(min=0)
    values[:, 0] = 0
    top = values.topk(min(k + 1, size))
    ids, last = top.indices[:, :k], top.values[:, k - 1]
    if k < size:  # which of equals torch takes is not laid down
        split = ((top.values[:, k] == last) & (last > 0)).nonzero().squeeze(1)
        ids[split] = _by_value_and_id(values[split], k)
    ids = ids.sort(1).values
    found, order = values.gather(1, ids).sort(dim=1, descending=True, stable=True)
    return ids.gather(1, order).masked_fill(found <= 0, 0), found


def _by_value_and_id(values: Tensor, k: int) -> Tensor:
    """The ids ``(B, k)`` of the greatest of values (B, I) that are not below 0, ties by the id."""
    behind = torch.arange(values.shape[1] - 1, -1, -1, device=values.device)
    values = values + 0.0  # a zero with a sign has other bits
    keys = (values.view(torch.int32).long() << 31) + behind  # bits of floats >= 0 are in order
    return keys.topk(k).indices


def law(values: Tensor, exponent: float) -> Tensor:
    """Cumulative probabilities ∝ ``value ** exponent``, for values (B, K) >= 0, the greatest first.

    Returns:
        ``(B, K)`` float32; a row's last that has a value is 1 exactly; a row without any is 0.
    """
    first = values[:, :1].double()
    weights = (values / first.where(first > 0, 1.0)) ** exponent
    total = weights.masked_fill(values <= 0, 0).cumsum(1)
    return (total / total[:, -1:].where(total[:, -1:] > 0, 1.0)).float()


def mined_items(catalogue: Catalogue, params: MineParams, side: Mapping[str, Tensor]) -> Mined:
    """What may be mined of each user; see the module's text.

    Args:
        catalogue: the training interactions.
        params: of the mined positives.
        side: the data that the prior asks for, by name, and known dislikes, which are not mined.

    Raises:
        UsageError: a file that is no prior.
    """
    try:
        prior = build_prior(params, catalogue, side)
    except UsageError as error:
        raise UsageError(str(error).replace(OF_SAMPLERS, WHERE)) from error
    items = params.items if params.mines else 0
    k = min(max(items, params.spare), catalogue.item_num - 1)
    told = side.get(KnownPairs.name)
    disliked = None if told is None else KnownNegatives(catalogue, told).listed
    factor, found = factor_of(catalogue.indptr.diff(), params.full_until), []
    for users, values in all_values(prior, catalogue):
        never = catalogue.positive_mask(users)
        if disliked is not None:
            never = never | disliked.positive_mask(users)
        ids, best = best_items(values.masked_fill(never, 0), k)
        half = catalogue.negative_num[users] // 2 * (users > 0)  # nothing for the padding
        drawn = (min(items, 1 << 31) * factor[users]).round().clamp(max=catalogue.item_num).long()
        drawn = torch.minimum(drawn, half)
        kept = torch.minimum(drawn.clamp(min=min(params.spare, k)), half)
        place = torch.arange(k, device=half.device)
        ids = ids.masked_fill(place >= kept.unsqueeze(1), 0)
        best = best.masked_fill(place >= drawn.unsqueeze(1), 0)
        found.append((ids, law(best, params.exponent)))
    ids, cumulative = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Mined(ids, cumulative, factor)


def factor_of(sizes: Tensor, full_until: int) -> Tensor:
    """``min(1, full_until / n)`` for users of n interactions (U,); 1 where the former is 0.

    Who has told much of himself needs no guesses, and more of his likely items are known ones.
    """
    if not full_until:
        return torch.ones(len(sizes), device=sizes.device)
    return (full_until / sizes.clamp(min=1)).clamp(max=1).float()


class WithMined(Catalogue):
    """The training interactions together with what may be mined: no negative is among them.

    How often an item occurs is that of the training interactions alone, :attr:`observed`.

    Args:
        observed: the training interactions.
        mined: what may be mined.
    """

    def __init__(self, observed: Catalogue, mined: Mined) -> None:
        users, items = mined.pairs
        super().__init__(
            torch.cat((observed.owners, users)),
            torch.cat((observed.positives.long(), items)),
            observed.user_num,
            observed.item_num,
            bitmap=observed.bitmap is not None,
        )
        self.item_counts = observed.item_counts
        self._observed = observed

    @property
    def observed(self) -> Catalogue:
        """The training interactions alone."""
        return self._observed


APART = 1_000_003
"""Between the seeds of two epochs' numbers: more than there are epochs."""


class Miner:
    """Puts mined positives into batches.

    Args:
        mined: what may be mined.
        share: of the positives that make way.
        seed: of the draws.
    """

    def __init__(self, mined: Mined, share: float | Schedule, seed: int) -> None:
        self.mined, self.share = mined, share
        self._seed = zlib.crc32(f"mined {seed}".encode())
        self.begin_epoch(0)

    def begin_epoch(self, epoch: int) -> None:
        """Begin the draws of epoch ``epoch`` (0-based)."""
        source = torch.Generator().manual_seed(self._seed * APART + epoch)
        self._key, self._drawn = new_key(source).to(self.mined.ids.device), 0
        self._share = self.share.at(epoch) if isinstance(self.share, Schedule) else self.share

    def replace(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """The positives of the epoch's next batch.

        Args:
            users: ``(B,)``.
            items: ``(B,)`` their positives.

        Returns:
            ``(B,)`` positives, and ``(B,)`` bool: which of them are mined.
        """
        first, self._drawn = self._drawn, self._drawn + 2 * len(users)
        positions = torch.arange(first, self._drawn, device=users.device)
        coin, draw = uniforms(self._key, positions).view(2, -1)
        cumulative = self.mined.cumulative[users]
        is_mined = (coin < self._share * self.mined.factor[users]) & (cumulative[:, -1] > 0)
        place = (cumulative <= draw.unsqueeze(1)).sum(1).clamp(max=cumulative.shape[1] - 1)
        return torch.where(is_mined, self.mined.ids[users, place], items), is_mined
