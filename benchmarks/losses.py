"""Samplers x losses on validation data cut from training, with the same small effort for each cell.

    python benchmarks/losses.py --dataset amazon-tools-ahns --data_path DATA
    python benchmarks/losses.py --dataset amazon-tools-ahns --data_path DATA --test

The first searches, the second trains the winners on the whole training part with three seeds and
tests them once, by `recbole-bns compare`. Trial k has the same learning rate and regularisation in
every cell (PAIRS, written down before any was run) and values of the cell's own parameters that
differ from trial to trial, from the space of `recbole-bns tune`: trial 0 has their defaults. What
is not searched: under `bpr` a positive meets one negative; else `rns` gives a list of 1,024 to the
batch, `inbatch` the batch, and a sampler that looks at scores EACH negatives of its own.
`ssm/posterior` is `ssm` with `loss_weight: posterior`. Every trial is a process on one core, and a
line of results/search/losses-<data>.jsonl as soon as it is done; the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from recbole_bns.common.locks import alone
from recbole_bns.runner import journal
from recbole_bns.runner.jobs import VALIDATE, Job
from recbole_bns.runner.pool import LocalProcesses
from recbole_bns.runner.run import run_all
from recbole_bns.settings.properties import PROPERTIES, read_own
from recbole_bns.tuning.space import Dimension

ROOT = Path(__file__).parent.parent
SAMPLERS = ("rns", "dns", "bns", "bns_plus", "inbatch")
LOSSES = ("bpr", "ssm", "bsl", "gbce")
CELLS = [(s, loss) for loss in LOSSES for s in SAMPLERS]
CELLS += [("rns", "ssm/posterior"), ("bns_plus", "ssm/posterior")]
PAIRS = ((0.01, 0.001), (0.01, 0.02))
"""Learning rate and ``reg_weight`` of each trial."""
EACH, LIST = 8, 1024
METRIC, ARGS = "ndcg@20", "neg_sampler_args."
COMMON = {"tuned": False, "show_progress": False, "use_gpu": False}
BASE: dict[str, dict[str, Any]] = {
    "ml-100k-bns": {
        "embedding_size": 32,
        "train_batch_size": 1024,
        "epochs": 40,
        "eval_step": 2,
        "stopping_step": 4,
    },
    "amazon-tools-ahns": {
        "embedding_size": 64,
        "train_batch_size": 2048,
        "epochs": 40,
        "eval_step": 2,
        "stopping_step": 4,
        "benchmark_filename": ["train", "test"],
        "load_col": {"inter": ["user_id", "item_id"]},
        "eval_args": {"mode": "full"},
    },
}


def named(loss: str) -> dict[str, Any]:
    """The settings that a column stands for."""
    name, _, weight = loss.partition("/")
    return {"loss": name, "loss_weight": weight} if weight else {"loss": name}


def layout(sampler: str, loss: str) -> dict[str, Any]:
    """How many negatives a positive meets, and of what kind."""
    if loss == "bpr":
        return {"neg_sample_num": 1}
    if sampler == "inbatch":
        return {}
    if sampler == "rns":
        return {"neg_shared": True, "neg_sample_num": LIST}
    return {"neg_sample_num": EACH}


BIG = {("amazon-tools-ahns", "bns"): {ARGS + "cdf": "estimated"}}
"""On tools F is estimated from 256 items, for speed."""


def space(sampler: str, loss: str) -> dict[str, Any]:
    """The searched parameters that are the cell's own, as `recbole-bns tune` has them."""
    of_loss = PROPERTIES / "sweep" / "loss" / f"{named(loss)['loss']}.yaml"
    files = (PROPERTIES / "sweep" / f"{sampler}.yaml", of_loss)
    known = {key: value for file in files for key, value in read_own(file).items()}
    return {key: value for key, value in known.items() if key.startswith((ARGS, "loss_args."))}


def values_of(dimensions: Mapping[str, Any], cell: str, trial: int) -> dict[str, Any]:
    """What trial 1, 2, ... of a cell has of each dimension; the same whenever it is asked."""
    settings = {}
    for key, dimension in dimensions.items():
        seed = [*map(ord, f"{cell} {key}")]
        kind, values = next(iter(dimension.items()))
        if kind == "choice":
            order = np.random.default_rng(seed).permutation(len(values))
            settings[key] = values[int(order[(trial - 1) % len(values)])]
        else:
            value = Dimension(kind, tuple(values)).draw(np.random.default_rng([trial, *seed]))
            settings[key] = float(f"{value:.2g}")
    return settings


def drawn(dataset: str, sampler: str, loss: str, trial: int) -> dict[str, Any]:
    """The settings of a trial of a cell."""
    settings: dict[str, Any] = dict(zip(("learning_rate", "reg_weight"), PAIRS[trial], strict=True))
    settings |= layout(sampler, loss) | BIG.get((dataset, sampler), {})
    if trial:
        settings |= values_of(space(sampler, loss), f"{sampler}+{loss}", trial)
    return settings


