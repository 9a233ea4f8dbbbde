"""Mixers against dns on validation data cut from training, with the same small effort for each row.

    python benchmarks/mixers.py --dataset amazon-tools-ahns --model BPR --data_path DATA
    python benchmarks/mixers.py --step               # peak memory of a step, an epoch beside it

The first trains every row with each pair of PAIRS (written down before any was run) and writes a
line of results/search/mixers.jsonl for each; the same command goes on with what it lacks. All rows
but `rns` choose among MANY candidates. ``--step`` measures what a step of MixGCF with 64
candidates needs beside what lies in memory before it (LightGCN, 2 layers, d 64, batch 2048, data of
ML-1M's shape; Linux); seconds are those of benchmarks/epoch.py --models LightGCN-2.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_bns.runner import journal
from recbole_bns.runner.jobs import VALIDATE, Job
from recbole_bns.runner.pool import LocalProcesses
from recbole_bns.runner.run import run_all

ROOT = Path(__file__).parent.parent
FILE = ROOT / "results" / "search" / "mixers.jsonl"
MANY = 16
OF_MIXER, OF_SAMPLER = {"mixer_args.candidate_num": MANY}, {"neg_sampler_args.candidate_num": MANY}
ROWS: dict[str, dict[str, Any]] = {
    "rns": {"neg_sampler": "rns", "loss": "kpair"},
    "dns": {"neg_sampler": "dns", "loss": "kpair", **OF_SAMPLER},
    "mixgcf": {"mixer": "mixgcf", **OF_MIXER},
    "dens": {"mixer": "dens", **OF_MIXER},
    "dins": {"mixer": "dins", **OF_MIXER},
    "dcans": {"mixer": "dcans", **OF_MIXER},
}
PAIRS = ((0.01, 0.001), (0.01, 0.02))
"""Learning rate and ``reg_weight`` of each trial."""
MODELS: dict[str, dict[str, Any]] = {"BPR": {}, "LightGCN": {"n_layers": 2}}
EPOCHS = {"amazon-tools-ahns": 40, "ml-1m-ahns": 8}
METRIC = "ndcg@20"
COMMON = {
    "tuned": False,
    "show_progress": False,
    "use_gpu": False,
    "seed": 0,
    "embedding_size": 64,
    "train_batch_size": 2048,
    "eval_step": 2,
    "stopping_step": 4,
    "valid_ratio": 0.1,
    "metrics": ["NDCG", "Recall"],
    "topk": [20],
    "valid_metric": "NDCG@20",
    "benchmark_filename": ["train", "test"],
    "load_col": {"inter": ["user_id", "item_id"]},
    "eval_args": {"mode": "full"},
}


def read() -> list[dict[str, Any]]:
    """The lines of the search."""
    if not FILE.is_file():
        return []
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


def tell(job: Job, record: Mapping[str, Any]) -> str:
    """Write the line of a trial."""
    if record["status"] != journal.DONE:
        return f"{job.name} FAILED: {record['error']}"
    result = record["result"]
    value, epoch = max((metrics[METRIC], epoch) for epoch, metrics in result["evaluations"])
    line = {key: record[key] for key in ("dataset", "model", "row", "trial", "settings")}
    line |= {"value": round(value, 6), "best_epoch": epoch, "epochs": result["epochs"]}
    line["seconds"] = round(result["seconds"], 1)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with FILE.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line) + "\n")
    shutil.rmtree(job.folder, ignore_errors=True)
    job.journal.unlink()
    return f"{job.name}: {METRIC} {value:.4f}, epoch {epoch}, {line['seconds']} s"


def jobs_of(
    dataset: str, model: str, data_path: str, rows: list[str], trials: list[int]
) -> list[Job]:
    """The trials that the file does not have, the first of every row first."""
    names = ("dataset", "model", "row", "trial")
    done = {tuple(line[name] for name in names) for line in read()}
    folder = ROOT / "runs" / "mixers" / dataset
    folder.mkdir(parents=True, exist_ok=True)
    fixed = {**COMMON, **MODELS[model], "data_path": data_path, "epochs": EPOCHS[dataset]}
    jobs = []
    for trial in trials:
        for row in rows:
            key = dataset, model, row, trial
            if key in done:
                continue
            own = ROWS[row] | dict(zip(("learning_rate", "reg_weight"), PAIRS[trial], strict=True))
            jobs.append(
                Job(
                    name=f"{model} {row} trial {trial}",
                    model=model,
                    dataset=dataset,
                    config_files=None,
                    settings={**fixed, **own},
                    folder=folder / f"{model}-{row}-{trial}",
                    epochs=EPOCHS[dataset],
                    record={**dict(zip(names, key, strict=True)), "settings": own},
                    task=VALIDATE,
                )
            )
    return jobs


def peak_of_a_step(mixer: str, steps: int = 5) -> tuple[float, float]:
    """MiB: resident before the steps, and the most during them."""
    from epoch import prepare

    from recbole_bns.adapters.config import BNSConfig
    from recbole_bns.adapters.mends import quiet
    from recbole_bns.training.loaders import loaders
    from recbole_bns.training.train import make_trainer

    with tempfile.TemporaryDirectory() as place, quiet():
        settings, parts = prepare("ml-1m", Path(place))
        chosen = {**settings, "model": "LightGCN", "n_layers": 2, "mixer": mixer}
        config = BNSConfig(config_dict={**chosen, "use_gpu": False})
        data = loaders(config, {"train": parts["train"]})["train"]
        trainer = make_trainer(config, data, Path(place))
        data.get_model(trainer.model)
        batches = iter(data)
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        for _ in range(steps):
            trainer.optimizer.zero_grad()
            trainer.model.calculate_loss(next(batches)).backward()
            trainer.optimizer.step()
        return before, resident("VmHWM")


def resident(key: str) -> float:
    """MiB that the kernel names."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{key}:")[2].split()[0]) / 1024


def main() -> int:
    """Search, or measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", choices=list(EPOCHS))
    parser.add_argument("--model", choices=list(MODELS), default="BPR")
    parser.add_argument("--data_path")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--trials", nargs="+", type=int, default=[*range(len(PAIRS))])
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    parser.add_argument("--step", nargs="?", const="mixgcf", metavar="MIXER")
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    if options.step:
        before, peak = peak_of_a_step(options.step)
        print(f"{options.step}: {before:.0f} MiB before, {peak:.0f} at most in a step")
        return 0
    where = options.dataset, options.model, options.data_path
    jobs = jobs_of(*where, options.rows, options.trials)
    run_all(jobs, LocalProcesses(), options.jobs, title="mixers", tell=tell)
    return 0


if __name__ == "__main__":
    sys.exit(main())
