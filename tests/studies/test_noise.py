"""``recbole-bns study noise``: what is asked for, trained once, and written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pools import InProcess
from tiny import Settings

from recbole_bns import UsageError, run_recbole_bns
from recbole_bns.analysis.as_pictures import picture
from recbole_bns.analysis.in_browser import panels
from recbole_bns.cli import main
from recbole_bns.cli.flags import parse_flags
from recbole_bns.common.params import parse
from recbole_bns.runner import journal, run
from recbole_bns.sampling import build, get
from recbole_bns.studies.noise import command, figures, tables
from recbole_bns.studies.noise.plan import ALPHA, Run, read_plan, variants_of
from recbole_bns.studies.noise.task import chosen
from recbole_bns.testing import small_catalogue


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> InProcess:
    made = InProcess()
    monkeypatch.setattr(command, "LocalProcesses", lambda: made)
    monkeypatch.setattr(run, "PAUSE", 0)
    return made


def words_of(settings: Settings, **more: Any) -> list[str]:
    own = {k: v for k, v in settings.items() if k != "show_progress"}
    flags = {"dataset": "tiny", **own, "samplers": "dns", "sigmas": "0,1", "seeds": 1, **more}
    return [f"--{key}={value}" for key, value in flags.items()]


def plan_of(settings: Settings, **more: Any) -> Any:
    return read_plan(parse_flags(words_of(settings, **more)))


# --- What is asked for ---------------------------------------------------------------------------


def test_without_a_word_it_is_the_paper_s_data_and_a_short_training() -> None:
    plan = read_plan({"use_gpu": False})
    assert plan.rows == ("srns-off", "srns-growing", "dns")
    assert (plan.sigmas, plan.seeds, plan.share) == ((0.0, 0.5, 1.0), (1, 2), 0.5)
    assert len(plan.runs) == 2 * (1 + 3 * 3)
    assert [each.stem for each in plan.runs[:3]] == [
        "rns-none-1",
        "srns-off-0-1",
        "srns-growing-0-1",
    ]
    config = plan.config
    assert (config["model"], config["dataset"], config["epochs"]) == ("BPR", "ml-100k", 32)
    assert config["val_interval"] == {"rating": "[4,inf)"}
    assert config["eval_args"]["split"] == {"RS": [0.8, 0.0, 0.2]}
    assert config["train_batch_size"] == 1024


def test_the_paper_s_length() -> None:
    plan = read_plan({"use_gpu": False, "paper": True, "samplers": "srns-growing"})
    assert (plan.config["epochs"], len(plan.seeds), len(plan.sigmas)) == (400, 5, 6)
    assert plan.config["neg_sampler_args"]["warmup_epochs"] == 50


@pytest.mark.parametrize("epochs", [40, 9])
def test_the_weight_of_the_deviation_over_the_epochs(epochs: int) -> None:
    t0 = epochs // 8
    wanted = {
        "srns-off": lambda t: 0.0,
        "srns-flat": lambda t: ALPHA,
        "srns-growing": lambda t: ALPHA * min(t / t0, 1),
        "srns-falling": lambda t: ALPHA * max(1 - t / t0, 0),
    }
    variants = variants_of(epochs)
    assert list(variants) == list(wanted)
    for name, law in wanted.items():
        sampler = build("srns", small_catalogue(), variants[name]["neg_sampler_args"])
        for epoch in range(epochs):
            sampler.begin_epoch(epoch, None)
            assert sampler.alpha == pytest.approx(law(epoch), abs=1e-9), (name, epoch)


REFUSED = [
    ({"samplers": "rns"}, "rns: neg_sampler 'rns' draws its negative without candidates"),
    ({"samplers": "aobpr"}, "aobpr: neg_sampler 'aobpr' draws its negative without"),
    ({"samplers": "none"}, "none: neg_sampler 'none' draws its negative without"),
    (
        {"samplers": "bns", "bns.candidate_num": "all"},
        "bns: neg_sampler_args.candidate_num: got all",
    ),
    ({"samplers": "srns_off"}, "--samplers: got 'srns_off'; did you mean 'srns-off'?"),
    ({"sigmas": "0,2"}, "--sigmas: got '2', allowed are shares from 0 to 1"),
    ({"share": 0}, "--share: got 0, allowed are shares above 0 to 1"),
    ({"seeds": 0}, "--seeds: got 0"),
    ({"jobs": 0}, "--jobs: got 0"),
    ({"valid_ratio": 0.1}, "valid_ratio: not a setting of this study"),
    ({"neg_record": True}, "neg_record: not a setting of this study"),
    ({"lr": 0.1}, "setting 'lr' is not known"),
    ({"nproc": 2}, "nproc: got 2"),
]


@pytest.mark.parametrize(("more", "sentence"), REFUSED)
def test_what_cannot_be_is_refused(settings: Settings, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        plan_of(settings, **more)
    assert sentence in str(error.value)


def test_another_study_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "nois"]) == 2
    assert "study: got 'nois'; did you mean 'noise'?" in capsys.readouterr().err
    assert main(["study"]) == 2
    assert "allowed is one of noise as the first word" in capsys.readouterr().err


def test_more_of_the_same_is_available_with_a_larger_sigma() -> None:
    held = torch.stack((torch.arange(50), torch.arange(50) + 7))
    record = {"share": 0.5, "seed": 3}
    parts = [chosen(held, {**record, "sigma": sigma}) for sigma in (None, 0.0, 0.4, 1.0)]
    assert [available.shape[1] for _, available in parts] == [0, 0, 10, 25]
    assert all(torch.equal(false, parts[0][0]) for false, _ in parts)
    assert torch.equal(parts[2][1], parts[3][1][:, :10])
    assert torch.equal(parts[3][0], parts[3][1])
    other = chosen(held, {**record, "seed": 4, "sigma": 1.0})[0]
    assert not torch.equal(other, parts[0][0])


# --- Trained and written -------------------------------------------------------------------------


def test_a_study_is_trained_once_and_written(
    settings: Settings, in_tmp: Path, in_process: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["study", "noise", *words_of(settings, epochs=6, samplers="dns,srns-off", out="s")]
    assert main(words) == 0
    said = capsys.readouterr().out
    stems = ["rns-none-1", "dns-0-1", "srns-off-0-1", "dns-1-1", "srns-off-1-1"]
    assert in_process.started == stems
    text = Path("s/noise.md").read_text(encoding="utf-8")
    assert text in said
    assert f"`recbole-bns {' '.join(words)}`" in text
    assert "| rns, nothing planted " in text
    page = Path("s/noise.html").read_text(encoding="utf-8")
    names = ("noise", "epochs", "distribution", "scores", "errors", "deviations")
    assert all(f'id="figure-{name}"' in page for name in names)
    assert "What is not shown" not in page
    numbers = json.loads(Path("s/noise.json").read_text(encoding="utf-8"))
    assert {line["row"] for line in numbers["metrics"]} == {
        "dns",
        "srns-off",
        "rns, nothing planted",
    }
    assert [line["epoch"] for line in numbers["medians"]] == [*range(1, 7)]
    assert [line["epoch"] for line in numbers["deviations"]] == [5, 6]

    records = {stem: journal.read(Path(f"s/runs/{stem}.json")) for stem in stems}
    result = records["dns-1-1"]["result"]
    assert result["available"] == result["planted"] > 20
    assert records["dns-0-1"]["result"]["available"] == 0
    last = {k: dict(r["result"]["evaluations"])[6] for k, r in records.items()}
    assert last["dns-1-1"]["ndcg@10"] < last["dns-0-1"]["ndcg@10"], "they are learned as negatives"

    assert main(words) == 0
    assert len(in_process.started) == 5, "a finished run was repeated"
    capsys.readouterr()
    assert main([*words, "--dns.candidate_num=9"]) == 2
    assert "trained with neg_sampler_args" in capsys.readouterr().err
    assert main([*words[:2], *words_of(settings, epochs=6, share=0.4, out="s")]) == 2
    assert "trained with share 0.5, got 0.4" in capsys.readouterr().err


def test_a_run_without_planted_items_is_an_ordinary_one(
    settings: Settings, in_tmp: Path, in_process: InProcess
) -> None:
    """So its metrics are RecBole's, of the test part."""
    assert main(["study", "noise", *words_of(settings, out="s", sigmas="0")]) == 0
    record = journal.read(Path("s/runs/rns-none-1.json"))
    shared = ("train_batch_size", "embedding_size", "metrics", "topk")
    given = settings | {key: record["settings"][key] for key in shared}
    given |= {"neg_sampler": "rns", "learning_rate": 0.005, "valid_ratio": 0.0, "seed": 1}
    ordinary = run_recbole_bns("BPR", "tiny", None, {**given, "tuned": False}, out=in_tmp / "run")
    epoch, metrics = record["result"]["evaluations"][-1]
    assert epoch == 2
    assert metrics == pytest.approx(ordinary["test_result"])


