"""A sampler of ours is whole: oracle, parameters, search space, row, page, contract, golden bits.

What a sampler of another package needs is in the README; this is what one in
``recbole_bns/sampling/methods/`` needs besides.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from types import ModuleType

import pytest
from tiny import ROOT

from recbole_bns.cli import main, run
from recbole_bns.sampling import NegativeSampler, available, get, register, registry
from recbole_bns.settings.words import read_yaml

METHODS = "recbole_bns.sampling.methods."
CONTRACT = ROOT / "tests" / "sampling" / "test_contract.py"


def our_samplers() -> list[str]:
    """Names of the registered samplers that live in this package."""
    return sorted(name for name, cls in available().items() if cls.__module__.startswith(METHODS))


def has_oracle(name: str) -> bool:
    """A file of its own that names it and holds a test."""
    path = ROOT / "tests" / "sampling" / "oracles" / f"test_{name}.py"
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8")
    return f'"{name}"' in text and re.search(r"^def test_", text, re.MULTILINE) is not None


def has_parameters(name: str) -> bool:
    """The documented copy of its parameters; that it is fresh is tested where it is read."""
    path = ROOT / "properties" / "sampler" / f"{name}.yaml"
    return path.is_file() and read_yaml(path)["neg_sampler"] == name


def has_sweep(name: str) -> bool:
    """A search space that is not empty."""
    path = ROOT / "properties" / "sweep" / f"{name}.yaml"
    return path.is_file() and bool(read_yaml(path))


def has_row(name: str) -> bool:
    """A row of the README's table of samplers."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Samplers\n")[1]
    return f"\n| `{name}` | " in section.split("\n## ")[0]


def has_page(name: str) -> bool:
    """``recbole-bns samplers NAME`` shows idea, paper and the chapter of its module."""
    sampler = get(name)
    chapter = inspect.getdoc(inspect.getmodule(sampler)) or ""
    with redirect_stdout(StringIO()) as output:
        assert main(["samplers", name]) == 0
    page = without_spaces(output.getvalue())
    parts = [sampler.idea, sampler.paper, chapter]
    return all(part and without_spaces(part) in page for part in parts)


def without_spaces(text: str) -> str:
    """A text whose lines may have been broken elsewhere."""
    return "".join(text.split())


def is_in_help(name: str) -> bool:
    """Named among the samplers of ``run --help``."""
    return re.search(rf"\b{name}\b", run.SETTINGS) is not None


def keeps_the_contract(name: str) -> bool:
    """The contract's tests have cases of it."""
    return name in contract_names()


def has_golden_bits(name: str) -> bool:
    """Trained by the script that shows that a move changes no bit."""
    tree = ast.parse((ROOT / "scripts" / "golden_bits.py").read_text(encoding="utf-8"))
    trained = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SAMPLERS"
    )
    return name in ast.literal_eval(trained)


CHECKS: dict[str, Callable[[str], bool]] = {
    "tests/sampling/oracles/test_<name>.py": has_oracle,
    "properties/sampler/<name>.yaml (scripts/write_sampler_yaml.py)": has_parameters,
    "properties/sweep/<name>.yaml": has_sweep,
    "a row in the README's table of samplers": has_row,
    "idea, paper and a docstring of its module (recbole-bns samplers <name>)": has_page,
    "its name in SETTINGS of recbole_bns/cli/run.py (run --help)": is_in_help,
    "cases in tests/sampling/test_contract.py": keeps_the_contract,
    "its name in SAMPLERS of scripts/golden_bits.py": has_golden_bits,
}


class Collected:
    """A plugin of pytest that keeps what was collected."""

    items: tuple[pytest.Item, ...] = ()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Called when all is collected."""
        self.items = tuple(session.items)


def names_in(item: pytest.Item) -> Iterator[str]:
    """What a test is about, by its class or its parameters: their texts and ``name``."""
    case = getattr(item, "callspec", None)
    for subject in [getattr(item, "cls", None), *(case.params.values() if case else ())]:
        name = getattr(subject, "name", subject)
        if isinstance(name, str):
            yield name


@cache
def contract_names() -> frozenset[str]:
    """Names of the samplers that the contract's tests run over, as pytest collects them."""
    collected = Collected()
    words = ["--collect-only", "-qq", "-n", "0", "-p", "no:cacheprovider", "-p", "no:faulthandler"]
    status = pytest.main([*words, str(CONTRACT)], plugins=[collected])
    assert status == pytest.ExitCode.OK
    return frozenset(name for item in collected.items for name in names_in(item))


def test_our_samplers_are_found() -> None:
    assert {"rns", "bns", "bns_plus"} <= set(our_samplers())
    files = (ROOT / "recbole_bns" / "sampling" / "methods").glob("[!_]*.py")
    modules = {get(name).__module__ for name in our_samplers()}
    assert modules == {METHODS + path.stem for path in files}


@pytest.mark.parametrize("what", CHECKS)
@pytest.mark.parametrize("name", our_samplers())
def test_a_sampler_has(name: str, what: str) -> None:
    assert CHECKS[what](name), f"sampler '{name}' lacks {what}"


def test_a_sampler_that_lacks_it_all_fails_every_check(monkeypatch: pytest.MonkeyPatch) -> None:
    contract_names()  # collected before the throwaway is registered
    monkeypatch.setattr(registry._registry, "classes", available())
    module = ModuleType(METHODS + "throwaway")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    @register
    class Throwaway(NegativeSampler):
        name, idea, paper = "throwaway", "none", "nobody"

    monkeypatch.setattr(Throwaway, "__module__", module.__name__)
    assert "throwaway" in our_samplers()
    assert [what for what, has in CHECKS.items() if has("throwaway")] == []
