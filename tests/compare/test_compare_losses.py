"""A comparison of samplers and losses: which rows, whose flags, and what is written."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from comparisons import plan_of, record_of, two_seeds, words_of
from tiny import Settings

from recbole_bns import UsageError
from recbole_bns.cli import main
from recbole_bns.cli.flags import parse_flags
from recbole_bns.compare.plan import Plan, read_plan
from recbole_bns.compare.records import check_held, read_records
from recbole_bns.compare.report import Origin, Report
from recbole_bns.losses import available
from recbole_bns.sampling import available as samplers


def without(settings: Settings, flag: str, *more: str) -> Plan:
    """The plan without ``--samplers`` or another flag of :func:`words_of`."""
    words = [word for word in words_of(settings, *more) if not word.startswith(f"--{flag}=")]
    return read_plan(parse_flags(words))


def test_samplers_are_crossed_with_losses(settings):
    plan = plan_of(settings, "--losses=model,bpr,SSM")
    assert plan.samplers == ("rns", "rns+bpr", "rns+ssm", "dns", "dns+bpr", "dns+ssm")
    assert plan.losses["dns"] == "model"
    assert plan.losses["dns+ssm"] == "ssm"
    assert plan.reference == "rns"
    rows = {row: plan.resolved(row) for row in plan.samplers}
    assert [rows[row].get("loss") for row in ("dns", "dns+bpr")] == [None, "bpr"]
    assert {row["neg_sampler"] for name, row in rows.items() if name.startswith("dns")} == {"dns"}
    assert [rows[row]["neg_sample_num"] for row in ("dns", "dns+ssm")] == [1, 64]
    assert plan_of(settings).samplers == ("rns", "dns")
    assert plan_of(settings, "--losses=ssm").reference == "rns+ssm"


def test_without_samplers_each_is_a_row_of_every_loss_that_it_serves(settings):
    plan = without(settings, "samplers", "--losses=ssm")
    assert set(plan.samplers) == {f"{name}+ssm" for name in samplers()} - {"given+ssm"}
    both = without(settings, "samplers", "--losses=model,ssm").samplers
    assert both[:2] == ("rns", "rns+ssm")
    assert "all+ssm" in both
    assert "all" not in both


def test_rows_can_be_named_one_by_one(settings):
    plan = plan_of(settings, "--samplers=none,rns,all+ssm,dns", "--losses=model")
    assert plan.samplers == ("none", "rns", "all+ssm", "dns")


def test_a_name_before_the_dot_is_of_a_sampler_of_a_loss_or_of_a_row(settings):
    plan = plan_of(
        settings,
        "--losses=model,bpr,ssm",
        "--dns+ssm.learning_rate=0.5",
        "--dns+ssm.loss_args.temperature=0.3",
        "--ssm.temperature=0.1",
        "--dns.candidate_num=3",
    )
    rows = {row: plan.resolved(row) for row in plan.samplers}
    assert rows["rns+ssm"]["loss_args"]["temperature"] == 0.1
    assert rows["dns+ssm"]["loss_args"]["temperature"] == 0.3, "the row counts more than the loss"
    assert [rows[row]["neg_sampler_args"]["candidate_num"] for row in ("dns", "dns+bpr")] == [3, 3]
    rates = {row: values["learning_rate"] for row, values in rows.items()}
    assert rates.pop("dns+ssm") == 0.5
    assert 0.5 not in rates.values()
    assert "loss_args" not in rows["rns"]


def test_a_row_with_its_models_own_loss_is_spared_what_only_losses_read(settings):
    plan = plan_of(settings, "--losses=model,ssm", "--loss_similarity=dot")
    assert plan.resolved("dns+ssm")["loss_similarity"] == "dot"
    assert "loss_similarity" not in plan.resolved("dns")
    with pytest.raises(UsageError, match="loss_similarity: got 'dot', but it acts only with a lo"):
        plan_of(settings, "--loss_similarity=dot")


def test_the_loss_of_a_file_is_that_of_all_rows(settings, tmp_path):
    file = tmp_path / "best.yaml"
    file.write_text("loss: ssm\nloss_args: {temperature: 0.3}\n", encoding="utf-8")
    flags = {**parse_flags(words_of(settings)), "config_files": [str(file)]}
    plan = read_plan(flags)
    assert plan.samplers == ("rns+ssm", "dns+ssm")
    assert plan.resolved("dns+ssm")["loss_args"]["temperature"] == 0.3


VARIANTS = """
hard: {neg_sampler: dns, neg_sampler_args: {candidate_num: 9}}
cool: {neg_sampler: rns, loss: ssm, loss_args: {temperature: 0.5}}
"""


def test_variants_say_their_loss_or_are_crossed(settings, tmp_path):
    file = tmp_path / "v.yaml"
    file.write_text(VARIANTS, encoding="utf-8")
    words = (f"--variants={file}", "--samplers=rns,hard,cool", "--losses=model,ssm")
    plan = plan_of(settings, *words, "--ssm.temperature=0.1", "--cool.learning_rate=0.5")
    assert plan.samplers == ("rns", "rns+ssm", "hard", "hard+ssm", "cool")
    assert plan.losses == {
        "rns": "model",
        "rns+ssm": "ssm",
        "hard": "model",
        "hard+ssm": "ssm",
        "cool": "ssm",
    }
    rows = {row: plan.resolved(row) for row in plan.samplers}
    of_losses = [rows[row]["loss_args"]["temperature"] for row in ("rns+ssm", "hard+ssm", "cool")]
    assert of_losses == [0.1, 0.1, 0.5], "what a variant says is its own"
    assert rows["hard+ssm"]["neg_sampler_args"]["candidate_num"] == 9
    assert rows["cool"]["learning_rate"] == 0.5
    assert without(settings, "samplers", f"--variants={file}").samplers == ("hard", "cool")
    file.write_text("rns+ssm: {neg_sampler: rns, loss: ssm}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"^--variants: 'rns\+ssm' is the name of two rows; give"):
        plan_of(settings, f"--variants={file}", "--samplers=rns,rns+ssm", "--losses=ssm")


@pytest.mark.parametrize(
    ("word", "row"),
    [
        ("dns+ssm", "dns+ssm"),
        ("DNS+SSM", "dns+ssm"),
        ("all", "all+bpr"),
        ("dns", "dns+ssm"),
        ("ssm", "dns+ssm"),
        ("rns", "rns"),
    ],
)
def test_the_reference_is_a_row_or_what_one_row_alone_has(settings, word, row):
    plan = plan_of(settings, "--samplers=rns,rns+bpr,dns+ssm,all+bpr", f"--reference={word}")
    assert plan.reference == row


BAD = [
    ("--losses=ssm,ccll", "--losses: got 'ccll'; did you mean 'ccl'?; allowed: model, bce"),
    ("--losses=none", "--losses: got 'none'; allowed: model, bce"),
    ("--samplers=rns,dsn+ssm", "--samplers: got 'dsn+ssm'; did you mean"),
    ("--samplers=rns+smm", "--samplers: got 'rns+smm', where 'smm' is no loss; did you mean 'ssm'"),
    ("--samplers=all", "--samplers: all: neg_sampler 'all' needs a loss over many negatives; nam"),
    ("--samplers=none,rns", "--samplers: none+bpr: neg_sampler 'none' is RecBole's own sampling"),
    ("--reference=ssm", "--reference: got 'ssm', which 2 rows have; allowed is one of rns+ssm, "),
    ("--reference=ccl", "--reference: got 'ccl'"),
    ("--loss=ssm", "--loss: not a setting of a comparison; write --losses=A,B."),
    ("--loss_args.t=1", "--loss_args.t: not a setting of a comparison; write --LOSS.t=VALUE for"),
    ("--ccl.margin=1", "--ccl.margin: 'ccl' is not among --losses: model, bpr, ssm."),
    ("--temperature=1", "--temperature: is a parameter of ssm; write --ssm.temperature=1."),
    ("--ssm.temperature=0", "--ssm.temperature: got 0.0, allowed is a number > 0 or 'auto'."),
    ("--ssm.temprature=1", "--ssm.temprature: no such parameter; did you mean 'temperature'?"),
    ("--dns+sl.epochs=1", "--dns+sl.epochs: got 'dns+sl'; did you mean 'dns+ssm'?; allowed before"),
    ("--dns+ssm.seed=1", "--dns+ssm.seed: seed is no setting of one row; allowed are the others"),
    ("--dns+ssm.loss=sl", "--dns+ssm.loss: loss is no setting of one row"),
    ("--dns+ssm.temperature=1", "setting 'temperature' is not known; did you mean 'loss_args.t"),
]


@pytest.mark.parametrize(("word", "sentence"), BAD, ids=lambda value: value[:30])
def test_what_cannot_be_is_refused_before_any_run(settings, in_tmp, capsys, word, sentence):
    losses = {"--samplers=all": "model"}.get(word, "model,bpr,ssm")
    assert main(["compare", *words_of(settings, f"--losses={losses}", word)]) == 2
    assert capsys.readouterr().err.startswith(f"recbole-bns: {sentence}")
    assert list(in_tmp.iterdir()) == []


def test_a_variant_of_an_unknown_loss_is_refused(settings, tmp_path):
    file = tmp_path / "v.yaml"
    file.write_text("a: {neg_sampler: dns, loss: smm}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"a has loss 'smm'; did you mean 'ssm'"):
        plan_of(settings, f"--variants={file}")


def test_a_name_of_a_sampler_and_of_a_loss_is_refused_before_a_dot(settings, monkeypatch):
    both = {**available(), "dns": available()["ssm"]}
    monkeypatch.setattr("recbole_bns.losses.available", lambda: both)
    with pytest.raises(UsageError, match=r"--dns.KEY: 'dns' is the name of a sampler and of a los"):
        plan_of(settings, "--dns.candidate_num=3")


def test_runs_of_another_loss_are_not_gone_on_from(settings):
    plan = plan_of(settings, "--losses=model,ssm", "--out=cmp")
    record: Any = {"seed": 1, "status": "done", "data": plan.data}
    kept: dict[Any, Any] = {
        (row, 1): {**record, "sampler": row, "own": plan.own(row), "settings": plan.resolved(row)}
        for row in plan.samplers
    }
    check_held(plan, kept)
    check_held(plan_of(settings, "--out=cmp"), kept), "rows that are not asked for are free"
    warmer = plan_of(settings, "--losses=model,ssm", "--out=cmp", "--ssm.temperature=0.7")
    with pytest.raises(UsageError, match=r"loss_args.temperature 0.2, got 0.7; go on with the o"):
        check_held(warmer, kept)
    compared = plan_of(settings, "--losses=model,ssm", "--out=cmp", "--loss_similarity=dot")
    with pytest.raises(UsageError, match=r"with loss_similarity None, got 'dot'; go on with the"):
        check_held(compared, kept)
    other = {**kept["rns+ssm", 1], "sampler": "rns", "own": {}}
    with pytest.raises(UsageError, match=r"holds rns with seed 1 trained with loss 'ssm', got 'mo"):
        check_held(plan, {("rns", 1): other})


def test_rows_of_several_losses_are_trained_and_written(settings, in_tmp, in_process, capsys):
    words = ["compare", *words_of(settings, "--epochs=1", "--seeds=1", "--losses=model,ssm")]
    words += ["--neg_sample_num=4", "--out=cmp", "--reference=rns+ssm"]
    assert main(words) == 0
    names = ["rns-1", "rns+ssm-1", "dns-1", "dns+ssm-1"]
    assert in_process.started == names
    assert main(words) == 0
    assert in_process.started == names, "a finished run was repeated"
    records = read_records(Path("cmp/runs"))
    assert {row: record["loss"] for (row, _), record in records.items()} == {
        "rns": "model",
        "rns+ssm": "ssm",
        "dns": "model",
        "dns+ssm": "ssm",
    }
    assert records["dns+ssm", 1]["result"]["loss"] == "ssm"
    text = Path("cmp/compare.md").read_text(encoding="utf-8")
    heads = [line for line in text.splitlines() if line.startswith("| sampler")]
    assert len(heads) == 3
    assert all(line.split("|")[2].strip() == "loss" for line in heads)
    cells = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| dns")]
    assert {tuple(map(str.strip, row)) for row in cells} == {("dns", "model"), ("dns", "ssm")}
    assert "over the 3 row(s) compared with `rns+ssm`" in text
    assert "- `dns+ssm`: candidate_num 5, " in text
    assert "ssm.temperature 0.2" in text
    content = json.loads(Path("cmp/compare.json").read_text(encoding="utf-8"))
    assert content["losses"]["dns+ssm"] == "ssm"
    assert content["loss_parameters"]["dns+ssm"]["temperature"] == 0.2
    assert content["loss_parameters"]["dns"] == {}
    assert [run["loss"] for run in content["runs"]] == ["model", "ssm"] * 2
    table = pd.read_csv("cmp/compare.csv", comment="#")
    assert set(zip(table["sampler"], table["loss"], strict=True)) >= {("dns+ssm", "ssm")}


def test_a_table_of_one_loss_names_it_in_its_rows():
    records, values = two_seeds()
    renamed: list[dict[str, Any]] = []
    for record in records:
        new = record_of(record["sampler"], record["seed"], **record["result"]["test_result"])
        new["result"] |= {"loss": "ssm", "loss_args": {"temperature": 0.2}}
        renamed.append({**new, "sampler": f"{record['sampler']}+ssm", "loss": "ssm"})
    per_user = {(f"{row}+ssm", seed): value for (row, seed), value in values.items()}
    origin = Origin("recbole-bns compare", "BPR", "tiny", {}, "8", "4", "2", "cpu")
    rows = ["a+ssm", "b+ssm", "c+ssm", "d+ssm"]
    losses = dict.fromkeys(rows, "ssm")
    report = Report(origin, renamed, per_user, rows, [1, 2], "a+ssm", (), losses)
    text = report.markdown()
    assert "| row " in text
    assert "| sampler " not in text
    assert "| a+ssm " in text
    assert "| d+ssm " in text
    assert "that both rows have finished" in text
    assert "- `a+ssm`: m 5, ssm.temperature 0.2" in text
    assert pd.read_csv(io.StringIO(report.csv()), comment="#")["loss"].unique().tolist() == ["ssm"]
    variant = [{**renamed[0], "sampler": "mine"}]
    mine = {("mine", 1): per_user["a+ssm", 1]}
    alone = Report(origin, variant, mine, ["mine"], [1], "mine", (), {"mine": "ssm"})
    assert "| mine (a+ssm) " in alone.markdown()
