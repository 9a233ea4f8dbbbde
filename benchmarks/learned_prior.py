"""What helps BNS+ and what does not, one change at a time, on validation data cut from training.

    python benchmarks/learned_prior.py --data_path DATA            # goes on where it was stopped
    python benchmarks/learned_prior.py --data_path DATA --report   # only results/learned-prior.md
    python benchmarks/learned_prior.py --data_path DATA --ease     # EASE as a recommender: its L2
    python benchmarks/learned_prior.py --information runs/information   # see variants/
    python benchmarks/learned_prior.py --same_model   # the same question, of one model's scores

BPR on ML-100K. Every variant is trained on the same three cuts with the same initial weights as
its base, the winner of benchmarks/search.py; the table has the difference to it, cut by cut. The
test part is never evaluated.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import search
import torch
from recbole.data import create_dataset
from recbole.utils import get_model, init_seed
from tabulate import tabulate

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.mends import quiet, tensorboard_in
from recbole_bns.adapters.scorers import factors
from recbole_bns.adapters.split import catalogue_of, open_data
from recbole_bns.common.locks import alone
from recbole_bns.common.processes import count_cores
from recbole_bns.sampling import Catalogue, FactorScorer, build
from recbole_bns.sampling.priors.item_models import Ridge, ease, interactions
from recbole_bns.training.loaders import data_preparation
from recbole_bns.training.trainer import get_trainer

CELL = ("ml-100k", "BPR")
FILE = search.ROOT / "results" / "search" / "learned-prior.jsonl"
PAGE = search.ROOT / "results" / "learned-prior.md"
CUTS = (0, 1, 2)
LOWERED, THINNED = "score + log(1 - P) times", "thinned by (1 - P) to the power"
OUTSIDE = {"of", "neg_sampler", "neg_sample_num"}
"""Keys of a change that are no parameters of the sampler."""
GONE = "prior_calibration"
"""A parameter that the package had when its rows were run; they are shown and not run again."""
Change = dict[str, Any]
VARIANTS: dict[str, dict[str, Change]] = {
    "how far the prior is trusted": {
        "gamma 0: no prior, most info of m (DNS without repeats)": {"gamma": 0.0},
        "gamma 0.5": {"gamma": 0.5},
        "gamma 2": {"gamma": 2.0},
        "gamma 4": {"gamma": 4.0},
        "scale 0.5": {"prior_scale": 0.5},
        "scale 2": {"prior_scale": 2.0},
        "gamma falls 4 to 0.5 in 35 epochs": {"gamma": {"start": 4.0, "step": -0.1, "stop": 0.5}},
        "5 epochs of uniform negatives first": {"warmup_epochs": 5},
    },
    "candidates": {
        **{f"m {m}": {"candidate_num": m} for m in (10, 20, 80)},
        "with repeats": {"replacement": True},
        "two negatives a positive": {"neg_sample_num": 2},
        **{
            f"with repeats, by popularity ** {a}": {
                "neg_sampler": "popular_bns_plus",
                "exponent": a,
                "replacement": True,
            }
            for a in (0.25, 0.5, 0.75, 1.0)
        },
    },
    "which prior": {
        "EASE, L2 100": {"prior_l2": 100.0},
        "EASE, L2 1000": {"prior_l2": 1000.0},
        "EASE on 50 neighbours": {"prior_items": 50},
        "EASE on 200 neighbours": {"prior_items": 200},
        "item kNN, 200 neighbours": {"prior": "itemknn"},
        "popularity, scale 100": {"prior": "popularity", "prior_scale": 100.0},
        **{
            f"EASE / popularity ** {a}": {"neg_sampler": "debiased_bns_plus", "exponent": a}
            for a in (0.25, 0.5)
        },
    },
    "refreshed from the model in training": {
        f"{share:.0%} from epoch {first} on": {
            "neg_sampler": "selfish_bns_plus",
            "share": share,
            "first": first,
        }
        for share, first in ((0.25, 5), (0.5, 5), (1.0, 5), (0.5, 20))
    },
    "likelihood and criterion": {
        "F of the scores (cdf), gain": {"likelihood": "cdf"},
        "flat, risk, lambda 50": {"criterion": "risk", "lambda": 50.0},
        "flat, posterior: the least P": {"criterion": "posterior"},
    },
    "inside other samplers": {name: {"of": name} for name in ("dns", "ahns", "srns")}
    | {
        f"{name}{', m 20' if name == 'dns' else ''}, {how} {gamma:g}": {
            "of": name,
            "neg_sampler": f"prior_{name}",
            "prior_gamma": gamma,
            **({"candidate_num": 20} if name == "dns" else {}),
            **({"thin": True} if how == THINNED else {}),
        }
        for name in ("dns", "ahns", "srns")
        for how in (LOWERED, THINNED)
        for gamma in (2.0, 8.0)
        if (name, how) != ("srns", THINNED)
    },
}


def base(sampler: str = "bns_plus") -> dict[str, Any]:
    """The winner of the search among a sampler's trials."""
    found = search.winner(CELL, search.read(search.file_of(CELL)), sampler)
    if found is None:
        raise SystemExit("results/search/ml-100k-BPR.jsonl: run benchmarks/search.py first.")
    return dict(found["settings"])


