"""The README stays true: its Python runs, its names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tiny import run_quickly

from recbole_bns import BNSConfig, losses
from recbole_bns.sampling import available
from recbole_bns.settings.declared import NO_SAMPLER

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = (
    TEXT,
    *((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("losses", "mixers")),
)
PROGRAMS = [
    program
    for page in PAGES
    for program in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_python_runs(number: int, tmp_path: Path) -> None:
    run_quickly(PROGRAMS[number], tmp_path)


def test_python_is_found() -> None:
    assert len(PROGRAMS) == 4 + 1 + 1


def test_table_lists_every_sampler() -> None:
    table = TEXT.split("## Samplers")[1].split("## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == {*available(), NO_SAMPLER}


def test_table_lists_every_loss() -> None:
    table = TEXT.split("## Losses")[1].split("## ")[0]
    named = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(named))) == set(losses.available())


CELLS = re.findall(r"^\| [^|]+ \| (`\w+: .*?) \|$", "".join(PAGES[1:]), re.MULTILINE)


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_a_method_is_made_of_settings_that_go_together(number: int) -> None:
    given = dict(re.findall(r"`([\w.]+): ([^`]+)`", CELLS[number]))
    assert len(given) >= 2
    config = BNSConfig(given.pop("model", "BPR"), "ml-100k", None, given)
    assert config["loss"] == given.get("loss", "kpair")
    assert config["mixer"] == given.get("mixer", "none")


def test_methods_are_found() -> None:
    assert len(CELLS) == 11 + 7


def test_own_sampler_takes_twenty_lines() -> None:
    own = next(program for program in PROGRAMS if "@register" in program)
    assert len([line for line in own.splitlines() if line.strip()]) <= 20


def test_files_and_commands_exist() -> None:
    for path in re.findall(r"`((?:properties|scripts|recbole_bns)/[\w./]*)[` ]", TEXT):
        assert (ROOT / path).exists(), path
    assert "pip install -c constraints.txt . && python run_recbole_bns.py" in TEXT
    assert 'pip install -c constraints.txt ".[test]" && pytest' in TEXT
