"""Where a refused value comes from, said to those who did not write it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.runs.records import RunConfig
from recbole_bns.settings.declared import declared
from recbole_bns.settings.presets import preset_of
from recbole_bns.settings.properties import PROPERTIES, read_own


@contextmanager
def told_whence(config: RunConfig) -> Iterator[None]:
    """Add to a refusal that the value is of a preset, of a tuned file, or a default.

    Args:
        config: of the run whose data refuse the value.

    Raises:
        UsageError: the refusal.
    """
    try:
        yield
    except UsageError as error:
        text = str(error)
        setting = text.partition(":")[0]
        source = _source(config, setting)
        if source is None:
            raise
        raise UsageError(
            f"{text.rstrip('.')} (it is {source}; --{setting}=VALUE counts before that)."
        ) from error


def _source(config: RunConfig, setting: str) -> str | None:
    """What says a value that the user does not; None of one that the user wrote, or of no value."""
    head, _, key = setting.partition(".")
    if head not in declared() or _says(config.external_config_dict, head, key):
        return None
    if _says(preset_of(config.external_config_dict), head, key):
        return f"of preset '{config['preset']}'"
    tuned = config["tuned_file"]
    if tuned and _says(read_own(PROPERTIES.joinpath(*Path(tuned).parts[1:])), head, key):
        return f"of {tuned}, which --tuned=False leaves out"
    return "the default" if key else None


def _says(settings: Mapping[str, Any], head: str, key: str) -> bool:
    value = settings.get(head)
    return head in settings and (not key or (isinstance(value, Mapping) and key in value))
