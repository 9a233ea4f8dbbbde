"""``run --data``, ``prepare NAME --from FILE`` and a frame in the place of a data set's name."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny

from recbole_bns import UsageError, interactions, run_recbole_bns
from recbole_bns.adapters.config import BNSConfig
from recbole_bns.cli import main
from recbole_bns.runs.results import read_result
from recbole_bns.settings.words import read_yaml
from recbole_bns.training import trained

SHORT = {
    "epochs": 1,
    "embedding_size": 8,
    "use_gpu": False,
    "show_progress": False,
    "neg_sampler": "rns",
    "train_batch_size": 256,
}
FLAGS = [f"--{key}={value}" for key, value in SHORT.items()]


def clicks() -> pd.DataFrame:
    source = np.random.default_rng(5)
    users = np.repeat(np.arange(101, 131), 12)
    items = np.concatenate([source.choice(40, 12, replace=False) for _ in range(30)])
    times = 1_700_000_000 + source.permutation(360)
    ratings = source.integers(1, 6, 360)
    return pd.DataFrame({"user": users, "sku": items, "stars": ratings, "when": times})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``clicks.csv`` and a run on it, made by the command; what it printed."""
    folder = tmp_path_factory.mktemp("home")
    clicks().to_csv(folder / "clicks.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def ran(home: Path) -> tuple[Path, str]:
    """The folder of a run on the file, which has been moved since, and what the run printed."""
    with pytest.MonkeyPatch.context() as patch:
        from contextlib import redirect_stdout
        from io import StringIO

        patch.chdir(home)
        out = StringIO()
        with redirect_stdout(out):
            status = main(["run", "--data=clicks.csv", "--model=BPR", *FLAGS, "--out=first"])
        assert status == 0
        shutil.move("first", "moved")
    return home / "moved", out.getvalue()


def test_what_is_taken_is_shown_before_training_with_the_command_that_repeats_it(ran):
    lines = ran[1].splitlines()
    assert lines[0].startswith("recbole-bns run --data=clicks.csv --model=BPR")
    assert lines[0].endswith("--out=first --user=user --item=sku --time=when --rating=stars")
    assert lines[1:7] == [
        "columns: user = user, item = sku, time = when, rating = stars",
        "rows:    360",
        "doubles: none",
        "data:    360 interactions of 30 users with 40 items, density 30 %",
        "times:   2023-11-14 22:13 to 2023-11-14 22:19 (UTC)",
        "ratings: 1 to 5, each an interaction, whatever it is",
    ]


def test_the_command_that_repeats_it_does(ran, home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    words = shlex.split(ran[1].splitlines()[0])
    again = [word.replace("--out=first", "--out=again") for word in words[1:]]
    assert main(again) == 0
    assert results(home / "again") == results(ran[0])


def results(folder: Path) -> Any:
    result = read_result(folder)
    assert result is not None
    return result["test_result"], result["best_valid_result"]


def test_a_frame_trains_as_its_file_does_and_twice_the_same(ran, tmp_path):
    for place in ("one", "two"):
        run_recbole_bns("BPR", interactions(clicks()), None, SHORT, out=tmp_path / place)
        assert results(tmp_path / place) == results(ran[0])
    made = (tmp_path / "one" / "data" / "data" / "data.inter").read_bytes()
    assert made == (ran[0] / "data" / "clicks" / "clicks.inter").read_bytes()


def test_a_run_that_was_moved_has_its_data_with_it(ran, tmp_path, monkeypatch, capsys):
    folder, _ = ran
    assert read_yaml(folder / "settings.yaml")["data_path"] == str(folder / "data")
    assert "data_path: '{here}/data'" in (folder / "settings.yaml").read_text()
    model = trained.load(folder)
    assert sorted(model.users[1:]) == [str(user) for user in range(101, 131)]
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, "elsewhere")
    assert main(["run", "--resume=elsewhere", "--epochs=2"]) == 0
    assert "'{here}/data'" in Path("elsewhere/settings.yaml").read_text()
    assert main(["run", "--config_files", "elsewhere/settings.yaml", "--out=repeated"]) == 0
    assert results(tmp_path / "repeated") == results(tmp_path / "elsewhere")


def test_a_file_that_is_called_as_a_public_set_has_none_of_its_settings(tmp_path):
    data = interactions(clicks(), name="ml-100k-bns")
    data.write(tmp_path)
    given = {**SHORT, "data_path": str(tmp_path), "neg_sampler": "bns"}
    for name, public in (("ml-100k-bns", None), ("ml-100k", "tuned")):
        interactions(clicks(), name=name).write(tmp_path, overwrite=True)
        config = BNSConfig("LightGCN", name, None, given)
        assert (config["tuned_file"], config["benchmark_filename"]) == (None, None)
        assert config["load_col"] == {"inter": ["user_id", "item_id", "rating", "timestamp"]}
        if public:
            shutil.rmtree(tmp_path / name)
            assert public in BNSConfig("LightGCN", name, None, given)["tuned_file"]


def test_prepare_writes_atomic_files_says_what_it_dropped_and_what_comes_next(home, in_tmp, capsys):
    shutil.copy(home / "clicks.csv", "clicks.csv")
    words = "prepare my-set --from clicks.csv --min_rating=3 --min_user=5 --min_item=4"
    assert main(words.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].startswith("min_rating 3: ")
    assert all(line.endswith(" dropped") for line in lines[3:-6])
    found = pd.read_csv("dataset/my-set/my-set.inter", sep="\t")
    assert list(found) == ["user_id:token", "item_id:token", "rating:float", "timestamp:float"]
    assert found["rating:float"].min() == 3
    assert found["user_id:token"].value_counts().min() >= 5
    assert found["item_id:token"].value_counts().min() >= 4
    assert f"{len(found)} interactions of" in lines[-6]
    following = lines[-1].partition("recbole-bns ")[2].replace("--neg_sampler=bns", "")
    assert main([*following.split(), "--model=BPR", *FLAGS]) == 0
    assert main(words.split()) == 2
    assert "is there already" in capsys.readouterr().err
    assert main([*words.split(), "--overwrite"]) == 0


def test_known_dislikes_lie_beside_the_interactions(in_tmp, capsys):
    frame = clicks()
    frame["liked"] = (frame["stars"] > 1).astype(int)
    frame.to_csv("a.csv", index=False)
    assert main(["prepare", "a", "--from=a.csv"]) == 0
    pairs = pd.read_csv("dataset/a/a.neg", sep="\t").to_numpy().tolist()
    assert pairs
    wanted = frame[frame["liked"] == 0][["user", "sku"]].to_numpy().tolist()
    assert sorted(pairs) == sorted(wanted)


REFUSED = {
    "run --data=nope.csv": "'nope.csv' is not there; allowed is a file that ends in .csv, ",
    "run --data=clicks.csv --user=usr": "--user=usr: clicks.csv has no column of this name; did",
    "run --data=clicks.csv --rating=x": "--rating=x: clicks.csv has no column of this name; its",
    "run --user=user": "--user: got 'user', which says what is in a file of your own; name that",
    "compare --min_user=3": "--min_user: got '3', which says what is in a file of your own; name",
    "run --data=clicks.csv --min_user=0": "--min_user: got '0', allowed is an integer >= 1.",
    "run --data=clicks.csv --min_rating=x": "--min_rating: got 'x', allowed is a number such as 4.",
    "run --data=clicks.csv --min_user=99": "min_user: got 99, but no interaction of 'clicks' is",
    "run --data=clicks.csv --rating=none --min_rating=4": "--min_rating: got 4, but no column of",
    "run --data=clicks.csv --resume=moved": "--resume: got 'moved' beside --data=clicks.csv, but",
    "tune --data=clicks.csv --resume": "--resume: got True beside --data=clicks.csv, but the data",
    "run --data=clicks.csv --data_path=x": "--data_path: got 'x' beside --data=clicks.csv, but the",
    "run --data=clicks.csv --dataset=a/b": "--dataset: got 'a/b', allowed is a name that a folder",
    "run --data=clicks.csv --negatives=nope.csv": "'nope.csv' is not there; allowed is a file",
    "run --data=clicks.csv --neg_sampler=dsn": "neg_sampler: got 'dsn'; did you mean 'dns'?; all",
    "run --data=clicks.csv --epochs=0": "epochs: got 0, allowed is an integer >= 1.",
    "prepare ml-1m --from=clicks.csv --user=user": "--user: got 'user', which is for a file of",
    "prepare a/b --from=clicks.csv": "prepare NAME: got 'a/b', allowed is a name that a folder can",
    "prepare ml-1n --from=.": "data set: got 'ml-1n'; did you mean 'ml-1m'?; allowed: ml-100k, ",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_refused_leaves_nothing_behind(words, home, in_tmp, capsys):
    shutil.copy(home / "clicks.csv", "clicks.csv")
    assert main(words.split()) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"recbole-bns: {REFUSED[words]}")
    assert said.endswith(".")
    assert [path.name for path in in_tmp.rglob("*") if path.is_file()] == ["clicks.csv"]


def test_a_frame_beside_what_says_otherwise_is_refused(tmp_path):
    data = interactions(clicks())
    for more, sentence in (
        ({"resume": tmp_path}, "a run that goes on has its data in its folder"),
        ({"config_dict": {"data_path": "x"}}, "leave it out"),
        ({"config_dict": {"neg_sampler": "dsn"}}, "did you mean 'dns'"),
    ):
        with pytest.raises(UsageError, match=re.escape(sentence)):
            run_recbole_bns("BPR", data, **more)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("kept")
    with pytest.raises(UsageError, match="is not empty"):
        run_recbole_bns("BPR", data, None, SHORT, out=taken)
    assert [path.name for path in taken.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("command", ["compare", "tune"])
def test_comparisons_and_sweeps_keep_the_data_once(command, home, in_tmp, monkeypatch, capsys):
    shutil.copy(home / "clicks.csv", "clicks.csv")
    seen: list[Any] = []
    if command == "compare":
        monkeypatch.setattr("recbole_bns.compare.command.compare", lambda *a: seen.append(a) or 0)
        folder, words = Path("runs/compare-clicks-BPR"), ["--samplers=rns,dns"]
    else:
        pytest.importorskip("ray")
        monkeypatch.setattr("recbole_bns.tuning.sweep.tune", lambda *a, **k: seen.append(a) or 0)
        folder, words = Path("runs/tune-clicks-BPR-rns"), []
    asked = [command, "--data=clicks.csv", "--model=BPR", *words]
    asked += [flag for flag in FLAGS if not (command == "compare" and "neg_sampler" in flag)]
    assert main(asked) == 0
    assert main(asked) == 0
    assert [plan[0].out for plan in seen] == [folder, folder]
    assert sorted(path.name for path in (folder / "data").iterdir()) == ["clicks"]
    with Path("clicks.csv").open("a") as file:
        file.write("999,1,5,1700000999\n")
    assert main(asked) == 2
    assert "holds other data of the name 'clicks' than --data has now" in capsys.readouterr().err


@pytest.mark.process
def test_a_wrong_file_or_column_is_refused_before_torch_is_loaded(home):
    script = """
import sys
from recbole_bns.cli import main
assert main(["run", "--data=nope.csv"]) == 2
assert main(["run", "--data=clicks.csv", "--user=usr"]) == 2
assert main(["run", "--data=clicks.csv", "--model=BPRR"]) == 2
assert main(["run", "--data=clicks.csv", "--min_user=99"]) == 2
assert main(["prepare", "clicks", "--from=clicks.csv", "--min_user=99"]) == 2
assert "torch" not in sys.modules and "recbole" not in sys.modules
"""
    tiny.run_fresh(script, home)


@pytest.mark.parametrize("name", ["clicks.csv", "clicks"])
def test_a_file_in_the_place_of_a_data_set_is_told_how_it_is_read(name, home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    assert main(["run", f"--dataset={name}"]) == 2
    assert "a file of your own is read by --data=clicks.csv." in capsys.readouterr().err


def test_runs_on_the_same_frame_are_on_the_same_data_in_a_report(ran, tmp_path):
    from recbole_bns.analysis.folders import read_folders

    copy = shutil.copytree(ran[0], tmp_path / "copy")
    other = shutil.copytree(ran[0], tmp_path / "other")
    with (other / "data" / "clicks" / "clicks.inter").open("a") as file:
        file.write("999\t1\t5\t1700000999\n")
    digests = [run.digest for run in read_folders([ran[0], copy, other])]
    assert digests[0] == digests[1] != digests[2]
    assert None not in digests


SMALL = {
    "one row": [(1, 1)],
    "one user": [(1, item) for item in range(12)],
    "one item": [(user, 1) for user in range(12)],
    "two each": [(user, item) for user in range(6) for item in (user, user + 1)],
}


@pytest.mark.parametrize("rows", SMALL)
def test_too_little_is_one_sentence_or_trains(rows, tmp_path):
    data = interactions(pd.DataFrame(SMALL[rows], columns=["user", "item"]))
    said = ""
    try:
        run_recbole_bns("BPR", data, None, {**SHORT, "topk": [1]}, out=tmp_path / "run")
    except UsageError as error:
        said = str(error)
    assert re.fullmatch(r"(data set 'data': [^\n]+\.)?", said)
    assert (said == "") == (read_result(tmp_path / "run") is not None)
