"""Machine code of the loops: one folder for the same ones, and one writer at a time."""

from __future__ import annotations

import ast
import importlib.util
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from recbole_bns.sampling.kernels import cache, engine


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    cache.folder.cache_clear()
    cache.key.cache_clear()
    yield
    cache.folder.cache_clear()
    cache.key.cache_clear()


def test_the_first_place_that_can_be_written_by_this_user_alone_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, everybody, good = tmp_path / "file", tmp_path / "everybody", tmp_path / "good"
    file.touch()
    everybody.mkdir()
    everybody.chmod(0o777)
    monkeypatch.setattr(cache, "_places", lambda: [file, everybody, good])
    assert cache.folder() == good / cache.key()
    assert good.stat().st_mode & 0o077 == 0
    cache.folder.cache_clear()
    monkeypatch.setattr(cache, "_places", lambda: [file])
    assert cache.folder() is None


def test_places_are_the_users_then_the_packages_then_a_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    users, packages, temporary = cache._places()
    assert users == tmp_path / "recbole-bns" / "kernels"
    assert packages.is_relative_to(cache.COMPILED)
    assert temporary.name.startswith("recbole-bns-kernels-")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "asked"))
    assert next(iter(cache._places())) == tmp_path / "asked"


def test_other_loops_have_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache.key()
    changed = tmp_path / "basics.py"
    changed.write_text("other", encoding="utf-8")
    basics = cache.COMPILED / "basics.py"
    assert basics in cache.SOURCES
    sources = tuple(changed if path == basics else path for path in cache.SOURCES)
    monkeypatch.setattr(cache, "SOURCES", sources)
    cache.key.cache_clear()
    assert cache.key() != before


def test_all_that_goes_into_the_loops_is_among_the_sources() -> None:
    for path in cache.COMPILED.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                home = path.parents[node.level - 1]
                assert home.joinpath(*str(node.module).split(".")).with_suffix(".py") in (
                    cache.SOURCES
                ), (path.name, node.module)


def _loops(path: Path, text: str) -> ModuleType:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_copy_elsewhere_finds_what_was_compiled(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    text = "import numba\n\n@numba.njit(cache=True)\ndef twice(x):\n    return 2 * x\n"
    own = tmp_path / "key"
    hits = []
    for name in ("one", "other"):
        module = _loops(tmp_path / name / "loops.py", text)
        cache.keep(module, own)
        assert module.twice(4) == 8
        hits.append(sum(module.twice.stats.cache_hits.values()))
        assert module.twice.stats.cache_path == str(own)
    assert hits == [0, 1]
    assert not list((tmp_path / "one" / "__pycache__").glob("*.nb?"))


def test_the_loops_of_this_package_are_kept_there(monkeypatch: pytest.MonkeyPatch) -> None:
    if engine.compiled() is None:
        pytest.skip("no numba here")
    loops = engine.compiled("lists")
    own = cache.folder()
    assert own is not None
    assert Path(loops.places.stats.cache_path).name == own.name == cache.key()
    done, every = cache.count()
    assert 0 <= done <= every > 10


def test_a_cache_is_written_by_one_at_a_time(tmp_path: Path) -> None:
    inside: list[str] = []

    class Inner:
        def save_overload(self, name: str) -> None:
            inside.append(f"{name} in")
            time.sleep(0.02)
            inside.append(f"{name} out")

    def save(name: str) -> None:
        cache.OneAtATime(Inner(), tmp_path / "lock").save_overload(name)

    threads = [threading.Thread(target=save, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pairs = list(zip(inside[::2], inside[1::2], strict=True))
    assert [one.replace("in", "out") for one, _ in pairs] == [other for _, other in pairs]


def test_a_full_disk_costs_the_cache_alone(tmp_path: Path) -> None:
    class Full:
        def save_overload(self, name: str) -> None:
            raise OSError(28, "No space left on device")

    cache.OneAtATime(Full(), tmp_path / "nowhere" / "lock").save_overload("a")
