"""Results and samplers as text."""

from __future__ import annotations

import dataclasses
import inspect
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from .sampling import FactorScorer, NegativeSampler, available, get
from .sampling.params import allowed, outside


def result_table(result: Mapping[str, Any]) -> str:
    """Validation and test metrics, one row a metric, and where things lie."""
    valid, test = result["best_valid_result"], result["test_result"]
    names = list(dict.fromkeys(name.partition("@")[0] for name in test))
    cutoffs = list(dict.fromkeys(name.partition("@")[2] for name in test))
    parts = [("valid", valid), ("test", test)] if valid else [("test", test)]
    rows = [
        [name] + [_four(part.get(_key(name, k))) for _, part in parts for k in cutoffs]
        for name in names
    ]
    heads = ["metric"] + [f"{title} @{k}" if k else title for title, _ in parts for k in cutoffs]
    seconds = result["train_epoch_seconds"]
    median = sorted(seconds)[len(seconds) // 2]
    lines = [
        f"{result['model']} on {result['dataset']} with {result['neg_sampler_label']}, seed "
        f"{result['seed']}: {result['epochs']} epochs of {median:.2f} s, tested with the weights "
        f"of epoch {result['best_epoch']}",
        "",
        tabulate(rows, heads, stralign="right", colalign=("left",), disable_numparse=True),
        "",
        f"model:   {result['checkpoint']}",
        f"results: {result['run_dir']}",
    ]
    if result["tuned_file"]:
        lines.append(f"tuned settings: {result['tuned_file']} (--tuned=False switches them off)")
    return "\n".join(lines)


def _key(name: str, k: str) -> str:
    return f"{name}@{k}" if k else name


def _four(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


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
