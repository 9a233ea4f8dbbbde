"""``recbole-bns compare``: samplers and losses side by side, over seeds."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from .begin import begin_comparison
from .own_data import add_data, named, put, taken
from .parser import Parser

AFTER = """\
The same command goes on where it was stopped; DIR/compare.md, .csv and .json hold the tables.
Exit status: 0; 1 where a run failed; 2 for bad input; 130 after Ctrl-C.

examples:
  recbole-bns compare --model=BPR --samplers=rns,dns,bns --seeds=3 --epochs=30
  recbole-bns compare --samplers=rns,dns,bns --losses=bpr,ssm --ssm.temperature=0.1 --jobs=2"""


def parser() -> Parser:
    """The flags of ``compare`` that are no settings, and its help."""
    made = Parser(
        "compare",
        "Train samplers and losses side by side, with several seeds; Recall, Precision, NDCG\n"
        "at 5, 10, 20. --KEY=VALUE as in run; --dns.KEY, --ssm.KEY, --dns+ssm.KEY: those rows.",
        AFTER,
        usage=False,
    )
    made.add("--model", "as in run", metavar="NAME")
    made.add("--dataset", "as in run", metavar="NAME")
    add_data(made)
    made.add("--config_files", "settings from YAML files", nargs="+", metavar="FILE")
    made.add("--samplers", "which (default: all), mixers too, or rows: all+ssm", metavar="A,B,C")
    made.add("--losses", "crossed with them: dns+ssm (default: the model's own)", metavar="A,B,C")
    made.add(
        "--variants",
        "more rows: hard: {neg_sampler: dns, loss: ssm, loss_args: {...}, ...}",
        metavar="FILE.yaml",
    )
    made.add("--seeds", "seeds 1 to N (default 5), or a list: --seeds=3,7,9", metavar="N")
    made.add("--reference", "tested against (default: rns, or the first)", metavar="NAME")
    made.add(
        "--record",
        "measure the negatives of all runs, as run --neg_record does",
        action="store_true",
        dest="neg_record",
        default=None,
    )
    made.add("--jobs", "runs at once (default: one a core; one on a GPU)", metavar="N")
    made.add("--address", "a running Ray cluster that trains: auto", metavar="ADDRESS")
    made.add("--out", "default: runs/compare-DATASET-MODEL", metavar="DIR")
    return made


def command(words: Sequence[str]) -> int:
    """Train what is not yet trained, and write the tables.

    Raises:
        UsageError: a flag, a setting or the data are not allowed.
    """
    flags = parser().read_open(words)
    own = taken(flags, "compare", words)
    address = flags.pop("address", None)
    begin_comparison(flags, data=own is None)
    if own is not None:
        model = named(flags, of_rows=True)
        put(flags, own, Path(flags.get("out") or f"runs/compare-{own.name}-{model}"))
    from recbole_bns.compare import command as comparison
    from recbole_bns.compare.plan import read_plan

    asked = f"recbole-bns compare {shlex.join(words)}".rstrip()
    return comparison.compare(read_plan(flags), asked, address)
