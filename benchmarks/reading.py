"""How long a data set takes to be read: RecBole 1.2's own reader, ours, and again, in one run.

    python benchmarks/reading.py                      # a file of ML-1M's shape, three times each
    python benchmarks/reading.py --times 1 --columns user_id item_id --interactions 10000000 \\
        --users 200000 --items 50000                  # what benchmarks/memory.py large reads
    python benchmarks/reading.py --data_path DIR --dataset ml-1m    # a data set of one's own

Each reading is a process of its own: RecBole's ``create_dataset``, everything checked, filtered and
numbered, for a ``Config`` of RecBole's (stock) and of ours. Time is the wall's and the processor's;
the peak is the kernel's (``VmHWM``, reset before), Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

KINDS = ("stock", "ours")
COLUMNS = ["user_id", "item_id", "rating", "timestamp"]


def write(folder: Path, name: str, users: int, items: int, interactions: int) -> None:
    """``<folder>/<name>/<name>.inter``: ids, a rating and seconds since 1970, in random order."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "user_id:token": 1 + (users * rng.random(interactions) ** 1.5).astype(np.int64),
            "item_id:token": 1 + (items * rng.random(interactions) ** 2.5).astype(np.int64),
            "rating:float": rng.integers(1, 6, interactions),
            "timestamp:float": rng.integers(956_703_932, 1_046_454_590, interactions),
        }
    )
    (folder / name).mkdir()
    frame.to_csv(folder / name / f"{name}.inter", sep="\t", index=False)


def once(kind: str, folder: str, name: str, *columns: str) -> dict[str, float]:
    """Read the data set in this process: seconds, processor seconds, peak in GiB, lines."""
    from recbole.config import Config
    from recbole.data import create_dataset

    from recbole_bns import BNSConfig
    from recbole_bns.adapters.mends import mend, quiet

    mend()
    given: dict[str, Any] = {"data_path": folder, "load_col": {"inter": list(columns)}}
    maker = Config if kind == "stock" else BNSConfig
    sys.argv = sys.argv[:1]  # RecBole's Config reads it
    config = maker("BPR", name, None, given | {"use_gpu": False, "checkpoint_dir": folder})
    Path("/proc/self/clear_refs").write_text("5")
    start, busy = time.perf_counter(), time.process_time()
    with quiet():
        dataset = create_dataset(config)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 2**20
    return {"seconds": seconds, "processor": busy, "peak": peak, "lines": len(dataset.inter_feat)}


def alternate(options: argparse.Namespace, folder: str) -> dict[str, list[dict[str, float]]]:
    """Both readers in turn, each in a new process."""
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in options.only}
    for _ in range(options.times):
        for kind in options.only:
            words = [sys.executable, __file__, "--child", kind, folder, options.dataset]
            words += options.columns
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            found[kind].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def show(found: dict[str, list[dict[str, float]]]) -> None:
    """A row a reader: medians, and how they compare."""
    rows = [
        {
            "reader": kind,
            "interactions": f"{int(runs[0]['lines']):,}",
            "seconds": median(run["seconds"] for run in runs),
            "processor's": median(run["processor"] for run in runs),
            "peak, GiB": max(run["peak"] for run in runs),
            "all, seconds": " ".join(f"{run['seconds']:.1f}" for run in runs),
        }
        for kind, runs in found.items()
    ]
    print(tabulate(rows, "keys", "github", floatfmt=".2f"))
    if len(rows) == 2:
        for key in ("seconds", "processor's"):
            print(f"\n{key}: ours take {rows[1][key] / rows[0][key]:.2f} of stock's", end="")
        print()


def main() -> int:
    """Write the file where none is named, read it in turn, print."""
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(once(*sys.argv[2:])))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--data_path", type=Path)
    parser.add_argument("--dataset", default="made-up")
    parser.add_argument("--columns", nargs="+", choices=COLUMNS, default=COLUMNS)
    for name, size in (("users", 6040), ("items", 3706), ("interactions", 1_000_209)):
        parser.add_argument(f"--{name}", type=int, default=size)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, pandas {pd.__version__}\n", flush=True)
    with tempfile.TemporaryDirectory() as place:
        if options.data_path is None:
            sizes = (options.users, options.items, options.interactions)
            write(Path(place), options.dataset, *sizes)
        show(alternate(options, str(options.data_path or place)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
