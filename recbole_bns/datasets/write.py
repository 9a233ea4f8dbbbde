"""Writing RecBole's atomic files: a data set's folder appears whole, or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from recbole_bns.common.errors import UsageError

ENDINGS = ("inter", "user", "train.inter", "test.inter", "neg", "settings.yaml")
"""Of the files that this package writes, and may replace."""


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Make sure that the folder can be written without loss.

    Raises:
        UsageError: it is there and ``overwrite`` is off, or holds other files than ours.
    """
    if not (folder.exists() or folder.is_symlink()):
        return
    if not overwrite:
        raise UsageError(
            f"--out: '{folder}' is there already; name another folder with --out, or replace it "
            "with --overwrite."
        )
    if folder.is_symlink() or not folder.is_dir():
        raise UsageError(f"--out: '{folder}' is no folder of its own; name another with --out.")
    ours = {f"{folder.name}.{ending}" for ending in ENDINGS}
    others = sorted({path.name for path in folder.iterdir()} - ours)
    if others:
        raise UsageError(
            f"--out: '{folder}' holds '{others[0]}', which --overwrite would lose; name another "
            "folder with --out."
        )


def write_folder(
    folder: Path, files: Mapping[str, pd.DataFrame], *, overwrite: bool = False
) -> None:
    """Write atomic files beside the folder, then rename; whatever ends it early leaves no trace.

    Args:
        folder: the data set's.
        files: name -> content, the columns being the header.
        overwrite: replace the folder where there is one.

    Raises:
        UsageError: it cannot be written.
    """
    with whole_folder(folder, overwrite=overwrite) as new:
        for name, frame in files.items():
            write_atomic(new / name, frame)


@contextmanager
def whole_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A new folder to write in, which is renamed to ``folder`` at the end, or leaves no trace.

    Args:
        folder: that is wanted.
        overwrite: replace it where there is one.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        with (
            _parents(folder.parent),
            tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside,
        ):
            new, old = Path(beside) / "new", Path(beside) / "old"
            new.mkdir()
            yield new
            try:
                if overwrite and folder.exists():
                    folder.rename(old)
                new.rename(folder)
            except BaseException:
                if old.exists() and not folder.exists():
                    old.rename(folder)
                raise
    except OSError as error:
        raise UsageError(f"--out: cannot write '{folder}': {error.strerror}.") from error


def write_atomic(path: Path, frame: pd.DataFrame) -> None:
    """Write one atomic file of text columns."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\t".join(frame.columns) + "\n")
        rows = zip(*(frame[column] for column in frame.columns), strict=True)
        file.writelines("\t".join(row) + "\n" for row in rows)


@contextmanager
def _parents(folder: Path) -> Iterator[None]:
    """Make a folder and those above it; take the new ones away again where this fails."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in missing:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        raise
