"""The processes that train one model: who this one is, and how it talks to the others.

To RecBole each of them is a run of its own, on one device; its own distributed mode, which is for
GPUs alone and counts padded rows twice, is not used. A process is alone until it has joined.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from torch import Tensor

from recbole_bns.sampling import Peers

LOOK = 0.01
"""Seconds between two looks for the other processes."""


class PeerLost(RuntimeError):
    """Another process is gone, or has not answered in time."""


@contextmanager
def _talking() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # what torch.distributed raises for both
        raise PeerLost(str(error).strip().split("\n")[0]) from error


class Team(Peers):
    """One of several processes; alone, every call gives back what it was given.

    Args:
        rank: of this process, from 0.
        size: how many there are.
        scratch: a folder for what only the first process keeps; None for that one.
        store: by which the processes have found one another.
    """

    def __init__(
        self, rank: int = 0, size: int = 1, scratch: Path | None = None, store: Any = None
    ) -> None:
        self.rank, self.size, self.scratch, self._store = rank, size, scratch, store

    def output(self, folder: Path) -> Path:
        """``folder`` for the first process, which writes for all; a scratch one for others."""
        return folder if self.scratch is None else self.scratch

    def share(self, count: int) -> tuple[int, int, float]:
        """This process's share of ``count`` rows that come one after another.

        Returns:
            its first row, the one after its last, and the weight of their mean in the mean of
            all. Where there are fewer rows than processes some have the first one, at weight 0.
        """
        first, end = count * self.rank // self.size, count * (self.rank + 1) // self.size
        return (first, end, (end - first) / count) if end > first else (0, 1, 0.0)

    def gather(self, rows: Tensor) -> list[Tensor]:
        """Rows (R, ...) of every process, by rank; R may differ."""
        if self.size == 1:
            return [rows]
        import torch.distributed as dist

        with _talking():
            length = torch.tensor([len(rows)], device=rows.device)
            lengths = [torch.empty_like(length) for _ in range(self.size)]
            dist.all_gather(lengths, length)
            sizes = torch.cat(lengths).tolist()
            padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
            padded[: len(rows)] = rows
            every = [torch.empty_like(padded) for _ in range(self.size)]
            dist.all_gather(every, padded)
        return [part[:size] for part, size in zip(every, sizes, strict=True)]

    def add(self, values: Tensor) -> None:
        """Add up the values of all processes, in place."""
        if self.size > 1:
            import torch.distributed as dist

            with _talking():
                dist.all_reduce(values)

    def spread(self, values: Tensor) -> None:
        """Give all processes the first one's values, in place."""
        if self.size > 1:
            import torch.distributed as dist

            with _talking():
                dist.broadcast(values, 0)

    def collect(self, value: Any) -> list[Any]:
        """What every process has, by rank: plain values and tensors, which come to the CPU."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.size
        with _talking():
            dist.all_gather_object(values, on_cpu(value))
        return values

    def agree(self, value: Any) -> bool:
        """Whether all processes have the same plain value."""
        return len({repr(other) for other in self.collect(value)}) == 1

    def wait(self) -> None:
        """Wait until all processes have come here."""
        self.collect(None)

    def is_first(self, what: str) -> bool:
        """Whether no other process has asked this before; true where nobody can be asked."""
        try:
            return self._store is None or self._store.add(what, 1) == 1
        except RuntimeError:  # whoever held the store is gone
            return True

    def leave(self) -> None:
        """The end: wait for the others, then take the connections down; alone from now on."""
        global _current
        if self._store is not None:
            import torch.distributed as dist

            self.wait()
            dist.destroy_process_group()
            _current = Team()


_current = Team()


def current() -> Team:
    """The team of this process."""
    return _current


def join(scratch: Path, *, cuda: bool = False, timeout: float = 600.0) -> Team:
    """Become one of the processes that PyTorch's launcher has started, by whose variables it is.

    Args:
        scratch: a folder of this process.
        cuda: whether the models lie on GPUs (nccl; gloo serves the CPU).
        timeout: seconds after which a process that does not answer is given up.

    Raises:
        PeerLost: the others did not come.
    """
    import torch.distributed as dist

    # Its functions have the group as default argument, that of the moment of the import: imported
    # later, as torch's compiler does, they would keep the group, and its threads, beyond leave();
    # a thread that still lets a tensor go while the interpreter ends aborts the process.
    import torch.distributed.nn.functional  # noqa: F401

    global _current
    limit = timedelta(seconds=timeout)
    with _talking():
        found, rank, size = next(dist.rendezvous("env://", timeout=limit))
        found.set_timeout(limit)
        store = dist.PrefixStore(name_of_team(found, rank, size, timeout), found)
        backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=limit)
    _current = Team(rank, size, scratch if rank else None, store)
    return _current


def name_of_team(store: Any, rank: int, size: int, timeout: float) -> str:
    """A name that these processes share and no earlier ones had.

    The store outlives processes that are started anew, with the addresses of those before; the
    number of restarts does not tell them apart, for each launcher counts its own. So everybody
    says a name of its own, which nobody before can have answered, and the first process's it is.
    """
    own = uuid4().hex
    if rank:
        store.set(f"here-{rank}", own)
        first: str = store.get(f"answer-{own}").decode()
        store.set(f"known-{first}-{rank}", "")
        return first
    others, end = range(1, size), time.monotonic() + timeout
    while not store.check([f"known-{own}-{other}" for other in others]):
        for other in others:  # each time: what stands there may be of one that is gone
            if store.check([here := f"here-{other}"]):
                store.set(f"answer-{store.get(here).decode()}", own)
        if time.monotonic() > end:
            raise RuntimeError(f"not all of {size} processes came within {timeout:g} seconds")
        time.sleep(LOOK)
    return own


def on_cpu(value: Any) -> Any:
    """Mappings, lists and tensors with every tensor on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {key: on_cpu(entry) for key, entry in value.items()}
    return [on_cpu(entry) for entry in value] if isinstance(value, list) else value


def without_doubles(first: Any, other: Any) -> Any:
    """``other`` with each tensor that equals ``first``'s replaced by that: a file holds it once."""
    if isinstance(first, Tensor) and isinstance(other, Tensor):
        same = first.dtype == other.dtype and torch.equal(first.detach().cpu(), other)
        return first if same else other
    if isinstance(first, dict) and isinstance(other, dict):
        return {key: without_doubles(first.get(key), entry) for key, entry in other.items()}
    if isinstance(first, list) and isinstance(other, list) and len(first) == len(other):
        return [without_doubles(a, b) for a, b in zip(first, other, strict=True)]
    return other
