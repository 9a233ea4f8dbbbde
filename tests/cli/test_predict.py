"""``predict`` and ``export`` as commands: what is asked before anything is loaded, moved data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from recbole_bns import load, run_recbole_bns
from recbole_bns.cli import main
from recbole_bns.cli.predict import users_of
from recbole_bns.common.errors import UsageError
from recbole_bns.training import trained


@pytest.fixture
def moved(data_path: Path, in_tmp: Path) -> Path:
    """The folder of a run whose data set has moved from ``here`` to ``there``."""
    shutil.copytree(data_path / "tiny", "here/tiny")
    given = {
        "data_path": "here",
        "use_gpu": False,
        "epochs": 1,
        "embedding_size": 8,
        "show_progress": False,
        "neg_sampler": "rns",
    }
    run_recbole_bns("BPR", "tiny", None, given, out="run")
    Path("here").rename("there")
    return Path("run")


@pytest.mark.parametrize("command", ["predict", "export"])
def test_data_that_have_moved_are_named(moved, capsys, command):
    capsys.readouterr()
    assert main([command, f"--checkpoint={moved}", "--out=x.csv"]) == 2
    said = capsys.readouterr().err
    assert "here/tiny/tiny.inter" in said
    assert "--data_path=DIR" in said
    assert main([command, f"--checkpoint={moved}", "--out=x.csv", "--data_path=nowhere"]) == 2
    assert "there is no file nowhere/tiny/tiny.inter" in capsys.readouterr().err
    assert not Path("x.csv").exists()
    assert main([command, f"--checkpoint={moved}", "--out=x.csv", "--data_path", "there"]) == 0
    assert Path("x.csv").exists()


def test_users_who_are_named_twice_appear_once(moved, capsys):
    words = [f"--checkpoint={moved}", "--data_path=there", "--k=2", "--out=a.csv"]
    assert main(["predict", *words, "--users=u2,u1,u2,u1"]) == 0
    assert "written: a.csv, 4 lines, 2 users" in capsys.readouterr().out
    assert pd.read_csv("a.csv")["user_id"].tolist() == ["u2", "u2", "u1", "u1"]
    model = load(moved, data_path="there")
    assert model.recommend(["u3", "u3"], 4)["user_id"].tolist() == ["u3"] * 4


@pytest.mark.parametrize("command", ["predict", "export"])
def test_a_folder_without_a_run_is_a_matter_of_checkpoint(in_tmp, capsys, command):
    assert main([command, "--checkpoint=nowhere"]) == 2
    assert capsys.readouterr().err == (
        "recbole-bns: --checkpoint: 'nowhere' is no folder of a run (there is no settings.yaml in "
        "it); name one such as runs/..., or a file in its checkpoints/.\n"
    )
    with pytest.raises(UsageError, match=r"^--checkpoint: 'nowhere' is no folder of a run"):
        trained.load("nowhere")
    assert main(["run", "--resume=nowhere"]) == 2
    assert "--resume: 'nowhere' is no folder of a run" in capsys.readouterr().err


def test_who_is_named(in_tmp):
    Path("who.txt").write_text("﻿u5\n\n u2 \n", encoding="utf-8")
    assert users_of("who.txt") == ["u5", "u2"]
    assert users_of("u1, u2,") == ["u1", "u2"]
    assert users_of("all") is None
    assert users_of(None) is None
    many = [f"u{number}" for number in range(1000)]
    assert users_of(",".join(many)) == many, "longer than the name of a file can be"


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"\n \n", "no user"), (b"\xff\xfe\0", "cannot")]
)
def test_a_file_of_users_that_is_none(in_tmp, capsys, content, sentence):
    Path("who").write_bytes(content)
    with pytest.raises(UsageError, match=f"^--users: {sentence} .*'who'"):
        users_of("who")
    with pytest.raises(UsageError, match=r"^--users: no user is named in ' , '; write ids"):
        users_of(" , ")
