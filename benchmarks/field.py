"""Samplers and mixers x losses, in one protocol: search on validation, test once, write the pages.

    python benchmarks/field.py search --data ml-100k-bns --data_path DATA [--model BPR] [--cells ..]
    python benchmarks/field.py test --data ml-100k-bns --model BPR --data_path DATA [--cells ..]
    python benchmarks/field.py                       # write results/field.md from what is there

A cell is a row (a sampler, a mixer over uniform negatives, or `rns/mined`, uniform negatives with
mined positives) and a loss. Trial k has the same learning rate and regularisation in every cell
(PAIRS, written down before any was run), and values of the cell's own parameters that differ from
trial to trial, drawn from the spaces of `recbole-bns tune`: trial 0 has their defaults. Every trial
is a process on one core and a line of results/field/<data>-<model>.jsonl as soon as it is done; the
same command goes on.

`test` trains the best trial of each cell on the whole training part, for its epochs, by
`recbole-bns compare`; every look at a test part is a line of results/tests.log.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import accesses
import numpy as np
import yaml
from tabulate import tabulate

from recbole_bns.common.locks import alone
from recbole_bns.runner import journal
from recbole_bns.runner.jobs import VALIDATE, Job
from recbole_bns.runner.pool import LocalProcesses
from recbole_bns.runner.run import run_all
from recbole_bns.settings.properties import PROPERTIES, read_own
from recbole_bns.tuning.space import Dimension

ROOT = Path(__file__).parent.parent
FOUND = ROOT / "results" / "field"
SAMPLERS = ("rns", "pns", "dns", "aobpr", "srns", "ahns", "bns", "bns_plus", "inbatch", "cuco")
MIXERS = ("mixgcf", "dens")
MINED = "rns/mined"
ROWS = (*SAMPLERS, *MIXERS, MINED)
LOSSES = ("bpr", "ssm", "bsl", "gbce")
MODELS: dict[str, dict[str, Any]] = {"BPR": {}, "LightGCN": {"n_layers": 2}}
LIST, EACH, MANY = 1024, 8, 128
METRICS = ("ndcg@20", "recall@20")
ARGS, OF_LOSS, OF_MIXER = "neg_sampler_args.", "loss_args.", "mixer_args."
PAIRS: dict[str, tuple[tuple[float, float], ...]] = {
    "ml-100k-bns": ((0.003, 0.014), (0.003, 0.001), (0.001, 0.04)),
    "amazon-tools-ahns": ((0.005, 0.001), (0.005, 0.02)),
}
"""Learning rate and ``reg_weight`` of each trial."""
COMMON: dict[str, Any] = {
    "tuned": False,
    "show_progress": False,
    "use_gpu": False,
    "benchmark_filename": ["train", "test"],
    "load_col": {"inter": ["user_id", "item_id"]},
    "eval_args": {"mode": "full"},
}
BASE: dict[str, dict[str, Any]] = {
    "ml-100k-bns": {"embedding_size": 32, "train_batch_size": 1024, "epochs": 60},
    "amazon-tools-ahns": {"embedding_size": 64, "train_batch_size": 2048, "epochs": 40},
}
EVERY: dict[str, dict[str, Any]] = {
    "ml-100k-bns": {"eval_step": 3, "stopping_step": 3},
    "amazon-tools-ahns": {"eval_step": 4, "stopping_step": 2},
}
"""How often trials are evaluated, and how many worse values end one."""
Cell = tuple[str, str]


def layout(row: str, loss: str) -> dict[str, Any]:
    """What makes a cell: sampler, mixer, mining, loss, and how many negatives a positive meets."""
    cell: dict[str, Any] = {"neg_sampler": row, "loss": loss}
    if row in MIXERS:
        cell = {"neg_sampler": "rns", "mixer": row, "loss": "kpair" if loss == "bpr" else loss}
    if row == MINED:
        cell |= {"neg_sampler": "rns", "mine.share": 0.5}
    if row == "inbatch":
        return cell
    uniform = row in ("rns", "pns", MINED)
    if loss == "bpr":
        return cell | {"neg_sample_num": 1}
    if loss == "gbce" and uniform:
        return cell | {"neg_sample_num": MANY}
    return cell | (
        {"neg_shared": True, "neg_sample_num": LIST} if uniform else {"neg_sample_num": EACH}
    )


def space(row: str, loss: str) -> dict[str, Any]:
    """The searched parameters that are the cell's own, as `recbole-bns tune` has them."""
    files = [PROPERTIES / "sweep" / "loss" / f"{loss}.yaml"]
    if row in MIXERS:
        files.append(PROPERTIES / "sweep" / "mixer" / f"{row}.yaml")
    elif row == MINED:
        files.append(PROPERTIES / "sweep" / "mine" / "mined.yaml")
    else:
        files.append(PROPERTIES / "sweep" / f"{row}.yaml")
    known = {
        key: value for file in files if file.is_file() for key, value in read_own(file).items()
    }
    own = (ARGS, OF_LOSS, OF_MIXER, "mine.")
    return {key: value for key, value in known.items() if key.startswith(own)}


