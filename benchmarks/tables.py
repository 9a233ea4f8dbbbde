"""The papers' tables: run the comparisons, and write results/ with the papers' values beside ours.

    python benchmarks/tables.py --run                  # all; goes on where it was stopped
    python benchmarks/tables.py --run table3 figure5   # only these
    python benchmarks/tables.py                        # write results/*.md from results/compare/
    python benchmarks/tables.py --check                # every printed value has a source file

Each comparison is a command of its own (`--list` prints them) over settings in properties/tuned/,
which benchmarks/search.py chose on validation data; here the whole training part is trained on for
the number of epochs found there, and the test part is looked at once. DATA is the folder with
ml-100k-bns/ and ml-1m-ahns/; see `recbole-bns prepare`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import accesses
import pandas as pd
import sources
from tabulate import tabulate

from recbole_bns.cli import main as recbole_bns

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
KEPT = RESULTS / "compare"
NAMES = {
    "BPR": "MF (BPR)",
    "LightGCN": "LightGCN, 1 layer",
    "ml-100k-bns": "ML-100K",
    "ml-1m-ahns": "ML-1M",
    "amazon-tools-ahns": "Amazon tools",
    "amazon-beauty-dens": "Amazon beauty",
    "yelp2018": "Yelp2018",
}
AHNS = "--tuned=False --embedding_size=64 --learning_rate=0.001 --reg_weight=0.0001"


@dataclass(frozen=True)
class Comparison:
    """One command of ``recbole-bns compare`` and the paper's table that it is for."""

    table: str
    model: str
    dataset: str
    words: str
    size: str = ""
    """Where one page has a model and a data set twice."""
    head: str = ""
    """Where the rows have models of their own."""

    @property
    def flags(self) -> list[str]:
        """Of the command, without the folder."""
        return [
            f"--model={self.model}",
            f"--dataset={self.dataset}",
            "--data_path=DATA",
            "--valid_ratio=0",
            *self.words.split(),
        ]


