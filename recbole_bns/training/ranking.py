"""The best of many scores, and the nearest of many vectors, some rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from logging import getLogger
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from recbole_bns.common.errors import UsageError
from recbole_bns.sampling import Catalogue

COSINES_AT_ONCE = 1 << 24


class Best(NamedTuple):
    """Rows of a list of the best, a place a row and rank."""

    rows: Tensor
    """``(M,)`` who or what was asked for."""
    columns: Tensor
    """``(M,)`` what was found."""
    ranks: Tensor
    """``(M,)`` from 1."""
    scores: Tensor
    """``(M,)``"""


def best(
    rows: Callable[[Tensor], Tensor],
    who: Tensor,
    columns: Tensor,
    k: int,
    at_once: int,
    seen: Catalogue | None = None,
) -> Best:
    """The k best columns of each row; fewer where fewer are left.

    Args:
        rows: gives scores (S, J) of some of ``who``.
        who: ``(N,)`` different numbers.
        columns: ``(J,)`` different numbers, what the scores are of.
        k: length of a list.
        at_once: rows that are scored together.
        seen: what each of ``who`` is not given; None: nothing.

    Raises:
        UsageError: no score is a number.
    """
    found = [_empty()]
    lost = 0
    k = min(k, len(columns))
    place = None if seen is None else _places(columns, seen.item_num)
    for part in who.split(at_once) if k and len(who) else ():
        scores = rows(part).cpu().float()
        if seen is not None and place is not None:
            _leave_out(scores, part, place, seen)
        top = scores.topk(k)
        if bool(top.values[:, 0].isnan().any()):  # topk takes them for the greatest
            lost += int(scores.isnan().sum())
            top = torch.where(scores.isnan(), -torch.inf, scores).topk(k)
        row, rank = (top.values > -torch.inf).nonzero(as_tuple=True)
        chosen = columns[top.indices[row, rank]]
        found.append(Best(part[row], chosen, rank + 1, top.values[row, rank]))
    answer = Best(*(torch.cat(each) for each in zip(*found, strict=True)))
    if lost:
        _say_lost(lost, len(answer.rows))
    return answer


def _empty() -> Best:
    nothing = torch.empty(0, dtype=torch.long)
    return Best(nothing, nothing, nothing, torch.empty(0))


def _say_lost(lost: int, left: int) -> None:
    if not left:
        raise UsageError(
            f"model: none of its {lost} scores is a number (NaN), so nothing can be ranked by "
            "them; the training diverged: train anew, with a smaller learning_rate."
        )
    getLogger().warning(f"{lost} scores are no numbers (NaN); what they are of is left out.")


def _places(columns: Tensor, number: int) -> Tensor:
    """Where each number stands in ``columns``; -1 where it does not."""
    place = torch.full((number,), -1)
    place[columns] = torch.arange(len(columns))
    return place


def _leave_out(scores: Tensor, who: Tensor, place: Tensor, seen: Catalogue) -> None:
    """Give what was seen a score that no list has."""
    row, items = seen.positives_of(who)
    column = place[items]
    listed = column >= 0
    scores[row[listed], column[listed]] = -torch.inf


def nearest_by_cosine(vectors: Tensor, which: Tensor, columns: Tensor, k: int) -> Best:
    """The k rows of vectors (N, D) with the greatest cosine, but for the row itself.

    Args:
        vectors: of all; one of zeros has cosine 0 with every other.
        which: ``(M,)`` rows that are asked for.
        columns: ``(J,)`` rows that may be found.
        k: length of a list.
    """
    directions = normalize(vectors.float(), dim=1)
    chosen = directions[columns].T.contiguous()
    itself = Catalogue(which, which, len(vectors), len(vectors), bitmap=False)
    at_once = max(COSINES_AT_ONCE // max(len(columns), 1), 1)
    return best(lambda part: directions[part] @ chosen, which, columns, k, at_once, itself)
