"""Checks of the settings, each with a sentence: where, what was got, what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.common.table_files import check_format
from recbole_bns.sampling import get, parse
from recbole_bns.settings.declared import NO_SAMPLER
from recbole_bns.settings.properties import PROPERTIES, read_own

from .dataset import ITEM_ONLY
from .sampler_settings import sampler_settings


@cache
def known_models() -> tuple[str, ...]:
    """Names of RecBole's models."""
    folder = files("recbole") / "properties" / "model"
    return tuple(sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".yaml")))


def check_model(name: str) -> None:
    """Refuse a name that RecBole does not know, with the nearest.

    Raises:
        UsageError: unknown.
    """
    if name not in known_models() and not _has_class(name):
        raise UsageError(
            f"model: got '{name}'{nearest(name, known_models())}; allowed is a model of RecBole, "
            "such as BPR, LightGCN, NGCF, SGL, NeuMF."
        )


def _has_class(name: str) -> bool:
    """Whether RecBole has a model without a file of settings: Random."""
    from recbole.utils import get_model

    try:
        get_model(name)
    except (ValueError, AttributeError, ImportError):
        return False
    return True


@cache
def known_keys(model: str) -> frozenset[str]:
    """Every setting that RecBole or we read for ``model``."""
    from recbole.utils import argument_list as lists

    keys: set[str] = set(_EXTRA_KEYS)
    for name in ("general", "training", "evaluation", "dataset"):
        keys.update(getattr(lists, f"{name}_arguments"))
    root = Path(str(files("recbole"))) / "properties"
    for path in (
        root / "overall.yaml",
        root / f"model/{model}.yaml",
        root / "dataset/sample.yaml",
        *root.glob("quick_start_config/*.yaml"),
    ):
        keys.update(read_own(path))
    for path in (PROPERTIES / "overall.yaml", *PROPERTIES.glob("dataset/*.yaml")):
        keys.update(read_own(path))
    return frozenset(keys)


RECORD_KEYS = ("neg_record", "neg_record_scores", "neg_record_format")
"""Settings that leave the trained model as it is."""
_OURS = (
    "neg_sampler",
    "neg_sampler_args",
    "neg_sample_num",
    "lr_schedule",
    "valid_ratio",
    "tuned",
    "checkpoint_every",
    *RECORD_KEYS,
)
_EXTRA_KEYS = (
    *_OURS,
    "model",
    "dataset",
    "config_files",
    "reg_weight",
    "require_pow",
    "encoding",
    "loss_type",
    "transform",
    "numerical_features",
    "nproc",
    "neg_sampling",
    "training_neg_sample_num",
)


def check_keys(given: Mapping[str, Any], model: type) -> None:
    """Refuse misspelt keys, which RecBole would read as None.

    A key that is like no known one passes. What a model of the user's own reads is not known, so
    that with it only misspellings of our settings are refused.

    Raises:
        UsageError: names the nearest known key.
    """
    known = known_keys(model.__name__)
    likely = known if model.__module__.startswith("recbole.") else _OURS
    for key in given:
        hint = nearest(str(key), likely)
        if key not in known and hint:
            raise UsageError(f"setting '{key}' is not known{hint}.")


_COUNTS = (
    "epochs",
    "train_batch_size",
    "eval_batch_size",
    "embedding_size",
    "neg_sample_num",
    "nproc",
)
_MAPPINGS = {
    "lr_schedule": "{step_size: 20, gamma: 0.1}",
    "clip_grad_norm": "{max_norm: 1}",
    "eval_args": "{mode: full}",
    "load_col": "{inter: [user_id, item_id]}",
}
_NOT_NEGATIVE = ("learning_rate", "weight_decay", "reg_weight", "stopping_step", "worker")


