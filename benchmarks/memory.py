"""Memory of long trainings and of a large data set, measured from outside of the code it is about.

    python benchmarks/memory.py epochs              # 500 epochs of srns and aobpr on ML-100K
    python benchmarks/memory.py large               # 10 million interactions: rns, dns, bns
    python benchmarks/memory.py large --samplers rns --json large.json

``epochs`` starts ``recbole-bns run`` and notes the process's resident memory whenever
``epochs.csv`` has a new line. ``large`` generates a data set (user activity and item popularity
fall as powers of the rank), writes RecBole's atomic file into a temporary folder and goes through
the steps of a run, each sampler in a process of its own; the peak of each step is the kernel's
(``VmHWM``, reset before the step), Linux only.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from tabulate import tabulate

RUNS: dict[str, list[str]] = {
    "srns": ["--neg_sampler=srns"],
    "aobpr-factor": ["--neg_sampler=aobpr"],
    "aobpr-global": ["--neg_sampler=aobpr", "--neg_sampler_args.definition=global"],
}
SETTLED = 20
"""Epochs after which nothing more should be asked for."""
LARGE: dict[str, dict[str, Any]] = {
    "rns": {},
    "dns": {"candidate_num": 5},
    "bns": {"candidate_num": 5, "cdf": "estimated"},
}
SETTINGS: dict[str, Any] = {
    "use_gpu": False,
    "embedding_size": 64,
    "train_batch_size": 8192,
    "eval_batch_size": 20_000_000,
    "show_progress": False,
    "epochs": 1,
}
MIB, LIMIT_GIB = 2**20, 12.0


def growth(name: str, epochs: int, folder: Path) -> dict[str, Any]:
    """Resident memory of a run by epoch: MiB after :data:`SETTLED` epochs, at the end, slope."""
    out = folder / name
    words = [
        "run",
        "--model=BPR",
        *RUNS[name],
        f"--epochs={epochs}",
        f"--out={out}",
        f"--stopping_step={epochs}",
        "--show_progress=False",
        "--use_gpu=False",
    ]
    with (folder / f"{name}.log").open("w") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "recbole_bns.cli", *words], stdout=log, stderr=log
        )
        process, by_epoch = psutil.Process(child.pid), dict[int, float]()
        start = time.perf_counter()
        while child.poll() is None:
            done = lines(out / "epochs.csv")
            if done and done not in by_epoch:
                by_epoch[done] = process.memory_info().rss / MIB
            time.sleep(0.01)
    if child.returncode:
        raise SystemExit((folder / f"{name}.log").read_text())
    table = np.array([pair for pair in by_epoch.items() if pair[0] >= SETTLED])
    return {
        "sampler": name,
        "samples": len(by_epoch),
        f"MiB after {int(table[0, 0])}": table[0, 1],
        f"MiB after {int(table[-1, 0])}": table[-1, 1],
        "most, MiB": table[:, 1].max(),
        "slope, MiB per 100 epochs": 100 * np.polyfit(table[:, 0], table[:, 1], 1)[0],
        "seconds": time.perf_counter() - start,
    }


def lines(path: Path) -> int:
    """Epochs in ``epochs.csv`` so far."""
    try:
        return max(path.read_bytes().count(b"\n") - 1, 0)
    except OSError:
        return 0


def write_large(folder: Path, users: int, items: int, interactions: int) -> None:
    """``<folder>/large/large.inter``: different pairs in random order, two columns and a time."""
    rng = np.random.default_rng(0)
    codes = np.empty(0, np.int64)
    while len(codes) < interactions:
        rows = max(interactions - len(codes), interactions // 10)
        user = (users * rng.random(rows) ** 1.5).astype(np.int64)
        item = (items * rng.random(rows) ** 2.5).astype(np.int64)
        codes = np.unique(np.concatenate((codes, user * items + item)))
    codes = rng.permutation(codes)[:interactions]
    path = folder / "large" / "large.inter"
    path.parent.mkdir()
    with path.open("w", newline="") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        for part in np.array_split(codes, max(interactions // 100_000, 1)):
            times = rng.integers(10**9, 2 * 10**9, len(part))
            writer.writerows(
                zip((part // items).tolist(), (part % items).tolist(), times.tolist(), strict=True)
            )


@contextmanager
def step(found: dict[str, dict[str, float]], name: str) -> Iterator[None]:
    """Seconds, peak and memory left of a step, in GiB."""
    Path("/proc/self/clear_refs").write_text("5")
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()
    peak, left = (
        int(status.partition(f"{key}:")[2].split()[0]) / 2**20 for key in ("VmHWM", "VmRSS")
    )
    found[name] = {"seconds": seconds, "peak, GiB": peak, "left, GiB": left}


def large_once(sampler: str, folder: Path) -> dict[str, dict[str, float]]:
    """The steps of a run on the large data set: time and memory of each."""
    from recbole.data import create_dataset

    from recbole_bns.adapters.config import BNSConfig
    from recbole_bns.adapters.mends import quiet
    from recbole_bns.adapters.split import split
    from recbole_bns.datasets.check import check_files
    from recbole_bns.training.loaders import loaders
    from recbole_bns.training.train import make_trainer

    found: dict[str, dict[str, float]] = {}
    args = {**SETTINGS, "neg_sampler": sampler, "neg_sampler_args": LARGE[sampler]}
    config = BNSConfig("BPR", "large", None, {**args, "data_path": str(folder)})
    config["checkpoint_dir"] = str(folder / sampler)
    with quiet():
        with step(found, "read and check it"):
            check_files(config, keep=True)
            dataset = create_dataset(config)
        with step(found, "split"):
            parts = split(config, dataset)
            del dataset
        with step(found, "loaders and samplers"):
            data = loaders(config, parts)
            del parts
        with step(found, "model"):
            trainer = make_trainer(config, data["train"], folder / sampler)
        with step(found, "train an epoch"):
            trainer.fit(data["train"], None, saved=True)
        with step(found, "evaluate the test part"):
            result = trainer.evaluate(data["test"], load_best_model=True)
    assert 0 < result["ndcg@20"] < 1
    return found


def large(options: argparse.Namespace) -> dict[str, Any]:
    """:func:`large_once` of each sampler in a process of its own."""
    found = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place)
        write_large(folder, options.users, options.items, options.interactions)
        for sampler in options.samplers or list(LARGE):
            words = [sys.executable, __file__, "child", sampler, place]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            found[sampler] = json.loads(done.stdout.splitlines()[-1])
            rows = [{"step": name, **numbers} for name, numbers in found[sampler].items()]
            print(f"\n{sampler}\n\n" + tabulate(rows, "keys", "github", floatfmt=".2f"), flush=True)
            peak = max(row["peak, GiB"] for row in rows)
            print(f"\npeak {peak:.2f} GiB, at most {LIMIT_GIB:g}", flush=True)
    return found


def main() -> int:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    child = kinds.add_parser("child")
    child.add_argument("sampler")
    child.add_argument("folder", type=Path)
    for name, known in (("epochs", RUNS), ("large", LARGE)):
        kind = kinds.add_parser(name)
        kind.add_argument("--samplers", nargs="+", choices=list(known))
        kind.add_argument("--json", type=Path)
        kind.add_argument("--folder", type=Path, help="for temporary files")
    kinds.choices["epochs"].add_argument("--epochs", type=int, default=500)
    for name, size in (("users", 200_000), ("items", 50_000), ("interactions", 10_000_000)):
        kinds.choices["large"].add_argument(f"--{name}", type=int, default=size)
    options = parser.parse_args()
    if options.kind == "child":
        print(json.dumps(large_once(options.sampler, options.folder)))
        return 0
    print(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    if options.kind == "large":
        result: Any = large(options)
    else:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            names = options.samplers or list(RUNS)
            result = [growth(name, options.epochs, Path(folder)) for name in names]
        for row in result:
            print("\n" + tabulate([row], "keys", "github", floatfmt=".2f"), flush=True)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
