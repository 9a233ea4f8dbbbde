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
`recbole-bns compare`; every look at a test part is a line of results/tests.log. What is tested
later, other cells or more seeds, is a `--part` of its own beside what is there.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import accesses
import pandas as pd
import yaml
from losses import values_of
from tabulate import tabulate

from recbole_bns.common.locks import alone
from recbole_bns.runner import journal
from recbole_bns.runner.jobs import VALIDATE, Job
from recbole_bns.runner.pool import LocalProcesses
from recbole_bns.runner.run import run_all
from recbole_bns.runs.groups import ITEMS
from recbole_bns.settings.properties import PROPERTIES, read_own

ROOT = Path(__file__).parent.parent
FOUND = ROOT / "results" / "field"
SAMPLERS = ("rns", "pns", "dns", "aobpr", "srns", "ahns", "bns", "bns_plus", "inbatch", "cuco")
MIXERS = ("mixgcf", "dens")
MINED = "rns/mined"
ROWS = (*SAMPLERS, *MIXERS, MINED)
LOSSES = ("bpr", "ssm", "bsl", "gbce")
MODELS: dict[str, dict[str, Any]] = {"BPR": {}, "LightGCN": {"n_layers": 2}}
ALONE = "beside"
LIST, EACH, MANY = 1024, 8, 128
METRICS = ("ndcg@20", "recall@20")
ARGS, OF_LOSS, OF_MIXER = "neg_sampler_args.", "loss_args.", "mixer_args."
PAIRS: dict[str, tuple[tuple[float, float], ...]] = {
    "ml-100k-bns": ((0.003, 0.014), (0.003, 0.001), (0.001, 0.04)),
    "amazon-tools-ahns": ((0.005, 0.001), (0.005, 0.02)),
    "amazon-beauty-dens": ((0.005, 0.001), (0.005, 0.02)),
    "ml-1m-ahns": ((0.003, 0.02), (0.003, 0.005)),
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
    "amazon-beauty-dens": {"embedding_size": 64, "train_batch_size": 2048, "epochs": 40},
    "ml-1m-ahns": {"embedding_size": 64, "train_batch_size": 2048, "epochs": 40},
}
EVERY: dict[str, dict[str, Any]] = {
    "ml-100k-bns": {"eval_step": 3, "stopping_step": 3},
    "amazon-tools-ahns": {"eval_step": 4, "stopping_step": 2},
    "amazon-beauty-dens": {"eval_step": 4, "stopping_step": 2},
    "ml-1m-ahns": {"eval_step": 4, "stopping_step": 2},
}
"""How often trials are evaluated, and how many worse values end one."""
BESIDE: dict[str, tuple[dict[str, Any], ...]] = {
    "EASE": ({"reg_weight": 250.0}, {"reg_weight": 100.0}, {"reg_weight": 500.0}),
    "ItemKNN": ({"k": 100, "shrink": 0.0}, {"k": 200, "shrink": 0.0}, {"k": 100, "shrink": 1.0}),
    "SLIMElastic": (
        {"alpha": 0.2, "l1_ratio": 0.02},
        {"alpha": 0.05, "l1_ratio": 0.01},
        {"alpha": 0.02, "l1_ratio": 0.01},
    ),
    "ENMF": (
        {"learning_rate": 0.005, "dropout_prob": 0.5, "negative_weight": 0.3},
        {"learning_rate": 0.005, "dropout_prob": 0.7, "negative_weight": 0.1},
        {"learning_rate": 0.01, "dropout_prob": 0.7, "negative_weight": 0.3},
    ),
    "SimpleX": (
        {"learning_rate": 0.001, "margin": 0.9, "negative_weight": 10},
        {"learning_rate": 0.003, "margin": 0.5, "negative_weight": 10},
        {"learning_rate": 0.003, "margin": 0.9, "negative_weight": 50},
    ),
}
"""RecBole's own models beside the cells (`--model beside`), and their trials."""
AT_ONCE = ("EASE", "ItemKNN", "SLIMElastic")
"""Those that have no vectors and are computed in one step."""
SHOWN = (*METRICS, "ndcg@5", "ndcg@10", "recall@5", "recall@10", "itemcoverage@20")
HEAD = """# Samplers and mixers x losses

Written by `python benchmarks/field.py`; every trial is a line of `field/`, every look at a test
part one of `tests.log`. Rows are samplers, mixers over uniform negatives (`mixgcf`, `dens`), and
`rns/mined`, uniform negatives with mined positives. Under `bpr` a positive meets one negative,
under the other losses `rns`, `pns` and `rns/mined` give a list of 1,024 to the batch (`gbce`: 128
of each positive's own), the others 8 of its own, `inbatch` the batch; a mixer's `bpr` is `kpair`.

A tenth of the training part is cut off for validation (seed 0). Trials have the same learning rates
and regularisations in every cell (`PAIRS` in the program); the first has the defaults of sampler
and loss, the others values from the spaces of `recbole-bns tune`. `gbce` averages over K + 1 terms,
so that its regularisation is divided by that; BPR on ML-100K was searched with that of the other
cells first ("undivided" in the file) and then anew, so that its `gbce` has twice as many trials.
Where cells of a table have not the same number of trials, those with more are marked with it; an
empty cell was not run. So few trials say where to look; differences of a percent are no results. On
ML-100K every cell is tested but LightGCN under `gbce`, the best of each row and those beside which
a reader will look for it with five seeds, the others with three; on the other data sets the cells
that their tables name. A row `bns, one candidate` in the files of trials is one that drew that: it
is `rns`. Seconds were measured beside other work."""
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
    if loss == "gbce":  # averages over K + 1 terms: the same weight beside a loss that sums them
        terms = 1 + settings.get("neg_sample_num", BASE[data]["train_batch_size"] - 1)
        settings["reg_weight"] = round(settings["reg_weight"] / terms, 8)
    if row == "bns" and data != "ml-100k-bns":
        settings[ARGS + "cdf"] = "estimated"  # F of 256 items, for speed
    if trial:
        settings |= values_of(space(row, loss), f"{row}+{loss}", trial)
    return settings


