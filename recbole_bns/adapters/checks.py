"""Checks of the settings, each with a sentence: where, what was got, what is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.common.params import check_schedules
from recbole_bns.sampling import get, parse
from recbole_bns.settings.declared import NO_SAMPLER, check_value, declared
from recbole_bns.settings.values import epochs_of

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


def check_ranges(final: dict[str, Any]) -> None:
    """Check the settings whose wrong value RecBole answers with a traceback, or not at all.

    Whole numbers that were written as 5.0 become integers in place.

    Raises:
        UsageError: where, what was got, what is allowed.
    """
    for key, spec in declared().items():
        if key in final and not spec.metadata["computed"]:
            final[key] = check_value(spec, final[key])
    check_eval_args(final["eval_args"])
    check_sampler(final)
    check_record(final)


def check_record(final: Mapping[str, Any]) -> None:
    """Check what is to be recorded of the negatives.

    Raises:
        UsageError: where, what was got, what is allowed.
    """
    if record_epochs(final.get("neg_record_scores")) and not final.get("neg_record"):
        raise UsageError("neg_record_scores: it needs neg_record: True, which records.")


def record_epochs(value: Any) -> tuple[int, ...]:
    """Epochs of ``neg_record_scores``: ``1,10,50``, a list, a single one, or None.

    Raises:
        UsageError: not epochs.
    """
    return epochs_of(value, "neg_record_scores")


_ENTRIES = ("split", "group_by", "order", "mode")
_EVALUATION: dict[str, tuple[str, ...]] = {
    "order": ("RO", "TO"),
    "group_by": ("user", "none"),
    "LS": ("valid_and_test", "valid_only", "test_only"),
}
_MODE = re.compile(r"full|labeled|(uni|pop)[1-9]\d*")


def check_eval_args(args: Mapping[str, Any]) -> None:
    """Check RecBole's ``eval_args``, of which it reads four entries and passes over others.

    Raises:
        UsageError: an unknown entry, or a value that RecBole does not know.
    """
    for name, value in args.items():
        if name not in _ENTRIES:
            raise UsageError(
                f"eval_args.{name}: no such entry{nearest(name, _ENTRIES)}; allowed: "
                f"{', '.join(_ENTRIES)}."
            )
        if name in _EVALUATION and not (name == "group_by" and value is None):
            _check_word(value, _EVALUATION[name], f"eval_args.{name}")
    for phase, mode in _modes(args.get("mode", "full")).items():
        key = f"eval_args.mode.{phase}" if phase else "eval_args.mode"
        if not isinstance(mode, str) or not _MODE.fullmatch(mode):
            raise UsageError(
                f"{key}: got {mode!r}, allowed is full, labeled, or uniN or popN with a number of "
                "negatives an item, as in uni100."
            )
    _check_split(args.get("split", {"RS": [1]}))


def _modes(mode: Any) -> Mapping[str, Any]:
    """``eval_args.mode`` by phase; one for both is under no name."""
    if not isinstance(mode, Mapping):
        return {"": mode}
    for phase in mode:
        _check_word(phase, ("valid", "test"), "eval_args.mode", "a mapping of ")
    return mode


def _check_split(split: Any) -> None:
    if split is None:  # beside files that fix the split
        return None
    if not isinstance(split, Mapping) or len(split) != 1 or not set(split) <= {"RS", "LS"}:
        raise UsageError(
            f"eval_args.split: got {split!r}, allowed is one of {{RS: [0.8, 0.1, 0.1]}} and "
            "{LS: valid_and_test}."
        )
    if "LS" in split:
        return _check_word(split["LS"], _EVALUATION["LS"], "eval_args.split.LS")
    shares = split["RS"]
    fits = isinstance(shares, list) and all(
        isinstance(share, (int, float)) and not isinstance(share, bool) and share >= 0
        for share in shares
    )
    if not fits or not sum(shares) > 0:
        raise UsageError(
            f"eval_args.split.RS: got {shares!r}, allowed are shares >= 0 of the parts, as in "
            "[0.8, 0.1, 0.1]."
        )
    return None


def _check_word(value: Any, words: tuple[str, ...], key: str, what: str = "one of ") -> None:
    if value not in words:
        raise UsageError(
            f"{key}: got {value!r}{nearest(str(value), words)}, allowed is {what}"
            f"{', '.join(words)}."
        )


def check_sampler(final: Mapping[str, Any]) -> None:
    """Check name and parameters of the sampler.

    Raises:
        UsageError: unknown name or parameter, wrong type, out of range.
    """
    name, args, _ = sampler_settings(final)
    if name != NO_SAMPLER:
        params = parse(get(name).Params, args, "neg_sampler_args")
        check_schedules(params, final["epochs"], "neg_sampler_args")


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
    if len({metric_types[str(metric).lower()] for metric in metrics}) > 1:
        raise UsageError(
            f"metrics: got {metrics}, allowed are metrics of rankings (NDCG, Recall) or of values "
            "(AUC, LogLoss), not both at once."
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


def add_prior_column(final: dict[str, Any]) -> None:
    """Have RecBole load the ``.user`` column that the sampler's parameters ask for."""
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
