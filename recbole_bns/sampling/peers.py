"""A sampler among several processes that train one model: what it may ask of the others.

Nothing here talks to another process; an adapter that does gives :class:`Peers` its ``gather``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from recbole_bns.common.errors import UsageError

from .state import Resumable


class Peers:
    """The processes that train one model; by itself a single one.

    All of them must make the same calls in the same order.

    Attributes:
        rank: of this process, from 0.
        size: how many there are.
    """

    rank = 0
    size = 1

    def gather(self, rows: Tensor) -> list[Tensor]:
        """Rows (R, ...) of every process, by rank; R may differ."""
        return [rows]

    def rewrite(self, table: Tensor, rows: Tensor, write: Callable[[Tensor], None]) -> None:
        """Write rows of a table that every process holds, so that all copies stay equal.

        Args:
            table: ``(U, ...)``.
            rows: ``(R,)`` ids of the rows that this process wants written; R may differ.
            write: writes the rows whose ids it is given; each process does a share of them all.
        """
        if self.size == 1:
            write(rows)
            return
        every = torch.unique(torch.cat(self.gather(rows)))
        share = every.tensor_split(self.size)[self.rank]
        if len(share):
            write(share)
        table[every] = torch.cat(self.gather(table[share]))

    def seed(self, seed: int) -> int:
        """A seed for this process: of the first one ``seed`` itself, of others one of their own."""
        return zlib.crc32(f"{seed} of {self.rank}".encode()) if self.rank else seed


ALONE = Peers()


class Divisible(Resumable):
    """The part of a sampler that several processes need; see :class:`.base.NegativeSampler`."""

    name: ClassVar[str]
    peers: Peers = ALONE

    def divide(self, peers: Peers) -> None:
        """Serve one of several processes, each of which draws for a share of every batch.

        By default for samplers without a memory: from now on each draws other numbers. One with
        a memory overrides this and says how the processes share it.

        Raises:
            UsageError: the sampler has buffers that are saved, which is a memory.
        """
        memory = [name for name, value in self.state_dict().items() if isinstance(value, Tensor)]
        if memory:
            raise UsageError(
                f"nproc: got {peers.size}, but neg_sampler '{self.name}' keeps a memory "
                f"('{memory[0]}') and does not say how processes share it; allowed is 1, or a "
                "method divide() of the sampler."
            )
        self.draw_apart(peers)

    def draw_apart(self, peers: Peers) -> None:
        """Draw other numbers than the other processes do."""
        self.peers = peers
        self.generator.manual_seed(peers.seed(self.seed))
