"""Original files become atomic files: every format, every complaint, whole or not at all."""

from __future__ import annotations

import re
import signal
import zipfile
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from tiny import ROOT

from recbole_bns.cli import main
from recbole_bns.datasets import write as atomic
from recbole_bns.datasets.recipes import RECIPES
from recbole_bns.settings.properties import PROPERTIES
from recbole_bns.settings.words import read_yaml

INSIDE = Path(find_spec("recbole").origin).parent / "dataset_example" / "ml-100k"
SHARED = ROOT.parent / "shared" / "data"
YAHOO = "ydata-ymusic-rating-study-v1_0-{}.txt"
Files = dict[str, str]


def read_atomic(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


def lines(rows: Any, separator: str = "\t") -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


def some_pairs(users: int, items: int, each: int = 8, first: int = 1) -> list[tuple[int, int]]:
    source = np.random.default_rng(3)
    return [
        (user + first, int(item) + first)
        for user in source.permutation(users)
        for item in source.choice(items, each, replace=False)
    ]


@cache
def bns_pairs() -> list[tuple[int, int, int]]:
    """Users 0 to 29 of ML-100K under the BNS authors' ids, with their ratings."""
    places: tuple[dict[str, int], dict[str, int]] = {}, {}
    found = []
    for user, item, rating, _ in read_atomic(INSIDE / "ml-100k.inter")[1:]:
        ids = [
            known.setdefault(name, len(known))
            for known, name in zip(places, (user, item), strict=True)
        ]
        found.append((*ids, int(rating)))
    return sorted(row for row in found if row[0] < 30)


def grouped(pairs: list[tuple[int, int]]) -> str:
    users = dict.fromkeys(user for user, _ in pairs)
    return lines([[u, *(item for user, item in pairs if user == u)] for u in users], " ")


def originals(name: str) -> Files:
    """A small data set as its authors write it."""
    pairs = some_pairs(30, 20)
    rated = [(*pair, 1 + place % 5) for place, pair in enumerate(pairs)]
    timed = [(*row, 978_300_000 + place) for place, row in enumerate(rated)]
    people = [(user, 20 + user % 9, "MF"[user % 2], user % 3, "0213x") for user in range(1, 31)]
    if name == "ml-100k":
        jobs = [(*row[:3], ("artist", "doctor", "writer")[row[3]], row[4]) for row in people]
        return {"u.data": lines(timed), "u.user": lines(jobs, "|")}
    if name == "ml-1m":
        turned = [(user, gender, age, *rest) for user, age, gender, *rest in people]
        return {"ratings.dat": lines(timed, "::"), "users.dat": lines(turned, "::")}
    if name == "yahoo-r3":
        others = [(5400, 1, 3), (5401, 1, 3), (15_400, 1000, 1)]
        return {
            YAHOO.format("train"): lines([*rated[::2], *others]),
            YAHOO.format("test"): lines(rated[1::2]),
        }
    if name == "ml-100k-bns":
        rows, head = bns_pairs(), "user,item,rating\n"
        test = [row for place, row in enumerate(rows) if place % 5 == 0]
        train = [row for place, row in enumerate(rows) if place % 5]
        return {"100k_train.csv": head + lines(train, ","), "100k_test.csv": lines(test, ",")}
    pairs = sorted(some_pairs(30, 20, first=0))
    return {"train.txt": grouped(pairs[1::2]), "test.txt": grouped(pairs[::2])}


def put(folder: Path, files: Files, encoding: str = "latin-1") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_bytes(text.encode(encoding))
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def command(in_tmp: Path, capsys: Any) -> Callable[..., tuple[int, str]]:
    """Run the command in an empty folder; its exit status and what it printed, one stream only."""

    def run(*words: Any) -> tuple[int, str]:
        code = main(["prepare", *map(str, words)])
        out, err = capsys.readouterr()
        assert (err if code == 0 else out) == ""
        return code, out or err.removeprefix("recbole-bns: ").rstrip("\n")

    return run


# --- What comes out ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_the_result_trains_in_recbole_by_the_command_that_is_shown(
    name, command, tmp_path, make, capsys
):
    code, text = command(name, "--from", put(tmp_path / "from", originals(name)))
    assert code == 0
    shown = re.search(r"next: +recbole-bns (run .*)", text)[1].split()
    more = [
        "--model=BPR",
        "--epochs=1",
        "--use_gpu=False",
        "--train_batch_size=512",
        "--show_progress=False",
        "--embedding_size=4",
        "--out=run",
    ]
    assert main([*shown, *more]) == 0
    capsys.readouterr()
    config = make(dataset=name, data_path="dataset")
    train, valid, test = tiny.prepare(config)
    rows = [read_atomic(path)[1:] for path in Path("dataset", name).glob("*.inter")]
    loaded = [train.dataset, test.dataset, *([valid.dataset] if valid else [])]
    assert sum(map(len, loaded)) == sum(map(len, rows))
    assert train.dataset.user_num == 1 + len({row[0] for part in rows for row in part})


