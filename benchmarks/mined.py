"""Mined positives against plain training and EASE, on validation data cut from training alone.

    python benchmarks/mined.py --dataset amazon-tools-ahns --data_path DATA
    python benchmarks/mined.py --table

Every row of ROWS is trained once (seed 0, a random tenth of the training part for validation; the
test part is never looked at) and leaves a line of results/mined/<data>.jsonl with all evaluations;
the same command goes on with what the file lacks. Vectors are compared by their cosine in training
and in evaluation, as the loss is meant. ``--table`` writes the tables of results/mined.md.

Data sets of THINNED are a random part of the training interactions of another, made where they are
asked for: sparse data of other makings than those that the preset was searched on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import torch
from tabulate import tabulate
from torch import nn

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.mends import quiet
from recbole_bns.adapters.split import catalogue_of, open_data
from recbole_bns.common.locks import alone
from recbole_bns.runner import journal
from recbole_bns.runner.jobs import VALIDATE, Job
from recbole_bns.runner.pool import LocalProcesses
from recbole_bns.runner.run import run_all
from recbole_bns.sampling.mined import MineParams
from recbole_bns.sampling.priors.build import build_prior
from recbole_bns.sampling.priors.item_models import Ridge, ease
from recbole_bns.sampling.priors.pairs import PairTable, all_values, dense_values

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "results" / "mined"
DATA = ("amazon-tools-ahns", "amazon-beauty-dens", "ml-100k-bns", "ml-1m-ahns", "yelp2018")
THINNED = {
    "ml-1m-tenth": ("ml-1m-ahns", 0.1),
    "ml-100k-third": ("ml-100k-bns", 1 / 3),
    "yelp2018-third": ("yelp2018", 1 / 3),
}
"""Name, of what, and which part of its training interactions."""
METRICS = ("ndcg@20", "recall@20")
COMMON: dict[str, Any] = {
    "tuned": False,
    "show_progress": False,
    "use_gpu": False,
    "seed": 0,
    "valid_ratio": 0.1,
    "metrics": ["NDCG", "Recall"],
    "topk": [20],
    "valid_metric": "NDCG@20",
    "benchmark_filename": ["train", "test"],
    "load_col": {"inter": ["user_id", "item_id"]},
    "eval_args": {"mode": "full"},
}
SSM: dict[str, Any] = {
    "neg_sampler": "rns",
    "loss": "ssm",
    "loss_args.temperature": 0.2,
    "neg_shared": True,
    "neg_sample_num": 1024,
    "embedding_size": 64,
    "learning_rate": 0.005,
    "reg_weight": 0.001,
    "train_batch_size": 2048,
    "epochs": 40,
    "eval_step": 4,
    "stopping_step": 3,
}
MINE: dict[str, Any] = {
    "mine.prior": "ease",
    "mine.prior_l2": 200,
    "mine.share": 0.5,
    "mine.items": 10,
    "mine.exponent": 2,
    "mine.full_until": 0,
}
"""Lines without ``full_until`` are of before it was there: 0, for everybody in full. Of
two rows "full until 10" on ml-100k-bns one had it of the share alone; one "full until 20" is of a
square, (f / n)^2, which went."""
GCN = {"model": "LightGCN", "n_layers": 2, **SSM}
MF = {"model": "BPR", **SSM}
BPR = {key: v for key, v in MF.items() if not key.startswith(("loss", "neg_s"))}
BPR |= {"neg_sampler": "rns"}
SHARP = {"loss_args.temperature": 0.15, "neg_sample_num": 2048}
ROWS: dict[str, dict[str, Any]] = {
    "LightGCN": GCN,
    "LightGCN mined": {**GCN, **MINE},
    "LightGCN sharp": {**GCN, **SHARP},
    "LightGCN sharp mined": {**GCN, **SHARP, **MINE},
    "MF": MF,
    "MF mined": {**MF, **MINE},
    "LightGCN mined, share .3": {**GCN, **MINE, "mine.share": 0.3},
    "LightGCN mined, K 20, e 1": {**GCN, **MINE, "mine.items": 20, "mine.exponent": 1},
    "LightGCN mined, L2 60": {**GCN, **MINE, "mine.prior_l2": 60},
    "LightGCN mined, itemknn": {**GCN, **MINE, "mine.prior": "itemknn", "mine.prior_l2": 300},
    "MF bpr": BPR,
    "MF bpr mined": {**BPR, **MINE},
}
PRIOR_NEW = {"mine.prior_dropout": 0.33, "mine.prior_power": 0.25, "mine.prior_l2": 100}
"""EDLAE with users weighted: the best of what was tried on tools, see ``--priors``."""
NEW = {**GCN, **SHARP, **MINE, **PRIOR_NEW}
SEARCH: dict[str, dict[str, Any]] = {
    "new": NEW,
    "new, share .3": NEW | {"mine.share": 0.3},
    "new, share .7": NEW | {"mine.share": 0.7},
    "new, K 20": NEW | {"mine.items": 20},
    "new, K 20, e 1": NEW | {"mine.items": 20, "mine.exponent": 1},
    "new, K 5": NEW | {"mine.items": 5},
    "new, tau .1": NEW | {"loss_args.temperature": 0.1},
    "new, tau .2": NEW | {"loss_args.temperature": 0.2},
    "new, 3 layers": NEW | {"n_layers": 3},
    "new, 1 layer": NEW | {"n_layers": 1},
    "new, lr .002": NEW | {"learning_rate": 0.002},
    "new, lr .01": NEW | {"learning_rate": 0.01},
    "new, L2 .0001": NEW | {"reg_weight": 0.0001},
    "new, L2 .01": NEW | {"reg_weight": 0.01},
    "new, plain": {**GCN, **SHARP},
    "new, MF": {**MF, **SHARP, **MINE, **PRIOR_NEW},
    "new, L2 200, power .5": NEW | {"mine.prior_l2": 200, "mine.prior_power": 0.5},
    "new, d 128": NEW | {"embedding_size": 128},
}
DENSE = {"embedding_size": 32, "train_batch_size": 1024, "eval_step": 2, "stopping_step": 5}
PLUS: dict[str, Any] = {
    "model": "BPR",
    "neg_sampler": "bns_plus",
    "learning_rate": 0.0011,
    "reg_weight": 0.04,
    "neg_sampler_args.candidate_num": 40,
    "neg_sampler_args.gamma": 1,
    "neg_sampler_args.prior_scale": 1,
    **DENSE,
    "epochs": 60,
}
BETTER = {"prior_dropout": 0.5, "prior_power": 0.5, "prior_l2": 150}
OF_PLUS = {f"neg_sampler_args.{key}": value for key, value in BETTER.items()}
OF_MINE = {f"mine.{key}": value for key, value in BETTER.items()}
FEW = {**MF, **DENSE, "learning_rate": 0.003, "reg_weight": 0.01, "epochs": 60}
GBCE = {**PLUS, "loss": "gbce", "neg_sample_num": 8, "learning_rate": 0.003, "reg_weight": 0.01}
DENSE_SEARCH: dict[str, dict[str, Any]] = {
    "bns_plus": PLUS,
    "bns_plus, new prior": PLUS | OF_PLUS,
    "bns_plus, new prior, scale 2": PLUS | OF_PLUS | {"neg_sampler_args.prior_scale": 2},
    "ssm": FEW,
    "ssm mined": {**FEW, **MINE, **OF_MINE},
    "ssm mined, share .2": {**FEW, **MINE, **OF_MINE, "mine.share": 0.2},
    "ssm mined, share .2, K 50": {**FEW, **MINE, **OF_MINE, "mine.share": 0.2, "mine.items": 50},
    "bns_plus mined": {**PLUS, **OF_PLUS, **MINE, **OF_MINE, "mine.share": 0.2},
    "gbce": GBCE,
    "gbce, new prior": GBCE | OF_PLUS,
    "gbce, new prior, mined": {**GBCE, **OF_PLUS, **MINE, **OF_MINE, "mine.share": 0.2},
}
FEWER = {"eval_step": 2, "stopping_step": 5, "epochs": 60}
SOFT: dict[str, dict[str, Any]] = {
    "MF ssm d64": {**MF, **FEWER},
    "GCN ssm": {**GCN, **FEWER},
    "GCN ssm, tau .15": {**GCN, **FEWER, "loss_args.temperature": 0.15},
    "GCN ssm, tau .1": {**GCN, **FEWER, "loss_args.temperature": 0.1},
    "GCN ssm, tau .3": {**GCN, **FEWER, "loss_args.temperature": 0.3},
    "GCN ssm, lr .002": {**GCN, **FEWER, "learning_rate": 0.002},
    "GCN bns_plus ssm": {
        **{key: v for key, v in GCN.items() if key != "neg_shared"},
        **FEWER,
        **OF_PLUS,
        "neg_sampler": "bns_plus",
        "neg_sample_num": 8,
    },
    "GCN ssm mined, share .1": {**GCN, **FEWER, **MINE, **OF_MINE, "mine.share": 0.1},
    "GCN bns_plus": {
        **PLUS,
        **OF_PLUS,
        "model": "LightGCN",
        "n_layers": 1,
        "learning_rate": 0.001,
        "reg_weight": 0.006,
    },
    "GCN bns_plus, old prior": {
        **PLUS,
        "model": "LightGCN",
        "n_layers": 1,
        "learning_rate": 0.001,
        "reg_weight": 0.006,
    },
}
ROWS |= SEARCH | DENSE_SEARCH | SOFT
OF_WEIGHT = {f"loss_weight_args.{key}": value for key, value in BETTER.items()}
AGAIN = {**MF, **FEWER}
ROWS |= {
    "MF ssm d64, posterior": {**AGAIN, "loss_weight": "posterior", **OF_WEIGHT},
    "MF ssm d64, tau .25": {**AGAIN, "loss_args.temperature": 0.25},
    "MF ssm d64, mined, share .1": {**AGAIN, **MINE, **OF_MINE, "mine.share": 0.1},
    "bns_plus, new prior, gamma 2": PLUS | OF_PLUS | {"neg_sampler_args.gamma": 2},
    "bns_plus, new prior, L2 400": PLUS | OF_PLUS | {"neg_sampler_args.prior_l2": 400},
    "bns_plus, new prior, d 64": PLUS | OF_PLUS | {"embedding_size": 64},
}
ONE_LAYER = {"model": "LightGCN", "n_layers": 1, "learning_rate": 0.001, "reg_weight": 0.006}
AGAINST = {
    "bns_plus": PLUS,
    "bns_plus, new prior": PLUS | OF_PLUS,
    "bns_plus, new prior, gamma 2": PLUS | OF_PLUS | {"neg_sampler_args.gamma": 2},
}
CUTS = {
    f"{name}, cut {cut}": row | {"seed": cut} for name, row in AGAINST.items() for cut in (1, 2)
}
CUTS |= {f"GCN {name}": row | ONE_LAYER for name, row in CUTS.items()}
CUTS |= {"GCN bns_plus, new prior, gamma 2": AGAINST["bns_plus, new prior, gamma 2"] | ONE_LAYER}
ROWS |= CUTS
SHIPS = NEW | {"learning_rate": 0.003, "eval_step": 2, "stopping_step": 5}
ROWS |= {"as it ships": SHIPS, "as it ships, MF": {**SHIPS, "model": "BPR"}}
del ROWS["as it ships, MF"]["n_layers"]
UNTIL = {"mine.full_until": 10}
for name in ("as it ships", "as it ships, MF"):
    ROWS[f"{name}, full until 10"] = ROWS[name] | UNTIL
ROWS["MF ssm d64, mined, both full until 10"] = {**AGAIN, **MINE, **OF_MINE, **UNTIL}
PLUS_1M: dict[str, Any] = {
    "model": "BPR",
    "neg_sampler": "bns_plus",
    "learning_rate": 0.003,
    "reg_weight": 0.02,
    "neg_sampler_args.candidate_num": 40,
    "neg_sampler_args.gamma": 2,
    "neg_sampler_args.prior_scale": 1,
    "neg_sampler_args.prior_l2": 500,
    "embedding_size": 64,
    "train_batch_size": 2048,
    "epochs": 36,
    "eval_step": 3,
    "stopping_step": 3,
}
ROWS |= {
    "1M bns_plus": PLUS_1M,
    "1M bns_plus, new prior": PLUS_1M | OF_PLUS | {"neg_sampler_args.prior_l2": 500},
    "1M bns_plus, new prior, scale 2": PLUS_1M
    | OF_PLUS
    | {"neg_sampler_args.prior_l2": 500, "neg_sampler_args.prior_scale": 2},
    "1M bns_plus, new prior, L2 300": PLUS_1M | OF_PLUS | {"neg_sampler_args.prior_l2": 300},
}
LARGE = {**MF, **SHARP, "epochs": 18, "eval_step": 3, "stopping_step": 2}
ROWS |= {
    "large MF": LARGE,
    "large MF, tau .1": LARGE | {"loss_args.temperature": 0.1},
    "large MF mined": {**LARGE, **MINE, **PRIOR_NEW},
    "large MF mined, share .2": {**LARGE, **MINE, **PRIOR_NEW, "mine.share": 0.2},
    "large MF mined, full until 10": {**LARGE, **MINE, **PRIOR_NEW, **UNTIL},
    "large MF mined, L2 300": {**LARGE, **MINE, **PRIOR_NEW, "mine.prior_l2": 300},
}
ROWS["large MF mined, full until 10, tau .1"] = ROWS["large MF mined, full until 10"] | {
    "loss_args.temperature": 0.1
}
LONGER = {"loss_args.temperature": 0.12, "learning_rate": 0.003, "epochs": 24}
ROWS["large MF mined, as it ships, tau 0.12"] = ROWS["large MF mined, full until 10"] | LONGER
ROWS["large MF, lr .003, tau 0.12"] = LARGE | LONGER
for name in ("as it ships, full until 10", "as it ships, MF, full until 10"):
    for tau in (0.1, 0.12):
        ROWS[f"{name}, tau {tau:g}"] = ROWS[name] | {"loss_args.temperature": tau}
AUTO = {"loss_args.temperature": "auto"}
AS_IT_SHIPS = ROWS["as it ships, MF, full until 10, tau 0.12"] | AUTO
PLAIN = {key: value for key, value in AS_IT_SHIPS.items() if not key.startswith("mine.")}
ROWS |= {"preset, MF": AS_IT_SHIPS, "preset, MF, nothing mined": PLAIN}
for tau in (0.12, 0.15, 0.2):
    given = {"loss_args.temperature": tau}
    ROWS[f"preset, MF, tau {tau:g}".replace("0.", ".")] = AS_IT_SHIPS | given
    ROWS[f"preset, MF, tau {tau:g}, nothing mined".replace("0.", ".")] = PLAIN | given
ROWS |= {
    "MF bns_plus as it ships": {
        **BPR,
        "neg_sampler": "bns_plus",
        "learning_rate": 0.003,
        "reg_weight": 0.02,
        "eval_step": 2,
        "stopping_step": 5,
    },
}
HALVED_DOUBLED: dict[str, tuple[Any, Any]] = {
    "mine.share": (0.25, 1.0),
    "mine.items": (5, 20),
    "loss_args.temperature": (0.08, 0.32),  # of .16
    "mine.full_until": (5, 20),
    "mine.exponent": (1, 4),
    "learning_rate": (0.0015, 0.006),
    "mine.prior_l2": (50, 200),
    "neg_sample_num": (1024, 4096),
    "reg_weight": (0.0005, 0.002),
}
"""Of each setting that `--preset=mined-ssm` carries half and double (sensitivity)."""
SENSITIVE = {
    f"preset, MF, {key} {value:g}": AS_IT_SHIPS | {key: value}
    for key, both in HALVED_DOUBLED.items()
    for value in both
}
ROWS |= SENSITIVE
PLUS_SHIPS = "bns_plus, new prior, gamma 2"
"""The row of `--preset=bns-plus` on ML-100K, with MF and its tuned learning rate and L2."""
PLUS_HALVED_DOUBLED: dict[str, tuple[Any, Any]] = {
    "candidate_num": (20, 80),
    "gamma": (1, 4),
    "prior_scale": (0.5, 2),
    "prior_l2": (75, 300),
    "prior_dropout": (0.25, 0.0),  # twice is all
    "prior_power": (0.25, 1.0),
}
PLUS_SENSITIVE = {
    f"{PLUS_SHIPS}, {key} {value:g}": ROWS[PLUS_SHIPS] | {f"neg_sampler_args.{key}": value}
    for key, both in PLUS_HALVED_DOUBLED.items()
    for value in both
}
ROWS |= PLUS_SENSITIVE
BY_SAMPLER = {**BPR, "learning_rate": 0.003, "epochs": 36, "eval_step": 3, "stopping_step": 3}
ROWS |= {
    f"large MF {sampler}, L2 {l2:g}": {**BY_SAMPLER, "neg_sampler": sampler, "reg_weight": l2}
    for sampler in ("rns", "dns", "bns_plus")
    for l2 in (0.02, 0.005)
}
WEIGHED = {"loss": "bsl", "loss_args.temperature": 0.16}
"""The temperature that `auto` comes to on both sets of Amazon's."""
ROWS |= {
    f"preset, MF, bsl, c {c:g}": AS_IT_SHIPS | WEIGHED | {"loss_args.negative_weight": c}
    for c in (1.05, 1.1, 1.2)
}
PRESET_GCN = ROWS["as it ships, full until 10, tau 0.12"] | AUTO
ROWS["preset, LightGCN"] = PRESET_GCN
ROWS["preset, LightGCN, batch 8192, lr .006"] = PRESET_GCN | {
    "train_batch_size": 8192,
    "learning_rate": 0.006,
}
OF_FIELD: dict[str, Any] = {
    **MF,
    **DENSE,
    "learning_rate": 0.003,
    "loss_args.temperature": 0.18,
    "epochs": 60,
    "eval_step": 3,
    "stopping_step": 3,
}
"""The cell rns/mined + ssm of field.py on ML-100K, but for the mining."""
TENTH = {"mine.share": 0.1, "mine.items": 5, "mine.exponent": 3}
GENTLE = {
    "nothing mined": {},
    "a tenth mined": TENTH,
    "a tenth mined, of everybody": TENTH | {"mine.full_until": 0},
    "a tenth mined, full until 30": TENTH | {"mine.full_until": 30},
    "half mined": TENTH | {"mine.share": 0.5},
    "half mined, K 10": TENTH | {"mine.share": 0.5, "mine.items": 10},
    "a thousandth mined": TENTH | {"mine.share": 0.001},
    "5 spared of everybody": TENTH | {"mine.share": 0.0001, "mine.full_until": 0},
    "20 spared of everybody": TENTH
    | {"mine.share": 0.0001, "mine.full_until": 0, "mine.items": 20},
}
"""Whether the mining does it, or the temperature beside it: the same with and without."""
ROWS |= {
    f"field, {model}, {name}, cut {cut}": OF_FIELD | by | mining | {"seed": cut}
    for model, by in (("MF", {}), ("LightGCN", {"model": "LightGCN", "n_layers": 2}))
    for name, mining in GENTLE.items()
    for cut in (0, 1, 2)
}
DNS_TUNED: dict[str, Any] = {
    **BPR,
    **DENSE,
    "neg_sampler": "dns",
    "neg_sampler_args.candidate_num": 8,
    "learning_rate": 0.0014,
    "reg_weight": 0.024,
    "epochs": 80,
}
"""MF on ML-100K as properties/tuned/ has it."""
ROWS |= {
    f"dns as tuned, {spare} spared, cut {cut}": DNS_TUNED
    | {"mine.share": 0, "mine.spare": spare, "seed": cut}
    for spare in (0, 3, 10, 30)
    for cut in (0, 1, 2)
}
ROWS["preset, MF, only spared"] = AS_IT_SHIPS | {"mine.share": 0.0001}
"""What may be mined is no negative, and next to nothing is mined."""
FALLING = {"start": 0.5, "step": -0.02, "stop": 0.0}
"""The share falls to nothing within 25 epochs."""
ROWS["preset, MF, tau .12, share to 0"] = ROWS["preset, MF, tau .12"] | {"mine.share": FALLING}
EASE = {"EASE, L2 60": 60.0, "EASE, L2 200": 200.0, "EASE, L2 300": 300.0}
"""Rows that are no training: EASE by its L2, solved whole."""
PRIOR = {
    "prior, L2 60": 60.0,
    "prior, L2 200": 200.0,
    "prior, L2 300": 300.0,
    "prior as it ships": None,
}
"""The prior as it mines: beyond 16,000 items (10,000 in rows of old) EASE on the 200 nearest."""
EVERY = [*EASE, *PRIOR, *ROWS]


