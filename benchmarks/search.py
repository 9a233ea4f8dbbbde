"""Search each sampler's settings with the same effort, on validation data cut from training.

    python benchmarks/search.py --model BPR --dataset ml-100k-bns --data_path DATA
    python benchmarks/search.py --model BPR --dataset ml-100k-bns --data_path DATA --write

Stage 1: trials. Trial k has the same learning rate and regularisation for every sampler, drawn or,
where there are few trials, given (PAIRS: on ML-1M the later ones lie where the first two pointed);
the sampler's own parameters are drawn beside them (trial 0: its defaults), or, where another cell
was searched before (FROM), are those of its finalists there in turn. Stage 2: each sampler's best
ones on more cuts and initial weights; the best mean wins, and trains for the mean of its best
epochs; EFFORT says how many of each. A tenth of the training part is cut off for validation; the
test part is read by the loader, as in every run, and never evaluated.

Every trial is a line of results/search/<data>-<Model>.jsonl as soon as it is done; the same command
goes on. --write turns what is there into properties/tuned/<data>/<Model>/<sampler>.yaml.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Any

import numpy as np
import torch
import yaml
from recbole.data import create_dataset
from recbole.utils import get_model, init_seed
from tabulate import tabulate
from tqdm import tqdm

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.dataloader import BNSTrainDataLoader
from recbole_bns.adapters.evaluation import eval_loader
from recbole_bns.adapters.mends import quiet, tensorboard_in
from recbole_bns.adapters.split import split
from recbole_bns.common.errors import UsageError
from recbole_bns.training.loaders import create_samplers
from recbole_bns.training.trainer import get_trainer

ROOT = Path(__file__).parent.parent
SAMPLERS = ("rns", "pns", "aobpr", "dns", "srns", "bns", "ahns", "bns_plus")
METRIC, SHARE = "ndcg@20", 0.1
LAMBDAS = [0.1, 1.0, 5.0, 10.0, 15.0, 50.0]
OWN: dict[str, dict[str, list[Any]]] = {
    "rns": {},
    "pns": {"exponent": [0.125, 0.25, 0.5, 0.75, 1.0]},
    "aobpr": {"lambda": [50.0, 100.0, 200.0, 400.0, 800.0]},
    "dns": {"candidate_num": [3, 5, 8, 10, 15, 20], "best_num": [1, 1, 2]},
    "srns": {
        "memory_num": [8, 16, 32, 64],
        "new_num": [8, 16, 32, 64],
        "alpha": [0.1, 1.0, 5.0, 10.0],
        "warmup_epochs": [1, 10, 25, 50],
        "tau": [0.5, 1.0, 2.0, 10.0],
    },
    "bns": {"candidate_num": [3, 5, 8, 10, 15, 20], "lambda": LAMBDAS},
    "ahns": {
        "candidate_num": [4, 8, 16, 32, 64],
        "alpha": [0.1, 0.25, 0.5, 1.0],
        "beta": [0.1, 0.25, 0.5, 1.0],
        "p": [-1.0, -2.0],
    },
    "bns_plus": {
        "candidate_num": [10, 20, 40],
        "gamma": [0.5, 1.0, 2.0, 4.0],
        "prior_scale": [0.5, 1.0, 2.0],
        "prior_l2": [100.0, 300.0, 1000.0],
    },
}
"""Values of each sampler's own parameters; drawn from uniformly."""
BASE: dict[tuple[str, str], dict[str, Any]] = {
    ("ml-100k", "BPR"): {"train_batch_size": 1024, "epochs": 80},
    ("ml-100k", "LightGCN"): {"train_batch_size": 1024, "epochs": 120},
    ("ml-1m", "BPR"): {"train_batch_size": 2048, "epochs": 120},
    ("ml-1m", "LightGCN"): {"train_batch_size": 8192, "epochs": 120},
    ("ml-1m", "BPR-64"): {"train_batch_size": 2048, "epochs": 40},
    ("ml-1m", "BPR-AHNS"): {"train_batch_size": 2048, "epochs": 100},
}
MODEL: dict[str, dict[str, Any]] = {
    "BPR": {"embedding_size": 32},
    "BPR-64": {"embedding_size": 64},
    "BPR-AHNS": {"embedding_size": 64},
    "LightGCN": {"embedding_size": 32, "n_layers": 1, "require_pow": True},
}
RANGES: dict[tuple[str, str], dict[str, tuple[float, float]]] = {
    ("ml-100k", "BPR"): {"learning_rate": (1e-3, 1e-2), "reg_weight": (5e-3, 0.1)},
}
"""Shared by all samplers; drawn log-uniformly."""
NARROW: dict[tuple[str, str], tuple[int, dict[str, tuple[float, float]]]] = {
    ("ml-100k", "BPR"): (20, {"learning_rate": (1e-3, 6e-3), "reg_weight": (0.012, 0.05)}),
}
"""From this trial on they are drawn from where the finalists of all samplers were until then."""
PAIRS: dict[tuple[str, str], list[tuple[float, float]]] = {
    ("ml-100k", "LightGCN"): [
        (0.005, 0.01),
        (0.005, 0.03),
        (0.01, 0.01),
        (0.01, 0.03),
        (0.005, 0.003),
        (0.003, 0.006),
        (0.002, 0.003),
        (0.002, 0.01),
        (0.005, 0.006),
        (0.01, 0.006),
        (0.001, 0.006),
    ],
    ("ml-1m", "BPR"): [
        (0.0082, 0.0093),
        (0.007, 0.016),
        (0.005, 0.02),
        (0.005, 0.03),
        (0.003, 0.02),
        (0.005, 0.025),
        (0.004, 0.02),
        (0.002, 0.012),
        (0.002, 0.016),
        (0.001, 0.015),
        (0.002, 0.022),
    ],
    ("ml-1m", "LightGCN"): [
        (0.01, 0.005),
        (0.01, 0.015),
        (0.005, 0.005),
        (0.005, 0.003),
        (0.005, 0.005),
    ],
    ("ml-1m", "BPR-64"): [(0.003, 0.02)] * 3 + [(0.005, 0.03)],
    ("ml-1m", "BPR-AHNS"): [(0.001, 0.0001)] * 2,
}
"""Learning rate and regularisation of trial k where there are too few trials to draw them."""
EFFORT = {
    ("ml-100k", "BPR"): (20, 3, 3),
    ("ml-100k", "LightGCN"): (11, 2, 3),
    ("ml-1m", "BPR"): (11, 1, 1),
    ("ml-1m", "LightGCN"): (5, 1, 1),
    ("ml-1m", "BPR-64"): (4, 1, 1),
    ("ml-1m", "BPR-AHNS"): (2, 1, 1),
}
"""For each sampler: trials, finalists, cuts that a finalist is trained on."""
MORE = {("ml-100k", "BPR", "bns_plus"): 40, ("ml-1m", "BPR-AHNS", "rns"): 1}
"""Trials of a sampler that has more, or fewer; see :data:`REPORT`."""
FROM = {
    ("ml-100k", "LightGCN"): ("ml-100k", "BPR"),
    ("ml-1m", "BPR"): ("ml-100k", "BPR"),
    ("ml-1m", "LightGCN"): ("ml-1m", "BPR"),
}
"""Where the sampler's own parameters come from; without an entry they are drawn."""


