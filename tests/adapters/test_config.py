"""Settings: the order of the layers, dotted keys, types without eval, and the property files."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tiny import ROOT, write_tiny

from recbole_bns import BNSConfig, UsageError, run_recbole_bns
from recbole_bns.adapters.reads import known_keys
from recbole_bns.common.params import defaults
from recbole_bns.sampling import available, get, parse
from recbole_bns.settings.properties import PROPERTIES
from recbole_bns.settings.words import read_yaml, typed

NOT_SETTINGS = {"tuned_as", "how_to_get"}
YAML_FILES = sorted(PROPERTIES.rglob("*.yaml"))


def write(path: Path, content: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the property files that a test may change."""
    copy = tmp_path / "properties"
    shutil.copytree(PROPERTIES, copy)
    monkeypatch.setattr("recbole_bns.adapters.config.PROPERTIES", copy)
    return copy


# --- Layers ------------------------------------------------------------------------------------


def test_later_layers_win(own, tmp_path):
    files = [
        own / "overall.yaml",
        own / "model/BPR.yaml",
        own / "dataset/mine.yaml",
        own / "sampler/dns.yaml",
        own / "tuned/mine/BPR/dns.yaml",
        tmp_path / "first.yaml",
        tmp_path / "second.yaml",
    ]
    given = [str(path) for path in files[5:]]
    for path in files[5:]:
        write(path, {})
    found = [BNSConfig("BPR", "mine", given, {"neg_sampler": "dns"})["stopping_step"]]
    for place, path in enumerate(files):
        before = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        write(path, {**before, "stopping_step": 100 + place})
        found.append(BNSConfig("BPR", "mine", given, {"neg_sampler": "dns"})["stopping_step"])
    last = BNSConfig("BPR", "mine", given, {"neg_sampler": "dns", "stopping_step": 3})
    assert [*found, last["stopping_step"]] == [10, 100, 101, 102, 103, 104, 105, 106, 3]


@pytest.mark.parametrize("layer", ["overall.yaml", "model/BPR.yaml", "dataset/mine.yaml"])
def test_any_layer_may_choose_the_sampler(own, layer):
    path = own / layer
    before = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    write(path, {**before, "neg_sampler": "SRNS"})
    config = BNSConfig("BPR", "mine")
    assert config["neg_sampler"] == "srns"
    assert config["neg_sampler_args"] == defaults(get("srns").Params)


def test_tuned_settings_are_named_and_can_be_switched_off(own):
    write(own / "tuned/ml-100k/BPR/dns.yaml", {"neg_sampler_args": {"candidate_num": 16}})
    tuned = BNSConfig("BPR", "ml-100k-bns", None, {"neg_sampler": "dns"})
    assert tuned["tuned_file"] == "properties/tuned/ml-100k/BPR/dns.yaml"
    assert tuned["neg_sampler_args"]["candidate_num"] == 16
    assert tuned["neg_sampler_args"]["best_num"] == 1
    off = BNSConfig("BPR", "ml-100k-bns", None, {"neg_sampler": "dns", "tuned": "False"})
    assert off["tuned_file"] is None
    assert off["neg_sampler_args"]["candidate_num"] == 5
    assert BNSConfig("NeuMF", "ml-100k", None, {"neg_sampler": "dns"})["tuned_file"] is None


def test_without_any_setting_it_is_lightgcn_on_ml_100k_with_bns():
    config = BNSConfig()
    assert (config["model"], config["dataset"], config["neg_sampler"]) == (
        "LightGCN",
        "ml-100k",
        "bns",
    )
    assert Path(config["data_path"], "ml-100k.inter").is_file()
    assert config["metric_decimal_place"] == 16


def test_model_and_dataset_may_stand_in_a_file(tmp_path):
    file = write(tmp_path / "a.yaml", {"model": "NGCF", "dataset": "ml-1m", "epochs": 4})
    config = BNSConfig(config_file_list=[file])
    assert (config["model"], config["dataset"], config["epochs"]) == ("NGCF", "ml-1m", 4)


