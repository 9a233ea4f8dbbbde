"""Presets: under what the user writes, over what is tuned, with any model that takes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny import Settings

from recbole_bns import UsageError, interactions, run_recbole_bns
from recbole_bns.adapters.whence import told_whence
from recbole_bns.runs.folder import read_settings
from recbole_bns.settings.presets import over_preset, preset_of, presets
from recbole_bns.settings.properties import PROPERTIES

Make = Callable[..., Any]
NAME = "mined-ssm"


@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
@pytest.mark.parametrize("name", presets())
def test_every_preset_comes_to_what_its_file_says(make: Make, model: str, name: str) -> None:
    own = {"epochs", "train_batch_size", "embedding_size"}  # the maker's
    config = make(model, preset=name)
    for key, value in preset_of({"preset": name}).items():
        if key not in own:
            found = config[key]
            assert (value.items() <= found.items()) if isinstance(value, dict) else found == value


def test_the_user_counts_more_and_a_preset_more_than_what_is_tuned(make: Make) -> None:
    file = PROPERTIES / "tuned" / "ml-1m" / "BPR" / "rns.yaml"
    assert file.is_file()
    for given, share, rate in (
        ({}, 0.5, 0.003),
        ({"mine.share": 0.2, "learning_rate": 0.1}, 0.2, 0.1),
    ):
        config = make("BPR", preset=NAME, loss="model", dataset="ml-1m", **given)
        assert config["tuned_file"] == "properties/tuned/ml-1m/BPR/rns.yaml"
        assert (config["mine"]["share"], config["learning_rate"]) == (share, rate)
        assert config["mine"]["items"] == 10


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (True, 2048, {"temperature": "auto"})),
        ({"loss": "SSM"}, (True, 2048, {"temperature": "auto"})),
        ({"loss": "model"}, (False, 1, {})),
        ({"loss": "gbce"}, (False, 64, None)),
        ({"neg_sampler": "dns"}, (False, 64, {"temperature": "auto"})),
    ],
    ids=str,
)
def test_what_was_meant_for_another_loss_or_sampler_is_left_out(
    make: Make, given: Settings, expected: tuple[Any, ...]
) -> None:
    config = make("BPR", preset=NAME, **given)
    assert (config["neg_shared"], config["neg_sample_num"]) == expected[:2]
    if expected[2] is not None:
        args = config["loss_args"]
        assert {key: args[key] for key in expected[2]} == expected[2]
    assert config["mine"]["prior"] == "ease"


def test_one_that_is_not_there_is_refused_and_the_names_are_said(make: Make) -> None:
    with pytest.raises(UsageError, match="preset: got 'mined-smm'; did you mean 'mined-ssm'"):
        make("BPR", preset="mined-smm")
    with pytest.raises(UsageError, match=r"neg_sampler: got 'none', .* beside preset 'mined-ssm'"):
        make("BPR", preset=NAME, neg_sampler="none")
    assert over_preset({"seed": 3}) == {"seed": 3}


def test_a_run_with_a_preset_says_so_and_is_repeated_by_its_settings(
    settings: Settings, tmp_path: Path
) -> None:
    given = {**settings, "neg_sample_num": 9, "epochs": 1, "preset": NAME}
    result = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "run")
    assert (result["preset"], result["mine"]["items"]) == (NAME, 10)
    kept = read_settings(tmp_path / "run")
    assert "preset" not in kept
    assert kept["settings_from"] == {"preset": NAME}
    file = str(tmp_path / "run" / "settings.yaml")
    again = run_recbole_bns(config_file_list=[file], out=tmp_path / "again")
    assert again["test_result"] == result["test_result"]
    assert "preset" not in again, "a run's file may have been changed"


@pytest.mark.parametrize("key", ["preset", "tuned_file"])
def test_a_run_that_goes_on_says_what_its_settings_came_from(
    settings: Settings, tmp_path: Path, key: str
) -> None:
    """Its settings.yaml holds what they came to, and ``preset`` there would be laid under it."""
    given = {**settings, "neg_sample_num": 9, "epochs": 1, "valid_ratio": 0}
    if key == "preset":
        given |= {"preset": NAME}
    first = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "run")
    if key == "tuned_file":  # there is none for this data set
        file = tmp_path / "run" / "settings.yaml"
        file.write_text(file.read_text() + "settings_from: {tuned_file: here.yaml}\n")
    again = run_recbole_bns(None, None, None, {"epochs": 2}, resume=tmp_path / "run")
    assert again["epochs"] == 2
    assert again[key] == (NAME if key == "preset" else "here.yaml")
    assert first.get(key) == (NAME if key == "preset" else None)


@pytest.mark.parametrize("value", [{"preset": 3}, {"file": "a"}, "mined-ssm"])
def test_an_origin_that_no_run_wrote_is_refused(make: Make, value: object) -> None:
    with pytest.raises(UsageError, match=r"settings_from: got .* leave it out"):
        make("BPR", settings_from=value)


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ({"preset": "bns-plus"}, " (it is of preset 'bns-plus'; --"),
        ({"preset": "bns-plus", "neg_sampler_args": {"candidate_num": 35}}, ""),
        ({"neg_sampler": "ahns"}, " (it is the default; --"),
        ({"neg_sampler": "dns", "tuned": True}, ", which --tuned=False leaves out; --"),
    ],
)
def test_a_value_that_the_data_refuse_says_where_it_is_from(
    make: Make, given: Settings, source: str
) -> None:
    config = make("BPR", **given)
    config["tuned_file"] = "properties/tuned/ml-100k/BPR/dns.yaml" if given.get("tuned") else None
    with pytest.raises(UsageError) as refused, told_whence(config):
        raise UsageError("neg_sampler_args.candidate_num: got 40, allowed is 1 to 30.")
    text = str(refused.value)
    assert text.startswith("neg_sampler_args.candidate_num: got 40, allowed is 1 to 30")
    assert source in text
    assert ("(" in text) == bool(source)


def test_data_too_small_for_a_preset_name_it(tmp_path: Path) -> None:
    pairs = [(user, (user * 7 + step * step) % 30) for user in range(40) for step in range(6)]
    few = interactions(pd.DataFrame(pairs, columns=["user", "item"]))
    given = {"preset": "bns-plus", "epochs": 1, "show_progress": False}
    with pytest.raises(UsageError, match=r"candidate_num: got 40, .* of preset 'bns-plus'"):
        run_recbole_bns("BPR", few, None, given, out=tmp_path / "run")
