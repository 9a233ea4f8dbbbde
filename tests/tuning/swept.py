"""What the tests of sweeps share."""

from __future__ import annotations

from typing import Any

RESULT: dict[str, Any] = {
    "model": "BPR",
    "dataset": "tiny",
    "neg_sampler": "dns",
    "neg_sampler_label": "dns",
    "seed": 1,
    "train_epoch_seconds": [1.0],
    "epochs": 1,
    "best_epoch": 1,
    "tuned_file": None,
    "best_valid_result": {"ndcg@20": 0.6},
    "test_result": {"ndcg@20": 0.55},
    "checkpoint": "c",
    "run_dir": "r",
}
"""Of the winner, trained and tested; as much as the pages show."""