def test_the_command_line_of_the_process_is_not_read(make, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pytest", "--embedding_size=3", "--neg_sampler=dns"])
    config = make()
    assert config["embedding_size"] == 8
    assert config["neg_sampler"] == "bns"


# --- Keys and values ---------------------------------------------------------------------------


def test_dotted_keys_reach_into_mappings_and_keep_their_neighbours(make, tmp_path):
    file = write(
        tmp_path / "a.yaml",
        {"neg_sampler_args.cdf": "paper", "neg_sampler_args.lambda": 2, "eval_args.order": "TO"},
    )
    config = BNSConfig(
        "BPR",
        "tiny",
        [file],
        {
            "neg_sampler_args.lambda.start": 10,
            "neg_sampler_args.lambda.step": -0.5,
            "neg_sampler_args.lambda.stop": 2,
            "neg_sampler_args": {"candidate_num": 9},
            "eval_args.mode.valid": "uni20",
        },
    )
    assert config["neg_sampler_args"] == {
        **defaults(get("bns").Params),
        "cdf": "paper",
        "lambda": {"start": 10, "step": -0.5, "stop": 2},
        "candidate_num": 9,
    }
    assert config["eval_args"] == {
        "split": {"RS": [0.8, 0.1, 0.1]},
        "group_by": "user",
        "order": "TO",
        "mode": {"valid": "uni20", "test": "uni20"},
    }


def test_later_files_merge_with_earlier_ones(tmp_path):
    files = [
        write(tmp_path / "a.yaml", {"neg_sampler_args": {"candidate_num": 7, "lambda": 1.0}}),
        write(tmp_path / "b.yaml", {"neg_sampler_args": {"lambda": 2.0}, "metrics": ["MRR"]}),
        write(tmp_path / "c.yaml", {"metrics": ["NDCG"]}),
    ]
    config = BNSConfig("BPR", "tiny", files)
    assert config["neg_sampler_args"]["candidate_num"] == 7
    assert config["neg_sampler_args"]["lambda"] == 2.0
    assert config["metrics"] == ["NDCG"], "lists are replaced, not merged"


VALUES = [
    ("0.01", 0.01),
    ("1e-3", 0.001),
    ("7", 7),
    ("True", True),
    ("None", None),
    ("~", None),
    ("[5, 10]", [5, 10]),
    ("{a: 1}", {"a": 1}),
    ("NDCG@10", "NDCG@10"),
    ("1+1", "1+1"),
    ("__import__('os').system('touch hacked')", "__import__('os').system('touch hacked')"),
    ("a: b: c", "a: b: c"),
    ("2024-01-01", "2024-01-01"),
    ("1:30", "1:30"),
    ("-1:30.5", "-1:30.5"),
    (np.float64(0.25), 0.25),
    (np.int64(3), 3),
    (3, 3),
]


@pytest.mark.parametrize(("given", "value"), VALUES)
def test_values_are_what_they_spell_and_nothing_is_run(given, value, in_tmp):
    read = typed(given)
    assert read == value
    assert type(read) is type(value)
    assert not list(in_tmp.iterdir())


def test_numbers_of_numpy_are_numbers(make):
    config = make(
        learning_rate=np.float64(0.5),
        epochs=np.int64(7),
        neg_sampler_args={"candidate_num": np.int64(4), "lambda": np.float32(0.5)},
    )
    assert (config["learning_rate"], config["epochs"]) == (0.5, 7)
    assert config["neg_sampler_args"]["candidate_num"] == 4
    assert type(config["neg_sampler_args"]["lambda"]) is float


def test_intervals_and_paths_stay_text(make):
    config = make(user_inter_num_interval="[5,10]", data_path="2024", gpu_id="0")
    assert config["user_inter_num_interval"] == "[5,10]"
    assert config["data_path"] == os.path.join("2024", "tiny")


def test_data_path_is_honoured_for_ml_100k(tmp_path):
    assert BNSConfig("BPR", "ml-100k", None, {"data_path": str(tmp_path)})["data_path"] == str(
        tmp_path / "ml-100k"
    )
    file = write(tmp_path / "a.yaml", {"data_path": str(tmp_path)})
    assert BNSConfig("BPR", "ml-100k", [file])["data_path"] == str(tmp_path / "ml-100k")
    assert "dataset_example" in BNSConfig("BPR", "ml-100k")["data_path"]


@pytest.mark.parametrize("cpu", [{"use_gpu": False}, {"gpu_id": ""}])
@pytest.mark.parametrize("visible", [None, "3", ""])
def test_the_cpu_is_used_when_asked_for_and_the_environment_left_alone(
    cpu, visible, data_path, monkeypatch
):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    else:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    config = BNSConfig("BPR", "tiny", None, {"data_path": str(data_path), **cpu})
    assert config["device"] == torch.device("cpu")
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == visible


def test_the_devices_that_the_environment_allows_are_kept(data_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    BNSConfig("BPR", "tiny", None, {"data_path": str(data_path)})
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,1"
    BNSConfig("BPR", "tiny", None, {"data_path": str(data_path), "gpu_id": 2})
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2", "an explicit gpu_id no longer wins"


# --- RecBole's own sampling settings -----------------------------------------------------------


def test_train_neg_sample_args_are_derived(make):
    derived = make(neg_sample_num=3)["train_neg_sample_args"]
    assert (derived["distribution"], derived["sample_num"], derived["dynamic"]) == (
        "uniform",
        3,
        True,
    )


AGREE = [{"distribution": "uniform"}, {"distribution": "uniform", "sample_num": 2}]
CONTRADICT = [
    {"distribution": "popularity"},
    {"sample_num": 1},
    {"dynamic": True, "candidate_num": 5},
    "None",
    "popularity",
]


@pytest.mark.parametrize("given", AGREE)
def test_train_neg_sample_args_that_agree_are_accepted(make, given):
    assert (
        make(neg_sample_num=2, train_neg_sample_args=given)["train_neg_sample_args"]["sample_num"]
        == 2
    )


@pytest.mark.parametrize("given", CONTRADICT)
def test_train_neg_sample_args_that_contradict_are_refused(make, given):
    with pytest.raises(UsageError, match=r"^train_neg_sample_args: got .*contradicts neg_sampler"):
        make(neg_sample_num=2, train_neg_sample_args=given)


def test_none_leaves_recboles_sampling_alone(make):
    given = {"distribution": "popularity", "sample_num": 2}
    config = make(neg_sampler="none", train_neg_sample_args=given)
    assert config["neg_sampler"] == "none"
    assert config["train_neg_sample_args"] == {
        "distribution": "popularity",
        "sample_num": 2,
        "alpha": 1.0,
        "dynamic": False,
        "candidate_num": 0,
    }


METRICS = [
    ({"topk": [3, 7]}, "NDCG@7"),
    ({"topk": [5, 10]}, "NDCG@10"),
    ({"topk": 3}, "NDCG@3"),
    ({"metrics": ["Recall", "Hit"]}, "Recall@20"),
    ({"metrics": ["Recall", "ndcg"], "topk": [7]}, "ndcg@7"),
    ({"topk": [5, 10], "valid_metric": "Hit@5"}, "Hit@5"),
    ({"topk": 4}, "NDCG@4"),
    ({"metrics": ["Recall", "MRR"]}, "Recall@20"),
    ({"metrics": "Hit", "topk": "[1]"}, "Hit@1"),
    ({"metrics": ["AUC"], "eval_args.mode": "uni9"}, "AUC"),
    ({"metrics": ["Recall", "NDCG"], "valid_metric": "Recall@5"}, "Recall@5"),
    ({}, "NDCG@20"),
]


@pytest.mark.parametrize(("given", "metric"), METRICS)
def test_the_valid_metric_follows_the_metrics_that_are_computed(make, given, metric):
    assert make(**given)["valid_metric"] == metric


OWN_MODEL = """
from recbole.model.general_recommender import BPR

class Mine(BPR):
    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.width = config["hidden_width"]
        self.weight = getattr(config, "neg_weight", 1.0)
"""


def test_a_model_of_the_users_own_may_read_settings_of_its_own(make, tmp_path, monkeypatch):
    (tmp_path / "a_model_of_mine.py").write_text(OWN_MODEL, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    mine = importlib.import_module("a_model_of_mine").Mine
    config = make(mine, hidden_width=3, neg_weight=0.5)
    assert (config["model"], config["hidden_width"], config["neg_weight"]) == ("Mine", 3, 0.5)
    assert config.remarks == []
    with pytest.raises(UsageError, match="'neg_smapler' is not known; did you mean 'neg_sampler'"):
        make(mine, neg_smapler="bns")
    with pytest.raises(UsageError, match="'hidden_size' is not known; did you mean"):
        make(mine, hidden_size=3)
    passed = make(mine, depth_of_mine=3, allow_unknown=True)
    assert passed["depth_of_mine"] == 3
    assert passed.remarks == ["depth_of_mine: nothing is seen to read what is let pass here."]
    with pytest.raises(UsageError, match="'hidden_width' is not known"):
        make("BPR", hidden_width=3)


# --- The property files ------------------------------------------------------------------------


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda p: str(p.relative_to(PROPERTIES)))
def test_property_files_hold_known_settings_only(path):
    content = read_yaml(path)
    folder, *rest = path.relative_to(PROPERTIES).parts
    model = {"model": path.stem, "tuned": rest[1] if len(rest) > 1 else ""}.get(folder) or "BPR"
    if folder != "sweep":
        known = known_keys(model) | NOT_SETTINGS
        assert set(content) <= (known | {"loss", "loss_args"} if folder == "loss" else known)
    if "neg_sampler_args" in content and folder in ("sampler", "tuned"):
        assert content.get("neg_sampler", path.stem) == path.stem
        parse(get(path.stem).Params, content["neg_sampler_args"], str(path))


def test_the_data_sets_that_are_known_have_property_files():
    found = {path.stem: read_yaml(path) for path in YAML_FILES if path.parent.name == "dataset"}
    assert {"ml-100k", "ml-1m", "yahoo-r3", "ml-100k-bns", "ml-1m-ahns"} <= set(found)
    assert all(content["how_to_get"] and content["eval_args"] for content in found.values())


def test_every_sampler_has_a_yaml_that_equals_its_dataclass():
    spec = importlib.util.spec_from_file_location("w", ROOT / "scripts" / "write_yaml.py")
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    ours = {name: cls for name, cls in available().items() if "recbole_bns." in cls.__module__}
    assert {path.stem for path in (PROPERTIES / "sampler").iterdir()} == set(ours)
    for name, cls in ours.items():
        path = PROPERTIES / "sampler" / f"{name}.yaml"
        assert path.read_text(encoding="utf-8") == writer.text(cls), "run scripts/write_yaml.py"
        assert read_yaml(path) == {
            "neg_sampler": name,
            "neg_sampler_args": defaults(cls.Params),
        }


@pytest.mark.process
def test_an_installed_package_finds_every_property_file(tmp_path):
    """The wheel holds every package and property file, and the code in it finds them."""
    source = tmp_path / "source"
    for name in ("recbole_bns", "properties"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={tmp_path}", "."]
    subprocess.run(build, check=True, cwd=source)
    site = tmp_path / "site"
    zipfile.ZipFile(next(tmp_path.glob("*.whl"))).extractall(site)
    kept = {p.relative_to(site / "recbole_bns") for p in (site / "recbole_bns").rglob("*.*")}
    code = {p.relative_to(ROOT / "recbole_bns") for p in (ROOT / "recbole_bns").rglob("*.py")}
    files = {Path("properties") / p.relative_to(PROPERTIES) for p in PROPERTIES.rglob("*.yaml")}
    assert kept >= code | files | {Path("properties/__init__.py"), Path("py.typed")}
    done = subprocess.run(
        [sys.executable, "-c", "import recbole_bns.settings.properties as s; print(s.PROPERTIES)"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()) == site / "recbole_bns" / "properties"


# --- settings.yaml -----------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["bns", "none"])
def test_settings_yaml_repeats_a_run(sampler, data_path, settings, tmp_path):
    prior = np.linspace(0, 1, 61)
    extra: dict[str, Any] = {
        "neg_sampler": sampler,
        "valid_ratio": 0.2,
        "learning_rate": 0.02,
        "seed": 11,
        "metrics": ["NDCG"],
        "topk": "[3, 7]",
        "valid_metric": "NDCG@7",
        "eval_args.mode": "uni20",
    }
    if sampler == "bns":
        extra |= {"neg_sampler_args.prior": prior, "neg_sampler_args.lambda.start": 3}
    else:
        extra["train_neg_sample_args.distribution"] = "popularity"
    first = run_recbole_bns("BPR", "tiny", None, {**settings, **extra}, out=tmp_path / "a")
    again = run_recbole_bns(
        config_file_list=[str(tmp_path / "a" / "settings.yaml")], out=tmp_path / "b"
    )
    assert first["test_result"] == again["test_result"]
    assert first["best_valid_result"] == again["best_valid_result"]
    texts = [(tmp_path / run / "settings.yaml").read_text(encoding="utf-8") for run in "ab"]
    assert texts[0] == texts[1]
    weights = [
        torch.load(tmp_path / run / "checkpoints" / "best.pt", weights_only=True)["state_dict"]
        for run in "ab"
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_settings_yaml_reads_as_the_same_config(make, settings, tmp_path):
    from recbole_bns.runs.folder import write_settings

    config = make("LightGCN", neg_sampler="srns", lr_schedule={"gamma": 0.5}, n_layers=1)
    write_settings(config, tmp_path)
    again = BNSConfig(config_file_list=[str(tmp_path / "settings.yaml")])
    differ = {
        key
        for key in {*config.final_config_dict, *again.final_config_dict}
        if config[key] != again[key]
    }
    assert differ == {"tuned"}


def test_tiny_data_is_what_the_tests_count_on(tmp_path):
    write_tiny(tmp_path)
    lines = (tmp_path / "tiny" / "tiny.inter").read_text(encoding="utf-8").splitlines()
    assert len(set(lines)) == 881
    assert len({line.split("\t")[1] for line in lines}) == 61


def test_model_without_a_settings_file_is_known(make):
    assert make("Random", neg_sampler="none").model_class.__name__ == "Random"