def settings_of(change: Change) -> dict[str, Any]:
    """The base's settings, or those of the sampler ``of``, with a change of its parameters."""
    given = base(sampler_of(change))
    own = {key: value for key, value in change.items() if key not in OUTSIDE}
    found = {**given, "neg_sampler_args": {**given["neg_sampler_args"], **own}}
    return found | {key: value for key, value in change.items() if key in OUTSIDE - {"of"}}


def sampler_of(change: Change) -> str:
    """Whose settings a variant starts from."""
    return str(change.get("of", "bns_plus"))


def every() -> dict[str, Change]:
    """All variants by name, the base first."""
    return {"base": {}} | {name: c for part in VARIANTS.values() for name, c in part.items()}


def run(data_path: str, at_once: int) -> None:
    """Train what is not in the file yet."""
    done = {(r["name"], r["cut"]) for r in read()}
    records = [
        {
            "name": name,
            "sampler": sampler_of(change),
            "trial": 0,
            "cut": cut,
            "settings": settings_of(change),
        }
        for cut in CUTS
        for name, change in every().items()
        if (name, cut) not in done and GONE not in change
    ]
    folder = search.RUNS / "learned-prior"
    folder.mkdir(parents=True, exist_ok=True)
    data = ("ml-100k-bns", data_path)
    jobs = [search.job_of(CELL, data, r, folder, ("prior_variants",)) for r in records]
    with alone(folder, "another process trains the variants; wait for it."):
        search.run_jobs(jobs, FILE, at_once, "variants")


def config_of(dataset: str, data_path: str, cut: int) -> BNSConfig:
    """The settings of a search's trial on a cut, for what trains nothing."""
    cell = ("ml-100k" if dataset == "ml-100k-bns" else "ml-1m", "BPR")
    return BNSConfig("BPR", dataset, None, search.settings_of(cell, data_path, "rns", {}, cut))


def read() -> list[dict[str, Any]]:
    """The lines that belong to the base of today."""
    wanted = {name: settings_of(change) for name, change in every().items()}
    return [r for r in search.read(FILE) if wanted.get(r["name"]) == r["settings"]]


def rows_of(names: dict[str, Change], records: list[dict[str, Any]]) -> list[list[str]]:
    """Name, mean, mean difference to the base and the differences, best first."""
    values = {(r["name"], r["cut"]): r for r in records if "value" in r}
    rows = []
    for name in names:
        mine = [values[name, c] for c in CUTS if {(name, c), ("base", c)} <= set(values)]
        if not mine:
            rows.append((-1.0, [name, "not run", "", "", ""]))
            continue
        gaps = [r["value"] - values["base", r["cut"]]["value"] for r in mine]
        mean = statistics.mean(r["value"] for r in mine)
        rows.append(
            (
                mean,
                [
                    name,
                    f"{mean:.4f}",
                    f"{statistics.mean(gaps):+.4f}",
                    " ".join(f"{gap:+.4f}" for gap in gaps),
                    f"{statistics.mean(r['best_epoch'] for r in mine):.0f}",
                ],
            )
        )
    return [row for _, row in sorted(rows, key=lambda each: -each[0])]


