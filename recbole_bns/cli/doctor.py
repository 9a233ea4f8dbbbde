"""Does this environment work? Versions, mends, devices, and a remedy where it cannot."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from recbole_bns.common.version import __version__

PACKAGES = ("recbole-bns", "recbole", "torch", "numpy", "scipy", "pandas", "ray", "matplotlib")
OPTIONAL = {
    "ray": "sweeps; pip install 'recbole-bns[tune]'",
    "matplotlib": "pictures; pip install 'recbole-bns[plot]'",
}


def examine() -> tuple[str, bool]:
    """A report, and whether training can work."""
    found = {package: _version(package) for package in PACKAGES}
    lines = [f"python       {platform.python_version()} ({sys.executable})"]
    for package, number in found.items():
        missing = (
            f"not installed (only for {OPTIONAL[package]})" if package in OPTIONAL else "missing"
        )
        if package == "recbole-bns":
            missing = f"{__version__} (not installed: run from a checkout)"
        lines.append(f"{package:<12} {number or missing}")
    problems = _problems(found)
    if not problems:
        lines += _host_lines()
        problems = _import_problems()
    lines += [f"PROBLEM: {problem}" for problem in problems]
    lines.append("healthy" if not problems else f"{len(problems)} problem(s): training cannot work")
    return "\n".join(lines), not problems


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _release(number: str | None) -> tuple[int, ...]:
    digits = (part for part in (number or "").split("+")[0].split(".")[:3])
    return tuple(int(part) for part in digits if part.isdigit())


def _problems(found: dict[str, str | None]) -> list[str]:
    """What cannot work by the versions alone, with the remedy."""
    problems = []
    for package in ("recbole", "torch", "numpy", "scipy", "pandas"):
        if found[package] is None:
            problems.append(f"{package} is missing; pip install {package}")
    if found["recbole"] and not (1, 2, 0) <= _release(found["recbole"]) < (1, 3):
        problems.append(
            f"recbole {found['recbole']} is not supported; pip install 'recbole>=1.2.0,<1.3'"
        )
    if found["pandas"] and _release(found["pandas"]) >= (3,):
        problems.append(
            f"pandas {found['pandas']} leaves RecBole's padding rows unfilled, silently; "
            "pip install 'pandas<3'"
        )
    if (
        found["ray"]
        and (2, 0) <= _release(found["ray"]) < (2, 7)
        and not find_spec("pkg_resources")
    ):
        problems.append(f"ray {found['ray']} needs pkg_resources; pip install 'setuptools<81'")
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
    return lines


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
