"""From the data set's own ids to numbers, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from recbole_bns.common.errors import UsageError, nearest

MANY = 20_000
"""More ids than these are too many to look for a like one in all of them."""


class Ids:
    """Ids of users or items by number; number 0 is padding and has none.

    Args:
        tokens: by number, the padding's first.
        kind: ``user`` or ``item``, for sentences.
    """

    def __init__(self, tokens: Sequence[str], kind: str) -> None:
        self.tokens = np.array(tokens, dtype=object)
        self.kind = kind
        self._index = pd.Index(self.tokens[1:])

    def __len__(self) -> int:
        return len(self._index)

    @property
    def all(self) -> Tensor:
        """All numbers."""
        return torch.arange(1, len(self.tokens))

    def numbers(self, wanted: Any, where: str) -> Tensor:
        """Numbers (N,) of ids, in their order, repeated ones included.

        Args:
            wanted: one id or several; a number is the id that it is written as.
            where: what names them, for the sentence.

        Raises:
            UsageError: there is no such user or item.
        """
        words = listed(wanted)
        found = self._index.get_indexer(pd.Index(words, dtype=object)) + 1
        if len(found) and not found.all():
            raise self._unknown(words[int((found == 0).argmax())], where)
        return torch.from_numpy(found.astype(np.int64))

    def different(self, wanted: Any, where: str) -> Tensor:
        """The same, each once."""
        found = self.numbers(listed(wanted), where).tolist()
        return torch.tensor(list(dict.fromkeys(found)), dtype=torch.long)

    def names(self, numbers: Tensor) -> Any:
        """Ids of numbers: an array (N,) of words."""
        return self.tokens[numbers.numpy()]

    def _unknown(self, word: str, where: str) -> UsageError:
        known: Iterable[str] = self._index
        if len(self) > MANY:
            like = (token for token in self._index if token[:2] == word[:2])
            known = [token for token, _ in zip(like, range(MANY), strict=False)]
        return UsageError(
            f"{where}: '{word}' is no {self.kind} of the data set{nearest(word, known)}; it has "
            f"{len(self)} {self.kind}s, such as {', '.join(self._index[:3])}."
        )


def listed(wanted: Any) -> list[str]:
    """One id, or several, as words."""
    if isinstance(wanted, str) or not isinstance(wanted, Iterable):
        return [str(wanted)]
    return [str(each) for each in wanted]