def each(names: str, *rows: tuple[float, ...]) -> list[dict[str, Any]]:
    """A mapping a row."""
    return [dict(zip(names.split(), row, strict=True)) for row in rows]


SRNS = "memory_num new_num alpha warmup_epochs tau"
AHNS = "candidate_num alpha beta p"
PLUS = "candidate_num gamma prior_scale prior_l2"
GIVEN: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {
    ("ml-1m", "BPR"): {
        "rns": [{}],
        "pns": each("exponent", (0.25,), (0.125,), (0.5,), (0.125,)),
        "aobpr": each("lambda", (800.0,), (400.0,), (1600.0,), (400.0,)),
        "dns": each("candidate_num best_num", (8, 1), (10, 1), (5, 1), (10, 1)),
        "srns": each(
            SRNS,
            (8, 32, 5.0, 10, 10.0),
            (8, 64, 5.0, 10, 10.0),
            (16, 32, 5.0, 10, 10.0),
            (8, 64, 5.0, 10, 10.0),
        ),
        "bns": [
            {"candidate_num": 8, "lambda": 50.0, "cdf": "exact"},
            {"candidate_num": 5, "lambda": 15.0, "cdf": "exact"},
            {"candidate_num": 10, "lambda": 15.0},
            {"candidate_num": 5, "lambda": 15.0, "cdf": "exact"},
        ],
        "ahns": each(
            AHNS,
            (8, 1.0, 1.0, -1.0),
            (16, 0.1, 0.4, -2.0),
            (16, 1.0, 1.0, -1.0),
            (16, 1.0, 1.0, -1.0),
        ),
        "bns_plus": each(
            PLUS,
            (20, 0.5, 2.0, 100.0),
            (20, 2.0, 1.0, 100.0),
            (40, 1.0, 1.0, 300.0),
            (20, 0.5, 2.0, 100.0),
        ),
    },
    ("ml-1m", "LightGCN"): {
        "rns": [{}],
        "pns": each("exponent", (0.125,)),
        "aobpr": each("lambda", (800.0,)),
        "dns": each("candidate_num best_num", (8, 1)),
        "srns": each(SRNS, (8, 32, 5.0, 10, 10.0)),
        "bns": [{"candidate_num": 5, "lambda": 15.0, "cdf": "exact"}],
        "ahns": each(AHNS, (16, 1.0, 1.0, -1.0)),
        "bns_plus": each(PLUS, (20, 0.5, 2.0, 100.0)),
    },
    ("ml-1m", "BPR-64"): {
        "dns": each("candidate_num", (5,), (10,), (20,)),
        "ahns": each(AHNS, (16, 0.1, 0.4, -2.0), (16, 0.1, 0.4, -1.0), (8, 1.0, 1.0, -1.0)),
        "bns_plus": each(PLUS, (20, 2.0, 1.0, 500.0), (20, 1.0, 1.0, 500.0), (40, 2.0, 1.0, 500.0)),
    },
    ("ml-1m", "BPR-AHNS"): {
        "rns": [{}],
        "dns": each("candidate_num", (5,), (16,)),
        "ahns": each(AHNS, (16, 0.1, 0.4, -1.0), (16, 0.1, 0.4, -2.0)),
    },
}
"""The sampler's own parameters, given in turn; the first of ahns for BPR-64 are its paper's."""
GIVEN_SINCE = {("ml-1m", "BPR"): 7, ("ml-1m", "LightGCN"): 4}
"""The trial that has the first of them, where it is not trial 0."""
FROM_TRIALS = {("ml-1m", "BPR"): 4}
"""Trials whose parameters come from there, where they are not all; the others are drawn."""
BIG = {"bns": {"cdf": "estimated"}}
"""On ML-1M F is estimated from 256 items, for speed, unless a trial says otherwise."""


