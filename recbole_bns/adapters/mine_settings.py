"""Mined positives in any ``Config``: their parameters, and what they cannot be beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recbole.utils import ModelType

from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import as_mapping, check_schedules, idle, parse
from recbole_bns.runs.records import RunConfig, Settings
from recbole_bns.sampling import SharedList
from recbole_bns.sampling import available as samplers
from recbole_bns.sampling.mined import MINED_BY, MineParams
from recbole_bns.settings.declared import NO_SAMPLER

from .sampler_settings import is_sampled, mapping_of


def mine_params(config: RunConfig) -> MineParams | None:
    """The parameters of mined positives; None where nothing is mined.

    Raises:
        UsageError: an unknown one, wrong type, out of range, or a prior that none is mined by.
    """
    params = _parsed(config)
    return params if params is not None and (params.mines or params.spare) else None


def _parsed(config: RunConfig) -> MineParams | None:
    """All parameters; None where the setting is not there."""
    given = mapping_of(config, "mine")
    if not given:
        return None
    params = parse(MineParams, given, "mine")
    _check_prior(params.prior)
    return params


def mine_facts(config: RunConfig) -> Settings | None:
    """What a run's ``result.json`` says of mined positives; None where there are none.

    Raises:
        UsageError: see :func:`mine_params`.
    """
    params = mine_params(config)
    return None if params is None else as_mapping(params)


_NO_PRIOR = {
    "oracle": "sees the held-out labels, which would be trained on",
    "uniform": "finds all items alike, so that nobody has best ones",
}


def _check_prior(prior: Any) -> None:
    reason = _NO_PRIOR.get(prior) if isinstance(prior, str) else None
    if reason:
        raise UsageError(f"mine.prior: got '{prior}', which {reason}; allowed: {MINED_BY}.")


def check_mine(config: RunConfig, given: Mapping[str, Any]) -> None:
    """Refuse mined positives beside what they cannot be with, before the data are read.

    Args:
        config: of the run.
        given: settings that the user wrote.

    Raises:
        UsageError: names what cannot be, and what to write.
    """
    if given.get("mine") == {}:
        raise UsageError(
            "mine: got {}, which says nothing; allowed is a mapping such as {share: 0.5} (what is "
            "not said is at its default), or None, with which nothing is mined."
        )
    params = mine_params(config)
    if params is None:
        return
    if not is_sampled(config):
        raise UsageError(
            f"mine: got {dict(mapping_of(config, 'mine'))!r}, but neg_sampler '{NO_SAMPLER}' is "
            "RecBole's own sampling, whose batches stay as they are; name a sampler with "
            "neg_sampler, or leave it out."
        )
    if config.model_class.type == ModelType.SEQUENTIAL:
        raise UsageError(
            f"mine: {config.model_class.__name__} learns the item that comes next in a user's "
            "history, and a mined one has no place in it; allowed is None, or a general or "
            "context-aware model such as BPR, LightGCN, FM."
        )
    check_schedules(params, config["epochs"], "mine")
    if params.mines:
        _check_law(config)


def _check_law(config: RunConfig) -> None:
    """Refuse to correct for the law of in-batch draws, which the mined positives change."""
    cls: Any = samplers().get(str(config["neg_sampler"]).lower())
    of_batch = cls is not None and issubclass(cls, SharedList) and cls.of_batch
    if of_batch and config["loss_log_q"] not in (None, "none"):
        raise UsageError(
            f"loss_log_q: got '{config['loss_log_q']}', but neg_sampler '{cls.name}' draws of the "
            "batch, in which mine puts other items than the training interactions have: how likely "
            "a draw is, is not known; allowed beside mine is none."
        )


def idle_when_mined(config: RunConfig) -> dict[str, str]:
    """Given parameters that another one switches off: ``mine.prior_l2`` -> with what it acts."""
    given = config.external_config_dict.get("mine") or {}
    params = _parsed(config)
    if params is None or not isinstance(given, Mapping):
        return {}
    return {f"mine.{key}": words for key, words in idle(params, given).items()}
