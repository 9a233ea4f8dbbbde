"""Write recbole_bns/settings/known.json: what can be refused before anything slow is imported.

Usage: python scripts/write_known.py  (a test fails when the table is stale)

Samplers, losses and whatever else has a registry, with the parameters of each, and of the RecBole
that is installed its models, metrics and the settings that each model reads. The part of another
version of RecBole stays as it is.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recbole_bns.adapters import reads
from recbole_bns.cli import losses, mixers, samplers
from recbole_bns.cli.listing import Facts
from recbole_bns.common.registry import REGISTRIES, Registry
from recbole_bns.losses.posterior import PosteriorParams
from recbole_bns.sampling.capabilities import serves_any_data, serves_any_loss
from recbole_bns.sampling.mined import MineParams
from recbole_bns.settings.properties import host_folder, models_of
from recbole_bns.training import run as run  # and with it every room that has a registry

FILE = Path(__file__).parent.parent / "recbole_bns" / "settings" / "known.json"
OURS = "recbole_bns."
MAPPINGS = {"mine": MineParams, "loss_weight_args": PosteriorParams}
"""Settings that are mappings of parameters, without a name beside them."""
FACTS = {each.KIND.setting: each.KIND.facts for each in (samplers, losses, mixers)}


def kinds() -> dict[str, Any]:
    """Setting -> the classes of ours that it may name."""
    rooms = [each for each in REGISTRIES if each.package.startswith(OURS)]
    found = {registry.setting: kind(registry) for registry in rooms}
    for name, entry in found["neg_sampler"]["classes"].items():
        cls = _registry("neg_sampler").get(name)
        entry["any_loss"] = serves_any_loss(cls) and serves_any_data(cls)
    for name, entry in found["mixer"]["classes"].items():
        mixer = _registry("mixer").get(name)
        entry |= {"sampler": mixer.sampler, "loss": mixer.loss}
    return found


def _registry(setting: str) -> Registry[Any]:
    return next(each for each in REGISTRIES if each.setting == setting)


def kind(registry: Registry[Any]) -> dict[str, Any]:
    """What the table has of a registry."""
    classes = {n: c for n, c in registry.available().items() if c.__module__.startswith(OURS)}
    return {
        "kind": registry.kind,
        "group": registry.group,
        "beside": registry.beside,
        "classes": {
            name: {**parameters(cls.Params), "said": said(cls, FACTS[registry.setting])}
            for name, cls in classes.items()
        },
    }


def said(cls: type[Any], facts: Facts) -> dict[str, Any]:
    """What lists and pages say of a class."""
    words = {"idea": cls.idea, "paper": cls.paper, "module": cls.__module__}
    return {**words, "facts": facts(cls)}


def parameters(cls: type[Any]) -> dict[str, Any]:
    """Parameters as they were declared, with their line of help."""
    specs = {}
    for spec in dataclasses.fields(cls):
        said = {k: v for k, v in spec.metadata.items() if v and k != "when"}
        bounds = {k: spec.metadata[k] for k in BOUNDS if spec.metadata[k] is not None}
        specs[spec.name] = {"default": spec.default, **said, **bounds}
    return {"params": specs, "removed": getattr(cls, "REMOVED", {})}


BOUNDS = ("low", "high", "above", "below")


def host(models: Iterable[str] | None = None) -> dict[str, Any]:
    """What the table has of the installed RecBole.

    Args:
        models: those to look at; None: all that can be imported here.
    """
    from recbole.evaluator import metric_types

    keys = {name: reads.keys_of_host(name) for name in models or importable()}
    return {
        "metrics": {name: kind.name for name, kind in metric_types.items()},
        "by_any": sorted(reads.read_by_any()),
        "by_transforms": sorted(reads.read_by_transforms()),
        "models": {
            name: {"keys": sorted(keys[name]), "prefixes": sorted(prefixes(name))}
            for name in sorted(keys)
        },
    }


def prefixes(model: str) -> tuple[str, ...]:
    """Beginnings of settings that a model passes on."""
    from recbole.utils import get_model

    return reads.prefixes(get_model(model))


def importable() -> list[str]:
    """Names of RecBole's models that can be imported here."""
    from recbole.utils import get_model

    found = []
    for name in sorted({*models_of(host_folder()), *_classes()}):
        try:
            get_model(name)
        except (ValueError, AttributeError, ImportError):
            continue
        found.append(name)
    return found


def _classes() -> set[str]:
    """Classes of RecBole that lie in a file of their name, as its ``get_model`` looks for them."""
    return {
        name
        for path in (host_folder() / "model").rglob("*.py")
        for name in re.findall(r"^class (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if name.lower() == path.stem
    }


def shared(entry: dict[str, Any]) -> dict[str, Any]:
    """The same, what all models read once."""
    models = entry["models"].values()
    common = set.intersection(*(set(model["keys"]) for model in models))
    return {
        **entry,
        "common": sorted(common),
        "models": {
            name: {**model, "keys": [key for key in model["keys"] if key not in common]}
            for name, model in entry["models"].items()
        },
    }


def text(content: Any, levels: int = 4, indent: str = "") -> str:
    """JSON with a line an entry down to a level."""
    if not isinstance(content, dict) or not levels or not content:
        return json.dumps(content)
    inner = f"{indent} "
    lines = [
        f"{inner}{json.dumps(key)}: {text(value, levels - 1, inner)}"
        for key, value in content.items()
    ]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def main() -> int:
    """Write the table."""
    before = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    hosts = {**before.get("recbole", {}), version("recbole"): shared(host())}
    mappings = {setting: parameters(cls) for setting, cls in MAPPINGS.items()}
    content = {"kinds": kinds(), "mappings": mappings, "recbole": dict(sorted(hosts.items()))}
    FILE.write_text(text(content) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