def effort(cell: tuple[str, str], sampler: str) -> tuple[int, int, int]:
    """Trials, finalists and cuts of a sampler."""
    trials, best, cuts = EFFORT[cell]
    return MORE.get((*cell, sampler), trials), best, cuts


def name_of(model: str) -> str:
    """RecBole's name of a model: ``BPR`` of ``BPR-64``."""
    return model.partition("-")[0]


def drawn(cell: tuple[str, str], sampler: str, trial: int) -> dict[str, Any]:
    """The settings of trial ``trial`` of a sampler."""
    if cell in PAIRS:
        settings = dict(zip(("learning_rate", "reg_weight"), PAIRS[cell][trial], strict=True))
    else:
        since, narrow = NARROW.get(cell, (trial + 1, {}))
        ranges = RANGES[cell] if trial < since else narrow
        common = np.random.default_rng([trial, *map(ord, "-".join(cell))])
        settings = {
            key: float(f"{np.exp(common.uniform(np.log(low), np.log(high))):.2g}")
            for key, (low, high) in ranges.items()
        }
    turn = trial - GIVEN_SINCE.get(cell, 0)
    if cell in GIVEN and turn >= 0:
        args = GIVEN[cell][sampler][turn % len(GIVEN[cell][sampler])]
    elif cell in FROM and trial < FROM_TRIALS.get(cell, trial + 1):
        records = read(file_of(FROM[cell]))
        best = finalists(FROM[cell], records, sampler)
        place = best[trial % len(best)]
        args = next(
            r["settings"]["neg_sampler_args"]
            for r in records
            if (r["sampler"], r["trial"]) == (sampler, place)
        )
    else:
        own = np.random.default_rng([trial, *map(ord, sampler)])
        args = {k: own.choice(v).item() for k, v in OWN[sampler].items()} if trial else {}
    if cell[0] == "ml-1m":
        args = BIG.get(sampler, {}) | args
    return {**settings, "neg_sampler_args": args}


