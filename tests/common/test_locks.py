"""One process at a time in a folder."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import filelock
import pytest
from tiny import ROOT

from recbole_bns import UsageError
from recbole_bns.common.locks import NAME, alone, is_held

HOLD = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from recbole_bns.common.locks import alone
with alone(Path(sys.argv[1]), "taken"):
    Path(sys.argv[1], "held").touch()
    time.sleep(600)
"""


def test_a_second_one_is_refused_until_the_first_is_gone(tmp_path):
    assert not is_held(tmp_path)
    assert not (tmp_path / NAME).exists(), "to ask leaves nothing behind"
    with alone(tmp_path, "taken"):
        assert is_held(tmp_path)
        with pytest.raises(UsageError, match=r"^taken$"), alone(tmp_path, "taken"):
            pass
        assert is_held(tmp_path), "who was refused frees nothing"
    assert not is_held(tmp_path)
    with alone(tmp_path, "taken"):
        pass


@pytest.mark.process
def test_a_killed_process_holds_nothing(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)])
    try:
        for _ in range(1200):
            if (tmp_path / "held").exists():
                break
            assert holder.poll() is None
            time.sleep(0.05)
        assert is_held(tmp_path)
        with pytest.raises(UsageError), alone(tmp_path, "taken"):
            pass
    finally:
        holder.kill()
        holder.wait()
    assert not is_held(tmp_path)
    with alone(tmp_path, "taken"):
        assert is_held(tmp_path)


def test_a_file_that_an_earlier_release_left_is_no_obstacle(tmp_path):
    (tmp_path / NAME).touch()
    with alone(tmp_path, "taken"):
        assert is_held(tmp_path)


def raising(error: BaseException) -> Callable[..., None]:
    def acquire(*_: object, **__: object) -> None:
        raise error

    return acquire


@pytest.mark.parametrize("error", [OSError(37, "No locks available"), NotImplementedError()])
def test_where_there_are_no_locks_nobody_is_kept_out(tmp_path, monkeypatch, error):
    monkeypatch.setattr(filelock.FileLock, "acquire", raising(error))
    (tmp_path / NAME).touch()
    done: list[Path] = []
    with alone(tmp_path, "taken"), alone(tmp_path, "taken"):
        done.append(tmp_path)
    assert done
    assert not is_held(tmp_path)