def test_it_goes_on_after_ctrl_c_and_a_failure(
    settings: Settings, in_tmp: Path, in_process: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["study", "noise", *words_of(settings, out="s", epochs=1)]
    in_process.stopping.add("dns-1-1")
    assert main(words) == 130
    assert "stopped; 2 of 3 runs are finished" in capsys.readouterr().err
    in_process.stopping.clear()
    in_process.failing.add("dns-1-1")
    assert main(words) == 1
    assert "1 run(s) failed" in capsys.readouterr().err
    in_process.failing.clear()
    assert main(words) == 0
    assert in_process.started == ["rns-none-1", "dns-0-1", *["dns-1-1"] * 3]


# --- Tables and charts ---------------------------------------------------------------------------


def record_of(row: str, sigma: float | None, seed: int, values: list[float]) -> dict[str, Any]:
    evaluations = [[epoch, {"ndcg@3": value}] for epoch, value in enumerate(values, 1)]
    return {"row": row, "sigma": sigma, "seed": seed, "result": {"evaluations": evaluations}}


def test_means_are_of_the_last_eighth_of_the_epochs() -> None:
    curve = [0.0] * 14 + [0.2, 0.4]
    records = [record_of("dns", 0.5, seed, [v * seed for v in curve]) for seed in (1, 2)]
    table = tables.last_epochs(tables.by_epoch(records))
    assert table["value"].tolist() == pytest.approx([0.3, 0.6])
    mean = tables.over_seeds(table)
    assert mean["mean"].tolist() == pytest.approx([0.45])
    assert mean["std"].tolist() == pytest.approx([np.std([0.3, 0.6], ddof=1)])


def test_bands_are_drawn_around_lines() -> None:
    records = [
        record_of(row, sigma, seed, [0.1 * seed, 0.2])
        for row in ("dns", "bns")
        for sigma in (0.0, 1.0)
        for seed in (1, 2)
    ]
    chart = figures.noise([*records, record_of("rns", None, 1, [0.1, 0.3])])
    assert chart is not None
    assert chart.banded
    level = chart.table[chart.table["series"] == "rns, nothing planted"]
    assert level["x"].tolist() == [0.0, 1.0]
    assert level["y"].tolist() == pytest.approx([0.3, 0.3])
    (panel,) = panels(chart)
    bands = [trace for trace in panel.figure.data if trace.fill == "toself"]
    assert [trace.name for trace in bands] == [f"{name}: band" for name in chart.series]
    epochs = figures.epochs(records)
    assert epochs is not None
    assert epochs.panels == ["sigma 0", "sigma 1"]
    pytest.importorskip("matplotlib")
    assert len(picture(epochs).axes[0].collections) == 2


def test_what_is_not_there_yet_is_said() -> None:
    charts = figures.charts_of([record_of("dns", 0.0, 1, [0.1])])
    assert [chart.name for chart in charts.found] == ["noise", "epochs"]
    assert len(charts.missing) == 4
    assert tables.figures_of([], "ccdf").equals(pd.DataFrame())


def test_names_of_runs() -> None:
    assert Run("dns", 0.5, 3).stem == "dns-0.5-3"
    assert Run("rns", None, 3).name == "rns with nothing planted, seed 3"
    assert parse(get("srns").Params, {"alpha": {"start": 1, "step": -0.1, "stop": 0}}, "args")
