"""What a report finds in folders, in which order, and what it says of those it cannot read."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from run_folders import write_compared, write_comparison, write_run, write_sweep

from recbole_bns import UsageError, analysis
from recbole_bns.cli import main


def labels(*paths: Path | str) -> list[str]:
    """Labels in the order of the runs, each once."""
    return list(dict.fromkeys(run.label for run in analysis.read_runs(paths)))


def other(sampler: str) -> dict[str, object]:
    return {"neg_sampler": sampler, "neg_sampler_label": sampler, "neg_sampler_args": {}}


def test_the_folder_that_one_stands_in_is_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "runs" / "one")
    monkeypatch.chdir(tmp_path / "runs" / "one")
    assert main(["report", ".", "--out=page.html"]) == 0
    assert "BPR on tiny; 1 run." in Path("page.html").read_text(encoding="utf-8")


def test_a_run_of_a_comparison_is_one_from_inside_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_compared(tmp_path, "hard", 1)
    monkeypatch.chdir(run)
    assert labels(".") == ["hard"]


def test_all_that_is_finished_below_a_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "runs" / "alone", **other("dns"))
    write_compared(tmp_path / "deep" / "er" / "compared", "hard", 1)
    write_run(tmp_path / "tuned" / "winner", **other("pns"))
    write_run(tmp_path / "tuned" / "trials" / "one", **other("aobpr"))
    write_sweep(tmp_path / "tuned")
    write_run(tmp_path / ".kept" / "hidden", **other("srns"))
    (tmp_path / "runs" / "at work").mkdir()
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "result.json").write_text('{"loss": 1}\n{"loss": 2}\n', encoding="utf-8")
    (tmp_path / "runs" / "back").symlink_to(tmp_path, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    runs = analysis.read_runs(["."])
    assert [run.label for run in runs] == ["hard", "dns", "pns"]
    assert "trials" in runs[2].tables


def test_a_run_that_is_found_twice_counts_once(tmp_path: Path) -> None:
    run = write_compared(tmp_path / "c", "bns", 1)
    (tmp_path / "link").symlink_to(run, target_is_directory=True)
    paths = [run, tmp_path / "c", tmp_path, tmp_path / "c" / ".." / "c", tmp_path / "link"]
    assert len(analysis.read_runs(paths)) == 1


def test_samplers_are_in_the_order_of_the_comparison(tmp_path: Path) -> None:
    rows = ["rns", "srns", "bns", "dns"]
    for row in rows:
        for seed in (1, 2, 10):
            write_compared(tmp_path, row, seed, **other(row))
    write_comparison(tmp_path, rows[:3], "rns")  # as of a command without dns
    runs = analysis.read_runs([tmp_path])
    assert [(run.label, run.result["seed"]) for run in runs] == [
        (row, seed) for row in rows for seed in (1, 2, 10)
    ]


def test_runs_are_in_the_order_of_the_command_line(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, **other(name)) for name in ("aobpr", "bns", "dns")]
    assert labels(*reversed(folders)) == ["dns", "bns", "aobpr"]
    assert labels(folders[1], tmp_path) == ["bns", "aobpr", "dns"]
    compared = [write_compared(tmp_path / "c", row, 1, **other(row)) for row in ("srns", "pns")]
    write_comparison(tmp_path / "c", ["pns", "srns"], "pns")
    assert labels(*compared) == ["srns", "pns"]
    assert labels(tmp_path / "c") == ["pns", "srns"]


def test_the_page_has_the_tests_of_a_comparison(tmp_path: Path) -> None:
    rows = ["rns", "bns", "dns", "pns"]
    for row in rows[:3]:
        write_compared(tmp_path / "c", row, 1, **other(row))
    write_comparison(tmp_path / "c", rows, "rns")
    analysis.write_report(analysis.read_runs([tmp_path / "c"]), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    section = text.split('<h2 id="tests">')[1].split("<h2")[0]
    lines = re.findall(r"<tr><td>(\w+)</td>(.*?)</tr>", section)
    assert [(row, re.findall(r">([^<]+)</td>", cells)) for row, cells in lines] == [
        ("bns", ["+0.0100 (0.031, 2e-05)"] * 2),
        ("dns", ["+0.0200 (0.062, 2e-05)"] * 2),
    ]  # no run of pns is here
    assert "over 40 users" in section
    assert "recbole-bns compare --samplers=rns,bns,dns,pns" in text


def test_without_the_reference_there_are_no_tests(tmp_path: Path) -> None:
    run = write_compared(tmp_path, "bns", 1)
    write_compared(tmp_path, "rns", 1, **other("rns"))
    write_comparison(tmp_path, ["rns", "bns"], "rns")
    analysis.write_report(analysis.read_runs([run]), tmp_path / "page.html")
    assert 'id="tests"' not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_metric_without_a_test_has_its_difference(tmp_path: Path) -> None:
    for row in ("rns", "bns"):
        write_compared(tmp_path, row, 1, **other(row))
    write_comparison(tmp_path, ["rns", "bns"], "rns")
    content = json.loads((tmp_path / "compare.json").read_text(encoding="utf-8"))
    content["tests"][0] |= {"users": None, "p_t_holm": None, "p_wilcoxon_holm": None}
    (tmp_path / "compare.json").write_text(json.dumps(content), encoding="utf-8")
    analysis.write_report(analysis.read_runs([tmp_path]), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<td class="number">+0.0100</td><td class="number">+0.0100 (0.031, 2e-05)</td>' in text


def test_the_page_says_when_by_which_command_and_what_it_holds(in_tmp: Path) -> None:
    write_run(in_tmp / "a")
    write_run(in_tmp / "b <c>", **other("dns"))
    assert main(["report", "a", "b <c>", "--out=page.html"]) == 0
    text = Path("page.html").read_text(encoding="utf-8")
    command = "recbole-bns report a &#39;b &lt;c&gt;&#39; --out=page.html"
    assert f"<code>{command}</code>" in text
    assert re.search(r"<time>20\d\d-\d\d-\d\d \d\d:\d\d \S+</time>", text)
    contents = text.split('<nav id="contents">')[1].split("</nav>")[0]
    entries = re.findall(r'<a href="#(\w+)">([^<]+)</a>', contents)
    headings = re.findall(r'<h2 id="(\w+)">([^<]+)</h2>', text)
    assert entries == headings
    assert [name for name, _ in entries][:3] == ["runs", "metrics", "learning"]


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("result.json", "[]", "cannot read the run in 'run'"),
        ("result.json", '{"model": "BPR"}', "cannot read the run in 'run': it lacks 'dataset'"),
        ("settings.yaml", "- a", "cannot read the run in 'run'"),
        ("epochs.csv", "epoch,loss\n1,2\n", "epochs.csv lacks the column 'train_seconds'"),
        ("epochs.csv", "", "cannot read the run in 'run'"),
        ("negatives.csv", "a,b\n1,2\n", "negatives.csv lacks the column 'epoch'"),
        ("../compare/compare.json", "{", "cannot read the comparison in"),
        ("../compare/compare.json", "{}", "it lacks 'tests'"),
        ("../compare/runs/bns-1.json", "{", "cannot read the run in 'compare/runs/bns-1'"),
    ],
)
def test_what_cannot_be_read_is_named_in_a_sentence(
    in_tmp: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, sentence: str
) -> None:
    write_run(in_tmp / "run")
    write_compared(in_tmp / "compare", "bns", 1)
    (in_tmp / "run" / file).write_text(text, encoding="utf-8")
    assert main(["report", "run", "compare"]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert ".." not in error
    assert not (in_tmp / "report.html").exists()


@pytest.mark.parametrize("package", ["jinja2", "plotly"])
def test_a_missing_package_is_named_in_a_sentence(
    in_tmp: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    package: str,
) -> None:
    write_run(in_tmp / "run")
    for module in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "recbole_bns.analysis.in_browser", raising=False)
    assert main(["report", "run"]) == 2
    assert f"which is not installed; pip install {package}" in capsys.readouterr().err


def test_what_holds_no_run_is_named_with_the_reason(tmp_path: Path) -> None:
    file = write_run(tmp_path / "run") / "result.json"
    (tmp_path / "run" / "empty").mkdir()
    for path, sentence in (
        (file, r"holds no finished run \(it is a file\)"),
        (tmp_path / "none", r"holds no finished run \(there is no such folder\)"),
        (tmp_path / "run" / "empty", "holds no finished run; allowed"),
    ):
        with pytest.raises(UsageError, match=sentence):
            analysis.read_runs([path])