ALL = "--samplers=rns,pns,aobpr,dns,srns,bns,ahns --reference=bns"
EIGHT = "--reference=bns_plus --samplers=rns,pns,aobpr,dns,srns,bns,ahns,bns_plus,EASE"
ML, BNS = "ml-100k-bns", "benchmarks/variants"
COMPARISONS = {
    "table2-ml-100k-BPR": Comparison("II", "BPR", ML, f"{ALL} --seeds=5"),
    "table2-ml-100k-LightGCN": Comparison("II", "LightGCN", ML, f"{ALL} --seeds=5"),
    "table2-ml-1m-BPR": Comparison("II", "BPR", "ml-1m-ahns", f"{ALL} --seeds=5"),
    "table2-ml-1m-BPR-cuts": Comparison(
        "II",
        "BPR",
        "ml-1m-ahns",
        f"--variants={BNS}/bns-ml-1m.yaml --samplers=bns-cuts --seeds=5",
        "`bns` after a search with a second cut, which no other sampler had",
    ),
    "table2-ml-1m-LightGCN": Comparison("II", "LightGCN", "ml-1m-ahns", f"{ALL} --seeds=5"),
    "table3": Comparison("III", "BPR", ML, f"--variants={BNS}/table3.yaml --reference=BNS-0"),
    "table4": Comparison(
        "IV",
        "BPR",
        ML,
        f"--variants={BNS}/table4.yaml --samplers=m=1,m=3,m=5,m=10,m=20,m=50,m=100 "
        "--reference=m=1 --seeds=2",
        "up to 100 candidates",
    ),
    "table4-many": Comparison(
        "IV",
        "BPR",
        ML,
        f"--variants={BNS}/table4.yaml --samplers=m=500,m=all --reference=m=500 --seeds=1",
        "more candidates, one seed since F of so many takes minutes a run",
    ),
    "table4-sgd": Comparison(
        "IV",
        "BPR",
        ML,
        f"--variants={BNS}/table4.yaml --samplers=m=1,m=20 --reference=m=1 "
        "--seeds=1 --tuned=False --embedding_size=32 --learner=sgd --learning_rate=1.28 "
        "--train_batch_size=128 --reg_weight=0.01 --epochs=100",
        "the paper's SGD of 0.01, L2 0.01 and 100 epochs, in batches of 128",
    ),
    "figure5": Comparison("5", "BPR", ML, f"--variants={BNS}/figure5.yaml --reference=lambda=5"),
    "ahns": Comparison(
        "AHNS",
        "BPR",
        "ml-1m-ahns",
        f"--variants={BNS}/ahns.yaml --reference=MF-RNS --seeds=5 --topk=20,50 {AHNS}",
    ),
    "plus-ml-100k-BPR": Comparison(
        "plus", "BPR", ML, f"{EIGHT},dns-40,bns-40 --variants={BNS}/plus-ml-100k-BPR.yaml --seeds=5"
    ),
    "plus-ml-100k-LightGCN": Comparison(
        "plus", "LightGCN", ML, f"{EIGHT} --variants={BNS}/plus-ml-100k.yaml --seeds=5"
    ),
    "plus-ml-1m-BPR": Comparison(
        "plus",
        "BPR",
        "ml-1m-ahns",
        f"--variants={BNS}/plus-ml-1m.yaml --reference=bns_plus-64 --seeds=5 --tuned=False",
        "d 64",
    ),
    "plus-ml-1m-BPR-32": Comparison(
        "plus",
        "BPR",
        "ml-1m-ahns",
        f"{EIGHT} --variants={BNS}/plus-ml-1m-EASE.yaml --seeds=5",
        "d 32",
    ),
    **{
        f"plus-preset-ml-100k-{model}": Comparison(
            "plus",
            model,
            ML,
            f"--variants={BNS}/preset-ml-100k.yaml --samplers=bns_plus,bns-plus-{name} --seeds=5 "
            "--reference=bns_plus",
            "`--preset=bns-plus`",
        )
        for model, name in (("BPR", "MF"), ("LightGCN", "LightGCN"))
    },
    **{
        f"mined-{data.split('-')[1]}": Comparison(
            "mined",
            "LightGCN",
            data,
            f"--variants={BNS}/mined-{data.split('-')[1]}.yaml --reference=mined-LightGCN "
            "--seeds=3 --tuned=False --metrics=[NDCG,Recall,ItemCoverage] --topk=[5,10,20]",
            head=NAMES[data],
        )
        for data in ("amazon-tools-ahns", "amazon-beauty-dens")
    },
    "mined-yelp": Comparison(
        "mined",
        "BPR",
        "yelp2018",
        f"--variants={BNS}/mined-yelp.yaml --reference=mined-MF --seeds=1 --tuned=False "
        "--metrics=[NDCG,Recall,ItemCoverage] --topk=[5,10,20]",
        head="Yelp2018, one seed",
    ),
    "mined-yelp-preset": Comparison(
        "mined",
        "BPR",
        "yelp2018",
        f"--variants={BNS}/mined-yelp-preset.yaml --reference=mined-MF --seeds=3 --tuned=False "
        "--metrics=[NDCG,Recall,ItemCoverage] --topk=[5,10,20]",
        head="Yelp2018, the preset as it ships",
    ),
    "plus-ml-1m-LightGCN": Comparison(
        "plus",
        "LightGCN",
        "ml-1m-ahns",
        f"{EIGHT} --variants={BNS}/plus-ml-1m-EASE.yaml --seeds=5",
    ),
}


def run(names: list[str], jobs: int | None, why: str) -> int:
    """Run comparisons one after another and keep their tables in results/compare/.

    Args:
        names: of them.
        jobs: trainings at once; None: as many as `compare` takes by itself.
        why: for results/tests.log.

    Returns:
        the worst exit status; what a comparison that was refused had left before is not taken.
    """
    worst = 0
    for name in names:
        out = f"runs/{name}"
        settings = f"results/compare/{name}.json"
        accesses.log(COMPARISONS[name].dataset, COMPARISONS[name].model, [name], settings, why)
        own = [] if jobs is None else [f"--jobs={jobs}"]
        status = recbole_bns(["compare", *COMPARISONS[name].flags, f"--out={out}", *own])
        worst = max(worst, status)
        if status == 130:
            break
        if status == 2:
            print(f"{name}: refused, see above", file=sys.stderr)
            continue
        KEPT.mkdir(parents=True, exist_ok=True)
        for ending in ("md", "csv", "json"):
            if (found := Path(out) / f"compare.{ending}").is_file():
                shutil.copyfile(found, KEPT / f"{name}.{ending}")
    return worst


