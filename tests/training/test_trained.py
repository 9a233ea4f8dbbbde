"""Recommendations and embeddings of trained models, under the data set's own ids."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pytest
import torch
from recbole.model.general_recommender import BPR

from recbole_bns import Model, UsageError, __version__
from recbole_bns.cli import main
from recbole_bns.runs import checkpoint
from recbole_bns.training import trained as serve
from recbole_bns.training.run import run_recbole_bns


@pytest.fixture(scope="module")
def folders(data_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A trained run of each model."""
    given = {
        "data_path": str(data_path),
        "use_gpu": False,
        "epochs": 2,
        "train_batch_size": 256,
        "show_progress": False,
        "neg_sampler": "dns",
    }
    found = {}
    for model in ("BPR", "LightGCN", "NeuMF"):
        found[model] = tmp_path_factory.mktemp("run") / model
        run_recbole_bns(model, "tiny", None, given, out=found[model])
    return found


def touched(data_path: Path) -> dict[str, set[str]]:
    table = pd.read_csv(data_path / "tiny" / "tiny.inter", sep="\t", dtype=str)
    return {user: set(rows) for user, rows in table.groupby("user_id:token")["item_id:token"]}


@pytest.mark.parametrize("model", ["BPR", "LightGCN", "NeuMF"])
def test_recommendations_are_the_best_untouched_items(folders, data_path, model):
    trained = serve.load(folders[model])
    table = Model(trained).recommend(k=7)
    assert list(table.columns) == ["user_id", "item_id", "rank", "score"]
    assert table["user_id"].nunique() == 40
    dataset = trained.parts["train"]
    everyone = torch.arange(1, 41)
    pairs = {"user_id": everyone.repeat_interleave(60), "item_id": torch.arange(1, 61).repeat(40)}
    with torch.no_grad():
        scores = trained.model.predict(pairs).view(40, 60)
    names, seen = np.array(trained.items)[1:], touched(data_path)
    for user, rows in table.groupby("user_id"):
        number = dataset.token2id("user_id", str(user))
        free = {i for i in range(60) if names[i] not in seen[str(user)]}
        chosen = [names.tolist().index(item) for item in rows["item_id"]]
        assert rows["rank"].tolist() == list(range(1, 8))
        assert set(chosen) <= free
        np.testing.assert_allclose(rows["score"], scores[number - 1, chosen], rtol=1e-4, atol=1e-6)
        rest = scores[number - 1, list(free - set(chosen))]
        assert float(rest.max()) <= rows["score"].min() + 1e-6
        assert rows["score"].is_monotonic_decreasing


def test_what_is_excluded(folders, data_path):
    trained = serve.load(folders["BPR"])
    seen = touched(data_path)["u3"]
    every, train, none = (
        set(Model(trained).recommend(["u3"], 60, exclude=exclude)["item_id"])
        for exclude in ("all", "train", "none")
    )
    assert not every & seen
    assert len(every) == 60 - len(seen)
    assert every < train < none
    assert len(none) == 60


SAVED = "--out=recommendations.csv"


def test_the_command_line(folders, in_tmp, capsys):
    run = str(folders["BPR"])
    Path("who.txt").write_text("u5\n\nu2\n", encoding="utf-8")
    assert main(["predict", f"--checkpoint={run}", "--users=who.txt", "--k=3", SAVED]) == 0
    assert "written: recommendations.csv, 6 lines, 2 users" in capsys.readouterr().out
    table = pd.read_csv("recommendations.csv")
    assert table["user_id"].tolist() == ["u5"] * 3 + ["u2"] * 3
    file = f"{run}/checkpoints/best.pt"
    assert (
        main(["predict", f"--checkpoint={file}", "--users=u5", "--k=3", "--out=a/b.parquet"]) == 0
    )
    again = pd.read_parquet("a/b.parquet")
    assert again["item_id"].tolist() == table["item_id"].tolist()[:3]
    capsys.readouterr()
    bad: list[tuple[list[str], str]] = [
        (["--users=u99"], "--users: 'u99' is no user of the data set; did you mean 'u9'?"),
        (["--k=0"], "--k: got 0, allowed is an integer >= 1."),
        (["--out=x.txt"], "--out: got 'x.txt', allowed are names that end in .csv, .parquet."),
        (["--exclude=some"], "--exclude: got 'some'; allowed: all, train, none."),
        (["--out=who.txt/x.csv"], "--out: cannot write 'who.txt/x.csv'"),
    ]
    for words, sentence in bad:
        assert main(["predict", f"--checkpoint={run}", *words]) == 2
        assert f"recbole-bns: {sentence}" in capsys.readouterr().err
    assert main(["predict", "--checkpoint=nowhere"]) == 2
    said = capsys.readouterr().err
    assert "--checkpoint: 'nowhere' is no folder of a run" in said
    assert "--resume" not in said


