"""What a job can do: functions of the job; each returns what the journal keeps as its result."""

from __future__ import annotations

import shutil
from contextlib import closing
from time import perf_counter
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import beside
from recbole_bns.runs.folder import CHECKPOINTS

from .jobs import Job


def train_and_test(job: Job) -> dict[str, Any]:
    """A whole run, with the test metrics of every user in ``.npz``; the content of its result file.

    One that was lost with its machine goes on from its last state, where it has got to one.

    Raises:
        UsageError: bad settings or data, or a training that diverged.
    """
    from recbole_bns.training.run import run_recbole_bns

    begun = (job.folder / CHECKPOINTS).is_dir()
    if not begun:
        shutil.rmtree(job.folder, ignore_errors=True)
    result = run_recbole_bns(
        job.model,
        job.dataset,
        job.config_files,
        {**job.settings, "threads": job.threads},
        out=None if begun else job.folder,
        resume=job.folder if begun else None,
        per_user=beside(job.folder, ".npz"),
    )
    return dict(result)


def validate(job: Job) -> dict[str, Any]:
    """Train, and evaluate on the validation part alone: the test part is read, and put away.

    Nothing but ``epochs.csv`` is kept.

    Returns:
        ``evaluations``: ``[epoch, metrics]`` of each; ``epochs`` that were trained; ``seconds``
        of training and evaluation together.

    Raises:
        UsageError: bad settings or data, no validation part, or a training that diverged.
    """
    from recbole_bns.adapters.config import BNSConfig
    from recbole_bns.adapters.mends import quiet
    from recbole_bns.adapters.split import open_data
    from recbole_bns.datasets.check import check_files
    from recbole_bns.runs.results import epochs_table
    from recbole_bns.training.loaders import make_loaders
    from recbole_bns.training.train import make_trainer
    from recbole_bns.training.trainer import Watch

    config = BNSConfig(job.model, job.dataset, job.config_files, job.settings)
    check_files(config, keep=True)
    opened = open_data(config)
    parts = opened.parts
    if "valid" not in parts:
        raise UsageError(
            "valid_ratio: got 0, but what is compared on validation data needs a validation part; "
            "allowed is a share above 0."
        )
    shutil.rmtree(job.folder, ignore_errors=True)  # of a training that was lost with its machine
    job.folder.mkdir(parents=True)
    config["checkpoint_dir"] = str(job.folder)
    with quiet(), (job.folder / "epochs.csv").open("w", newline="", encoding="utf-8") as table:
        seen = {phase: parts[phase] for phase in ("train", "valid")}
        made = make_loaders(config, opened._replace(parts=seen))
        trainer = make_trainer(config, made["train"], job.folder)
        watch = Watch(after_epoch=epochs_table(table, lambda report: None, trainer.reports))
        began = perf_counter()
        with closing(trainer.tensorboard):
            trainer.fit(made["train"], made["valid"], verbose=False, saved=False, watch=watch)
    return {
        "evaluations": [[r.epoch, r.valid_result] for r in trainer.reports if r.valid_result],
        "epochs": len(trainer.reports),
        "seconds": perf_counter() - began,
    }