def load(name: str) -> dict[str, Any] | None:
    """A comparison that was run."""
    path = KEPT / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def beside(name: str, content: dict[str, Any], papers: pd.DataFrame) -> tuple[str, list[str]]:
    """Our means over the paper's values, one row a sampler; what is below the paper.

    Args:
        name: of the comparison.
        content: its JSON.
        papers: of papers.csv.
    """
    spec = COMPARISONS[name]
    means = pd.DataFrame(content["metrics"])
    here = papers[(papers["table"] == spec.table) & (papers["dataset"] == spec.dataset)]
    paper = here[here["model"] == spec.model].set_index(["row", "metric"])["value"].to_dict()
    rows, below = [], []
    for row, group in means.groupby("sampler", sort=False):
        cells = []
        for value in group.itertuples():
            theirs = paper.get((row, value.metric))
            text = f"{value.mean:.4f}"
            bold = f"**{text}**" if value.rank == 1 else text
            if theirs is not None and value.mean < theirs:
                below.append(f"{row} {value.metric} {text} (paper {theirs:.4f})")
            cells.append(bold if theirs is None else f"{bold} ({theirs:.4f})")
        rows.append([f"`{row}`", group["runs"].iloc[0], *cells])
    heads = ["", "runs", *map(title, means["metric"].unique())]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True), below


def title(metric: str) -> str:
    """``N@20`` for ``ndcg@20``."""
    return metric[0].upper() + metric[metric.index("@") :]


def verdicts(content: dict[str, Any], metric: str = "ndcg@20") -> str:
    """How the others stand to the reference, with the paired t-test."""
    means = {m["sampler"]: m["mean"] for m in content["metrics"] if m["metric"] == metric}
    parts = []
    for test in content["tests"]:
        if test["metric"] == metric:
            p, difference = test["p_t_holm"], test["difference"]
            sign = "no different (p > 0.05)" if p > 0.05 else "below" if difference < 0 else "above"
            parts.append(f"`{test['sampler']}` {difference:+.4f}, {sign}")
    reference = content["reference"]
    return (
        f"{title(metric)} against `{reference}` ({means[reference]:.4f}): {'; '.join(parts)} "
        "(paired t-test over users, Holm-corrected)."
    )


def section(name: str, papers: pd.DataFrame) -> str:
    """A table, what is below the paper, and the command."""
    spec, content = COMPARISONS[name], load(name)
    size = spec.size and f", {spec.size}"
    head = f"## {spec.head or f'{NAMES[spec.model]} on {NAMES[spec.dataset]}{size}'}"
    wanted = f"recbole-bns compare {' '.join(spec.flags)}"
    if content is None:
        return f"{head}\n\nNot run yet: `{wanted}`"
    words = shlex.split(content["command"])
    command = " ".join(word for word in words if not word.startswith(("--out=", "--jobs=")))
    if sorted(command.split()) != sorted(wanted.split()):
        print(f"{name}: not the command of today: {command}", file=sys.stderr)
    versions = ", ".join(f"{package} {v}" for package, v in content["versions"].items())
    table, below = beside(name, content, papers)
    alone = not content["tests"]  # a row by itself, which the paper does not have
    known = (papers["table"] == spec.table).any() and not alone
    said = f"Below the paper: {'; '.join(below)}." if below else "No mean is below the paper's."
    return "\n\n".join(
        [
            head,
            table,
            *([said] if known else []),
            *([] if alone else [verdicts(content)]),
            f"`{command}` ({versions}; seeds {', '.join(map(str, content['seeds']))}). "
            f"Deviations, tests, times and settings: [compare/{name}.md](compare/{name}.md).",
        ]
    )


