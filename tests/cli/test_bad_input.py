"""What the user did wrong -> one sentence and exit code 2: where, what was got, what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import ROOT, write_atomic
from warm import run_warm

from recbole_bns import UsageError
from recbole_bns.cli import main
from recbole_bns.cli.run import parser
from recbole_bns.runs import checkpoint
from recbole_bns.sampling import available
from recbole_bns.sampling.capabilities import Vectors, of_type, serves_any_loss
from recbole_bns.settings.early import check_run

BASE = [
    "--model=BPR",
    "--dataset=tiny",
    "--use_gpu=False",
    "--epochs=1",
    "--train_batch_size=256",
    "--eval_batch_size=100000",
    "--show_progress=False",
]
ARGS = "--neg_sampler_args"
SERVED = (
    serves_any_loss(cls) and of_type(cls.requirements_of(cls.Params()), Vectors) is None
    for cls in available().values()
)
OTHERS = sum(SERVED) - 1
"""Samplers that a model without vectors can have, but the last of a list."""

# What the user wrote after BASE (a later --model, --dataset takes the place of an earlier one),
# and the sentence, a pattern that has to match all of it.
TABLE: list[tuple[str, str]] = [
    # --- names
    (
        "--neg_sampler=bsn",
        r"neg_sampler: got 'bsn'; did you mean 'bns'\?; allowed: .*bns.*\.",
    ),
    ("--neg_sampler=7", r"neg_sampler: got '7'; allowed: .*bns.*\."),
    (
        "--model=LightGNC",
        r"model: got 'LightGNC'; did you mean 'LightGCN'\?; allowed is a model of RecBole, .*\.",
    ),
    ("--model=bpr", r"model: got 'bpr'; did you mean 'BPR'\?; allowed is a model of RecBole, .*"),
    (
        "--dataset=ml-1n",
        r"data set 'ml-1n': there is no file \S+ml-1n\.inter; put RecBole's atomic files there, "
        r"or say where they are with --data_path=DIR \(the folder that holds ml-1n/\); did you "
        r"mean 'ml-1m'\?; RecBole's own download no longer works, its storage denies access\.",
    ),
    (
        f"{ARGS}.candidate_nun=3",
        r"neg_sampler_args\.candidate_nun: no such parameter; did you mean 'candidate_num'\?; "
        r"allowed: candidate_num, criterion, lambda, .*\.",
    ),
    (
        f"--neg_sampler=rns {ARGS}.candidate_num=3",
        r"neg_sampler_args\.candidate_num: no such parameter; allowed: no parameter at all\.",
    ),
    ("--neg_smapler=bns", r"setting 'neg_smapler' is not known; did you mean 'neg_sampler'\?\."),
    ("--learning_rat=1", r"setting 'learning_rat' is not known; did you mean 'learning_rate'\?\."),
    # --- wrong type, out of range
    (
        f"{ARGS}.candidate_num=many",
        r"neg_sampler_args\.candidate_num: got 'many', allowed is an integer >= 1 or 'all'\.",
    ),
    (
        f"{ARGS}.candidate_num=2.5",
        r"neg_sampler_args\.candidate_num: got 2\.5, allowed is an integer >= 1 or 'all'\.",
    ),
    (
        f"{ARGS}.candidate_num=0",
        r"neg_sampler_args\.candidate_num: got 0, allowed is an integer >= 1 or 'all'\.",
    ),
    (
        f"{ARGS}.lambda=-1",
        r"neg_sampler_args\.lambda: got -1\.0, allowed is a number >= 0 or a schedule .*\.",
    ),
    (
        f"{ARGS}.lambda.stop=1",
        r"neg_sampler_args\.lambda: got \{'stop': 1\}, allowed is a number >= 0 or a schedule .*",
    ),
    (f"{ARGS}.lambda=.nan", r"neg_sampler_args\.lambda: got nan, allowed is a number >= 0 .*\."),
    (
        f"{ARGS}.cdf=exakt",
        r"neg_sampler_args\.cdf: got 'exakt', allowed is one of exact, paper, all_items, "
        r"estimated\.",
    ),
    (f"{ARGS}.replacement=1", r"neg_sampler_args\.replacement: got 1, allowed is True or False\."),
    (f"{ARGS}=5", r"neg_sampler_args: got 5, allowed is a mapping of parameters\."),
    (f"--neg_sampler=dns {ARGS}.beta=0", r"neg_sampler_args\.beta: got 0\.0, .*> 0 and <= 1\."),
    (f"--neg_sampler=ahns {ARGS}.p=0", r"neg_sampler_args\.p: got 0\.0, allowed is a number < 0\."),
    ("--neg_sample_num=0", r"neg_sample_num: got 0, allowed is an integer >= 1\."),
    ("--neg_sample_num=1.5", r"neg_sample_num: got 1\.5, allowed is an integer >= 1\."),
    ("--valid_ratio=1", r"valid_ratio: got 1, allowed is a number from 0 to below 1\."),
    ("--valid_ratio=a", r"valid_ratio: got 'a', allowed is a number from 0 to below 1\."),
    ("--train_batch_size=0", r"train_batch_size: got 0, allowed is auto, or an integer >= 1\."),
    ("--learning_rate=fast", r"learning_rate: got 'fast', allowed is a number >= 0\."),
    ("--learning_rate=null", r"learning_rate: got None, allowed is a number >= 0\."),
    ("--reg_weight=-1", r"reg_weight: got -1, allowed is a number >= 0\."),
    ("--seed=-1", r"seed: got -1, allowed is an integer from 0 to 2\*\*32 - 1\."),
    ("--lr_schedule=5", r"lr_schedule: got 5, allowed is a mapping such as \{step_size: 20, .*"),
    (
        "--lr_schedule.step=5",
        r"lr_schedule\.step: no such parameter; did you mean 'step_size'\?; allowed: step_size, "
        r"gamma\.",
    ),
    (
        "--lr_schedule.gamma=2",
        r"lr_schedule\.gamma: got 2\.0, allowed is a number > 0 and <= 1\.",
    ),
    (
        "--clip_grad_norm=5",
        r"clip_grad_norm: got 5, allowed is a mapping such as \{max_norm: 1\}\.",
    ),
    (
        "--clip_grad_norm={max_norm:1}",  # YAML has no mapping without the space
        r"clip_grad_norm\.max_norm:1: no such parameter; did you mean 'max_norm'\?; allowed: "
        r"max_norm, norm_type, error_if_nonfinite, foreach\.",
    ),
    (
        "--clip_grad_norm.max_norm=-1",
        r"clip_grad_norm\.max_norm: got -1, allowed is a number > 0\.",
    ),
    (
        "--clip_grad_norm.norm_type=2",
        r"clip_grad_norm\.max_norm: got None, allowed is a number > 0\.",
    ),
    ("--metrics=Recal", r"metrics: got 'Recal'; did you mean 'recall'\?; allowed: .*ndcg.*\."),
    ("--topk=0", r"topk: got 0, allowed are integers >= 1\."),
    ("--topk=5,a", r"topk: got 'a', allowed are integers >= 1\."),
    ("--topk=a,b", r"topk: got 'a', allowed are integers >= 1\."),
    (
        "--valid_metric=MRR@7",
        r"valid_metric: got 'MRR@7', allowed is one of metrics \['Recall', .*\] at one of topk "
        r"\[5, 10, 20\]\.",
    ),
    ("--valid_metric=NDCG", r"valid_metric: got 'NDCG', allowed is one of metrics .*\."),
    ("--valid_metric=5", r"valid_metric: got '5', allowed is one of metrics .*\."),
    (
        "--eval_args.mode=most",
        r"eval_args\.mode: got 'most', allowed are full, labeled, uniN .*",
    ),
    ("--eval_args.order=XX", r"eval_args\.order: got 'XX', allowed are 'RO' .* and 'TO' .*\."),
    ("--user_inter_num_interval=[99,inf)", r"data set 'tiny': Some feat is empty, .*\."),
    # --- what does not go together
    (
        "--model=NeuMF --neg_sampler=aobpr",
        r"neg_sampler 'aobpr' needs user and item vectors, which NeuMF does not have; allowed "
        rf"with this model: (\w+, ){{{OTHERS}}}\w+ \(aobpr works with "
        r"neg_sampler_args\.definition: global\); a dot-product model of your own is made known "
        r"with recbole_bns\.factors\.",
    ),
    (
        "--worker=2 --neg_sampler=srns",
        r"worker: got 2, but neg_sampler 'srns' looks at the model, and a worker process has a "
        r"stale copy of it; allowed is 0\.",
    ),
    (
        "--train_neg_sample_args.distribution=popularity",
        r"train_neg_sample_args: got \{'distribution': 'popularity'\}, which contradicts "
        r"neg_sampler 'bns'; leave it out \(neg_sampler, neg_sampler_args and neg_sample_num "
        r"decide\), or set neg_sampler: none for RecBole's own\.",
    ),
    (
        "--train_neg_sample_args=None",
        r"train_neg_sample_args: got None, which contradicts neg_sampler 'bns'; leave it out .*\.",
    ),
    (
        "--neg_sample_num=2 --train_neg_sample_args.sample_num=3",
        r"train_neg_sample_args: got \{'sample_num': 3\}, which contradicts .*\.",
    ),
    (
        "--model=EASE",
        r"neg_sampler: got 'bns', but EASE trains without negatives; allowed is 'none'\.",
    ),
    (
        f"{ARGS}.candidate_num=61",
        r"neg_sampler_args\.candidate_num: got 61, but the data set has only 60 items; allowed is "
        r"1 to 60\.",
    ),
    (
        f"{ARGS}.prior=occupaton",
        r"neg_sampler_args\.prior: 'occupaton' is no column of the data set's \.user file .*\.",
    ),
    (f"{ARGS}.prior=no.npy", r"neg_sampler_args\.prior: cannot read 'no\.npy' as a NumPy array.*"),
    # --- files
    (
        "--dataset=yahoo-r3",
        r"data set 'yahoo-r3': there is no file \S+yahoo-r3\.inter; Yahoo hands the files out "
        r"after a signed agreement .*--data_path=DIR.*\.",
    ),
    (
        "--dataset=ml-1m-ahns",
        r"data set 'ml-1m-ahns': there is no file \S+ml-1m-ahns\.train\.inter; get the split .*",
    ),
    ("--result_file=.", r"result_file: cannot write '\.': Is a directory\."),
    ("--config_files no.yaml", r"config file 'no\.yaml': No such file or directory\."),
    (
        "--benchmark_filename=[a]",
        r"benchmark_filename: got \['a'\], allowed are two parts \[train, test\] or three "
        r"\[train, valid, test\]\.",
    ),
    (
        "--benchmark_filename=[a,b]",
        r"data set 'tiny': there is no file \S+tiny\.a\.inter; put RecBole's .*\.",
    ),
    (
        "--load_col.inter=[user_id]",
        r"load_col\.inter: got \['user_id'\], allowed are lists with \['user_id', 'item_id'\] in "
        r"them\.",
    ),
    ("--eval_args.split.RS=[1,0,0]", r"data set 'tiny': the valid part is empty; check .*\."),
]


def _with(words: Sequence[str], data: Path) -> list[str]:
    """The words after BASE, whose flags they take the place of."""
    flags = {word.partition("=")[0]: word for word in [*BASE, f"--data_path={data}"]}
    rest = [word for word in words if word.partition("=")[0] not in flags]
    flags.update({w.partition("=")[0]: w for w in words if w.partition("=")[0] in flags})
    return [*flags.values(), *rest]


@pytest.fixture
def run(in_tmp: Path, data_path: Path, capsys: Any) -> Callable[..., str]:
    """Run with bad input in this process; returns the sentence."""

    def command(*words: str, data: Path = data_path) -> str:
        before = set(in_tmp.iterdir())
        assert main(["run", *_with(words, data)]) == 2
        assert {path.name for path in set(in_tmp.iterdir()) - before} <= {"runs"}
        out, err = capsys.readouterr()
        assert out == ""
        sentence = err.removeprefix("recbole-bns: ")
        assert sentence != err
        assert sentence.count("\n") == 1, sentence
        return sentence.strip()

    return command


@pytest.mark.parametrize(("words", "pattern"), TABLE, ids=[words for words, _ in TABLE])
def test_a_sentence_and_exit_code_2(run, words, pattern):
    sentence = run(*words.split())
    assert re.fullmatch(pattern, sentence), sentence


LATER = (
    "--valid_metric",
    "--eval_args",
    "--user_inter_num_interval",
    "--model=NeuMF",
    "--worker",
    "--train_neg_sample_args",
    "--neg_sample_num=2 --train",
    "--model=EASE",
    f"{ARGS}.candidate_num=61",
    f"{ARGS}.prior",
    "--result_file",
    "--load_col",
    "--lr_schedule.",
)
"""Beginnings of what is only seen with RecBole or the data at hand."""


@pytest.mark.parametrize(("words", "pattern"), TABLE, ids=[words for words, _ in TABLE])
def test_what_is_seen_before_anything_is_loaded_is_said_in_the_same_words(
    words, pattern, data_path, in_tmp
):
    flags = parser().read_open([*_with(words.split(), data_path)])
    names = [flags.pop(key, None) for key in ("model", "dataset", "config_files")]
    flags.pop("result_file", None)
    if words.startswith(LATER):
        check_run(*names, flags)
        return
    with pytest.raises(UsageError) as refusal:
        check_run(*names, flags)
    assert re.fullmatch(pattern, str(refusal.value)), refusal.value


# --- Data files --------------------------------------------------------------------------------

HEAD = "user_id:token\titem_id:token\trating:float"
FILES = [
    (
        "",
        r"\S+bad\.inter, line 1: '' is no field of a RecBole atomic file; allowed is name:type, .*",
    ),
    (HEAD, r"\S+bad\.inter: there is no line in it but the first\."),
    ("u1,i1,5\n", r"\S+bad\.inter, line 1: 'u1,i1,5' is no field of a RecBole atomic file; .*"),
    ("user_id\titem_id\n1\t2", r"\S+, line 1: 'user_id' is no field of a RecBole atomic file; .*"),
    (
        "user_id:tok\titem_id:token\n1\t2",
        r"\S+, line 1: 'user_id:tok' is no field .*types: token, .*",
    ),
    (
        "user:token\titem_id:token\n1\t2",
        r"\S+, line 1: there is no column 'user_id' \(columns: user:token, item_id:token\); .*\.",
    ),
    (
        f"{HEAD}\nu1\ti1\t3\nu1\ti2\nu2\ti1\t4\n",
        r"\S+bad\.inter, line 3: 'u1\\ti2' is malformed; allowed are 3 fields \(user_id:token, "
        r"item_id:token, rating:float\), none of them empty\.",
    ),
    (f"{HEAD}\nu1\ti1\t3\t4\n", r"\S+bad\.inter, line 2: 'u1\\ti1\\t3\\t4' is malformed; .*"),
    (f"{HEAD}\nu1\ti1\t3\nu1\t\t3\n", r"\S+bad\.inter, line 3: 'u1\\t\\t3' is malformed; .*"),
    (f"{HEAD}\nu1\ti1\t3\nu1\ti2\tgood\n", r"\S+bad\.inter, line 3: 'u1\\ti2\\tgood' is .*"),
    (f"{HEAD}\nu1\ti1\tnan\n", r"\S+bad\.inter, line 2: 'u1\\ti1\\tnan' is malformed; .*"),
    (f"{HEAD}\nu1\ti1\t3\n\nu1\ti2\t3\n", r"\S+bad\.inter, line 3: '' is malformed; .*"),
]


@pytest.mark.parametrize(("content", "pattern"), FILES)
def test_a_malformed_file_is_named_with_its_line(run, tmp_path, content, pattern):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bad.inter").write_text(content, encoding="utf-8")
    sentence = run("--dataset=bad", data=tmp_path)
    assert re.fullmatch(pattern, sentence), sentence


@pytest.mark.parametrize("content", ["a: [1", "- 1\n- 2", "just words", "a: b: c"])
def test_a_config_file_that_is_none_is_named(run, tmp_path, content):
    file = tmp_path / "a.yaml"
    file.write_text(content, encoding="utf-8")
    sentence = run("--config_files", str(file))
    assert re.fullmatch(
        rf"config file '{file}'(, line \d: not valid YAML|: got a \w+, allowed is a mapping of "
        r"settings \(key: value\))\.",
        sentence,
    ), sentence


def test_windows_line_ends_are_fine(data_path, tmp_path, capsys):
    text = (data_path / "tiny" / "tiny.inter").read_text(encoding="utf-8")
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "tiny.inter").write_bytes(text.replace("\n", "\r\n").encode())
    words = [word for word in BASE if "data_path" not in word]
    assert main(["run", *words, f"--data_path={tmp_path}", f"--out={tmp_path / 'run'}"]) == 0
    capsys.readouterr()


def test_a_data_set_without_any_negative_is_refused(run, tmp_path):
    header = "user_id:token item_id:token"
    for part in ("train", "test"):
        rows = [(f"u{user}", f"i{item}") for user in range(4) for item in range(5)]
        write_atomic(tmp_path / "all" / f"all.{part}.inter", header, rows)
    sentence = run(
        "--dataset=all",
        "--benchmark_filename=[train,test]",
        "--valid_ratio=0",
        "--topk=5",
        data=tmp_path,
    )
    assert sentence == (
        "data set 'all': no user has a negative left, every user has interacted with every item of "
        "the training part; use a larger catalogue or filter with user_inter_num_interval."
    )


@pytest.mark.parametrize("line", ["u99\t3", "u99\tyoung\tdoctor", "u99\t3\tdoctor\tand more"])
def test_a_malformed_line_of_the_user_file_is_named(run, data_path, tmp_path, line):
    (tmp_path / "tiny").mkdir()
    for suffix in ("inter", "user"):
        text = (data_path / "tiny" / f"tiny.{suffix}").read_text(encoding="utf-8")
        extra = f"u98\t\t\n{line}\n" if suffix == "user" else ""  # empty features are fine
        (tmp_path / "tiny" / f"tiny.{suffix}").write_text(text + extra, encoding="utf-8")
    sentence = run("--neg_sampler_args.prior=occupation", data=tmp_path)
    allowed = "are 3 fields (user_id:token, age:float, occupation:token)."
    if "young" in line:
        allowed = "in column 'age:float' are finite numbers, got 'young'."
    assert sentence == (
        f"{tmp_path}/tiny/tiny.user, line 43: {line!r} is malformed; allowed {allowed}"
    )


# --- Training that diverges --------------------------------------------------------------------


def last_sentence(err: str) -> str:
    lines = [line for line in err.splitlines() if not line.startswith("WARNING")]
    assert len(lines) == 1, err
    return lines[0].removeprefix("recbole-bns: ")


def diverge(data_path: Path, out: Path, *more: str) -> int:
    words = [*BASE, f"--data_path={data_path}", f"--out={out}", "--embedding_size=8", *more]
    kept = {word.partition("=")[0]: word for word in words}
    return main(["run", *kept.values()])


@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
@pytest.mark.parametrize("sampler", ["bns", "rns", "none"])
def test_weights_that_explode_end_the_training(data_path, tmp_path, capsys, model, sampler):
    code = diverge(
        data_path,
        tmp_path / "run",
        f"--model={model}",
        f"--neg_sampler={sampler}",
        "--learner=sgd",
        "--learning_rate=1e30",
        "--weight_decay=1e30",
        "--epochs=4",
    )
    assert code == 2
    sentence = last_sentence(capsys.readouterr().err)
    assert re.fullmatch(
        r"training: (the loss is NaN in|the weights are not finite after) epoch 1; lower "
        r"learning_rate, or set clip_grad_norm: \{max_norm: 1\}; no checkpoint was written yet\.",
        sentence,
    ), sentence
    assert not list(tmp_path.rglob("*.pt"))


@pytest.mark.parametrize("when", ["loss", "last step"])
def test_nan_later_names_the_epoch_and_keeps_the_last_good_checkpoint(
    data_path, tmp_path, capsys, monkeypatch, when
):
    """In the third epoch the model is poisoned, by its loss or by the very last step."""
    from recbole.model.general_recommender import BPR
    from recbole.trainer import Trainer

    inner_loss, inner_epoch = BPR.calculate_loss, Trainer._train_epoch
    batches = {"seen": 0}

    def loss(self: Any, batch: Any) -> torch.Tensor:
        batches["seen"] += 1
        value = inner_loss(self, batch)
        return value * float("nan") if when == "loss" and batches["seen"] == 8 else value

    def epoch(self: Any, train: Any, index: int, *args: Any, **kwargs: Any) -> Any:
        total = inner_epoch(self, train, index, *args, **kwargs)
        if when == "last step" and index == 2:
            self.model.user_embedding.weight.data[3, 1] = float("nan")
        return total

    monkeypatch.setattr(BPR, "calculate_loss", loss)
    monkeypatch.setattr(Trainer, "_train_epoch", epoch)
    out = tmp_path / "run"
    recboles = "--fused_step=False"  # whose loss is poisoned
    assert diverge(data_path, out, "--epochs=6", "--learning_rate=0.01", recboles) == 2
    what = "the loss is NaN in" if when == "loss" else "the weights are not finite after"
    state = checkpoint.load(out / "checkpoints" / "best.pt")
    good = state["epoch"] + 1
    assert last_sentence(capsys.readouterr().err) == (
        f"training: {what} epoch 3; lower learning_rate, or set clip_grad_norm: {{max_norm: 1}}; "
        f"the weights of epoch {good} are in {out / 'checkpoints' / 'best.pt'}."
    )
    assert good in (1, 2)
    assert all(value.isfinite().all() for value in state["state_dict"].values())
    assert (out / "epochs.csv").read_text(encoding="utf-8").count("\n") == 3
    assert not (out / "result.json").exists()


# --- As a user starts it -----------------------------------------------------------------------


@pytest.mark.process
def test_the_script_exits_with_2_and_shows_no_traceback(in_tmp):
    script = "import runpy, sys; sys.argv.pop(0); runpy.run_path(sys.argv[0], None, '__main__')"
    words = [str(ROOT / "run_recbole_bns.py"), "--neg_sampler", "bnss"]
    done = run_warm(script, in_tmp, *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"recbole-bns: neg_sampler: got 'bnss'; did you .*\n", done.stderr)
    assert not list(in_tmp.iterdir())
