"""What is trained on is what the files say, in ours and in RecBole's own calls."""

from __future__ import annotations

import json
import logging
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import run_quickly, write_atomic

from recbole_bns import BNSConfig, UsageError
from recbole_bns.adapters.split import open_data
from recbole_bns.datasets.check import check_files

Rows = list[tuple[Any, ...]]
HEADER = "user_id:token item_id:token rating:float timestamp:float"
LAST_OUT = {"order": "TO", "split": {"LS": "valid_and_test"}, "mode": "full"}
ALL = {"inter": ["user_id", "item_id", "rating", "timestamp"]}


def rows(start: int = 1_600_000_000, step: int = 10) -> Rows:
    """20 users with 10 of 30 items each, in random order; a user's times are ``step`` apart."""
    draw = random.Random(3)
    pairs = [
        (f"u{user}", f"i{item}", draw.randint(1, 5), start + step * n)
        for user in range(20)
        for n, item in enumerate(draw.sample(range(30), 10))
    ]
    draw.shuffle(pairs)
    return pairs


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Any]:
    """A maker of our Configs on ``<tmp_path>/odd``."""

    def make(model: str = "BPR", **more: Any) -> Any:
        base = {"data_path": str(tmp_path), "use_gpu": False, "topk": [5], "neg_sampler": "rns"}
        base["checkpoint_dir"] = str(tmp_path / "saved")
        return BNSConfig(model, "odd", None, {**base, **more})

    return make


def write(tmp_path: Path, lines: Rows, header: str = HEADER, ending: str = "inter") -> None:
    write_atomic(tmp_path / "odd" / f"odd.{ending}", header, lines)


def pairs_of(dataset: Any) -> list[tuple[str, str]]:
    feat = dataset.inter_feat
    ids = [dataset.id2token(field, feat[field]) for field in ("user_id", "item_id")]
    return list(zip(*(each.tolist() for each in ids), strict=True))


@pytest.mark.parametrize("word", ["NA", "nan", "None", '"x', 'x"', "null", "#N/A", "-inf"])
def test_no_word_is_a_missing_value_and_no_mark_a_quote(word, config, tmp_path):
    odd = [(word if u == "u3" else u, word if i == "i5" else i, r, t) for u, i, r, t in rows()]
    write(tmp_path, odd)
    parts = open_data(config()).parts
    seen = [pair for part in parts.values() for pair in pairs_of(part)]
    assert sorted(seen) == sorted((user, item) for user, item, *_ in odd)
    assert "[PAD]" not in {user for user, _ in pairs_of(parts["train"])}


@pytest.mark.parametrize("model", ["BPR", "SASRec"])
@pytest.mark.parametrize(
    ("start", "step"), [(1_600_000_000, 10), (1_600_000_000, 1), (1_600_000_000 * 10**9, 7)]
)
def test_the_last_item_is_that_of_the_greatest_time(model, start, step, config, tmp_path):
    """Seconds and nanoseconds since 1970, which neither float32 nor float64 tells apart."""
    lines = rows(start, step)
    write(tmp_path, lines)
    more = {"loss_type": "BPR"} if model == "SASRec" else {}
    parts = open_data(config(model, eval_args=LAST_OUT, load_col=ALL, **more)).parts
    last = {user: item for user, item, _, _ in sorted(lines, key=lambda line: line[3])}
    assert dict(pairs_of(parts["test"])) == last
    if model == "SASRec":
        feat = parts["test"].inter_feat
        users = parts["test"].id2token("user_id", feat["user_id"])
        by_user = {
            u: [i for v, i, _, _ in sorted(lines, key=lambda x: x[3]) if v == u] for u in last
        }
        for user, history in zip(users, feat["item_id_list"], strict=True):
            named = parts["test"].id2token("item_id", history[:9]).tolist()
            assert named == by_user[user][:9]
        assert feat["timestamp_list"].dtype == feat["timestamp"].dtype == torch.float32


