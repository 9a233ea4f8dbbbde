"""``recbole-bns samplers``: the samplers, their parameters and papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .listing import Kind, parser_of, text_of
from .parser import Parser

if TYPE_CHECKING:  # help, errors and lists do without torch
    from recbole_bns.sampling import NegativeSampler

COST, NEEDS = "cost", "needs from the model"


def parser() -> Parser:
    """The words and flags of ``samplers``, and its help."""
    return parser_of(
        "samplers",
        "List the samplers, a line each: cost, needs, idea; all about those that are named.\n"
        "Costs: draws alone < few scores a positive < all scores of its user; learns: a model of\n"
        "its own is trained beside.",
        "example: recbole-bns samplers bns",
    )


def command(words: Sequence[str]) -> int:
    """Print a line each, or the pages of some samplers.

    Raises:
        UsageError: an unknown name.
    """
    options = parser().read(words)
    print(sampler_table(options.names, markdown=options.markdown))
    return 0


def sampler_table(names: Sequence[str] = (), *, markdown: bool = False) -> str:
    """Samplers with cost, needs and idea; named or in Markdown with parameters and paper too.

    Raises:
        UsageError: an unknown name.
    """
    return text_of(KIND, names, markdown=markdown)


def facts(cls: type[NegativeSampler]) -> dict[str, str]:
    """What a draw costs, and what a sampler needs from the model, in words."""
    from recbole_bns.sampling import FactorScorer

    if cls.needs is None:
        return {COST: cls.cost or "draws alone", NEEDS: "nothing"}
    needs = "user and item vectors" if cls.needs is FactorScorer else "scores"
    return {COST: cls.cost or "scores", NEEDS: needs}


KIND = Kind("neg_sampler", "recbole_bns.sampling", facts, (COST, NEEDS))