def check_ranges(final: Mapping[str, Any]) -> None:
    """Check the settings whose wrong value RecBole answers with a traceback, or not at all.

    Raises:
        UsageError: where, what was got, what is allowed.
    """
    for key in _COUNTS:
        value = final.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{key}: got {value!r}, allowed is an integer >= 1.")
    for key in _NOT_NEGATIVE:
        value = final.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise UsageError(f"{key}: got {value!r}, allowed is a number >= 0.")
    seed = final.get("seed")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UsageError(f"seed: got {seed!r}, allowed is an integer from 0 to 2**32 - 1.")
    ratio = final.get("valid_ratio")
    numeric = isinstance(ratio, (int, float)) and not isinstance(ratio, bool)
    if ratio is not None and not (numeric and 0 <= ratio < 1):
        raise UsageError(f"valid_ratio: got {ratio!r}, allowed is a number from 0 to below 1.")
    every = final.get("checkpoint_every", 1)
    if isinstance(every, bool) or not isinstance(every, int) or every < 0:
        raise UsageError(f"checkpoint_every: got {every!r}, allowed is an integer >= 0.")
    for key, example in _MAPPINGS.items():
        value = final.get(key)
        if value is not None and not isinstance(value, Mapping):
            raise UsageError(f"{key}: got {value!r}, allowed is a mapping such as {example}.")
    check_sampler(final)
    check_record(final)


def check_record(final: Mapping[str, Any]) -> None:
    """Check what is to be recorded of the negatives.

    Raises:
        UsageError: where, what was got, what is allowed.
    """
    if not isinstance(final.get("neg_record", False), bool):
        raise UsageError(f"neg_record: got {final['neg_record']!r}, allowed is True or False.")
    if record_epochs(final.get("neg_record_scores")) and not final.get("neg_record"):
        raise UsageError("neg_record_scores: it needs neg_record: True, which records.")
    if final.get("neg_record"):
        check_format(final.get("neg_record_format", "csv"), "neg_record_format")


def record_epochs(value: Any) -> tuple[int, ...]:
    """Epochs of ``neg_record_scores``: ``1,10,50``, a list, a single one, or None.

    Raises:
        UsageError: not epochs.
    """
    words = [] if value is None else value if isinstance(value, list) else str(value).split(",")
    try:
        epochs = tuple(int(str(word)) for word in words)
    except ValueError:
        epochs = (0,)
    if any(epoch < 1 for epoch in epochs):
        raise UsageError(
            f"neg_record_scores: got {value!r}, allowed are epochs, counted from 1: 1,10,50."
        )
    return epochs


def check_sampler(final: Mapping[str, Any]) -> None:
    """Check name and parameters of the sampler.

    Raises:
        UsageError: unknown name or parameter, wrong type, out of range.
    """
    name, args, _ = sampler_settings(final)
    if name != NO_SAMPLER:
        parse(get(name).Params, args, "neg_sampler_args")


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
    for metric in metrics:
        if str(metric).lower() not in metric_types:
            raise UsageError(
                f"metrics: got {metric!r}{nearest(str(metric), metric_types)}; allowed: "
                f"{', '.join(metric_types)}."
            )
    for cut in cuts:
        if isinstance(cut, bool) or not isinstance(cut, int) or cut < 1:
            raise UsageError(f"topk: got {cut!r}, allowed are integers >= 1.")
    metric = str(final["valid_metric"])
    name, _, k = metric.partition("@")
    known = name.lower() in {m.lower() for m in metrics}
    if not known or k not in ([""] if name.lower() in _WITHOUT_CUT else map(str, cuts)):
        raise UsageError(
            f"valid_metric: got '{metric}', allowed is one of metrics {metrics} at one of topk "
            f"{cuts}."
        )


def add_prior_column(final: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Have RecBole load the ``.user`` column that the sampler's parameters ask for.

    A file that is loaded for this alone changes no interactions.

    Args:
        final: all settings; changed in place.
        given: those of the user.
    """
    name, args, _ = sampler_settings(final)
    if name == NO_SAMPLER or final.get("load_col") is None:
        return
    params = parse(get(name).Params, args, "neg_sampler_args")
    wanted = [need[5:] for need in get(name).side_data(params) if need.startswith("user:")]
    load = {key: list(value) if value != "*" else value for key, value in final["load_col"].items()}
    columns = load.get("user", [])
    if wanted and columns != "*":
        load["user"] = list(dict.fromkeys([final["USER_ID_FIELD"], *columns, *wanted]))
        final["load_col"] = load
        if not columns and "filter_inter_by_user_or_item" not in given:
            final["filter_inter_by_user_or_item"] = ITEM_ONLY
