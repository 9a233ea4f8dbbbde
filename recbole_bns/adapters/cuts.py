"""Which interactions go into which part, by exact times: ``split: last_k`` and ``split: time``.

RecBole rounds times to float32, a minute or two for those of today. What is cut and compared here
are ranks: the place of each interaction's exact time among all times, from 1. They travel with the
interactions through RecBole's shuffling and cutting.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_bns.common.errors import UsageError
from recbole_bns.settings.splits import Split, number_of

_RANKS, _TIMES, _COLUMN = "_recbole_bns_ranks", "_recbole_bns_times", "_recbole_bns_rank"


# --- exact times ---------------------------------------------------------------------------------


def note_times(dataset: Any, times: Any) -> None:
    """Keep the ranks of times ``(N,)``, numbers as in the file, with a data set of N rows."""
    if times.dtype.kind not in "iuf":
        return
    known, ranks = np.unique(times, return_inverse=True)
    put_ranks(dataset, torch.from_numpy(ranks.reshape(-1) + 1))
    setattr(dataset, _TIMES, known)


def put_ranks(dataset: Any, ranks: Tensor | None) -> None:
    """Replace the ranks that a data set or a part of one has."""
    setattr(dataset, _RANKS, ranks)


def ranks_of(dataset: Any) -> Tensor | None:
    """``(N,)`` ranks of the exact times of a data set's N interactions; None without times."""
    ranks = getattr(dataset, _RANKS, None)
    return ranks if ranks is not None and len(ranks) == len(dataset.inter_feat) else None


def time_of(dataset: Any, rank: int) -> float | int:
    """The time with a rank, as in the file."""
    found: float | int = getattr(dataset, _TIMES)[rank - 1].item()
    return found


@contextmanager
def riding(dataset: Any) -> Iterator[None]:
    """While it lasts the ranks are a column of the interactions, cut and shuffled as the others."""
    ranks = ranks_of(dataset)
    if ranks is not None:
        dataset.inter_feat.interaction[_COLUMN] = ranks
    try:
        yield
    finally:
        get_off(dataset)


def get_off(dataset: Any) -> None:
    """Take the column of :func:`riding` away from a data set, whose ranks it becomes."""
    ranks = dataset.inter_feat.interaction.pop(_COLUMN, None)
    if ranks is not None:
        put_ranks(dataset, ranks)


# --- which rows ----------------------------------------------------------------------------------


def last_rows(users: Tensor, k: int) -> list[Tensor]:
    """Rows of training, validation and test: each user's last k are tested, k before validate.

    A user with fewer than 2k + 1 interactions keeps one in training; of the others the last k are
    tested, as RecBole does it for k = 1.

    Args:
        users: (N,) of interactions in the order of time.
        k: at least 1.

    Returns:
        three ascending (n,), which share the N rows.
    """
    order = users.argsort(stable=True)
    _, counts = users[order].unique_consecutive(return_counts=True)
    ends = counts.cumsum(0).repeat_interleave(counts)
    spare = (counts - 1).repeat_interleave(counts)
    behind = torch.empty_like(users)
    behind[order] = ends - 1 - torch.arange(len(users))  # how many of the user come later
    left = torch.empty_like(users)
    left[order] = spare
    tested = behind < left.clamp(max=k)
    validates = ~tested & (behind < left.clamp(max=2 * k))
    return [each.nonzero().squeeze(1) for each in (~tested & ~validates, validates, tested)]


def time_rows(ranks: Tensor, valid: int, test: int) -> list[Tensor]:
    """Rows of training, validation and test: ranks below ``valid``, below ``test``, and the rest.

    Args:
        ranks: (N,) of the times.
        valid: the first rank of the validation part.
        test: that of the test part, no smaller.
    """
    masks = ranks < valid, (valid <= ranks) & (ranks < test), ranks >= test
    return [mask.nonzero().squeeze(1) for mask in masks]


def starts(ranks: Tensor, times: np.ndarray, chosen: Split) -> tuple[int, int]:
    """The first ranks of validation and test.

    Where shares decide, interactions of the same time stay together, in the later part.

    Args:
        ranks: (N,) of the times.
        times: of the ranks from 1, as in the file.
        chosen: with ``kind`` time.
    """
    moments = [number_of(moment, times[-1].item()) for moment in chosen.moments]
    found = [1 + int(np.searchsorted(times, moment)) for moment in moments]
    if len(found) == 2:
        return found[0], found[1]
    train, valid, test = chosen.shares
    begin = found[0] if found else _start_of_last(ranks, test)
    before = ranks[ranks < begin]
    return min(_start_of_last(before, valid / (train + valid)), begin), begin


def _start_of_last(ranks: Tensor, share: float) -> int:
    """The first rank of the last ``share`` of interactions, rounded down as RecBole does."""
    size = int(share * len(ranks) + 1e-9)  # 0.1 / 0.9 of 900 is to be 100
    return int(ranks.sort().values[-size]) if size else int(ranks.max()) + 1 if len(ranks) else 1


def cut(dataset: Any, chosen: Split) -> list[Any]:
    """The three parts of a data set, in the order of time, for a split that RecBole lacks.

    Raises:
        UsageError: it is by time, and no exact times are known.
    """
    if chosen.kind == "time":
        rows = time_rows(_known_ranks(dataset), *starts_of(dataset, chosen))
    else:
        rows = last_rows(dataset.inter_feat[dataset.uid_field], chosen.k)
    dataset._drop_unused_col()
    return [dataset.copy(dataset.inter_feat[each]) for each in rows]


def starts_of(dataset: Any, chosen: Split) -> tuple[int, int]:
    """:func:`starts` for a data set with all of its interactions."""
    return starts(_known_ranks(dataset), getattr(dataset, _TIMES), chosen)


def _known_ranks(dataset: Any) -> Tensor:
    ranks = ranks_of(dataset)
    if ranks is None:
        raise UsageError(
            f"split: got 'time', but the interactions of '{dataset.dataset_name}' have no exact "
            "times any more; read them anew (leave dataset_save_path out)."
        )
    return ranks
