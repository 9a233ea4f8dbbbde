"""Samplers side by side, with tests over users.

The command `recbole-bns compare` from a script: each sampler with each seed, a process a run. The
tables lie in the folder as Markdown, CSV and JSON, and the same call goes on where it was stopped.
"""

from __future__ import annotations

import sys

import pandas as pd

from recbole_bns.cli import main as recbole_bns


def main(epochs: int = 20, seeds: int = 3) -> None:
    """Compare three samplers on MovieLens-100K, and print what the headline metric says."""
    words = ["--model=BPR", "--samplers=rns,dns,bns", f"--seeds={seeds}", f"--epochs={epochs}"]
    status = recbole_bns(["compare", *words, "--out=runs/compared"])
    if status:
        sys.exit(status)
    table = pd.read_csv("runs/compared/compare.csv", comment="#")
    columns = ["sampler", "mean", "std", "p_t_holm"]
    print(table[table["metric"] == "ndcg@20"][columns].to_string(index=False))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
