"""Data sets and settings that nobody would wish for: a sentence or a result, nothing else."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from tiny import LOSS

from recbole_bns import UsageError
from recbole_bns.cli import main
from recbole_bns.common.params import defaults
from recbole_bns.runs import checkpoint
from recbole_bns.sampling import available, get, parse
from recbole_bns.settings.words import read_yaml
from recbole_bns.training.run import run_recbole_bns

SAMPLERS = sorted(name for name, cls in available().items() if "recbole_bns." in cls.__module__)
FEW = examples(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MANY = examples(FEW, max_examples=300)


# --- Data sets ---------------------------------------------------------------------------------

TOKENS = st.one_of(
    st.integers(0, 9).map(str),
    st.sampled_from(
        [
            "a,b",
            "a b",
            '"',
            "'",
            "[PAD]",
            "nan",
            "None",
            "-1",
            "1.0",
            "01",
            "é",
            "用户",
            "\u200b",
            "=1+1",
            "9" * 400,
            "../x",
            "a\\tb",
            "%s",
            "{}",
            "#",
            "\x01",
        ]
    ),
    st.text(
        st.characters(blacklist_categories=["Cs"], blacklist_characters="\t\r\n"),
        min_size=1,
        max_size=4,
    ),
)


@st.composite
def interactions(draw: Any) -> list[tuple[str, str]]:
    """Few users and items under odd names, and pairs of them, some of them twice."""
    users = draw(st.lists(TOKENS, min_size=1, max_size=4, unique=True))
    items = draw(st.lists(TOKENS, min_size=1, max_size=6, unique=True))
    pairs = st.tuples(st.sampled_from(users), st.sampled_from(items))
    return draw(st.lists(pairs, min_size=0, max_size=30))


def outcome(words: list[str], capsys: Any) -> tuple[int, str]:
    """Exit status and sentence of a command, which ends without a traceback."""
    capsys.readouterr()
    code = main(words)
    said = [
        line
        for line in capsys.readouterr().err.splitlines()
        if not line.startswith(("WARNING", "note: "))
    ]
    assert code in (0, 2), said
    assert len(said) == (1 if code else 0), said
    assert not any("Traceback" in line for line in said)
    return code, "".join(said)


@FEW
@given(
    pairs=interactions(),
    sampler=st.sampled_from([*SAMPLERS, "none"]),
    model=st.sampled_from(["BPR", "LightGCN"]),
    ending=st.sampled_from(["\n", "\r\n"]),
    number=st.sampled_from([1, 3]),
)
def test_odd_data_sets_train_or_are_refused(pairs, sampler, model, ending, number, capsys):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "odd"
        folder.mkdir()
        lines = ["user_id:token\titem_id:token", *("\t".join(pair) for pair in pairs)]
        text = "".join(line + ending for line in lines)
        (folder / "odd.inter").write_bytes(text.encode())
        words = [
            "run",
            f"--model={model}",
            "--dataset=odd",
            f"--data_path={place}",
            "--epochs=1",
            f"--neg_sampler={sampler}",
            "--use_gpu=False",
            "--show_progress=False",
            "--embedding_size=4",
            f"--neg_sample_num={number}",
            *(f"--{key}={value}" for key, value in LOSS.get(sampler, {}).items()),
            "--topk=3",
            "--eval_args={split: {RS: [0.6, 0.2, 0.2]}, order: RO, mode: full}",
            f"--out={place}/out",
        ]
        code, _ = outcome(words, capsys)
        if code == 0:
            result = json.loads((Path(place) / "out" / "result.json").read_text("utf-8"))
            assert all(math.isfinite(v) and 0 <= v <= 1 for v in result["test_result"].values())


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in LOSS])
def test_a_user_with_one_negative_gets_it(sampler, tmp_path, capsys):
    items = [f"i{n}" for n in range(9)]
    (tmp_path / "odd").mkdir()
    for part, rows in (
        ("train", [("u1", i) for i in items[:8]] + [("u2", i) for i in items[5:]]),
        ("test", [("u1", "i8"), ("u2", "i0")]),
    ):
        lines = ["user_id:token\titem_id:token", *("\t".join(pair) for pair in rows)]
        (tmp_path / "odd" / f"odd.{part}.inter").write_text("\n".join(lines) + "\n", "utf-8")
    words = [
        "run",
        "--model=BPR",
        "--dataset=odd",
        f"--data_path={tmp_path}",
        "--epochs=2",
        "--benchmark_filename=[train,test]",
        "--valid_ratio=0",
        f"--neg_sampler={sampler}",
        "--use_gpu=False",
        "--show_progress=False",
        "--neg_sample_num=3",
        "--neg_record=True",
        "--topk=3",
        f"--out={tmp_path}/out",
    ]
    small = {
        "srns": ("memory_num", "new_num"),
        "ahns": ("candidate_num",),
        "bns_plus": ("candidate_num",),
        "cuco": ("candidate_num",),
        "rns_as": ("candidate_num",),
        "advir": ("candidate_num",),
    }.get(sampler, ())
    code, sentence = outcome([*words, *(f"--neg_sampler_args.{n}=4" for n in small)], capsys)
    assert code == 0, sentence
    record = pd.read_csv(tmp_path / "out" / "negatives.csv")
    assert (record["negatives"] == 3 * 12).all(), "the one of u1 takes all three places"
    assert (record["coverage"] <= 6 / 9).all(), "i8 for u1, i0 to i4 for u2"


# --- Settings ----------------------------------------------------------------------------------


def refusal(work: Any) -> str | None:
    """The sentence that something is refused with, or None; any other error is one."""
    try:
        work()
    except UsageError as error:
        return str(error)
    return None


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.binary(max_size=3),
        st.complex_numbers(),
        st.just(object()),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner),
        st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ),
    max_leaves=4,
)


@MANY
@given(name=st.sampled_from(SAMPLERS), data=st.data())
def test_parameters_of_every_wrong_type(name, data):
    cls = get(name).Params
    known = sorted(defaults(cls)) or ["x"]
    args = data.draw(st.dictionaries(st.sampled_from([*known, "other"]), VALUES, max_size=2))
    said = refusal(lambda: parse(cls, args, "neg_sampler_args"))
    assert said is None or (said.startswith("neg_sampler_args.") and "allowed" in said)


@MANY
@given(
    text=st.one_of(
        st.text(max_size=40),
        st.sampled_from(
            [
                "a: &a [*a]",
                "a: &a {b: *a}",
                "!!python/object/apply:os.system ['true']",
                "a: !!python/name:os.system",
                "- 1",
                "1",
                "a: 1\na: 2",
                "? [1]\n: 2",
                "\x00",
                "a: \t- b",
                "%YAML 9.9\n---\na: 1",
                "a: 1e400",
                "epochs: !!int x",
                "<<: 3",
            ]
        ),
    )
)
def test_files_of_settings_are_mappings_or_refused(text):
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "a.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        said = refusal(lambda: read_yaml(path))
        assert said is None or said.startswith(f"config file '{path}'")


@pytest.mark.parametrize(
    "text",
    [
        "epochs: &a [*a]",
        "neg_sampler_args: &a {b: *a}",
        "epochs: !!python/object/apply:os.mkdir [hacked]",
        "topk: {1: 2}",
        "1: 2",
        "metrics: 3",
    ],
)
def test_a_run_with_such_a_file_is_refused(text, in_tmp, data_path, capsys):
    Path("a.yaml").write_text(text, encoding="utf-8")
    words = [
        "run",
        "--model=BPR",
        "--dataset=tiny",
        f"--data_path={data_path}",
        "--epochs=1",
        "--config_files",
        "a.yaml",
    ]
    assert outcome([w for w in words if "epochs" not in w or "epochs" not in text], capsys)[0] == 2
    assert not Path("hacked").exists()
    assert not Path("runs").exists()


# --- Disks -------------------------------------------------------------------------------------


def test_a_full_disk_ends_the_run_and_what_there_was_stays(settings, tmp_path, monkeypatch, capsys):
    words = [
        "run",
        "--model=BPR",
        "--dataset=tiny",
        "--neg_sampler=dns",
        f"--out={tmp_path}/run",
        *(f"--{k}={v}" for k, v in {**settings, "epochs": 4}.items()),
    ]
    save, calls = torch.save, {"n": 0}

    def full(state: Any, file: Any) -> None:
        calls["n"] += 1
        if calls["n"] == 4:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(state, file)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        code, sentence = outcome(words, capsys)
    assert code == 2
    assert "No space left on device" in sentence
    assert f"--resume={tmp_path}/run" in sentence
    kept = tmp_path / "run" / "checkpoints"
    assert all(checkpoint.load(path)["state_dict"] for path in kept.glob("*.pt"))
    assert run_recbole_bns(resume=tmp_path / "run")["epochs"] == 4


def test_a_read_only_data_folder_is_fine_and_one_to_write_is_refused(
    settings, data_path, tmp_path, capsys
):
    if os.geteuid() == 0:
        os_says = "runs as root, whom no permission stops"
        pytest.skip(os_says)
    shutil.copytree(data_path / "tiny", tmp_path / "data" / "tiny")
    for path in (tmp_path / "data" / "tiny").iterdir():
        path.chmod(0o444)
    (tmp_path / "data" / "tiny").chmod(0o555)
    settings["data_path"] = tmp_path / "data"
    words = [
        "run",
        "--model=BPR",
        "--dataset=tiny",
        "--neg_sampler=dns",
        f"--out={tmp_path}/run",
        *(f"--{k}={v}" for k, v in settings.items()),
    ]
    assert outcome(words, capsys)[0] == 0
    (tmp_path / "shut").mkdir(mode=0o555)
    words = [f"--out={tmp_path}/shut/run" if w.startswith("--out") else w for w in words]
    code, sentence = outcome(words, capsys)
    assert code == 2
    assert "cannot make the folder" in sentence