PAGES = {
    "table2": (
        "Table II of Liu & Wang (ICDE 2023)",
        "Mean over the seeds, in brackets the paper's value; **best** of ours. P, R, N: precision, "
        "recall, NDCG, averaged over the users with test items; the ideal NDCG counts min(k, test "
        "items). d 32. ML-100K is the authors' own split; ML-1M is the AHNS authors' split, since "
        "the BNS authors' is unknown, so that its columns are not measured on the same test part. "
        "The paper has no `ahns`. Every sampler's settings were searched with the same effort on "
        "validation data; [search.md](search.md) says what was known of the test values when the "
        "search on ML-1M was widened. `bns` with MF on ML-1M stays below the paper: a second cut "
        "of its best trials prefers other settings (`bns-cuts`), no better on the test part.",
        [name for name in COMPARISONS if name.startswith("table2")],
    ),
    "table3": (
        "Table III of Liu & Wang (ICDE 2023): variants of BNS",
        "BNS-0: as tuned. BNS-1: lambda falls from 10 by 0.1 an epoch, not below 2. BNS-2: five "
        "epochs of uniform negatives first. BNS-3: the same prior for all items. BNS-4: popularity "
        "weighted by the user's occupation. All else is the tuned setting of `bns`.",
        ["table3"],
    ),
    "table4": (
        "Table IV of Liu & Wang (ICDE 2023): a simulation that sees the test labels",
        "The prior is 0.64 for held-out positives and 0.04 for the rest: what BNS could do if its "
        "prior knew the user. **The sampler sees the labels that it is tested on; these are no "
        "results.** In the first two tables all else is the tuned setting of `bns`, in the third "
        "the paper's own. **The gain is far below the paper's** (m = 20: .5498). The prior does "
        "what it should: of 8,000 negatives with m = 20 none was held out, of uniform ones 2.7 %. "
        "Nor is it this implementation: a second program, which trains one positive at a time as "
        "the paper does, comes to .4160 for BNS with popularity (paper .4176), but to .4490 for "
        "the oracle with m = 20, and without any L2, which lets the vectors learn the labels by "
        "heart, to .4642 (m = 100: .4853; paper .5971): [sequential.md](sequential.md). The "
        "optimiser explains a third of what is left: Adam of .003 without any L2, m = 100, F of "
        "256 items, one seed, has .5064 after 100 epochs and .5172 after 260, where it hardly "
        "grows any more; its R@20 is .4215 (paper .4321), its P@5 .4995 (.6509) "
        "([published/table4-adam.csv](published/table4-adam.csv)). What else the paper's "
        "simulation had is not known.",
        ["table4", "table4-many", "table4-sgd"],
    ),
    "figure5": (
        "Figure 5 of Liu & Wang (ICDE 2023)",
        "Test metrics against lambda (five candidates) and against the number of candidates m "
        "(lambda 5; m = 5 is lambda=5); all else is the tuned setting of `bns`. Nothing is chosen "
        "by it. ![NDCG@20 against lambda and m](figure5.png)",
        ["figure5"],
    ),
    "ahns": (
        "ML-1M column of Table 2 of Lai et al. (AHNS, AAAI 2024)",
        "Their setting: MF, d 64, Adam 0.001, batch 2048, batch L2 0.0001, alpha 0.1, beta 0.4, "
        "M 16, p -1 and -2, on their split. They train for up to 100 epochs, test every fifth one "
        "and report the best; here the number of epochs, and of `dns` the candidates (5 or 16), "
        "were chosen on a tenth of the training part ([search.md](search.md)), then the whole of "
        "it was trained on and the test part looked at once. Their way of "
        "reporting does not explain it: AHNS-2 with these settings, one seed, tested every fifth "
        "of 60 epochs, has at the most .2510 / .4062 (R@20, R@50, epoch 20) and .3751 / .3908 "
        "(N@20, N@50, epoch 15), and falls from then on "
        "([published/ahns-2.csv](published/ahns-2.csv)): it overfits. With what validation chose "
        "(`reg_weight` .02, alpha 1, beta 1, p -1) AHNS has .4027 "
        "([bns_plus.md](bns_plus.md)), above their .3877; how theirs was held back is not known.",
        ["ahns"],
    ),
    "mined-tests": (
        "Mined positives: tests",
        "`--preset=mined-ssm` with LightGCN (2 layers) and with MF, the best softmax with uniform "
        "negatives that [mined.md](mined.md) has, and EASE with its best L2, all chosen on a tenth "
        "of the training part (beauty is split by time, so that this tenth is not like its test "
        "part); then the whole training part and one test, the rows `mined` of tools and beauty a "
        "third time: they had been tested at temperature .15 (tools .0620 / .1089 with LightGCN, "
        ".0610 / .1072 with MF, beauty .0224 / .0422, .0225 / .0423; `compare/*-tau-15.json`), at "
        ".12 after validation on yelp2018 had asked for that (.0628 / .1099, .0615 / .1076, .0223 "
        "/ .0419, .0225 / .0428; `compare/*-tau-12.json`), and with the preset of today, whose "
        "temperature follows from the catalogue since validation on thinned MovieLens asked for "
        "more there: .158 on tools, .156 on beauty. Nothing was chosen by a test. yelp2018 was "
        "tested at .12, after 24 epochs, beside the plain loss, and then again as the preset ships "
        "(.114, the 34 epochs that validation asked for), beside the same without mining. I is the "
        "share of the catalogue in the lists. Published on these splits, chosen on the test part: "
        "tools, MF with AHNS .0405 / .0742 (N@20 / R@20); beauty, LightGCN with DENS .0234 / "
        ".0440; yelp2018, MF .0599 / .0725, LightGCN .0617 / .0744.",
        [name for name in COMPARISONS if name.startswith("mined")],
    ),
    "bns_plus": (
        "BNS+: a prior that knows the user",
        "Settings of every row were searched with the same effort on validation data "
        "([search.md](search.md)); then the whole training part, five seeds, one test; some "
        "times of LightGCN on ML-1M were measured under other load. d 32, and for MF on ML-1M also "
        "d 64 (settings of the rows that were searched there in "
        "`benchmarks/variants/plus-ml-1m.yaml`). EASE is the prior's own model as a recommender, "
        "without chance in it, so that its seeds are one run as often. What helped and what did "
        "not, on validation: [learned-prior.md](learned-prior.md).",
        [name for name in COMPARISONS if name.startswith("plus")],
    ),
}


