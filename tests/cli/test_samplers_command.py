"""``recbole-bns samplers``: the table, the pages, Markdown."""

from __future__ import annotations

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
        nothing = dict.fromkeys(("rns", "pns", "inbatch", "mixed", "all"), "nothing")
        assert needs == {**nothing, "aobpr": "user and item vectors"}.get(name, "scores")
        for key, value in defaults(cls.Params).items():
            assert f"{key} = {value}: " in parameters
    assert "(an integer >= 1 or 'all')" in rows["bns"][3]


def table_rows(lines: list[str]) -> dict[str, list[str]]:
    """Cells of a drawn table by the first one, each joined to one line."""
    rows, cells = {}, [""] * 5
    for line in lines:
        if line.startswith("│"):
            parts = [part.strip() for part in line.strip("│").split("│")]
            cells = [f"{cell} {part}".strip() for cell, part in zip(cells, parts, strict=True)]
        elif any(cells):
            rows[cells[0]], cells = cells, [""] * 5
    return rows


def test_samplers_explains_the_ones_that_are_named(capsys):
    assert main(["samplers", "bns"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("bns: ")
    assert "Where we differ" in text
    assert "\nsrns: " not in text
    assert main(["samplers", "bsn"]) == 2
    assert "neg_sampler: got 'bsn'; did you mean 'bns'?" in capsys.readouterr().err


def test_samplers_as_a_markdown_table(capsys):
    assert main(["samplers", "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == [
        "name",
        "idea",
        "needs from the model",
        "parameters = default: meaning (allowed)",
        "paper",
    ]
    assert set(lines[1]) <= set("|:- ")
    cells = [line.split("|") for line in lines]
    assert {len(row) for row in cells} == {7}, "a cell holds a bar"
    assert [row[1].strip() for row in cells[2:]] == [f"`{name}`" for name in available()]
    for row, cls in zip(cells[2:], available().values(), strict=True):
        assert all(f"`{key} = {value}`" in row[4] for key, value in defaults(cls.Params).items())
