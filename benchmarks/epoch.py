"""Time whole training epochs: stock RecBole and ours, alternating in one process.

    python benchmarks/epoch.py                        # everything; the stock LightGCN rows are slow
    python benchmarks/epoch.py --models BPR --rows stock-uniform floor rns dns bns
    python benchmarks/epoch.py --models BPR --rows stock-uniform ssm-1024 ssm-all --memory
    python benchmarks/epoch.py --models SASRec --rows stock-ce gbce-256 --batches 5
    python benchmarks/epoch.py --setup                # reading, preparing and evaluating only
    python benchmarks/epoch.py --json speed.json

Every row has its own model, loader and trainer; in each round every row trains one epoch through
RecBole's trainer (`_train_epoch`), in turn and beginning with another one each time, so that a
noisy machine disturbs them alike. The first round warms up. Printed are medians, the ratios that
matter, and with --memory each row's peak resident memory in a process of its own. `--setup` times
what else a user waits for, with the default settings of each, also in turn.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from recbole.data import create_dataset
from recbole.data.utils import create_samplers, get_dataloader
from recbole.utils import get_model, init_seed
from recbole.utils import get_trainer as stock_trainer
from tabulate import tabulate

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.mends import quiet, tensorboard_in
from recbole_bns.sampling import NegativeSampler
from recbole_bns.training.loaders import data_preparation
from recbole_bns.training.trainer import get_trainer

HERE = Path(__file__).parent
SHARED = HERE.parent.parent / "shared" / "data"
STOCK = {
    "stock-uniform": {"distribution": "uniform", "sample_num": 1},
    "stock-popularity": {"distribution": "popularity", "sample_num": 1},
    "stock-dynamic5": {
        "distribution": "uniform",
        "sample_num": 1,
        "dynamic": True,
        "candidate_num": 5,
    },
}
OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "floor": ("rns", {}),
    "rns": ("rns", {}),
    "pns": ("pns", {}),
    "dns5": ("dns", {"candidate_num": 5}),
    "ahns32": ("ahns", {"candidate_num": 32}),
    "srns8+8": ("srns", {"memory_num": 8, "new_num": 8, "warmup_epochs": 1}),
    "aobpr-factor": ("aobpr", {}),
    "aobpr-global": ("aobpr", {"definition": "global"}),
    "bns-exact": ("bns", {}),
    "bns-estimated": ("bns", {"cdf": "estimated", "cdf_items": 256}),
    "dns20": ("dns", {"candidate_num": 20}),
    "bns_plus": ("bns_plus", {}),
}
SHARED_1024 = {"neg_shared": True, "neg_sample_num": 1024}
LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    "ssm-1024": ("rns", {"loss": "ssm", **SHARED_1024}),
    "bsl-1024": ("rns", {"loss": "bsl", **SHARED_1024}),
    "gbce-1024": ("rns", {"loss": "gbce", **SHARED_1024}),
    "ssm-inbatch": ("inbatch", {"loss": "ssm"}),
    "ssm-all": ("all", {"loss": "ssm"}),
    "ssm-own64": ("rns", {"loss": "ssm", "neg_sample_num": 64}),
    "ssm-posterior": ("rns", {"loss": "ssm", "loss_weight": "posterior", **SHARED_1024}),
    "gbce-256": ("rns", {"loss": "gbce", "neg_sample_num": 256}),
    "gbce-shared256": ("rns", {"loss": "gbce", "neg_sample_num": 256, "neg_shared": True}),
    "mixgcf64": ("rns", {"mixer": "mixgcf"}),
    "dens6": ("rns", {"mixer": "dens"}),
    "dins64": ("rns", {"mixer": "dins"}),
    "dcans64": ("rns", {"mixer": "dcans"}),
}
"""Rows under a loss over many negatives: sampler and settings."""
CE = "stock-ce"
"""RecBole's cross-entropy over all items, which its sequential models have."""
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "BPR": ("BPR", {}),
    "LightGCN-1": ("LightGCN", {"n_layers": 1}),
    "LightGCN-2": ("LightGCN", {"n_layers": 2}),
    "LightGCN-3": ("LightGCN", {"n_layers": 3}),
    "SASRec": ("SASRec", {}),
}
SEQUENTIAL = ("SASRec",)
FACTORS = [name for name in MODELS if name not in (*SEQUENTIAL, "LightGCN-2")]
ROWS = [*STOCK, *OURS, *LOSSES, CE]
BARS = [  # (model, row, reference, at most)
    ("BPR", "floor", "stock-uniform", 0.25),
    *(("BPR", row, "floor", 1.3) for row in ("rns", "pns")),
    *(
        ("BPR", row, "stock-uniform", 0.45)
        for row in ("dns5", "bns_plus", "ahns32", "aobpr-factor")
    ),
    *(("BPR", row, "stock-uniform", 0.75) for row in ("srns8+8", "aobpr-global", "bns-estimated")),
    ("BPR", "bns-exact", "stock-uniform", 1.0),
    ("BPR", "dns5", "stock-dynamic5", 0.35),
    ("LightGCN-1", "bns-exact", "stock-uniform", 0.2),
    ("LightGCN-2", "mixgcf64", "stock-uniform", 1.5),
    ("LightGCN-3", "dns5", "stock-uniform", 0.25),
    ("BPR", "ssm-1024", "stock-uniform", 3.0),
    ("BPR", "ssm-all", "stock-uniform", 6.0),
    ("SASRec", "gbce-256", CE, 1.0),
]