REPORT = """# How the settings in properties/tuned/ were found

`python benchmarks/search.py --model MODEL --dataset DATASET --data_path DATA` for each of the
four cells; every trial is a line of `search/*.jsonl`. Validation is a tenth cut from the
training part (seeds 0, 1, 2), evaluated every second epoch; five evaluations without a better
NDCG@20 end a trial. The test part was not evaluated. Trial k has the same learning rate and
regularisation for every sampler. The values are of validation and cannot be compared with
tests: there are fewer positives to find. On ML-1M `bns` has `cdf: estimated`, for speed, where
its settings do not say `exact`. Minutes are of one core, the trials of all stages together.
LightGCN on ML-100K was searched
with five pairs and 60 epochs at first and tested once; since some trials ended at the last epoch,
six pairs with lower rates were added for all samplers alike, 120 epochs allowed, what had ended at
the 60th run anew, and all samplers tested once more. `bns_plus` has four parameters of its own
and 40 trials for BPR on ML-100K; `dns` and `bns` were given the same 20 further ones, which stand
in the comparison with it as rows of their own (`dns-40`, `bns-40`; trial 21 and 27). On ML-1M,
before anything with d 32 was tested there, three trials were added for BPR (own parameters drawn)
and one for LightGCN; what had been best at the 22nd epoch of 24 or later was run anew with 40.
Then all were tested once. As 40 epochs had ended several searches, `rns` alone was run with lower
rates and less regularisation (`search/ml-1m-rns.jsonl`: six runs of BPR, two of them with SGD, and
three of LightGCN), and where that pointed three trials of up to 100 epochs were added for BPR and
one of up to 120 for LightGCN, for all samplers alike, the first test values being known, the
earlier trials left as they were; the own parameters of BPR's are those that had been best and two
neighbours, written down before any was run. All were tested once more.
Last, one trial was added for all samplers alike, each with the own parameters that had been best:
LightGCN's third pair again, where 40 epochs had ended most searches, with up to 120, and BPR with
more regularisation; those whose settings changed were tested a third time.
`BPR-AHNS` is the AHNS paper's own setting, in which only the epochs, and the candidates of `dns`,
are chosen.
"""


class Bench:
    """A model and a data set, read once; trials on its cuts."""

    def __init__(self, model: str, dataset: str, data_path: str) -> None:
        self.model, self.dataset, self.data_path = name_of(model), dataset, data_path
        config = self.config("rns", {}, 0)
        self.cell = (config["tuned_as"], model)
        self.parts: dict[int, dict[str, Any]] = {}

    def config(self, sampler: str, settings: Mapping[str, Any], seed: int) -> Any:
        """The settings of one training."""
        return BNSConfig(
            self.model,
            self.dataset,
            None,
            {
                "data_path": self.data_path,
                "tuned": False,
                "neg_sampler": sampler,
                "seed": seed,
                "valid_ratio": SHARE,
                "show_progress": False,
                "metrics": ["NDCG"],
                "topk": [20],
                "valid_metric": "NDCG@20",
                "eval_step": 2,
                "stopping_step": 5,
                **settings,
            },
        )

    def trial(self, sampler: str, settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Train on the cut of a seed; the best validation value and its epoch."""
        given = {**MODEL[self.cell[1]], **BASE[self.cell], **settings}
        config = self.config(sampler, given, seed)
        if seed not in self.parts:
            self.parts[seed] = split(config, create_dataset(config))  # which can be split once
        parts = self.parts[seed]
        init_seed(seed, config["reproducibility"])
        train, evaluation = create_samplers(config, parts)
        loader = BNSTrainDataLoader(config, parts["train"], train, shuffle=True)
        valid = eval_loader(config, "valid")(
            config, parts["valid"], evaluation["valid"].set_phase("valid"), shuffle=False
        )
        init_seed(seed, config["reproducibility"])
        model = get_model(self.model)(config, loader._dataset).to(config["device"])
        with tempfile.TemporaryDirectory() as folder, tensorboard_in(Path(folder)):
            config["checkpoint_dir"] = folder
            trainer = get_trainer(config["MODEL_TYPE"], self.model)(config, model)
            start = perf_counter()
            trainer.fit(loader, valid, verbose=False, saved=False)
            trainer.tensorboard.close()
        found = [(r.valid_result[METRIC], r.epoch) for r in trainer.reports if r.valid_result]
        value, epoch = max(found)
        return {
            "value": round(value, 6),
            "best_epoch": epoch,
            "epochs": len(trainer.reports),
            "seconds": round(perf_counter() - start, 1),
        }


bench: Bench
"""Of a worker."""


def end_with(parent: BaseProcess | None) -> None:
    """Wait for the parent's end, and end too: a pool's worker would wait for tasks for ever."""
    if parent is not None:
        parent.join()
        os._exit(1)


def start(*args: str) -> None:
    """Prepare a worker; it ends with its parent, however that ends."""
    global bench
    Thread(target=end_with, args=(parent_process(),), daemon=True).start()
    torch.set_num_threads(1)
    bench = Bench(*args)


def attempt(sampler: str, trial: int, cut: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Run one trial in a worker; its line."""
    record = {"sampler": sampler, "trial": trial, "cut": cut, "settings": settings}
    try:
        with quiet():
            return record | bench.trial(sampler, settings, cut)
    except UsageError as error:
        return record | {"error": str(error)}


def search(
    cell: tuple[str, str], words: tuple[str, ...], jobs: int, samplers: tuple[str, ...]
) -> None:
    """Run what is not in the file yet."""
    file = file_of(cell)
    file.parent.mkdir(parents=True, exist_ok=True)
    cuts = EFFORT[cell][2]
    with ProcessPoolExecutor(jobs, get_context("spawn"), start, words) as pool:

        def run(wanted: list[tuple[str, int, int]]) -> None:
            done = {(r["sampler"], r["trial"], r["cut"]) for r in read(file)}
            missing = [each for each in wanted if each not in done]
            known = {(r["sampler"], r["trial"]): r["settings"] for r in read(file)}
            tasks = [
                pool.submit(attempt, *each, known.get(each[:2]) or drawn(cell, *each[:2]))
                for each in missing
            ]
            for task in tqdm(as_completed(tasks), "-".join(cell), len(tasks)):
                with file.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(task.result()) + "\n")

        trials = {sampler: effort(cell, sampler)[0] for sampler in samplers}
        run(
            [
                (sampler, trial, 0)
                for trial in range(max(trials.values()))
                for sampler in samplers
                if trial < trials[sampler]
            ]
        )
        found = read(file)
        run(
            [
                (sampler, trial, cut)
                for cut in range(1, cuts)
                for sampler in samplers
                for trial in finalists(cell, found, sampler)
            ]
        )


