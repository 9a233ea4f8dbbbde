"""``recbole-bns samplers``: the samplers, their parameters and papers."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .parser import Parser

if TYPE_CHECKING:  # help and errors do without torch
    from recbole_bns.sampling import NegativeSampler

HEADS = [
    "name",
    "idea",
    "needs from the model",
    "parameters = default: meaning (allowed)",
    "paper",
]


def parser() -> Parser:
    """The words and flags of ``samplers``, and its help."""
    made = Parser(
        "samplers",
        "List the samplers: idea, needs, parameters and paper; all about those that are named.",
        "example: recbole-bns samplers bns",
    )
    made.add("names", "only these", metavar="NAME", nargs="*", default=[])
    made.add("--markdown", "a Markdown table", action="store_true")
    return made


def command(words: Sequence[str]) -> int:
    """Print the table, or the pages of some samplers.

    Raises:
        UsageError: an unknown name.
    """
    options = parser().read(words)
    print(sampler_table(options.names, markdown=options.markdown))
    return 0


def sampler_table(names: Sequence[str] = (), *, markdown: bool = False) -> str:
    """Samplers with idea, needs, parameters (default; allowed) and paper.

    Raises:
        UsageError: an unknown name.
    """
    from tabulate import tabulate

    from recbole_bns.sampling import available, get

    classes = [get(name) for name in names] if names else list(available().values())
    if markdown:
        rows = [
            [f"`{c.name}`", c.idea, needs_text(c), _parameters(c, "<br>", "`"), c.paper]
            for c in classes
        ]
        return str(tabulate(rows, HEADS, tablefmt="github"))
    if names:
        return "\n\n".join(_page(cls) for cls in classes)
    rows = [[c.name, c.idea, needs_text(c), _parameters(c, "\n", ""), c.paper] for c in classes]
    width = max(shutil.get_terminal_size((120, 24)).columns, 90)
    longest = max(len(cls.name) for cls in classes)
    spare = width - longest - 12 - 16 - 18  # what name, needs, paper and the lines leave
    widths = [longest, spare * 3 // 10, 12, spare - spare * 3 // 10, 16]
    table = tabulate(rows, HEADS, "simple_grid", maxcolwidths=widths, maxheadercolwidths=widths)
    return str(table)


def needs_text(cls: type[NegativeSampler]) -> str:
    """What a sampler needs from the model, in words."""
    from recbole_bns.sampling import FactorScorer

    if cls.needs is None:
        return "nothing"
    return "user and item vectors" if cls.needs is FactorScorer else "scores"


def _page(cls: type[NegativeSampler]) -> str:
    """All about one sampler: its row, then the page of docstring."""
    width = shutil.get_terminal_size((100, 24)).columns
    lines = textwrap.wrap(f"{cls.name}: {cls.idea}", width, subsequent_indent="  ")
    lines.append(f"  needs from the model: {needs_text(cls)}; {cls.paper}")
    for text in _parameters(cls, "\n", "").splitlines():
        lines += textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="        ")
    page = inspect.getdoc(inspect.getmodule(cls)) or ""
    return "\n".join([*lines, "", textwrap.indent(page, "  ")])


def _parameters(cls: type[NegativeSampler], separator: str, quote: str) -> str:
    import dataclasses

    from recbole_bns.common.params import allowed, outside

    return separator.join(
        f"{quote}{outside(field.name)} = {field.default}{quote}: {field.metadata['help']} "
        f"({allowed(field)})"
        for field in dataclasses.fields(cls.Params)
    )
