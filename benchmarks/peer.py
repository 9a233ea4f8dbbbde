"""A peer that is not RecBole: `implicit`'s BPR, compiled, beside ours on the same training data.

    pip install implicit
    python benchmarks/peer.py                 # ML-1M, d 64

`implicit` draws a pair and updates two or three vectors at a time, on all threads without locks
(Hogwild), with plain SGD; an epoch is as many draws as there are pairs. So an epoch of one is not
an epoch of the other: what can be compared is the time to the same quality. Each of its learning
rates trains until twenty evaluations bring nothing better; its best validation NDCG@20 is the mark,
and each row of ours is timed to the first evaluation that passes it. Evaluation is RecBole's, of
the same validation part, for both, and outside of the seconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from recbole.utils import get_model, init_seed
from scipy.sparse import csr_matrix
from tabulate import tabulate

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.mends import quiet, tensorboard_in
from recbole_bns.adapters.split import open_data, pairs_of
from recbole_bns.training.loaders import loaders as loaders_of
from recbole_bns.training.trainer import get_trainer

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"
DIM, PATIENCE, SEED = 64, 20, 2020
OURS: dict[str, dict[str, Any]] = {
    "rns": {"neg_sampler": "rns"},
    "dns": {"neg_sampler": "dns"},
    "bns": {"neg_sampler": "bns"},
    "bns_plus": {"neg_sampler": "bns_plus"},
}
"""Settings of a row beside the data set's tuned ones."""


def settings_of(dim: int, **more: Any) -> dict[str, Any]:
    """Settings of a run on ML-1M with a validation part."""
    return {
        "model": "BPR",
        "dataset": "ml-1m-ahns",
        "data_path": str(SHARED),
        "embedding_size": dim,
        "train_batch_size": 2048,
        "valid_ratio": 0.1,
        "valid_metric": "NDCG@20",
        "show_progress": False,
        "use_gpu": False,
        "seed": SEED,
        **more,
    }


def trainer_of(settings: dict[str, Any], folder: Path) -> tuple[Any, dict[str, Any]]:
    """A trainer with its model, and the loaders."""
    config = BNSConfig(config_dict=settings)
    config["checkpoint_dir"] = str(folder)
    parts = open_data(config).parts
    loaders = loaders_of(config, {phase: parts[phase] for phase in ("train", "valid")})
    init_seed(SEED, True)
    model = get_model("BPR")(config, loaders["train"]._dataset)
    with tensorboard_in(folder / "tensorboard"):
        trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, model)
    loaders["train"].get_model(model)
    trainer.eval_collector.data_collect(loaders["train"])
    return trainer, loaders


def quality(trainer: Any, loaders: dict[str, Any]) -> float:
    """Validation NDCG@20 of the trainer's model."""
    result = trainer.evaluate(loaders["valid"], load_best_model=False)
    return float(result["ndcg@20"])


def theirs(rate: float, epochs: int, folder: Path) -> tuple[list[float], list[float]]:
    """Seconds of each epoch of implicit's BPR, and validation NDCG@20 after each."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    trainer, loaders = trainer_of(settings_of(DIM + 1, neg_sampler="rns", tuned=False), folder)
    users, items = pairs_of([loaders["train"]._dataset]).numpy()
    shape = trainer.model.n_users, trainer.model.n_items
    pairs = csr_matrix((np.ones(len(users), np.float32), (users, items)), shape)
    peer = BayesianPersonalizedRanking(
        factors=DIM, learning_rate=rate, iterations=1, num_threads=os.cpu_count(), random_state=SEED
    )
    seconds, found = list[float](), list[float]()
    for _ in range(epochs):
        start = perf_counter()
        peer.fit(pairs, show_progress=False)
        seconds.append(perf_counter() - start)
        with torch.no_grad():
            trainer.model.user_embedding.weight.copy_(torch.from_numpy(peer.user_factors))
            trainer.model.item_embedding.weight.copy_(torch.from_numpy(peer.item_factors))
        found.append(quality(trainer, loaders))
        if len(found) - 1 - int(np.argmax(found)) >= PATIENCE:
            break
    return seconds, found


def ours(row: str, epochs: int, mark: float, folder: Path) -> tuple[list[float], list[float]]:
    """The same of a row of ours, until it passes the mark."""
    trainer, loaders = trainer_of(settings_of(DIM, **OURS[row]), folder)
    seconds, found = list[float](), list[float]()
    for epoch in range(epochs):
        start = perf_counter()
        loaders["train"].begin_epoch(epoch)
        trainer._train_epoch(loaders["train"], epoch)
        seconds.append(perf_counter() - start)
        found.append(quality(trainer, loaders))
        if found[-1] > mark:
            break
    return seconds, found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=100, help="at most, of each")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.05])
    parser.add_argument("--rows", nargs="+", default=list(OURS), choices=list(OURS))
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    rows: list[list[Any]] = []
    mark = 0.0
    with tempfile.TemporaryDirectory() as folder, quiet():
        for rate in options.rates:
            seconds, found = theirs(rate, options.epochs, Path(folder))
            best = int(np.argmax(found))
            mark = max(mark, found[best])
            rows.append([f"implicit, rate {rate}", *figures(seconds, found, best)])
        for row in options.rows:
            seconds, found = ours(row, options.epochs, mark, Path(folder))
            best = int(np.argmax(found))
            passed = "" if found[best] > mark else ", not passed"
            rows.append([f"{row}{passed}", *figures(seconds, found, best)])
    heads = ["", "s an epoch", "NDCG@20", "epochs", "s until then"]
    print(f"mark: {mark:.4f}\n\n{tabulate(rows, heads, tablefmt='github')}")
    return 0


def figures(seconds: list[float], found: list[float], best: int) -> list[str]:
    """Median seconds an epoch, the best NDCG@20, its epoch, and seconds until then."""
    total = sum(seconds[: best + 1])
    return [
        f"{statistics.median(seconds):.2f}",
        f"{found[best]:.4f}",
        str(best + 1),
        f"{total:.1f}",
    ]


if __name__ == "__main__":
    sys.exit(main())
