"""The one exception for what a user did: a sentence that says where, what and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager


class UsageError(ValueError):
    """Bad input. The message is one sentence; the command line prints it and exits with 2."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name most like ``name``, or ``""``."""
    candidates = list(known)
    lowered = {candidate.lower(): candidate for candidate in candidates}
    hits = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return f"; did you mean '{lowered[hits[0]]}'?" if hits else ""


def unknown(setting: str, name: object, allowed: Iterable[str], other: str = "") -> UsageError:
    """For a name that nothing has: what is allowed, and the nearest.

    Args:
        setting: whose value it is: ``neg_sampler``, ``--samplers``.
        name: what was got.
        allowed: all names.
        other: what has this name elsewhere, of :func:`of_other_kind`.
    """
    names = list(allowed)
    hint = other or nearest(str(name), names)
    return UsageError(f"{setting}: got '{name}'{hint}; allowed: {', '.join(names)}.")


def of_other_kind(name: str, kinds: Iterable[tuple[str, str, Container[str]]]) -> str:
    """``", which is a mixer (--mixer=mixgcf)"`` for a name of one of the kinds, or ``""``.

    Args:
        name: what was got.
        kinds: setting, kind and names of each.
    """
    found = next((each for each in kinds if name in each[2]), None)
    return "" if found is None else f", which is a {found[1]} (--{found[0]}={name})"


@contextmanager
def refusals(where: str) -> Iterator[None]:
    """Turn what RecBole refuses with an exception of its own into a :class:`UsageError`."""
    try:
        yield
    except UsageError:
        raise
    except (ValueError, NotImplementedError) as error:
        raise UsageError(f"{where}: {str(error).strip().rstrip('.')}.") from error
