"""``recbole-bns run``: train, test, print the table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from recbole_bns.common.processes import (
    share_with_torchruns,
    shown_of_the_first,
    started_by_torchrun,
)
from recbole_bns.common.terminal import headed, width_of

from .begin import begin_run
from .own_data import add_data, taken
from .parser import Parser

SETTINGS = """\
  --KEY=VALUE             any setting of RecBole or the model (also --KEY VALUE; --KEY alone: True)
  --neg_sampler_args.KEY=VALUE   a parameter of the sampler (recbole-bns samplers NAME):
                          bns, bns_plus, dns, cuco, srns, aobpr, ahns, rns, pns, inbatch, mixed,
                          given, all, irgan, rns_as, advir; none: RecBole's own

settings of this package (recbole-bns help NAME has all of one, docs/settings.md of all):
"""

EXAMPLES = """\
examples:
  recbole-bns run --model=BPR --neg_sampler=dns --epochs=30 --seed=7
  recbole-bns run --neg_sampler_args.candidate_num=10 --learning_rate=0.005
  recbole-bns run --data=clicks.csv --user=customer --neg_sampler=srns"""


def parser() -> Parser:
    """The flags of ``run`` that are no settings, and its help."""
    from recbole_bns.settings.reference import help_lines

    made = Parser(
        "run",
        "Train a RecBole model with a negative sampler and test it.\n"
        "Without any flag: LightGCN on ml-100k (inside RecBole) with BNS.",
        SETTINGS + "\n".join(help_lines()) + "\n\n" + EXAMPLES,
        usage=False,
    )
    made.add("--model", "BPR, LightGCN, or another model of RecBole", metavar="NAME")
    made.add(
        "--dataset", "ml-100k, or a data set below --data_path=DIR, such as ml-1m", metavar="NAME"
    )
    add_data(made)
    made.add("--config_files", "settings from YAML files", nargs="+", metavar="FILE")
    made.add("--out", "folder for all that the run writes (default: runs/...)", metavar="DIR")
    made.add("--result_file", "write result.json there too", metavar="PATH")
    made.add(
        "--resume",
        "go on with the run in DIR, or the newest unfinished one of these settings",
        nargs="?",
        const="auto",
        metavar="DIR",
    )
    return made


def command(words: Sequence[str]) -> int:
    """Train a model and test it.

    Raises:
        UsageError: a flag, a setting or the data are not allowed.
    """
    flags = parser().read_open(words)
    own = taken(flags, "run", words)
    names = ("model", "dataset", "out", "result_file")
    model, dataset, out, result_file = (flags.pop(name, None) for name in names)
    files = flags.pop("config_files", None)
    resume = _resumed(flags.pop("resume", None))
    if started_by_torchrun():
        share_with_torchruns()
    begin_run(model, dataset, [*_settings_of(resume), *(files or [])], flags, data=own is None)
    dataset = dataset if own is None else own.read()
    from recbole_bns.runs import commands
    from recbole_bns.runs.results import result_table
    from recbole_bns.training.run import run_recbole_bns

    with shown_of_the_first(), commands.given(["recbole-bns", "run", *words]):
        result = run_recbole_bns(
            model, dataset, files, flags, out=out, result_file=result_file, resume=resume
        )
        text = result_table(result)
        print(headed(text, width_of(sys.stdout)) if sys.stdout.isatty() else text)
    return 0


def _settings_of(resume: Any) -> list[str]:
    """The settings of the run that is to go on, where it is named."""
    if resume in (None, "auto"):
        return []
    from recbole_bns.runs.folder import SETTINGS, folder_of

    return [str(folder_of(str(resume)) / SETTINGS)]


def _resumed(value: Any) -> Any:
    """``--resume=True`` is ``--resume`` alone, and ``--resume=False`` none of it."""
    return {True: "auto", False: None}[value] if isinstance(value, bool) else value
