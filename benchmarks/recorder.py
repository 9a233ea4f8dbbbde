"""Time whole training epochs with and without the recorder, alternating in one process.

    python benchmarks/recorder.py                              # BPR on ml-100k with rns, dns, bns
    python benchmarks/recorder.py --model LightGCN --samplers rns --rounds 20

Printed are medians, and the median of the ratio of epochs side by side; run it on a quiet machine.
rns with BPR is the cheapest epoch there is, and so the recorder's worst case.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import warnings
from statistics import median
from time import perf_counter
from typing import Any

import torch
from recbole.data import create_dataset
from recbole.utils import get_model, init_seed
from tabulate import tabulate

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.mends import quiet
from recbole_bns.training.loaders import data_preparation
from recbole_bns.training.recording.files import RecordFolder
from recbole_bns.training.trainer import get_trainer


def prepare(model: str, sampler: str, record: bool) -> tuple[Any, Any]:
    """A trainer and its training loader."""
    given = {"neg_sampler": sampler, "neg_record": record, "show_progress": False}
    config = BNSConfig(model, "ml-100k", None, given)
    init_seed(1, True)
    train, _, _ = data_preparation(config, create_dataset(config))
    built = get_model(model)(config, train._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, built)
    train.get_model(built)
    if record:
        train.recorder.write_to(RecordFolder(tempfile.mkdtemp()))
    return trainer, train


def measure(model: str, sampler: str, rounds: int) -> list[Any]:
    """A row of the table."""
    with quiet():
        sides = [prepare(model, sampler, record) for record in (False, True)]
    seconds: list[list[float]] = [[], []]
    gc.collect()
    gc.freeze()
    for number in range(rounds + 2):
        for side in (0, 1) if number % 2 else (1, 0):
            trainer, train = sides[side]
            start = perf_counter()
            trainer._train_epoch(train, number, show_progress=False)
            seconds[side].append(perf_counter() - start)
    without, recorded = (times[2:] for times in seconds)  # two epochs warm up
    ratios = [b / a for a, b in zip(without, recorded, strict=True)]
    return [model, sampler, 1000 * median(without), 1000 * median(recorded), median(ratios)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="BPR")
    parser.add_argument("--samplers", nargs="+", default=["rns", "dns", "bns"])
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = [measure(options.model, sampler, options.rounds) for sampler in options.samplers]
    heads = ["model", "sampler", "without (ms)", "recorded (ms)", "ratio"]
    print(tabulate(rows, heads, floatfmt=("", "", ".1f", ".1f", ".3f")))


if __name__ == "__main__":
    main()