def test_ml_100k_is_what_recbole_has_inside(command, tmp_path):
    inside = {e: read_atomic(INSIDE / f"ml-100k.{e}") for e in ("inter", "user")}
    files = {"u.data": lines(inside["inter"][1:]), "u.user": lines(inside["user"][1:], "|")}
    code, text = command("ml-100k", "--from", put(tmp_path / "from", files), "--out=made")
    assert code == 0
    for ending, rows in inside.items():
        assert read_atomic(Path("made/ml-100k") / f"ml-100k.{ending}") == rows
    assert text == (
        "ml-100k         found    expected  equal\n"
        "------------  -------  ----------  -------\n"
        "users             943         943  yes\n"
        "items           1,682       1,682  yes\n"
        "interactions  100,000     100,000  yes\n"
        "\nAll counts are as expected.\n"
        "\nwritten: made/ml-100k/ml-100k.inter, made/ml-100k/ml-100k.user\n"
        "next:    recbole-bns run --dataset=ml-100k --data_path=made --neg_sampler=bns\n"
    )


def test_ml_1m_keeps_ids_ratings_times_and_features(command, tmp_path):
    files = {
        "ratings.dat": "1::1193::5::978300760\n6040::3952::1::978302109\n",
        "users.dat": "1::F::1::10::48067\n6040::M::25::6::98107-\xe9\n",
    }
    assert command("ml-1m", "--from", put(tmp_path / "from", files))[0] == 0
    assert read_atomic(Path("dataset/ml-1m/ml-1m.inter")) == [
        ["user_id:token", "item_id:token", "rating:float", "timestamp:float"],
        ["1", "1193", "5", "978300760"],
        ["6040", "3952", "1", "978302109"],
    ]
    assert read_atomic(Path("dataset/ml-1m/ml-1m.user")) == [
        ["user_id:token", "gender:token", "age:token", "occupation:token", "zip_code:token"],
        ["1", "F", "1", "10", "48067"],
        ["6040", "M", "25", "6", "98107-\xe9"],
    ]


def test_yahoo_r3_is_users_1_to_5400_and_the_survey(command, tmp_path):
    files = {
        YAHOO.format("train"): "1\t14\t5\n5400\t1000\t1\n5401\t14\t3\n15400\t7\t2\n",
        YAHOO.format("test"): "1\t15\t4\n",
    }
    code, text = command("yahoo-r3", "--from", put(tmp_path / "from", files))
    assert code == 0
    assert read_atomic(Path("dataset/yahoo-r3/yahoo-r3.inter")) == [
        ["user_id:token", "item_id:token", "rating:float"],
        ["1", "14", "5"],
        ["5400", "1000", "1"],
        ["1", "15", "4"],
    ]
    cells = [re.split(" {2,}", line) for line in text.splitlines()]
    assert ["train, users 1 to 5400", "2", "129,179", "NO"] in cells
    assert ["survey", "1", "54,000", "NO"] in cells


