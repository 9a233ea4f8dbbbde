"""What all tests share: settings for the tiny data set, and a process that stays as it was."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # tiny tensors; read when torch is loaded

import pytest
import torch
from process_mark import ProcessMark
from tiny import OTHERS, Settings, end_all, write_tiny


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)  # for tensors as small as here, more only wait for one another
    config.pluginmanager.register(ProcessMark())
    numpy_warns = "ignore:__array_wrap__ must accept context:DeprecationWarning"
    config.addinivalue_line("filterwarnings", numpy_warns)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    end_all()


@pytest.fixture(autouse=True)
def _autograd_at_full_speed() -> None:
    """RecBole's SINE switches anomaly detection on when imported: all is five times slower then."""
    torch.autograd.set_detect_anomaly(False)


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
