"""Before PyTorch and RecBole are loaded: what can be refused is, and a line says what is to come.

Where they are loaded already nothing is waited for: what is refused is refused as quickly later,
and a sampler that a script has registered is in no table.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

SLOW = ("torch", "recbole", "recbole_bns.sampling", "recbole_bns.losses")
"""Modules that take seconds, or that somebody may have registered something with."""

LOADED = "PyTorch and RecBole"


def is_slow() -> bool:
    """Whether the seconds of loading are still to come."""
    return not {*SLOW} & set(sys.modules)


def say(what: str, loaded: str = LOADED, *, shown: bool = True) -> None:
    """Say on the error stream, as progress does, what is begun; once of several processes.

    Args:
        what: is begun, in words.
        loaded: what is loaded first.
        shown: False says nothing.
    """
    if shown and is_slow() and os.environ.get("RANK", "0") == "0":
        print(f"{what}: loading {loaded}", file=sys.stderr, flush=True)


def begin_run(
    model: Any,
    dataset: Any,
    files: Sequence[str] | None,
    given: Mapping[str, Any],
    *,
    data: bool = True,
) -> None:
    """Begin a run: ``BPR on ml-100k with dns: loading PyTorch and RecBole``.

    With ``data=False`` the data set need not be there yet; likewise below.

    Raises:
        UsageError: see :func:`recbole_bns.settings.early.check_run`.
    """
    if is_slow():
        from recbole_bns.settings import early

        asked = early.check_run(model, dataset, files, given, data=data)
        say(early.title(asked), shown=asked.shown)


def begin_comparison(flags: Mapping[str, Any], *, data: bool = True) -> None:
    """Begin a comparison: ``comparison of rns, dns: BPR on ml-100k: loading ...``.

    Raises:
        UsageError: see :func:`recbole_bns.settings.early.check_comparison`.
    """
    if is_slow():
        from recbole_bns.settings import early

        rest, model, dataset, files = _parted(flags)
        asked = early.check_comparison(model, dataset, files, rest, data=data)
        say(early.title_of_rows(asked, flags), shown=asked.shown)


def begin_sweep(flags: Mapping[str, Any], *, data: bool = True) -> None:
    """Begin a sweep: ``sweep over BPR on ml-100k with dns: loading ...``.

    Raises:
        UsageError: see :func:`recbole_bns.settings.early.check_run`.
    """
    if is_slow():
        from recbole_bns.settings import early

        rest, model, dataset, files = _parted(flags)
        settings = {key: value for key, value in rest.items() if key not in early.OF_A_SWEEP}
        asked = early.check_run(model, dataset, files, settings, data=data)
        say(f"sweep over {early.title(asked)}", shown=asked.shown)


def _parted(flags: Mapping[str, Any]) -> tuple[dict[str, Any], Any, Any, Any]:
    """Flags without model, data set and files of settings, and these three."""
    rest = dict(flags)
    model, dataset, files = (rest.pop(key, None) for key in ("model", "dataset", "config_files"))
    return rest, model, dataset, files


def say_weights(model: Any) -> None:
    """Say where the weights of a trained model are those of all interactions, never tested.

    Args:
        model: a :class:`recbole_bns.training.trained.Trained`.
    """
    if model.of_all:
        from recbole_bns.runs.folder import BEST, LAST, weights_in

        tested = weights_in(model.file.parent.parent, (BEST, LAST))
        print(
            f"weights: {model.file}, trained on all interactions (train_on: all)"
            + (f"; those that were tested: --checkpoint={tested}" if tested else "")
        )
