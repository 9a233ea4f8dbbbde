"""The page as an HTML parser has it: headings, contents, names for who cannot see, its looks."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from run_folders import write_compared, write_comparison, write_run
from test_report_groups import DNS, RNS, add_groups

from recbole_bns import analysis
from recbole_bns.analysis.chart import COLOURS, DASHES, MARKERS, Chart
from recbole_bns.analysis.in_browser import DASHES as SVG_DASHES
from recbole_bns.analysis.in_browser import MARKERS as SVG_MARKERS
from recbole_bns.analysis.in_browser import panels
from recbole_bns.runs import commands

VOID = {"meta", "link", "br", "hr", "img", "input", "path"}


class Reader(HTMLParser):
    """Elements with their attributes, in order, and whether each is closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and self.open.pop() != tag:
            self.wrong.append(tag)

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a comparison with tests, a single run of other data, and groups."""
    folder = tmp_path_factory.mktemp("page")
    for row, more in (("rns", RNS), ("dns", DNS)):
        add_groups(write_compared(folder / "c", row, 1, **more))
    write_comparison(folder / "c", ["rns", "dns"], "rns")
    with commands.given(["recbole-bns", "run", "--out=<a>"]):
        commands.note(add_groups(write_run(folder / "other", dataset="other")))
    analysis.write_report(analysis.read_runs([folder]), folder / "page.html", command="report")
    return (folder / "page.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(re.sub(r"<script[^>]*>.*?</script>", "", text, flags=re.DOTALL))
    return reader


def test_elements_are_closed_and_ids_are_one_of_a_kind(read: Reader) -> None:
    assert read.wrong == []
    assert read.open == []
    ids = [each["id"] for _, each in read.elements if "id" in each]
    assert len(ids) == len(set(ids))


def test_contents_lead_to_headings_which_are_in_order(read: Reader) -> None:
    headings = [(tag, each.get("id")) for tag, each in read.elements if re.fullmatch("h[1-6]", tag)]
    links = [str(each["href"]) for each in read.of("a")]
    assert links == [f"#{name}" for tag, name in headings if tag == "h2"]
    assert {"#groups", "#tests", "#item_groups", "#user_groups"} <= set(links)
    levels = [int(tag[1]) for tag, _ in headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_commands_stand_on_the_page_as_text(text: str) -> None:
    assert "recbole-bns run &#39;--out=&lt;a&gt;&#39;</td>" in text
    assert "recbole-bns compare --samplers=rns,dns</code>" in text


def test_nothing_is_fetched(read: Reader) -> None:
    for tag, attributes in read.elements:
        assert tag not in {"link", "iframe", "img"}
        assert not {"src", "srcset", "data", "action"} & set(attributes)
        assert str(attributes.get("href", "#")).startswith("#")


def test_figures_and_scrolling_boxes_have_names_and_the_keyboard_reaches_them(
    read: Reader,
) -> None:
    pictures = [each for each in read.of("div") if each.get("role") == "img"]
    assert len(pictures) == sum(each.get("class") == "panel" for each in read.of("div"))
    assert all(str(each["aria-label"]).count(":") >= 1 for each in pictures)
    assert len({each["aria-label"] for each in pictures}) == len(pictures)
    boxes = [each for each in read.of("div") if each.get("class") == "scroll"]
    assert len(boxes) == len(read.of("table"))
    assert all(each["tabindex"] == "0" and each["aria-label"] for each in boxes)
    ids = {each["id"] for each in read.of("h2")}
    assert all(each["aria-labelledby"] in ids for each in read.of("figure"))
    assert all(each["aria-pressed"] == "true" for each in read.of("button"))


def test_the_looks_are_there_for_telephone_dark_and_paper(text: str, read: Reader) -> None:
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in read.of("meta")
    looks = text.split("<style>")[1].split("</style>")[0]
    assert looks.count("{") == looks.count("}")
    printed = looks.split("@media print")[1]
    assert ".modebar { display: none" in printed
    assert "color-scheme: light;" in printed
    assert ".scroll { overflow: visible; }" in printed
    assert "figure { margin: 0.5rem 0 0; break-inside: avoid; }" in looks
    assert ".scroll { overflow-x: auto;" in looks
    assert "minmax(min(100%, 26rem), 1fr)" in looks  # a panel a row below


def light_of(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    dark, light = sorted((light_of(first), light_of(second)))
    return (light + 0.05) / (dark + 0.05)


def test_words_and_curves_stand_out_from_both_backgrounds(text: str) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    looks = text.split("<style>")[1].split("body {")[0]
    themes = [dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in looks.split("@media")[:2]]
    themes[1] = dict(re.findall(r"--(\w+): (#\w{6})", looks.split("@media", 1)[1]))
    for theme in themes:
        for back in ("back", "mark"):
            assert contrast(theme["text"], theme[back]) >= 4.5
        for words in ("soft", "link"):
            assert contrast(theme[words], theme["back"]) >= 4.5
        assert min(contrast(colour, theme["back"]) for colour in COLOURS) >= 3


def test_the_legend_knows_all_dashes_and_markers() -> None:
    assert set(SVG_DASHES) == set(DASHES)
    assert set(SVG_MARKERS) == set(MARKERS)


def test_long_names_of_axes_are_broken(tmp_path: Path) -> None:
    import pandas as pd

    name = "share of the user's negatives that score no higher than it"
    table = pd.DataFrame({"panel": "", "series": "a", "x": ["tail", "head"], "y": [1, 2]})
    chart = Chart("c", "A chart", "Read it.", table, name, "y", order=("head", "mid", "tail"))
    (panel,) = panels(chart)
    assert panel.figure.layout.xaxis.title.text.count("<br>") == 1
    assert panel.figure.layout.xaxis.categoryarray == ("head", "mid", "tail")
    assert panel.words == f"A chart: y against {name}; a"