def finalists(cell: tuple[str, str], records: list[dict[str, Any]], sampler: str) -> list[int]:
    """The best trials of stage 1."""
    trials, best, _ = effort(cell, sampler)
    values = {
        r["trial"]: r["value"]
        for r in records
        if r["sampler"] == sampler and r["cut"] == 0 and "value" in r and r["trial"] < trials
    }
    return sorted(values, key=lambda trial: -values[trial])[:best]


def winner(
    cell: tuple[str, str], records: list[dict[str, Any]], sampler: str
) -> dict[str, Any] | None:
    """The finalist with the best mean over the cuts; None before all of them are run."""
    best = None
    for trial in finalists(cell, records, sampler):
        runs = [
            r for r in records if r["sampler"] == sampler and r["trial"] == trial and "value" in r
        ]
        if len(runs) < effort(cell, sampler)[2]:
            return None
        values = [r["value"] for r in runs]
        row = {
            "settings": runs[0]["settings"],
            "epochs": round(statistics.mean(r["best_epoch"] for r in runs)),
            "mean": statistics.mean(values),
            "values": values,
            "trial": trial,
        }
        if best is None or row["mean"] > best["mean"]:
            best = row
    return best


def write(cell: tuple[str, str]) -> None:
    """Write each sampler's winner to properties/tuned."""
    records = read(file_of(cell))
    for sampler in SAMPLERS:
        found = winner(cell, records, sampler)
        if found is None:
            print(f"{sampler}: not finished")
            continue
        settings = dict(found["settings"])
        args = settings.pop("neg_sampler_args")
        content = {**MODEL[cell[1]], **BASE[cell], "epochs": found["epochs"], **settings}
        if args:
            content["neg_sampler_args"] = args
        if name_of(cell[1]) != cell[1]:  # of another width than what is shipped
            print(f"{sampler}: {found['mean']:.4f} {content}")
            continue
        path = ROOT / "properties" / "tuned" / cell[0] / cell[1] / f"{sampler}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = ", ".join(f"{value:.4f}" for value in found["values"])
        header = (
            f"# Found by benchmarks/search.py (trial {found['trial']} of "
            f"{effort(cell, sampler)[0]}): "
            f"validation NDCG@20 {values}\n# on cuts of training; epochs are for all of it.\n"
        )
        body = yaml.safe_dump(content, sort_keys=False)
        path.write_text(header + body, encoding="utf-8")
        if cell[0] == "ml-100k":  # Yahoo! R3 may not be shared, so nothing was run on it
            other = path.parents[2] / "yahoo-r3" / cell[1] / path.name
            other.parent.mkdir(parents=True, exist_ok=True)
            other.write_text(
                "# Not run on Yahoo! R3, which may not be shared: what was found on ML-100K.\n"
                + body,
                encoding="utf-8",
            )
        print(f"{sampler}: {found['mean']:.4f} {content}")


