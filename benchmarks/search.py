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

What is drawn comes from properties/sweep/, the space of `recbole-bns tune`.

Every trial is a process of its own, here or (--address) on a Ray cluster, and a line of
results/search/<data>-<Model>.jsonl as soon as it is done; the same command goes on. --write turns
what is there into properties/tuned/<data>/<Model>/<sampler>.yaml.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tabulate import tabulate

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.common.locks import alone
from recbole_bns.runner import journal
from recbole_bns.runner.cluster import place_at
from recbole_bns.runner.jobs import VALIDATE, Job
from recbole_bns.runner.run import run_all
from recbole_bns.tuning.space import default_space

ROOT = Path(__file__).parent.parent
RUNS = ROOT / "runs" / "search"
"""For what a trial leaves until it is a line."""
SAMPLERS = ("rns", "pns", "aobpr", "dns", "srns", "bns", "ahns", "bns_plus")
METRIC, SHARE, ARGS = "ndcg@20", 0.1, "neg_sampler_args."
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
FURTHER = {("ml-1m", "BPR", "bns"): (4, 2)}
"""Of a sampler: how many of its best trials are trained on how many cuts besides, without deciding
what ships, since no other sampler was; see :data:`REPORT`."""
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
    """The settings of trial ``trial`` of a sampler.

    What is drawn comes from ``properties/sweep/``, the space of ``recbole-bns tune``: learning
    rate and regularisation by the trial, the same for every sampler; the rest by both.
    """
    space = default_space(sampler, name_of(cell[1]))
    if cell in PAIRS:
        settings = dict(zip(("learning_rate", "reg_weight"), PAIRS[cell][trial], strict=True))
    else:
        common = np.random.default_rng([trial, *map(ord, "-".join(cell))])
        shared = {key: d for key, d in space.items() if not key.startswith(ARGS)}
        settings = {key: float(f"{d.draw(common):.2g}") for key, d in shared.items()}
    args = given_args(cell, sampler, trial)
    if args is None:
        source = np.random.default_rng([trial, *map(ord, sampler)])
        own = {key.removeprefix(ARGS): d for key, d in space.items() if key.startswith(ARGS)}
        args = {key: d.draw(source) for key, d in own.items()} if trial else {}
    if cell[0] == "ml-1m":
        args = BIG.get(sampler, {}) | args
    return {**settings, "neg_sampler_args": args}


def given_args(cell: tuple[str, str], sampler: str, trial: int) -> dict[str, Any] | None:
    """The sampler's own parameters where they are written down or come from another cell."""
    turn = trial - GIVEN_SINCE.get(cell, 0)
    if cell in GIVEN and turn >= 0:
        rows = GIVEN[cell][sampler]
        return rows[turn % len(rows)]
    if cell not in FROM or trial >= FROM_TRIALS.get(cell, trial + 1):
        return None
    records = read(file_of(FROM[cell]))
    best = finalists(FROM[cell], records, sampler)
    wanted = (sampler, best[trial % len(best)])
    lines = (r["settings"] for r in records if (r["sampler"], r["trial"]) == wanted)
    return dict(next(lines)["neg_sampler_args"])


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
Of `bns` with BPR on ML-1M, whose row is the one below its paper's, the four best trials, which lie
within .0007 of each other, were trained on a second cut besides (below its table); no other sampler
was, so that what this prefers stands beside Table II and does not ship.
`BPR-AHNS` is the AHNS paper's own setting, in which only the epochs, and the candidates of `dns`,
are chosen.

