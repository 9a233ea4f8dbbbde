"""Flags in both spellings: what they become, what is refused, what a run gets of them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from recbole_bns.cli import main
from recbole_bns.cli.flags import DASHED, parse_flags
from recbole_bns.settings.properties import read_own

FLAGS = [
    (["--model=BPR"], {"model": "BPR"}),
    (["--model", "BPR"], {"model": "BPR"}),
    (["--epochs=3", "--seed", "7"], {"epochs": 3, "seed": 7}),
    (
        ["--learning_rate=1e-3", "--weight_decay", ".5"],
        {"learning_rate": 1e-3, "weight_decay": 0.5},
    ),
    (["--shuffle=False", "--use_gpu", "True"], {"shuffle": False, "use_gpu": True}),
    (["--valid_ratio=None"], {"valid_ratio": None}),
    (["--train-batch-size=64"], {"train_batch_size": 64}),
    (["--time-aware=True", "--time-aware"], {"time-aware": True}),
    (["--topk=[5, 10]"], {"topk": [5, 10]}),
    (["--topk", "5,10"], {"topk": [5, 10]}),
    (["--metrics=NDCG,Recall"], {"metrics": ["NDCG", "Recall"]}),
    (["--metrics=NDCG"], {"metrics": "NDCG"}),
    (["--neg_sampler_args.candidate_num=10"], {"neg_sampler_args.candidate_num": 10}),
    (["--neg_sampler_args={cdf: paper}"], {"neg_sampler_args": {"cdf": "paper"}}),
    (["--lr_schedule.gamma", "0.5"], {"lr_schedule.gamma": 0.5}),
    (["--seed", "-1"], {"seed": -1}),
    (["--dataset=100", "--out", "5", "--gpu_id=0"], {"dataset": "100", "out": "5", "gpu_id": "0"}),
    (["--gpu_id="], {"gpu_id": ""}),
    (["--seed=1", "--seed", "1"], {"seed": 1}),
    (["--checkpoint_dir=a=b"], {"checkpoint_dir": "a=b"}),
    (["--x=__import__('os')"], {"x": "__import__('os')"}),
    ([], {}),
]


@pytest.mark.parametrize(("words", "flags"), FLAGS, ids=lambda value: " ".join(value)[:40])
def test_flags_are_read_in_both_spellings_and_typed(words, flags):
    read = parse_flags(words)
    assert read == flags
    assert [type(value) for value in read.values()] == [type(value) for value in flags.values()]


def test_names_with_a_dash_are_those_of_recbole():
    folder = Path(str(find_spec("recbole").origin)).parent / "properties"
    files = [folder / "overall.yaml", *folder.glob("model/*.yaml")]
    keys = {key for path in files for key in read_own(path)}
    assert {key for key in keys if "-" in key} == set(DASHED)


BAD_FLAGS = [
    (["--epochs"], "--epochs: the value is missing; write --epochs=VALUE."),
    (["--epochs", "--seed=1"], "--epochs: the value is missing; write --epochs=VALUE."),
    (["--epochs="], "--epochs: the value is missing; write --epochs=VALUE."),
    (["--config_files"], "--config_files: the value is missing; write --config_files=VALUE."),
    (["epochs=3"], "argument 'epochs=3': allowed are flags, --key=value or --key value."),
    (["--seed=1", "2"], "argument '2': allowed are flags, --key=value or --key value."),
    (["-e", "3"], "argument '-e': allowed are flags, --key=value or --key value."),
    (["--", "x"], "argument '--': allowed are flags, --key=value or --key value."),
    (["--seed=1", "--seed=2"], "--seed: given twice, 1 and 2; write it once."),
]


@pytest.mark.parametrize(("words", "sentence"), BAD_FLAGS, ids=lambda value: str(value)[:40])
def test_flags_that_are_none_are_refused(words, sentence, capsys):
    assert main(["run", *words]) == 2
    assert capsys.readouterr() == ("", f"recbole-bns: {sentence}\n")


def test_run_hands_everything_to_the_run_recipe(monkeypatch, capsys):
    given: dict[str, Any] = {}

    def recipe(*args: Any, **kwargs: Any) -> str:
        given.update(args=args, **kwargs)
        return "result"

    monkeypatch.setattr("recbole_bns.training.run.run_recbole_bns", recipe)
    monkeypatch.setattr(
        "recbole_bns.runs.results.result_table", lambda result: f"table of {result}"
    )
    words = [
        "--model=BPR",
        "--dataset",
        "tiny",
        "--out=there",
        "--result_file",
        "r.json",
        "--config_files",
        "a.yaml",
        "b.yaml",
        "--epochs=3",
        "--resume=auto",
    ]
    assert main(["run", *words]) == 0
    assert given == {
        "args": ("BPR", "tiny", ["a.yaml", "b.yaml"], {"epochs": 3}),
        "out": "there",
        "result_file": "r.json",
        "resume": "auto",
    }
    assert capsys.readouterr().out == "table of result\n"
    assert main(["run"]) == 0
    nothing = {"out": None, "result_file": None, "resume": None}
    assert given == {"args": (None, None, None, {}), **nothing}


def test_the_flags_of_a_run_outrank_its_files(settings, tmp_path, capsys):
    for name, text in (("a", "epochs: 9\nseed: 3"), ("b", "seed: 4\nneg_sampler_args.lambda: 2")):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    flags = [f"--{key}={value}" for key, value in settings.items() if key != "epochs"]
    words = [
        "--config_files",
        str(tmp_path / "a.yaml"),
        str(tmp_path / "b.yaml"),
        "--epochs=1",
        "--model=BPR",
        "--dataset=tiny",
        f"--out={tmp_path / 'run'}",
        "--neg_sampler_args.candidate_num",
        "3",
    ]
    assert main(["run", *flags, *words]) == 0
    import yaml

    final = yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text(encoding="utf-8"))
    assert (final["epochs"], final["seed"]) == (1, 4)
    assert final["neg_sampler_args"]["lambda"] == 2
    assert final["neg_sampler_args"]["candidate_num"] == 3
    assert capsys.readouterr().out.startswith("BPR on tiny with bns, seed 4: 1 epochs of ")
