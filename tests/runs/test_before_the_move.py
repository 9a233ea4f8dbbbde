"""Folders that an earlier layout of the package wrote are resumed, compared, reported, served.

``before_the_move/`` was written by commit 9161a26 (``data_path`` replaced by ``DATA``).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from recbole_bns.cli import main

OLD = Path(__file__).parent / "before_the_move"


@pytest.fixture
def folder(in_tmp: Path) -> Path:
    """A copy of the old folders, with their data where the settings say."""
    target = in_tmp / "old"
    shutil.copytree(OLD, target)
    for path in [*target.rglob("settings.yaml"), *target.rglob("*.json")]:
        text = path.read_text(encoding="utf-8").replace("DATA", str(target / "data"))
        path.write_text(text, encoding="utf-8")
    return target


@pytest.mark.parametrize("run", ["finished", "memory"])
def test_a_run_goes_on_with_more_epochs(folder: Path, run: str) -> None:
    words = ["run", f"--resume={folder / run}", "--epochs=3", "--show_progress=False"]
    assert main(words) == 0
    result = json.loads((folder / run / "result.json").read_text(encoding="utf-8"))
    assert result["epochs"] == 3
    epochs = pd.read_csv(folder / run / "epochs.csv")
    before = pd.read_csv(OLD / run / "epochs.csv")
    assert epochs["train_loss"].tolist()[:2] == before["train_loss"].tolist()


def test_a_finished_run_is_known_as_finished(folder: Path, capsys) -> None:
    assert main(["run", f"--resume={folder / 'finished'}"]) == 0
    assert "is finished already" in capsys.readouterr().out


def test_a_run_is_served(folder: Path) -> None:
    out = folder / "best.csv"
    words = [f"--checkpoint={folder / 'finished'}", "--users=u1,u2", "--k=3", f"--out={out}"]
    assert main(["predict", *words]) == 0
    assert len(pd.read_csv(out)) == 6
    assert main(["export", f"--checkpoint={folder / 'memory'}", f"--out={folder / 'v'}"]) == 0


def test_a_comparison_goes_on(folder: Path, capsys) -> None:
    words = [
        "--model=BPR",
        "--dataset=tiny",
        f"--data_path={folder / 'data'}",
        "--epochs=2",
        "--samplers=rns,bns",
        "--seeds=[1]",
        "--use_gpu=False",
        "--embedding_size=4",
        "--show_progress=False",
        "--train_batch_size=256",
    ]  # what it was made with
    out = folder / "compared"
    kept = (out / "runs" / "bns-1" / "checkpoints" / "best.pt").stat().st_mtime_ns
    assert main(["compare", *words, f"--out={out}"]) == 0
    text = capsys.readouterr().out
    assert "| bns" in text
    assert (out / "runs" / "bns-1" / "checkpoints" / "best.pt").stat().st_mtime_ns == kept
    before = json.loads((OLD / "compared" / "compare.json").read_text(encoding="utf-8"))
    after = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    assert after["metrics"] == before["metrics"]
    assert after["tests"] == before["tests"]


def test_all_of_them_are_reported(folder: Path) -> None:
    page = folder / "page.html"
    runs = [str(folder / name) for name in ("finished", "memory", "compared")]
    assert main(["report", *runs, f"--out={page}"]) == 0
    assert "bns_plus" in page.read_text(encoding="utf-8")
