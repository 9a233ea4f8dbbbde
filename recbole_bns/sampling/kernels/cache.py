"""Where the machine code of the compiled loops is kept, so that a machine compiles them once.

numba keeps it beside each source file, or in a folder of that file's path, and takes a function's
code as fresh while its own file is the same. Here the folder has a name of *all* the sources that
go into the loops (one of them is compiled into the functions of others) and of the versions that
made them: worktrees, environments and containers with the same loops share it, and none of other
loops is ever taken. The processor is part of numba's own key of each entry.

The folder is the first of these that can be written: ``NUMBA_CACHE_DIR`` where the user has set
it, the user's cache folder, the package's ``__pycache__``, a private one among the temporary files.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

COMPILED = Path(__file__).with_name("compiled")
SOURCES = (*sorted(COMPILED.glob("*.py")), Path(__file__).parents[1] / "streams.py")
"""All that goes into the loops."""


@cache
def key() -> str:
    """16 hex digits that tell these loops, as this machine's numba compiles them, from others."""
    versions = (version("numba"), version("llvmlite"), sys.version, platform.machine())
    found = hashlib.sha256(repr(versions).encode())
    for path in SOURCES:
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _user_folder() -> Path:
    """Where the programs of this user keep what can be made again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _places() -> Iterator[Path]:
    """Folders that may hold that of :func:`key`, the best first."""
    asked = os.environ.get("NUMBA_CACHE_DIR")
    if asked:
        yield Path(asked)
    with contextlib.suppress(RuntimeError):  # a user without a home
        yield _user_folder() / "recbole-bns" / "kernels"
    yield COMPILED / "__pycache__" / "kernels"
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    yield Path(tempfile.gettempdir()) / f"recbole-bns-kernels-{user}"


def _is_ours(place: Path) -> bool:
    """Whether a folder can be written, and by nobody but this user: what lies in it is run.

    It is made where it is not there.
    """
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        tempfile.TemporaryFile(dir=place).close()
        state = place.stat()
    except OSError:
        return False
    if not hasattr(os, "getuid"):
        return True
    return state.st_uid in (os.getuid(), 0) and not state.st_mode & 0o002


@cache
def folder() -> Path | None:
    """The folder of these loops' machine code; None where no place can be written."""
    for place in _places():
        own = place / key()
        if _is_ours(place) and _is_ours(own):
            return own
    return None


def count() -> tuple[int, int]:
    """How many loops have machine code in :func:`folder`, and how many there are."""
    own = folder()
    done = 0 if own is None else len(list(own.glob("*.nbi")))
    return done, sum(path.read_text(encoding="utf-8").count("cache=True") for path in SOURCES)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """While modules with loops are imported: numba looks for no place of its own, and finds one.

    Where the package and the user's folder cannot be written numba refuses to import them.
    """
    import numba

    config: Any = numba.config
    before, own = config.CACHE_DIR, folder()
    config.CACHE_DIR = before if own is None else str(own)
    try:
        yield
    finally:
        config.CACHE_DIR = before


class Place:
    """What numba asks of a place (a *locator*): one folder for all sources, fresh by its name."""

    def __init__(self, own: Path, line: int) -> None:
        self.own, self.line = own, line

    def ensure_cache_path(self) -> None:
        """Make the folder."""
        self.own.mkdir(parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self.own)

    def get_source_stamp(self) -> str:
        """What the sources were."""
        return self.own.name

    def get_disambiguator(self) -> str:
        """What tells functions of a name from one another."""
        return str(self.line)


class OneAtATime:
    """numba's cache of a function, in which one process at a time writes.

    Two that write at once could leave the code of one signature under the name of another.
    """

    def __init__(self, inner: Any, lock: Path) -> None:
        self._inner, self._lock = inner, lock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def load_overload(self, *args: Any) -> Any:
        """Code that is there, or None."""
        with _alone(self._lock):
            return self._inner.load_overload(*args)

    def save_overload(self, *args: Any) -> None:
        """Keep code; without a word where the disk is full or the folder has gone."""
        with contextlib.suppress(OSError), _alone(self._lock):
            self._inner.save_overload(*args)


def alone(name: str) -> contextlib.AbstractContextManager[None]:
    """While it lasts no other process of this user holds the lock of that name."""
    own = folder()
    return contextlib.nullcontext() if own is None else _alone(own / name)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock where the system and the file system have one."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            file = stack.enter_context(path.open("a"))
            fcntl.flock(file, fcntl.LOCK_EX)  # gone with the file, or the process
        yield


def keep(module: ModuleType, own: Path | None) -> None:
    """Have the loops of a module keep their code in a folder, where numba is built as we know it.

    Args:
        module: that is imported.
        own: the folder; None leaves them where numba has put them.
    """
    if own is None:
        return
    from numba.core import caching

    index_of: Any = caching.IndexDataCacheFile
    for loop in vars(module).values():
        held: Any = getattr(loop, "_cache", None)
        if not hasattr(held, "_impl") or isinstance(held, OneAtATime):
            continue
        place = Place(own, loop.py_func.__code__.co_firstlineno)
        held._impl._locator, held._cache_path = place, place.get_cache_path()
        held._cache_file = index_of(
            cache_path=place.get_cache_path(),
            filename_base=held._impl.filename_base,
            source_stamp=place.get_source_stamp(),
        )
        loop._cache = OneAtATime(held, own / "lock")