def report() -> str:
    """The page."""
    records, given = read(), base()
    heads = ["", "N@20", "difference", "cut by cut", "best epoch"]
    own = given.pop("neg_sampler_args")
    words = ", ".join(f"{k} {v}" for k, v in {**given, **own}.items())
    parts = [
        "# The learned prior: what helps and what does not",
        "`python benchmarks/learned_prior.py --data_path DATA`: BPR (d 32) on ML-100K, NDCG@20 on "
        "validation cut from training, on the same cuts as the base; every line is in "
        "`search/learned-prior.jsonl`. One change at a time from the base, which "
        f"[search.md](search.md) found: {words}. Learning rate and regularisation stay the "
        "base's, which favours it. Differences between the cuts say how far a mean can be trusted.",
    ]
    for title, names in VARIANTS.items():
        rows = rows_of({"base": {}, **names}, records)
        table = tabulate(rows, heads, tablefmt="github", disable_numparse=True)
        parts.append(f"## {title.capitalize()}\n\n{table}")
    text = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    rest = text[text.index(MARK) :] if MARK in text else f"{MARK}\n"
    return "\n\n".join(parts) + "\n\n" + rest


def ease_alone(data_path: str) -> None:
    """NDCG@20 of EASE itself on the same cuts, by L2."""
    for dataset in ("ml-100k-bns", "ml-1m-ahns"):
        values_of: dict[float, list[float]] = {}
        for cut in CUTS:
            parts = open_data(config_of(dataset, data_path, cut)).parts
            train, valid = (catalogue_of(parts[phase]) for phase in ("train", "valid"))
            for l2 in (100.0, 200.0, 300.0, 500.0, 800.0, 1200.0):
                values = torch.from_numpy(interactions(train) @ ease(train, Ridge(l2)).numpy())
                values_of.setdefault(l2, []).append(ndcg(values, train, valid))
        for l2, numbers in values_of.items():
            mean = statistics.mean(numbers)
            print(dataset, f"L2 {l2:g}: {mean:.4f}", " ".join(f"{n:.4f}" for n in numbers))