Where learning rate and reg_weight were drawn, it was log-uniformly, from 0.001 to 0.01 and from
0.005 to 0.1, from trial 20 on from 0.001 to 0.006 and from 0.012 to 0.05; a sampler's own
parameters were drawn from: `pns` exponent .125, .25, .5, .75, 1; `aobpr` lambda 50, 100, 200, 400,
800; `dns` candidate_num 3, 5, 8, 10, 15, 20, best_num 1, 1, 2; `srns` memory_num and new_num 8,
16, 32, 64, alpha .1, 1, 5, 10, warmup_epochs 1, 10, 25, 50, tau .5, 1, 2, 10; `bns` candidate_num
3, 5, 8, 10, 15, 20, lambda .1, 1, 5, 10, 15, 50; `ahns` candidate_num 4, 8, 16, 32, 64, alpha and
beta .1, .25, .5, 1, p -1, -2; `bns_plus` candidate_num 10, 20, 40, gamma .5, 1, 2, 4, prior_scale
.5, 1, 2, prior_l2 100, 300, 1000. Trials that are added from now on are drawn from
`properties/sweep/`, the space of `recbole-bns tune`.
"""


def settings_of(
    cell: tuple[str, str], data_path: str, sampler: str, settings: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """All settings of one training: those of the cell, and of the trial."""
    return {
        "data_path": data_path,
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
        **MODEL[cell[1]],
        **BASE[cell],
        **settings,
    }


def job_of(
    cell: tuple[str, str],
    data: tuple[str, str],
    record: Mapping[str, Any],
    folder: Path,
    modules: tuple[str, ...] = (),
) -> Job:
    """The training that a line tells of, on one core.

    Args:
        cell: of the search.
        data: name of the data set, and where it is.
        record: ``sampler``, ``trial``, ``cut`` and ``settings`` of the line, and perhaps more.
        folder: for all runs.
        modules: that register samplers.
    """
    sampler, trial, cut = record["sampler"], record["trial"], record["cut"]
    settings = settings_of(cell, data[1], sampler, record["settings"], cut)
    return Job(
        name=f"{sampler} trial {trial} cut {cut}",
        model=name_of(cell[1]),
        dataset=data[0],
        config_files=None,
        settings=settings,
        folder=folder / f"{record.get('name', sampler)}-{trial}-{cut}".replace("/", "_"),
        epochs=settings["epochs"],
        record=record,
        task=VALIDATE,
        modules=modules,
    )


def line_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The line of a training that is done: its best validation value and the epoch of that."""
    result = record["result"]
    value, epoch = max((metrics[METRIC], epoch) for epoch, metrics in result["evaluations"])
    words = {key: value for key, value in record.items() if key not in {"status", "result"}}
    return words | {
        "value": round(value, 6),
        "best_epoch": epoch,
        "epochs": result["epochs"],
        "seconds": round(result["seconds"], 1),
    }


def run_jobs(
    jobs: Sequence[Job], file: Path, at_once: int | None, title: str, address: str | None = None
) -> None:
    """Train what the file has no line of; each is one as soon as it is done.

    A trial that fails is no line; the next call tries it again.

    Args:
        jobs: trials, in their order.
        file: of the lines.
        at_once: trials under way; None: one a core.
        title: for the display.
        address: of a Ray cluster that trains; None: this machine.
    """

    def tell(job: Job, record: Mapping[str, Any]) -> str:
        if record["status"] != journal.DONE:
            return f"{job.name} FAILED: {record['error']}"
        line = line_of(record)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")
        shutil.rmtree(job.folder, ignore_errors=True)
        job.journal.unlink()
        return f"{job.name}: {METRIC} {line['value']:.4f}, epoch {line['best_epoch']}"

    ended = [job for job in jobs if journal.is_done(job)]
    for job in ended:  # of a call that was ended between a trial's end and its line
        tell(job, journal.read(job.journal))
    missing = [job for job in jobs if job not in ended]
    with place_at(address, file.parent) as place:
        run_all(missing, place.pool, place.at_once(at_once), title=title, tell=tell)


def search(
    cell: tuple[str, str],
    data: tuple[str, str],
    at_once: int | None,
    samplers: tuple[str, ...],
    address: str | None = None,
) -> None:
    """Run what is not in the file yet."""
    file, folder = file_of(cell), RUNS / "-".join(cell)
    for place in (file.parent, folder):
        place.mkdir(parents=True, exist_ok=True)

    def run(wanted: list[tuple[str, int, int]]) -> None:
        lines = read(file)
        done = {(r["sampler"], r["trial"], r["cut"]) for r in lines}
        settings = {(r["sampler"], r["trial"]): r["settings"] for r in lines}
        records = [
            {
                "sampler": sampler,
                "trial": trial,
                "cut": cut,
                "settings": settings.get((sampler, trial)) or drawn(cell, sampler, trial),
            }
            for sampler, trial, cut in wanted
            if (sampler, trial, cut) not in done
        ]
        jobs = [job_of(cell, data, record, folder) for record in records]
        run_jobs(jobs, file, at_once, "-".join(cell), address)

    with alone(folder, f"another search is at work on {'-'.join(cell)}; wait for it."):
        trials = {sampler: effort(cell, sampler)[0] for sampler in samplers}
        run(
            [
                (sampler, trial, 0)
                for trial in range(max(trials.values()))
                for sampler in samplers
                if trial < trials[sampler]
            ]
        )
        lines = read(file)
        run(
            [
                (sampler, trial, cut)
                for cut in range(1, EFFORT[cell][2])
                for sampler in samplers
                for trial in finalists(cell, lines, sampler)
            ]
        )
        further = [(s, *FURTHER[(*cell, s)]) for s in samplers if (*cell, s) in FURTHER]
        run(
            [
                (sampler, trial, cut)
                for sampler, best, cuts in further
                for cut in range(1, cuts)
                for trial in finalists(cell, lines, sampler, best)
            ]
        )