def test_a_split_over_all_users_is_by_the_exact_time(config, tmp_path):
    lines = [(u, i, r, 1_600_000_000 + n) for n, (u, i, r, _) in enumerate(rows())]
    random.Random(0).shuffle(lines)
    write(tmp_path, lines)
    args = {"order": "TO", "split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "none", "mode": "full"}
    for model, more in (("BPR", {}), ("SASRec", {"loss_type": "BPR"})):
        parts = open_data(config(model, eval_args=args, load_col=ALL, **more)).parts
        time = {(u, i): t for u, i, _, t in lines}
        times = [
            time[pair] for phase in ("train", "valid", "test") for pair in pairs_of(parts[phase])
        ]
        assert times == sorted(times)


def test_equal_times_keep_the_files_order(config, tmp_path):
    lines = [(u, i, r, 7) for u, i, r, _ in rows()]
    again = [(*line[:2], 9, 7) for line in lines[:50]]
    write(tmp_path, lines + again)
    parts = open_data(config(eval_args=LAST_OUT, load_col=ALL)).parts
    assert dict(pairs_of(parts["test"])) == {u: i for u, i, *_ in lines + again}
    kept = open_data(config(rm_dup_inter="last", load_col=ALL)).dataset.inter_feat
    assert int((kept["rating"] == 9).sum()) == 50


def test_a_side_file_of_a_sampler_changes_no_interactions(config, tmp_path, caplog):
    write(tmp_path, rows())
    users = [(f"u{n}", f"o{n % 3}") for n in range(25) if n != 4]
    write(tmp_path, users, "user_id:token occupation:token", "user")
    without = open_data(config(neg_sampler="bns")).dataset
    with caplog.at_level(logging.WARNING):
        opened = open_data(config(neg_sampler="bns", **{"neg_sampler_args.prior": "occupation"}))
    assert "1 of 20 users, such as 'u4', have no value of 'occupation'" in caplog.text
    assert opened.dataset.user_num == without.user_num == 21
    assert sorted(pairs_of(opened.dataset)) == sorted(pairs_of(without))
    groups = opened.dataset.user_feat["occupation"]
    assert groups[opened.dataset.token2id("user_id", "u4")] == 0
    caplog.clear()
    chosen = {"load_col": {"inter": ["user_id", "item_id"], "user": ["user_id", "occupation"]}}
    with caplog.at_level(logging.WARNING):
        assert len(open_data(config(**chosen)).dataset.inter_feat) == 190
    assert "filter_inter_by_user_or_item: 10 of 200 interactions are left out" in caplog.text


LIST = "benchmark_filename with SASRec, a sequential model, needs"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"user_inter_num_interval": "5"}, r"user_inter_num_interval: got '5', .* \[5,inf\)"),
        ({"item_inter_num_interval": ["a", "b"]}, r"item_inter_num_interval: got \['a', 'b'\]"),
        ({"user_inter_num_interval": "[9,2]"}, "user_inter_num_interval: .* holds a number"),
        ({"user_inter_num_interval": "(5,5)"}, "user_inter_num_interval: .* holds a number"),
        ({"user_inter_num_interval": "[1,2];[3"}, "user_inter_num_interval: got"),
        ({"val_interval": {"stars": "[4,inf)"}}, r"val_interval\.stars: there is no loaded column"),
        ({"val_interval": {"rating": "4"}, "load_col": ALL}, r"val_interval\.rating: got '4'"),
        ({"val_interval": {"item_id": [1]}}, r"val_interval\.item_id: got \[1\], .* quotes"),
        ({"rm_dup_inter": False}, "rm_dup_inter: got False, allowed is one of first, last"),
        ({"rm_dup_inter": "FIRST"}, "rm_dup_inter: got 'FIRST'.* allowed is one of first, last"),
        ({"threshold": {"stars": 4}}, "threshold: got 'stars', which is no loaded column"),
        ({"threshold": {"rating": 4}, "load_col": ALL}, "threshold: .* every interaction is a pos"),
        ({"load_col": {"inter": ["user_id", "item_id", "tim"]}}, r"load_col\.inter: got 'tim', .*"),
        ({"eval_args.mode": "labeled"}, r"eval_args\.mode: got 'labeled', but .* 'label'"),
        ({"eval_args.mode": "uni-5"}, r"eval_args\.mode: got 'uni-5', allowed .* uni100"),
        ({"eval_args.mode": "unii100"}, r"eval_args\.mode: got 'unii100'"),
        ({"eval_args.mode": "uni0"}, r"eval_args\.mode: got 'uni0'"),
        ({"eval_args.mode.test": "uni1e3"}, r"eval_args\.mode\.test: got 'uni1e3'"),
        ({"eval_args.group_by": "users"}, r"eval_args\.group_by: got 'users'"),
        ({"eval_args.split": {"RS": [1]}}, r"eval_args\.split: got"),
        ({"eval_args.split": {"LS": "last"}}, r"eval_args\.split: got .* valid_and_test"),
        ({"eval_args.ordr": "TO"}, r"eval_args\.ordr: not known; did you mean 'order'"),
        ({"field_separator": ","}, "separated by a tab, but field_separator is ','"),
        ({"ITEM_ID_FIELD": "user_id"}, "ITEM_ID_FIELD: got 'user_id'"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused(more, sentence, config, tmp_path):
    write(tmp_path, rows())
    with pytest.raises(UsageError, match=sentence):
        open_data(config(**more))


def test_columns_of_the_defaults_may_be_missing(tmp_path):
    """ML-1M's settings load ratings; a file without them is trained on, and its run repeated."""
    write_atomic(tmp_path / "ml-1m" / "ml-1m.inter", "user_id:token item_id:token", [("a", "b")])
    given = {"data_path": str(tmp_path), "use_gpu": False}
    check_files(first := BNSConfig("BPR", "ml-1m", None, given))
    check_files(BNSConfig("BPR", "ml-1m", None, {**given, "load_col": first["load_col"]}))
    more = {"load_col": {"inter": ["user_id", "item_id", "rating"]}}
    asked = BNSConfig("BPR", "ml-1m", None, {**given, **more})
    with pytest.raises(UsageError, match=r"load_col\.inter: got 'rating', which is no column"):
        check_files(asked)


def test_an_interval_of_a_list_filters(config, tmp_path):
    write(tmp_path, [*rows(), ("once", "i1", 1, 1)])
    assert open_data(config(user_inter_num_interval=[2, "inf"])).dataset.user_num == 21
    assert open_data(config()).dataset.user_num == 22


@pytest.mark.parametrize(
    ("headers", "more", "sentence"),
    [
        (
            {"inter": "user_id:float item_id:token"},
            {},
            "line 1: got 'user_id:float' for ids, .*tok",
        ),
        ({"inter": "user_id:token item_id:token_seq"}, {}, "got 'item_id:token_seq' for ids"),
        (
            {"inter": "user_id:token item_id:token rating:float timestamp:token"},
            {"eval_args": LAST_OUT, "load_col": ALL},
            "got 'timestamp:token' for TIME_FIELD, .* timestamp:float",
        ),
        (
            {"inter": "user_id:token item_id:token label:token"},
            {"load_col": {"inter": ["user_id", "item_id", "label"]}},
            "got 'label:token' for LABEL_FIELD",
        ),
        (
            {"inter": HEADER, "user": "user_id:token rating:float"},
            {"load_col": None},
            "a column 'rating' is in odd.inter too",
        ),
        (
            {"inter": HEADER, "user": "uid:token age:float"},
            {"load_col": None},
            "no column 'user_id'",
        ),
    ],
)
def test_headers_that_do_not_serve_are_refused(headers, more, sentence, config, tmp_path):
    for ending, header in headers.items():
        write(tmp_path, [("1", "2", "3", "4")[: len(header.split())]], header, ending)
    with pytest.raises(UsageError, match=sentence):
        open_data(config(**more))


def test_parts_with_other_columns_and_histories_are_refused(config, tmp_path):
    short = "user_id:token item_id:token"
    fixed = {"benchmark_filename": ["train", "test"], "loss_type": "BPR", "eval_args": LAST_OUT}
    write(tmp_path, rows(), HEADER, "train.inter")
    write(tmp_path, [line[:2] for line in rows()], short, "test.inter")
    with pytest.raises(UsageError, match=r"odd.test.inter, line 1: its columns are"):
        open_data(config(**{key: fixed[key] for key in ("benchmark_filename",)}))
    write(tmp_path, rows(), HEADER, "test.inter")
    with pytest.raises(UsageError, match=f"{LIST}.*item_id_list:token_seq.*alias_of_item_id"):
        open_data(config("SASRec", **fixed))
    listed = "user_id:token item_id_list:token_seq item_id:token"
    lines = [(f"u{n}", "i1 i2 i3", f"i{n}") for n in range(1, 9)]
    for part in ("train", "test"):
        write(tmp_path, lines, listed, f"{part}.inter")
    more = {**fixed, "load_col": {"inter": ["user_id", "item_id_list", "item_id"]}}
    with pytest.raises(UsageError, match="alias_of_item_id: got None"):
        open_data(config("SASRec", **more))
    more["alias_of_item_id"] = ["item_id_list"]
    with pytest.raises(UsageError, match=r"line 2: 3 items in 'item_id_list', but MAX_ITEM"):
        open_data(config("SASRec", **more, MAX_ITEM_LIST_LENGTH=2))
    feat = open_data(config("SASRec", **more)).parts["test"].inter_feat
    assert feat["item_id_list"].shape == (8, 3)


def test_a_checked_file_that_changes_is_read_again(config, tmp_path):
    write(tmp_path, rows())
    settings = config()
    check_files(settings, keep=True)
    write(tmp_path, rows()[:150])
    assert len(open_data(settings).dataset.inter_feat) == 150


SCRIPT = """
import json, sys
import recbole_bns
recbole_bns.enable()
from recbole.quick_start import run_recbole
changes, save, data = json.loads(sys.argv[1]), sys.argv[2] == "yes", sys.argv[3]
sys.argv = sys.argv[:1]
for change in changes:
    given = {"neg_sampler": "bns", "epochs": 2, "data_path": data, "checkpoint_dir": "saved",
             "save_dataloaders": save, "save_dataset": save, "show_progress": False,
             "use_gpu": False, "embedding_size": 8, "train_batch_size": 64}
    result = run_recbole(model="BPR", dataset="odd", config_dict={**given, **change})
    with open("results.txt", "a") as file:
        print(json.dumps(result["test_result"]), file=file)
"""


@pytest.mark.slow
@pytest.mark.process
def test_saved_loaders_are_used_where_all_is_equal_and_only_there(tmp_path):
    write(tmp_path, rows())
    same: dict[str, Any] = {"neg_sampler": "dns"}
    changes = [{}, same, same, {"neg_sample_num": 3}, {"seed": 5}, {"neg_sampler": "none"}]
    seen = {}
    for save in ("no", "yes"):
        folder = tmp_path / save
        folder.mkdir()
        run_quickly(SCRIPT, folder, json.dumps(changes), save, str(tmp_path))
        seen[save] = (folder / "results.txt").read_text(encoding="utf-8")
    assert seen["yes"] == seen["no"]
    assert len(set(seen["no"].splitlines())) >= 4
    log = "".join(file.read_text(encoding="utf-8") for file in (tmp_path / "yes").rglob("*.log"))
    assert len(re.findall("Load split dataloaders from", log)) == 1
    assert re.search("dataloader.pth is not used.*neg_sampler", log)


def test_a_saved_data_set_is_not_used_after_its_file_has_changed(config, tmp_path, caplog):
    from recbole.data.utils import create_dataset

    write(tmp_path, rows())
    create_dataset(config(save_dataset=True))
    assert (tmp_path / "saved" / "odd-Dataset.pth.json").is_file()
    with caplog.at_level(logging.INFO):
        create_dataset(config("LightGCN", neg_sampler="dns"))
    assert "Load filtered dataset" in caplog.text
    caplog.clear()
    write(tmp_path, rows()[:150])
    with caplog.at_level(logging.WARNING):
        assert len(create_dataset(config()).inter_feat) == 150
    assert "odd-Dataset.pth is not used" in caplog.text
    caplog.clear()
    (tmp_path / "saved" / "odd-Dataset.pth.json").unlink()
    with caplog.at_level(logging.WARNING):
        assert len(create_dataset(config()).inter_feat) == 150
    assert "nothing beside it says what it was made with" in caplog.text


@pytest.mark.process
def test_a_stock_config_is_left_alone_until_enable(tmp_path):
    write(tmp_path, [("NA", *line[1:]) if line[0] == "u3" else line for line in rows()])
    script = """
import sys
from recbole.config import Config
from recbole.data import create_dataset
import recbole_bns
from recbole_bns import BNSConfig
data, sys.argv = sys.argv[1], sys.argv[:1]
def count(made):
    return len(create_dataset(made("BPR", "odd", None, {"data_path": data})).inter_feat)
assert (count(BNSConfig), count(Config)) == (200, 190)
recbole_bns.enable()
assert count(Config) == 200
"""
    run_quickly(script, tmp_path, str(tmp_path))