def own_of(data: str, model: str, row: str, loss: str, trial: int) -> dict[str, Any]:
    """The settings of a trial, of a cell or of a model beside."""
    if model != ALONE:
        return drawn(data, row, loss, trial)
    return {"neg_sampler": "none", "model": row, **BESIDE[row][trial]}


def base_of(data: str, model: str, row: str) -> dict[str, Any]:
    """What all rows of a table have: vectors, batches and epochs, where the model has them."""
    if model == ALONE and row in AT_ONCE:
        return {"epochs": 1}
    return {**BASE[data], **MODELS.get(model, {})}


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
    file = file_of(job.dataset, record["table"])
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
            own = own_of(data, model, row, loss, trial)
            settings = {**COMMON, **base_of(data, model, row), **validation, **own}
            named = settings.pop("model", model)
            jobs.append(
                Job(
                    name=f"{label((row, loss))} trial {trial}",
                    model=named,
                    dataset=data,
                    config_files=None,
                    settings={**settings, "data_path": data_path},
                    folder=folder / f"{row}-{loss}-{trial}".replace("/", "-"),
                    epochs=settings["epochs"],
                    record={
                        "table": model,
                        "row": row,
                        "loss": loss,
                        "trial": trial,
                        "settings": own,
                    },
                    task=VALIDATE,
                )
            )
    with alone(folder, f"another search is at work on {data} with {model}; wait for it."):
        run_all(jobs, LocalProcesses(), at_once, title=f"{model} {data}", tell=tell)


def label(cell: Cell) -> str:
    """What a row of a comparison is called."""
    return "+".join(filter(None, cell)).replace("/", ".")


def cells_of(model: str) -> list[Cell]:
    """All cells of a table."""
    if model == ALONE:
        return [(row, "") for row in BESIDE]
    return [(row, loss) for loss in LOSSES for row in ROWS]


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
    data: str,
    model: str,
    data_path: str,
    cells: list[Cell],
    part: str,
    seeds: str,
    at_once: int,
    why: str,
) -> int:
    """Train the winners on all of the training part and test them, by `recbole-bns compare`."""
    stem = "-".join(filter(None, (data, model, part)))
    best = winners(data, model)
    variants = {
        label(cell): {
            **base_of(data, model, cell[0]),
            **best[cell]["settings"],
            "epochs": best[cell]["best_epoch"],
        }
        for cell in cells
        if cell in best
    }
    out = ROOT / "runs" / "field" / f"{stem}-test"
    out.parent.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"{stem}.yaml"
    path.write_text(yaml.safe_dump(variants, sort_keys=False), encoding="utf-8")
    start = "import sys; from recbole_bns.cli import main; sys.exit(main())"
    words = [
        "compare",
        f"--variants={path.relative_to(ROOT)}",
        f"--dataset={data}",
        f"--data_path={data_path}",
    ]
    words += [
        f"--model={'BPR' if model == ALONE else model}",
        f"--seeds={seeds}",
        "--valid_ratio=0",
        "--metrics=[NDCG,Recall,ItemCoverage]",
    ]
    words += [
        "--topk=[5,10,20]",
        "--tuned=False",
        "--use_gpu=False",
        f"--out={out.relative_to(ROOT)}",
    ]
    words += [f"--jobs={at_once}", f"--samplers={','.join(variants)}"]
    words += ["--benchmark_filename=[train,test]", "--load_col={inter: [user_id, item_id]}"]
    words += ["--eval_args={mode: full}"]
    accesses.log(data, model, variants, str(path.relative_to(ROOT)), why)
    print(shlex.join(["recbole-bns", *words]))
    status = subprocess.run([sys.executable, "-c", start, *words], cwd=ROOT, check=False).returncode
    for ending in ("md", "csv", "json"):
        if (found := out / f"compare.{ending}").is_file():
            shutil.copyfile(found, FOUND / f"{stem}-test.{ending}")
    groups(out, FOUND / f"{stem}-groups.csv")
    return status


