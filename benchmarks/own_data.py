"""``prepare`` on a CSV file of many rows: seconds, and the most memory that it takes.

    python benchmarks/own_data.py              # 10 million rows
    python benchmarks/own_data.py --rows=1000000

The file is made once in FOLDER, with popular and unpopular users and items, times and ratings.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

USERS, ITEMS = 1_000_000, 100_000
"""Of 10 million rows; of fewer as many times less."""
PART = 1_000_000
"""Rows that are made at once."""


def make(path: Path, rows: int) -> None:
    """Write a file with the columns ``user``, ``item``, ``rating``, ``timestamp``."""
    source = np.random.default_rng(1)
    users, items = (max(n * rows // 10_000_000, 10) for n in (USERS, ITEMS))
    with path.open("w", encoding="utf-8") as file:
        file.write("user,item,rating,timestamp\n")
        for first in range(0, rows, PART):
            size = min(PART, rows - first)
            columns = (
                (users * source.random(size) ** 2).astype(int),
                (items * source.random(size) ** 3).astype(int),
                source.integers(1, 11, size) / 2,
                1_500_000_000 + source.integers(0, 200_000_000, size),
            )
            values = zip(*(column.tolist() for column in columns), strict=True)
            file.writelines(
                f"u{user:07},{item},{rating},{when}\n" for user, item, rating, when in values
            )


def main() -> None:
    """Make the file, prepare it in a process of its own, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, default=Path("own_data"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / f"clicks-{options.rows}.csv"
    if not path.is_file():
        make(path, options.rows)
    words = ["prepare", "clicks", f"--from={path}", f"--out={options.folder}", "--overwrite"]
    words += ["--min_rating=2", "--min_user=5", "--min_item=5"]
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "recbole_bns.cli", *words], check=True)
    seconds = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    most, busy = used.ru_maxrss / 2**20, used.ru_utime + used.ru_stime  # KiB on Linux; seconds
    print(f"{options.rows:,} rows, {path.stat().st_size / 2**20:,.0f} MiB of CSV: ", end="")
    print(f"{seconds:.0f} s, {busy:.0f} s of a core, {most:.2f} GiB at the most")


if __name__ == "__main__":
    main()