def read(dataset: str) -> list[dict[str, Any]]:
    """The lines of a data set."""
    file = FOLDER / f"{dataset}.jsonl"
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def add(line: Mapping[str, Any]) -> None:
    """Write the line of a trial."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{line['dataset']}.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line) + "\n")


def tell(job: Job, record: Mapping[str, Any]) -> str:
    """Keep what a trial came to, and say it."""
    if record["status"] != journal.DONE:
        return f"{job.name} FAILED: {record['error']}"
    result = record["result"]
    line = {"row": job.name, "dataset": job.dataset, "model": job.model, **record}
    line = {key: line[key] for key in ("row", "dataset", "model", "settings")}
    line["evaluations"] = [
        [epoch, {name: round(value, 6) for name, value in metrics.items()}]
        for epoch, metrics in result["evaluations"]
    ]
    line |= {"epochs": result["epochs"], "seconds": round(result["seconds"], 1)}
    add(line)
    shutil.rmtree(job.folder, ignore_errors=True)
    job.journal.unlink()
    return f"{job.name}: {words(line)}"


def best(line: Mapping[str, Any]) -> tuple[int, dict[str, float]]:
    """Epoch and metrics of the evaluation that would be chosen."""
    return max(line["evaluations"], key=lambda each: each[1][METRICS[0]])


def words(line: Mapping[str, Any]) -> str:
    """The best evaluation of a trial."""
    epoch, metrics = best(line)
    values = " / ".join(f"{metrics[name]:.4f}" for name in METRICS)
    return f"{values}, epoch {epoch} of {line['epochs']}, {line['seconds']:.0f} s"


def thinned(dataset: str, data_path: str) -> str:
    """Write a data set of THINNED, if it is one; the folder in which the data set lies."""
    if dataset not in THINNED:
        return data_path
    source, part = THINNED[dataset]
    place = ROOT / "runs" / "thinned" / dataset
    place.mkdir(parents=True, exist_ok=True)
    kept: dict[str, pd.DataFrame] = {}
    for split in ("train", "test"):
        frame = pd.read_csv(Path(data_path) / source / f"{source}.{split}.inter", sep="\t")
        if split == "train":
            frame = frame.sample(frac=part, random_state=0).sort_index()
        else:  # of whom and what is left; nothing looks at it
            left = kept["train"]
            frame = frame[
                frame.iloc[:, 0].isin(left.iloc[:, 0]) & frame.iloc[:, 1].isin(left.iloc[:, 1])
            ]
        kept[split] = frame
        frame.to_csv(place / f"{dataset}.{split}.inter", sep="\t", index=False)
    return str(place.parent)


def run(dataset: str, data_path: str, rows: list[str], at_once: int) -> None:
    """Train the rows that the file lacks."""
    folder = ROOT / "runs" / "mined" / dataset
    for place in (folder, FOLDER):
        place.mkdir(parents=True, exist_ok=True)
    done = {line["row"] for line in read(dataset)}
    jobs = []
    for row in rows:
        own = {key: value for key, value in ROWS[row].items() if key != "model"}
        if row not in done:
            jobs.append(
                Job(
                    name=row,
                    model=ROWS[row]["model"],
                    dataset=dataset,
                    config_files=None,
                    settings={**COMMON, "data_path": data_path, **own},
                    folder=folder / row.replace(" ", "-").replace(",", ""),
                    epochs=own["epochs"],
                    record={"settings": own},
                    task=VALIDATE,
                )
            )
    with alone(folder, f"another look is at work on {dataset}; wait for it."):
        run_all(jobs, LocalProcesses(), at_once, title=f"mined {dataset}", tell=tell)


def rank(dataset: str, data_path: str, row: str) -> None:
    """Evaluate a prior's values as they are, by the formulas of RecBole's NDCG and recall."""
    settings = {**COMMON, "data_path": data_path, "neg_sampler": "rns", "train_batch_size": 2048}
    config = BNSConfig("BPR", dataset, None, settings)
    with quiet():
        parts = open_data(config).parts
    began = perf_counter()
    catalogue, held = catalogue_of(parts["train"]), catalogue_of(parts["valid"])
    l2 = (EASE | PRIOR)[row]
    if row in EASE:
        prior: nn.Module = PairTable(dense_values(catalogue, ease(catalogue, Ridge(l2))))
    else:
        own = {} if l2 is None else {"prior_l2": l2, "prior_dropout": 0.0, "prior_power": 0.0}
        prior = build_prior(MineParams(**own), catalogue, {})
    cut = 20
    discount = 1 / torch.arange(2, cut + 2).double().log2()
    ideal = discount.cumsum(0)
    sums, number = torch.zeros(2, dtype=torch.float64), 0
    for users, values in all_values(prior, catalogue):
        wanted = held.indptr.diff()[users]
        values = values.masked_fill(catalogue.positive_mask(users), -torch.inf)
        values[:, 0] = -torch.inf
        hits = held.is_positive(users.unsqueeze(1), values.topk(cut).indices).double()
        has = wanted > 0
        ndcg = (hits @ discount)[has] / ideal[wanted[has].clamp(max=cut) - 1]
        recall = hits.sum(1)[has] / wanted[has]
        sums += torch.stack((ndcg.sum(), recall.sum()))
        number += int(has.sum())
    found = dict(zip(METRICS, (round(float(v) / number, 6) for v in sums), strict=True))
    line = {"row": row, "dataset": dataset, "model": "EASE", "settings": {"l2": l2}}
    line |= {"evaluations": [[1, found]], "epochs": 1}
    add({**line, "seconds": round(perf_counter() - began, 1)})
    print(f"{row}: {words(line | {'seconds': perf_counter() - began})}")


def settings_of(line: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    """What a trial has other than the row that it stands below."""
    own = line["settings"]
    changed = [f"{key} {value}" for key, value in own.items() if base.get(key) != value]
    gone = [f"no {key}" for key in base if key not in own]
    return ", ".join(sorted(changed) + sorted(gone)) or "the same"


def table(dataset: str) -> str:
    """The trials of a data set, the best first, and what each has other than the best."""
    lines = sorted(read(dataset), key=lambda line: -best(line)[1][METRICS[0]])
    first = next(line for line in lines if line["model"] != "EASE")["settings"]
    rows = []
    for line in lines:
        epoch, metrics = best(line)
        what = "" if line["model"] == "EASE" else settings_of(line, first)
        values = [f"{metrics[name]:.4f}" for name in METRICS]
        rows.append([line["row"], line["model"], *values, f"{epoch} of {line['epochs']}", what])
    heads = ["trial", "model", *METRICS, "best epoch", "other than the best"]
    told = ", ".join(f"{key} {value}" for key, value in first.items())
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True) + f"\n\nBest: {told}."


def page() -> str:
    """results/mined.md: the text that stands before the tables, and the tables."""
    file = ROOT / "results" / "mined.md"
    text = file.read_text(encoding="utf-8").partition(TRIALS)[0].rstrip("\n")
    parts = [f"## {dataset}\n\n{table(dataset)}" for dataset in (*DATA, *THINNED) if read(dataset)]
    return "\n\n".join([text, TRIALS, *parts]) + "\n"


TRIALS = "<!-- From here on written by benchmarks/mined.py --table. -->"


def main() -> int:
    """Train, or show."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", choices=(*DATA, *THINNED), default=DATA[0])
    parser.add_argument("--data_path")
    parser.add_argument("--rows", nargs="+", metavar="ROW", choices=EVERY, default=EVERY)
    parser.add_argument(
        "--sensitivity",
        action="store_true",
        help="the rows of SENSITIVE, or of PLUS_SENSITIVE on ML-100K",
    )
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    parser.add_argument("--table", action="store_true", help="write results/mined.md")
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    if options.table:
        (ROOT / "results" / "mined.md").write_text(page(), encoding="utf-8")
        return 0
    if options.sensitivity:
        dense = options.dataset == "ml-100k-bns"
        options.rows = [PLUS_SHIPS, *PLUS_SENSITIVE] if dense else ["preset, MF", *SENSITIVE]
    done = {line["row"] for line in read(options.dataset)}
    place = thinned(options.dataset, options.data_path)
    for row in options.rows:
        if row not in ROWS and row not in done:
            rank(options.dataset, place, row)
    rows = [row for row in options.rows if row in ROWS]
    if rows:
        run(options.dataset, place, rows, options.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
