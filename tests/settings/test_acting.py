"""Each given setting acts, is refused, or is named: keys that nothing reads, settings at odds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiny import LOSS

from recbole_bns import BNSConfig, UsageError
from recbole_bns.adapters.acting import check_commands, remarks
from recbole_bns.adapters.keys import near_misses, parameters
from recbole_bns.adapters.reads import known_keys
from recbole_bns.cli import compare, main, predict, run, tune
from recbole_bns.common.params import defaults
from recbole_bns.sampling import available, get
from recbole_bns.settings import early, hints
from recbole_bns.settings.declared import allowed_words, declared, having
from recbole_bns.settings.words import typed
from recbole_bns.tuning.plan import read_plan as read_sweep

UNKNOWN = [
    ("lr", "did you mean 'learning_rate'?"),
    ("dim", "did you mean 'embedding_size'?"),
    ("batch_size", "did you mean 'train_batch_size'?"),
    ("patience", "did you mean 'stopping_step'?"),
    ("k", "did you mean 'topk'?"),
    ("l2", "did you mean 'reg_weight'?"),
    ("n_epochs", "did you mean 'epochs'?"),
    ("optimizer", "did you mean 'learner'?"),
    ("sampler", "did you mean 'neg_sampler'?"),
    ("num_neg", "did you mean 'neg_sample_num'?"),
    ("device", "did you mean 'use_gpu' (True, False) or 'gpu_id' (0)?"),
    ("n_trials", "did you mean --num_samples, a flag of recbole-bns tune?"),
    ("samplers", "--samplers is a flag of recbole-bns compare"),
    ("num_samples", "--num_samples is a flag of recbole-bns tune"),
    ("candidate_num", "did you mean 'neg_sampler_args.candidate_num', a parameter of bns?"),
    ("beta", "did you mean 'neg_sampler_args.beta', a parameter of ahns, dns"),
    ("dns.candidate_num", "in a run a parameter of dns is written 'neg_sampler_args.KEY'"),
    ("learning_rat", "did you mean 'learning_rate'?"),
    ("loss_fn", "did you mean 'loss'?"),
    ("criterion", "did you mean 'neg_sampler_args.criterion', a parameter of bns?"),
    ("num_negatives", "did you mean 'neg_sample_num'?"),
    ("similarity", "did you mean 'loss_similarity'?"),
    ("logq", "did you mean 'loss_log_q'?"),
    ("shared_negatives", "did you mean 'neg_shared'?"),
    ("temperature", "did you mean 'loss_args.temperature', a parameter of "),
    ("tau", "'loss_args.temperature', a parameter of sl, bsl, psl, slk, ssm (loss is model)?"),
    ("tau", "did you mean 'neg_sampler_args.tau', a parameter of srns (neg_sampler is bns), or "),
    ("ssm.temperature", "in a run a parameter of ssm is written 'loss_args.KEY', with loss: ssm"),
    ("losses", "--losses is a flag of recbole-bns compare"),
    ("foo", "neither RecBole, BPR, bns nor this package reads it"),
    ("csv", "neither RecBole, BPR, bns nor this package reads it"),
    ("xgb_params", "neither RecBole, BPR, bns nor this package reads it"),
    ("MODEL_TYPE", "it follows from others and cannot be set"),
]


WITH_A_LOSS = [
    ("temperature", "srns", "did you mean 'loss_args.temperature', a parameter of ssm?"),
    ("tau", "dns", "did you mean 'loss_args.temperature', a parameter of ssm?"),
    ("tau", "srns", "did you mean 'neg_sampler_args.tau', a parameter of srns?"),
    ("criterion", "rns", "did you mean 'loss'?"),
    ("temprature", "rns", "did you mean 'loss_args.temperature'?"),
]


@pytest.mark.parametrize(("key", "sampler", "hint"), WITH_A_LOSS)
def test_a_parameter_of_the_chosen_loss_is_hinted_at(
    make: Callable[..., Any], key: str, sampler: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(hint)):
        make(**{key: 3, "loss": "SSM", "neg_sampler": sampler})


@pytest.mark.parametrize(("key", "hint"), UNKNOWN)
def test_a_setting_that_nothing_reads_is_refused_with_what_was_meant(
    make: Callable[..., Any], tmp_path: Path, key: str, hint: str
) -> None:
    with pytest.raises(UsageError) as error:
        make(**{key: 3})
    assert str(error.value).startswith(f"setting '{key.partition('.')[0]}' is not known")
    assert hint in str(error.value)


@pytest.mark.parametrize("key", ["lr", "foo", "csv", "samplers", "device"])
def test_in_a_file_it_is_refused_with_the_files_name(
    tmp_path: Path, data_path: Path, key: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"data_path": str(data_path), key: 3}), encoding="utf-8")
    with pytest.raises(UsageError, match=rf"^config file '{file}': setting '{key}' is not known"):
        BNSConfig("BPR", "tiny", [str(file)])
    with pytest.raises(UsageError, match=rf"^config file '{file}': setting '{key}' is not known"):
        read_sweep({"model": "BPR", "dataset": "tiny", "config_files": [str(file)]}, "")


def test_a_files_setting_for_another_model_is_named_and_on_the_command_line_refused(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "shared.yaml"
    file.write_text("n_layers: 2\nmlp_hidden_size: [8]\nalpha: 0.5\n", encoding="utf-8")
    config = BNSConfig("BPR", "tiny", [str(file)], {"neg_sampler": "ahns"})
    assert config.remarks == [
        f"config file '{file}': n_layers, mlp_hidden_size, alpha: read by other models of RecBole, "
        "not by BPR: no effect here; did you mean 'neg_sampler_args.alpha', a parameter of ahns?."
    ]
    assert BNSConfig("LightGCN", "tiny", [str(file)]).remarks != []
    with pytest.raises(UsageError, match="'n_layers' is not known"):
        make(n_layers=2)
    assert make("LightGCN", n_layers=2)["n_layers"] == 2


def test_the_settings_of_an_earlier_run_stay_good(tmp_path: Path, data_path: Path) -> None:
    """What it holds too much, since nothing was refused then, is named."""
    (tmp_path / "run.log").touch()
    file = tmp_path / "settings.yaml"
    given = {"data_path": str(data_path), "model": "BPR", "dataset": "tiny", "lr": 0.5}
    file.write_text(yaml.safe_dump(given), encoding="utf-8")
    assert BNSConfig(config_file_list=[str(file)]).remarks == [
        f"config file '{file}': lr: nothing is seen to read what is let pass here."
    ]


@pytest.mark.parametrize(
    "model", ["NCL", "SGL", "DiffRec", "SASRec", "DeepFM", "KGAT", "SpectralCF"]
)
def test_what_the_yaml_and_the_source_of_a_model_name_is_known(model: str) -> None:
    from recbole.utils import get_model

    source = Path(__import__("inspect").getsourcefile(get_model(model))).read_text("utf-8")  # type: ignore[arg-type]
    read = set(re.findall(r"""config\[\s*"(\w+)"\s*\]""", source))
    assert read
    assert read - set(having("computed")) <= known_keys(model)


# --- Settings at odds with others ----------------------------------------------------------------

AT_ODDS = [
    ("BPR", {"neg_sampler": "none", "neg_sample_num": 4}, "neg_sample_num: got 4, but neg_sampler"),
    (
        "BPR",
        {"neg_sampler": "none", "neg_sampler_args.candidate_num": 4},
        "neg_sampler_args: got {'candidate_num': 4}, but neg_sampler 'none'",
    ),
    (
        "BPR",
        {"neg_sampler": "none", "train_neg_sample_args.distributon": "popularity"},
        "train_neg_sample_args.distributon: no such entry",
    ),
    ("NeuMF", {"reg_weight": 0.5}, "reg_weight: NeuMF has no L2 term"),
    ("BPR", {"train_neg_sample_args": {"alpha": 0.5}}, "train_neg_sample_args: got {'alpha': 0.5}"),
    ("BPR", {"train_neg_sample_args": {"sampl_num": 1}}, "train_neg_sample_args: got"),
    (
        "BPR",
        {"benchmark_filename": ["train", "test"], "user_inter_num_interval": "[5,inf)"},
        "user_inter_num_interval: got '[5,inf)', but benchmark_filename",
    ),
    (
        "BPR",
        {"benchmark_filename": ["train", "test"], "val_interval": {"rating": "[3,inf)"}},
        "val_interval: got {'rating': '[3,inf)'}, but benchmark_filename",
    ),
    (
        "BPR",
        {"benchmark_filename": ["train", "test"], "eval_args.order": "TO"},
        "eval_args.order: got 'TO', but benchmark_filename",
    ),
    (
        "BPR",
        {"epochs": 100, "neg_sampler_args.lambda": {"start": 5, "step": -0.1}},
        "neg_sampler_args.lambda: got {'start': 5.0, 'step': -0.1}, which is -0.1 in epoch 52 of "
        "100, allowed is a number >= 0",
    ),
    (
        "BPR",
        {"neg_sampler_args.lambda": {"start": 5, "step": 1, "stop": 2}},
        "neg_sampler_args.lambda: got {'start': 5.0, 'step': 1.0, 'stop': 2.0}, which starts at 5 "
        "and moves away from stop 2",
    ),
    (
        "BPR",
        {"neg_sampler_args.lambda": {"start": 5, "stop": 2}},
        "neg_sampler_args.lambda: got {'start': 5.0, 'step': 0.0, 'stop': 2.0}, which starts at 5 "
        "and does not move",
    ),
    ("BPR", {"eval_args.splt": {"RS": [1]}}, "eval_args.splt: not known; did you mean 'split'"),
    ("BPR", {"eval_args.mode": "uniform100"}, "eval_args.mode: got 'uniform100', allowed are full"),
    ("BPR", {"eval_args.mode.vald": "full"}, "eval_args.mode.vald: allowed are valid and test"),
    ("BPR", {"eval_args.split": {"XX": [1]}}, "eval_args.split: got {'XX': [1]"),
    ("BPR", {"learner": "adamm"}, "learner: got 'adamm'; did you mean 'adam'"),
    ("BPR", {"user_inter_num_interval": "[a,b]"}, "user_inter_num_interval: got '[a,b]', allowed"),
    ("BPR", {"user_inter_num_interval": "[9,3]"}, "user_inter_num_interval: got '[9,3]', allowed"),
    ("BPR", {"val_interval": {"rating": 3}}, "val_interval.rating: got 3, allowed is an interval"),
    ("BPR", {"load_col": {"inter": 1}}, "load_col.inter: got 1, allowed is a list of columns"),
    ("BPR", {"metrics": ["NDCG", "AUC"]}, "metrics: got ['NDCG', 'AUC'], allowed are metrics of"),
    ("BPR", {"shuffle": 3}, "shuffle: got 3, allowed is True or False."),
]


@pytest.mark.parametrize(("model", "given", "sentence"), AT_ODDS)
def test_a_contradiction_is_refused(
    make: Callable[..., Any], model: str, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError) as error:
        make(model, **given)
    assert str(error.value).startswith(sentence)


IN_COMMANDS = [
    ({"gpu_id": "0", "use_gpu": True}, "gpu_id: got '0', but PyTorch sees no such GPU"),
    ({"use_gpu": True}, "use_gpu: got True, but PyTorch sees no such GPU"),
    ({"log_wandb": True}, "log_wandb: got True, which needs the package wandb"),
    ({"eval_args.mode": "labeled"}, "eval_args.mode: got 'labeled', but there are no labels"),
]


@pytest.mark.parametrize(("given", "sentence"), IN_COMMANDS)
def test_what_a_command_cannot_do_is_refused_before_the_data_are_read(
    make: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any],
    sentence: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(
        "recbole_bns.adapters.reads.find_spec", lambda name: None if name == "wandb" else 1
    )
    with pytest.raises(UsageError) as error:
        check_commands(make(**given))
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("--checkpoint_dir=ck", "checkpoint_dir: got 'ck', which is not read here: a run keeps"),
        ("--save_dataloaders=True", "save_dataloaders: got True, which is not read here: the data"),
    ],
)
@pytest.mark.parametrize("command", ["run", "compare", "tune"])
def test_a_flag_that_no_command_reads_is_refused(
    data_path: Path, in_tmp: Path, capsys: pytest.CaptureFixture[str], command, flag, sentence
) -> None:
    words = [f"--data_path={data_path}", "--dataset=tiny", "--model=BPR", "--use_gpu=False"]
    assert main([command, *words, flag]) == 2
    assert capsys.readouterr().err.startswith(f"recbole-bns: {sentence}")
    assert not list(in_tmp.iterdir())


def test_a_package_that_a_model_imports_is_missed_before_the_data_are_read(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "recbole_bns.adapters.reads.find_spec",
        lambda name: None if name in ("faiss", "community") else 1,
    )
    with pytest.raises(
        UsageError, match=r"^model: NCL of RecBole needs .*pip install faiss-cpu\.$"
    ):
        check_commands(make("NCL"))
    check_commands(make("BPR"))
    check_commands(make("NNCF"))
    with pytest.raises(UsageError, match=r"^model: NNCF .*pip install python-louvain\.$"):
        check_commands(make("NNCF", neigh_info_method="louvain"))


def test_what_has_no_effect_is_named_in_one_line_and_in_the_result(
    data_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    words = [
        "run",
        "--model=BPR",
        "--dataset=tiny",
        f"--data_path={data_path}",
        "--use_gpu=False",
        "--epochs=1",
        "--show_progress=False",
        "--neg_sampler=dns",
        "--neg_sampler_args.beta=0.3",
        "--require_pow=True",
    ]
    assert main([*words, f"--out={tmp_path / 'a'}"]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: neg_sampler_args.beta has no effect here: it acts only with choice linear.",
        "note: require_pow: known to RecBole, but not read with BPR: no effect here.",
    ]
    result = json.loads((tmp_path / "a" / "result.json").read_text(encoding="utf-8"))
    assert result["idle"] == ["neg_sampler_args.beta"]
    assert (
        main(
            ["run", f"--config_files={tmp_path / 'a' / 'settings.yaml'}", f"--out={tmp_path / 'b'}"]
        )
        == 0
    )
    assert main([*words[:-2], f"--out={tmp_path / 'c'}"]) == 0
    assert "note: " not in capsys.readouterr().err.split("require_pow")[-1].split("\n", 1)[1]
    result = json.loads((tmp_path / "c" / "result.json").read_text(encoding="utf-8"))
    assert "idle" not in result


@pytest.mark.parametrize(
    ("sampler", "space", "fixed", "words"),
    [
        ("dns", "neg_sampler_args.beta: {uniform: [0.1, 0.9]}", {}, "choice linear"),
        (
            "dns",
            "neg_sampler_args: {beta: {uniform: [0.1, 0.9]}, choice: {choice: [hard, linear]}}",
            {},
            "",
        ),
        (
            "dns",
            "neg_sampler_args.beta: {uniform: [0.1, 0.9]}",
            {"neg_sampler_args.choice": "linear"},
            "",
        ),
        ("bns", "neg_sampler_args.gamma: {choice: [1, 3]}", {}, "criterion gain"),
        (
            "bns",
            "neg_sampler_args.gamma: {choice: [1, 3]}\nlr_schedule.gamma: {choice: [0.5]}",
            {"neg_sampler_args.criterion": "gain"},
            "",
        ),
    ],
)
def test_a_sweep_over_what_never_acts_is_refused(
    tmp_path: Path, data_path: Path, sampler: str, space: str, fixed: dict[str, Any], words: str
) -> None:
    pytest.importorskip("ray")
    file = tmp_path / "space.yaml"
    file.write_text(space, encoding="utf-8")
    flags = {"model": "BPR", "dataset": "tiny", "data_path": str(data_path), "use_gpu": False}
    flags |= {"neg_sampler": sampler, "sweep": str(file), **fixed}
    if not words:
        assert read_sweep(flags, "").space
        return
    with pytest.raises(UsageError, match=f"has no effect in any trial: it acts only with {words};"):
        read_sweep(flags, "")


def test_enable_warns_of_near_misses_of_our_settings_alone() -> None:
    from recbole.config import Config
    from recbole.utils import get_model

    given = {"neg_samplr": "bns", "neg_sampling": None, "anything_else": 1, "epochs": 1}
    assert Config is not None
    assert near_misses(given, get_model("BPR")) == [
        "setting 'neg_samplr' is not known; did you mean 'neg_sampler'?."
    ]


def test_the_flags_that_are_hinted_at_are_those_of_the_commands() -> None:
    for command in (run, compare, tune, predict):
        name = command.__name__.rpartition(".")[2]
        for flag in hints.FLAGS[name]:
            assert f"--{flag}" in command.parser().format_help(), (name, flag)


# --- Drawn settings ------------------------------------------------------------------------------

VALUES = st.one_of(
    st.booleans(),
    st.integers(-3, 300),
    st.floats(allow_nan=True),
    st.text("abc0,[]()=: ", max_size=5),
    st.none(),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.sampled_from("ab"), st.integers(), max_size=2),
)
NAMES = sorted(
    {
        *declared(),
        *(
            f"neg_sampler_args.{name}"
            for names in parameters().of_samplers.values()
            for name in names
        ),
        *known_keys("BPR"),
        *("lr", "foo", "n_layers", "dns.candidate_num", "neg_sampler_arg.cdf"),
    }
    - {"data_path", "dataset", "model", "gpu_id", "use_gpu", "local_rank"}
)


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(sampler="rns", key="benchmark_filename", value=False)
@example(sampler="rns", key="loss", value=False)
@example(sampler="rns", key="split_time", value=[2, 1])
@given(sampler=st.sampled_from([*available(), "none"]), key=st.sampled_from(NAMES), value=VALUES)
def test_each_setting_acts_or_is_refused_or_is_named(
    data_path: Path, sampler: str, key: str, value: Any
) -> None:
    base = {"data_path": str(data_path), "use_gpu": False, "neg_sampler": sampler}
    base |= LOSS.get(sampler, {})
    refusal = ""
    try:
        config = BNSConfig("BPR", "tiny", None, {**base, key: value})
        check_commands(config)
    except UsageError as error:
        refusal = str(error)
    early_refusal = ""
    try:
        early.check_run("BPR", "tiny", None, {**base, key: value})
    except UsageError as error:
        early_refusal = str(error)
    assert early_refusal in ("", refusal)
    if refusal:
        assert key.partition(".")[0] in refusal or "neg_sampler" in refusal
        return
    if key in {"neg_sampler", "loss"}:  # null is a name: none, model
        return
    head, _, name = key.partition(".")
    said = " ".join(remarks(config))
    held = config[head] if not name else (config[head] or {}).get(name)
    default = (
        defaults(get(sampler).Params).get(name)
        if name and sampler != "none"
        else config.internal_config_dict.get(head)
    )
    assert head in known_keys("BPR")
    value = typed(value, key)
    says_nothing = value == {}
    acts = _same(held, value) or key in said or _same(value, default) or says_nothing
    assert acts, (held, value, said)
    if head in declared() and allowed_words(declared()[head]) == "True or False":
        assert isinstance(held, bool)


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) or str(one).lower() == str(other).lower()


@pytest.mark.parametrize(("model", "key"), [("BPR", "reg_weight"), ("LightGCN", "reg_weight")])
def test_what_our_form_of_a_model_reads_is_not_called_idle(model: str, key: str) -> None:
    assert list(remarks(BNSConfig(model, "ml-100k", None, {key: 0.1}))) == []
