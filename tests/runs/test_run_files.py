"""The files of a run: one writer and one reader of each, whole or not there, portable."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import ROOT, Settings

from recbole_bns import BNSConfig, UsageError, run_recbole_bns
from recbole_bns.cli import main
from recbole_bns.common.params import defaults
from recbole_bns.compare.plan import read_plan
from recbole_bns.compare.records import check_held
from recbole_bns.losses import get
from recbole_bns.runs import checkpoint
from recbole_bns.runs.folder import (
    SETTINGS,
    log_to,
    make_folder,
    put_settings,
    read_settings,
    settings_of,
)
from recbole_bns.runs.records import LossFacts, RunResult
from recbole_bns.runs.results import read_result, result_table
from recbole_bns.settings.declared import REMOVED

BUNDLED = [
    "--model=BPR",
    "--epochs=1",
    "--use_gpu=False",
    "--embedding_size=4",
    "--train_batch_size=20000",
    "--eval_batch_size=4000000",
    "--show_progress=False",
]
"""A short run on the data that RecBole brings along."""


def test_the_result_has_the_keys_of_its_type(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run_recbole_bns("BPR", "tiny", None, {**settings, "epochs": 1}, out=out)
    sometimes = {"nproc", "idle", "mine", "preset", "batch_decided", "split", "all"}
    sometimes |= {*LossFacts.__annotations__}
    assert {*result, *sometimes} == set(RunResult.__annotations__)
    assert not sometimes & set(result)
    assert read_result(out) == result
    (out / "result.json").unlink()
    assert read_result(out) is None


@pytest.mark.parametrize("content", ['{"test_result": {"nd', "[]", "{}"])
def test_a_damaged_result_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "result.json").write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=r"^result of a run: '.*result\.json'"):
        read_result(tmp_path)


def test_settings_are_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_settings({"epochs": 3, "model": "Größe"}, tmp_path)

    def torn(*_: Any, **__: Any) -> str:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", torn)
    with pytest.raises(OSError, match="disk full"):
        put_settings({"epochs": 4}, tmp_path)
    assert read_settings(tmp_path) == {"epochs": 3, "model": "Größe"}
    assert [path.name for path in tmp_path.iterdir()] == [SETTINGS]


@pytest.mark.parametrize("content", [b"a: [", b"- 1", b"\xff\xfe\x00"])
def test_settings_that_cannot_be_read_are_none(tmp_path: Path, content: bytes) -> None:
    assert read_settings(tmp_path) == {}
    (tmp_path / SETTINGS).write_bytes(content)
    assert read_settings(tmp_path) == {}


def test_settings_that_have_gone_are_not_written(settings: Settings) -> None:
    given = {**settings, "neg_record_format": "csv"}  # as folders of old have it
    assert not set(REMOVED) & set(settings_of(BNSConfig("BPR", "tiny", None, given)))


def test_without_a_loss_nothing_is_written_of_it(settings: Settings) -> None:
    """So that runs of before go on by ``--resume=auto``."""
    kept = settings_of(BNSConfig("BPR", "tiny", None, settings))
    of_losses = {"loss_decimal_place"}
    assert {key for key in kept if key.startswith(("loss", "score_", "neg_shared"))} == of_losses


def test_the_users_own_ml_100k_is_named(settings: Settings, tmp_path: Path) -> None:
    given = {**settings, "data_path": str(tmp_path)}
    assert settings_of(BNSConfig("BPR", "ml-100k", None, given))["data_path"] == str(tmp_path)


def test_a_run_on_the_bundled_data_is_portable(
    in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *BUNDLED, "--out=first"]) == 0
    kept = yaml.safe_load(Path("first", SETTINGS).read_text(encoding="utf-8"))
    assert not [key for key, value in kept.items() if str(value).startswith("/")]
    assert "data_path" not in kept

    assert main(["predict", "--checkpoint=first", "--users=1", "--k=3", "--out=best.csv"]) == 0
    assert main(["run", f"--config_files=first/{SETTINGS}", "--out=again"]) == 0
    first, again = read_result(Path("first")), read_result(Path("again"))
    assert first is not None
    assert again is not None
    assert again["test_result"] == first["test_result"]

    # A folder of an earlier version names the environment it was made in.
    old = {**kept, "data_path": "/elsewhere/recbole/dataset_example", "neg_record_format": "csv"}
    put_settings(old, Path("first"))
    words = [word for word in BUNDLED if "epochs" not in word]
    assert main(["run", *words, "--epochs=1", "--resume=auto"]) == 0
    assert "is finished already" in capsys.readouterr().out


def test_a_comparison_takes_records_that_name_the_folder_of_bundled_data(in_tmp: Path) -> None:
    flags = {"model": "BPR", "epochs": 1, "samplers": "rns", "seeds": 1, "neg_record": True}
    plan = read_plan(flags)
    settings = plan.resolved("rns", {})
    assert not {"data_path", "neg_record_format"} & set(settings)
    elsewhere = {"data_path": "/elsewhere/recbole/dataset_example", "neg_record_format": "csv"}
    record: Any = {"sampler": "rns", "seed": 1, "own": {}, "status": "done"}
    check_held(plan, {("rns", 1): {**record, "settings": settings | elsewhere}})
    with pytest.raises(UsageError, match="trained with epochs 2, got 1"):
        check_held(plan, {("rns", 1): {**record, "settings": settings | {"epochs": 2}}})


@pytest.mark.process
def test_ctrl_c_while_a_checkpoint_is_written_is_ctrl_c(tmp_path: Path) -> None:
    code = (
        "import sys, torch\n"
        "from contextlib import contextmanager\n"
        "from pathlib import Path\n"
        "from recbole_bns.runs import checkpoint\n"
        "class Interrupted:\n"
        "    def write(self, data):\n"
        "        raise KeyboardInterrupt\n"
        "    def flush(self):\n"
        "        pass\n"
        "@contextmanager\n"
        "def file(path, *, previous=None):\n"
        "    yield Interrupted()\n"
        "checkpoint.whole_file = file\n"
        "try:\n"
        "    checkpoint.save({'weights': torch.zeros(1000)}, Path('x.pt'))\n"
        "except KeyboardInterrupt:\n"
        "    print('Ctrl-C')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "Ctrl-C\n"), done.stderr


# --- The loss ------------------------------------------------------------------------------------


def test_a_run_says_its_loss_and_goes_on_with_that_alone(
    settings: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    given = {**settings, "epochs": 1, "neg_sampler": "rns", "neg_sample_num": 4}
    ssm = {"loss": "SSM", "loss_args.temperature": 0.5, "score_similarity": "dot"}
    result = run_recbole_bns("BPR", "tiny", None, {**given, **ssm}, out=out)
    absent = {"mixer", "mixer_args", "loss_decided"}
    assert set(LossFacts.__annotations__) - set(result) == absent
    assert (result["loss"], result["loss_args"]["temperature"]) == ("ssm", 0.5)
    assert set(result["loss_args"]) == set(defaults(get("ssm").Params))
    assert (result["loss_similarity"], result["score_similarity"]) == ("cosine", "dot")
    assert read_result(out) == result
    assert result_table(result).startswith("BPR on tiny with rns, loss ssm, seed 2020: 1 epochs")
    kept = read_settings(out)
    assert (kept["loss"], kept["loss_args"]["temperature"]) == ("ssm", 0.5)

    file = Path(result["checkpoint"])
    state = checkpoint.load(file)
    checkpoint.check(state, file, BNSConfig("BPR", "tiny", None, {**given, **ssm}), "begin anew")
    other = BNSConfig("BPR", "tiny", None, {**given, "loss": "bpr"})
    with pytest.raises(UsageError, match=r"its loss is 'ssm', wanted is 'bpr' .*; begin anew\."):
        checkpoint.check(state, file, other, "begin anew")
    with pytest.raises(UsageError, match=r"^--resume: the run in .* has loss 'ssm', got 'sl'"):
        run_recbole_bns(None, None, None, {"loss": "sl", "loss_args": None}, resume=out)


def test_a_run_says_the_value_of_a_word_that_the_data_decide(
    settings: Settings, tmp_path: Path
) -> None:
    given = {**settings, "epochs": 1, "neg_sampler": "rns", "loss": "ssm"}
    given["loss_args.temperature"] = "auto"
    result = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "run")
    assert result["loss_args"]["temperature"] == "auto"
    assert result["loss_decided"] == {"temperature": 0.25}  # so few items
    card = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert '"temperature": "auto (0.25)"' in card


def test_a_checkpoint_that_says_no_loss_is_of_the_models_own(settings: Settings) -> None:
    own = BNSConfig("BPR", "tiny", None, settings)
    old = {"model": "BPR", "dataset": "tiny", "neg_sampler": "bns"}
    for state in (old, {**old, "loss": None}, {**old, "loss": "model"}):
        checkpoint.check(state, "last.pt", own, "begin a new run")
    many = BNSConfig("BPR", "tiny", None, {**settings, "loss": "ssm"})
    with pytest.raises(UsageError, match="its loss is 'model', wanted is 'ssm'"):
        checkpoint.check(old, "last.pt", many, "begin a new run")
    stock = {"model": "BPR", "dataset": "tiny", "neg_sampler": "bns", "loss": None, "mixer": None}
    checkpoint.check(old, "last.pt", stock, "begin a new run")  # type: ignore[arg-type]


def test_the_folder_of_a_run_is_named_after_sampler_and_loss(
    settings: Settings, in_tmp: Path
) -> None:
    for given, start in (({}, "tiny-BPR-dns-2020-"), ({"loss": "SSM"}, "tiny-BPR-dns+ssm-2020-")):
        config = BNSConfig("BPR", "tiny", None, {**settings, "neg_sampler": "dns", **given})
        assert make_folder(None, config).name.startswith(start)


@pytest.mark.parametrize("waits", [True, False])
def test_of_the_log_the_screen_has_warnings_and_where_progress_is_shown_what_one_waits_for(
    waits: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger()
    with log_to(tmp_path / "run.log", waits):
        logger.info("a setting")
        logger.info("half of it is done", extra={"waiting": True})
        logger.warning("something odd")
    shown = ["INFO: half of it is done"] if waits else []
    assert capsys.readouterr().err.splitlines() == [*shown, "WARNING: something odd"]
    written = (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 3)[3] for line in written] == [
        "a setting",
        "half of it is done",
        "something odd",
    ]
