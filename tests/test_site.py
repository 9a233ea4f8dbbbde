"""The documentation site and the package that is published: pages from the code, links, addresses.

That the whole builds without a warning is checked by ``.ci/run``, which has MkDocs.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny import ROOT, run_quickly

import recbole_bns
from recbole_bns.cli.doctor import TESTED
from recbole_bns.common.params import outside

SITE = SimpleNamespace(**run_path(str(ROOT / "scripts" / "site_pages.py"), run_name="site_pages"))
SETUP = SimpleNamespace(**run_path(str(ROOT / "setup.py"), run_name="setup"))
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SMALL = {"compare_samplers": ("1", "1")}
"""Example -> its words where one epoch is not enough said."""


@pytest.mark.parametrize("kind", SITE.KINDS)
def test_each_method_has_a_page_with_all_its_parameters_and_its_formula(kind: str) -> None:
    pages = SITE.made_pages()
    for name, cls in SITE.registered(kind).items():
        page = pages[f"{SITE._folder(kind)}/{name}.md"]
        assert page.startswith(f"# {name}\n")
        for field in dataclasses.fields(cls.Params):
            assert f"\n| `{outside(field.name)}` | `{field.default}` | " in page
        chapter = inspect.getdoc(inspect.getmodule(cls)) or ""
        formulas = [line for line in chapter.splitlines() if line.startswith("    ")]
        assert all(f"\n{line}\n" in page for line in formulas)


def test_a_table_links_the_names_of_the_kind_alone() -> None:
    row = "| `sl`, `bsl` | softmax | `other` |"
    linked = "| [`sl`](losses/sl.md), [`bsl`](losses/bsl.md) | softmax | `other` |"
    assert SITE.linked_names(row, "loss") == linked
    assert SITE.linked_names("| `none` | | |", "sampler") == "| `none` | | |"


def test_every_public_name_is_shown() -> None:
    page = SITE.api_page()
    for name in set(recbole_bns.__all__) - {"__version__"}:
        assert f"\n::: recbole_bns.{name}\n" in page, name
    for name in ("losses.Loss", "mixers.Mixer", "testing.SamplerContract", "tuning.trainable"):
        assert f"\n::: recbole_bns.{name}\n" in page, name


@pytest.mark.parametrize(
    ("place", "link", "on_site"),
    [
        ("index.md", "docs/data.md#a", "data.md#a"),
        ("index.md", "results/README.md", "results/README.md"),
        ("index.md", "examples/own_data.py", "examples.md#own_data"),
        ("data.md", "../results/losses.md", "results/losses.md"),
        ("data.md", "samplers.md", "samplers.md"),
        ("how.md", "../CONTRIBUTING.md", "contributing.md"),
        ("results/noise.md", "../docs/study.md", "../study.md"),
        ("results/noise.md", "pictures/scores.png", "pictures/scores.png"),
        ("index.md", "https://recbole.io", "https://recbole.io"),
    ],
)
def test_a_link_leads_to_the_page_of_the_site(place: str, link: str, on_site: str) -> None:
    assert SITE.site_links(f"a [word]({link}) b", place) == f"a [word]({on_site}) b"


def test_a_link_to_what_is_no_page_becomes_text() -> None:
    assert SITE.site_links("see [the file](../CITATION.cff).", "citing.md") == "see the file."


def test_every_page_is_in_the_navigation_and_exists() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    named = set(re.findall(r"([\w-]+\.md)$", text, re.MULTILINE))
    made = {page for page in SITE.made_pages() if "/" not in page} | set(SITE.COPIED.values())
    assert named == made | {path.name for path in (ROOT / "docs").glob("*.md")}


def test_the_examples_are_shown_whole() -> None:
    page = SITE.examples_page()
    assert len(EXAMPLES) >= 5
    for path in EXAMPLES:
        assert f"{{ #{path.stem} }}" in page
        assert path.read_text(encoding="utf-8").split('"""', 2)[2].strip() in page


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    script = f"import runpy; runpy.run_path({str(path)!r}, run_name='__main__')"
    run_quickly(script, tmp_path, *SMALL.get(path.stem, ("1",)))


# --- what is published -------------------------------------------------------------------------

ADDRESS = "https://code.example/team/recbole_bns"
"""Of nobody: `.example` is reserved."""


def filled_in(repository: str) -> dict[str, Any]:
    """The addresses of a ``pyproject.toml`` in which one was filled in."""
    text = PYPROJECT.replace('repository = ""', f'repository = "{repository}"')
    found: dict[str, Any] = SETUP.addresses(text)
    return found


def test_one_address_gives_all_links() -> None:
    found = filled_in(f"{ADDRESS}/")
    assert SETUP.project_urls(found) == {
        "Repository": ADDRESS,
        "Issues": f"{ADDRESS}/issues",
        "Changelog": f"{ADDRESS}/blob/main/CHANGELOG.md",
    }
    text = SETUP.readme_elsewhere(README, found["repository"])
    assert f"]({ADDRESS}/blob/main/docs/data.md)" in text
    assert f"]({ADDRESS}/raw/main/results/pictures/true_negatives.png)" in text
    assert not re.search(r"\]\((?!https?:|#)", text)


def test_without_an_address_nothing_is_made_up() -> None:
    assert SETUP.project_urls(filled_in("")) == {}
    text = SETUP.readme_elsewhere(README, "")
    assert not re.search(r"\]\((?!https?:|#)", text)
    assert "[your own data]" not in text
    assert "your own data" in text
    outside_links = set(re.findall(r"\]\((https?://[^/)]+)", text))
    assert outside_links == {"https://img.shields.io", "https://recbole.io"}


def test_the_badges_say_what_the_package_says() -> None:
    pythons = re.findall(r"Python :: (3\.\d+)", PYPROJECT)
    assert f"python-{pythons[0]}_to_{pythons[-1]}-" in README
    assert f'requires-python = ">={pythons[0]}"' in PYPROJECT
    assert "licence-MIT-" in README
    assert 'license = "MIT"' in PYPROJECT
    assert f"recbole-{'_or_'.join(TESTED['recbole'])}-" in README


def test_what_makes_the_site_is_pinned() -> None:
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    extras = re.findall(r"^(?:docs|publish) = \[(.*)\]$", PYPROJECT, re.MULTILINE)
    names = re.findall(r'"([\w-]+)', " ".join(extras))
    assert {"mkdocs-material", "mkdocstrings", "build", "twine"} <= set(names)
    for name in names:
        assert re.search(rf"^{name}==", pinned, re.MULTILINE), name


if sys.version_info >= (3, 11):

    def test_the_addresses_are_read_as_toml_reads_them() -> None:
        import tomllib

        table = tomllib.loads(PYPROJECT)["tool"]["addresses"]
        assert SETUP.addresses(PYPROJECT) == {key: at for key, at in table.items() if at}
