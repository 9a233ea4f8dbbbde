"""``recbole-bns losses``: the losses over many negatives, their parameters and papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .listing import Kind, parser_of, text_of
from .parser import Parser

if TYPE_CHECKING:  # help, errors and lists do without torch
    from recbole_bns.losses import Loss


def parser() -> Parser:
    """The words and flags of ``losses``, and its help."""
    return parser_of(
        "losses",
        "List the losses, a line each: similarity and idea; all about those that are named:\n"
        "forms of log q, parameters, paper.",
        "example: recbole-bns losses ssm",
    )


def command(words: Sequence[str]) -> int:
    """Print a line each, or the pages of some losses.

    Raises:
        UsageError: an unknown name.
    """
    options = parser().read(words)
    print(loss_table(options.names, markdown=options.markdown))
    return 0


def loss_table(names: Sequence[str] = (), *, markdown: bool = False) -> str:
    """Losses with similarity and idea; named or in Markdown with log q, parameters and paper too.

    Raises:
        UsageError: an unknown name.
    """
    return text_of(KIND, names, markdown=markdown)


def facts(cls: type[Loss]) -> dict[str, str]:
    """The similarity that a loss is meant for, and the forms of log q that it has."""
    return {"similarity": cls.similarity, "log q": ", ".join(cls.log_q)}


KIND = Kind("loss", "recbole_bns.losses", facts, ("similarity",))
