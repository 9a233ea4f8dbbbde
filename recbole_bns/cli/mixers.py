"""``recbole-bns mixers``: what makes negatives of candidates, with parameters and papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .listing import Kind, parser_of, text_of
from .parser import Parser

if TYPE_CHECKING:  # help, errors and lists do without torch
    from recbole_bns.mixers import Mixer


def parser() -> Parser:
    """The words and flags of ``mixers``, and its help."""
    return parser_of(
        "mixers",
        "List the mixers, a line each: candidates and loss by default, idea; all about those that\n"
        "are named.",
        "example: recbole-bns mixers mixgcf",
    )


def command(words: Sequence[str]) -> int:
    """Print a line each, or the pages of some mixers.

    Raises:
        UsageError: an unknown name.
    """
    options = parser().read(words)
    print(mixer_table(options.names, markdown=options.markdown))
    return 0


def mixer_table(names: Sequence[str] = (), *, markdown: bool = False) -> str:
    """Mixers with sampler, loss and idea; named or in Markdown with parameters and paper too.

    Raises:
        UsageError: an unknown name.
    """
    return text_of(KIND, names, markdown=markdown)


def facts(cls: type[Mixer]) -> dict[str, str]:
    """The sampler of a mixer's candidates and its loss, where none is named."""
    return {"sampler": cls.sampler, "loss": cls.loss}


KIND = Kind("mixer", "recbole_bns.mixers", facts, ("sampler", "loss"))
