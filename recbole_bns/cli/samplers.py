"""``recbole-bns samplers``: the samplers, their parameters and papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .begin import begin_listing
from .listing import Listing, parser_of, shown
from .parser import Parser

if TYPE_CHECKING:  # help and errors do without torch
    from recbole_bns.sampling import NegativeSampler


def parser() -> Parser:
    """The words and flags of ``samplers``, and its help."""
    return parser_of(
        "samplers",
        "List the samplers: idea, needs, parameters and paper; all about those that are named.",
        "example: recbole-bns samplers bns",
    )


def command(words: Sequence[str]) -> int:
    """Print the table, or the pages of some samplers.

    Raises:
        UsageError: an unknown name.
    """
    options = parser().read(words)
    begin_listing("neg_sampler", options.names)
    print(sampler_table(options.names, markdown=options.markdown))
    return 0


def sampler_table(names: Sequence[str] = (), *, markdown: bool = False) -> str:
    """Samplers with idea, needs, parameters (default; allowed) and paper.

    Raises:
        UsageError: an unknown name.
    """
    from recbole_bns.sampling import available, get

    classes = [get(name) for name in names] if names else list(available().values())
    needs = {"needs from the model": [needs_text(cls) for cls in classes]}
    return shown(Listing(classes, needs, [12]), names, markdown=markdown)


def needs_text(cls: type[NegativeSampler]) -> str:
    """What a sampler needs from the model, in words."""
    from recbole_bns.sampling import FactorScorer

    if cls.needs is None:
        return "nothing"
    return "user and item vectors" if cls.needs is FactorScorer else "scores"
