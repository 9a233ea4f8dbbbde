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
from recbole_bns.common.processes import started_by_torchrun
from recbole_bns.datasets.check import check_files
from recbole_bns.datasets.own.interactions import Interactions
from recbole_bns.runs import commands
from recbole_bns.runs.folder import check_file, make_folder, write_settings
from recbole_bns.runs.records import RunConfig, RunResult

from . import torchrun
from .asked import Asked
from .launch import launch
from .limits import check_run, number_of
from .own_data import data_kept, keep_data
from .resume import alone, check_same, find, finished, is_finished
from .train import train


def run_recbole_bns(
    model: str | type | None = None,
    dataset: str | Interactions | None = None,
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

    Of processes that ``torchrun`` has started all make the call, and train together.

    Args:
        model: RecBole's name of the model, or a class; LightGCN where nothing says otherwise.
        dataset: name of the data set, ml-100k where nothing says otherwise; or
            :func:`recbole_bns.interactions` of one's own, which the run's folder then keeps in
            ``data/``.
        config_file_list: YAML files.
        config_dict: settings; dotted keys are allowed (``neg_sampler_args.candidate_num``).
        out: folder for all that the run writes; by default
            ``runs/<dataset>-<Model>-<sampler>-<seed>-<time>``.
        result_file: a second place for ``result.json``.
        per_user: an ``.npz`` file for the test metrics of every user, in the place of
            ``users.npz`` in the folder; see :func:`recbole_bns.runs.results.save`.
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
    settings = dict(config_dict or {}) | ({} if nproc is None else {"nproc": nproc})
    if resume is not None and out is not None:
        raise UsageError(f"out: got '{out}', but a run that goes on stays in its folder.")
    name = dataset.name if isinstance(dataset, Interactions) else dataset
    asked = Asked(model, name, config_file_list, settings, out, result_file, per_user, resume)
    if isinstance(dataset, Interactions):
        asked = keep_data(asked, dataset)
    if started_by_torchrun():
        return torchrun.take_part(asked, begin)
    with data_kept(asked):
        config, folder = begin(asked)
    if is_finished(folder, config):
        return finished(folder, result_file)
    with alone(folder):
        try:
            if number_of(config) == 1:
                return train(config, folder, result_file, per_user)
            return launch(config, asked, folder)
        except KeyboardInterrupt:
            raise Stopped(
                f"stopped; all that is done lies in {folder}; go on with: "
                f"recbole-bns run --resume={shlex.quote(str(folder))}"
            ) from None


def begin(asked: Asked) -> tuple[BNSConfig, Path]:
    """The settings of a run, checked, and its folder, which is a new one or goes on.

    Raises:
        UsageError: bad settings or data, or a folder that cannot be had.
    """
    config = asked.config()
    check_run(config, new=asked.resume is None)
    check_files(config, keep=number_of(config) == 1)
    if asked.result_file is not None:
        check_file(asked.result_file)
    for remark in [*config.remarks, *remarks(config)]:
        print(f"note: {remark}", file=sys.stderr)
    if asked.made is not None:
        write_settings(config, asked.made)
        return config, asked.made
    folder = asked.held or (find(config) if asked.resume is not None else None)
    if folder is None:
        return config, _new_folder(config, asked.out, asked_to_resume=asked.resume is not None)
    check_same(folder, config)
    if not is_finished(folder, config):
        print(f"the run in {folder} goes on")
        commands.note(folder)
    return config, folder


def _new_folder(config: RunConfig, out: str | Path | None, *, asked_to_resume: bool) -> Path:
    """The folder of a new run, with its settings in it."""
    if asked_to_resume:
        print("--resume=auto: no unfinished run with these settings was found; a new one.")
    folder = make_folder(out, config)
    write_settings(config, folder)
    commands.note(folder)
    return folder


class Stopped(KeyboardInterrupt):
    """Ctrl-C or SIGTERM during a run; the text says where it lies and how it goes on."""
