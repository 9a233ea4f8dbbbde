"""Titles of items, from whatever ``.item`` file there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_bns.datasets.titles import titles_of

CASES = [
    ("item_id:token\tmovie_title:token_seq\tyear:float\n1\tToy Story\t1995\n", {"1": "Toy Story"}),
    ("item_id:token\ttitle:token\n1\tToy Story\n2\t\n", {"1": "Toy Story", "2": ""}),
    ("item_id:token\tbrand_name:token\tname:token\n1\tb\tn\n", {"1": "n"}),
    ("item_id:token\tbrand_name:token\n1\tb\n", {"1": "b"}),
    ("item_id:token\tyear:float\n1\t1995\n", {}),
    ("no header\n", {}),
    ("item_id:token\ttitle:token\n1\n", {}),
]


@pytest.mark.parametrize(("content", "titles"), CASES)
def test_titles(tmp_path: Path, content: str, titles: dict[str, str]) -> None:
    config = {
        "data_path": str(tmp_path),
        "dataset": "x",
        "ITEM_ID_FIELD": "item_id",
        "field_separator": "\t",
        "seq_separator": " ",
        "encoding": None,
    }
    assert titles_of(config) == {}, "there is no file"
    (tmp_path / "x.item").write_text(content, encoding="utf-8")
    assert titles_of(config) == titles
