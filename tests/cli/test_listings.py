"""``recbole-bns samplers`` and ``losses``: the table, the pages, Markdown."""

from __future__ import annotations

import pytest

from recbole_bns import losses, mixers
from recbole_bns.cli import main
from recbole_bns.common.params import defaults
from recbole_bns.sampling import available


def test_samplers_lists_every_sampler_with_its_parameters(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["samplers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    rows = table_rows(lines)
    assert list(rows) == ["name", *available()]
    for name, cls in available().items():
        _, idea, needs, parameters, paper = rows[name]
        assert idea == cls.idea
        assert paper == cls.paper
        nothing = dict.fromkeys(("rns", "pns", "inbatch", "mixed", "given", "all"), "nothing")
        vectors = dict.fromkeys(("aobpr", "irgan", "rns_as", "advir"), "user and item vectors")
        assert needs == {**nothing, **vectors}.get(name, "scores")
        for key, value in defaults(cls.Params).items():
            assert f"{key} = {value}: " in parameters
    assert "(an integer >= 1 or 'all')" in rows["bns"][3]


def test_losses_lists_every_loss_with_its_parameters(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["losses"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    rows = table_rows(lines)
    assert list(rows) == ["name", *losses.available()]
    for name, cls in losses.available().items():
        _, idea, similarity, log_q, parameters, paper = rows[name]
        assert idea.replace(" ", "") == cls.idea.replace(" ", "")  # lines break at hyphens too
        assert paper == cls.paper
        assert (similarity, log_q) == (cls.similarity, ", ".join(cls.log_q))
        for key, value in defaults(cls.Params).items():
            assert f"{key} = {value}: " in parameters
    assert rows["ssm"][2:4] == ["cosine", "none, negatives, both, corrected"]


def table_rows(lines: list[str]) -> dict[str, list[str]]:
    """Cells of a drawn table by the first one, each joined to one line."""
    number = lines[0].count("┬") + 1
    rows, cells = {}, [""] * number
    for line in lines:
        if line.startswith("│"):
            parts = [part.strip() for part in line.strip("│").split("│")]
            cells = [f"{cell} {part}".strip() for cell, part in zip(cells, parts, strict=True)]
        elif any(cells):
            rows[cells[0]], cells = cells, [""] * number
    return rows


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
        ("samplers", ["needs from the model"], available()),
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