def information(folder: Path) -> None:
    """True negative rate against mean information of the recorded runs; a table and a picture.

    Means over the second half of the epochs. Between two of its points a sampler's rate is taken
    to be linear in the information.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    points: dict[str, list[tuple[float, float, str]]] = {}
    for file in folder.glob("runs/*/negatives.csv"):
        table = pd.read_csv(file).tail(15)
        row = file.parent.name.rpartition("-")[0]
        means = table["information"].mean(), table["true_negative_rate"].mean()
        points.setdefault(row.partition("-")[0], []).append((*means, row))
    figure, axis = pyplot.subplots(figsize=(5, 3.6), layout="constrained")
    lines = []
    x, y, _ = zip(*sorted(points["dns"]), strict=True)
    for sampler, found in points.items():
        found.sort()
        axis.plot([p[0] for p in found], [p[1] for p in found], marker="o", label=sampler)
        for info, rate, row in found:
            dns = f"{np.interp(info, x, y):.4f}" if x[0] <= info <= x[-1] else ""
            lines.append([row, f"{info:.3f}", f"{rate:.4f}", dns if sampler != "dns" else ""])
    axis.set(xlabel="mean information of the negatives", ylabel="true negative rate")
    axis.legend()
    axis.grid(alpha=0.3)
    figure.savefig(search.ROOT / "results" / "pictures" / "information.png", dpi=110)
    heads = ["", "information", "TNR", "TNR of dns at this information"]
    print(tabulate(lines, heads, tablefmt="github", disable_numparse=True))


def same_model(data_path: str) -> None:
    """True negative rate against mean information of both samplers under one model's scores.

    The models: BPR trained with uniform negatives, and with each of the two, for 30 epochs.
    """
    fixed = {
        "learning_rate": 0.003,
        "reg_weight": 0.02,
        "epochs": 30,
        "train_batch_size": 1024,
        "embedding_size": 32,
    }
    rows = []
    for trained_with in ("rns", "dns", "bns_plus"):
        config = BNSConfig(
            "BPR",
            "ml-100k-bns",
            None,
            {
                "data_path": data_path,
                "neg_sampler": trained_with,
                "tuned": False,
                "valid_ratio": 0,
                "show_progress": False,
                "eval_step": 0,
                **fixed,
            },
        )
        with tempfile.TemporaryDirectory() as folder, tensorboard_in(Path(folder)), quiet():
            config["checkpoint_dir"] = folder
            init_seed(0, True)
            loader, _, test = data_preparation(config, create_dataset(config))
            init_seed(0, True)
            model = get_model("BPR")(config, loader._dataset)
            trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, model)
            trainer.fit(loader, None, verbose=False, saved=False)
        catalogue = loader._sampler.core.catalogue
        held = catalogue_of(test._dataset)
        scorer = FactorScorer(*factors(model))
        users, items = catalogue.owners, catalogue.positives.long()
        found: dict[str, list[tuple[float, float]]] = {}
        for name in ("dns", "bns_plus"):
            for m in (2, 3, 5, 10, 20, 40, 80):
                sampler = build(name, catalogue, {"candidate_num": m}, seed=1)
                with torch.no_grad():
                    drawn = sampler.sample(users, items, 1, scorer)
                    gap = scorer.pairs(users, drawn) - scorer.pairs(users, items.unsqueeze(1))
                false = held.is_positive(users, drawn[:, 0])
                means = float(torch.sigmoid(gap).mean()), 1 - float(false.double().mean())
                found.setdefault(name, []).append(means)
        x, y = zip(*sorted(found["dns"]), strict=True)
        for m, (info, rate) in zip((2, 3, 5, 10, 20, 40, 80), found["bns_plus"], strict=True):
            dns = f"{np.interp(info, x, y):.4f}" if x[0] <= info <= x[-1] else ""
            rows.append([trained_with, m, f"{info:.3f}", f"{rate:.4f}", dns])
    heads = ["model trained with", "m of bns_plus", "information", "TNR", "TNR of dns there"]
    print(tabulate(rows, heads, tablefmt="github", disable_numparse=True))


def ndcg(values: torch.Tensor, train: Catalogue, held: Catalogue, k: int = 20) -> float:
    """Mean NDCG@k over the users with held-out items, of values (U, I)."""
    users = torch.arange(train.user_num)
    values[train.positive_mask(users)] = float("-inf")
    values[:, 0] = float("-inf")
    hits = held.is_positive(users.unsqueeze(1), values.topk(k, 1).indices).double()
    weight = 1 / torch.log2(torch.arange(k) + 2.0)
    many = held.indptr.diff()
    ideal = weight.cumsum(0)[many.clamp(1, k) - 1]
    return float(((hits * weight).sum(1) / ideal)[many > 0].mean())


MARK = "<!-- What follows is written by hand. -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data_path", default="DATA")
    parser.add_argument("--jobs", type=int, default=count_cores())
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--ease", action="store_true", help="EASE by itself, and nothing else")
    parser.add_argument("--information", type=Path, metavar="FOLDER", help="of a comparison")
    parser.add_argument("--same_model", action="store_true")
    args = parser.parse_args()
    if args.same_model:
        same_model(args.data_path)
    elif args.information:
        information(args.information)
    elif args.ease:
        ease_alone(args.data_path)
    else:
        if not args.report:
            run(args.data_path, args.jobs)
        PAGE.write_text(report(), encoding="utf-8")


if __name__ == "__main__":
    main()
