"""A comparison with a mixer, of all rows or of a variant: which rows, and their settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from comparisons import plan_of, record_of, words_of
from tiny import Settings

from recbole_bns import UsageError
from recbole_bns.cli.flags import parse_flags
from recbole_bns.compare.plan import read_plan
from recbole_bns.compare.report import Report

MIXED = """
gated: {neg_sampler: dns, mixer: dens}
soft: {neg_sampler: rns, mixer: mixgcf, loss: ssm, neg_sample_num: 4}
plain: {neg_sampler: rns}
"""


def test_a_mixer_of_all_rows_brings_its_loss(settings: Settings) -> None:
    plan = plan_of(settings, "--mixer=dens")
    assert plan.samplers == ("rns+kpair", "dns+kpair")
    rows = {row: plan.resolved(row) for row in plan.samplers}
    assert {(row["loss"], row["mixer"], row["neg_sample_num"]) for row in rows.values()} == {
        ("kpair", "dens", 1)
    }
    assert plan_of(settings, "--mixer=none").samplers == ("rns", "dns")
    both = plan_of(settings, "--mixer=dens", "--losses=model,ssm", "--mixer_args.gamma=1")
    rows = {row: both.resolved(row) for row in both.samplers}
    assert "mixer" not in rows["dns"], "its own loss is spared what only others read"
    assert rows["dns+ssm"]["mixer_args"]["gamma"] == 1


def test_a_mixer_is_not_crossed_with_lists(settings: Settings) -> None:
    words = [word for word in words_of(settings, "--mixer=dins") if "--samplers" not in word]
    rows = read_plan(parse_flags(words)).samplers
    assert "bns+kpair" in rows
    assert not {"inbatch+kpair", "all+kpair"} & set(rows)
    with pytest.raises(UsageError, match="neg_sampler: got 'inbatch', which gives all positives"):
        plan_of(settings, "--mixer=dins", "--samplers=rns,inbatch")


def test_a_variant_has_a_mixer_of_its_own(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "variants.yaml"
    file.write_text(MIXED, encoding="utf-8")
    words = [f"--variants={file}", "--samplers=gated,soft,plain"]
    plan = plan_of(settings, *words)
    rows = {row: plan.resolved(row) for row in plan.samplers}
    assert list(rows) == ["gated", "soft", "plain"]
    assert plan.losses == {"gated": "kpair", "soft": "ssm", "plain": "model"}
    assert [row.get("mixer") for row in rows.values()] == ["dens", "mixgcf", None]
    file.write_text("gated: {neg_sampler: dns, mixer: dnes}", encoding="utf-8")
    with pytest.raises(UsageError, match="gated has mixer 'dnes'; did you mean"):
        plan_of(settings, f"--variants={file}", "--samplers=gated")
    with pytest.raises(UsageError, match="mixer: got 'dnse'; did you mean"):
        plan_of(settings, "--mixer=dnse")
    with pytest.raises(UsageError, match="mixer is no setting of one row"):
        plan_of(settings, "--mixer=dens", "--dns+kpair.mixer=dins")


def test_a_report_names_the_mixers_parameters(settings: Settings) -> None:
    record: dict[str, Any] = record_of("rns+kpair", 1, **{"ndcg@5": 0.5})
    record["result"] |= {"neg_sampler": "rns", "neg_sampler_label": "rns", "loss": "kpair"}
    record["result"] |= {"loss_args": {}, "mixer": "dens", "mixer_args": {"gamma": 0.3}}
    report = Report.__new__(Report)
    report.__dict__["_results"] = {"rns+kpair": record["result"]}
    report.losses = {"rns+kpair": "kpair"}
    assert report._parameters("rns+kpair") == {"m": 5, "dens.gamma": 0.3}
    assert report._names("rns+kpair") == ["rns+kpair+dens"]


def test_a_variant_has_mined_positives_of_its_own(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "variants.yaml"
    text = "mined: {neg_sampler: rns, mine: {share: 0.3}}\nplain: {neg_sampler: rns}"
    file.write_text(text, encoding="utf-8")
    words = [f"--variants={file}", "--samplers=plain,mined", "--losses=ssm"]
    plan = plan_of(settings, *words, "--mined+ssm.mine.items=4")
    found = {row: plan.resolved(row).get("mine") for row in plan.samplers}
    assert found == {"plain+ssm": None, "mined+ssm": {"share": 0.3, "items": 4}}
    everywhere = plan_of(settings, "--mine.share=0.2")
    rows = {row: everywhere.resolved(row).get("mine") for row in everywhere.samplers}
    assert rows == {"rns": {"share": 0.2}, "dns": {"share": 0.2}}


def test_a_mixer_is_a_row_by_its_name(settings: Settings) -> None:
    """Over the sampler and under the loss that it names itself."""
    words = ("--samplers=dns,mixgcf,dins", "--mixgcf.candidate_num=4")
    rows = plan_of(settings, *words).rows
    assert list(rows) == ["dns", "mixgcf", "dins"]
    made = rows["mixgcf"]
    assert (made["neg_sampler"], made["loss"], made["mixer"]) == ("rns", "kpair", "mixgcf")
    assert made["mixer_args"]["candidate_num"] == 4
    assert rows["dins"]["mixer_args"]["candidate_num"] != 4
    assert "mixer" not in rows["dns"]


def test_a_mixer_is_crossed_with_losses(settings: Settings) -> None:
    words = ("--samplers=dns,mixgcf", "--losses=model,ssm", "--ssm.temperature=0.3")
    rows = plan_of(settings, *words).rows
    assert {row: (of.get("loss", "model"), of.get("mixer")) for row, of in rows.items()} == {
        "dns": ("model", None),
        "dns+ssm": ("ssm", None),
        "mixgcf": ("kpair", "mixgcf"),
        "mixgcf+ssm": ("ssm", "mixgcf"),
    }
    assert rows["mixgcf+ssm"]["loss_args"]["temperature"] == 0.3
    one = plan_of(settings, "--samplers=rns,mixgcf+bpr", "--mixgcf+bpr.learning_rate=0.5").rows
    assert (one["mixgcf+bpr"]["loss"], one["mixgcf+bpr"]["learning_rate"]) == ("bpr", 0.5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--samplers=rns,mixgcf --mixer=dens", "--samplers: got 'mixgcf', a mixer, beside --mixer"),
        ("--samplers=rns,mixgcf --candidate_num=3", "write --mixgcf.candidate_num=3"),
        ("--samplers=rns,mixgcf --mixgcf.candidate_num=0", "--mixgcf.candidate_num: got 0"),
        ("--samplers=rns,mixgcf --dens.gamma=1", "allowed before the dot are samplers"),
        ("--samplers=rns,mixgfc", "did you mean 'mixgcf'"),
        ("--samplers=rns,mixgcf+smm", "where 'smm' is no loss; did you mean"),
    ],
)
def test_what_a_row_of_a_mixer_cannot_be(settings: Settings, words: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        plan_of(settings, *words.split())
    assert said in str(refused.value)


def test_a_variant_may_be_called_as_a_mixer(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "rows.yaml"
    file.write_text("mixgcf: {neg_sampler: dns, mixer: mixgcf}", encoding="utf-8")
    words = (f"--variants={file}", "--samplers=rns,mixgcf", "--mixgcf.learning_rate=0.5")
    row = plan_of(settings, *words).rows["mixgcf"]
    assert (row["neg_sampler"], row["mixer"], row["learning_rate"]) == ("dns", "mixgcf", 0.5)
