"""What is refused before anything slow is imported is what is refused later, in the same words."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from tiny import ROOT

from recbole_bns import UsageError, losses, mixers, sampling
from recbole_bns.adapters import keys as of_code
from recbole_bns.adapters.reads import known_keys, prefixes, read_by_any, read_by_transforms
from recbole_bns.cli import main
from recbole_bns.common.params import as_mapping, defaults, parse
from recbole_bns.compare.plan import read_plan
from recbole_bns.settings import early, known
from recbole_bns.settings.declared import declared
from recbole_bns.settings.properties import PROPERTIES
from recbole_bns.settings.words import read_yaml

STALE = "python scripts/write_known.py writes recbole_bns/settings/known.json anew"


def writer() -> Any:
    spec = importlib.util.spec_from_file_location("w", ROOT / "scripts" / "write_known.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- The table ---------------------------------------------------------------------------------


def test_the_table_has_the_samplers_and_losses_of_the_code() -> None:
    assert json.loads(json.dumps(writer().kinds())) == known.table()["kinds"], STALE
    assert known.FILE.read_text(encoding="utf-8") == writer().text(known.table()) + "\n", STALE


def check_models(names: list[str]) -> None:
    from recbole.utils import get_model

    entry = writer().host(names)
    held = known.table()["recbole"][version("recbole")]
    for key in ("metrics", "by_any", "by_transforms"):
        assert entry[key] == held[key], STALE
    for name in names:
        read = known.known_of(name)
        assert read is not None, STALE
        assert read.keys == known_keys(name), (name, STALE)
        assert set(read.prefixes) == set(prefixes(get_model(name))), (name, STALE)
        assert (read.by_any(), read.by_transforms()) == (read_by_any(), read_by_transforms())
        assert read.parameters() == of_code.parameters()


def test_the_table_has_the_settings_that_models_read() -> None:
    check_models(["BPR", "SASRec"])


@pytest.mark.slow
def test_the_table_has_all_models() -> None:
    names = writer().importable()
    assert set(names) <= set(known.table()["recbole"][version("recbole")]["models"]), STALE
    check_models(names)


@pytest.mark.parametrize(
    ("setting", "name"),
    [(setting, name) for setting, kind in known.kinds().items() for name in kind.classes],
)
def test_parameters_of_the_table_are_parsed_as_those_of_the_class(setting: str, name: str) -> None:
    room = {"neg_sampler": sampling, "loss": losses, "mixer": mixers}[setting]
    own, read = room.get(name).Params, known.kinds()[setting].params(name)
    assert defaults(read) == defaults(own)
    for spec in dataclasses.fields(own):
        for value in (-1, 0, 1, 1.5, 10**9, "word", "all", True, None, [1], {"start": 1}):
            given = {spec.name.rstrip("_"): value}
            results = []
            for cls in (own, read):
                try:
                    results.append(as_mapping(parse(cls, given, "args", name)))
                except UsageError as error:
                    results.append(str(error))
            if "taken from the candidates" not in str(results[0]):  # two parameters at odds
                assert results[0] == results[1], given


# --- What passes -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(PROPERTIES.glob("tuned/ml-100k/*/*.yaml")), ids=str)
def test_shipped_settings_pass(path: Path) -> None:
    asked = early.check_run(path.parent.name, None, [str(path)], {"neg_sampler": path.stem})
    assert early.title(asked) == f"{path.parent.name} on ml-100k with {path.stem}"


def test_settings_that_a_run_has_written_pass_whatever_they_hold(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("model: BPR\nsomething_of_old: 1\n", encoding="utf-8")
    with pytest.raises(UsageError, match="'something_of_old' is not known"):
        early.check_run(None, None, [str(settings)], {})
    (tmp_path / "run.log").touch()
    assert early.check_run(None, None, [str(settings)], {}).model == "BPR"


def test_what_other_packages_register_is_checked_later(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"neg_sampler": "theirs", "neg_sampler_args": {"depth": 3}}
    words = [
        lambda: early.check_run("BPR", None, None, given),
        lambda: early.check_run("BPR", None, None, {"loss": "theirs"}),
        lambda: early.check_run("BPR", None, None, {"depth": 3}),
        lambda: early.check_comparison("BPR", None, None, {"samplers": "rns,theirs"}),
        lambda: early.check_listed("neg_sampler", ["theirs"]),
    ]
    for ask in words:
        with pytest.raises(UsageError):
            ask()
    monkeypatch.setattr(known, "others_register", lambda: True)
    for ask in words:
        ask()
    with pytest.raises(UsageError, match="learning_rate: got 'fast'"):
        early.check_run("BPR", None, None, {"learning_rate": "fast"})


def test_entry_points_of_all_registries_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: asked.append(group) or ())
    assert not known.others_register.__wrapped__()
    assert {"recbole_bns.samplers", "recbole_bns.losses"} <= set(asked)


def test_another_recbole_than_those_of_the_table_is_asked_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known, "host", lambda: None)
    given = {"of_a_new_recbole": 1, "metrics": "New"}
    assert early.check_run("NewModel", None, None, given).model == "NewModel"
    with pytest.raises(UsageError, match="neg_sampler: got 'bsn'"):
        early.check_run("NewModel", None, None, {"neg_sampler": "bsn"})


# --- The sentences -----------------------------------------------------------------------------

COMPARISONS: list[dict[str, Any]] = [
    {"samplers": "rns,bsn"},
    {"samplers": "rns,dns+sms"},
    {"losses": "bpr,smm"},
    {"model": "LightGNC"},
    {"samplers": "rns,dns", "learning_rat": 0.1},
    {"samplers": "rns,dns", "learning_rate": "fast"},
    {"samplers": "rns,dns", "losses": "model,ssm", "criterion_of": 1},
    {"lr": 0.1},
    {"samplers": "rns", "dataset": "ml-1n"},
    {"samplers": "rns", "metrics": ["Recal"]},
    {"samplers": "rns", "topk": 0},
]


def sentence(ask: Callable[[], Any]) -> str:
    with pytest.raises(UsageError) as refusal:
        ask()
    return str(refusal.value)


@pytest.mark.parametrize("flags", COMPARISONS, ids=str)
def test_a_comparison_is_refused_in_the_same_words(flags: dict[str, Any], in_tmp: Path) -> None:
    flags = {"use_gpu": False, **flags}
    rest = dict(flags)
    names = [rest.pop(key, None) for key in ("model", "dataset", "config_files")]
    late = sentence(lambda: read_plan(flags))
    assert sentence(lambda: early.check_comparison(*names, rest)) == late


@pytest.mark.parametrize("key", ["candidate_num", "temperature", "resume"])
def test_a_parameter_without_its_row_is_left_to_the_comparison(key: str) -> None:
    early.check_comparison("BPR", None, None, {"samplers": "rns,dns+ssm", key: 3})


def test_a_sampler_in_a_file_gives_way_to_the_rows(in_tmp: Path, data_path: Path) -> None:
    file = in_tmp / "a.yaml"
    text = "model: BPR\nneg_sampler: rns\nneg_sampler_args: {candidate_num: 3}\nuse_gpu: false\n"
    file.write_text(f"{text}dataset: tiny\ndata_path: {data_path}\n", encoding="utf-8")
    flags = {"samplers": "dns", "config_files": [str(file)]}
    assert read_plan(flags).samplers == ("dns",)
    early.check_comparison(None, None, [str(file)], {"samplers": "dns"})


def test_the_data_are_looked_for_where_settings_say(data_path: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"data_path": str(data_path)}
    early.check_run("BPR", "tiny", None, given)
    file = tmp_path / "elsewhere.yaml"
    file.write_text(f"data_path: {tmp_path}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=f"there is no file {tmp_path}/tiny/tiny.inter;"):
        early.check_run("BPR", "tiny", [str(file)], {})
    early.check_run("BPR", "tiny", [str(file)], given)


def test_a_fixed_split_that_lies_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    given: dict[str, Any] = {"data_path": str(tmp_path)}
    for part, words in (("test", "put RecBole's"), ("train", "own.train.inter and own.test.inter")):
        (tmp_path / "own" / f"own.{part}.inter").touch()
        with pytest.raises(UsageError, match=rf"own/own\.inter; {words}") as caught:
            early.check_run("BPR", "own", None, given)
    assert "--benchmark_filename='[train,test]'" in str(caught.value)
    early.check_run("BPR", "own", None, {**given, "benchmark_filename": ["train", "test"]})


def test_titles() -> None:
    asked = early.check_run("BPR", None, None, {"neg_sampler": "dns", "loss": "ssm"})
    assert early.title(asked) == "BPR on ml-100k with dns+ssm"
    asked = early.check_run(None, None, None, {"neg_sampler": "none", "show_progress": False})
    assert early.title(asked) == "LightGCN on ml-100k with RecBole's sampling"
    assert not asked.shown
    assert early.title(early.check_run(None, None, None, {})).endswith(
        declared()["neg_sampler"].default
    )
    flags = {"samplers": "rns,dns", "losses": "bpr,ssm"}
    asked = early.check_comparison(None, None, None, flags)
    assert early.title_of_rows(asked, flags) == (
        "comparison of rns, dns crossed with bpr, ssm: LightGCN on ml-100k"
    )


def test_files_of_settings_are_read_as_by_a_run(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("model: BPR\nneg_sampler: dns\nneg_sampler_args: {beta: 2}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"neg_sampler_args\.beta: got 2\.0, allowed"):
        early.check_run(None, None, [str(file)], {})
    assert read_yaml(file)["model"] == "BPR"
    given = {"neg_sampler_args.beta": 0.5, "model": "NGCF"}
    assert early.check_run(None, None, [str(file)], given).model == "NGCF"


def test_no_module_of_the_early_checks_is_a_slow_one() -> None:
    """They stand on the standard library, YAML, and the rooms that are as quick."""
    for name in ("early", "known", "keys", "checks"):
        tree = ast.parse((ROOT / "recbole_bns" / "settings" / f"{name}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert node.module is not None
                heads = node.module.split(".")
                assert heads[0] != "recbole_bns" or heads[1] in ("common", "settings"), node.module


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "run --neg_sampler=mixgcf",
            "got 'mixgcf', which is a mixer (--mixer=mixgcf); allowed: ",
        ),
        ("run --loss=dns", "loss: got 'dns', which is a sampler (--neg_sampler=dns)"),
        ("run --mixer=ssm", "mixer: got 'ssm', which is a loss (--loss=ssm)"),
        ("compare --samplers=rns,ssm", "--samplers: got 'ssm', which is a loss ("),
        ("compare --losses=bns", "--losses: got 'bns', which is a sampler ("),
        ("losses dens", "loss: got 'dens', which is a mixer ("),
    ],
)
def test_a_name_of_another_kind_says_where_it_belongs(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("setting", "name"), [("neg_sampler", "dens"), ("loss", "dns")])
def test_python_says_it_too(make: Callable[..., Any], setting: str, name: str) -> None:
    with pytest.raises(UsageError, match=rf"{setting}: got '{name}', which is a (mixer|sampler) "):
        make("BPR", **{setting: name})
