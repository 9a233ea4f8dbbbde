"""Has every measured value that the pages print a source file, and do its settings ship?

A value is a number with four decimals, as NDCG and recall are printed. It must be, rounded, a
number of a file that a program wrote: JSON, JSON lines, CSV and YAML in results/, or the
papers' values in benchmarks/papers.csv. ``python benchmarks/tables.py --check`` says what is not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recbole_bns.settings.properties import PROPERTIES, read_own

ROOT = Path(__file__).parent.parent
VALUE = re.compile(r"(?<![\w.@-])(?:-|\+)?0?(\.\d{4})(?![\d.])")
NUMBER = re.compile(r"-?\d*\.\d+(?:e-?\d+)?")
PRINTED = {
    "results/learned-prior.md": "benchmarks/learned_prior.py",
    "results/sequential.md": "benchmarks/sequential.py",
    "results/cuco.md": "recbole-bns compare",
    "results/speed.md": "benchmarks/epoch.py",
    "results/search.md": "benchmarks/search.py, medians of results/search/",
    "results/table4.md": "benchmarks/sequential.py",
}
"""Pages with values that a program printed and kept nowhere else, and the program."""
WRITTEN = (".json", ".jsonl", ".yaml", ".csv")
PAGES = ("README.md", "docs/*.md", "results/*.md")


def measured() -> set[str]:
    """Every number below 1 of the source files as a page prints it: ``.4538``."""
    files = [path for path in (ROOT / "results").rglob("*") if path.suffix in WRITTEN]
    found = set()
    for path in [*files, ROOT / "benchmarks" / "papers.csv"]:
        for text in NUMBER.findall(path.read_text(encoding="utf-8")):
            if (value := abs(float(text))) < 1:
                found.add(f"{value:.4f}"[-5:])
    return found


def unsourced() -> list[str]:
    """Where a page prints a value that no source file has: ``page:line: value``.

    What stands between fences is a screen, which is the program's own.
    """
    known, missing = measured(), []
    for path in sorted(path for pattern in PAGES for path in ROOT.glob(pattern)):
        page, screen = str(path.relative_to(ROOT)), False
        if page in PRINTED:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            screen ^= line.lstrip().startswith("```")
            values = [] if screen else VALUE.findall(line)
            missing += [f"{page}:{number}: {value}" for value in values if value not in known]
    return missing


def unshipped(content: Any) -> list[str]:
    """Settings of a comparison that are not those that ship today, tuned or of a preset.

    Args:
        content: its JSON; one that says ``--tuned=False`` has settings of its own, but for the
            presets of its rows.
    """
    words, data = content["command"].split(), content["dataset"]
    given = dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)
    rows = read_own(ROOT / given["variants"]) if "variants" in given else {}
    known = read_own(PROPERTIES / "dataset" / f"{data}.yaml").get("tuned_as", data)
    wrong = []
    for row, settings in content["settings"].items():
        own = rows.get(row) or {}
        files = [PROPERTIES / "preset" / f"{own['preset']}.yaml"] if "preset" in own else []
        if given.get("tuned") != "False":
            folder = PROPERTIES / "tuned" / known / settings.get("model", given["model"])
            files.append(folder / f"{row}.yaml")
        of_loss = content.get("loss_parameters", {}).get(row, {})
        ours = {**settings, **content["parameters"][row], **of_loss}
        for path in filter(Path.is_file, files):
            ships = read_own(path)
            for name in ("neg_sampler_args", "loss_args"):
                ships |= {
                    k: v for k, v in ships.pop(name, {}).items() if k not in own.get(name, {})
                }
            wrong += [
                f"{row}: {key} {ours.get(key)!r}, but {value!r} ships"
                for key, value in ships.items()
                # what all rows share is not listed
                if key not in own and ours.get(key, value) != value
            ]
    return wrong


def unlogged() -> list[str]:
    """Lines of ``results/tests.log`` whose file of settings is not there."""
    lines = (ROOT / "results" / "tests.log").read_text(encoding="utf-8").splitlines()[1:]
    files = [line.split("\t")[4] for line in lines]
    return [
        f"results/tests.log:{number}: {file}: no such file"
        for number, file in enumerate(files, 2)
        if file != "-" and not (ROOT / file).is_file()  # of a trial of the program, nothing is kept
    ]


def check(folder: Path, names: Iterable[str]) -> list[str]:
    """All that is wrong: values without a source, tests without settings, others than what ships.

    Args:
        folder: of the comparisons' JSON.
        names: of those whose settings are to be what ships; others are tests of before.
    """
    wrong = [f"{where}: in no source file" for where in unsourced()] + unlogged()
    for name in names:
        if (path := folder / f"{name}.json").is_file():
            content = json.loads(path.read_text(encoding="utf-8"))
            wrong += [f"{path.name}: {what}" for what in unshipped(content)]
    return wrong
