"""``train_batch_size: auto``: what it comes to, and that it is a training with that written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recbole_bns import UsageError, run_recbole_bns
from recbole_bns.adapters import batch
from recbole_bns.adapters.batch import decided_batch
from recbole_bns.adapters.split import open_data, open_whole
from recbole_bns.analysis import read_runs
from recbole_bns.analysis.tables import settings_table
from recbole_bns.training.limits import check_run
from recbole_bns.training.loaders import loaders


@pytest.mark.parametrize(
    ("interactions", "graph", "expected"),
    [
        (80_000, True, (2048, 0.003)),
        (128 * 4096 - 1, True, (2048, 0.003)),
        (128 * 4096, True, (4096, 0.003 * 2**0.5)),
        (128 * 8192, True, (8192, 0.006)),
        (10**8, True, (8192, 0.006)),
        (10**8, False, (2048, 0.003)),
    ],
)
def test_a_batch_grows_with_the_graph_that_every_step_passes(
    interactions: int, graph: bool, expected: tuple[int, float]
) -> None:
    assert decided_batch(interactions, 0.003, graph=graph) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("model", "size", "rate"), [("BPR", 64, 0.01), ("LightGCN", 256, 0.02)], ids=str
)
@pytest.mark.parametrize("sampler", ["dns", "none"])
def test_it_is_the_training_with_its_values_written(
    data_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    size: int,
    rate: float,
    sampler: str,
) -> None:
    monkeypatch.setattr(batch, "LEAST", 64)  # 640 interactions or so: a small graph as a large one
    monkeypatch.setattr(batch, "STEPS", 2)
    monkeypatch.setattr(batch, "MOST", 256)
    results = []
    for name, given in (
        ("auto", {"train_batch_size": "auto", "learning_rate": 0.01}),
        ("written", {"train_batch_size": size, "learning_rate": rate}),
    ):
        settings = {"data_path": str(data_path), "epochs": 2, "neg_sampler": sampler, **given}
        settings |= {"use_gpu": False, "show_progress": False, "embedding_size": 8, "topk": [5]}
        results.append(run_recbole_bns(model, "tiny", None, settings, out=tmp_path / name))
    auto, written = results
    assert auto["batch_decided"] == {"train_batch_size": size, "learning_rate": rate}
    assert "batch_decided" not in written
    assert auto["test_result"] == written["test_result"]
    assert auto["best_valid_result"] == written["best_valid_result"]
    runs = read_runs([tmp_path])
    assert [line["batch"] for line in settings_table(runs).to_dict("records")] == [size] * 2
    for name in ("auto", "written"):
        card = (tmp_path / name / "README.md").read_text(encoding="utf-8")
        assert f"batch: {size}" in card
        assert f"learning rate: {rate}" in card


def test_a_trial_of_a_sweep_whose_data_were_read_for_all_of_them_decides_it(
    make: Callable[..., Any],
) -> None:
    parts = open_data(make("BPR", train_batch_size=16)).parts
    config = make("BPR", train_batch_size="auto")
    assert loaders(config, parts)["train"].step == 2048
    assert config["batch_decided"]["train_batch_size"] == 2048


def test_a_second_model_of_all_interactions_has_that_of_the_first(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it goes on another day, and has not seen the first."""
    given = {"train_batch_size": "auto", "learning_rate": 0.01}
    size = len(open_data(make("LightGCN")).parts["train"])
    monkeypatch.setattr(batch, "LEAST", 64)
    monkeypatch.setattr(batch, "STEPS", 1 + size // 128)  # just too few for twice as many
    config = make("LightGCN", **given)
    assert len(open_whole(config).parts["train"]) >= batch.STEPS * 128
    assert config["batch_decided"] == {"train_batch_size": 64, "learning_rate": 0.01}


def test_several_processes_may_share_it(make: Callable[..., Any]) -> None:
    check_run(make("BPR", train_batch_size="auto", neg_sampler="dns", nproc=2))


def test_what_is_asked_of_a_batch_before_the_data_are_read_knows_the_word(
    make: Callable[..., Any],
) -> None:
    for model, sampler, loss in (("BPR", "inbatch", "ssm"), ("LightGCN", "mixed", "bsl")):
        config = make(model, train_batch_size="auto", neg_sampler=sampler, loss=loss)
        assert config["train_batch_size"] == "auto"


@pytest.mark.parametrize("value", ["many", 0, 2.5, True])
def test_what_is_neither_is_refused(make: Callable[..., Any], value: Any) -> None:
    with pytest.raises(UsageError, match=r"^train_batch_size: got .*auto, or an integer >= 1"):
        make("BPR", train_batch_size=value)
