"""The parsers of commands: flags and words in any order, bad ones in one form of answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recbole_bns.cli import compare, main, predict, prepare, report, run, samplers, tune
from recbole_bns.cli.booleans import is_boolean
from recbole_bns.sampling import available

BAD = [
    (
        "samplers --markdwon",
        "samplers: got '--markdwon'; did you mean '--markdown'?; allowed: NAME, --markdown.",
    ),
    ("samplers --wide=3", "samplers: got '--wide'; allowed: NAME, --markdown."),
    (
        "samplers bsn",
        f"neg_sampler: got 'bsn'; did you mean 'bns'?; allowed: {', '.join(sorted(available()))}.",
    ),
    (
        "report a --ouput x",
        "report: got '--ouput'; did you mean '--out'?; allowed: RUN_DIR, --out, --png.",
    ),
    ("report a -o x", "report: got '-o'; allowed: RUN_DIR, --out, --png."),
    (
        "prepare --form x",
        "prepare: got '--form'; did you mean '--from'?; allowed: NAME, --from, --out, --overwrite, "
        "--user, --item, --time, --rating, --label, --weight, --negatives, --min_rating, "
        "--min_user, --min_item.",
    ),
    (
        "prepare ml-1m ml-100k --from x",
        "prepare: got 'ml-100k'; allowed: NAME, --from, --out, --overwrite, "
        "--user, --item, --time, --rating, --label, --weight, --negatives, --min_rating, "
        "--min_user, --min_item.",
    ),
    ("prepare ml-1m --from", "--from: the value is missing; write --from=VALUE."),
    (
        "prepare ml-1m --from a --from=b",
        "--from: given twice, 'a' and 'b'; write it once.",
    ),
    (
        "prepare ml-1m --from a --overwrite=maybe",
        "--overwrite: got 'maybe', allowed is --overwrite without a value.",
    ),
    (
        "predict --checkpont=x",
        "predict: got '--checkpont'; did you mean '--checkpoint'?; "
        "allowed: --checkpoint, --users, --history, --similar, --k, --only, --never, --exclude, "
        "--data_path, --out.",
    ),
    (
        "predict x",
        "predict: the following arguments are required: --checkpoint; "
        "--help shows what is allowed.",
    ),
    (
        "predict --checkpoint x y",
        "predict: got 'y'; allowed: --checkpoint, --users, --history, --similar, --k, --only, "
        "--never, --exclude, --data_path, --out.",
    ),
    ("predict --checkpoint=x --k=many", "--k: got many, allowed is an integer >= 1."),
    ("predict --checkpoint=x --k=0", "--k: got 0, allowed is an integer >= 1."),
    ("predict --checkpoint=x --k", "--k: the value is missing; write --k=VALUE."),
    ("predict --checkpoint=x --k=3 --k=4", "--k: given twice, 3 and 4; write it once."),
    (
        "predict --checkpoint=x --exclude=trian",
        "--exclude: got 'trian'; did you mean 'train'?; allowed: all, train, none.",
    ),
    (
        "export --checkpoint=x --format=cvs",
        "--format: got 'cvs'; did you mean 'csv'?; allowed: npz, csv, parquet, safetensors.",
    ),
    ("export --checkpoint=", "--checkpoint: the value is missing; write --checkpoint=VALUE."),
    ("doctor bns", "doctor: got 'bns'; allowed: nothing at all."),
    ("run tune", "argument 'tune': allowed are flags, --key=value or --key value."),
    ("run --shuffle --model BPR 5", "argument '5': allowed are flags, --key=value or --key value."),
    ("run --model=A --model B", "--model: given twice, 'A' and 'B'; write it once."),
    (
        "run --config_files a --config_files b",
        "--config_files: given twice, ['a'] and ['b']; write it once.",
    ),
    ("run --out --epochs=3", "--out: the value is missing; write --out=VALUE."),
    ("compare --seeds", "--seeds: the value is missing; write --seeds=VALUE."),
    ("compare --record=5", "--record: got '5', allowed is --record without a value."),
    (
        "compare --record --neg_record=False",
        "--neg_record: given twice, True and False; write it once.",
    ),
    ("tune --resume=5", "--resume: got '5', allowed is --resume without a value."),
    ("tune --resume sweep", "argument 'sweep': allowed are flags, --key=value or --key value."),
]


@pytest.mark.parametrize(("words", "sentence"), BAD, ids=[words for words, _ in BAD])
def test_a_bad_word_is_answered_in_one_sentence(words, sentence, in_tmp, capsys):
    assert main(words.split()) == 2
    assert capsys.readouterr() == ("", f"recbole-bns: {sentence}\n")
    assert list(in_tmp.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        "a b --out=x.html --png p",
        "--out x.html a --png=p b",
        "--png=p --out=x.html a b",
        "--png=p --out=x.html a --out x.html b",
    ],
)
def test_flags_stand_before_between_and_after_the_words(words):
    options = report.parser().read(words.split())
    assert (options.folders, options.out, options.png) == (
        [Path("a"), Path("b")],
        Path("x.html"),
        Path("p"),
    )


@pytest.mark.parametrize(
    ("words", "overwrite"),
    [("", False), ("--overwrite", True), ("--overwrite=True", True), ("--overwrite=false", False)],
)
def test_a_switch_may_be_written_out(words, overwrite):
    options = prepare.parser().read([*words.split(), "ml-1m", "--from=x"])
    assert (options.name, options.overwrite) == ("ml-1m", overwrite)


def test_dashes_and_spaces():
    options = predict.parser().read(["--checkpoint", "my runs/a b", "--data-path=x=y", "--k", "5"])
    assert (options.checkpoint, options.data_path, options.k) == ("my runs/a b", "x=y", 5)
    assert samplers.parser().read(["bns", "--markdown", "dns"]).names == ["bns", "dns"]


OPEN: list[tuple[Any, list[str], dict[str, Any]]] = [
    (run, ["--model", "BPR", "--epochs=3"], {"model": "BPR", "epochs": 3}),
    (run, ["--result-file=r.json", "--out", "5"], {"result_file": "r.json", "out": "5"}),
    (run, ["--resume"], {"resume": "auto"}),
    (run, ["--resume", "--epochs", "3"], {"resume": "auto", "epochs": 3}),
    (run, ["--resume", "runs/a b"], {"resume": "runs/a b"}),
    (
        run,
        ["--epochs", "3", "--model", "BPR", "--seed", "4"],
        {"model": "BPR", "epochs": 3, "seed": 4},
    ),
    (run, ["--seed", "-1", "--learning_rate", "-1e-3"], {"seed": -1, "learning_rate": -1e-3}),
    (
        run,
        ["--config_files", "a.yaml", "my b.yaml", "--topk=[5, 10]"],
        {"config_files": ["a.yaml", "my b.yaml"], "topk": [5, 10]},
    ),
    (run, ["--config_files=a.yaml b.yaml"], {"config_files": ["a.yaml", "b.yaml"]}),
    (run, ["--config_files", "a.yaml", "--seed=1"], {"config_files": ["a.yaml"], "seed": 1}),
    (
        run,
        ["--neg_record", "--neg_sampler_args.replacement", "--use_gpu=False", "--gpu_id="],
        {"neg_record": True, "neg_sampler_args.replacement": True, "use_gpu": False, "gpu_id": ""},
    ),
    (compare, ["--seeds=3,7", "--jobs", "2"], {"seeds": "3,7", "jobs": 2}),
    (compare, ["--record", "--samplers=dns"], {"neg_record": True, "samplers": "dns"}),
    (compare, ["--record", "--neg_record"], {"neg_record": True}),
    (compare, ["--record=True"], {"neg_record": True}),
    (compare, ["--record=False"], {}),
    (
        compare,
        ["--dns.replacement", "--dns.candidate_num", "3"],
        {"dns.replacement": True, "dns.candidate_num": 3},
    ),
    (tune, ["--resume", "--out=x"], {"resume": True, "out": "x"}),
    (tune, ["--resume=True", "--time_budget", "30m"], {"resume": True, "time_budget": "30m"}),
    (
        tune,
        ["--gpus_per_trial=0.5", "--metric=NDCG@20"],
        {"gpus_per_trial": 0.5, "metric": "NDCG@20"},
    ),
    (tune, ["--scheduler=none", "--search", "grid"], {"scheduler": "none", "search": "grid"}),
    (tune, [], {}),
]


@pytest.mark.parametrize(("command", "words", "flags"), OPEN, ids=lambda value: str(value)[-40:])
def test_a_command_that_takes_every_setting(command, words, flags):
    read = command.parser().read_open(words)
    assert read == flags
    assert {key: type(value) for key, value in read.items()} == {
        key: type(value) for key, value in flags.items()
    }


@pytest.mark.parametrize(
    ("value", "handed"), [("--resume", "auto"), ("--resume=True", "auto"), ("--resume=False", None)]
)
def test_resume_alone_is_the_newest_unfinished_run(monkeypatch, capsys, value, handed):
    seen = {}
    monkeypatch.setattr(
        "recbole_bns.training.run.run_recbole_bns", lambda *_, **given: seen.update(given)
    )
    monkeypatch.setattr("recbole_bns.runs.results.result_table", str)
    assert main(["run", value]) == 0
    assert seen["resume"] == handed


BOOLEANS = {
    "neg_record": True,
    "tuned": True,
    "show_progress": True,
    "use_gpu": True,
    "shuffle": True,
    "enable_amp": True,
    "train_neg_sample_args.dynamic": True,
    "neg_sampler_args.replacement": True,
    "dns.replacement": True,
    "mf_train": True,  # of NeuMF alone
    "std": False,  # yes or no for FEARec, a number for MacridVAE
    "neg_sampler": False,
    "neg_sampler_args.candidate_num": False,
    "dns.candidate_num": False,
    "rns.replacement": False,
    "epochs": False,
    "nproc": False,
    "gpu_id": False,
    "metrics": False,
    "neg_recrod": False,
}


@pytest.mark.parametrize(("key", "boolean"), BOOLEANS.items())
def test_which_settings_are_yes_or_no(key, boolean, capsys):
    assert is_boolean(key) is boolean
    if not boolean:
        assert main(["run", f"--{key}"]) == 2
        assert capsys.readouterr().err == (
            f"recbole-bns: --{key}: the value is missing; write --{key}=VALUE.\n"
        )
