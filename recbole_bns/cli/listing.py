"""What ``samplers``, ``losses`` and ``mixers`` print: a line each, or all about the named ones."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from recbole_bns.common.params import allowed, outside
from recbole_bns.common.terminal import cut, listing_width, width_of

from .begin import is_slow
from .parser import Parser

IDEA, PARAMETERS, PAPER = "idea", "parameters = default: meaning (allowed)", "paper"
LEAST_IDEA = 24
"""Columns that are left to an idea, however narrow the screen."""
IN_SHORT = {"user and item vectors": "vectors", "needs from the model": "needs"}
"""Words of a page -> words of a line."""

Facts = Callable[[Any], Mapping[str, str]]
"""Of a class: what is said of it beside idea, parameters and paper."""


class Kind(NamedTuple):
    """What a command lists."""

    setting: str
    """Whose values the names are: ``neg_sampler``."""
    package: str
    """That has ``get`` and ``available``; its import takes the seconds that torch takes."""
    facts: Facts
    short: tuple[str, ...]
    """Those of the facts that stand in a line, too."""


class Listed(NamedTuple):
    """A sampler, a loss or a mixer, as it is shown."""

    name: str
    idea: str
    paper: str
    facts: Mapping[str, str]
    params: type[Any]
    """A dataclass whose fields are declared by ``param``."""
    page: str
    """The docstring of its module."""


def parser_of(command: str, description: str, example: str) -> Parser:
    """The words and flags of a command that lists, and its help."""
    made = Parser(command, description, example)
    made.add("names", "only these", metavar="NAME", nargs="*", default=[])
    made.add("--markdown", "a Markdown table", action="store_true")
    return made


def of_class(cls: Any, facts: Facts) -> Listed:
    """A class that is imported."""
    page = inspect.getdoc(inspect.getmodule(cls)) or ""
    return Listed(cls.name, cls.idea, cls.paper, facts(cls), cls.Params, page)


def of_table(setting: str, name: str) -> Listed:
    """One of ours, by ``known.json`` and the file of its module: nothing is imported."""
    from recbole_bns.settings import known

    kind = known.kinds()[setting]
    said = kind.classes[name]["said"]
    path = Path(__file__).parents[1].joinpath(*said["module"].split(".")[1:]).with_suffix(".py")
    page = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return Listed(name, said["idea"], said["paper"], said["facts"], kind.params(name), page)


def listed(kind: Kind, names: Sequence[str] = ()) -> list[Listed]:
    """All of a kind, or those that are named.

    What other packages register is in no table: where there is such a package, or torch is loaded
    anyway, the classes themselves are asked.

    Raises:
        UsageError: an unknown name.
    """
    from recbole_bns.settings import early, known

    if is_slow() and not known.others_register():
        early.check_listed(kind.setting, names)
        return [of_table(kind.setting, n) for n in names or known.kinds()[kind.setting].classes]
    room = import_module(kind.package)
    classes = [room.get(name) for name in names] if names else room.available().values()
    return [of_class(cls, kind.facts) for cls in classes]


def text_of(kind: Kind, names: Sequence[str], *, markdown: bool) -> str:
    """What a command prints for its words.

    Raises:
        UsageError: an unknown name.
    """
    found = listed(kind, names)
    if markdown:
        return markdown_of(found)
    return pages(found) if names else "\n".join(lines(found, kind.short, listing_width()))


def lines(found: Sequence[Listed], short: Sequence[str], width: int) -> list[str]:
    """A line each: name, the facts in short, the idea as far as it fits.

    Args:
        found: what is listed.
        short: the facts that are shown.
        width: of the lines.
    """
    heads = ["name", *(IN_SHORT.get(name, name) for name in short), IDEA]
    rows = [heads]
    for each in found:
        facts = (IN_SHORT.get(each.facts[name], each.facts[name]) for name in short)
        rows.append([each.name, *facts, each.idea])
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    room = max(width - sum(widths) - 2 * len(widths), LEAST_IDEA)
    return [
        "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), cut(row[-1], room)])
        for row in rows
    ]


def pages(found: Sequence[Listed]) -> str:
    """All about each: its facts and parameters, then the docstring of its module."""
    return "\n\n".join(map(_page, found))


def _page(each: Listed) -> str:
    width = max(width_of(sys.stdout), 20)
    said = textwrap.wrap(f"{each.name}: {each.idea}", width, subsequent_indent="  ")
    own = [f"{name}: {fact}" for name, fact in each.facts.items()]
    said.append(f"  {'; '.join([*own, each.paper])}")
    for text in _parameters(each, "\n", "").splitlines():
        said += textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="        ")
    blocks = (_refilled(block, width - 2) for block in each.page.split("\n\n"))
    return "\n".join([*said, "", textwrap.indent("\n\n".join(blocks), "  ")])


def _refilled(block: str, width: int) -> str:
    """A paragraph in lines that fit; formulas, lists and tables, which are indented, stay."""
    lines = block.split("\n")
    if max(map(len, lines)) <= width or any(line.startswith((" ", "- ")) for line in lines):
        return block
    return textwrap.fill(" ".join(lines), width, break_on_hyphens=False)


def markdown_of(found: Sequence[Listed]) -> str:
    """A table of Markdown."""
    from tabulate import tabulate

    heads = ["name", IDEA, *(found[0].facts if found else ()), PARAMETERS, PAPER]
    rows = [
        [f"`{e.name}`", e.idea, *e.facts.values(), _parameters(e, "<br>", "`"), e.paper]
        for e in found
    ]
    return str(tabulate(rows, heads, tablefmt="github"))


def _parameters(each: Listed, separator: str, quote: str) -> str:
    return separator.join(
        f"{quote}{outside(field.name)} = {field.default}{quote}: {field.metadata['help']} "
        f"({allowed(field)})"
        for field in dataclasses.fields(each.params)
    )
