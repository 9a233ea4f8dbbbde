"""A sampler of ours is whole: oracle, parameters, search space, row, page, contract, golden bits.

So is a loss, and so is a mixer. What one of another package needs is in docs/; this is what
one in ``recbole_bns/sampling/methods/``, ``losses/forms/`` or ``mixers/ways/`` needs besides.
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
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tiny import ROOT

from recbole_bns import losses, mixers
from recbole_bns.cli import main, run
from recbole_bns.sampling import NegativeSampler, NoParams, available, get, register, registry
from recbole_bns.settings.words import read_yaml

METHODS, FORMS = "recbole_bns.sampling.methods.", "recbole_bns.losses.forms."
WAYS = "recbole_bns.mixers.ways."
CONTRACT = ROOT / "tests" / "sampling" / "test_contract.py"
CONTRACT_OF_LOSSES = ROOT / "tests" / "losses" / "test_contract_of_losses.py"
CONTRACT_OF_MIXERS = ROOT / "tests" / "mixers" / "test_contract_of_mixers.py"
ORACLES_OF_MIXERS = ROOT / "tests" / "mixers" / "test_oracles_of_mixers.py"
ORACLES_OF_LOSSES = ROOT / "tests" / "losses" / "test_oracles_of_losses.py"


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
    """A row of the table of samplers."""
    page = (ROOT / "docs" / "samplers.md").read_text(encoding="utf-8")
    return f"\n| `{name}` | " in page.split("\n## ")[0]


def has_page(name: str) -> bool:
    """``recbole-bns samplers NAME`` shows idea, paper and the chapter of its module."""
    return shows("samplers", get(name))


def shows(command: str, cls: Any) -> bool:
    """A command of the name shows idea, paper and the chapter of the class's module."""
    chapter = inspect.getdoc(inspect.getmodule(cls)) or ""
    with redirect_stdout(StringIO()) as output:
        assert main([command, cls.name]) == 0
    page = without_spaces(output.getvalue())
    parts = [cls.idea, cls.paper, chapter]
    return all(part and without_spaces(part) in page for part in parts)


def without_spaces(text: str) -> str:
    """A text whose lines may have been broken elsewhere."""
    return "".join(text.split())


def is_in_help(name: str) -> bool:
    """Named among the samplers of ``run --help``."""
    return re.search(rf"\b{name}\b", run.SETTINGS) is not None


def keeps_the_contract(name: str) -> bool:
    """The contract's tests have cases of it."""
    return name in contract_names(CONTRACT)


def has_golden_bits(name: str) -> bool:
    """Trained by the script that shows that a move changes no bit."""
    tree = ast.parse((ROOT / "scripts" / "golden_bits.py").read_text(encoding="utf-8"))
    trained = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SAMPLERS"
    )
    return name in ast.literal_eval(trained)


def our_losses() -> list[str]:
    """Names of the registered losses that live in this package."""
    classes = losses.available().items()
    return sorted(name for name, cls in classes if cls.__module__.startswith(FORMS))


def our_mixers() -> list[str]:
    """Names of the registered mixers that live in this package."""
    classes = mixers.available().items()
    return sorted(name for name, cls in classes if cls.__module__.startswith(WAYS))


def has_slow_loop(path: Path, name: str) -> bool:
    """A row in a table of slow loops."""
    table = path.read_text(encoding="utf-8").split("\nORACLES: ")[1].split("\n]\n")[0]
    return f'\n    ("{name}", ' in table


def loss_has_oracle(name: str) -> bool:
    """A row in the table of slow loops."""
    return has_slow_loop(ORACLES_OF_LOSSES, name)


def has_copy(kind: str, name: str) -> bool:
    """The documented copy of its parameters; that it is fresh is tested where it is read."""
    path = ROOT / "properties" / kind / f"{name}.yaml"
    return path.is_file() and read_yaml(path)[kind] == name


def loss_has_parameters(name: str) -> bool:
    """See :func:`has_copy`."""
    return has_copy("loss", name)


def has_dimensions(kind: str, name: str) -> bool:
    """Search dimensions of its own."""
    path = ROOT / "properties" / "sweep" / kind / f"{name}.yaml"
    return path.is_file() and bool(read_yaml(path))


def loss_has_sweep(name: str) -> bool:
    """Search dimensions of its own."""
    return has_dimensions("loss", name)


def tells_its_source(command: str, cls: Any) -> bool:
    """A command shows its module's chapter, which has a formula and a source."""
    chapter = inspect.getdoc(inspect.getmodule(cls)) or ""
    formula = "``" in chapter or "\n    " in chapter
    return shows(command, cls) and formula and re.search(r"\bSources?: ", chapter) is not None


def loss_has_page(name: str) -> bool:
    """``recbole-bns losses NAME`` shows its module's chapter, which has a formula and a source."""
    return tells_its_source("losses", losses.get(name))


def loss_keeps_the_contract(name: str) -> bool:
    """The contract's tests have cases of it."""
    return name in contract_names(CONTRACT_OF_LOSSES)


