"""``recbole-bns help TOPIC``: the settings, one of them, a parameter, a sampler, a loss, a mixer.

All of it stands in declarations and in ``known.json``; nothing slow is imported.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import allowed, outside
from recbole_bns.common.terminal import cut, wrapped
from recbole_bns.settings import known
from recbole_bns.settings.declared import (
    GROUPS,
    NOT_IN_A_RUN,
    REMOVED,
    Spec,
    allowed_words,
    declared,
    having,
)
from recbole_bns.settings.presets import described
from recbole_bns.settings.properties import host_folder
from recbole_bns.settings.reference import kind, remarks, spelt

from . import losses, mixers, samplers
from .flags import with_underscores
from .listing import listed, pages

ALL = "settings"
"""The topic that lists them."""
KINDS = {each.KIND.setting: each.KIND for each in (samplers, losses, mixers)}
_NAMES = 28
"""Columns of names and defaults in a list of settings; a long name takes more."""
_LEAST_DEFAULT = 6


def page(topic: str, width: int, commands: Mapping[str, Any]) -> str:
    """What there is to say of a topic; of one with several meanings all of them.

    Args:
        topic: as it was written: ``learning_rate``, ``--learning-rate``, ``dns.candidate_num``.
        width: of the lines.
        commands: that have a help of their own, for a refusal.

    Raises:
        UsageError: nothing has this name; names the nearest.
    """
    name = with_underscores(topic.removeprefix("--").partition("=")[0])
    if name == ALL:
        return "\n".join(all_settings(width))
    owner, _, last = name.rpartition(".")
    found = [text for text in _meanings(name, owner, last, width) if text]
    if not found and known.others_register():
        found = list(_of_others(name))
    if not found:
        raise _unknown(topic, name, commands)
    return "\n\n".join(found)


def _meanings(name: str, owner: str, last: str, width: int) -> Iterator[str]:
    """Texts of all that is called so."""
    if name in declared():
        yield "\n".join(_setting(declared()[name], width))
    yield from _gone(name, width)
    for setting in KINDS:
        if name in known.kinds()[setting].classes:
            yield pages(listed(KINDS[setting], [name]))
    yield "\n".join(_parameter(last, owner, width))
    if name not in declared():
        yield "\n".join(_of_host(name, width))
    yield "\n".join(_model(name, width))


# --- Settings ----------------------------------------------------------------------------------


def all_settings(width: int) -> list[str]:
    """A line each, by groups: name and default, and what it is as far as that fits."""
    lines: list[str] = []
    computed = having("computed")
    for group in GROUPS:
        specs = [spec for spec in dataclasses.fields(group) if spec.name not in computed]
        if specs:
            lines += [*([""] if lines else []), cut(_title(group), width)]
            lines += [_one_line(spec, width) for spec in specs]
    more = "recbole-bns help NAME says all of one; recbole-bns run --NAME=VALUE sets it."
    return [*lines, "", *wrapped(more, width, later="")]


def _title(group: type) -> str:
    return (inspect.getdoc(group) or group.__name__).splitlines()[0].rstrip(".") + ":"


def _one_line(spec: Spec, width: int) -> str:
    default = repr(spec.default) if spec.default == "\t" else spelt(spec)
    shown = cut(default, max(_NAMES - len(spec.name) - 1, _LEAST_DEFAULT))
    head = f"{spec.name}={shown}"
    return cut(f"  {head:<{_NAMES}}  {spec.metadata['help']}", width)


def _setting(spec: Spec, width: int) -> list[str]:
    """All about a setting that is declared."""
    group = next(each for each in GROUPS if spec in dataclasses.fields(each))
    ours = getattr(group, "OURS", False)
    default = repr(spec.default) if spec.default == "\t" else spelt(spec)
    facts = {
        "type": kind(spec) or "of any type",
        "allowed": allowed_words(spec) or "what its meaning says",
        "default": default,
        "whose": "of this package" if ours else _title(group).rstrip(":"),
        "where it acts": remarks(spec) or "in every run, trial and row by itself",
        "written": f"--{spec.name}={'VALUE' if spec.default is None else default}",
    }
    if spec.metadata["computed"]:
        facts |= {"written": "not by you: it is worked out"}
    if spec.name == "preset":
        facts |= {"allowed": "one of these", **described()}
    models = _models_with(spec.name)
    if getattr(group, "OF_SOME_MODELS", False):
        facts |= {"read by": models, "RecBole's defaults": _defaults(spec.name)}
    lines = [*wrapped(f"{spec.name}: {spec.metadata['help']}", width), *_facts(facts, width)]
    if spec.name in known.mappings():
        params = dataclasses.fields(known.mappings()[spec.name])
        lines += ["  parameters = default: meaning (allowed)", *_of_mapping(params, width)]
    return lines


def _facts(facts: Mapping[str, str], width: int) -> list[str]:
    """Lines of names and what they are, those without anything left out."""
    column = max(map(len, facts)) + 4
    return [
        line
        for name, text in facts.items()
        if text
        for line in wrapped(text, width, first=f"  {name}".ljust(column), later=" " * column)
    ]


def _of_others(name: str) -> Iterator[str]:
    """Pages of what other packages have registered, which takes the seconds of an import."""
    for each in KINDS.values():
        if name in import_module(each.package).available():
            yield pages(listed(each, [name]))


def _gone(name: str, width: int) -> Iterator[str]:
    if name in REMOVED:
        yield "\n".join(wrapped(f"{name}: {REMOVED[name].instead}", width))
    if name in NOT_IN_A_RUN:
        text = f"{name}: a setting of RecBole that is not read here: {NOT_IN_A_RUN[name]}."
        yield "\n".join(wrapped(text, width))


# --- Parameters --------------------------------------------------------------------------------


def _parameter(name: str, owner: str, width: int) -> list[str]:
    """Which samplers, losses and mixers have a parameter, and what it is there."""
    lines: list[str] = []
    for setting, each in known.kinds().items():
        args = f"{setting}_args"
        found = [pair for pair in _having(each, name) if owner in ("", pair[0], args)]
        if found:
            lines += wrapped(f"{args}.{name}: a parameter of {_several(each.kind)}", width)
        for cls, spec in found:
            text = f"default {spec.default}; {spec.metadata['help']} ({allowed(spec)})"
            lines += wrapped(text, width, first=f"  {cls:<10}", later=" " * 14)
    for setting, params in known.mappings().items():
        found_in = [spec for spec in dataclasses.fields(params) if outside(spec.name) == name]
        if found_in and owner in ("", setting):
            lines += [f"{setting}.{name}: a parameter", *_of_mapping(found_in, width)]
    return lines


def _of_mapping(specs: Iterable[dataclasses.Field[Any]], width: int) -> Iterator[str]:
    """Lines of parameters of a setting that is a mapping of them."""
    for spec in specs:
        text = f"{outside(spec.name)} = {spec.default}: {spec.metadata['help']} ({allowed(spec)})"
        yield from wrapped(text, width, first="  ", later=" " * 6)


def _several(kind: str) -> str:
    return f"{kind}{'es' if kind.endswith('s') else 's'}"


def _having(each: known.Kind, name: str) -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Classes that have a parameter, and its declaration."""
    for cls, entry in each.classes.items():
        if name in map(outside, entry["params"]):
            specs = dataclasses.fields(each.params(cls))
            yield cls, next(spec for spec in specs if outside(spec.name) == name)


