"""The run recipe: settings, data, model, training, test, results in a folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_bns.adapters.acting import remarks
from recbole_bns.adapters.config import BNSConfig
from recbole_bns.common.errors import UsageError
from recbole_bns.datasets.check import check_files
from recbole_bns.runs.folder import SETTINGS, check_file, folder_of, make_folder, write_settings
from recbole_bns.runs.records import RunConfig, RunResult

from .launch import launch
from .limits import check_run, number_of
from .resume import AUTO, alone, check_same, find, finished, is_finished
from .train import train


def run_recbole_bns(
    model: str | type | None = None,
    dataset: str | None = None,
    config_file_list: list[str] | None = None,
    config_dict: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    result_file: str | Path | None = None,
    per_user: str | Path | None = None,
    resume: str | Path | None = None,
    nproc: int | None = None,
) -> RunResult:
    """Train a RecBole model with a negative sampler, test it, and keep everything in a folder.

    Args:
        model: RecBole's name of the model, or a class; LightGCN where nothing says otherwise.
        dataset: name of the data set; ml-100k where nothing says otherwise.
        config_file_list: YAML files.
        config_dict: settings; dotted keys are allowed (``neg_sampler_args.candidate_num``).
        out: folder for all that the run writes; by default
            ``runs/<dataset>-<Model>-<sampler>-<seed>-<time>``.
        result_file: a second place for ``result.json``.
        per_user: an ``.npz`` file for the test metrics of every user; see
            :func:`recbole_bns.runs.results.save`.
        resume: folder of a run that goes on, with its own settings but for more epochs; ``auto``:
            the newest unfinished run with these settings below the current folder, else a new one.
        nproc: processes that train it together, each on a GPU or all on the CPU; the same as the
            setting. ``train_batch_size`` stays the size of a step's batch, which they share.

    Returns:
        the content of ``result.json``: metrics flat and unrounded, epochs counted from 1.

    Raises:
        UsageError: bad settings or data, a training that diverged, or one of several processes
            that died.
    """
    if nproc is not None:
        config_dict = {**(config_dict or {}), "nproc": nproc}
    if resume is not None and out is not None:
        raise UsageError(f"out: got '{out}', but a run that goes on stays in its folder.")
    going_on = resume is not None and str(resume) != AUTO
    if going_on:
        held = folder_of(str(resume))
        config_file_list = [str(held / SETTINGS), *(config_file_list or [])]
    config = BNSConfig(model, dataset, config_file_list, config_dict)
    check_run(config, new=resume is None)
    check_files(config, keep=number_of(config) == 1)
    if result_file is not None:
        check_file(result_file)
    for remark in [*config.remarks, *remarks(config)]:
        print(f"note: {remark}", file=sys.stderr)
    folder = held if going_on else find(config) if resume is not None else None
    if folder is None:
        folder = _new_folder(config, out, asked_to_resume=resume is not None)
    else:
        check_same(folder, config)
        if is_finished(folder, config["epochs"]):
            return finished(folder, result_file)
        print(f"the run in {folder} goes on")
    with alone(folder):
        try:
            if number_of(config) == 1:
                return train(config, folder, result_file, per_user)
            given = (model, dataset, config_file_list, dict(config_dict or {}))
            return launch(config, given, folder, result_file, per_user)
        except KeyboardInterrupt:
            raise Stopped(
                f"stopped; all that is done lies in {folder}; go on with: "
                f"recbole-bns run --resume={shlex.quote(str(folder))}"
            ) from None


def _new_folder(config: RunConfig, out: str | Path | None, *, asked_to_resume: bool) -> Path:
    """The folder of a new run, with its settings in it."""
    if asked_to_resume:
        print("--resume=auto: no unfinished run with these settings was found; a new one.")
    folder = make_folder(out, config)
    write_settings(config, folder)
    return folder


class Stopped(KeyboardInterrupt):
    """Ctrl-C or SIGTERM during a run; the text says where it lies and how it goes on."""
