"""What a comparison is asked for: rows, seeds, settings, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from comparisons import VARIANTS, plan_of, words_of
from tiny import ROOT

from recbole_bns import UsageError
from recbole_bns.cli import main
from recbole_bns.cli.flags import parse_flags
from recbole_bns.common.files import beside
from recbole_bns.compare.plan import read_plan
from recbole_bns.compare.records import stem
from recbole_bns.compare.statistics import (
    settings_that_differ,
)
from recbole_bns.runner.jobs import Job
from recbole_bns.settings.properties import PROPERTIES, read_own
from recbole_bns.settings.words import flat

HOME = str(ROOT)


def test_a_plan_has_every_sampler_with_every_seed_and_the_papers_metrics(settings):
    plan = read_plan(parse_flags([w for w in words_of(settings) if "topk" not in w]))
    assert plan.runs == [("rns", 1), ("dns", 1), ("rns", 2), ("dns", 2)]
    assert plan.reference == "rns"
    assert plan.config["metrics"] == ["Recall", "Precision", "NDCG"]
    assert plan.config["topk"] == [5, 10, 20]
    assert plan.config["valid_metric"] == "NDCG@20"
    assert plan.out == Path("runs/compare-tiny-BPR")
    flags = [w for w in words_of(settings) if not w.startswith(("--samplers", "--seeds"))]
    everything = read_plan(parse_flags(flags))
    assert everything.samplers[0] == "rns"
    assert len(everything.samplers) >= 7
    assert "all" not in everything.samplers, "it needs a loss over many negatives"
    assert everything.seeds == (1, 2, 3, 4, 5)


def test_a_parameter_of_one_sampler_goes_to_its_runs_alone(settings):
    plan = plan_of(settings, "--dns.candidate_num=3", "--seeds=7,3", "--reference=dns")
    assert plan.seeds == (7, 3)
    assert plan.reference == "dns"
    dns, rns = plan.words.given(("dns", 3)), plan.words.given(("rns", 3))
    assert (dns["neg_sampler"], dns["seed"], dns["neg_sampler_args.candidate_num"]) == ("dns", 3, 3)
    assert not [key for key in rns if key.startswith("neg_sampler_args")]
    assert plan.resolved("dns")["neg_sampler_args"]["candidate_num"] == 3


def test_settings_of_files_stand(settings, tmp_path):
    (tmp_path / "a.yaml").write_text("metrics: [Hit]\ntopk: [4]\n", encoding="utf-8")
    flags = parse_flags([w for w in words_of(settings) if "topk" not in w])
    plan = read_plan({**flags, "config_files": [str(tmp_path / "a.yaml")]})
    assert (plan.config["metrics"], plan.config["topk"]) == (["Hit"], [4])


def test_variants_are_rows_with_settings_of_their_own(settings, tmp_path):
    file = tmp_path / "v.yaml"
    file.write_text(VARIANTS, encoding="utf-8")
    words = [w for w in words_of(settings) if "samplers" not in w]
    alone = read_plan(parse_flags([*words, f"--variants={file}"]))
    assert alone.samplers == ("rate=0.5", "hard", "Slow-2")
    assert alone.reference == "rate=0.5"
    plan = plan_of(
        settings,
        f"--variants={file}",
        "--samplers=rns,slow-2,dns,hard",
        "--dns.candidate_num=3",
        "--reference=Slow-2",
        "--learning_rate=0.5",
        "--epochs=7",
    )
    assert plan.samplers == ("rns", "Slow-2", "dns", "hard")
    assert plan.reference == "Slow-2"
    found = {name: plan.resolved(name) for name in plan.samplers}
    assert [row["neg_sampler"] for row in found.values()] == ["rns", "rns", "dns", "dns"]
    assert [row["epochs"] for row in found.values()] == [7, 2, 7, 7]
    assert [row["learning_rate"] for row in found.values()] == [0.5, 0.01, 0.5, 0.5]
    numbers = [row["neg_sampler_args"].get("candidate_num") for row in found.values()]
    assert numbers == [None, None, 3, 9]
    differ = settings_that_differ(found)
    assert differ["Slow-2"] == {"epochs": 2, "learning_rate": 0.01}
    assert differ["hard"] == {"epochs": 7, "learning_rate": 0.5}


def test_what_the_words_set_for_one_row_they_do_not_set_for_others(settings, tmp_path):
    """So that a parameter that is younger than a held run spoils it only where it was asked for."""
    file = tmp_path / "v.yaml"
    file.write_text(VARIANTS, encoding="utf-8")
    plan = plan_of(settings, f"--variants={file}", "--samplers=rns,dns,hard", "--epochs=7")
    key = "neg_sampler_args.candidate_num"
    assert [plan.words.says(key, row) for row in plan.samplers] == [False, False, True]
    assert not plan.words.says("neg_sampler_args.beta", "hard")
    assert all(plan.words.says("epochs", row) for row in plan.samplers)


def test_files_of_a_row_keep_the_dots_of_its_name(tmp_path):
    folder = tmp_path / stem(("rate=0.5", 1))
    for ending in (".json", ".npz", ".log"):
        assert beside(folder, ending).name == f"rate=0.5-1{ending}"
    job = Job("rate=0.5 with seed 1", None, None, None, {}, folder)
    assert (job.journal.name, job.log.name) == ("rate=0.5-1.json", "rate=0.5-1.log")


BAD_VARIANTS = [
    ("a b: {neg_sampler: dns}", "got the name 'a b'; allowed are letters"),
    ("DNS: {neg_sampler: dns}", "'DNS' is taken"),
    ("a: {neg_sampler: dns}\nA: {neg_sampler: rns}", "'A' is taken"),
    ("a: dns", "a is 'dns'; allowed is a mapping of settings with at least neg_sampler"),
    ("a: {epochs: 3}", "a is {'epochs': 3}; allowed is a mapping"),
    ("a: {neg_sampler: dsn}", "a has neg_sampler 'dsn'; did you mean 'dns'?"),
    ("a: {neg_sampler: dns, seed: 3}", "a sets seed, which all rows of a table share; write --se"),
    ("a: {neg_sampler: dns, topk: 3}", "a sets topk, which all rows of a table share; write --to"),
    ("", "no variants in it."),
]


@pytest.mark.parametrize(("text", "sentence"), BAD_VARIANTS, ids=lambda value: value[:30])
def test_bad_variants_are_refused(settings, in_tmp, capsys, text, sentence):
    Path("v.yaml").write_text(text, encoding="utf-8")
    assert main(["compare", *words_of(settings, "--variants=v.yaml")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("recbole-bns: --variants: 'v.yaml'")
    assert sentence in said


def test_a_bad_parameter_of_a_variant_is_named_after_it(settings, in_tmp, capsys):
    Path("v.yaml").write_text(
        "a: {neg_sampler: dns, neg_sampler_args: {candidate_nom: 3}}", encoding="utf-8"
    )
    words = words_of(settings, "--variants=v.yaml", "--samplers=a")
    assert main(["compare", *words]) == 2
    assert capsys.readouterr().err.startswith(
        "recbole-bns: a: neg_sampler_args.candidate_nom: no such parameter"
    )
    assert not Path("cmp").exists()


BAD = [
    ("--samplers=rns,dsn", "--samplers: got 'dsn'; did you mean 'dns'?; allowed: advir, ahns,"),
    ("--seeds=0", "--seeds: got 0, allowed are a number of seeds from 1 to 1000"),
    ("--seeds=3,3", "--seeds: got '3,3', allowed are"),
    ("--seeds=3,-1", "--seeds: got '3,-1', allowed are"),
    ("--seeds=many", "--seeds: got 'many', allowed are"),
    ("--jobs=0", "--jobs: got 0, allowed is an integer >= 1."),
    ("--jobs=True", "--jobs: got True, allowed is an integer >= 1."),
    ("--reference=bns", "--reference: got 'bns'; did you mean 'rns'?; allowed is one of --samp"),
    ("--dsn.candidate_num=3", "--dsn.candidate_num: got 'dsn'; did you mean 'dns'?; allowed befo"),
    ("--bns.lambda=3", "--bns.lambda: 'bns' is not among --samplers: rns, dns."),
    ("--dns.candidate_nom=3", "--dns.candidate_nom: no such parameter; did you mean 'candidate_"),
    ("--dns.candidate_num=0", "--dns.candidate_num: got 0, allowed is an integer >= 1"),
    ("--neg_sampler_args.lambda=3", "--neg_sampler_args.lambda: not a setting of a comparison; wr"),
    ("--neg_sampler=bns", "--neg_sampler: not a setting of a comparison; write --samplers=A,B."),
    ("--seed=3", "--seed: not a setting of a comparison; write --seeds=N or --seeds=3,7,9."),
    ("--candidate_num=9", "--candidate_num: is a parameter of dns; write --dns.candidate_num=9."),
    ("--epochs=0", "epochs: got 0, allowed is an integer >= 1."),
    ("--dataset=nope", "data set 'nope': there is no file "),
]


@pytest.mark.parametrize(("word", "sentence"), BAD, ids=lambda value: value[:30])
def test_what_cannot_be_is_refused_before_any_run(settings, in_tmp, capsys, word, sentence):
    assert main(["compare", *words_of(settings, word)]) == 2
    assert capsys.readouterr().err.startswith(f"recbole-bns: {sentence}")
    assert list(in_tmp.iterdir()) == []


def test_help_fits_on_a_screen_and_its_examples_are_read(capsys):
    assert main(["compare", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    examples = [line for line in lines if line.startswith("  recbole-bns compare ")]
    assert len(examples) >= 2
    for example in examples:
        assert parse_flags(example.split()[2:])


@pytest.mark.process
def test_the_command_is_wired_and_light():
    code = (
        "import sys; from recbole_bns.cli import main; "
        "assert main(['compare', '--help']) == 0; "
        "assert not {'recbole', 'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {HOME!r}); {code}"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def test_words_of_the_table_count_more_than_a_preset_and_a_rows_own_most(settings, in_tmp):
    Path("v.yaml").write_text(
        "mined: {preset: mined-ssm, learning_rate: 0.1}\nplain: {neg_sampler: rns}"
    )
    given = {**settings, "epochs": 2, "learning_rate": 0.2, "mine.items": 7}
    plan = plan_of(given, "--variants=v.yaml", "--samplers=mined,plain")
    config = plan.words.config(("mined", 1))
    assert (config["epochs"], config["learning_rate"]) == (2, 0.1)
    assert (config["mine"]["items"], config["mine"]["share"]) == (7, 0.5)


def test_a_variant_that_is_not_run_is_named(settings, in_tmp):
    Path("v.yaml").write_text("a: {neg_sampler: dns}\nb: {neg_sampler: bns}")
    plan = plan_of(settings, "--variants=v.yaml", "--samplers=rns,a")
    assert plan.config.remarks == ["--variants: not among --samplers, and not run: b."]
    assert plan_of(settings, "--variants=v.yaml", "--samplers=b,a").config.remarks == []


def test_a_preset_is_a_rows_own(settings, in_tmp):
    """Its loss and its sampler are the row's, as if they had been written there."""
    Path("v.yaml").write_text(
        "mined: {preset: mined-ssm, mine.share: 0.2}\nplain: {neg_sampler: rns}"
    )
    plan = plan_of(settings, "--variants=v.yaml", "--samplers=mined,plain")
    config = plan.words.config(("mined", 1))
    assert (config["loss"], config["neg_sampler"], config["neg_shared"]) == ("ssm", "rns", True)
    assert (config["mine"]["share"], config["mine"]["items"]) == (0.2, 10)
    assert plan.losses == {"mined": "ssm", "plain": "model"}
    Path("all.yaml").write_text("preset: mined-ssm")
    flags = parse_flags(words_of(settings))
    for more in ({"preset": "mined-ssm"}, {"config_files": ["all.yaml"]}):
        with pytest.raises(UsageError, match=r"preset: got 'mined-ssm', but the rows .*--variants"):
            read_plan({**flags, **more})
    Path("v.yaml").write_text("mined: {preset: mined-smm}")
    with pytest.raises(
        UsageError, match=r"'v\.yaml': mined: preset: got 'mined-smm'; did you mean"
    ):
        plan_of(settings, "--variants=v.yaml")


