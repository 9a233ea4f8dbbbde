"""``recbole-bns mixers``: what makes negatives of candidates, with parameters and papers."""

from __future__ import annotations

from collections.abc import Sequence

from .listing import Listing, parser_of, shown
from .parser import Parser


def parser() -> Parser:
    """The words and flags of ``mixers``, and its help."""
    return parser_of(
        "mixers",
        "List the mixers: idea, candidates and loss by default, parameters and paper; all about\n"
        "those that are named.",
        "example: recbole-bns mixers mixgcf",
    )


def command(words: Sequence[str]) -> int:
    """Print the table, or the pages of some mixers.

    Raises:
        UsageError: an unknown name.
    """
    options = parser().read(words)
    print(mixer_table(options.names, markdown=options.markdown))
    return 0


def mixer_table(names: Sequence[str] = (), *, markdown: bool = False) -> str:
    """Mixers with idea, sampler and loss by default, parameters (default; allowed) and paper.

    Raises:
        UsageError: an unknown name.
    """
    from recbole_bns.mixers import available, get

    classes = [get(name) for name in names] if names else list(available().values())
    columns = {
        "sampler": [cls.sampler for cls in classes],
        "loss": [cls.loss for cls in classes],
    }
    return shown(Listing(classes, columns, [8, 6]), names, markdown=markdown)