def groups(runs: Path, file: Path) -> None:
    """Keep the metrics by popularity and activity of a comparison's runs, means over the seeds."""
    parts = []
    for path in sorted(runs.glob("runs/*/groups.csv")):
        row, _, seed = path.parent.name.rpartition("-")
        parts.append(pd.read_csv(path).assign(row=row, seed=int(seed)))
    if parts:
        keys = ["row", "kind", "group", "metric"]
        means = pd.concat(parts).groupby(keys, sort=False)["value"].mean().round(6)
        means.reset_index().to_csv(file, index=False)


class Tested(NamedTuple):
    """What was tested of a table, all of its parts together."""

    runs: pd.DataFrame
    """A line for each row (``sampler``) and seed."""
    groups: pd.Series
    """Means over the seeds, by row, kind, group and metric."""
    said: tuple[str, ...]
    """Where each part comes from."""


def parts_of(data: str, model: str) -> Tested | None:
    """The tests of a table; None where there are none.

    A row that a part has with other settings was tested again: the later one counts.

    Raises:
        ValueError: parts have the same seed of a row twice.
    """
    runs: list[pd.DataFrame] = []
    by_group: list[pd.DataFrame] = []
    said: list[str] = []
    rows: dict[str, Any] = {}
    later = sorted(FOUND.glob(f"{data}-{model}-*-test.json"))
    files = [*FOUND.glob(f"{data}-{model}-test.json"), *later]
    for file in files:
        stem = file.name.removesuffix("-test.json")
        content = json.loads(file.read_text(encoding="utf-8"))
        part = pd.DataFrame(content["runs"])
        settings = yaml.safe_load((FOUND / f"{stem}.yaml").read_text(encoding="utf-8"))
        for row in part["sampler"].unique():
            if rows.setdefault(row, settings[row]) != settings[row]:
                runs = [each[each["sampler"] != row] for each in runs]
                by_group = [each[each["row"] != row] for each in by_group]
                said[-1] += f" (`{row}` was tested again with other settings, which count.)"
            rows[row] = settings[row]
        values = pd.read_csv(FOUND / f"{stem}-groups.csv")
        by_group.append(values.assign(number=values["row"].map(part["sampler"].value_counts())))
        runs.append(part)
        words = [w for w in content["command"].split() if not w.startswith(("--out=", "--jobs="))]
        said.append(
            f"Seeds {', '.join(map(str, content['seeds']))}. Settings of the cells: "
            f"[{stem}.yaml](field/{stem}.yaml); paired tests, deviations and times: "
            f"[{stem}-test.md](field/{stem}-test.md). `{' '.join(words)}`"
        )
    if not runs:
        return None
    every, parts = pd.concat(runs), pd.concat(by_group)
    if every.duplicated(["sampler", "seed"]).any():
        raise ValueError(f"{data}, {model}: a seed of a row was tested twice.")
    keys = ["row", "kind", "group", "metric"]
    weighted = parts.assign(value=parts["value"] * parts["number"])
    sums = weighted.groupby(keys, sort=False)[["value", "number"]].sum()
    return Tested(every, sums["value"] / sums["number"], tuple(said))