def test_a_plan_of_one_sampler_that_is_no_list(settings):
    assert plan_of(settings, "--samplers=none").samplers == ("none",)
    with pytest.raises(UsageError, match="allowed: advir, ahns"):
        plan_of(settings, "--samplers=1")


def test_what_a_model_reads_is_no_parameter_without_its_sampler(settings, tmp_path):
    """SimpleX has a ``gamma``, as BNS+ has."""
    words = ("--model=SimpleX", "--samplers=rns,bns_plus", "--gamma=0.25")
    assert plan_of(settings, *words).config["gamma"] == 0.25
    file = tmp_path / "a.yaml"
    file.write_text("model: SimpleX\n", encoding="utf-8")
    flags = parse_flags([w for w in words_of(settings, *words[1:]) if "--model" not in w])
    assert read_plan({**flags, "config_files": [str(file)]}).config["model"] == "SimpleX"
    with pytest.raises(UsageError, match=r"^--gamma: is a parameter of bns_plus; write --bns_plu"):
        plan_of(settings, *words[1:])


def test_what_tuned_settings_add_to_a_file_of_the_user(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("learning_rate: 0.5\n", encoding="utf-8")
    words = ["--model=BPR", "--dataset=ml-100k", "--samplers=rns,dns", "--epochs=7"]
    flags = parse_flags([*words, "--dns.best_num=2"])
    plan = read_plan({**flags, "config_files": [str(file)]})
    name, added = plan.tuned("dns") or ("", {})
    assert name == "properties/tuned/ml-100k/BPR/dns.yaml"
    whole = flat(read_own(PROPERTIES / "tuned/ml-100k/BPR/dns.yaml"))
    left_open = set(whole) - {"learning_rate", "epochs", "neg_sampler_args.best_num"}
    assert len(left_open) == len(whole) - 3
    assert added == {key: whole[key] for key in left_open}
    config = plan.words.config(("dns", 1))
    assert all(config[key] == value for key, value in added.items() if "." not in key)
    assert read_plan(flags).tuned("dns") is None, "there is no file"
    alone = read_plan({**flags, "config_files": [str(file)], "tuned": False})
    assert alone.tuned("dns") is None
