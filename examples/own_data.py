"""Your own data, from a DataFrame.

A shop's clicks in a pandas DataFrame, with columns of any name. `interactions` says which is which;
`run_recbole_bns` takes what it returns in the place of a data set's name. Here the clicks are made
up: two tastes, and some items that are more popular than others.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

import recbole_bns


def clicks(users: int = 200, items: int = 100, each: int = 20) -> pd.DataFrame:
    """A frame with a row a click."""
    source = np.random.default_rng(7)
    popular = 1 / np.arange(1, items + 1) ** 0.5
    rows = []
    for user in range(users):
        liked = popular * np.where(np.arange(items) % 2 == user % 2, 4.0, 1.0)
        for item in source.choice(items, each, replace=False, p=liked / liked.sum()):
            rows.append((f"customer-{user}", f"product-{item}"))
    frame = pd.DataFrame(rows, columns=["customer", "product"])
    frame["clicked_at"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(
        source.integers(0, 90 * 24 * 3600, len(frame)), unit="s"
    )
    return frame


def main(epochs: int = 30) -> None:
    """Train BPR with BNS on the clicks, and ask the model for one customer."""
    shop = recbole_bns.interactions(
        clicks(), user="customer", item="product", time="clicked_at", name="shop"
    )
    settings = {"neg_sampler": "bns", "epochs": epochs, "learning_rate": 0.01, "topk": [5, 10]}
    result = recbole_bns.run_recbole_bns("BPR", shop, config_dict=settings, out="runs/shop")
    print(f"NDCG@10 on the test part: {result['test_result']['ndcg@10']:.4f}")
    model = recbole_bns.load("runs/shop")
    print(model.recommend(["customer-0"], k=5))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
