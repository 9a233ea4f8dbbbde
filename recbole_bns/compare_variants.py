"""Variants of samplers as rows of a comparison: a YAML file of names and their settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .errors import UsageError, nearest
from .sampling import available
from .settings import NO_SAMPLER, read_yaml

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=+-]*")
SHARED = ("dataset", "data_path", "seed", "metrics", "topk", "config_files", "out", "result_file")
"""What all rows of a table have in common."""


def read_variants(path: Any) -> dict[str, dict[str, Any]]:
    """Read ``{NAME: {neg_sampler: bns, neg_sampler_args: {...}, ...}, ...}``.

    A variant may have a model of its own: ``{EASE: {neg_sampler: none, model: EASE}}``.

    Args:
        path: of the YAML file, or None.

    Returns:
        name -> settings of its runs, in the file's order.

    Raises:
        UsageError: a name that is no file name or is a sampler's, or settings that are no mapping,
            lack ``neg_sampler``, or are those of the whole table.
    """
    if path is None:
        return {}
    where = f"--variants: '{path}'"
    found: dict[str, dict[str, Any]] = {}
    for key, settings in read_yaml(str(path)).items():
        name = str(key)
        if not NAME.fullmatch(name):
            raise UsageError(
                f"{where}: got the name '{name}'; allowed are letters, digits and _ . = + -"
                " (it becomes the name of files)."
            )
        if name.lower() in {*available(), NO_SAMPLER, *map(str.lower, found)}:
            raise UsageError(f"{where}: '{name}' is taken; give the variant another name.")
        if not isinstance(settings, Mapping) or "neg_sampler" not in settings:
            raise UsageError(
                f"{where}: {name} is {settings!r}; allowed is a mapping of settings with at least "
                "neg_sampler, as in {neg_sampler: bns, neg_sampler_args: {prior: uniform}}."
            )
        sampler = str(settings["neg_sampler"]).lower()
        if sampler not in {*available(), NO_SAMPLER}:
            raise UsageError(
                f"{where}: {name} has neg_sampler '{sampler}'{nearest(sampler, available())}; "
                f"allowed: {', '.join(available())}."
            )
        for setting in settings:
            if setting in SHARED:
                raise UsageError(
                    f"{where}: {name} sets {setting}, which all rows of a table share; write "
                    f"{'--seeds' if setting == 'seed' else f'--{setting}'} on the command line."
                )
        found[name] = dict(settings)
    if not found:
        raise UsageError(f"{where}: no variants in it.")
    return found
