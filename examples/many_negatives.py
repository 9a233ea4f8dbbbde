"""A loss over many negatives.

Sampled softmax over a list of negatives that a whole batch shares, in the place of the model's
loss; then over negatives of each positive's own that a sampler chose. Sampler and loss are two
axes: any of one goes with any of the other.
"""

from __future__ import annotations

import sys

from recbole_bns import run_recbole_bns

ROWS = {
    "BPR's loss, uniform": {"neg_sampler": "rns"},
    "softmax, a list of 512": {
        "neg_sampler": "rns",
        "loss": "ssm",
        "neg_sample_num": 512,
        "neg_shared": True,
    },
    "softmax, 8 that DNS chose": {"neg_sampler": "dns", "loss": "ssm", "neg_sample_num": 8},
}


def main(epochs: int = 20) -> None:
    """Train LightGCN with each, and print the test metric."""
    for name, settings in ROWS.items():
        given = {**settings, "epochs": epochs, "learning_rate": 0.01, "tuned": False}
        result = run_recbole_bns("LightGCN", "ml-100k", config_dict=given)
        print(f"{name:28} NDCG@20 {result['test_result']['ndcg@20']:.4f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
