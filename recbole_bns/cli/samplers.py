"""``recbole-bns samplers``: the samplers, their parameters and papers."""

from __future__ import annotations

import dataclasses
import inspect
import shutil
import textwrap
from collections.abc import Sequence

from tabulate import tabulate

from recbole_bns.common.params import allowed, outside
from recbole_bns.sampling import FactorScorer, NegativeSampler, available, get


def needs_text(cls: type[NegativeSampler]) -> str:
    """What a sampler needs from the model, in words."""
    if cls.needs is None:
        return "nothing"
    return "user and item vectors" if cls.needs is FactorScorer else "scores"


def sampler_table(names: Sequence[str] = (), *, markdown: bool = False) -> str:
    """Samplers with idea, needs, parameters (default; allowed) and paper.

    Raises:
        UsageError: an unknown name.
    """
    classes = [get(name) for name in names] if names else list(available().values())
    if markdown:
        rows = [
            [f"`{c.name}`", c.idea, needs_text(c), _parameters(c, "<br>", "`"), c.paper]
            for c in classes
        ]
        return tabulate(rows, _HEADS, tablefmt="github")
    if names:
        return "\n\n".join(_page(cls) for cls in classes)
    rows = [[c.name, c.idea, needs_text(c), _parameters(c, "\n", ""), c.paper] for c in classes]
    width = max(shutil.get_terminal_size((120, 24)).columns, 90)
    longest = max(len(cls.name) for cls in classes)
    spare = width - longest - 12 - 16 - 18  # what name, needs, paper and the lines leave
    widths = [longest, spare * 3 // 10, 12, spare - spare * 3 // 10, 16]
    return tabulate(rows, _HEADS, "simple_grid", maxcolwidths=widths, maxheadercolwidths=widths)


_HEADS = [
    "name",
    "idea",
    "needs from the model",
    "parameters = default: meaning (allowed)",
    "paper",
]


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
    return separator.join(
        f"{quote}{outside(field.name)} = {field.default}{quote}: {field.metadata['help']} "
        f"({allowed(field)})"
        for field in dataclasses.fields(cls.Params)
    )