CHECKS_OF_LOSSES: dict[str, Callable[[str], bool]] = {
    "a row in ORACLES of tests/losses/test_oracles_of_losses.py": loss_has_oracle,
    "properties/loss/<name>.yaml (scripts/write_yaml.py)": loss_has_parameters,
    "properties/sweep/loss/<name>.yaml": loss_has_sweep,
    "idea, paper, and a formula with its source in its module": loss_has_page,
    "cases in tests/losses/test_contract_of_losses.py": loss_keeps_the_contract,
}


CHECKS_OF_MIXERS: dict[str, Callable[[str], bool]] = {
    "a row in ORACLES of tests/mixers/test_oracles_of_mixers.py": lambda name: has_slow_loop(
        ORACLES_OF_MIXERS, name
    ),
    "properties/mixer/<name>.yaml (scripts/write_yaml.py)": lambda name: has_copy("mixer", name),
    "properties/sweep/mixer/<name>.yaml": lambda name: has_dimensions("mixer", name),
    "a row in the table of docs/mixers.md": lambda name: (
        f"\n| `{name}` | " in (ROOT / "docs" / "mixers.md").read_text(encoding="utf-8")
    ),
    "idea, paper, and a formula with its source in its module": lambda name: tells_its_source(
        "mixers", mixers.get(name)
    ),
    "cases in tests/mixers/test_contract_of_mixers.py": lambda name: (
        name in contract_names(CONTRACT_OF_MIXERS)
    ),
}


CHECKS: dict[str, Callable[[str], bool]] = {
    "tests/sampling/oracles/test_<name>.py": has_oracle,
    "properties/sampler/<name>.yaml (scripts/write_yaml.py)": has_parameters,
    "properties/sweep/<name>.yaml": has_sweep,
    "a row in the table of docs/samplers.md": has_row,
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
def contract_names(path: Path) -> frozenset[str]:
    """Names of what a contract's tests run over, as pytest collects them."""
    collected = Collected()
    words = ["--collect-only", "-qq", "-n", "0", "-p", "no:cacheprovider", "-p", "no:faulthandler"]
    status = pytest.main([*words, str(path)], plugins=[collected])
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


def test_our_losses_are_found() -> None:
    assert {"ssm", "bpr", "gbce"} <= set(our_losses())
    files = (ROOT / "recbole_bns" / "losses" / "forms").glob("[!_]*.py")
    modules = {losses.get(name).__module__ for name in our_losses()}
    assert modules == {FORMS + path.stem for path in files}


@pytest.mark.parametrize("what", CHECKS_OF_LOSSES)
@pytest.mark.parametrize("name", our_losses())
def test_a_loss_has(name: str, what: str) -> None:
    assert CHECKS_OF_LOSSES[what](name), f"loss '{name}' lacks {what}"


def test_our_mixers_are_found() -> None:
    assert {"mixgcf", "dens"} <= set(our_mixers())
    files = (ROOT / "recbole_bns" / "mixers" / "ways").glob("[!_]*.py")
    modules = {mixers.get(name).__module__ for name in our_mixers()}
    assert modules == {WAYS + path.stem for path in files}


@pytest.mark.parametrize("what", CHECKS_OF_MIXERS)
@pytest.mark.parametrize("name", our_mixers())
def test_a_mixer_has(name: str, what: str) -> None:
    assert CHECKS_OF_MIXERS[what](name), f"mixer '{name}' lacks {what}"


def test_a_mixer_that_lacks_it_all_fails_every_check(monkeypatch: pytest.MonkeyPatch) -> None:
    contract_names(CONTRACT_OF_MIXERS)  # collected before the throwaway is registered
    monkeypatch.setattr(mixers.registry._registry, "classes", mixers.available())
    module = ModuleType(WAYS + "throwaway")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    @mixers.register
    class Throwaway(mixers.Mixer):
        name, idea, paper = "throwaway", "none", "nobody"
        Params = NoParams

    monkeypatch.setattr(Throwaway, "__module__", module.__name__)
    assert "throwaway" in our_mixers()
    assert [what for what, has in CHECKS_OF_MIXERS.items() if has("throwaway")] == []


def test_a_loss_that_lacks_it_all_fails_every_check(monkeypatch: pytest.MonkeyPatch) -> None:
    contract_names(CONTRACT_OF_LOSSES)  # collected before the throwaway is registered
    monkeypatch.setattr(losses.registry._registry, "classes", losses.available())
    module = ModuleType(FORMS + "throwaway")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    @losses.register
    class Throwaway(losses.Loss):
        name, idea, paper = "throwaway", "none", "nobody"

    monkeypatch.setattr(Throwaway, "__module__", module.__name__)
    assert "throwaway" in our_losses()
    assert [what for what, has in CHECKS_OF_LOSSES.items() if has("throwaway")] == []


def test_a_sampler_that_lacks_it_all_fails_every_check(monkeypatch: pytest.MonkeyPatch) -> None:
    contract_names(CONTRACT)  # collected before the throwaway is registered
    monkeypatch.setattr(registry._registry, "classes", available())
    module = ModuleType(METHODS + "throwaway")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    @register
    class Throwaway(NegativeSampler):
        name, idea, paper = "throwaway", "none", "nobody"

    monkeypatch.setattr(Throwaway, "__module__", module.__name__)
    assert "throwaway" in our_samplers()
    assert [what for what, has in CHECKS.items() if has("throwaway")] == []
