"""A trained model in use.

From a run's folder: recommendations for users, with a list that they may come from and one that
they may not; items like an item; a user who was not in training, by what they chose; the vectors.
"""

from __future__ import annotations

import sys

import recbole_bns


def main(epochs: int = 20) -> None:
    """Train LightGCN on MovieLens-100K, load the run's folder, and ask."""
    settings = {"neg_sampler": "bns", "epochs": epochs, "learning_rate": 0.01}
    recbole_bns.run_recbole_bns("LightGCN", "ml-100k", config_dict=settings, out="runs/used")
    model = recbole_bns.load("runs/used")
    print(model.recommend(["196", "186"], k=5))
    classics = [str(item) for item in range(1, 200)]
    print(model.recommend(["196"], k=5, only=classics, never=["50"]))
    print(model.similar_items(["50"], k=5))
    print(model.recommend_for_history(["50", "172", "181"], k=5))
    print("vectors of users and items:", model.user_vectors.shape, model.item_vectors.shape)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
