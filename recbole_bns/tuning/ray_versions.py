"""Where Ray keeps what we call, version by version: 2.6, 2.7 to 2.42, 2.43 and later."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.runner.cluster import check_ray as check_ray
from recbole_bns.runner.cluster import set_environment as set_environment

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


def tune_config_extras() -> dict[str, Any]:
    """``TuneConfig`` of Ray 2.6 is told to stay in the working directory; later ones read QUIET."""
    from ray import train

    return {} if hasattr(train, "report") else {"chdir_to_trial_dir": False}
