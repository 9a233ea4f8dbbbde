"""The settings in words: ``properties/overall.yaml``, ``run --help``, ``docs/settings.md``.

Nothing slow is imported, so that asking for help is quick.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import textwrap
from collections.abc import Sequence
from typing import Any

from recbole_bns.common.terminal import cut

from .declared import GROUPS, Spec, allowed_words, having
from .splits import READ_BY
from .values import NUMBER_OR_AUTO

YAML_HEAD = "# What this package sets beside RecBole's own overall.yaml. Every key can be a flag."
_COLUMN = 32


def kind(spec: Spec) -> str:
    """The type of a setting in a word or two, or nothing where it may be of any."""
    meta = spec.metadata
    if meta["words"] == NUMBER_OR_AUTO:
        return "int or str"
    if meta["example"]:
        return "dict"
    if meta["listed"]:
        return "list"
    like = meta["like"]
    return "" if like is None else type(like).__name__


def spelt(spec: Spec) -> str:
    """The default of a setting, as YAML has it."""
    value: Any = spec.default
    if value is None:
        return "{}" if spec.metadata["merged"] else "~"
    if isinstance(value, tuple):
        return json.dumps(list(value))
    if isinstance(value, str) and (not value or value.strip() != value or value[0] in "[{"):
        return json.dumps(value)
    return str(value)


def overall_yaml() -> str:
    """The text of ``properties/overall.yaml``: a block of ours, and one of RecBole's settings."""
    blocks: dict[bool, list[str]] = {True: [], False: []}
    for group in GROUPS:
        for spec in dataclasses.fields(group):
            if spec.metadata["overall"]:
                head = f"{spec.name}: {spelt(spec)} "
                line = f"{head:<{_COLUMN}}# ({kind(spec)}) {spec.metadata['help']}"
                blocks[getattr(group, "OURS", False)].append(line)
    return "\n".join([YAML_HEAD, *blocks[True], "", *blocks[False]]) + "\n"


WITH_A_LOSS = (
    "mixer",
    "mixer_args",
    "neg_shared",
    "loss_similarity",
    "score_similarity",
    "loss_log_q",
    "loss_mask",
    "loss_weight",
    "loss_weight_args",
    "mine",
    "preset",
)
"""Settings that ``run --help`` only names: of losses over many negatives, mixers, and mining."""


WITH_A_SPLIT = tuple(READ_BY)
"""The same of ``split``."""
OF_DATA = ("negatives", "WEIGHT_FIELD")
"""The same: of what the data have beside the interactions."""


def help_lines(width: int = 96) -> list[str]:
    """Lines for ``run --help``: this package's own settings with defaults and meaning, one each.

    What does not fit is left out; ``help NAME`` has all of it.
    """
    lines = []
    for group in GROUPS:
        if not getattr(group, "OURS", False):
            continue
        for spec in dataclasses.fields(group):
            head, indent = f"  --{spec.name}={spelt(spec)}", " " * 26
            if spec.name in (*WITH_A_LOSS, *WITH_A_SPLIT, *OF_DATA):
                continue
            first = f"{head:<26}" if len(head) < 26 else f"{head}\n{indent}"
            lines += (first + cut(spec.metadata["help"], width - len(indent))).split("\n")
    lines += _only_named("with split also", WITH_A_SPLIT, width)
    lines += _only_named("with your data", OF_DATA, width)
    return [*lines, *_only_named("and also", WITH_A_LOSS, width)]


def _only_named(title: str, names: Sequence[str], width: int) -> list[str]:
    text = textwrap.wrap(", ".join(f"--{name}" for name in names), width - 26)
    return [f"  {title:<24}{text[0]}", *(" " * 26 + line for line in text[1:])]


def remarks(spec: Spec) -> str:
    """How commands treat a setting, in words."""
    meta = spec.metadata
    remarks = [
        words
        for flag, value, words in (
            ("listed", True, "a list on the command line: a,b"),
            ("merged", True, "merged key by key"),
            ("free_at_resume", True, "free at --resume"),
            ("in_sweep", "data", "decides the data of a sweep"),
            ("in_sweep", "sweep", "the same in all trials of a sweep"),
            ("shared_in_comparison", True, "shared by all rows of a comparison"),
            ("leaves_model_alone", True, "leaves the model as it is"),
            ("beside_fixed_split", False, "not beside benchmark_filename"),
        )
        if meta[flag] == value
    ]
    return "; ".join(remarks)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def markdown() -> str:
    """The text of ``docs/settings.md``: every setting that is declared and may be written."""
    lines = [
        "# Settings",
        "",
        "Written by `python scripts/write_settings.py` from `recbole_bns/settings/declared.py`. "
        "Each can be a flag (`--key=value`), a line of a YAML file or an entry of `config_dict`. "
        "Beside these, RecBole and the model have settings of their own; see RecBole's manual.",
    ]
    computed = having("computed")
    for group in GROUPS:
        specs = [spec for spec in dataclasses.fields(group) if spec.name not in computed]
        if not specs:
            continue
        title = (inspect.getdoc(group) or group.__name__).splitlines()[0].rstrip(".")
        lines += ["", f"## {title}", ""]
        lines += ["| setting | default | meaning | allowed | treated |", "|---|---|---|---|---|"]
        for spec in specs:
            cells = (spec.metadata["help"], allowed_words(spec), remarks(spec))
            default = _cell(json.dumps(spec.default) if spec.default == "\t" else spelt(spec))
            lines.append(f"| `{spec.name}` | `{default}` | {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines) + "\n"
