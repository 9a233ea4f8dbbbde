"""What ``samplers``, ``losses`` and ``mixers`` print: a table, or all about the named ones."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from .parser import Parser

IDEA, PARAMETERS, PAPER = "idea", "parameters = default: meaning (allowed)", "paper"
PAPER_WIDTH = 16
LEAST_IDEA = 11
"""Columns that the longest word of an idea needs."""


def parser_of(command: str, description: str, example: str) -> Parser:
    """The words and flags of a command that lists, and its help."""
    made = Parser(command, description, example)
    made.add("names", "only these", metavar="NAME", nargs="*", default=[])
    made.add("--markdown", "a Markdown table", action="store_true")
    return made


class Listing:
    """Classes with name, idea, parameters and paper, and more columns of their own.

    Args:
        classes: those to list.
        columns: name of a column -> its cells, one a class.
        widths: of these columns in a terminal.
    """

    def __init__(
        self, classes: Sequence[Any], columns: Mapping[str, Sequence[str]], widths: Sequence[int]
    ) -> None:
        self.classes, self.columns, self.widths = classes, columns, list(widths)
        self.heads = ["name", IDEA, *columns, PARAMETERS, PAPER]

    def markdown(self) -> str:
        """A table of Markdown."""
        from tabulate import tabulate

        return str(tabulate(self._rows("<br>", "`"), self.heads, tablefmt="github"))

    def table(self) -> str:
        """A table drawn for the width of the terminal."""
        from tabulate import tabulate

        width = max(shutil.get_terminal_size((120, 24)).columns, 90)
        longest = max(len(cls.name) for cls in self.classes)
        lines = 3 * len(self.heads) + 1  # between the columns, with a space on either side
        spare = width - longest - sum(self.widths) - PAPER_WIDTH - lines
        idea = max(spare * 3 // 10, LEAST_IDEA)
        widths = [longest, idea, *self.widths, spare - idea, PAPER_WIDTH]
        table = tabulate(
            self._rows("\n", ""),
            self.heads,
            "simple_grid",
            maxcolwidths=widths,
            maxheadercolwidths=widths,
        )
        return str(table)

    def pages(self) -> str:
        """All about each class: its row, then the docstring of its module."""
        return "\n\n".join(self._page(place) for place in range(len(self.classes)))

    def _page(self, place: int) -> str:
        cls, width = self.classes[place], shutil.get_terminal_size((100, 24)).columns
        lines = textwrap.wrap(f"{cls.name}: {cls.idea}", width, subsequent_indent="  ")
        own = [f"{name}: {cells[place]}" for name, cells in self.columns.items()]
        lines.append(f"  {'; '.join([*own, cls.paper])}")
        for text in _parameters(cls, "\n", "").splitlines():
            lines += textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="        ")
        page = inspect.getdoc(inspect.getmodule(cls)) or ""
        return "\n".join([*lines, "", textwrap.indent(page, "  ")])

    def _rows(self, separator: str, quote: str) -> list[list[str]]:
        own = zip(*self.columns.values(), strict=True)
        return [
            [
                f"{quote}{cls.name}{quote}",
                cls.idea,
                *cells,
                _parameters(cls, separator, quote),
                cls.paper,
            ]
            for cls, cells in zip(self.classes, own, strict=True)
        ]


def _parameters(cls: Any, separator: str, quote: str) -> str:
    import dataclasses

    from recbole_bns.common.params import allowed, outside

    return separator.join(
        f"{quote}{outside(field.name)} = {field.default}{quote}: {field.metadata['help']} "
        f"({allowed(field)})"
        for field in dataclasses.fields(cls.Params)
    )


def shown(listing: Listing, names: Sequence[str], *, markdown: bool) -> str:
    """What a command prints for its words."""
    if markdown:
        return listing.markdown()
    return listing.pages() if names else listing.table()
