"""Which settings RecBole and a model read: found in their source, so that none is refused.

RecBole has no list of what it reads: some settings stand in its YAML files, others in the code
alone (``config["..."]``). Both are read here once a process.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.settings.declared import with_declared
from recbole_bns.settings.properties import PROPERTIES, read_own

_READS = re.compile(
    r"""config(?:_dict)?\[\s*["'](\w+)["']\s*\]"""
    r"""|config(?:_dict)?\.get\(\s*["'](\w+)["']"""
    r"""|["'](\w+)["']\s+(?:not\s+)?in\s+(?:self\.)?config\b(?!\[)"""
)
_PREFIXES = re.compile(r"""key\.startswith\(["'](\w+)["']\)""")
_IMPORTS = re.compile(r"^from (recbole\.model(?:\.\w+)+) import", re.MULTILINE)
_BY_CLASS = ("recbole.model.abstract_recommender", "recbole.trainer.trainer")
"""Modules with classes of many kinds, of which a model has some."""
_ELSEWHERE = (
    "config",
    "quick_start",
    "model",
    "trainer",
    "dataset",
    "transform.py",
    "case_study.py",
    "logger.py",
)
"""Parts of RecBole that a run of ours does not come to, or that depend on the model."""

INSTALLED_AS = {"faiss": "faiss-cpu", "community": "python-louvain"}
_ONLY_WITH = {"community": ("neigh_info_method", "louvain")}
"""Packages that a model imports for one value of a setting alone."""


def _root() -> Path:
    return Path(str(files("recbole")))


def _keys(text: str) -> set[str]:
    return {name for groups in _READS.findall(text) for name in groups if name}


@cache
def _common() -> frozenset[str]:
    """Settings that RecBole's code reads whatever the model."""
    keys: set[str] = {"log_wandb", "wandb_project"}  # read as attributes
    for path in _root().rglob("*.py"):
        if not set(path.relative_to(_root()).parts) & set(_ELSEWHERE):
            keys |= _keys(path.read_text(encoding="utf-8"))
    return frozenset(keys)


@cache
def read_by_transforms() -> frozenset[str]:
    """Settings that RecBole's changes of item sequences read, with ``transform`` alone."""
    return frozenset(_keys((_root() / "data" / "transform.py").read_text(encoding="utf-8")))


def _source(thing: Any) -> str:
    """Of a module or a class, where it can be had."""
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return ""


def _model_sources(model: type) -> Iterator[tuple[str, bool]]:
    """Source text of a model's classes and what they import, and whether it is RecBole's."""
    waiting = [cls.__module__ for cls in model.__mro__ if cls.__module__.partition(".")[0]]
    done: set[str] = {"builtins", "torch.nn.modules.module"}
    while waiting:
        name = waiting.pop()
        if name in done or name in _BY_CLASS:
            continue
        done.add(name)
        host = name.startswith("recbole.")
        text = _source(sys.modules.get(name))
        if host:
            waiting += [each for each in _IMPORTS.findall(text) if each in sys.modules]
        if not text and not host:
            text = "\n".join(_source(c) for c in model.__mro__ if c.__module__ == name)
        yield text, host
    for cls in model.__mro__:
        if cls.__module__ in _BY_CLASS:
            yield _source(cls), True


def _trainers(model: type) -> tuple[type, ...]:
    """The class of RecBole that trains a model, with what it extends."""
    from recbole.utils import get_trainer

    trainer: type = get_trainer(getattr(model, "type", None), model.__name__)
    return trainer.__mro__[:-1]


def dataset_class(model: str, kind: Any) -> type:
    """The class of RecBole that holds a model's data, by the model's name and type."""
    import recbole.data.dataset as datasets
    from recbole.utils import ModelType

    kinds = {
        ModelType.SEQUENTIAL: "SequentialDataset",
        ModelType.KNOWLEDGE: "KnowledgeBasedDataset",
    }
    own: type | None = getattr(datasets, f"{model}Dataset", None)
    return own or getattr(datasets, kinds.get(kind, "Dataset"))


def _datasets(model: type) -> tuple[type, ...]:
    """The class of RecBole that holds a model's data, with what it extends."""
    return dataset_class(model.__name__, getattr(model, "type", None)).__mro__[:-1]


@cache
def read_by(model: type) -> frozenset[str]:
    """Settings that the code reads for a model: RecBole's common parts, the model, its trainer."""
    keys = set(_common())
    for text, host in _model_sources(model):
        keys |= _keys(text) if host else _literals(text)
    for cls in (*_trainers(model), *_datasets(model)):
        keys |= _keys(_source(cls)) - {"reg_weight"}  # its trainer only warns with it
    if model.__module__.startswith("recbole."):  # what our forms of RecBole's models add
        keys |= read_own(PROPERTIES / "model" / f"{model.__name__}.yaml").keys()
    return frozenset(keys)


def _literals(text: str) -> set[str]:
    """Words in quotes in somebody else's code, which may come to a setting's name in any way."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return _keys(text)
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@cache
def prefixes(model: type) -> tuple[str, ...]:
    """Beginnings of settings that a model passes on, as KD_DAGFM does with ``t_``."""
    return tuple(
        prefix for text, host in _model_sources(model) if host for prefix in _PREFIXES.findall(text)
    )


@cache
def known_keys(model: str | type) -> frozenset[str]:
    """Every setting that RecBole, the model or this package reads.

    Args:
        model: a name of RecBole's, or a class.
    """
    return with_declared(keys_of_host(model))


def keys_of_host(model: str | type) -> frozenset[str]:
    """Settings that RecBole's code and files hold for a model, and our file of it.

    Args:
        model: a name of RecBole's, or a class.
    """
    from recbole.utils import argument_list as lists
    from recbole.utils import get_model

    cls: type = get_model(model) if isinstance(model, str) else model
    keys = set(read_by(cls))
    for name in ("general", "training", "evaluation", "dataset"):
        keys.update(getattr(lists, f"{name}_arguments"))
    root = _root() / "properties"
    for path in (
        root / "overall.yaml",
        root / f"model/{cls.__name__}.yaml",
        root / "dataset/sample.yaml",
        *root.glob("quick_start_config/*.yaml"),
        PROPERTIES / f"model/{cls.__name__}.yaml",
    ):
        keys.update(read_own(path))
    return frozenset(keys)


@cache
def read_by_any() -> frozenset[str]:
    """Settings that some model of RecBole reads, or its trainer."""
    keys: set[str] = set()
    for path in (_root() / "model").rglob("*.py"):
        keys |= _keys(path.read_text(encoding="utf-8"))
    keys |= _keys((_root() / "trainer" / "trainer.py").read_text(encoding="utf-8"))
    for folder in (_root() / "properties" / "model", PROPERTIES / "model"):
        for path in folder.glob("*.yaml"):
            keys.update(read_own(path))
    return frozenset(keys)


def is_installed(package: str) -> bool:
    """Whether a package can be imported, or has been."""
    return package in sys.modules or find_spec(package) is not None


def check_packages(config: Any) -> None:
    """Make sure that the packages are there which a model of RecBole imports while it trains.

    Raises:
        UsageError: one is missing.
    """
    model = config.model_class
    for package in sorted(_imported_for(model)):
        key, value = _ONLY_WITH.get(package, ("model", config["model"]))
        if config[key] == value and not is_installed(package):
            raise UsageError(missing(model.__name__, package))
    if config["log_wandb"] and not is_installed("wandb"):
        raise UsageError(
            "log_wandb: got True, which needs the package wandb, which is not installed; pip "
            "install wandb, or leave it out."
        )


@cache
def _imported_for(model: type) -> frozenset[str]:
    """Packages that RecBole's code imports for a model, once a process: parsing takes 0.1 s."""
    texts = [text for text, host in _model_sources(model) if host]
    if model.__module__.startswith("recbole."):
        texts += [_source(cls) for cls in _trainers(model)]
    return frozenset(name for text in texts for name in _imported(text))


def missing(model: str, package: str) -> str:
    """The sentence for a package that a model of RecBole needs."""
    return (
        f"model: {model} of RecBole needs the package '{package}', which is not installed; pip "
        f"install {INSTALLED_AS.get(package, package)}."
    )


def _imported(text: str) -> set[str]:
    """Packages that a text imports, but for those whose absence it deals with itself."""
    try:
        tree = ast.parse(inspect.cleandoc(text) if text[:1].isspace() else text)
    except SyntaxError:
        return set()
    found: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Try):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
        waiting += ast.iter_child_nodes(node)
    return found
