"""``predict`` on the screen, for a list of items, of someone new; ``export`` as safetensors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

import recbole_bns
from recbole_bns import Model, run_recbole_bns
from recbole_bns.cli import main
from recbole_bns.common import table_files


@pytest.fixture(scope="module")
def run(data_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = {
        "data_path": str(data_path),
        "use_gpu": False,
        "epochs": 1,
        "embedding_size": 8,
        "show_progress": False,
        "neg_sampler": "rns",
    }
    folder = tmp_path_factory.mktemp("run") / "bpr"
    run_recbole_bns("BPR", "tiny", None, given, out=folder)
    return folder


@pytest.fixture(scope="module")
def model(run: Path) -> Model:
    return recbole_bns.load(run)


def lines_of(text: str) -> list[list[str]]:
    """Cells of the rows of a table on the screen."""
    return [line.split() for line in text.splitlines()[2:]]


def test_few_users_are_a_table_on_the_screen(run, model, in_tmp, capsys):
    assert main(["predict", f"--checkpoint={run}", "--users=u7,u2", "--k=3"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].split() == ["user_id", "item_id", "rank", "score"]
    wanted = model.recommend(["u7", "u2"], 3)
    assert lines_of(said) == [
        [row.user_id, row.item_id, str(row.rank), f"{row.score:.4f}"]
        for row in wanted.itertuples(index=False)
    ]
    assert not list(in_tmp.iterdir()), "a file was written"


def test_many_users_are_a_file(run, in_tmp, capsys):
    assert main(["predict", f"--checkpoint={run}", "--k=2"]) == 0
    assert capsys.readouterr().out == "written: recommendations.csv, 80 lines, 40 users\n"
    assert main(["predict", f"--checkpoint={run}", "--k=1", f"--similar={ELEVEN}"]) == 0
    assert capsys.readouterr().out == "written: similar.csv, 11 lines, 11 items\n"


ELEVEN = ",".join(f"i{number}" for number in range(11))


def test_only_and_never_are_ids_or_files(run, model, in_tmp, capsys):
    Path("only.txt").write_text("i1\ni2\n\ni3\ni4\n", encoding="utf-8")
    words = [f"--checkpoint={run}", "--users=u2", "--exclude=none"]
    assert main(["predict", *words, "--only=only.txt", "--never=i2,i4", "--out=a.csv"]) == 0
    assert set(pd.read_csv("a.csv")["item_id"]) == {"i1", "i3"}
    capsys.readouterr()
    assert main(["predict", *words, "--only=i1", "--never=i1"]) == 0
    assert capsys.readouterr().out == "nothing is left to recommend\n"


def test_items_like_others(run, model, in_tmp, capsys):
    assert main(["predict", f"--checkpoint={run}", "--similar=i3,i5", "--k=2", "--never=i9"]) == 0
    wanted = model.similar_items(["i3", "i5"], 2, never="i9")
    assert lines_of(capsys.readouterr().out) == [
        [row.item_id, row.similar, str(row.rank), f"{row.score:.4f}"]
        for row in wanted.itertuples(index=False)
    ]


def test_someone_who_was_not_in_training(run, model, in_tmp, capsys):
    Path("mine").write_text("i3\ni8\n", encoding="utf-8")
    wanted = model.recommend_for_history(["i3", "i8"], 4)
    for history in ("i3,i8", "mine"):
        assert main(["predict", f"--checkpoint={run}", f"--history={history}", "--k=4"]) == 0
        assert lines_of(capsys.readouterr().out) == [
            [row.item_id, str(row.rank), f"{row.score:.4f}"]
            for row in wanted.itertuples(index=False)
        ]
    assert main(["predict", f"--checkpoint={run}", "--history=mine", "--out=a.parquet"]) == 0
    assert list(pd.read_parquet("a.parquet").columns) == ["item_id", "rank", "score"]


def test_titles_stand_beside_the_items(run, in_tmp, capsys, monkeypatch):
    monkeypatch.setattr(Model, "titles", {"i3": "The Third", "i4": "A Fourth"})
    words = [f"--checkpoint={run}", "--exclude=none", "--only=i3,i4,i5", "--users=u1"]
    assert main(["predict", *words]) == 0
    rows = {line[1]: " ".join(line[2:-2]) for line in lines_of(capsys.readouterr().out)}
    assert rows == {"i3": "The Third", "i4": "A Fourth", "i5": ""}


BAD = [
    (["--only=i99"], "--only: 'i99' is no item of the data set"),
    (["--never=x,i1"], "--never: 'x' is no item of the data set"),
    (["--similar=i99"], "--similar: 'i99' is no item of the data set"),
    (["--history=i1,i99"], "--history: 'i99' is no item of the data set"),
    (["--only=,"], "--only: no item is named in ','; write ids, or leave it out."),
    (["--users=u1", "--history=i1"], "--history: got --users too; allowed is one of --users, "),
    (["--similar=i1", "--exclude=all"], "--exclude: got with --similar, where no user is; use"),
    (["--history=i1", "--exclude=train"], "--exclude: got 'train', allowed with --history: all,"),
]


@pytest.mark.parametrize(("words", "sentence"), BAD)
def test_what_cannot_be_asked(run, in_tmp, capsys, words, sentence):
    assert main(["predict", f"--checkpoint={run}", *words]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"recbole-bns: {sentence}")
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert not list(in_tmp.iterdir())


def test_safetensors_hold_vectors_and_ids(run, model, in_tmp, capsys):
    assert main(["export", f"--checkpoint={run}", "--format=safetensors", "--out=v"]) == 0
    assert "written: v/vectors.safetensors, 40 vectors of 8 numbers" in capsys.readouterr().out
    with safe_open("v/vectors.safetensors", "numpy") as file:
        for name, wanted in (("users", model.user_vectors), ("items", model.item_vectors)):
            assert json.loads(file.metadata()[name]) == list(wanted.index)
            np.testing.assert_array_equal(file.get_tensor(name), wanted.to_numpy())


def test_without_its_package_safetensors_is_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(table_files, "find_spec", lambda name: None)
    assert main(["export", "--format=safetensors", "--checkpoint=nowhere"]) == 2
    assert capsys.readouterr().err == (
        "recbole-bns: --format: safetensors needs the package 'safetensors', which is not "
        "installed; pip install 'recbole-bns[export]', or use npz.\n"
    )


def test_ids_that_no_header_holds_are_refused(monkeypatch, in_tmp):
    monkeypatch.setattr(table_files, "HEADER_LIMIT", 20)
    vectors = {"users": (["a" * 30], np.zeros((1, 2)))}
    with pytest.raises(recbole_bns.UsageError, match="use npz or parquet"):
        table_files.write_tensors(vectors, Path("x.safetensors"))
    assert not Path("x.safetensors").exists()
