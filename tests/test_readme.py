"""README and documentation stay true: their Python runs, names, files and links exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tiny import run_quickly

from recbole_bns import BNSConfig, losses
from recbole_bns.sampling import available
from recbole_bns.settings.declared import NO_SAMPLER

ROOT = Path(__file__).parent.parent
PATHS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in PATHS}
TEXT = PAGES["README"]
PROGRAMS = [
    program
    for page in PAGES.values()
    for program in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_python_runs(number: int, tmp_path: Path) -> None:
    run_quickly(PROGRAMS[number], tmp_path)


def test_python_is_found() -> None:
    assert len(PROGRAMS) == 1 + 2 + 4  # README, recbole, and one each of four pages


def test_table_lists_every_sampler() -> None:
    table = PAGES["samplers"].split("## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == {*available(), NO_SAMPLER}


def test_table_lists_every_loss() -> None:
    table = PAGES["losses"].split("## All losses")[1].split("## ")[0]
    named = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(named))) == set(losses.available())


CELLS = re.findall(r"^\| [^|]+ \| (`\w+: .*?) \|$", PAGES["losses"] + PAGES["mixers"], re.MULTILINE)


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


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_files_and_links_exist(path: Path) -> None:
    page = PAGES[path.stem]
    folders = "properties|scripts|recbole_bns|benchmarks|results|tests|examples"
    for name in re.findall(rf"`((?:{folders})/[\w./]*)[` ]", page):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"\]\((?!https?:|#)([^)#]+)", page):
        assert (path.parent / name).exists(), name


def test_the_readme_is_short_and_has_the_commands() -> None:
    assert len(TEXT.splitlines()) <= 150
    assert "pip install -c constraints.txt . && python run_recbole_bns.py" in TEXT
    assert 'pip install -c constraints.txt ".[test]" && pytest' in TEXT