@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
@pytest.mark.parametrize("kind", ["npz", "csv", "parquet"])
def test_products_of_exported_vectors_are_the_scores(folders, in_tmp, model, kind):
    words = ["export", f"--checkpoint={folders[model]}", "--out=vectors", f"--format={kind}"]
    assert main(words) == 0
    arrays: dict[str, Any] = {}
    for name in ("users", "items"):
        if kind == "npz":
            with np.load(f"vectors/{name}.npz") as file:
                arrays[name] = dict(zip(file["ids"].tolist(), file["vectors"], strict=True))
        else:
            read = pd.read_csv if kind == "csv" else pd.read_parquet
            table = read(f"vectors/{name}.{kind}").set_index(f"{name[:-1]}_id")
            arrays[name] = {key: row.to_numpy() for key, row in table.iterrows()}
    assert (len(arrays["users"]), len(arrays["items"])) == (40, 60)
    table = Model(serve.load(folders[model])).recommend(["u7", "u11"], 10)
    for row in table.itertuples():
        product = float(arrays["users"][row.user_id] @ arrays["items"][row.item_id])
        assert product == pytest.approx(row.score, rel=1e-4, abs=1e-6)


def test_a_model_without_vectors_says_so(folders, in_tmp, capsys):
    assert main(["export", f"--checkpoint={folders['NeuMF']}"]) == 2
    assert "NeuMF has no vectors whose dot products are its scores" in capsys.readouterr().err


def test_a_model_that_scores_by_more_than_ids_is_refused(data_path, in_tmp, capsys):
    given = {
        "data_path": str(data_path),
        "use_gpu": False,
        "epochs": 1,
        "show_progress": False,
        "neg_sampler": "rns",
        "load_col": {"inter": ["user_id", "item_id"]},
    }
    run_recbole_bns("FM", "tiny", None, given, out="fm")
    assert main(["predict", "--checkpoint=fm"]) == 2
    assert capsys.readouterr().err == (
        "recbole-bns: model: FM scores by features of each interaction, which ids of users and "
        "items do not name; allowed are models that score by user and item, such as BPR, LightGCN, "
        "NeuMF, and sequential ones, such as SASRec, GRU4Rec.\n"
    )


class Mine(BPR):
    """A model of the user's own."""


def test_a_model_of_the_users_own_is_served_with_its_class(folders, data_path, tmp_path):
    given = {
        "data_path": str(data_path),
        "use_gpu": False,
        "epochs": 1,
        "show_progress": False,
        "neg_sampler": "rns",
        "embedding_size": 8,
    }
    run_recbole_bns(Mine, "tiny", None, given, out=tmp_path / "mine")
    trained = serve.load(tmp_path / "mine", Mine)
    assert type(trained.model) is Mine
    best = checkpoint.load(tmp_path / "mine" / "checkpoints" / "best.pt")["state_dict"]
    assert torch.equal(trained.model.item_embedding.weight, best["item_embedding.weight"])
    assert len(Model(trained).recommend(["u1"], 5)) == 5
    with pytest.raises(UsageError, match="model: got 'Mine'"):
        serve.load(tmp_path / "mine")


NEWER = checkpoint.FORMAT + 1
FOREIGN: list[tuple[dict[str, Any], str]] = [
    (
        {"model": "LightGCN"},
        "its model is 'LightGCN', wanted is 'BPR' (it was written by version "
        f"{__version__}); name the run that it belongs to.",
    ),
    ({"dataset": "ml-1m"}, "its dataset is 'ml-1m', wanted is 'tiny' (it"),
    ({"neg_sampler": "bns"}, "its neg_sampler is 'bns', wanted is 'dns' (it"),
    (
        {"format": NEWER, "version": "9.1"},
        f"its format is {NEWER}, wanted is {checkpoint.FORMAT}; "
        f"it was written by recbole-bns 9.1, this is {__version__}: install that one.",
    ),
    (
        {"state_dict": {"user_embedding.weight": torch.zeros(3, 64)}},
        "its weights do not fit the "
        "model, user_embedding.weight is [3, 64], wanted is [41, 64]; the data set or the model's",
    ),
    ({"state_dict": {}}, "user_embedding.weight is missing, wanted is [41, 64]"),
]


