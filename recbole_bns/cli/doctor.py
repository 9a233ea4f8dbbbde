"""``recbole-bns doctor``: versions, mends, devices, and a remedy where training cannot work."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from recbole_bns.common.version import __version__

from .parser import Parser

TESTED = {
    "recbole": ("1.2.0", "1.2.1"),
    "torch": ("2.13.0",),
    "numpy": ("2.4.6",),
    "scipy": ("1.17.1",),
    "pandas": ("2.3.3",),
    "ray": ("2.60.0",),
    "matplotlib": ("3.11.2",),
}
"""The newest versions of ``constraints.txt``, and every RecBole that the tests have seen."""

OPTIONAL = {
    "ray": "sweeps; pip install 'recbole-bns[tune]'",
    "matplotlib": "pictures; pip install 'recbole-bns[plot]'",
}

_CHECKOUT = f"{__version__} (not installed: run from a checkout)"

NEEDED = [package for package in TESTED if package not in OPTIONAL]

Versions = dict[str, str | None]
"""Package -> its version, or None where it is not installed."""


def parser() -> Parser:
    """The help of ``doctor``, which takes no flag."""
    return Parser(
        "doctor",
        "Say whether this environment works: versions, mends of the host, devices, and a remedy\n"
        "where it does not.",
        "Exit status: 0 where training works, 1 where it cannot.",
    )


def command(words: Sequence[str]) -> int:
    """Print the examination.

    Raises:
        UsageError: there is a word or a flag.
    """
    parser().read(words)
    text, healthy = examine()
    print(text)
    return 0 if healthy else 1


def examine() -> tuple[str, bool]:
    """A report, and whether training can work."""
    versions = {package: _version(package) for package in TESTED}
    newer = [name for name, number in versions.items() if number and _is_newer(name, number)]
    lines = [
        f"python       {platform.python_version()} ({sys.executable})",
        f"recbole-bns  {_version('recbole-bns') or _CHECKOUT}",
        *(_line(package, number) for package, number in versions.items()),
    ]
    problems = _problems(versions)
    if not problems:
        lines += _host_lines()
        problems = _import_problems()
        lines += [] if problems else _thread_lines()
    lines += [f"PROBLEM: {problem}" for problem in problems]
    if problems:
        lines.append(f"{len(problems)} problem(s): training cannot work")
    elif newer:
        lines.append(f"healthy, but newer than tested: {', '.join(newer)}")
    else:
        lines.append("healthy")
    return "\n".join(lines), not problems


def _line(package: str, number: str | None) -> str:
    """A package and what is to be said about its version."""
    if number is None:
        aim = OPTIONAL.get(package)
        return f"{package:<12} {f'not installed (only for {aim})' if aim else 'missing'}"
    remark = ""
    if _is_newer(package, number):
        remark = f", newer than tested ({', '.join(TESTED[package])})"
    return f"{package:<12} {number}{remark}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _release(number: str) -> tuple[int, ...]:
    """``2.13.0+cpu`` -> (2, 13, 0)."""
    digits = re.match(r"\d+(\.\d+)*", number)
    parts = [int(part) for part in digits[0].split(".")] if digits else []
    return tuple([*parts, 0, 0, 0][:3])


def _is_newer(package: str, number: str) -> bool:
    return _release(number) > max(_release(tested) for tested in TESTED[package])


def _problems(versions: Versions) -> list[str]:
    """What cannot work by the versions alone, with the remedy."""
    problems = [f"{name} is missing; pip install {name}" for name in NEEDED if not versions[name]]
    host, pandas, ray = (versions[name] for name in ("recbole", "pandas", "ray"))
    if host and not (1, 2, 0) <= _release(host) < (1, 3, 0):
        problems.append(f"recbole {host} is not supported; pip install 'recbole>=1.2.0,<1.3'")
    if pandas and _release(pandas) >= (3, 0, 0):
        problems.append(
            f"pandas {pandas} leaves RecBole's padding rows unfilled, silently; "
            "pip install 'pandas<3'"
        )
    if ray and (2, 0, 0) <= _release(ray) < (2, 7, 0) and not find_spec("pkg_resources"):
        problems.append(f"ray {ray} needs pkg_resources; pip install 'setuptools<81'")
    return problems


def _host_lines() -> list[str]:
    from recbole_bns.adapters.mends import MENDS, mend

    try:
        needed = mend()
    except Exception as error:
        return [f"mends        failed: {error}"]
    state = {True: "needed here, applied", False: "not needed"}
    lines = [f"mend         {entry.name}: {state[entry.name in needed]}" for entry in MENDS]
    import torch

    lines.append(f"device       cpu, {torch.get_num_threads()} threads")
    for index in range(torch.cuda.device_count()):
        lines.append(f"device       cuda:{index}, {torch.cuda.get_device_name(index)}")
    lines.append(_kernels())
    return lines


def _kernels() -> str:
    """Where the machine code of the compiled loops is kept, and how much of it is there."""
    from recbole_bns.sampling.kernels import cache, engine

    if engine.compiled() is None:
        return "kernels      not compiled: numba is missing or switched off; PyTorch does the work"
    done, every = cache.count()
    return f"kernels      {done} of {every} compiled, in {cache.folder()}; others when first used"


def _thread_lines() -> list[str]:
    """Cores, what others leave of them, the threads of a run, and how they wait."""
    import torch

    from recbole_bns.common import threads
    from recbole_bns.training.threads import sleeps

    (affinity, usable), others = threads.usable_cores(), threads.look()
    quota = "" if usable == affinity else f", a container's quota leaves {usable}"
    choice = threads.choose(
        threads.AUTO, most=torch.get_num_threads(), sleep=sleeps(), others=lambda: others
    )
    wait = f"they spin as OpenMP has it; {threads.WAITING[0]}=PASSIVE helps on a busy machine"
    if sleeps():
        wait = "they spin while they wait, and sleep where others want the cores"
    return [
        f"cores        {affinity} by affinity{quota}; others keep {others:.1f} busy",
        f"threads      {choice.number} for a run that begins now ({choice.why}); "
        f"{threads.waiting() or wait}",
    ]


def _import_problems() -> list[str]:
    try:
        from recbole_bns.sampling import available
        from recbole_bns.training import run as run  # and with it RecBole

        available()
    except Exception as error:
        return [
            f"RecBole cannot be imported here ({type(error).__name__}: {error}); install the "
            "tested set: pip install -c constraints.txt ."
        ]
    return []
