"""How many threads serve on a machine that others use too, and how they wait for one another.

Torch's threads are OpenMP's. At the end of each loop all wait for the last one, and a thread whose
core another process holds is waited for. While they wait they spin, which on a busy machine takes
the core from the very thread that they wait for; see :mod:`recbole_bns.sampling.kernels.waiting`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

AUTO = "auto"
"""In the place of a number: ``threads`` goes by the machine, ``train_batch_size`` by the data."""
GIVEN = "OMP_NUM_THREADS"
"""The variable of OpenMP by which a user has the last word."""
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""Variables by which a user says how long OpenMP's threads spin; read when it is loaded."""
HELD = 0.5
"""Cores short from which others are in the way."""
LOOK = 0.2
"""Seconds for which the machine is looked at before a number is chosen."""
_IDLE = ("idle", "iowait", "guest", "guest_nice")
"""Times of a core that are none of work, or that another field has too."""


@cache
def usable_cores() -> tuple[int, int]:
    """Cores by this process's affinity, and by affinity and the container's quota together."""
    import joblib

    return len(_affinity()), int(joblib.cpu_count())


def _affinity() -> list[int]:
    """Numbers of the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@dataclass(frozen=True)
class Moment:
    """What the cores and this process had done at a time, in seconds."""

    time: float
    busy: float
    """Of the cores that this process may use, all processes together and what a host took away."""
    own: float
    """Of this process, all its threads together."""

    @classmethod
    def now(cls) -> Moment:
        """This moment."""
        import psutil

        cores, mine = psutil.cpu_times(percpu=True), _affinity()
        busy = sum(_worked(cores[core]) for core in mine if core < len(cores))
        return cls(time.monotonic(), busy, time.process_time())

    def is_older_than(self, seconds: float) -> bool:
        """Whether so much time has gone by since."""
        return time.monotonic() - self.time > seconds


def _worked(core: tuple[float, ...]) -> float:
    """Seconds that a core has worked, from psutil's times of it."""
    fields: tuple[str, ...] = getattr(core, "_fields", ())
    return sum(value for name, value in zip(fields, core, strict=True) if name not in _IDLE)


def others_between(before: Moment, after: Moment, team: int = 1) -> float:
    """Cores that other processes kept busy on average, of those that this process may use.

    Args:
        before: the earlier moment.
        after: the later one.
        team: processes like this one, which work as much as it does and are no others.
    """
    seconds = after.time - before.time
    if seconds <= 0:
        return 0.0
    own = (after.own - before.own) * team
    return max(0.0, after.busy - before.busy - own) / seconds


def look() -> float:
    """Cores that other processes keep busy now; takes :data:`LOOK` seconds."""
    before = Moment.now()
    time.sleep(LOOK)
    return others_between(before, Moment.now())


def short_of_cores(threads: int, others: float) -> bool:
    """Whether others keep cores busy that so many threads want; then a spinning one is in the way.

    Args:
        threads: of this process and those that train with it.
        others: of :func:`others_between`.
    """
    return threads + others >= usable_cores()[0] + HELD


@dataclass(frozen=True)
class Choice:
    """A number of threads, and what is to be said about it."""

    number: int
    why: str
    """In a few words, for the log."""
    note: str = ""
    """A sentence for the user where the number is not what could be expected; else empty."""


def choose(
    setting: str | int,
    *,
    most: int,
    held: int | None = None,
    team: int = 1,
    sleep: bool = False,
    others: Callable[[], float] = look,
) -> Choice:
    """The threads of a training.

    Args:
        setting: ``threads``: a number, or ``auto``.
        most: threads that torch has now, by ``OMP_NUM_THREADS`` or the program; ``auto`` takes no
            more of its own accord.
        held: those of the run that goes on, whose sums come to the same bits with as many alone.
        team: processes that train together here.
        sleep: whether threads sleep while they wait and others want the cores.
        others: tells the cores that other processes keep busy, where it matters.
    """
    number = fixed(setting, team)
    if number is not None:
        return Choice(number, "as set", _differs(number, AUTO, held))
    if given() is not None:
        return Choice(most, f"by {GIVEN}", _differs(most, setting, held))
    if held is not None:
        return Choice(held, "as the run had so far")
    allowed = min(most, of_each(team))
    if team > 1 or allowed == 1:
        return Choice(allowed, f"of {usable_cores()[1]} cores")
    return _beside(others(), allowed, sleep)


def fixed(setting: str | int, team: int = 1) -> int | None:
    """The number of threads that the settings fix; None where they do not, or may not.

    ``OMP_NUM_THREADS`` has the last word. For one of several processes it is said by whoever starts
    them, torch's launcher does so unasked, so that there a number in the settings goes before it.
    """
    if setting == AUTO or (team == 1 and given() is not None):
        return None
    return int(setting)


def _differs(number: int, setting: str | int, held: int | None) -> str:
    """What is to be said where a number is not the one of the settings, or of the run so far."""
    if setting not in (AUTO, number):
        return f"threads: got {setting}, but {GIVEN}={number} has the last word; unset it."
    if held not in (None, number):
        return (
            f"threads: {number} from here on, {held} so far; sums of floating-point numbers may "
            "differ in their last bits from what they would have been."
        )
    return ""


def _beside(others: float, allowed: int, sleep: bool) -> Choice:
    """Threads beside other processes: those that find a core each, or all.

    All wait for the slowest, which shares its core and so takes twice as long: all threads do as
    much as half of them on cores of their own. So fewer gain where more than half of the cores are
    free. Elsewhere all are better, and if the others end they have the cores; but only if they
    sleep while they wait, spinning they would take the cores from one another.
    """
    cores = usable_cores()[0]
    free = round(cores - others)
    number = allowed if sleep and 2 * free <= cores else max(1, min(allowed, free))
    load = f"others keep {others:.1f} of {cores} cores busy"
    if number == allowed:
        return Choice(number, f"of {allowed} cores, {load}")
    return Choice(number, load, f"threads: {number}, as {load}; threads={allowed} takes them all.")


def of_each(processes: int) -> int:
    """Threads of each of so many processes that share the cores evenly."""
    return max(1, usable_cores()[1] // processes)


def given() -> int | None:
    """``OMP_NUM_THREADS`` as a number; None where it is none; of several levels the outermost."""
    text = os.environ.get(GIVEN, "").split(",")[0].strip()
    return int(text) if text.isdecimal() and int(text) > 0 else None


def waiting() -> str:
    """What the environment says of how threads wait; empty where it says nothing."""
    return ", ".join(f"{name}={os.environ[name]}" for name in WAITING if name in os.environ)
