"""What all tests share: a tiny data set, settings for it, and a process that stays as it was."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded; see cli.main

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[1]
USERS, ITEMS, EACH = 40, 60, 22
OTHERS = ("NeuMF", "NNCF")
"""Models that have no ``embedding_size``."""
Settings = dict[str, Any]


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    known = "ignore:__array_wrap__ must accept context:DeprecationWarning"
    config.addinivalue_line("filterwarnings", known)


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


@pytest.fixture(autouse=True)
def _own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what RecBole's Config reads (sys.argv) and writes (an environment variable) apart."""
    monkeypatch.setattr(sys, "argv", ["pytest"])
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)


@pytest.fixture(scope="session")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds ``tiny/``."""
    folder = tmp_path_factory.mktemp("data")
    write_tiny(folder)
    return folder


@pytest.fixture
def settings(data_path: Path) -> Settings:
    """Settings of a short run on the tiny data set, on the CPU."""
    return {
        "data_path": str(data_path),
        "use_gpu": False,
        "epochs": 2,
        "train_batch_size": 256,
        "eval_batch_size": 100_000,
        "embedding_size": 8,
        "show_progress": False,
    }


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def make(settings: Settings) -> Callable[..., Any]:
    """A maker of our Configs on the tiny data set."""
    from recbole_bns import BNSConfig

    def config(model: Any = "BPR", dataset: str = "tiny", **more: Any) -> Any:
        base = {k: v for k, v in settings.items() if k != "embedding_size" or model not in OTHERS}
        return BNSConfig(model, dataset, None, {**base, **more})

    return config


def prepare(config: Any) -> tuple[Any, Any, Any]:
    """Loaders for training, validation and test; the split is fixed by the seed."""
    from recbole.data import create_dataset
    from recbole.utils import init_seed

    from recbole_bns import data_preparation
    from recbole_bns.compat import quiet

    init_seed(config["seed"], True)
    with quiet():
        return data_preparation(config, create_dataset(config))


def build_model(config: Any, train: Any) -> Any:
    """The model that the config names, as RecBole builds it."""
    from recbole.utils import get_model, init_seed

    init_seed(config["seed"], True)
    return get_model(config["model"])(config, train._dataset)
