"""Sweeps over a loss: which space, what acts, how what is written names it. No trial is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from swept import RESULT
from tiny import Settings

from recbole_bns import UsageError, losses
from recbole_bns.cli.flags import parse_flags
from recbole_bns.settings.hints import Chosen
from recbole_bns.settings.words import short_names
from recbole_bns.tuning.plan import Plan, read_plan
from recbole_bns.tuning.records import FINISHED, Record
from recbole_bns.tuning.report import best_yaml, markdown, trials_csv
from recbole_bns.tuning.space import default_space, read_space
from recbole_bns.tuning.sweep import make_plan

OURS = [name for name, cls in losses.available().items() if "recbole_bns." in cls.__module__]


def plan_of(settings: Settings, *more: str) -> Plan:
    flags = {"model": "BPR", "dataset": "tiny", "neg_sampler": "dns", **settings}
    flags |= dict(word[2:].split("=", 1) for word in more)
    words = [f"--{key}={value}" for key, value in flags.items()]
    return read_plan(parse_flags(words), "recbole-bns tune --x")


@pytest.mark.parametrize("loss", OURS)
def test_the_space_is_the_samplers_and_the_losss(loss: str) -> None:
    own = {f"loss_args.{name}" for name in losses.get(loss).Params.__dataclass_fields__}
    space = default_space("dns", "BPR", loss)
    assert set(default_space("dns", "BPR")) <= set(space)
    added = set(space) - set(default_space("dns", "BPR"))
    assert "neg_sample_num" in added
    assert added - {"neg_sample_num"} <= own
    for sampler in ("inbatch", "all"):
        assert "neg_sample_num" not in default_space(sampler, "BPR", loss)


def test_every_point_of_a_space_is_a_trial_that_may_be(settings: Settings) -> None:
    plan = plan_of(settings, "--loss=psl")
    assert {"loss_args.temperature", "loss_args.surrogate", "neg_sample_num"} <= set(plan.space)
    assert plan.out == Path("runs/tune-tiny-BPR-dns+psl")
    for end in (0, -1):
        found: dict[str, Any] = {key: d.probes[end] for key, d in plan.space.items()}
        config = plan.recipe.config(found)
        assert config["loss"] == "psl"
        assert config["loss_args"]["surrogate"] == found["loss_args.surrogate"]
    assert make_plan({}, "", resume=False).out == Path("runs/tune-ml-100k-LightGCN-bns")


def test_the_loss_itself_may_be_searched_over(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        "loss: {choice: [ssm, sl]}\nloss_args: {temperature: {uniform: [0.1, 0.3]}}\n"
        "neg_sample_num: {choice: [4, 8]}\n",
        encoding="utf-8",
    )
    plan = plan_of(settings, f"--sweep={file}")
    assert set(plan.space) == {"loss", "loss_args.temperature", "neg_sample_num"}
    drawn = {"loss": "sl", "loss_args": {"temperature": 0.2}, "neg_sample_num": 8}
    config = plan.recipe.config(drawn)
    assert (config["loss"], config["loss_args"]["temperature"]) == ("sl", 0.2)


BAD = [
    ("loss: {choice: [ssm, smm]}", "", "loss: got 'smm'; did you mean 'ssm'?; allowed: "),
    ("loss_args.margin: {choice: [1]}", "--loss=ssm", "loss_args.margin: no such parameter; all"),
    ("loss_args: {temperature: {choice: [0]}}", "--loss=ssm", "temperature: got 0.0, allowed is a"),
    ("loss_args.temperature: {choice: [1]}", "", "the model's own loss, loss 'model', has no par"),
    (
        "loss: {choice: [model, ssm]}\nloss_args.temperature: {choice: [1]}",
        "",
        "the model's own loss, loss 'model', has no parameters here; name another one",
    ),
    (
        "loss: {choice: [ssm, ccl]}\nloss_args.margin: {choice: [0.5]}",
        "",
        "loss_args.margin: no such parameter",
    ),
    ("loss_weight_args.gama: {choice: [1]}", "--loss=ssm", "did you mean 'gamma'?"),
    ("temperature: {choice: [1]}", "--loss=ssm", "did you mean 'loss_args.temperature', a param"),
    ("loss_similarity: {choice: [dot]}", "", "it acts only with a loss over many negatives; lea"),
    ("neg_shared: {choice: [True]}", "", "or set that with --loss=NAME."),
    (
        "loss_weight_args.gamma: {choice: [1, 3]}",
        "--loss=ssm",
        "it acts only with loss_weight posterior; leave it out, or set that with --loss_weight=po",
    ),
    (
        "neg_sample_num: {choice: [4, 8]}",
        "--loss=ssm --neg_sampler=inbatch",
        "it acts only with a sampler that draws as many as are asked for; leave it out, or set th",
    ),
    ("learning_rate: {choice: [1]}", "--neg_sampler=all", "needs a loss over many negatives"),
    (
        "loss: {choice: [model, ssm]}",
        "--neg_sampler=all --loss=ssm",
        "or a choice of losses without 'model'",
    ),
]


@pytest.mark.parametrize(("text", "words", "sentence"), BAD, ids=lambda value: value[:40])
def test_what_acts_in_no_trial_is_refused(
    settings: Settings, tmp_path: Path, text: str, words: str, sentence: str
) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as error:
        plan_of(settings, f"--sweep={file}", *words.split())
    assert sentence in str(error.value)


def test_weights_are_searched_over_where_they_act(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("loss_weight_args.gamma: {choice: [1, 3]}", encoding="utf-8")
    words = ("--loss=ssm", "--loss_weight=posterior", f"--sweep={file}")
    assert set(plan_of(settings, *words).space) == {"loss_weight_args.gamma"}
    file.write_text(
        "loss_weight: {choice: [none, posterior]}\nloss_weight_args.gamma: {choice: [1, 3]}",
        encoding="utf-8",
    )
    assert len(plan_of(settings, "--loss=ssm", f"--sweep={file}").space) == 2


def test_a_loss_parameter_that_another_switches_off_is_refused(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recbole_bns.losses import registry

    class Switched(losses.get("ssm")):  # type: ignore[misc]
        name = "switched"
        Params = make_switched()

    monkeypatch.setitem(registry._registry.classes, "switched", Switched)
    file = tmp_path / "space.yaml"
    file.write_text("loss_args.slope: {choice: [2.0]}", encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"only with form steep; leave it out, or set that with --"
    ):
        plan_of(settings, "--loss=switched", f"--sweep={file}")
    steep = ("--loss=switched", "--loss_args.form=steep", f"--sweep={file}")
    assert set(plan_of(settings, *steep).space) == {"loss_args.slope"}


def make_switched() -> type[Any]:
    from dataclasses import make_dataclass

    form = losses.param("flat", "which", choices=("flat", "steep"))
    slope = losses.param(1.0, "how steep", when={"form": "steep"})
    return make_dataclass("P", [("form", str, form), ("slope", float, slope)], frozen=True)


def test_what_a_sweep_writes_names_the_loss(settings: Settings, tmp_path: Path) -> None:
    plan = plan_of(settings, "--loss=ssm", f"--out={tmp_path}", "--num_samples=3")
    found = {}
    for number, value in enumerate((0.3, 0.6, 0.5)):
        drawn = {
            "learning_rate": 0.1,
            "reg_weight": 0.01,
            "neg_sample_num": 64,
            "neg_sampler_args": {"candidate_num": 5, "best_num": 1},
            "loss_args": {"temperature": 0.1 * (number + 1)},
        }
        metrics = {"epoch": 1, "train_loss": 1.0, "train_seconds": 2.0, "ndcg@20": value}
        found[str(number)] = Record(str(number), drawn, {1: metrics}, FINISHED)
    best = found["1"]
    text = best_yaml(plan, best)
    assert text.startswith("# Trial 1 of `recbole-bns tune --x`, with dns, loss ssm:\n")
    again = yaml.safe_load(text)
    assert (again["loss"], again["loss_args"]["temperature"]) == ("ssm", 0.2)
    assert "loss_args.temperature" in trials_csv(plan, found).splitlines()[0]
    page = markdown(plan, found, best, {**RESULT, "loss": "ssm"})
    assert page.startswith("# BPR on tiny with dns, loss ssm: 3 trials\n")
    assert "| temperature " in page
    assert "| `loss_args.temperature` " in page


def test_parameters_of_one_name_keep_their_whole_names() -> None:
    keys = ["learning_rate", "neg_sampler_args.best_num", "loss_args.best_num", "loss_args.t"]
    assert short_names(keys) == [*keys[:3], "t"]


def test_there_is_no_space_without_a_loss() -> None:
    with pytest.raises(UsageError, match="no space for the loss 'smm'; did you mean 'ssm'"):
        default_space("dns", "BPR", "smm")
    space = {"loss_args": {"temperature": {"choice": [1]}}}
    with pytest.raises(UsageError, match=r"loss_args\.temperature: no such parameter"):
        read_space(space, "here", "BPR", Chosen("dns", "bpr"))


# --- Mixers ------------------------------------------------------------------------------------


def test_a_sweep_over_a_mixer_is_named_after_it(settings: Settings) -> None:
    plan = plan_of(settings, "--neg_sampler=rns", "--mixer=dens")
    assert plan.out == Path("runs/tune-tiny-BPR-rns+kpair+dens")
    assert {"mixer_args.gamma", "mixer_args.warmup"} <= set(plan.space)
    found: dict[str, Any] = {key: d.probes[-1] for key, d in plan.space.items()}
    config = plan.recipe.config(found)
    assert (config["loss"], config["mixer"], config["neg_sample_num"]) == ("kpair", "dens", 1)
    assert config["mixer_args"]["gamma"] == found["mixer_args.gamma"]
    folder = make_plan({"mixer": "dens"}, "", resume=False).out
    assert folder == Path("runs/tune-ml-100k-LightGCN-rns+kpair+dens")


BAD_OF_MIXERS = [
    ("mixer: {choice: [dens, dnes]}", "", "mixer: got 'dnes'; did you mean"),
    ("mixer_args.gamma: {choice: [1]}", "", "mixer 'none' has no parameters; name one with --mix"),
    ("mixer_args.gama: {choice: [1]}", "--mixer=dens", "did you mean 'gamma'?"),
    ("mixer: {choice: [dens, dins]}\nmixer_args.gamma: {choice: [1]}", "", "gamma: no such para"),
    (
        "mixer_args.alpha: {choice: [0.2]}",
        "--mixer=dens",
        "it acts only with selection constant; leave it out, or set that with --mixer_args.KEY=VAL",
    ),
]


@pytest.mark.parametrize(("text", "words", "sentence"), BAD_OF_MIXERS, ids=lambda v: v[:40])
def test_what_acts_with_no_mixer_is_refused(
    settings: Settings, tmp_path: Path, text: str, words: str, sentence: str
) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as error:
        plan_of(settings, "--neg_sampler=rns", f"--sweep={file}", *words.split())
    assert sentence in str(error.value)


def test_the_mixer_itself_may_be_searched_over(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        "mixer: {choice: [mixgcf, dins]}\nmixer_args: {candidate_num: {choice: [4, 8]}}\n",
        encoding="utf-8",
    )
    plan = plan_of(settings, "--neg_sampler=rns", f"--sweep={file}")
    config = plan.recipe.config({"mixer": "dins", "mixer_args": {"candidate_num": 8}})
    assert (config["loss"], config["mixer"]) == ("kpair", "dins")
    assert config["mixer_args"] == {"candidate_num": 8, "alpha": 0.5}


def test_there_is_no_space_without_a_mixer() -> None:
    with pytest.raises(UsageError, match="no space for the mixer 'dnes'; did you mean"):
        default_space("rns", "BPR", "kpair", "dnes")


def test_mined_positives_are_searched_over(settings: Settings, tmp_path: Path) -> None:
    own = set(default_space("dns", "BPR", mined=True)) - set(default_space("dns", "BPR"))
    assert own == {"mine.share", "mine.items", "mine.exponent"}
    file = tmp_path / "space.yaml"
    file.write_text("mine: {share: {choice: [0, 0.3]}, items: {choice: [5]}}", encoding="utf-8")
    plan = plan_of(settings, f"--sweep={file}")
    assert set(plan.space) == {"mine.share", "mine.items"}
    assert plan.recipe.config({"mine": {"share": 0.3, "items": 5}})["mine"]["share"] == 0.3
    for text, sentence in (
        ("mine.shares: {choice: [1]}", "mine.shares: no such parameter; did you mean 'share'?"),
        ("mine.share: {choice: [2]}", "mine.share: got 2.0, allowed is a number >= 0 and <= 1"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError) as error:
            plan_of(settings, f"--sweep={file}")
        assert sentence in str(error.value)
