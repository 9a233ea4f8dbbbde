"""One declaration of a setting is found everywhere; the files that follow from it are equal."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from tiny import ROOT

from recbole_bns import BNSConfig, UsageError
from recbole_bns.adapters import reads
from recbole_bns.cli.flags import parse_flags
from recbole_bns.compare.rows import read_variants
from recbole_bns.runs.folder import settings_of
from recbole_bns.settings import declared, reference
from recbole_bns.settings.declared import REMOVED, having, ours, setting
from recbole_bns.settings.hints import Chosen
from recbole_bns.settings.properties import PROPERTIES
from recbole_bns.settings.words import merge, typed
from recbole_bns.training.resume import _compared
from recbole_bns.tuning.space import read_space


@dataclasses.dataclass(frozen=True)
class Added:
    """Settings of a test."""

    OURS: ClassVar[bool] = True

    colour_num: int = setting(3, "Colours a line.", low=1, high=9, overall=True)
    colour_names: Any = setting(("red",), "Their names.", listed=True, overall=True)
    colour_code: str = setting("7", "The code.", text=True)
    colour_args: Any = setting(None, "The rest.", optional=True, example="{a: 1}", merged=True)
    colour_free: int = setting(1, "Free.", free_at_resume=True)
    colour_data: int = setting(1, "Of the data.", in_sweep="data")
    colour_fixed: int = setting(1, "Fixed.", in_sweep="sweep")
    colour_shared: int = setting(1, "Shared.", shared_in_comparison=True)
    colour_place: int = setting(1, "A place here.", written="never")
    colour_late: int = setting(1, "Younger than the runs.", written="changed")


@pytest.fixture(autouse=True)
def _fresh_tables() -> Iterator[None]:
    yield
    reads.known_keys.cache_clear()


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared, "GROUPS", [*declared.GROUPS, Added])
    monkeypatch.setattr(reference, "GROUPS", declared.GROUPS)
    reads.known_keys.cache_clear()


def test_without_the_declaration_nothing_knows_it(make: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="'colour_num' is not known"):
        make(colour_num=3)


@pytest.mark.usefixtures("added")
def test_an_added_setting_is_accepted_and_checked(make: Callable[..., Any]) -> None:
    assert make(colour_num=9)["colour_num"] == 9
    for given, sentence in [
        ({"colour_num": 0}, "colour_num: got 0, allowed is an integer >= 1 and <= 9."),
        ({"colour_num": "a"}, "colour_num: got 'a', allowed is an integer >= 1 and <= 9."),
        ({"colour_names": [1]}, "colour_names: got 1, allowed are a string."),
        ({"colour_args": 3}, "colour_args: got 3, allowed is a mapping such as {a: 1}."),
    ]:
        with pytest.raises(UsageError) as error:
            make(**given)
        assert str(error.value) == sentence
    with pytest.raises(UsageError, match=r"'colour_nun' is not known; did you mean 'colour_num'\?"):
        make(colour_nun=3)


@pytest.mark.usefixtures("added")
def test_an_added_setting_is_typed_by_the_flags() -> None:
    words = ["--colour_num=5", "--colour_names=red,blue", "--colour_code=007"]
    assert parse_flags(words) == {
        "colour_num": 5,
        "colour_names": ["red", "blue"],
        "colour_code": "007",
    }
    assert typed("007", "colour_num") == 7
    assert merge({"colour_args": {"a": 1}}, {"colour_args": {"b": 2}}) == {
        "colour_args": {"a": 1, "b": 2}
    }


@pytest.mark.usefixtures("added")
def test_an_added_setting_is_in_the_help_the_reference_and_the_yaml() -> None:
    assert "  --colour_num=3          Colours a line." in reference.help_lines()
    assert "| `colour_num` | `3` | Colours a line. | an integer >= 1 and <= 9 |  |" in (
        reference.markdown().splitlines()
    )
    lines = reference.overall_yaml().splitlines()
    assert "colour_num: 3                   # (int) Colours a line." in lines
    assert yaml.safe_load(reference.overall_yaml())["colour_names"] == ["red"]


@pytest.mark.usefixtures("added")
def test_an_added_setting_is_treated_by_the_commands_as_it_says(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    assert "colour_free" not in _compared({"colour_free": 2})
    assert _compared({"colour_num": 2})["colour_num"] == 2
    assert _compared({})["colour_late"] == 1, "a run of old had its default"
    for key, sentence in [
        ("colour_data", "decides the data, which is read and split once for all trials"),
        ("colour_fixed", "is the same in all trials of a sweep"),
    ]:
        with pytest.raises(UsageError, match=sentence):
            read_space({key: {"choice": [1, 2]}}, "a.yaml", "BPR", Chosen("rns"))
    assert read_space({"colour_num": {"choice": [1, 2]}}, "a.yaml", "BPR", Chosen("rns"))
    file = tmp_path / "v.yaml"
    file.write_text("a: {neg_sampler: dns, colour_shared: 2}", encoding="utf-8")
    with pytest.raises(UsageError, match="a sets colour_shared, which all rows of a table share"):
        read_variants(str(file))
    given = {"colour_num": 4, "colour_place": 4, "colour_late": 1}
    written = settings_of(make(**given))
    assert written["colour_num"] == 4
    assert {"colour_place", "colour_late"}.isdisjoint(written)
    assert settings_of(make(colour_late=2))["colour_late"] == 2


# --- What follows from the declaration -----------------------------------------------------------


def test_the_yaml_and_the_reference_are_those_of_the_declaration() -> None:
    remedy = "python scripts/write_settings.py writes both anew"
    text = (PROPERTIES / "overall.yaml").read_text(encoding="utf-8")
    assert text == reference.overall_yaml(), remedy
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == reference.markdown(), remedy
    for name, value in yaml.safe_load(text).items():
        default = declared.declared()[name].default
        assert value == ({} if default is None and value == {} else _plain(default)), name


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_recboles_settings_are_declared_with_recboles_defaults() -> None:
    stock = yaml.safe_load((reads._root() / "properties" / "overall.yaml").read_text())
    stock |= yaml.safe_load((reads._root() / "properties" / "dataset/sample.yaml").read_text())
    for name, spec in declared.declared().items():
        written = spec.metadata["written"] == "never" or spec.metadata["example"]
        if name in stock and not spec.metadata["overall"] and not written:
            assert stock[name] == spec.default, name


def test_every_default_is_allowed() -> None:
    for name, spec in declared.declared().items():
        if not (spec.default is None and spec.metadata["merged"]):
            declared.check_value(spec, spec.default)
        assert spec.metadata["help"].endswith("."), name


def test_the_sets_hold_what_they_held() -> None:
    """A run made before the declaration goes on with the same freedom."""
    assert set(having("free_at_resume")) == {
        "epochs",
        "show_progress",
        "data_path",
        "gpu_id",
        "use_gpu",
        "checkpoint_every",
        "threads",
        "train_on",
        "settings_from",
    }
    assert set(having("leaves_model_alone")) == {"neg_record", "neg_record_scores"}
    assert set(having("shared_in_comparison")) == {
        "dataset",
        "data_path",
        "negatives",
        "seed",
        "threads",
        "metrics",
        "topk",
        "config_files",
        "out",
        "result_file",
        "split",
        "split_k",
        "split_shares",
        "split_group",
        "split_time",
        "train_on",
    }
    assert set(having("listed")) == {
        "topk",
        "metrics",
        "neg_record_scores",
        "split_shares",
        "split_time",
    }
    assert set(having("merged")) == {
        "neg_sampler_args",
        "loss_args",
        "loss_weight_args",
        "mixer_args",
        "mine",
        "eval_args",
    }
    assert "nproc" in ours()


@pytest.mark.process
def test_the_declaration_and_the_help_lines_load_nothing_slow() -> None:
    code = (
        "import sys; from recbole_bns.settings import reference, declared, hints; "
        "reference.help_lines(); reference.markdown(); "
        "print([m for m in ('torch', 'recbole', 'pandas', 'numpy', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# --- Settings that have gone ---------------------------------------------------------------------


def test_a_setting_that_has_gone_passes_at_its_old_default(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "old.yaml"
    file.write_text("neg_record_format: csv\nneg_sampling: null\n", encoding="utf-8")
    config = BNSConfig("BPR", "tiny", [str(file)])
    assert "neg_record_format" not in config.final_config_dict
    file.write_text("neg_record_format: parquet\n", encoding="utf-8")
    with pytest.raises(UsageError) as error:
        BNSConfig("BPR", "tiny", [str(file)])
    assert str(error.value) == (
        f"config file '{file}': neg_record_format: got 'parquet'; "
        f"{REMOVED['neg_record_format'].instead}"
    )
    with pytest.raises(UsageError, match=r"^neg_record_format: got 'parquet'; it has gone"):
        make(neg_record_format="parquet")


def test_a_run_that_was_written_with_it_is_the_same_run() -> None:
    now, old = {"epochs": 2, "seed": 1}, {"epochs": 2, "seed": 1, "neg_record_format": "csv"}
    assert _compared(now) == _compared(old)
