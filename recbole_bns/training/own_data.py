"""A run on interactions of one's own: its folder keeps them, so that it can be moved as a whole."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from recbole_bns.common.errors import UsageError
from recbole_bns.common.processes import started_by_torchrun
from recbole_bns.datasets.own.interactions import Interactions
from recbole_bns.runs.folder import make_folder

from .asked import Asked
from .limits import check_run

DATA = "data"
"""In the folder of a run: its data set's folder lies here."""


def keep_data(asked: Asked, data: Interactions) -> Asked:
    """Make the run's folder and write the data into it.

    The settings are checked first: data of the same settings, without a row, are enough for that.

    Raises:
        UsageError: a setting is not allowed, the folder cannot be had, or the run is one that goes
            on or that several machines begin.
    """
    _check(asked, data)
    with tempfile.TemporaryDirectory() as empty:
        data.write_settings(Path(empty))
        config = _placed(asked, Path(empty)).config()
        check_run(config)
        folder = make_folder(asked.out, config)
    made = replace(_placed(asked, folder / DATA), made=folder)
    with data_kept(made):
        data.write(folder / DATA)
    return made


def _placed(asked: Asked, root: Path) -> Asked:
    return replace(asked, settings={**asked.settings, "data_path": str(root.resolve())})


def _check(asked: Asked, data: Interactions) -> None:
    if asked.resume is not None:
        raise UsageError(
            f"--resume: got '{asked.resume}' beside the data '{data.name}', but a run that goes on "
            "has its data in its folder; name the folder alone: --resume=DIR."
        )
    if started_by_torchrun():
        raise UsageError(
            f"torchrun: got the data '{data.name}', which each process would read by itself; write "
            "them once with 'recbole-bns prepare NAME --from FILE' (or .write(Path('dataset'))), "
            "then --dataset=NAME --data_path=dataset."
        )
    if "data_path" in asked.settings:
        raise UsageError(
            f"data_path: got {str(asked.settings['data_path'])!r} beside the data '{data.name}', "
            "which lie in the run's folder; leave it out."
        )


@contextmanager
def data_kept(asked: Asked) -> Iterator[None]:
    """Take the data away again, and the folder that was made for them, where the run is refused."""
    try:
        yield
    except BaseException:
        if asked.made is not None:
            shutil.rmtree(asked.made / DATA, ignore_errors=True)
            with suppress(OSError):
                (asked.made / "settings.yaml").unlink(missing_ok=True)
                asked.made.rmdir()
        raise
