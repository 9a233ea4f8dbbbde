"""Where Ray keeps what we call, version by version: 2.6, 2.7 to 2.42, 2.43 and later."""

from __future__ import annotations

import importlib.util
import os
from types import SimpleNamespace
from typing import Any

from recbole_bns.common.errors import UsageError

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""No statistics sent, no files in the working directory, no talk; what a user has set stands."""
LOCAL = {"RAY_AUTH_MODE": "disabled"}
"""For a cluster of our own on this machine: since 2.59 Ray asks for a token else."""


def check_ray() -> None:
    """Refuse to go on without Ray Tune.

    Raises:
        UsageError: it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise UsageError("tune: Ray is not installed; pip install 'ray[tune]'.")


NAMES = ("report", "get_checkpoint", "Checkpoint", "RunConfig", "CheckpointConfig", "FailureConfig")


def names() -> SimpleNamespace:
    """``report(metrics, checkpoint)``, ``get_checkpoint()`` and Ray's classes for runs."""
    from ray import train, tune

    homes: list[tuple[Any, ...]] = [(tune,), (train,)]
    if not hasattr(train, "report"):
        from ray import air
        from ray.air import session

        homes = [(session, air)]
    for home in homes:
        found = {
            name: getattr(each, name) for each in home for name in NAMES if hasattr(each, name)
        }
        if set(found) == set(NAMES):
            return SimpleNamespace(**found)
    raise UsageError("tune: this version of Ray is not known; pip install 'ray[tune]>=2.6'.")


def set_environment(local: bool) -> None:
    """Make Ray quiet, before it is imported or started."""
    for name, value in (QUIET | (LOCAL if local else {})).items():
        os.environ.setdefault(name, value)


def tune_config_extras() -> dict[str, Any]:
    """``TuneConfig`` of Ray 2.6 is told to stay in the working directory; later ones read QUIET."""
    from ray import train

    return {} if hasattr(train, "report") else {"chdir_to_trial_dir": False}
