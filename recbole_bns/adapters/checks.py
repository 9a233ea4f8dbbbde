"""Checks of the settings, each with a sentence: where, what was got, what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import check_schedules
from recbole_bns.runs.records import RunConfig
from recbole_bns.sampling import get
from recbole_bns.sampling.capabilities import UserColumn
from recbole_bns.settings.checks import check_cuts, check_metric_names, unknown_model
from recbole_bns.settings.declared import ITEM_ONLY
from recbole_bns.settings.properties import host_folder, models_of

from .sampler_settings import is_sampled, parsed_settings, sampler_settings


@cache
def known_models() -> tuple[str, ...]:
    """Names of RecBole's models."""
    return models_of(host_folder())


def check_model(name: str) -> None:
    """Refuse a name that RecBole does not know, with the nearest.

    Raises:
        UsageError: unknown.
    """
    if name not in known_models() and not _has_class(name):
        raise unknown_model(name, known_models())


def _has_class(name: str) -> bool:
    """Whether RecBole has a model without a file of settings: Random."""
    from recbole.utils import get_model

    try:
        get_model(name)
    except (ValueError, AttributeError, ImportError):
        return False
    return True


def check_sampler(config: RunConfig) -> None:
    """Check name and parameters of the sampler, which the Config keeps from here on.

    Raises:
        UsageError: unknown name or parameter, wrong type, out of range.
    """
    if is_sampled(config):
        _, params, _ = parsed_settings(config)
        check_schedules(params, config["epochs"], "neg_sampler_args")
    else:
        sampler_settings(config)


_WITHOUT_CUT = {"auc", "gauc", "logloss", "mae", "rmse"}


def default_metric(final: Mapping[str, Any]) -> str:
    """What decides where only ``topk`` or ``metrics`` was given: NDCG, or the first."""
    metrics, cuts = _lists(final)
    name = next((m for m in metrics if str(m).lower() == "ndcg"), [*metrics, "NDCG"][0])
    if str(name).lower() in _WITHOUT_CUT:
        return str(name)
    return f"{name}@{max((cut for cut in cuts if isinstance(cut, int)), default=0)}"


def _lists(final: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    metrics, cuts = (v if isinstance(v, list) else [v] for v in (final["metrics"], final["topk"]))
    return metrics, cuts


def check_metrics(final: Mapping[str, Any]) -> None:
    """Check ``metrics``, ``topk`` and ``valid_metric``, which must be one of those computed.

    Raises:
        UsageError: names the allowed ones.
    """
    from recbole.evaluator import metric_types

    metrics, cuts = _lists(final)
    check_metric_names(metrics, metric_types)
    check_cuts(cuts)
    metric = str(final["valid_metric"])
    name, _, k = metric.partition("@")
    known = name.lower() in {m.lower() for m in metrics}
    if not known or k not in ([""] if name.lower() in _WITHOUT_CUT else map(str, cuts)):
        raise UsageError(
            f"valid_metric: got '{metric}', allowed is one of metrics {metrics} at one of topk "
            f"{cuts}."
        )


def add_prior_column(config: RunConfig) -> None:
    """Have RecBole load the ``.user`` column that sampler or weights of a loss ask for.

    A file that is loaded for this alone changes no interactions.
    """
    final = config.final_config_dict
    if not is_sampled(config) or final.get("load_col") is None:
        return
    name, params, _ = parsed_settings(config)
    from .loss_settings import chosen_loss  # which imports RecBole
    from .mine_settings import mine_params

    choice, mine = chosen_loss(config), mine_params(config)
    weights = choice.weight.requirements() if choice and choice.weight else ()
    mined = mine.requirements() if mine else ()
    needs = (*get(name).requirements_of(params), *weights, *mined)
    wanted = [need.column for need in needs if isinstance(need, UserColumn)]
    load = {key: list(value) if value != "*" else value for key, value in final["load_col"].items()}
    columns = load.get("user", [])
    if wanted and columns != "*":
        load["user"] = list(dict.fromkeys([final["USER_ID_FIELD"], *columns, *wanted]))
        final["load_col"] = load
        if not columns and "filter_inter_by_user_or_item" not in config.external_config_dict:
            final["filter_inter_by_user_or_item"] = ITEM_ONLY