class Drawn(NegativeSampler):
    """Negatives drawn beforehand: the limit of what a sampler can cost."""

    name = "drawn"
    idea = "negatives drawn beforehand"
    paper = "none"

    def __init__(self, sampler: NegativeSampler, users: torch.Tensor) -> None:
        super().__init__(sampler.catalogue)
        self.ids = sampler.proposal.draw(users, 1, sampler.generator)
        self.place = 0

    def sample(self, users: Any, items: Any, n: int, scorer: Any) -> torch.Tensor:
        """The next ones, whoever the users are."""
        if self.place + len(users) > len(self.ids):
            self.place = 0
        self.place += len(users)
        return self.ids[self.place - len(users) : self.place]


def generated(folder: Path, users: int = 6040, items: int = 3706, pairs: int = 1_000_209) -> None:
    """Write a data set of ML-1M's shape: popularity and activity follow power laws."""
    rng = np.random.default_rng(0)
    activity = 1 / (np.arange(users) + 30) ** 0.7
    popularity = 1 / (np.arange(items) + 50) ** 0.9
    keys: np.ndarray = np.empty(0, dtype=np.int64)
    while len(keys) < pairs:
        u = rng.choice(users, pairs, p=activity / activity.sum())
        i = rng.choice(items, pairs, p=popularity / popularity.sum())
        keys = np.unique(np.concatenate((keys, u.astype(np.int64) * items + i)))
    keys = rng.permutation(keys)[:pairs]
    place = folder / "ml-1m-ahns"
    place.mkdir(parents=True)
    for part, rows in (("train", keys[: pairs * 4 // 5]), ("test", keys[pairs * 4 // 5 :])):
        with (place / f"ml-1m-ahns.{part}.inter").open("w") as file:
            file.write("user_id:token\titem_id:token\n")
            np.savetxt(file, np.stack((rows // items, rows % items), 1), "%d", "\t")


class Beginning:
    """The first batches of a loader's epoch."""

    def __init__(self, loader: Any, batches: int) -> None:
        self.loader, self.batches = loader, batches

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self.loader), self.batches)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)


class Row:
    """One line of the table: a loader, a model and a trainer of its own."""

    def __init__(
        self, name: str, model: str, settings: Mapping[str, Any], parts: Any, batches: int | None
    ) -> None:
        self.name, self.seconds = name, list[float]()
        self.epoch = 0
        model_name, model_settings = MODELS[model]
        chosen = {**settings, **model_settings, "model": model_name}
        if model in SEQUENTIAL:
            chosen["hidden_size"] = chosen.pop("embedding_size")
        if name in STOCK:
            chosen |= {"neg_sampler": "none", "train_neg_sample_args": dict(STOCK[name])}
        elif name == CE:
            chosen |= {"neg_sampler": "none", "loss_type": "CE", "train_neg_sample_args": None}
        elif name in LOSSES:
            sampler, own = LOSSES[name]
            chosen |= {"neg_sampler": sampler, **own}
        else:
            sampler, args = OURS[name]
            chosen |= {"neg_sampler": sampler, "neg_sampler_args": args}
        config = BNSConfig(config_dict=chosen)
        dataset = parts
        init_seed(0, True)
        if name in (*STOCK, CE):
            built = [dataset["train"], dataset["test"], dataset["test"]]
            sampler = create_samplers(config, dataset["all"], built)[0]
            self.data = get_dataloader(config, "train")(
                config, dataset["train"], sampler, shuffle=True
            )
            base = stock_trainer
        else:
            from recbole_bns.adapters.dataloader import BNSTrainDataLoader
            from recbole_bns.training.loaders import create_samplers as ours

            start = perf_counter()
            sampler, _ = ours(config, {"train": dataset["train"]})
            print(f"{name}: sampler made in {perf_counter() - start:.2f} s", file=sys.stderr)
            if name == "floor":
                users = dataset["train"].inter_feat[dataset["train"].uid_field]
                sampler.core = Drawn(sampler.core, users)
            self.data = BNSTrainDataLoader(config, dataset["train"], sampler, shuffle=True)
            base = get_trainer
        init_seed(0, True)
        net = get_model(model_name)(config, dataset["train"]).to(config["device"])
        self.trainer = base(config["MODEL_TYPE"], model_name)(config, net)
        if getattr(self.data, "get_model", None):
            self.data.get_model(net)
        if batches:
            self.data = Beginning(self.data, batches)

    def run(self) -> None:
        """Train one epoch."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        start = perf_counter()
        self.trainer._train_epoch(self.data, self.epoch)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds.append(perf_counter() - start)
        self.epoch += 1


def prepare(name: str, folder: Path, model: str = "BPR") -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and the parts of a data set; RecBole's own ML-100K, with times, for sequences."""
    settings: dict[str, Any] = {
        "dataset": "ml-100k-bns" if name == "ml-100k" else "ml-1m-ahns",
        "data_path": str(SHARED),
        "embedding_size": 64,
        "train_batch_size": 2048,
        "valid_ratio": 0,
        "show_progress": False,
        "checkpoint_dir": str(folder / "saved"),
        "tuned": False,
    }
    if model in SEQUENTIAL:
        settings |= {"dataset": "ml-100k", "valid_ratio": None}
        del settings["data_path"]
    elif not (SHARED / settings["dataset"]).is_dir():
        if name == "ml-100k":
            settings |= {"dataset": "ml-100k"}
            del settings["data_path"]
        else:
            if not (folder / "ml-1m-ahns").is_dir():
                generated(folder)
            settings["data_path"] = str(folder)
    whole = {**settings, "model": "BPR", "neg_sampler": "rns"}
    if model in SEQUENTIAL:
        del whole["embedding_size"]
        whole |= {"model": model, "neg_sampler": "none", "loss_type": "CE"}
        whole["train_neg_sample_args"] = None
    config = BNSConfig(config_dict=whole)
    dataset = create_dataset(config)
    train, _, test = data_preparation(config, dataset)
    return settings, {"train": train._dataset, "test": test._dataset, "all": dataset}


def measure(
    data: str, model: str, names: list[str], rounds: int, batches: int | None, folder: Path
) -> dict[str, list[float]]:
    """Seconds of each epoch by row, the warm-up left out."""
    settings, parts = prepare(data, folder, model)
    with tensorboard_in(folder / "tensorboard"):
        rows = [Row(name, model, settings, parts, batches) for name in names]
    gc.collect()
    gc.freeze()  # stock RecBole's sets would be walked through in the middle of the others' epochs
    for number in range(rounds + 1):
        first = number * len(rows) // (rounds + 1)  # who comes after whom changes with the round
        for row in rows[first:] + rows[:first]:
            row.run()
            print(
                f"{data} {model} round {number} {row.name} {row.seconds[-1]:.2f} s", file=sys.stderr
            )
    return {row.name: row.seconds[1:] for row in rows}


def measure_setup(data: str, rounds: int, folder: Path) -> dict[str, list[float]]:
    """Seconds to read, prepare and evaluate a data set, stock and ours in turn."""
    settings, _ = prepare(data, folder)
    settings["model"] = "BPR"
    found: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for whose in ("stock", "ours"):
            chosen = settings | {"neg_sampler": "none" if whose == "stock" else "rns"}
            if whose == "stock":
                chosen["eval_batch_size"] = 4096  # RecBole's default
            config = BNSConfig(config_dict=chosen)
            start = perf_counter()
            dataset = create_dataset(config)
            middle = perf_counter()
            parts = data_preparation(config, dataset)
            end = perf_counter()
            net = get_model("BPR")(config, parts[0]._dataset).to(config["device"])
            with tensorboard_in(folder / "tensorboard"):
                maker = stock_trainer if whose == "stock" else get_trainer
                trainer = maker(config["MODEL_TYPE"], "BPR")(config, net)
            begin = perf_counter()
            trainer.evaluate(parts[2], load_best_model=False)
            times = (middle - start, end - middle, perf_counter() - begin)
            for what, seconds in zip(("read", "prepare", "evaluate"), times, strict=True):
                found.setdefault(f"{what}, {whose}", []).append(seconds)
        print(f"{data} setup round {number}", file=sys.stderr)
    return {name: seconds[1:] for name, seconds in found.items()}


def peak_memory(data: str, model: str, name: str) -> int:
    """Peak resident MiB of a process that trains this row for one epoch."""
    command = [sys.executable, __file__, "--data", data, "--models", model, "--rows", name]
    done = subprocess.run(
        [*command, "--rounds", "1", "--child"], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1])


def main() -> int:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", default=["ml-1m"], choices=["ml-100k", "ml-1m"])
    parser.add_argument("--models", nargs="+", default=FACTORS, choices=list(MODELS))
    parser.add_argument("--rows", nargs="+", default=[*STOCK, *OURS], choices=ROWS)
    parser.add_argument("--rounds", type=int, default=3, help="timed epochs a row")
    parser.add_argument("--batches", type=int, help="of each epoch, instead of all")
    parser.add_argument("--memory", action="store_true", help="also peak memory, a process a row")
    parser.add_argument("--setup", action="store_true", help="reading, preparing, evaluating only")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    result: dict[str, Any] = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads"
        + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""),
        "torch": torch.__version__,
        "seconds": {},
    }
    with tempfile.TemporaryDirectory() as temporary, quiet():
        for data in options.data:
            if options.setup:
                times = measure_setup(data, options.rounds, Path(temporary))
                result["seconds"][f"{data} setup"] = times
                rows = [[name, statistics.median(seconds)] for name, seconds in times.items()]
                print(f"\n{data}\n{tabulate(rows, ['', 's'], tablefmt='github', floatfmt='.2f')}")
                continue
            for model in options.models:
                names, rounds, batches = options.rows, options.rounds, options.batches
                times = measure(data, model, names, rounds, batches, Path(temporary))
                if options.child:
                    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
                    return 0
                name = "ml-100k" if model in SEQUENTIAL else data
                result["seconds"][f"{name} {model}"] = times
                print_table(name, model, times, options.memory)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def print_table(data: str, model: str, times: dict[str, list[float]], memory: bool) -> None:
    """Medians, ratios to stock uniform and the floor, and the bars that hold or fall."""
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    rows = []
    for name, seconds in medians.items():
        line: list[Any] = [name, f"{seconds:.3f}"]
        line += [
            f"{seconds / medians[other]:.2f}" if other in medians else ""
            for other in ("stock-uniform", "floor")
        ]
        line += [peak_memory(data, model, name)] if memory else []
        rows.append(line)
    heads = ["row", "s an epoch", "÷ stock uniform", "÷ floor"] + ["peak MiB"] * memory
    print(f"\n{data}, {model}\n{tabulate(rows, heads, tablefmt='github')}")
    for bar_model, name, other, limit in BARS:
        measured = data == "ml-1m" or model in SEQUENTIAL
        if measured and bar_model == model and {name, other} <= set(medians):
            ratio = medians[name] / medians[other]
            verdict = "ok" if ratio <= limit else "OVER"
            print(f"{name} ÷ {other}: {ratio:.2f}, at most {limit}: {verdict}")


if __name__ == "__main__":
    sys.exit(main())