def run_jobs(jobs: list[Job], file: Path, at_once: int, title: str) -> None:
    """Train what the file has no line of."""

    def tell(job: Job, record: Mapping[str, Any]) -> str:
        if record["status"] != journal.DONE:
            return f"{job.name} FAILED: {record['error']}"
        result = record["result"]
        value, epoch = max((metrics[METRIC], epoch) for epoch, metrics in result["evaluations"])
        line = {key: record[key] for key in ("sampler", "loss", "trial", "settings")}
        line |= {"value": round(value, 6), "best_epoch": epoch, "epochs": result["epochs"]}
        line["seconds"] = round(result["seconds"], 1)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")
        shutil.rmtree(job.folder, ignore_errors=True)
        job.journal.unlink()
        return f"{job.name}: {METRIC} {value:.4f}, epoch {epoch}"

    run_all(jobs, LocalProcesses(), at_once, title=title, tell=tell)


def read(file: Path) -> list[dict[str, Any]]:
    """The lines of a search."""
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def search(
    dataset: str, data_path: str, file: Path, at_once: int, cells: list[tuple[str, str]]
) -> None:
    """Run the trials that the file does not have, the first of every cell first."""
    folder = ROOT / "runs" / "losses" / dataset
    for place in (folder, file.parent):
        place.mkdir(parents=True, exist_ok=True)
    done = {(r["sampler"], r["loss"], r["trial"]) for r in read(file)}
    jobs = []
    for trial in range(len(PAIRS)):
        for sampler, loss in cells:
            if (sampler, loss, trial) not in done:
                own = drawn(dataset, sampler, loss, trial)
                settings = {
                    **COMMON,
                    **BASE[dataset],
                    "data_path": data_path,
                    "neg_sampler": sampler,
                    **named(loss),
                    "seed": 0,
                    "valid_ratio": 0.1,
                    "metrics": ["NDCG", "Recall"],
                    "topk": [20],
                    "valid_metric": "NDCG@20",
                    **own,
                }
                jobs.append(
                    Job(
                        name=f"{sampler}+{loss} trial {trial}",
                        model="BPR",
                        dataset=dataset,
                        config_files=None,
                        settings=settings,
                        folder=folder / f"{sampler}-{loss}-{trial}".replace("/", "-"),
                        epochs=settings["epochs"],
                        record={"sampler": sampler, "loss": loss, "trial": trial, "settings": own},
                        task=VALIDATE,
                    )
                )
    with alone(folder, f"another search is at work on {dataset}; wait for it."):
        run_jobs(jobs, file, at_once, f"losses {dataset}")


def winners(file: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The best trial of each cell."""
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for line in read(file):
        cell = line["sampler"], line["loss"]
        if cell not in best or line["value"] > best[cell]["value"]:
            best[cell] = line
    return best


def test(dataset: str, data_path: str, file: Path, jobs: int, cells: list[tuple[str, str]]) -> int:
    """Train the winners on all of the training part and test them, by `recbole-bns compare`."""
    base = {k: v for k, v in BASE[dataset].items() if k not in ("eval_step", "stopping_step")}
    variants = {
        f"{sampler}+{loss}".replace("/", "."): {
            "neg_sampler": sampler,
            **named(loss),
            **base,
            **line["settings"],
            "epochs": line["best_epoch"],
        }
        for (sampler, loss), line in winners(file).items()
        if (sampler, loss) in cells
    }
    out = ROOT / "runs" / "losses" / f"{dataset}-test"
    out.mkdir(parents=True, exist_ok=True)
    path = out.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(variants, sort_keys=False))
    start = "import sys; from recbole_bns.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", start]
    words = ["compare", f"--variants={path}", f"--dataset={dataset}", f"--data_path={data_path}"]
    words += ["--model=BPR", "--seeds=3", "--valid_ratio=0", "--metrics=NDCG,Recall", "--topk=20"]
    words += [f"--jobs={jobs}", f"--out={out}", "--tuned=False", "--use_gpu=False"]
    words += ["--reference=dns+bpr"]
    return subprocess.run([*command, *words], check=False).returncode


def main() -> int:
    """Search, or test."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", required=True, choices=list(BASE))
    parser.add_argument("--data_path", required=True)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once")
    parser.add_argument("--cells", help="only these: rns+ssm,dns+bpr")
    parser.add_argument("--test", action="store_true", help="train and test the winners")
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    file = ROOT / "results" / "search" / f"losses-{options.dataset}.jsonl"
    cells = CELLS
    if options.cells:
        named = options.cells.split(",")
        cells = [cell for cell in CELLS if "+".join(cell) in named]
        assert len(cells) == len(named), f"--cells: allowed are {['+'.join(c) for c in CELLS]}"
    if options.test:
        return test(options.dataset, options.data_path, file, options.jobs, cells)
    search(options.dataset, options.data_path, file, options.jobs, cells)
    return 0


if __name__ == "__main__":
    sys.exit(main())