def test_the_whole_of_yahoo_r3_counts_as_expected(command, tmp_path):
    """A file of the true shape: each user of the survey has 10 songs there, others in training."""
    heard = np.diff(np.linspace(0, 129_179, 5401).astype(int)).tolist()
    train = [(u + 1, (u * 7 + k) % 1000 + 1, 3) for u, n in enumerate(heard) for k in range(n)]
    rest = 311_704 - len(train)
    train += [(5401 + k // 50, k % 50 + 1, 1) for k in range(rest)]
    survey = [(u + 1, (u * 7 + 500 + k) % 1000 + 1, 5) for u in range(5400) for k in range(10)]
    files = {YAHOO.format("train"): lines(train), YAHOO.format("test"): lines(survey)}
    code, text = command("yahoo-r3", "--from", put(tmp_path / "from", files))
    assert (code, "All counts are as expected." in text) == (0, True), text


@pytest.mark.parametrize("heads", [("", ""), ("user,item,rating\n", "User,Item,Rating\n")])
def test_the_bns_split_with_and_without_header(command, tmp_path, heads):
    rows = bns_pairs()
    files = {
        "train.csv": heads[0] + lines(rows[2:], ","),
        "test.csv": heads[1] + lines(rows[:2], ","),
    }
    code, text = command("ml-100k-bns", "--from", put(tmp_path / "from", files))
    assert (code, "WARNING: not all pairs" in text) == (0, False)
    folder = Path("dataset/ml-100k-bns")
    head = ["user_id:token", "item_id:token"]
    own = [[str(user), str(item)] for user, item, _ in rows]
    assert read_atomic(folder / "ml-100k-bns.train.inter") == [head, *own[2:]]
    assert read_atomic(folder / "ml-100k-bns.test.inter") == [head, *own[:2]]
    features = read_atomic(folder / "ml-100k-bns.user")
    assert len(features) == 944
    assert features[1] == ["0", "49", "M", "writer", "55105"], "user 196 comes first in ML-100K"


def test_columns_in_another_order_are_refused(command, tmp_path):
    files = originals("ml-100k-bns")
    files["100k_train.csv"] = files["100k_train.csv"].replace("user,item", "item,user", 1)
    code, sentence = command("ml-100k-bns", "--from", put(tmp_path / "from", files))
    assert code == 2
    assert "100k_train.csv, line 1: the columns are 'item,user,rating'" in sentence
    assert "allowed is 'user,item,rating'" in sentence
    assert not Path("dataset").exists()


def test_a_split_under_other_ids_gets_no_features(command, tmp_path):
    files = {"train.csv": "0,0,3\n", "test.csv": "0,1,3\n"}  # user 196 has not rated item 302
    code, text = command("ml-100k-bns", "--from", put(tmp_path / "from", files))
    assert code == 0
    assert "WARNING: not all pairs are ratings of ML-100K under the ids of the BNS authors" in text
    assert not Path("dataset/ml-100k-bns/ml-100k-bns.user").exists()


def test_the_ahns_split_may_have_users_without_items(command, tmp_path):
    files = {"train.txt": "0 2 3 4\n1\n2 0 \n", "test.txt": "0 1\n1 3705"}
    assert command("ml-1m-ahns", "--from", put(tmp_path / "from", files))[0] == 0
    folder, head = Path("dataset/ml-1m-ahns"), ["user_id:token", "item_id:token"]
    train = [["0", "2"], ["0", "3"], ["0", "4"], ["2", "0"]]
    assert read_atomic(folder / "ml-1m-ahns.train.inter") == [head, *train]
    assert read_atomic(folder / "ml-1m-ahns.test.inter") == [head, ["0", "1"], ["1", "3705"]]
    assert set(content(folder)) == {"ml-1m-ahns.train.inter", "ml-1m-ahns.test.inter"}


@pytest.mark.parametrize(
    "name", ["ml-100k-bns", pytest.param("ml-1m-ahns", marks=pytest.mark.slow)]
)
def test_the_authors_splits_come_out_as_they_are_known(name, command, tmp_path):
    if not SHARED.is_dir():
        pytest.skip("../shared/data is absent")
    files = {}
    for part in ("train", "test"):
        rows = read_atomic(SHARED / name / f"{name}.{part}.inter")[1:]
        if name == "ml-100k-bns":
            files[f"100k_{part}.csv"] = "user,item,rating\n" + lines([(*r, 4) for r in rows], ",")
        else:
            users: dict[str, list[str]] = {}
            for user, item in rows:
                users.setdefault(user, [user]).append(item)
            files[f"{part}.txt"] = lines(users.values(), " ")
    code, text = command(name, "--from", put(tmp_path / "from", files))
    assert (code, "All counts are as expected." in text) == (0, True), text
    assert content(Path("dataset", name)) == content(SHARED / name)


def test_a_subset_is_a_warning_and_missing_features_are_said(command, tmp_path):
    files = {"ratings.dat": "1::1193::5::978300760\n"}
    code, text = command("ml-1m", "--from", put(tmp_path / "from", files))
    assert code == 0
    assert "interactions        1   1,000,209  NO\n" in text
    assert (
        "WARNING: this is not the whole data set as it is published; results on it cannot be "
        "compared with published ones (users; items; interactions).\n"
        "There is no users.dat: no features of users.\n" in text
    )
    assert list(content(Path("dataset/ml-1m"))) == ["ml-1m.inter"]


# --- Where it comes from and goes to -----------------------------------------------------------


def test_a_folder_a_file_and_a_zip_archive_are_the_same(command, tmp_path):
    folder = put(tmp_path / "from", originals("ml-1m"))
    (folder / "._ratings.dat").write_bytes(b"a finder's leftover")
    with zipfile.ZipFile(tmp_path / "ml-1m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("ml-1m") if hasattr(archive, "mkdir") else None
        for path in folder.iterdir():
            archive.write(path, f"ml-1m/{path.name}")
    other = put(
        tmp_path / "other",
        {
            "my ratings": originals("ml-1m")["ratings.dat"],
            "users.dat": originals("ml-1m")["users.dat"],
        },
    )
    sources = [
        folder,
        folder / "ratings.dat",
        folder / "users.dat",
        tmp_path / "ml-1m.zip",
        other / "my ratings",
    ]
    for place, source in enumerate(sources):
        assert command("ml-1m", "--from", source, f"--out={place}")[0] == 0
    results = [content(Path(str(place), "ml-1m")) for place in range(len(sources))]
    assert list(results[0]) == ["ml-1m.inter", "ml-1m.user"]
    assert all(result == results[0] for result in results)


def test_a_file_that_is_named_settles_which_of_two_it_is(command, tmp_path):
    files = originals("ml-1m-ahns")
    folder = put(tmp_path / "from", {**files, "train_small.txt": "0 1\n"})
    code, sentence = command("ml-1m-ahns", "--from", folder)
    assert (code, sentence) == (
        2,
        f"--from: {folder}/train.txt and {folder}/train_small.txt could each be the file "
        "*train*.txt; give a folder with one of them.",
    )
    assert command("ml-1m-ahns", "--from", folder / "train.txt")[0] == 0
    rows = read_atomic(Path("dataset/ml-1m-ahns/ml-1m-ahns.train.inter"))[1:]
    assert len(rows) == sum(len(line.split()) - 1 for line in files["train.txt"].splitlines())


@pytest.mark.parametrize("change", [("\n", "\r\n"), ("\n\\Z", ""), ("\n\\Z", "\n\n\n")])
@pytest.mark.parametrize("name", RECIPES)
def test_line_ends_do_not_matter(name, change, command, tmp_path):
    files = originals(name)
    changed = {file: re.sub(change[0], change[1], text) for file, text in files.items()}
    assert changed != files
    assert command(name, "--from", put(tmp_path / "a", files), "--out=a")[0] == 0
    assert command(name, "--from", put(tmp_path / "b", changed, "utf-8-sig"), "--out=b")[0] == 0
    assert content(Path("a", name)) == content(Path("b", name))


def test_a_path_with_a_space_can_be_pasted(command, tmp_path):
    source = put(tmp_path / "from", originals("ml-1m"))
    _, text = command("ml-1m", "--from", source, "--out", "my data")
    assert "--data_path='my data' " in text


# --- Complaints --------------------------------------------------------------------------------

FIELDS = "user<TAB>item<TAB>rating<TAB>timestamp"
MALFORMED = [
    ("ml-100k", "u.data", "1\t2\t3", rf"'1\\t2\\t3' has 3 fields, allowed are the 4 of {FIELDS}\."),
    ("ml-100k", "u.data", "1\t2\t3\t4\t5", r"'1\\t2\\t3\\t4\\t5' has 5 fields, allowed are .*"),
    ("ml-100k", "u.data", "1::2::3::4", r"'1::2::3::4' has 1 field, allowed are .*"),
    ("ml-100k", "u.data", "", r"'' has 1 field, allowed are the 4 of .*"),
    ("ml-100k", "u.data", "1\t2\tgood\t4", r"rating is 'good', allowed is a number from 1 to 5\."),
    ("ml-100k", "u.data", "1\t2\tnan\t4", r"rating is 'nan', allowed is a number from 1 to 5\."),
    ("ml-100k", "u.data", "1\t2\t6\t4", r"rating is '6', allowed is a number from 1 to 5\."),
    ("ml-100k", "u.data", "1\t2\t0.5\t4", r"rating is '0\.5', allowed is .*"),
    ("ml-100k", "u.data", "1\t2\t\t4", r"rating is '', allowed is .*"),
    ("ml-100k", "u.data", "0\t2\t3\t4", r"user is '0', allowed is a whole number from 1 to 943\."),
    ("ml-100k", "u.data", "944\t2\t3\t4", r"user is '944', allowed is .*"),
    ("ml-100k", "u.data", "u1\t2\t3\t4", r"user is 'u1', allowed is .*"),
    ("ml-100k", "u.data", "01\t2\t3\t4", r"user is '01', allowed is .*"),
    ("ml-100k", "u.data", "1 \t2\t3\t4", r"user is '1 ', allowed is .*"),
    ("ml-100k", "u.data", "9" * 400 + "\t2\t3\t4", r"user is '9{80}', allowed is .*"),
    ("ml-100k", "u.data", "1\t1683\t3\t4", r"item is '1683', .* from 1 to 1682\."),
    ("ml-100k", "u.data", "1\t2\t3\t4.5", r"timestamp is '4\.5', allowed is a whole number\."),
    ("ml-100k", "u.data", "0\t2\t9\tx", r"user is '0', .*"),
    ("ml-100k", "u.user", "31|young|M|artist|1", r"age is 'young', allowed is a whole number\."),
    ("ml-100k", "u.user", "31|20|X|artist|1", r"gender is 'X', allowed is M or F\."),
    ("ml-100k", "u.user", "31|20|M||1", r"occupation is '', allowed is a word\."),
    ("ml-100k", "u.user", "31|20|M|art\tist|1", r"occupation is 'art\\tist', allowed is a word\."),
    (
        "ml-100k",
        "u.user",
        "31|20|M|artist",
        r"'31\|20\|M\|artist' has 4 fields, allowed are the 5 "
        r"of user\|age\|gender\|occupation\|zip_code\.",
    ),
    ("ml-1m", "ratings.dat", "1::3953::3::4", r"item is '3953', .* from 1 to 3952\."),
    (
        "ml-1m",
        "ratings.dat",
        "1:2::3::4",
        r"'1:2::3::4' has 3 fields, allowed are the 4 of "
        r"user::item::rating::timestamp\.",
    ),
    ("ml-1m", "ratings.dat", "30::1::3::978:", r"timestamp is '978:', allowed is .*"),
    ("ml-1m", "users.dat", "6041::M::1::2::3", r"user is '6041', .* from 1 to 6040\."),
    ("yahoo-r3", YAHOO.format("train"), "15401\t2\t3", r"user is '15401', .* from 1 to 15400\."),
    ("yahoo-r3", YAHOO.format("test"), "1\t1001\t3", r"item is '1001', .* from 1 to 1000\."),
    ("ml-100k-bns", "100k_train.csv", "943,2,3", r"user is '943', .* from 0 to 942\."),
    ("ml-100k-bns", "100k_test.csv", "user,item,rating", r"user is 'user', .* from 0 to 942\."),
    ("ml-100k-bns", "100k_test.csv", "1,2", r"'1,2' has 2 fields, .* 3 of user,item,rating\."),
    ("ml-1m-ahns", "train.txt", "6040 2 3", r"user is '6040', .* from 0 to 6039\."),
    ("ml-1m-ahns", "train.txt", "29 2 x 3", r"item is 'x', .* from 0 to 3705\."),
    ("ml-1m-ahns", "train.txt", "29 2  3", r"item is '', allowed is .*"),
    ("ml-1m-ahns", "test.txt", "", r"user is '', allowed is .*"),
    ("ml-1m-ahns", "test.txt", "x", r"user is 'x', allowed is .*"),
]


@pytest.mark.parametrize(("name", "file", "line", "pattern"), MALFORMED)
@pytest.mark.parametrize("place", [4, 9, -1])
def test_a_malformed_line_is_named_and_nothing_is_written(
    name, file, line, pattern, place, command, tmp_path
):
    files = originals(name)
    good = files[file].splitlines()
    place = len(good) if place < 0 else place
    text = "\n".join([*good[:place], line, *good[place:], line, "x"])
    folder = put(tmp_path / "from", {**files, file: text})
    code, sentence = command(name, "--from", folder, "--out", "new/data")
    assert code == 2
    start = f"{folder}/{file}, line {place + 1}: "
    assert sentence.startswith(start), sentence
    assert re.fullmatch(pattern, sentence.removeprefix(start)), sentence
    assert list(Path().iterdir()) == []


DOUBLE = [
    ("ml-100k", "u.data", "u.data", "user 1 and item 2", "1\t2\t3\t4", "1\t2\t5\t9"),
    ("ml-100k", "u.user", "u.user", "user 31", "31|20|M|artist|1", "31|21|F|writer|1"),
    (
        "yahoo-r3",
        YAHOO.format("train"),
        YAHOO.format("test"),
        "user 99 and item 2",
        "99\t2\t3",
        "99\t2\t5",
    ),
    (
        "yahoo-r3",
        YAHOO.format("train"),
        YAHOO.format("train"),
        "user 9999 and item 2",
        "9999\t2\t3",
        "9999\t2\t5",
    ),
    ("ml-100k-bns", "100k_train.csv", "100k_test.csv", "user 99 and item 2", "99,2,3", "99,2,5"),
    ("ml-1m-ahns", "train.txt", "test.txt", "user 99 and item 2", "99 1 2", "99 2 5"),
    ("ml-1m-ahns", "train.txt", "train.txt", "user 99 and item 2", "99 1 2", "99 3 2"),
]


@pytest.mark.parametrize(("name", "file", "other", "what", "line", "again"), DOUBLE)
def test_what_is_there_twice_is_named_with_both_lines(
    name, file, other, what, line, again, command, tmp_path
):
    files = {
        file: [row for row in text.splitlines() if not row.startswith("1\t2\t")]
        for file, text in originals(name).items()
    }
    files[file].insert(3, line)
    files[other].insert(7, again)
    folder = put(tmp_path / "from", {file: "\n".join(rows) for file, rows in files.items()})
    assert command(name, "--from", folder) == (
        2,
        f"{folder}/{other}, line 8: {what} for the second time, after {folder}/{file}, "
        "line 4; remove one of the two.",
    )
    assert list(Path().iterdir()) == []


SENTENCES = [
    ("ml-1n --from .", r"data set: got 'ml-1n'; did you mean 'ml-1m'\?; allowed: ml-100k, .*"),
    ("ml-1m", r"prepare: the following arguments are required: --from; --help shows what is .*"),
    ("", r"prepare: the following arguments are required: NAME, --from; .*"),
    (
        "ml-1m --from . --ouput=x",
        r"prepare: got '--ouput'; did you mean '--out'\?; allowed: NAME, --from, --out, .*",
    ),
    (
        "ml-1m --from .",
        r"--from: there is no ratings\.dat in '\.'; it comes from GroupLens "
        r"\(ml-1m\.zip\): name its folder, the file itself or a zip archive\.",
    ),
    ("ml-1m --from nowhere", r"--from: there is no ratings\.dat in 'nowhere'; it comes from .*"),
    ("ml-100k --from .", r"--from: there is no u\.data in '\.'; it comes from GroupLens .*"),
    (
        "yahoo-r3 --from .",
        r"--from: there is no ydata-\S+-train\.txt in '\.'; it comes from "
        r"Yahoo! Webscope \(R3, after a signed agreement\): .*",
    ),
    (
        "ml-100k-bns --from .",
        r"--from: there is no \*train\*\.csv in '\.'; it comes from the BNS "
        r"authors' repository \(100k_train\.csv, 100k_test\.csv\): .*",
    ),
    (
        "ml-1m-ahns --from .",
        r"--from: there is no \*train\*\.txt in '\.'; it comes from the AHNS "
        r"authors' .*",
    ),
    ("ml-1m-ahns --from half", r"--from: there is no \*test\*\.txt in 'half'; .*"),
    (
        "ml-1m --from empty",
        r"empty/ratings\.dat: there is nothing in it; allowed are lines "
        r"user::item::rating::timestamp\.",
    ),
    ("ml-100k-bns --from empty", r"empty/train\.csv: there is nothing in it; .*"),
    (
        "ml-1m-ahns --from empty",
        r"empty/train\.txt: there is nothing in it; allowed are lines "
        r"user item item \.\.\.\.",
    ),
    ("ml-1m --from broken.zip", r"--from: cannot read 'broken\.zip': it is no whole zip archive\."),
    ("ml-1m --from spoilt.zip", r"spoilt\.zip/ratings\.dat: cannot be read: Bad CRC-32 .*"),
    (
        "ml-1m --from good --out good/ratings.dat",
        r"--out: cannot write 'good/ratings\.dat/ml-1m':"
        r" .*",
    ),
]


@pytest.mark.parametrize(("words", "pattern"), SENTENCES)
def test_other_mistakes_are_a_sentence(words, pattern, command, in_tmp):
    put(in_tmp / "half", {"train.txt": "0 1\n"})
    put(
        in_tmp / "empty",
        {
            "ratings.dat": "",
            "train.csv": "user,item,rating\n",
            "train.txt": "1\n",
            "test.csv": "1,2,3",
            "test.txt": "1 2",
        },
    )
    put(in_tmp / "good", originals("ml-1m"))
    put(in_tmp, {"broken.zip": "PK\3\4 cut off"})
    with zipfile.ZipFile(in_tmp / "spoilt.zip", "w") as archive:
        archive.writestr("ratings.dat", "1::1193::5::978300760\n")
    raw = (in_tmp / "spoilt.zip").read_bytes()
    (in_tmp / "spoilt.zip").write_bytes(raw.replace(b"1193::5", b"1193::4"))
    before = sorted(in_tmp.rglob("*"))
    code, sentence = command(*words.split())
    assert code == 2
    assert re.fullmatch(pattern, sentence), sentence
    assert sorted(in_tmp.rglob("*")) == before


def test_help_names_every_data_set_and_its_files(command):
    code, text = command("--help")
    assert code == 0
    assert "recbole-bns tune" not in text
    for name, recipe in RECIPES.items():
        entry = next(line for line in text.splitlines() if f" {name} " in line)
        for original in (*recipe.ratings, *filter(None, [recipe.users])):
            assert original.name.replace("ydata-ymusic-rating-study-v1_0-test", "-test") in entry


@pytest.mark.parametrize("name", RECIPES)
def test_the_property_file_names_the_command(name):
    remedy = read_yaml(PROPERTIES / "dataset" / f"{name}.yaml")["how_to_get"]
    assert f"recbole-bns prepare {name} --from " in remedy


# --- Whole or not at all -----------------------------------------------------------------------


def test_a_folder_that_exists_is_replaced_only_on_demand(command, tmp_path):
    old, new = put(tmp_path / "old", originals("ml-1m")), put(tmp_path / "new", originals("ml-1m"))
    (new / "users.dat").unlink()
    assert command("ml-1m", "--from", old)[0] == 0
    before = content(Path("dataset/ml-1m"))
    assert command("ml-1m", "--from", new) == (
        2,
        "--out: 'dataset/ml-1m' is there already; name another folder with --out, or replace it "
        "with --overwrite.",
    )
    assert content(Path("dataset/ml-1m")) == before
    assert command("ml-1m", "--from", new, "--overwrite")[0] == 0
    after = content(Path("dataset/ml-1m"))
    assert after == {"ml-1m.inter": before["ml-1m.inter"]}, "the old features are gone"
    assert [path.name for path in Path("dataset").iterdir()] == ["ml-1m"]


def test_overwrite_loses_no_files_of_others(command, tmp_path):
    put(tmp_path / "cwd/ml-1m", originals("ml-1m"))
    assert command("ml-1m", "--from", "ml-1m", "--out=.", "--overwrite") == (
        2,
        "--out: 'ml-1m' holds 'ratings.dat', which --overwrite would lose; name another folder "
        "with --out.",
    )
    assert {name: text.decode() for name, text in content(Path("ml-1m")).items()} == originals(
        "ml-1m"
    )
    Path("link").mkdir()
    Path("link/ml-1m").symlink_to(tmp_path / "nowhere")
    code, sentence = command("ml-1m", "--from", "ml-1m", "--out=link", "--overwrite")
    assert (code, sentence) == (
        2,
        "--out: 'link/ml-1m' is no folder of its own; name another with --out.",
    )


def end_by(how: BaseException | signal.Signals) -> None:
    if isinstance(how, BaseException):
        raise how
    signal.raise_signal(how)


ENDS = [
    (OSError(28, "No space left on device"), 2),
    (KeyboardInterrupt(), 130),
    (signal.SIGTERM, 130),
]


@pytest.mark.parametrize(("end", "code"), ENDS)
@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("when", ["second file", "midst of a file", "moved away", "renamed"])
def test_what_ends_it_early_leaves_no_trace(when, there, end, code, command, tmp_path, monkeypatch):
    source = put(tmp_path / "from", originals("ml-1m"))
    if there:
        (Path("new/data/ml-1m")).mkdir(parents=True)
        Path("new/data/ml-1m/ml-1m.inter").write_text("the old one", encoding="utf-8")
    before = {path: path.is_dir() or path.read_bytes() for path in Path().rglob("*")}
    write, rename, calls = atomic.write_atomic, Path.rename, []

    def stop_writing(path: Path, frame: Any) -> None:
        if when == "midst of a file" or path.name.endswith("user"):
            path.write_text("half of i", encoding="utf-8")
            end_by(end)
        write(path, frame)

    def stop_renaming(path: Path, target: Path) -> Path:
        calls.append(path)
        if (path.name == "new") if when == "renamed" else len(calls) == 1:
            end_by(end)
        return rename(path, target)

    if when in ("renamed", "moved away"):
        monkeypatch.setattr(Path, "rename", stop_renaming)
    else:
        monkeypatch.setattr(atomic, "write_atomic", stop_writing)
    got, sentence = command("ml-1m", "--from", source, "--out=new/data", "--overwrite")
    assert got == code
    assert (
        sentence
        == {2: "--out: cannot write 'new/data/ml-1m': No space left on device.", 130: "stopped."}[
            code
        ]
    )
    assert {path: path.is_dir() or path.read_bytes() for path in Path().rglob("*")} == before


def test_a_folder_that_appears_in_the_meantime_is_not_replaced(command, tmp_path, monkeypatch):
    write = atomic.write_atomic

    def with_company(path: Path, frame: Any) -> None:
        put(Path("dataset/ml-1m"), {"ml-1m.inter": "another's"})
        write(path, frame)

    monkeypatch.setattr(atomic, "write_atomic", with_company)
    source = put(tmp_path / "from", originals("ml-1m"))
    code, sentence = command("ml-1m", "--from", source)
    assert (code, sentence.partition(":")[0]) == (2, "--out")
    assert content(Path("dataset/ml-1m")) == {"ml-1m.inter": b"another's"}
    assert [path.name for path in Path("dataset").iterdir()] == ["ml-1m"]
