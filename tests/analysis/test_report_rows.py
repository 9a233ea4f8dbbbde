"""Which runs share a row, and which rows a table: what differs is never averaged silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_folders import write_compared, write_run, write_sweep

from recbole_bns import analysis
from recbole_bns.analysis import tables
from recbole_bns.analysis.folders import RunData
from recbole_bns.analysis.rows import by_row


def read(tmp_path: Path, *several: dict[str, Any]) -> list[RunData]:
    """Runs with these settings, one seed each."""
    folders = [
        write_run(tmp_path / f"run-{seed}", seed, settings=settings)
        for seed, settings in enumerate(several, 1)
    ]
    return analysis.read_runs(folders)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("learning_rate", (0.01, 0.001)),
        ("embedding_size", (32, 64)),
        ("reg_weight", (0.0, 0.1)),
        ("n_layers", (2, 3)),
        ("epochs", (2, 3)),
        ("train_batch_size", (256, 512)),
        ("stopping_step", (5, 10)),
        ("neg_sample_num", (1, 2)),
        ("valid_ratio", (None, 0.2)),
        ("valid_metric", ("NDCG@20", "Recall@20")),
        ("mlp_hidden_size", ([64, 32], [64])),
        ("something_of_a_new_model", (True, False)),
        ("nproc", (1, 2)),
    ],
)
def test_runs_with_other_settings_are_other_rows(
    tmp_path: Path, key: str, values: tuple[Any, Any]
) -> None:
    runs = read(tmp_path, *({key: value} for value in values))
    assert [run.label for run in runs] == [f"bns {key}={value}" for value in values]
    assert tables.settings_table(runs)["seeds"].tolist() == ["1", "2"]
    assert tables.metrics_table(runs)["count"].tolist() == [1] * 4
    assert set(tables.by_epoch(runs, "epochs")["run"]) == {run.label for run in runs}


def test_a_nested_setting_is_named_whole(tmp_path: Path) -> None:
    runs = read(tmp_path, {"lr_schedule": {"gamma": 0.1}}, {"lr_schedule": {"gamma": 0.5}})
    assert [run.label for run in runs] == ["bns lr_schedule.gamma=0.1", "bns lr_schedule.gamma=0.5"]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("seed", (1, 2)),
        ("gpu_id", ("0", "1")),
        ("use_gpu", (True, False)),
        ("show_progress", (True, False)),
        ("checkpoint_every", (0, 1)),
        ("neg_record", (True, False)),
        ("neg_record_scores", (None, [1, 2])),
        ("eval_batch_size", (100, 200)),
        ("topk", ([10], [20])),
        ("settings_from", (None, {"preset": "mined-ssm"})),
        ("learning_rate", (1, 1.0)),
    ],
)
def test_runs_that_differ_in_what_changes_no_result_are_seeds(
    tmp_path: Path, key: str, values: tuple[Any, Any]
) -> None:
    runs = read(tmp_path, *({key: value} for value in values))
    assert [run.label for run in runs] == ["bns", "bns"]
    assert tables.settings_table(runs)["seeds"].tolist() == ["1, 2"]


def test_a_setting_that_is_younger_than_a_run_has_its_default(tmp_path: Path) -> None:
    runs = read(tmp_path, {}, {"reg_weight": 0.0, "nproc": 1, "lr_schedule": None})
    assert {run.label for run in runs} == {"bns"}
    runs = read(tmp_path / "more", {}, {"reg_weight": 0.1})
    assert [run.label for run in runs] == ["bns reg_weight=0.0", "bns reg_weight=0.1"]


def test_parameters_that_have_come_or_gone_are_at_their_defaults(tmp_path: Path) -> None:
    old = {"candidate_num": 5, "lambda": 5.0, "prior_calibration": "none"}
    new = {"candidate_num": 5, "lambda": 5.0, "warmup_epochs": 0}
    folders = [
        write_run(tmp_path / str(seed), seed, neg_sampler_args=args)
        for seed, args in enumerate((old, new), 1)
    ]
    assert {run.label for run in analysis.read_runs(folders)} == {"bns"}
    more = write_run(tmp_path / "3", 3, neg_sampler_args={**new, "warmup_epochs": 4})
    labels = [run.label for run in analysis.read_runs([*folders, more])]
    assert labels == ["bns warmup_epochs=0"] * 2 + ["bns warmup_epochs=4"]


def test_arrays_of_one_shape_are_told_apart_by_what_is_in_them(tmp_path: Path) -> None:
    folders = []
    for seed, array in enumerate((np.zeros(3), np.ones(3), np.zeros(3)), 1):
        args = {"prior": "array of shape (3,)"}
        folder = write_run(tmp_path / str(seed), seed, neg_sampler_args=args)
        np.save(folder / "prior.npy", array)
        folders.append(folder)
    rows = by_row(analysis.read_runs(folders))
    assert [len(seeds) for seeds in rows.values()] == [2, 1]


def test_a_seed_that_was_run_twice_is_no_second_seed(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    runs = analysis.read_runs(folders)
    table = tables.metrics_table(runs).set_index("metric")
    assert table.loc["ndcg@20", "count"] == 2
    assert table.loc["ndcg@20", "mean"] == pytest.approx(0.215)
    assert tables.settings_table(runs)["seeds"].tolist() == ["1, 2"]


def split(*shares: float) -> dict[str, Any]:
    return {"eval_args": {"split": {"RS": list(shares)}, "mode": "full"}}


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        (
            split(0.8, 0.1, 0.1),
            split(0.6, 0.2, 0.2),
            [
                "tiny eval_args.split={'RS': [0.8, 0.1, 0.1]}",
                "tiny eval_args.split={'RS': [0.6, 0.2, 0.2]}",
            ],
        ),
        (
            {"benchmark_filename": ["a", "b"]},
            {},
            ["tiny benchmark_filename=['a', 'b']", "tiny benchmark_filename=None"],
        ),
        (
            {"eval_args": {"mode": "full"}},
            {"eval_args": {"mode": "uni100"}},
            ["tiny eval_args.mode=full", "tiny eval_args.mode=uni100"],
        ),
        (
            {"val_interval": {"rating": "[3,inf)"}},
            {},
            ["tiny val_interval.rating=[3,inf)", "tiny val_interval.rating=None"],
        ),
        ({"data_path": "/a"}, {"data_path": "/b"}, ["tiny (in /a)", "tiny (in /b)"]),
    ],
)
def test_other_test_parts_are_other_tables(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], names: list[str]
) -> None:
    runs = read(tmp_path, first, second)
    assert [run.data for run in runs] == names
    assert [run.label for run in runs] == ["bns", "bns"]
    assert tables.metrics_table(runs)["count"].tolist() == [1] * 4
    assert tables.settings_table(runs)["data"].tolist() == names
    assert len(tables.by_epoch(runs, "epochs")) == 2 * 3


def test_data_sets_stand_in_tables_and_panels_of_their_own(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / "a", 1),
        write_run(tmp_path / "b", 2, dataset="other"),
        write_run(tmp_path / "c", 3, recorded=False, dataset="bare"),
    ]
    runs = analysis.read_runs(folders)
    charts = analysis.charts_of(runs)
    panels = {chart.name: chart.panels for chart in charts.found}
    assert panels["true_negatives"] == ["tiny: TNR", "tiny: INF", "other: TNR", "other: INF"]
    assert panels["learning"][::2] == ["tiny: by epoch", "other: by epoch", "bare: by epoch"]
    assert panels["popularity"] == ["tiny: bns", "other: bns"]
    assert panels["posterior"] == [""]
    learning = next(chart for chart in charts.found if chart.name == "learning")
    assert learning.axis("x", "other: by time") == "training time (s)"
    curve = learning.table[learning.table["panel"] == "other: by epoch"]
    assert curve["y"].tolist() == pytest.approx([2.1, 2.2, 2.3])
    assert any(sentence.startswith("bare: TNR and INF:") for sentence in charts.missing)
    page = tmp_path / "report.html"
    analysis.write_report(runs, page, charts)
    text = page.read_text(encoding="utf-8")
    assert [text.count(f"<h3>{name}</h3>") for name in ("tiny", "other", "bare")] == [1, 1, 1]
    assert "0.2100" in text.split("<h3>tiny</h3>")[1].split("<h3>")[0]
    assert "0.2200" in text.split("<h3>other</h3>")[1].split("<h3>")[0]


def test_files_of_one_name_are_told_apart_by_their_digest(tmp_path: Path) -> None:
    for folder, data in (("a", "1234567890abcdef"), ("b", "fedcba0987654321")):
        for seed in (1, 2):
            settings = {"data_path": f"/{folder}"}
            write_compared(tmp_path / folder, "bns", seed, data, settings=settings)
    write_run(tmp_path / "alone", 3, settings={"data_path": "/a"})
    write_run(tmp_path / "elsewhere", 4, settings={"data_path": "/c"})
    names = {
        run.folder.parent.parent.name if run.row else run.folder.name: run.data
        for run in analysis.read_runs([tmp_path])
    }
    assert names == {
        "a": "tiny (files 12345678)",
        "alone": "tiny (files 12345678)",
        "b": "tiny (files fedcba09)",
        "elsewhere": "tiny (in /c)",
    }


def test_the_same_files_in_two_folders_are_one_table(tmp_path: Path) -> None:
    for seed, path in ((1, "/a"), (2, "/b")):
        write_compared(tmp_path / "c", "bns", seed, "12", settings={"data_path": path})
    assert {run.data for run in analysis.read_runs([tmp_path / "c"])} == {"tiny"}


def test_a_sweep_has_all_other_settings_the_same(tmp_path: Path) -> None:
    def run(number: int, value: float, rate: float) -> Path:
        args = {"candidate_num": 5, "lambda": value}
        settings = {"learning_rate": rate}
        return write_run(tmp_path / str(number), settings=settings, neg_sampler_args=args)

    two = [run(1, 1.0, 0.1), run(2, 5.0, 0.2)]
    assert tables.sweep_table(analysis.read_runs(two)).empty
    four = [*two, run(3, 5.0, 0.1), run(4, 9.0, 0.2)]
    table = tables.sweep_table(analysis.read_runs(four))
    values = {name: curve["value"].tolist() for name, curve in table.groupby("run")}
    assert values == {
        "BPR bns candidate_num=5 learning_rate=0.1": [1, 5],
        "BPR bns candidate_num=5 learning_rate=0.2": [5, 9],
    }


def test_a_table_that_a_later_seed_alone_has_is_shown(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / str(seed), seed, recorded=seed == 2) for seed in (1, 2)]
    runs = analysis.read_runs(folders)
    assert set(tables.popularity_groups(runs)["run"]) == {"bns"}
    assert set(tables.histograms(runs)["run"]) == {"bns"}


def test_trials_of_two_sweeps_are_not_mixed(tmp_path: Path) -> None:
    for sampler in ("bns", "dns"):
        write_sweep(tmp_path / sampler)
        write_run(tmp_path / sampler / "winner", neg_sampler=sampler, neg_sampler_label=sampler)
    charts = analysis.charts_of(analysis.read_runs([tmp_path])).found
    chart = next(chart for chart in charts if chart.name == "trials")
    assert chart.panels == [
        f"{sampler}: {name}"
        for sampler in ("bns", "dns")
        for name in ("log10 of learning_rate", "candidate_num")
    ]


# --- Losses --------------------------------------------------------------------------------------

SSM = {
    "loss": "ssm",
    "loss_args": {"temperature": 0.2, "reduction": "mean"},
    "loss_similarity": "cosine",
    "score_similarity": "cosine",
}
"""What ``result.json`` says of a loss."""


def of_loss(temperature: float = 0.2, **changes: Any) -> dict[str, Any]:
    args = {**SSM["loss_args"], "temperature": temperature}  # type: ignore[dict-item]
    return {**SSM, "loss_args": args, **changes}


def test_runs_of_different_losses_are_never_seeds_of_one_row(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / "a", 1),
        write_run(tmp_path / "b", 2, settings={"loss": "ssm"}, **SSM),
        write_run(tmp_path / "c", 3, settings={"loss": "ssm"}, **SSM),
        write_run(tmp_path / "d", 4, settings={"loss": "sl"}, **{**SSM, "loss": "sl"}),
    ]
    runs = analysis.read_runs(folders)
    assert [run.label for run in runs] == ["bns", "bns+ssm", "bns+ssm", "bns+sl"]
    table = tables.settings_table(runs).set_index("run")
    assert table["loss"].to_dict() == {"bns": "model", "bns+ssm": "ssm", "bns+sl": "sl"}
    assert table.loc["bns+ssm", "its parameters"] == "temperature=0.2, reduction=mean"
    assert table.loc["bns", "its parameters"] == "none"
    assert table.loc["bns+ssm", "seeds"] == "2, 3"
    assert tables.metrics_table(runs).groupby("run")["count"].first().to_dict() == {
        "bns": 1,
        "bns+sl": 1,
        "bns+ssm": 2,
    }
    page = tmp_path / "report.html"
    analysis.write_report(runs, page)
    text = page.read_text(encoding="utf-8")
    assert "<th>its parameters</th>" in text
    assert "bns+ssm" in text
    assert not {"loss", "its parameters"} & set(tables.settings_table(runs[:1]))


def test_parameters_of_a_loss_tell_rows_apart_and_defaults_do_not(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / "a", 1, **of_loss()),
        write_run(tmp_path / "b", 2, settings={"loss_args": {"temperature": 0.2}}, **of_loss()),
        write_run(tmp_path / "c", 3, settings={"loss_similarity": "cosine"}, **of_loss()),
        write_run(tmp_path / "d", 4, **of_loss(loss_args={"temperature": 0.2})),  # an older one
    ]
    assert {run.label for run in analysis.read_runs(folders)} == {"bns+ssm"}
    folders.append(write_run(tmp_path / "e", 5, **of_loss(0.5)))
    labels = [run.label for run in analysis.read_runs(folders)]
    assert labels == ["bns+ssm temperature=0.2"] * 4 + ["bns+ssm temperature=0.5"]
    dot = write_run(tmp_path / "f", 6, **of_loss(0.5, loss_similarity="dot"))
    labels = [run.label for run in analysis.read_runs([folders[-1], dot])]
    assert labels == ["bns+ssm loss_similarity=cosine", "bns+ssm loss_similarity=dot"]


def test_rows_of_a_comparison_and_single_runs_of_the_same_are_one(tmp_path: Path) -> None:
    write_compared(tmp_path / "c", "bns+ssm", 1, **SSM)
    write_compared(tmp_path / "c", "bns", 1)
    write_compared(tmp_path / "c", "mine", 1, **SSM)
    write_run(tmp_path / "alone", 2, **SSM)
    rows = by_row(analysis.read_runs([tmp_path]))
    seeds = {label: sorted(run.result["seed"] for run in runs) for (_, label), runs in rows.items()}
    assert seeds == {"bns+ssm": [1, 2], "bns": [1], "mine": [1]}


def test_a_sampler_that_says_more_than_its_name_says_it_beside_the_loss(tmp_path: Path) -> None:
    label = "bns (oracle: sees test labels)"
    runs = [write_run(tmp_path / "a", neg_sampler_label=label, **SSM)]
    assert analysis.read_runs(runs)[0].label == "bns+ssm (oracle: sees test labels)"


def test_a_sweep_of_a_parameter_is_of_one_loss(tmp_path: Path) -> None:
    folders = []
    for number, (value, loss) in enumerate(((1.0, {}), (5.0, {}), (1.0, SSM), (9.0, SSM))):
        args = {"candidate_num": 5, "lambda": value}
        folders.append(write_run(tmp_path / str(number), neg_sampler_args=args, **loss))
    table = tables.sweep_table(analysis.read_runs(folders))
    values = {name: curve["value"].tolist() for name, curve in table.groupby("run")}
    assert values == {"BPR bns candidate_num=5": [1, 5], "BPR bns+ssm candidate_num=5": [1, 9]}


def test_without_validation_losses_are_said_not_to_compare(tmp_path: Path) -> None:
    changes = {"valid_metric": "recall@5"}  # not in epochs.csv
    folders = [
        write_run(tmp_path / "a", 1, **changes),
        write_run(tmp_path / "b", 2, **changes, **SSM),
    ]
    runs = analysis.read_runs(folders)
    for some, said in ((runs, True), (runs[:1], False)):
        charts = analysis.charts_of(some).found
        reading = next(chart.sentence for chart in charts if chart.name == "learning")
        assert ("Values of different losses cannot be compared." in reading) is said