def drawn(data: str, row: str, loss: str, trial: int) -> dict[str, Any]:
    """The settings of a trial of a cell."""
    settings = dict(zip(("learning_rate", "reg_weight"), PAIRS[data][trial], strict=True))
    settings |= layout(row, loss)
    if row == "bns" and data != "ml-100k-bns":
        settings[ARGS + "cdf"] = "estimated"  # F of 256 items, for speed
    if trial:
        for key, dimension in space(row, loss).items():
            seed = [*map(ord, f"{row}+{loss} {key}")]
            kind, values = next(iter(dimension.items()))
            if kind == "choice":
                order = np.random.default_rng(seed).permutation(len(values))
                settings[key] = values[int(order[(trial - 1) % len(values)])]
            else:
                value = Dimension(kind, tuple(values)).draw(np.random.default_rng([trial, *seed]))
                settings[key] = float(f"{value:.2g}")
    return settings


def file_of(data: str, model: str) -> Path:
    """Where the trials of a table are kept."""
    return FOUND / f"{data}-{model}.jsonl"


def read(data: str, model: str) -> list[dict[str, Any]]:
    """The trials of a table, those that failed too."""
    file = file_of(data, model)
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def tell(job: Job, record: Mapping[str, Any]) -> str:
    """Keep what a trial came to, and say it."""
    line = {key: record[key] for key in ("row", "loss", "trial", "settings")}
    if record["status"] == journal.DONE:
        result = record["result"]
        best = max(result["evaluations"], key=lambda each: each[1][METRICS[0]])
        line |= {"best_epoch": best[0], "epochs": result["epochs"]}
        line |= {name: round(best[1][name], 6) for name in METRICS}
        line["seconds"] = round(result["seconds"], 1)
        said = f"{METRICS[0]} {line[METRICS[0]]:.4f}, epoch {best[0]}"
    else:
        line["failed"] = said = record["error"].strip().splitlines()[-1]
    file = file_of(job.dataset, job.model)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line) + "\n")
    shutil.rmtree(job.folder, ignore_errors=True)
    job.journal.unlink(missing_ok=True)
    return f"{job.name}: {said}"


def search(
    data: str, model: str, data_path: str, cells: list[Cell], trials: int, at_once: int
) -> None:
    """Run the trials that the file does not have, the first of every cell first."""
    folder = ROOT / "runs" / "field" / f"{data}-{model}"
    folder.mkdir(parents=True, exist_ok=True)
    done = {(line["row"], line["loss"], line["trial"]) for line in read(data, model)}
    validation = {
        "seed": 0,
        "valid_ratio": 0.1,
        "metrics": ["NDCG", "Recall"],
        "topk": [20],
        "valid_metric": "NDCG@20",
        **EVERY[data],
    }
    jobs = []
    for trial in range(trials):
        for row, loss in cells:
            if (row, loss, trial) in done:
                continue
            own = drawn(data, row, loss, trial)
            settings = {**COMMON, **BASE[data], **MODELS[model], **validation, **own}
            jobs.append(
                Job(
                    name=f"{row}+{loss} trial {trial}",
                    model=model,
                    dataset=data,
                    config_files=None,
                    settings={**settings, "data_path": data_path},
                    folder=folder / f"{row}-{loss}-{trial}".replace("/", "-"),
                    epochs=settings["epochs"],
                    record={"row": row, "loss": loss, "trial": trial, "settings": own},
                    task=VALIDATE,
                )
            )
    with alone(folder, f"another search is at work on {data} with {model}; wait for it."):
        run_all(jobs, LocalProcesses(), at_once, title=f"{model} {data}", tell=tell)


