"""What is published was made with what is shipped, and the pages repeat it rightly."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from recbole_bns.settings.properties import PROPERTIES
from recbole_bns.settings.words import read_yaml

ROOT = Path(__file__).parent.parent
COMPARED = ROOT / "results" / "compare"
SHARED = {"ml-100k-bns": "ml-100k", "ml-1m-ahns": "ml-1m"}
PAGES = ("README.md", "docs/choosing.md")
ROWS = {
    "ML-100K, MF (BPR)": "plus-ml-100k-BPR",
    "ML-100K, LightGCN, 1 layer": "plus-ml-100k-LightGCN",
    "ML-1M, MF (BPR)": "plus-ml-1m-BPR-32",
    "ML-1M, LightGCN, 1 layer": "plus-ml-1m-LightGCN",
}
"""Of the pages' table, and the comparison each is taken from."""


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((COMPARED / f"{name}.json").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize(
    "name",
    [*ROWS.values(), *(row.replace("plus", "table2").removesuffix("-32") for row in ROWS.values())],
)
def test_a_table_was_made_with_the_settings_that_are_shipped(name: str) -> None:
    content = load(name)
    folder = PROPERTIES / "tuned" / SHARED[content["dataset"]] / content["model"]
    rows = [row for row in content["parameters"] if (folder / f"{row}.yaml").is_file()]
    assert len(rows) >= 7
    for row in rows:
        shipped = read_yaml(folder / f"{row}.yaml")
        own = shipped.pop("neg_sampler_args", {})
        parameters, settings = content["parameters"][row], content["settings"][row]
        assert {key: parameters[key] for key in own} == own, row
        assert "epochs" in settings, "what all rows share is not written down"
        assert {k: settings[k] for k in shipped if k in settings} == {
            k: v for k, v in shipped.items() if k in settings
        }, row


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("row", ROWS)
def test_a_page_has_the_means_of_the_tables(row: str, page: str) -> None:
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    heads = next(line for line in lines if line.startswith("| | rns |"))
    line = next(line for line in lines if line.startswith(f"| {row} |"))
    cells = zip(heads.split("|")[2:-1], line.split("|")[2:-1], strict=True)
    shown = {head.split()[0]: re.sub(r"[* ]|\(.*\)", "", cell) for head, cell in cells}
    means = {
        m["sampler"]: m["mean"] for m in load(ROWS[row])["metrics"] if m["metric"] == "ndcg@20"
    }
    assert shown == {name: f"{means[name]:.4f}".removeprefix("0") for name in shown}
