"""``recbole-bns losses``: the losses over many negatives, their parameters and papers."""

from __future__ import annotations

from collections.abc import Sequence

from .begin import begin_listing
from .listing import Listing, parser_of, shown
from .parser import Parser


def parser() -> Parser:
    """The words and flags of ``losses``, and its help."""
    return parser_of(
        "losses",
        "List the losses: idea, similarity, forms of log q, parameters and paper; all about those\n"
        "that are named.",
        "example: recbole-bns losses ssm",
    )


def command(words: Sequence[str]) -> int:
    """Print the table, or the pages of some losses.

    Raises:
        UsageError: an unknown name.
    """
    options = parser().read(words)
    begin_listing("loss", options.names)
    print(loss_table(options.names, markdown=options.markdown))
    return 0


def loss_table(names: Sequence[str] = (), *, markdown: bool = False) -> str:
    """Losses with idea, similarity, forms of log q, parameters (default; allowed) and paper.

    Raises:
        UsageError: an unknown name.
    """
    from recbole_bns.losses import available, get

    classes = [get(name) for name in names] if names else list(available().values())
    columns = {
        "similarity": [cls.similarity for cls in classes],
        "log q": [", ".join(cls.log_q) for cls in classes],
    }
    return shown(Listing(classes, columns, [12, 10]), names, markdown=markdown)
