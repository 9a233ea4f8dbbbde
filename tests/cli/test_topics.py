"""``recbole-bns help TOPIC``: settings, parameters, samplers, losses, mixers, RecBole's models."""

from __future__ import annotations

import pytest
from screens import fits

from recbole_bns import UsageError, losses
from recbole_bns.cli import COMMANDS, main
from recbole_bns.cli.topics import page
from recbole_bns.losses import registry
from recbole_bns.settings import known
from recbole_bns.settings.declared import declared, having
from recbole_bns.settings.presets import described


def said(topic: str, width: int = 80) -> list[str]:
    return page(topic, width, COMMANDS).splitlines()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_all_settings_in_a_line_each(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["help", "settings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert fits(lines, width)
    named = [line.split("=")[0].strip() for line in lines if line.startswith("  ")]
    shown = [name for name in declared() if name not in having("computed")]
    assert named == shown
    assert "Settings of this package:" in lines


def test_one_setting():
    text = "\n".join(said("learning_rate"))
    assert text.startswith("learning_rate: Learning rate.\n  type ")
    facts = {line[2:17].strip(): line[17:].strip() for line in text.splitlines()[1:]}
    assert facts == {
        "type": "float",
        "allowed": "a number >= 0",
        "default": "0.001",
        "whose": "RecBole's settings of the training",
        "where it acts": "in every run, trial and row by itself",
        "written": "--learning_rate=0.001",
    }
    assert said("--learning-rate") == said("learning_rate")
    ours = " ".join(" ".join(said("threads")).split())
    assert "whose of this package" in ours
    assert "free at --resume" in ours
    some = " ".join(" ".join(said("reg_weight")).split())
    assert "LightGCN" in some.split("read by ")[1].split("RecBole's defaults")[0]
    assert "1e-05 with LightGCN" in some


def test_the_presets_are_named_with_what_each_is():
    text = " ".join(" ".join(said("preset")).split())
    for name, what in described().items():
        assert len(what) > 20
        assert f"{name} {what}" in text


def test_a_parameter_names_who_has_it():
    lines = said("candidate_num")
    assert lines[0] == "neg_sampler_args.candidate_num: a parameter of samplers"
    assert "  dns       default 5; M, uniform candidates a negative (an integer >= 1)" in lines
    assert any(line.startswith("  mixgcf ") for line in lines)
    assert not any(line.startswith("  rns ") for line in lines)
    of_dns = said("dns.candidate_num")
    assert [line.split()[0] for line in of_dns[1:]] == ["dns"]
    assert said("neg_sampler_args.candidate_num") == lines[: lines.index(lines[0]) + 8]
    assert any(line.startswith("  bns ") for line in said("lambda")), "it is lambda_ in Python"


def test_a_mapping_of_parameters_shows_them():
    page = said("mine")
    assert "  parameters = default: meaning (allowed)" in page
    for line in ("  prior = ease: ", "  share = 0.5: ", "  spare = 0: "):
        assert any(each.startswith(line) for each in page), line
    one = said("mine.spare")
    assert one[0] == "mine.spare: a parameter"
    assert one[1].startswith("  spare = 0: the user's best by the prior that are no negatives")
    both = "\n".join(said("gamma"))
    assert "loss_weight_args.gamma: a parameter" in both
    assert "neg_sampler_args.gamma: a parameter of samplers" in both
    with pytest.raises(UsageError):
        said("mine.gamma")


def test_a_number_or_a_word_says_both_types():
    for name in ("train_batch_size", "threads"):
        assert any(line.split()[:4] == ["type", "int", "or", "str"] for line in said(name))


def test_a_name_of_several_things_has_all_its_pages():
    text = "\n".join(said("gamma"))
    assert "neg_sampler_args.gamma: a parameter of samplers" in text
    assert "gamma: a setting of RecBole" in text
    assert "0.5 with SimpleX" in text


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("bns", "Where we differ"),
        ("ssm", "ssm: softmax over the positive"),
        ("mixgcf", "mixgcf: hardest candidate"),
        ("LightGCN", "its settings  embedding_size, n_layers, reg_weight"),
        ("n_layers", "2 with "),
        ("neg_sampling", "RecBole reads it no longer"),
        ("save_dataloaders", "is not read here"),
        ("device", "it is worked out"),
    ],
)
def test_whatever_has_a_name_has_a_page(topic, words, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert words in "\n".join(said(topic))


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_longer_than_the_screen(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    for topic in (*declared(), "candidate_num", "temperature", "gamma", "n_layers", "SASRec"):
        assert fits(said(topic, width), width)


@pytest.mark.parametrize(
    ("topic", "near"),
    [
        ("comapre", "did you mean 'compare'"),
        ("lerning_rate", "did you mean 'learning_rate'"),
        ("bnss", "did you mean 'bns'"),
        ("lightgcn", "did you mean 'LightGCN'"),
        ("dns.candidate_nim", "did you mean 'candidate_num'"),
        ("setings", "'settings'"),
        ("qqqqqq", "got 'qqqqqq'; allowed are a command (run, compare, "),
        ("rns.temperature", "got 'rns.temperature'; did you mean 'temperature' or "),
    ],
)
def test_an_unknown_topic_is_refused_with_the_nearest(topic, near, capsys):
    assert main(["help", topic]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"recbole-bns: help: got '{topic}'")
    assert near in err
    assert err.count("\n") == 1


def test_what_another_package_registers_has_a_page(monkeypatch):
    theirs = type("Theirs", (losses.get("bpr"),), {"name": "theirs", "idea": "their own idea"})
    monkeypatch.setitem(registry._registry.classes, "theirs", theirs)
    with pytest.raises(UsageError):
        said("theirs")
    monkeypatch.setattr(known, "others_register", lambda: True)
    assert said("theirs")[0] == "theirs: their own idea"
