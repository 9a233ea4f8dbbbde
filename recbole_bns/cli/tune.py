"""``recbole-bns tune``: a sweep with Ray Tune."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from .begin import begin_sweep
from .own_data import add_data, named, put, taken
from .parser import Parser

AFTER = """\
DIR/best.yaml is for --config_files, DIR/trials.csv has a line a trial, DIR/tune.md the tables.
Exit status: 0; 1 where no trial got to a result; 2 for bad input; 130 after Ctrl-C.

examples:
  recbole-bns tune --model=BPR --neg_sampler=dns --num_samples=10 --epochs=30
  recbole-bns tune --model=BPR --neg_sampler=rns --loss=ssm --loss_similarity=cosine
  recbole-bns tune --resume --out=runs/tune-ml-100k-BPR-dns"""


def parser() -> Parser:
    """The flags of ``tune`` that are no settings, and its help."""
    made = Parser(
        "tune",
        "Search hyper-parameters with Ray Tune: trials are compared on validation data, bad ones\n"
        "are stopped early (ASHA), the winner is trained again and tested once.\n"
        "--model, --dataset, --neg_sampler, --loss, --KEY=VALUE as in run, for all trials;\n"
        "--epochs is what a trial gets at the most (default 100).",
        AFTER,
        usage=False,
    )
    made.add("--model", "as in run", metavar="NAME")
    made.add("--dataset", "as in run", metavar="NAME")
    add_data(made)
    made.add("--config_files", "settings from YAML files", nargs="+", metavar="FILE")
    made.add("--num_samples", "trials (default 20); a grid runs whole and once", metavar="N")
    made.add(
        "--sweep",
        "a space of your own (default: properties/sweep/SAMPLER.yaml and loss/LOSS.yaml):\n"
        "learning_rate: {loguniform: [0.001, 0.1]}\n"
        "neg_sampler_args.candidate_num: {choice: [1, 3, 5]}\n"
        "kinds: choice, grid, uniform, loguniform, quniform, randint",
        metavar="FILE.yaml",
    )
    made.add("--search", "random (default), grid (of the choices), optuna", metavar="NAME")
    made.add("--scheduler", "asha (default), none", metavar="NAME")
    made.add("--metric", "what trials are compared by, as NDCG@20", metavar="NAME")
    made.add("--time_budget", "begin nothing new after it: 90s, 30m, 2h", metavar="TIME")
    made.add("--cpus_per_trial", "cores of a trial (default 1)", metavar="N")
    made.add("--gpus_per_trial", "default: 1 where there is one; 0.5 is half", metavar="N")
    made.add("--max_concurrent", "trials at once", metavar="N")
    made.add("--address", "a running Ray cluster: auto", metavar="ADDRESS")
    made.add("--storage_path", "a place that the machines of a cluster share", metavar="PATH")
    made.add("--out", "default: runs/tune-DATASET-MODEL-SAMPLER[+LOSS]", metavar="DIR")
    made.add("--resume", "go on with the sweep in DIR (--out)", action="store_true", default=None)
    return made


def command(words: Sequence[str]) -> int:
    """Run a sweep, or what is left of it.

    Raises:
        UsageError: a flag, a setting or the data are not allowed, or there is no Ray.
    """
    flags = parser().read_open(words)
    own = taken(flags, "tune", words)
    resume = bool(flags.pop("resume", False))
    from recbole_bns.tuning.ray_versions import check_ray

    check_ray()
    if not resume:
        begin_sweep(flags, data=own is None)
    if own is not None:
        put(flags, own, Path(flags.get("out") or f"runs/tune-{own.name}-{named(flags)}"))
    from recbole_bns.tuning import sweep

    asked = f"recbole-bns tune {shlex.join(words)}".rstrip()
    return sweep.tune(sweep.make_plan(flags, asked, resume=resume), resume=resume)
