"""Presets: settings that go together, under one name; what the user writes counts more.

A file of ``properties/preset/`` may name sampler, loss, mixer, mining and whatever else is a
setting. Where the user names another sampler, loss or mixer, what goes with the preset's own is
left out (:data:`WITH`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recbole_bns.common.errors import UsageError, unknown

from .declared import NO_SAMPLER
from .properties import PROPERTIES, read_own
from .words import merge

_LISTS = ("neg_shared", "neg_sample_num")
WITH = {
    "neg_sampler": ("neg_sampler_args", *_LISTS),
    "loss": (
        "loss_args",
        "loss_similarity",
        "score_similarity",
        "loss_log_q",
        "loss_mask",
        *_LISTS,
    ),
    "mixer": ("mixer_args",),
}
"""Setting that names something -> settings that were meant for what it names."""


def presets() -> tuple[str, ...]:
    """Names of the presets that ship."""
    return tuple(sorted(file.stem for file in (PROPERTIES / "preset").glob("*.yaml")))


def described() -> dict[str, str]:
    """Each preset and what it is: the comment at the head of its file."""
    heads = {
        name: (PROPERTIES / "preset" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
        for name in presets()
    }
    return {name: head.partition("`: ")[2] for name, head in heads.items()}


def preset_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the preset that is asked for; empty where none is.

    Args:
        given: settings of the user.

    Raises:
        UsageError: there is none of this name.
    """
    name = given.get("preset")
    if name is None:
        return {}
    if name not in presets():
        raise unknown("preset", str(name), presets())
    if "neg_sampler" in given and str(given["neg_sampler"]).lower() == NO_SAMPLER:
        raise UsageError(
            f"neg_sampler: got '{NO_SAMPLER}', RecBole's own sampling, beside preset '{name}', "
            "which says what is sampled and trained; leave one of them out."
        )
    content = read_own(PROPERTIES / "preset" / f"{name}.yaml")
    others = [key for key in WITH if key in given and not _same(given[key], content.get(key))]
    left_out = {setting for key in others for setting in WITH[key]}
    return {key: value for key, value in content.items() if key not in left_out}


def _same(one: Any, other: Any) -> bool:
    return str(one).lower() == str(other).lower()


def over_preset(
    given: Mapping[str, Any], beside: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Settings of the user, laid over the preset that they ask for.

    Args:
        given: settings of the user.
        beside: others of the user, of less weight: of what the preset says they replace it.

    Raises:
        UsageError: see :func:`preset_of`.
    """
    settings = preset_of(given)
    known = {key: value for key, value in (beside or {}).items() if key.split(".")[0] in settings}
    return merge(merge(settings, known), given)