def tested(data: str, model: str, found: Tested) -> str:
    """Test metrics of a table's rows, the best first.

    They are kept as a CSV beside the tests, since several parts are of several files.
    """
    by_row = found.runs.groupby("sampler")
    means, seeds = by_row[list(SHOWN)].mean(), by_row["seed"].nunique()
    deviation, seconds = by_row[METRICS[0]].std(), by_row["seconds_to_best"].median()
    rows, kept = [], []
    for row in means.sort_values(METRICS[0], ascending=False).index:
        values = [f"{means.loc[row, metric]:.4f}" for metric in SHOWN]
        values[0] += f" ± {deviation[row]:.4f}" if pd.notna(deviation[row]) else ""
        of = [found.groups.get((row, "items", g, METRICS[1]), float("nan")) for g in ITEMS]
        by_group = [f"{value:.4f}" for value in of]
        rows.append([f"`{row}`", *values, *by_group, f"{seconds[row]:.0f}", f"{seeds[row]}"])
        kept.append([row, *means.loc[row], deviation[row], *of, seconds[row], seeds[row]])
    groups = [f"recall@20, {group}" for group in ITEMS]
    own = [*SHOWN, f"{METRICS[0]} std", *groups, "s to best", "seeds"]
    pd.DataFrame(kept, columns=["row", *own]).round(6).to_csv(
        FOUND / f"{data}-{model}-means.csv", index=False
    )
    heads = ["", *SHOWN, *groups, "s to best", "seeds"]
    return "\n\n".join(
        [tabulate(rows, heads, tablefmt="github", disable_numparse=True), *found.said]
    )


def crossed(found: Tested) -> str:
    """Test NDCG@20 by row and loss; empty where there is no cross, or less than half of it."""
    means = found.runs.groupby("sampler")[METRICS[0]].mean()
    if 2 * len(means) < len(ROWS) * len(LOSSES):
        return ""
    top = max(means)
    lines = []
    for row in ROWS:
        values = [means.get(label((row, loss))) for loss in LOSSES]
        texts = ["" if value is None else f"{value:.4f}" for value in values]
        pairs = zip(values, texts, strict=True)
        lines.append([row, *(f"**{text}**" if value == top else text for value, text in pairs)])
    return tabulate(lines, ["", *LOSSES], tablefmt="github", disable_numparse=True)


def page() -> str:
    """results/field.md."""
    parts = [HEAD]
    for data in BASE:
        for model in (*MODELS, ALONE):
            if not read(data, model):
                continue
            name = "RecBole's own models" if model == ALONE else model
            number = len(read(data, model))
            parts += [f"## {name} on {data}", f"Validation, NDCG@20, {number} trials:"]
            parts.append(table(data, model))
            if (found := parts_of(data, model)) is not None:
                if grid := crossed(found):
                    parts += ["Test, the whole training part, NDCG@20:", grid]
                every = tested(data, model, found)
                parts += ["Test, the whole training part, the best first:", every]
    return "\n\n".join(parts) + "\n"


def table(data: str, model: str) -> str:
    """NDCG@20 on validation of the best trial of each cell; what could not be run, as such.

    Rows and losses of which no cell was tried are left out.
    """
    best, lines = winners(data, model), read(data, model)
    tried = Counter((line["row"], line["loss"]) for line in lines)
    fewest = min(tried.values())
    top = max((line[METRICS[0]] for line in best.values()), default=0.0)
    rows = []
    begun = [cell for cell in cells_of(model) if cell in tried]
    losses = dict.fromkeys(loss for _, loss in begun)
    for row in dict.fromkeys(row for row, _ in begun):
        cells = []
        for loss in losses:
            line = best.get((row, loss))
            if line is None:
                cells.append("refused" if (row, loss) in tried else "")
                continue
            text, number = f"{line[METRICS[0]]:.4f}", tried[row, loss]
            text = f"**{text}**" if line[METRICS[0]] == top else text
            cells.append(text if number == fewest else f"{text} ({number})")
        rows.append([row, *cells])
    return tabulate(
        rows,
        ["", *(each or METRICS[0] for each in losses)],
        tablefmt="github",
        disable_numparse=True,
    )


def main() -> int:
    """Search, test or write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="?", default="write", choices=("search", "test", "write"))
    parser.add_argument("--data", choices=list(BASE))
    parser.add_argument("--model", choices=[*MODELS, ALONE], default="BPR")
    parser.add_argument("--data_path")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once")
    parser.add_argument("--trials", type=int, help="of each cell (default: as many as pairs)")
    parser.add_argument("--seeds", default="5", help="a number, or a list: 3,4,5")
    parser.add_argument("--part", default="", help="a name, for what is tested beside tests before")
    parser.add_argument("--cells", help="only these: rns+ssm,dns+bpr")
    parser.add_argument("--why", default="the table", help="for results/tests.log")
    options = parser.parse_args()
    sys.argv = sys.argv[:1]
    cells = cells_of(options.model)
    if options.cells:
        names = options.cells.split(",")
        cells = [cell for cell in cells if label(cell) in names]
    if options.what == "search":
        trials = options.trials or len(PAIRS[options.data])
        search(options.data, options.model, options.data_path, cells, trials, options.jobs)
    elif options.what == "test":
        where = options.data, options.model, options.data_path
        return test(*where, cells, options.part, options.seeds, options.jobs, options.why)
    else:
        (ROOT / "results" / "field.md").write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