def winners(data: str, model: str) -> dict[Cell, dict[str, Any]]:
    """The best trial of each cell."""
    best: dict[Cell, dict[str, Any]] = {}
    for line in read(data, model):
        cell = line["row"], line["loss"]
        value = line.get(METRICS[0], -1.0)
        if value >= 0 and (cell not in best or value > best[cell][METRICS[0]]):
            best[cell] = line
    return best


def test(
    data: str, model: str, data_path: str, cells: list[Cell], seeds: int, at_once: int, why: str
) -> int:
    """Train the winners on all of the training part and test them, by `recbole-bns compare`."""
    best = winners(data, model)
    variants = {
        "+".join(cell): {
            **BASE[data],
            **MODELS[model],
            **best[cell]["settings"],
            "epochs": best[cell]["best_epoch"],
        }
        for cell in cells
        if cell in best
    }
    out = ROOT / "runs" / "field" / f"{data}-{model}-test"
    out.parent.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"{data}-{model}.yaml"
    path.write_text(yaml.safe_dump(variants, sort_keys=False), encoding="utf-8")
    start = "import sys; from recbole_bns.cli import main; sys.exit(main())"
    words = ["compare", f"--variants={path}", f"--dataset={data}", f"--data_path={data_path}"]
    words += [f"--model={model}", f"--seeds={seeds}", "--valid_ratio=0", "--metrics=NDCG,Recall"]
    words += ["--topk=5,10,20", "--tuned=False", "--use_gpu=False", f"--out={out}"]
    words += [f"--jobs={at_once}", f"--samplers={','.join(variants)}"]
    words += ["--benchmark_filename=[train,test]", "--load_col={inter: [user_id, item_id]}"]
    words += ["--eval_args={mode: full}"]
    accesses.log(data, model, variants, why)
    print(shlex.join(["recbole-bns", *words]))
    status = subprocess.run([sys.executable, "-c", start, *words], check=False).returncode
    for ending in ("md", "csv", "json"):
        if (found := out / f"compare.{ending}").is_file():
            shutil.copyfile(found, FOUND / f"{data}-{model}-test.{ending}")
    return status


def table(data: str, model: str) -> str:
    """NDCG@20 on validation of the best trial of each cell; what could not be run, as such."""
    best, lines = winners(data, model), read(data, model)
    top = max((line[METRICS[0]] for line in best.values()), default=0.0)
    rows = []
    for row in ROWS:
        cells = []
        for loss in LOSSES:
            line = best.get((row, loss))
            if line is None:
                tried = any((each["row"], each["loss"]) == (row, loss) for each in lines)
                cells.append("refused" if tried else "")
                continue
            text = f"{line[METRICS[0]]:.4f}"
            cells.append(f"**{text}**" if line[METRICS[0]] == top else text)
        rows.append([row, *cells])
    return tabulate(rows, ["", *LOSSES], tablefmt="github", disable_numparse=True)


def main() -> int:
    """Search, test or write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="?", default="write", choices=("search", "test", "write"))
    parser.add_argument("--data", choices=list(BASE))
    parser.add_argument("--model", choices=list(MODELS), default="BPR")
    parser.add_argument("--data_path")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once")
    parser.add_argument("--trials", type=int, help="of each cell (default: as many as pairs)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cells", help="only these: rns+ssm,dns+bpr")
    parser.add_argument("--why", default="the table", help="for results/tests.log")
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    cells = [(row, loss) for loss in LOSSES for row in ROWS]
    if options.cells:
        names = options.cells.split(",")
        cells = [cell for cell in cells if "+".join(cell) in names]
    if options.what == "search":
        trials = options.trials or len(PAIRS[options.data])
        search(options.data, options.model, options.data_path, cells, trials, options.jobs)
    elif options.what == "test":
        where = options.data, options.model, options.data_path
        return test(*where, cells, options.seeds, options.jobs, options.why)
    else:
        for data in BASE:
            for model in MODELS:
                if read(data, model):
                    print(f"{model} on {data}\n\n{table(data, model)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
