"""``recbole-bns study noise``: a paper's question, by many trainings and with figures."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from recbole_bns.common.errors import UsageError, nearest

from .parser import Parser, choice

STUDIES = {"noise": "false negatives planted before samplers (SRNS, section 4.2)"}

AFTER = """\
At every draw one of the user's available planted records is put into srns's memory, or among the
candidates of dns, bns, bns_plus, ahns. Rows beside the samplers: srns-off (alpha 0), srns-flat,
srns-growing, srns-falling (alpha over the epochs). rns is trained with nothing planted, and its
scores are looked at. The same command goes on where it was stopped; DIR/noise.html, .md, .json
hold figures, tables and numbers.

examples:
  recbole-bns study noise
  recbole-bns study noise --samplers=srns-off,srns-growing,dns --sigmas=0,1 --seeds=1
  recbole-bns study noise --paper --png=figures"""


def parser() -> Parser:
    """The flags of ``study noise`` that are no settings, and its help."""
    made = Parser(
        "study",
        "noise: plant false negatives, a share sigma of held-out records, before samplers; test\n"
        "metrics by sigma and by epoch, and what scores of false and true negatives are like.\n"
        "--model (BPR), --dataset (ml-100k: ratings of 4 and 5, random 4:1), --KEY=VALUE as in\n"
        "run, for all rows; --dns.KEY for a parameter of a sampler.",
        AFTER,
        usage=False,
    )
    made.add("study", "which one", metavar="noise", nargs="?", type=choice(list(STUDIES)))
    made.add("--model", "as in run (default: BPR)", metavar="NAME")
    made.add("--dataset", "as in run (default: ml-100k)", metavar="NAME")
    made.add("--config_files", "settings from YAML files", nargs="+", metavar="FILE")
    made.add("--samplers", "rows (default: srns-off,srns-growing,dns)", metavar="A,B,C")
    made.add("--variants", "more rows, as in compare", metavar="FILE.yaml")
    made.add("--sigmas", "shares that are available (default: 0,0.5,1)", metavar="A,B,C")
    made.add("--share", "share of the test records that is planted (default: 0.5)", metavar="F")
    made.add("--seeds", "seeds 1 to N (default 2), or a list: --seeds=3,7,9", metavar="N")
    made.add(
        "--paper",
        "the paper's length: 400 epochs, sigma in steps of 0.2, 5 seeds, alpha also flat\n"
        "and falling: hours",
        action="store_true",
        default=None,
    )
    made.add("--jobs", "runs at once (default: one a core; one on a GPU)", metavar="N")
    made.add("--out", "default: runs/noise-DATASET-MODEL", metavar="DIR")
    made.add("--png", "the figures as files too, into DIR", metavar="DIR")
    return made


def command(words: Sequence[str]) -> int:
    """Train what is not yet trained, and write page, tables and numbers.

    Raises:
        UsageError: no such study, or a flag, a setting or the data are not allowed.
    """
    name, *rest = words or [""]
    if name not in STUDIES:
        raise UsageError(
            f"study: got '{name}'{nearest(name, STUDIES)}; allowed is one of "
            f"{', '.join(STUDIES)} as the first word, such as recbole-bns study noise."
        )
    flags = parser().read_open(rest)
    from recbole_bns.studies.noise.command import study
    from recbole_bns.studies.noise.plan import read_plan

    return study(read_plan(flags), f"recbole-bns study {shlex.join(words)}")
