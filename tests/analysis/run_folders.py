"""Folders as runs, comparisons and sweeps leave them, without any training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from recbole_bns.training.recording.files import COLUMNS


def write_run(
    folder: Path,
    seed: int = 1,
    recorded: bool = True,
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """A finished run of three epochs; what it measured depends on the seed.

    Args:
        folder: of the run, to be made.
        seed: of the run.
        recorded: whether its negatives were measured.
        settings: beside those of ``settings.yaml`` that every run has here.
        changes: in ``result.json``.
    """
    folder.mkdir(parents=True)
    result = {
        "model": "BPR",
        "dataset": "tiny",
        "neg_sampler": "bns",
        "neg_sampler_label": "bns",
        "neg_sampler_args": {"candidate_num": 5, "lambda": 5.0},
        "seed": seed,
        "versions": {"python": "3.11.7", "torch": "2.0"},
        "valid_metric": "ndcg@20",
        "test_result": {"recall@20": 0.3 + seed / 100, "ndcg@20": 0.2 + seed / 100},
        "epochs": 3,
        **changes,
    }
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    content = {"learning_rate": 0.01, "train_batch_size": 64, **(settings or {})}
    (folder / "settings.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    epochs = range(1, 4)
    pd.DataFrame(
        {
            "epoch": epochs,
            "train_loss": 3.0,
            "train_seconds": [1.0, 2.0, 3.0],
            "ndcg@20": [0.1 * e + seed for e in epochs],
        }
    ).to_csv(folder / "epochs.csv", index=False)
    if recorded:
        values = {name: [seed + e / 10 for e in epochs] for name in COLUMNS}
        pd.DataFrame({**values, "epoch": epochs}).to_csv(folder / "negatives.csv", index=False)
        pd.DataFrame(
            {
                "epoch": [1, 1, 3, 3],
                "low": [0, 2, 0, 2],
                "high": [2, 4, 2, 4],
                "true_negatives": [6, 2, 8, 0],
                "false_negatives": [1, 3, 0, 4],
            }
        ).to_csv(folder / "scores.csv", index=False)
        counts = list(range(20))
        pd.DataFrame(
            {"item": counts, "popularity": counts, "drawn": 1, "recommended": counts[::-1]}
        ).to_csv(folder / "items.csv", index=False)
    return folder


def write_compared(
    folder: Path, row: str, seed: int, data: str | None = None, **changes: Any
) -> Path:
    """A finished run of the comparison in ``folder``, with its record.

    Args:
        folder: of the comparison.
        row: its row.
        seed: of the run.
        data: digest of the data set's files.
        changes: of :func:`write_run`.
    """
    run = write_run(folder / "runs" / f"{row}-{seed}", seed, **changes)
    record = {"sampler": row, "seed": seed, **({"data": data} if data else {})}
    (folder / "runs" / f"{row}-{seed}.json").write_text(json.dumps(record), encoding="utf-8")
    return run


def write_comparison(folder: Path, rows: list[str], reference: str) -> None:
    """``compare.json``: the first row is 0.01 above the reference, the second 0.02, and so on."""
    metrics = ("recall@20", "ndcg@20")
    others = [row for row in rows if row != reference]
    content = {
        "command": f"recbole-bns compare --samplers={','.join(rows)}",
        "reference": reference,
        "metrics": [{"sampler": row, "metric": metric} for metric in metrics for row in rows],
        "tests": [
            {
                "sampler": row,
                "metric": metric,
                "difference": 0.01 * number,
                "users": 40,
                "p_t": 0.5,
                "p_wilcoxon": 0.5,
                "p_t_holm": 0.031 * number,
                "p_wilcoxon_holm": 0.00002,
            }
            for number, row in enumerate(others, 1)
            for metric in metrics
        ],
    }
    (folder / "compare.json").write_text(json.dumps(content), encoding="utf-8")


def write_sweep(folder: Path, metric: str = "ndcg@20") -> None:
    """The files of a sweep of learning rate and candidates, with three trials; no winner."""
    folder.mkdir(parents=True, exist_ok=True)
    held = {
        "metric": metric,
        "space": {
            "learning_rate": {"loguniform": [0.001, 0.1]},
            "neg_sampler_args.candidate_num": {"choice": [3, 5]},
        },
    }
    (folder / "sweep.json").write_text(json.dumps({"held": held, "free": {}}), "utf-8")
    (folder / "trials.csv").write_text(
        f"trial,learning_rate,neg_sampler_args.candidate_num,status,{metric}\n"
        "a,0.01,3,finished,0.4\nb,0.1,5,stopped early,0.2\nc,0.02,5,failed,\n",
        "utf-8",
    )