def report() -> str:
    """All that was searched and found, as Markdown."""
    parts = [REPORT]
    for cell, (trials, best, cuts) in EFFORT.items():
        records = read(file_of(cell))
        if cell in PAIRS:
            ranges = f"learning rate and reg_weight: {PAIRS[cell]}"
        else:
            ranges = "log-uniform " + ", ".join(
                f"{key} {low:g} to {high:g}" for key, (low, high) in RANGES[cell].items()
            )
            if cell in NARROW:
                ranges += f"; from trial {NARROW[cell][0]} on {NARROW[cell][1]}"
        base = ", ".join(
            f"{key} {value}" for key, value in {**MODEL[cell[1]], **BASE[cell]}.items()
        )
        rows = []
        for sampler in SAMPLERS:
            found = winner(cell, records, sampler)
            mine = [r for r in records if r["sampler"] == sampler and "value" in r]
            if found is None:
                rows.append([f"`{sampler}`", len(mine), "", "not finished"])
                continue
            values = [r["value"] for r in mine if r["cut"] == 0]
            settings = dict(found["settings"])
            args = settings.pop("neg_sampler_args")
            words = ", ".join(f"{k} {v}" for k, v in {**settings, **args}.items())
            rows.append(
                [
                    f"`{sampler}`",
                    len(mine),
                    f"{found['mean']:.4f}",
                    f"{words}, epochs {found['epochs']}",
                    f"{statistics.median(values):.4f}",
                    f"{sum(r['seconds'] for r in mine) / 60:.0f}",
                ]
            )
        own = (
            f"from the finalists of {' '.join(FROM[cell])}"
            if cell in FROM
            else f"drawn from `{OWN}`"
        )
        if cell in FROM_TRIALS:
            own += f"; from trial {FROM_TRIALS[cell]} on drawn as there"
        if cell in GIVEN_SINCE:
            own += f"; from trial {GIVEN_SINCE[cell]} on `{GIVEN[cell]}` in turn"
        elif cell in GIVEN:
            own = f"`{GIVEN[cell]}` in turn"
        heads = ["", "trials", "validation N@20", "settings", "median of stage 1", "minutes"]
        parts.append(
            f"## {cell[1]} on {cell[0]}\n\nFor each sampler {trials} trials, then {best} of "
            f"them on {cuts} cuts in all; {ranges}. Samplers' own parameters: {own}. Fixed "
            f"(epochs: the most): {base}.\n\n"
            + tabulate(rows, heads, tablefmt="github", disable_numparse=True)
        )
    return "\n\n".join(parts) + "\n"


def file_of(cell: tuple[str, str]) -> Path:
    """Where a cell's trials are."""
    return ROOT / "results" / "search" / f"{'-'.join(cell)}.jsonl"


def read(file: Path) -> list[dict[str, Any]]:
    """The lines of a search."""
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, choices=list(MODEL))
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data_path", required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trials at once")
    parser.add_argument("--samplers", default=",".join(SAMPLERS), help="with commas between")
    parser.add_argument("--write", action="store_true", help="write the winners, run nothing")
    args = parser.parse_args()
    words = (args.model, args.dataset, args.data_path)
    tuned_as = BNSConfig(name_of(args.model), args.dataset, None, {"data_path": args.data_path})[
        "tuned_as"
    ]
    cell = (tuned_as, args.model)
    if cell not in BASE:
        parser.error(f"no ranges for {args.model} on {args.dataset}; allowed: {list(BASE)}")
    if not args.write:
        search(cell, words, args.jobs, tuple(args.samplers.split(",")))
    write(cell)
    (ROOT / "results" / "search.md").write_text(report(), encoding="utf-8")


if __name__ == "__main__":
    main()