# --- RecBole's ---------------------------------------------------------------------------------


def _of_host(name: str, width: int) -> list[str]:
    """A setting that RecBole or some of its models read, and that is not declared here."""
    entry = known.host() or {"models": {}, "common": (), "by_any": ()}
    models = _models_with(name)
    if not models and name not in entry["common"] and name not in entry["by_any"]:
        return []
    facts = {
        "whose": "of RecBole; its manual says what is allowed",
        "read by": models or "RecBole, whatever the model",
        "defaults": _defaults(name),
        "written": f"--{name}=VALUE",
    }
    return [f"{name}: a setting of RecBole", *_facts(facts, width)]


def _models_with(name: str) -> str:
    entry = known.host()
    found = [m for m, own in entry["models"].items() if name in own["keys"]] if entry else []
    return ", ".join(found)


def _defaults(name: str) -> str:
    """RecBole's defaults of a setting, by model: ``LightGCN 2; NGCF [64,64,64]``."""
    try:
        files = sorted((host_folder() / "properties" / "model").glob("*.yaml"))
    except ModuleNotFoundError:
        return ""
    read = re.compile(rf"^{re.escape(name)}:[ \t]*([^#\n]*)", re.MULTILINE)
    found: dict[str, list[str]] = {}
    for path in files:
        value = read.search(path.read_text(encoding="utf-8"))
        if value and value[1].strip():
            found.setdefault(value[1].strip(), []).append(path.stem)
    return "; ".join(f"{value} with {', '.join(models)}" for value, models in found.items())


def _model(name: str, width: int) -> list[str]:
    entry = known.host()
    if entry is None or name not in entry["models"]:
        return []
    own = ", ".join(entry["models"][name]["keys"]) or "no settings of its own"
    facts = {
        "its settings": own,
        "written": f"--model={name}",
    }
    return [f"{name}: a model of RecBole", *_facts(facts, width)]


# --- What is not there -------------------------------------------------------------------------


def _unknown(topic: str, name: str, commands: Mapping[str, Any]) -> UsageError:
    names = {each.lower(): each for each in (*_all_names(), ALL, *commands)}
    near = difflib.get_close_matches(name.rpartition(".")[2].lower(), names, n=3, cutoff=0.6)
    shown = " or ".join(f"'{names[each]}'" for each in near)
    hint = f"; did you mean {shown}?" if near else ""
    return UsageError(
        f"help: got '{topic}'{hint}; allowed are a command ({', '.join(commands)}), '{ALL}', and "
        "the name of a setting, a sampler, a loss, a mixer, a parameter or a model of RecBole."
    )


def _all_names() -> Iterator[str]:
    """Whatever has a page."""
    yield from declared()
    yield from REMOVED
    yield from NOT_IN_A_RUN
    for each in known.kinds().values():
        yield from each.classes
        for cls in each.classes:
            yield from map(outside, each.classes[cls]["params"])
    for params in known.mappings().values():
        yield from (outside(spec.name) for spec in dataclasses.fields(params))
    entry = known.host()
    if entry is not None:
        yield from (*entry["models"], *entry["common"], *entry["by_any"])
        for model in entry["models"].values():
            yield from model["keys"]
