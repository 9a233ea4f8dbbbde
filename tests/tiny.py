"""A tiny data set and how to make loaders and models from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from warm import run_warm

from recbole_bns.common.processes import package_path

ROOT = Path(__file__).parents[1]
USERS, ITEMS, EACH = 40, 60, 22
OTHERS = ("NeuMF", "NNCF", "Random")
"""Models that have no ``embedding_size``."""
Settings = dict[str, Any]
SKIPS = ROOT / "tests" / "skips.neg"
"""Pairs of the tiny data set that were shown and not taken; some are positives, too."""
LOSS: dict[str, Settings] = {"all": {"loss": "ssm"}, "given": {"negatives": str(SKIPS)}}
"""Samplers that need a loss over many negatives, or known dislikes -> such settings."""
WITH_FEATURES: Settings = {
    "load_col": {
        "inter": ["user_id", "item_id"],
        "user": ["user_id", "occupation"],
        "item": ["item_id", "genre"],
    },
}
"""Load what the tiny data set has of users and items beside their ids."""


def write_atomic(path: Path, header: str, rows: list[tuple[Any, ...]]) -> None:
    """Write one of RecBole's atomic files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [header.replace(" ", "\t"), *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_tiny(folder: Path, name: str = "tiny") -> None:
    """40 users x 60 items, 880 pairs: two tastes, popular and unpopular items, features of both."""
    source = np.random.default_rng(7)
    popular = 1 / np.arange(1, ITEMS + 1) ** 0.4
    pairs = []
    for user in range(USERS):
        liked = popular * np.where(np.arange(ITEMS) % 2 == user % 2, 4.0, 1.0)
        for item in source.choice(ITEMS, EACH, replace=False, p=liked / liked.sum()):
            pairs.append((f"u{user}", f"i{item}", source.integers(1, 6), len(pairs)))
    order = source.permutation(len(pairs))
    write_atomic(
        folder / name / f"{name}.inter",
        "user_id:token item_id:token rating:float timestamp:float",
        [pairs[place] for place in order],
    )
    jobs = ("artist", "doctor", "farmer")
    write_atomic(
        folder / name / f"{name}.user",
        "user_id:token age:float occupation:token",
        [(f"u{user}", 20 + user, jobs[user % 3]) for user in range(USERS)],
    )
    write_atomic(
        folder / name / f"{name}.item",
        "item_id:token year:float genre:token_seq",
        [(f"i{item}", 1950 + item, "old new"[: 3 + 4 * (item % 2)]) for item in range(ITEMS)],
    )


def prepare(config: Any) -> tuple[Any, Any, Any]:
    """Loaders for training, validation and test; the split is fixed by the seed."""
    from recbole.data import create_dataset
    from recbole.utils import init_seed

    from recbole_bns import data_preparation
    from recbole_bns.adapters.mends import quiet

    init_seed(config["seed"], True)
    with quiet():
        return data_preparation(config, create_dataset(config))


def build_model(config: Any, train: Any) -> Any:
    """The model that the config names, as RecBole builds it."""
    from recbole.utils import get_model, init_seed

    from recbole_bns.adapters.mends import quiet

    init_seed(config["seed"], True)
    with quiet():
        return get_model(config["model"])(config, train._dataset)


def run_quickly(script: str, folder: Path, *words: str) -> None:
    """Like :func:`run_fresh`, for a script that does not mind what is imported beforehand.

    That is PyTorch and other libraries (:mod:`warm`), never RecBole or the package under test.
    """
    done = run_warm(script, folder, *words)
    assert done.returncode == 0, done.stdout + done.stderr


def run_fresh(script: str, folder: Path, *words: str) -> None:
    """Run a script in its own process and working directory; fail with what it said.

    The package under test is on its path, installed or not.
    """
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": package_path()},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


STARTED: list[subprocess.Popen[Any]] = []
"""Processes of the test that is running."""


def start(words: Sequence[str], folder: Path, **kwargs: Any) -> subprocess.Popen[Any]:
    """Start a command of the package under test; conftest ends what the test leaves running.

    Args:
        words: of ``recbole-bns``.
        folder: where it works.
        kwargs: for ``Popen``; ``env`` is added to this process's.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "recbole_bns.cli", *words],
        cwd=folder,
        start_new_session=True,
        **{**kwargs, "env": {**os.environ, "PYTHONPATH": package_path(), **kwargs.get("env", {})}},
    )
    STARTED.append(process)
    return process


def end_all() -> None:
    """End the processes that the test started, and what these have started."""
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def alive(pid: int) -> bool:
    """Whether a process runs; one that is over and not yet waited for does not."""
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        if not Path("/proc/self/stat").exists():  # not Linux
            return True
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return False


def assert_refused(
    words: str, sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``run`` refuses its words in one sentence, before the data are read; nothing is left."""
    from recbole_bns.cli import main

    model = [] if "--model" in words else ["--model=BPR"]
    done = main(["run", *model, "--dataset=nowhere", "--use_gpu=False", *words.split()])
    said = capsys.readouterr().err.strip().splitlines()
    assert done == 2
    assert len(said) == 1
    assert sentence in said[0]
    assert list(folder.iterdir()) == []