def draw(content: dict[str, Any]) -> None:
    """Figure 5 as a picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    means = {m["sampler"]: m for m in content["metrics"] if m["metric"] == "ndcg@20"}
    if "lambda=5" in means:
        means["m=5"] = means["lambda=5"]
    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
    for axis, (kind, label) in zip(
        axes, (("lambda", "λ (5 candidates)"), ("m", "candidates m (λ = 5)")), strict=True
    ):
        points = sorted((float(k.split("=")[1]), v) for k, v in means.items() if k.startswith(kind))
        axis.errorbar(
            [x for x, _ in points],
            [v["mean"] for _, v in points],
            yerr=[v["std"] or 0 for _, v in points],
            marker="o",
            capsize=3,
        )
        axis.set_xlabel(label)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("test NDCG@20, mean ± std")
    figure.savefig(RESULTS / "figure5.png", dpi=120)


def write() -> None:
    """Write results/*.md."""
    papers = pd.read_csv(HERE / "papers.csv")
    for page, (head, text, names) in PAGES.items():
        parts = [f"# {head}", text, *(section(name, papers) for name in names)]
        (RESULTS / f"{page}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    if content := load("figure5"):
        draw(content)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", nargs="*", metavar="NAME", choices=[*COMPARISONS])
    parser.add_argument("--jobs", type=int, help="trainings at once")
    parser.add_argument("--why", default="the table's rows", help="for results/tests.log")
    parser.add_argument("--list", action="store_true", help="print the commands")
    parser.add_argument("--check", action="store_true", help="look for values without a source")
    args = parser.parse_args()
    if args.check:
        wrong = sources.check(KEPT, COMPARISONS)
        print("\n".join(wrong) or "every value has a source, and the settings are those that ship")
        return int(bool(wrong))
    if args.list:
        for name, spec in COMPARISONS.items():
            print(f"{name}: recbole-bns compare {' '.join(spec.flags)}")
        return 0
    status = 0 if args.run is None else run(args.run or list(COMPARISONS), args.jobs, args.why)
    write()
    return status


if __name__ == "__main__":
    sys.exit(main())
