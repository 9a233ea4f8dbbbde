"""``recbole-bns runs``: what lies in a folder of runs, whole, unfinished or broken."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from screens import fits

from recbole_bns.adapters.evaluation import SMALLER_IS_BETTER
from recbole_bns.cli import main
from recbole_bns.cli.runs import HEADS, size_of
from recbole_bns.runs import folder, listing
from recbole_bns.runs.listing import read_entries

KEPT = Path(__file__).parent / "before_the_move"


@pytest.fixture
def runs(in_tmp: Path) -> Path:
    """Folders that commands of old have left, and some made by hand; the last one is the newest."""
    root = in_tmp / "runs"
    for name in ("finished", "memory", "compared"):
        shutil.copytree(KEPT / name, root / name)
    begun = root / "deeper" / "begun"
    begun.mkdir(parents=True)
    settings = yaml.safe_load((KEPT / "finished" / "settings.yaml").read_text(encoding="utf-8"))
    settings |= {"loss": "ssm", "epochs": 9, "neg_sampler": "dns"}
    (begun / "settings.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (begun / "epochs.csv").write_text(
        "epoch,train_loss,ndcg@20\n1,0.5,\n2,0.4,0.25\n3,0.4,0.2\n", encoding="utf-8"
    )
    swept = root / "swept"
    swept.mkdir()
    held = {"model": "BPR", "dataset": "tiny", "settings": {"neg_sampler": "dns"}, "metric": "m@5"}
    (swept / "sweep.json").write_text(json.dumps({"held": held}), encoding="utf-8")
    lines = [{"trial": "a", "found": {}}, {"trial": "a", "status": "finished"}, {"trial": "b"}]
    text = "\n".join(map(json.dumps, lines)) + '\n{"tor'
    (swept / "trials.jsonl").write_text(text, encoding="utf-8")
    for name, file, words in (
        ("torn", "result.json", '{"model": "B'),
        ("other", "settings.yaml", "- 1\n- 2\n"),
        ("nothing", "notes.txt", "x"),
    ):
        (root / name).mkdir()
        (root / name / file).write_text(words, encoding="utf-8")
    order = ["finished", "memory", "compared", "deeper/begun", "swept", "torn", "other", "nothing"]
    for place, name in enumerate(order):
        for path in (root / name).rglob("*"):
            os.utime(path, (1e9 + place, 1e9 + place))
    return root


def test_every_folder_is_an_entry_newest_first(runs):
    found = {entry.name: entry for entry in read_entries(runs)}
    assert list(found) == [
        "nothing",
        "other",
        "torn",
        "swept",
        "deeper/begun",
        "compared",
        "memory",
        "finished",
    ]
    done = found["finished"]
    assert (done.data, done.model, done.sampler) == ("tiny", "BPR", "bns_plus")
    assert (done.metric, done.epochs, done.state) == ("ndcg@20", 2, "finished")
    assert done.valid == pytest.approx(0.1969694284729483, abs=0)
    assert done.test == pytest.approx(0.234845732056207, abs=0)
    files = [path for path in (runs / "finished").rglob("*") if path.is_file()]
    assert done.size == sum(path.stat().st_size for path in files)

    begun = found["deeper/begun"]
    assert (begun.sampler, begun.state, begun.epochs, begun.planned) == (
        "dns+ssm",
        "unfinished",
        3,
        9,
    )
    assert (begun.valid, begun.test) == (0.25, None)

    compared = found["compared"]
    assert (compared.kind, compared.sampler, compared.state) == (
        "comparison",
        "bns, rns",
        "finished",
    )
    result = json.loads((runs / "compared" / "runs" / "bns-1.json").read_text())["result"]
    other = json.loads((runs / "compared" / "runs" / "rns-1.json").read_text())["result"]
    best = max((result, other), key=lambda each: each["best_valid_result"]["ndcg@20"])
    assert compared.test == best["test_result"]["ndcg@20"]
    assert compared.note == f"2 runs, best in validation: {best['neg_sampler']}"

    swept = found["swept"]
    assert (swept.kind, swept.data, swept.sampler, swept.state) == (
        "sweep",
        "tiny",
        "dns",
        "unfinished",
    )
    assert swept.note == "1 trials, 1 not finished"
    assert {found[name].kind for name in ("torn", "other", "nothing")} == {"broken"}
    assert "'settings.yaml' is no mapping" in found["other"].note


def test_a_winner_speaks_for_its_sweep(runs):
    shutil.copytree(KEPT / "memory", runs / "swept" / "winner")
    (runs / "swept" / "tune.md").write_text("", encoding="utf-8")
    swept = next(entry for entry in read_entries(runs) if entry.name == "swept")
    assert (swept.model, swept.sampler, swept.state) == ("LightGCN", "srns", "finished")
    assert swept.valid is not None


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_the_list_fits_the_screen(width, runs, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert fits(out.splitlines(), width)
    for entry in read_entries(runs):
        assert entry.name in out
    assert "3 of 9" in out
    assert (out.split()[: len(HEADS)] == list(HEADS)) == (width == 200)
    assert "torn: cannot be read as a run: " in out


@pytest.mark.parametrize(
    ("key", "first"),
    [
        ("name", "compared"),
        ("test", "finished"),
        ("valid", "deeper/begun"),
        ("size", "memory"),
        ("epochs", "deeper/begun"),
    ],
)
def test_a_list_is_sorted(key, first, runs, capsys):
    assert main(["runs", f"--sort={key}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == first


def test_one_folder_an_empty_one_and_none(runs, capsys):
    assert main(["runs", "runs/finished", "--json"]) == 0
    (only,) = json.loads(capsys.readouterr().out)
    assert (only["name"], only["kind"], only["epochs"]) == ("finished", "run", 2)
    Path("empty").mkdir()
    assert main(["runs", "empty"]) == 0
    assert capsys.readouterr() == ("", "no runs in empty\n")
    assert main(["runs", "nowhere"]) == 2
    assert capsys.readouterr().err == (
        "recbole-bns: runs: got 'nowhere', but there is no such folder; allowed is a folder with "
        "runs in it.\n"
    )
    assert main(["runs", "--sort=colour"]) == 2
    assert "allowed: date, name, data" in capsys.readouterr().err


def test_names_of_files_and_metrics_are_those_of_who_writes_them():
    assert (listing.SETTINGS, listing.RESULT) == (folder.SETTINGS, folder.RESULT)
    assert set(listing._SMALLER) == set(SMALLER_IS_BETTER)


def test_sizes_in_words():
    assert [size_of(n) for n in (0, 999, 1000, 999_499, 1_250_000, 3_000_000_000)] == [
        "0 B",
        "999 B",
        "1 kB",
        "999 kB",
        "1.2 MB",
        "3.0 GB",
    ]