@pytest.mark.parametrize("command", ["predict", "export"])
@pytest.mark.parametrize(("change", "sentence"), FOREIGN)
def test_a_foreign_checkpoint_says_what_differs(folders, in_tmp, capsys, command, change, sentence):
    path = folders["BPR"] / "checkpoints" / "other.pt"
    state = checkpoint.load(folders["BPR"] / "checkpoints" / "best.pt")
    checkpoint.save({**state, **change}, path)
    assert main([command, f"--checkpoint={path}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"recbole-bns: checkpoint '{path}': ")
    assert sentence in said
    assert said.count("\n") == 1
    assert not list(Path().iterdir()), "something was written"


@pytest.mark.parametrize("change", ["order", "row"])
def test_a_data_set_that_was_changed_since_is_told_apart(data_path, in_tmp, capsys, change):
    """Under the same name and with the same users and items, whose numbers are others now."""
    shutil.copytree(data_path / "tiny", "data/tiny")
    given = {
        "data_path": "data",
        "use_gpu": False,
        "epochs": 2,
        "show_progress": False,
        "neg_sampler": "rns",
    }
    run_recbole_bns("BPR", "tiny", None, given, out="run")
    before = Model(serve.load("run")).recommend()
    file = Path("data/tiny/tiny.inter")
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    if change == "order":
        rows.reverse()
    else:
        user, item, *rest = rows[0].split("\t")
        mine = {row.split("\t")[1] for row in rows if row.startswith(f"{user}\t")}
        other = next(row.split("\t")[1] for row in rows if row.split("\t")[1] not in mine)
        rows[0] = "\t".join((user, other, *rest))
        assert item != other
    kept = file.read_bytes()
    file.write_text("\n".join((head, *rows)) + "\n", encoding="utf-8")
    capsys.readouterr()
    for command in ("predict", "export"):
        assert main([command, "--checkpoint=run"]) == 2
        said = capsys.readouterr().err
        assert "it was trained on other interactions of 'tiny', or they stood in another" in said
        assert said.count("\n") == 1
    with pytest.raises(UsageError, match=r"stood in another order .*, or begin a new run\."):
        run_recbole_bns(config_dict={"epochs": 3}, resume="run")
    file.write_bytes(kept)
    pd.testing.assert_frame_equal(Model(serve.load("run")).recommend(), before)
    assert run_recbole_bns(config_dict={"epochs": 3}, resume="run")["epochs"] == 3


def test_parquet_holds_what_csv_holds(folders, in_tmp):
    for name in ("a.csv", "a.parquet"):
        assert main(["predict", f"--checkpoint={folders['BPR']}", f"--out={name}"]) == 0
    table = pd.read_parquet("a.parquet")
    assert table.dtypes.astype(str).to_dict() == {
        "user_id": "object",
        "item_id": "object",
        "rank": "int64",
        "score": "float32",
    }
    assert len(table) == 40 * 20
    pd.testing.assert_frame_equal(table, pd.read_csv("a.csv", dtype={"score": "float32"}))


def test_without_pyarrow_parquet_is_a_sentence_before_anything_is_read(monkeypatch, capsys):
    monkeypatch.setattr("recbole_bns.common.table_files.find_spec", lambda name: None)
    for words, setting in (
        (["predict", "--out=a.parquet"], "--out"),
        (["export", "--format=parquet"], "--format"),
    ):
        assert main([*words, "--checkpoint=nowhere"]) == 2
        assert capsys.readouterr().err == (
            f"recbole-bns: {setting}: parquet needs the package 'pyarrow', which is not installed; "
            "pip install pyarrow, or use csv.\n"
        )


def test_an_unknown_kind_of_exclusion_is_refused_in_python_too(folders):
    with pytest.raises(UsageError, match="--exclude: got 'some', allowed: all, train, none"):
        Model(serve.load(folders["BPR"])).recommend(["u1"], exclude="some")


@pytest.mark.parametrize("command", ["predict", "export"])
def test_a_signal_leaves_what_was_there_and_nothing_half_written(
    folders, in_tmp, capsys, monkeypatch, command
):
    name = {"predict": "out.csv", "export": "out/users.csv"}[command]
    words = [command, f"--checkpoint={folders['BPR']}", f"--out={name.partition('/')[0]}"]
    words += ["--format=csv"] if command == "export" else []
    assert main(words) == 0
    whole, before = Path(name).read_bytes(), sorted(in_tmp.rglob("*"))

    def write(table: pd.DataFrame, file: BinaryIO, **_: Any) -> None:
        file.write(b"half")
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(pd.DataFrame, "to_csv", write)
    assert main(words) == 130
    assert "recbole-bns: stopped." in capsys.readouterr().err
    assert sorted(in_tmp.rglob("*")) == before
    assert Path(name).read_bytes() == whole


def test_a_user_who_is_named_twice_is_served_once(folders):
    table = Model(serve.load(folders["BPR"])).recommend(["u3", "u1", "u3"], 2)
    assert table["user_id"].tolist() == ["u3", "u3", "u1", "u1"]


def test_data_that_have_moved_are_found_where_they_are_said_to_be(data_path, in_tmp):
    shutil.copytree(data_path / "tiny", "here/tiny")
    given = {"data_path": "here", "use_gpu": False, "epochs": 1, "show_progress": False}
    run_recbole_bns("BPR", "tiny", None, given, out="run")
    before = Model(serve.load("run")).recommend()
    Path("here").rename("there")
    with pytest.raises(UsageError):
        serve.load("run")
    after = Model(serve.load("run", data_path="there")).recommend()
    pd.testing.assert_frame_equal(after, before)
