"""The BNS paper's own training, written from its formulas: what do its tables come to with it?

    python benchmarks/sequential.py --data DATA/ml-100k-bns    # 20 minutes of one core

Matrix factorisation by plain SGD, one positive at a time: learning rate 0.01, d 32, vectors from
normal(0, 0.1), pairs shuffled once, F with n + 1, and, as in the authors' program, items updated by
the user's vector that is updated already. Nothing of recbole_bns is used, so that this is a
second program for the same thing, beside `tests/sampling/oracles/test_bns_sgd.py`, and a way to
see what becomes of Table IV without Adam, batches and searched settings. The oracle prior sees the
test labels: a simulation. Writes results/sequential.md.

Source: B. Liu and B. Wang, Bayesian Negative Sampling for Recommendation, ICDE 2023.
"""

# numba compiles the loops: they take arrays and are written plainly.
# mypy: disable-error-code="no-untyped-def, misc"

from __future__ import annotations

import argparse
from pathlib import Path

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tabulate import tabulate
from tqdm import tqdm

PAGE = Path(__file__).parent.parent / "results" / "sequential.md"
RATE, WIDTH, SPREAD, LAMBDA = 0.01, 32, 0.1, 5.0
ROWS = [
    ("popularity", 1, 0.01),
    ("popularity", 5, 0.01),
    ("oracle", 3, 0.01),
    ("oracle", 20, 0.01),
    ("oracle", 3, 0.0),
    ("oracle", 20, 0.0),
    ("oracle", 100, 0.0),
]
"""Prior, candidates, L2; one candidate is uniform sampling."""


@numba.njit(fastmath={"reassoc", "contract"})
def train(users, items, pairs, positive, prior, m, l2, epochs, rng):
    """Update the vectors in place."""
    item_num, width = items.shape
    scores, negatives = np.empty(item_num, np.float32), np.empty(item_num, np.int64)
    others = np.empty(item_num, np.float32)
    rate, l2 = np.float32(RATE), np.float32(l2)
    for t in range(epochs * len(pairs)):
        u, i = pairs[t % len(pairs)]
        n = 0
        for j in range(item_num):
            scores[j] = np.float32(0)
            for d in range(width):
                scores[j] += users[u, d] * items[j, d]
            if not positive[u, j]:
                negatives[n], others[n] = j, scores[j]
                n += 1
        chosen, least = -1, np.inf
        for k in range(min(m, n)):  # the first m of a shuffle
            other = rng.integers(k, n)
            negatives[k], negatives[other] = negatives[other], negatives[k]
            x = scores[negatives[k]]
            cdf = (others[:n] <= x).sum() / (n + 1)
            p = prior[u, negatives[k]]
            true = (1 - cdf) * (1 - p)
            info = 1 / (1 + np.exp(scores[i] - x))
            risk = info * (1 - (1 + LAMBDA) * true / (true + cdf * p))
            if risk < least:
                chosen, least = negatives[k], risk
        step = np.float32(1 / (1 + np.exp(scores[i] - scores[chosen])))
        for d in range(width):
            p, q, r = users[u, d], items[i, d], items[chosen, d]
            users[u, d] += rate * (step * (q - r) - l2 * p)
            items[i, d] += rate * (step * users[u, d] - l2 * q)
            items[chosen, d] += rate * (-step * users[u, d] - l2 * r)


def metrics(scores: NDArray[np.float32], test: NDArray[np.bool_]) -> list[float]:
    """P@5, R@20 and NDCG@20, averaged over the users with test items."""
    top = np.argsort(-scores, axis=1, kind="stable")[:, :20]
    hits, size = np.take_along_axis(test, top, 1), test.sum(1)
    gains = 1 / np.log2(np.arange(2, 22))
    ideal = np.concatenate([[1.0], gains.cumsum()])[np.minimum(size, 20)]
    has = size > 0
    values = (hits[:, :5].mean(1), hits.sum(1) / np.maximum(size, 1), hits @ gains / ideal)
    return [float(value[has].mean()) for value in values]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of ml-100k-bns")
    parser.add_argument("--epochs", type=int, default=100)
    args = parser.parse_args()
    read = {
        part: pd.read_csv(args.data / f"{args.data.name}.{part}.inter", sep="\t").to_numpy()
        for part in ("train", "test")
    }
    shape = tuple(np.concatenate(list(read.values())).max(0) + 1)
    label = {part: np.zeros(shape, dtype=np.bool_) for part in read}
    for part, pairs in read.items():
        label[part][tuple(pairs.T)] = True
    popularity = label["train"].sum(0) / len(read["train"])
    table = []
    for name, m, l2 in tqdm(ROWS):
        rng = np.random.default_rng(0)
        users, items = (rng.normal(0, SPREAD, (n, WIDTH)).astype(np.float32) for n in shape)
        prior = np.tile(popularity, (shape[0], 1))
        if name == "oracle":
            prior = np.where(label["test"], 0.64, 0.04)
        pairs = rng.permutation(read["train"])
        train(users, items, pairs, label["train"], prior, m, l2, args.epochs, rng)
        scores = np.where(label["train"], -np.inf, users @ items.T)
        table.append([name, m, l2, *metrics(scores, label["test"])])
    heads = ["prior", "m", "L2", "P@5", "R@20", "N@20"]
    text = tabulate(table, heads, "github", floatfmt=("", "", "", ".4f", ".4f", ".4f"))
    print(text)
    PAGE.write_text(
        "# The BNS paper's own training, one positive at a time\n\n"
        f"`python benchmarks/sequential.py --data DATA/ml-100k-bns --epochs={args.epochs}`: a "
        "second program, which uses nothing of `recbole_bns`: plain SGD of 0.01, lambda 5, d 32, "
        "one seed, on the authors' split, tested after the last epoch. m = 1 is uniform sampling. "
        "**The oracle sees the labels that it is tested on; its rows are no results.**\n\n"
        f"{text}\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
