"""``recbole-bns samplers`` and ``losses``: the table, the pages, Markdown."""

from __future__ import annotations

import pytest
from screens import fits

from recbole_bns import losses, mixers
from recbole_bns.cli import listing, main, samplers
from recbole_bns.cli import losses as losses_command
from recbole_bns.cli import mixers as mixers_command
from recbole_bns.common.params import defaults
from recbole_bns.sampling import available

KINDS = {
    "samplers": (samplers.KIND, available()),
    "losses": (losses_command.KIND, losses.available()),
    "mixers": (mixers_command.KIND, mixers.available()),
}


@pytest.mark.parametrize("width", [80, 100, 300])
@pytest.mark.parametrize("command", KINDS)
def test_a_list_has_a_line_each_that_fits(command, width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main([command]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert fits(lines, width)
    kind, classes = KINDS[command]
    assert [line.split()[0] for line in lines] == ["name", *classes]
    start = lines[0].index("idea")
    for line, cls in zip(lines[1:], classes.values(), strict=True):
        said = line[start:].removesuffix("…")
        assert len(said) >= 20
        assert cls.idea.startswith(said)
        assert said == cls.idea or width < 300
        for fact in kind.short:
            assert kind.facts(cls)[fact].removeprefix("user and item ") in line[:start]


def test_what_a_draw_costs_and_needs():
    by_name = {name: samplers.facts(cls) for name, cls in available().items()}
    nothing = dict.fromkeys(("rns", "pns", "inbatch", "mixed", "all", "given"), "nothing")
    vectors = dict.fromkeys(("aobpr", "irgan", "rns_as", "advir"), "user and item vectors")
    needs = {name: facts["needs from the model"] for name, facts in by_name.items()}
    assert needs == dict.fromkeys(available(), "scores") | nothing | vectors
    costs = {name: facts["cost"] for name, facts in by_name.items()}
    few = {name for name, cost in costs.items() if cost == "few scores"}
    assert few >= {"ahns", "aobpr", "bns_plus", "cuco", "dns", "srns"}
    assert costs["bns"] == "all scores"
    assert costs["rns"] == "draws alone"
    assert costs["irgan"] == "all scores, learns"


@pytest.mark.parametrize(
    ("command", "name"), [(command, name) for command in KINDS for name in KINDS[command][1]]
)
def test_what_is_told_without_an_import_is_what_the_class_says(command, name):
    kind, classes = KINDS[command]
    of_table = listing.of_table(kind.setting, name)
    of_class = listing.of_class(classes[name], kind.facts)
    assert listing.pages([of_table]) == listing.pages([of_class])
    assert listing.markdown_of([of_table]) == listing.markdown_of([of_class])


def test_samplers_explains_the_ones_that_are_named(capsys):
    assert main(["samplers", "bns"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("bns: ")
    assert "Where we differ" in text
    assert "\nsrns: " not in text
    assert main(["samplers", "bsn"]) == 2
    assert "neg_sampler: got 'bsn'; did you mean 'bns'?" in capsys.readouterr().err


def test_losses_explains_the_ones_that_are_named(capsys):
    assert main(["losses", "gbce"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("gbce: ")
    assert "\n  similarity: dot; log q: none; Petrov & Macdonald, RecSys 2023\n" in text
    assert "Where we differ" in text
    assert main(["losses", "sms"]) == 2
    assert "loss: got 'sms'; did you mean 'ssm'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "columns", "classes"),
    [
        ("samplers", ["cost", "needs from the model"], available()),
        ("losses", ["similarity", "log q"], losses.available()),
        ("mixers", ["sampler", "loss"], mixers.available()),
    ],
)
def test_a_markdown_table(command, columns, classes, capsys):
    assert main([command, "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = ["name", "idea", *columns, "parameters = default: meaning (allowed)", "paper"]
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == heads
    assert set(lines[1]) <= set("|:- ")
    cells = [line.split("|") for line in lines]
    assert {len(row) for row in cells} == {len(heads) + 2}, "a cell holds a bar"
    assert [row[1].strip() for row in cells[2:]] == [f"`{name}`" for name in classes]
    for row, cls in zip(cells[2:], classes.values(), strict=True):
        assert all(f"`{key} = {value}`" in row[-3] for key, value in defaults(cls.Params).items())