def finalists(
    cell: tuple[str, str], records: list[dict[str, Any]], sampler: str, number: int | None = None
) -> list[int]:
    """The best trials of stage 1, as many as the effort or ``number`` says."""
    trials, best, _ = effort(cell, sampler)
    values = {
        r["trial"]: r["value"]
        for r in records
        if r["sampler"] == sampler and r["cut"] == 0 and "value" in r and r["trial"] < trials
    }
    return sorted(values, key=lambda trial: -values[trial])[: number or best]


def winner(
    cell: tuple[str, str], records: list[dict[str, Any]], sampler: str
) -> dict[str, Any] | None:
    """The finalist with the best mean over the cuts; None before all of them are run."""
    best = None
    for trial in finalists(cell, records, sampler):
        cuts = effort(cell, sampler)[2]
        runs = [
            r
            for r in records
            if r["sampler"] == sampler and r["trial"] == trial and "value" in r and r["cut"] < cuts
        ]
        if len(runs) < cuts:
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


def further_of(cell: tuple[str, str], records: list[dict[str, Any]]) -> list[str]:
    """Tables of the trials that were trained on further cuts."""
    parts = []
    for sampler in SAMPLERS:
        best, cuts = FURTHER.get((*cell, sampler), (0, 0))
        rows = []
        for trial in finalists(cell, records, sampler, best) if best else []:
            wanted = (sampler, trial)
            runs = [r for r in records if (r["sampler"], r["trial"]) == wanted and "value" in r]
            if len(runs) == cuts:
                values = [r["value"] for r in runs]
                texts = [f"{value:.4f}" for value in (*values, statistics.mean(values))]
                epochs = round(statistics.mean(r["best_epoch"] for r in runs))
                rows.append([trial, *texts, epochs])
        if rows:
            heads = ["trial", *(f"cut {cut}" for cut in range(cuts)), "mean", "epochs"]
            shown = tabulate(rows, heads, tablefmt="github", disable_numparse=True)
            parts.append(f"`{sampler}`, its best trials on {cuts} cuts:\n\n{shown}")
    return parts


def report() -> str:
    """All that was searched and found, as Markdown."""
    parts = [REPORT]
    for cell, (trials, best, cuts) in EFFORT.items():
        records = read(file_of(cell))
        pairs = f"{PAIRS[cell]}" if cell in PAIRS else "drawn"
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
        own = f"from the finalists of {' '.join(FROM[cell])}" if cell in FROM else "drawn"
        if cell in FROM_TRIALS:
            own += f"; from trial {FROM_TRIALS[cell]} on drawn as there"
        if cell in GIVEN_SINCE:
            own += f"; from trial {GIVEN_SINCE[cell]} on `{GIVEN[cell]}` in turn"
        elif cell in GIVEN:
            own = f"`{GIVEN[cell]}` in turn"
        heads = ["", "trials", "validation N@20", "settings", "median of stage 1", "minutes"]
        parts.append(
            f"## {cell[1]} on {cell[0]}\n\nFor each sampler {trials} trials, then {best} of "
            f"them on {cuts} cuts in all; learning rate and reg_weight: {pairs}. "
            f"Samplers' own parameters: {own}. Fixed "
            f"(epochs: the most): {base}.\n\n"
            + tabulate(rows, heads, tablefmt="github", disable_numparse=True)
        )
        parts += further_of(cell, records)
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
    parser.add_argument("--jobs", type=int, help="trials at once (default: one a core)")
    parser.add_argument("--address", help="a running Ray cluster that trains: auto")
    parser.add_argument("--samplers", default=",".join(SAMPLERS), help="with commas between")
    parser.add_argument("--write", action="store_true", help="write the winners, run nothing")
    args = parser.parse_args()
    tuned_as = BNSConfig(name_of(args.model), args.dataset, None, {"data_path": args.data_path})[
        "tuned_as"
    ]
    cell = (tuned_as, args.model)
    if cell not in BASE:
        parser.error(f"no ranges for {args.model} on {args.dataset}; allowed: {list(BASE)}")
    if not args.write:
        samplers = tuple(args.samplers.split(","))
        search(cell, (args.dataset, args.data_path), args.jobs, samplers, args.address)
    write(cell)
    (ROOT / "results" / "search.md").write_text(report(), encoding="utf-8")


if __name__ == "__main__":
    main()
