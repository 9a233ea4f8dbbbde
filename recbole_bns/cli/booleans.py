"""Which settings are yes or no, so that ``--key`` alone says yes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def is_boolean(key: str) -> bool:
    """Whether a setting is yes or no, by its declaration or its values in the property files.

    Nothing is imported for it but the reader of YAML. Models that share a name for things of
    different kinds make it no boolean.

    Args:
        key: as a flag has it, with dots: ``neg_sampler_args.replacement``, ``dns.replacement``.
    """
    from recbole_bns.settings.declared import declared

    spec = declared().get(key)
    if spec is not None and spec.metadata["like"] is not None:
        return isinstance(spec.metadata["like"], bool)
    for values in _sources(key):
        if values:
            return all(isinstance(value, bool) for value in values)
    return False


def _sources(key: str) -> Iterator[list[Any]]:
    """Values of a setting: of all models, of RecBole, of one of our samplers, of all of them."""
    from recbole_bns.settings.properties import PROPERTIES

    head, _, name = key.partition(".")
    samplers = sorted((PROPERTIES / "sampler").glob("*.yaml"))
    yield _values(key, [PROPERTIES / "overall.yaml", *samplers])
    yield _values(f"neg_sampler_args.{name}", [path for path in samplers if path.stem == head])
    host = find_spec("recbole")
    if host is not None and host.origin is not None:
        folder = Path(host.origin).parent / "properties"
        yield _values(key, [folder / "overall.yaml", folder / "dataset" / "sample.yaml"])
        yield _values(key, sorted(folder.glob("model/*.yaml")))


def _values(key: str, paths: list[Path]) -> list[Any]:
    from recbole_bns.settings.properties import read_own
    from recbole_bns.settings.words import flat

    found = (flat(read_own(path)).get(key) for path in paths)
    return [value for value in found if value is not None]
