"""Settings that were given and cannot act: refused where they contradict others, else named.

A setting at its default contradicts nothing, as in the ``settings.yaml`` of a run, which holds all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from recbole.utils import ModelType

from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import idle
from recbole_bns.sampling import get
from recbole_bns.sampling.capabilities import Learns, of_type
from recbole_bns.settings.declared import NO_SAMPLER, NOT_IN_A_RUN, declared, having, ours

from .dislikes import check_known_pairs
from .loss_settings import check_loss, check_loss_type, idle_beside_loss
from .mine_settings import check_mine, idle_when_mined
from .reads import check_packages, known_keys, read_by
from .sampler_settings import is_sampled, parsed_settings

_BY_OTHER_WAYS = (
    "model",
    "dataset",
    "reproducibility",
    "show_progress",
    "use_gpu",
    "gpu_id",
    "nproc",
    "threads",
    "transform",
    "alias_of_user_id",
    "alias_of_item_id",
    "alias_of_entity_id",
    "alias_of_relation_id",
)
"""Read in a way that no search in the parts of RecBole finds, or by this package."""


def check_contradictions(config: Any) -> None:
    """Refuse what was given beside settings with which it cannot act.

    Args:
        config: a ``Config`` before RecBole has completed it.

    Raises:
        UsageError: names both settings, and what to write.
    """
    final, internal = config.final_config_dict, config.internal_config_dict
    given = {
        key: value
        for key, value in config.external_config_dict.items()
        if key not in internal or value != internal[key]
    }
    if final["neg_sampler"] == NO_SAMPLER:
        _check_none(given)
    check_loss(config, given)
    check_mine(config, config.external_config_dict)
    check_loss_type(config, given)
    if final.get("benchmark_filename") is not None:
        _check_fixed_split(given, internal)


def _check_none(given: Mapping[str, Any]) -> None:
    if given.get("neg_sampler_args"):
        raise UsageError(
            f"neg_sampler_args: got {dict(given['neg_sampler_args'])!r}, but neg_sampler "
            f"'{NO_SAMPLER}' is RecBole's own sampling, which has none of these; leave them out, "
            "or name a sampler with neg_sampler."
        )
    if given.get("neg_sample_num", 1) != 1:
        raise UsageError(
            f"neg_sample_num: got {given['neg_sample_num']!r}, but neg_sampler '{NO_SAMPLER}' is "
            "RecBole's own sampling, which does not read it; write "
            f"train_neg_sample_args.sample_num: {given['neg_sample_num']}."
        )
    args = given.get("train_neg_sample_args")
    names = ("distribution", "sample_num", "alpha", "dynamic", "candidate_num")
    for name in args if isinstance(args, Mapping) else ():
        if name not in names:
            raise UsageError(
                f"train_neg_sample_args.{name}: no such entry; allowed: {', '.join(names)}."
            )


def _check_fixed_split(given: Mapping[str, Any], internal: Mapping[str, Any]) -> None:
    defaults = {name: spec.default for name, spec in declared().items()}
    for key in having("beside_fixed_split", False):
        if key in given and given[key] not in (None, defaults[key]):
            raise UsageError(
                f"{key}: got {given[key]!r}, but benchmark_filename names files that fix the "
                "split, which are not filtered; leave it out, or filter the files."
            )
    ours_ = internal.get("eval_args") or {}
    for name, value in (given.get("eval_args") or {}).items():
        if name != "mode" and value != ours_.get(name) and value != STOCK_PROTOCOL.get(name):
            raise UsageError(
                f"eval_args.{name}: got {value!r}, but benchmark_filename names files that fix "
                "the split; leave one of them out."
            )


STOCK_PROTOCOL = {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "group_by": "user"}
"""RecBole's own ``eval_args``, which runs write down."""


def idle_parameters(config: Any) -> dict[str, str]:
    """Parameters of the sampler, and of mining, that were given and that another one switches off.

    Returns:
        ``neg_sampler_args.beta`` -> with what it acts: ``choice linear``.
    """
    given = config.external_config_dict.get("neg_sampler_args") or {}
    if not is_sampled(config) or not isinstance(given, Mapping):
        return {}
    _, params, _ = parsed_settings(config)
    of_sampler = {f"neg_sampler_args.{key}": words for key, words in idle(params, given).items()}
    return of_sampler | idle_when_mined(config)


def remarks(config: Any) -> Iterator[str]:
    """Sentences about what was given and does nothing."""
    for key, words in idle_parameters(config).items():
        yield f"{key} has no effect here: it acts only with {words}."
    if is_sampled(config):
        name, params, _ = parsed_settings(config)
        learns = of_type(get(name).requirements_of(params), Learns)
        never = learns.never(name, config["epochs"]) if learns else ""
        yield from [never] if never else []
    for key, reason in (*NOT_IN_A_RUN.items(), *idle_beside_loss(config).items()):
        if key in _changed(config):
            yield f"{key} has no effect here: {reason}."
    unread = [key for key in _changed(config) if not _is_read(key, config.model_class)]
    if unread:
        yield (
            f"{', '.join(unread)}: known to RecBole, but not read with {config['model']}: no "
            "effect here."
        )
    if config["valid_ratio"] == 0 and config["benchmark_filename"] is None:
        idle_here = [key for key in _changed(config) if key in ("stopping_step", "eval_step")]
        if idle_here:
            yield f"{', '.join(idle_here)}: no effect without a validation part (valid_ratio: 0)."
    if not config["use_gpu"] and config.external_config_dict.get("gpu_id"):
        yield "gpu_id has no effect here: use_gpu is False."


def _changed(config: Any) -> list[str]:
    """What the user has set to another value than it has without."""
    internal = config.internal_config_dict
    return [
        key
        for key, value in config.external_config_dict.items()
        if key in internal and value != internal[key]
    ]


def _is_read(key: str, model: type) -> bool:
    if key in read_by(model) or key in ours() or key in NOT_IN_A_RUN:
        return True
    return key in _BY_OTHER_WAYS or key not in known_keys(model)


def check_commands(config: Any) -> None:
    """What a command of ours cannot do for the settings it was given, before the data are read.

    Raises:
        UsageError: labels, histories, known dislikes, a GPU or a package that are not there.
    """
    given = config.variable_config_dict
    check_packages(config)
    _check_labels(config)
    _check_histories(config)
    _check_device(config, given)
    check_known_pairs(config)


def _check_labels(config: Any) -> None:
    label, columns = config["LABEL_FIELD"], (config["load_col"] or {}).get("inter", "*")
    labeled = "labeled" in config["eval_args"]["mode"].values()
    if labeled and columns != "*" and label not in (columns or ()) and not config["threshold"]:
        raise UsageError(
            f"eval_args.mode: got 'labeled', but there are no labels; name the column '{label}' in "
            "load_col.inter, or make them with threshold: {rating: 4}; allowed without are full, "
            "uniN and popN."
        )


def _check_histories(config: Any) -> None:
    column = f"{config['ITEM_ID_FIELD']}{config['LIST_SUFFIX']}"
    fixed = config["benchmark_filename"] is not None
    if fixed and config.model_class.type == ModelType.SEQUENTIAL:
        loaded = (config["load_col"] or {}).get("inter", "*")
        if column not in (config["alias_of_item_id"] or ()) or (
            loaded != "*" and column not in loaded
        ):
            raise UsageError(
                f"benchmark_filename: {config['model']} needs each line's history where files fix "
                f"the split: a column '{column}:token_seq' in load_col.inter and alias_of_item_id: "
                f"[{column}]; without files RecBole makes it."
            )


def _check_device(config: Any, given: Mapping[str, Any]) -> None:
    asked = given.get("gpu_id") if config["use_gpu"] else None
    if asked in (None, "") and not (given.get("use_gpu") is True and config["gpu_id"] != ""):
        return
    if config["device"].type == "cpu":
        key, value = ("gpu_id", asked) if asked not in (None, "") else ("use_gpu", True)
        raise UsageError(
            f"{key}: got {value!r}, but PyTorch sees no such GPU here; allowed is --use_gpu=False, "
            "which trains on the CPU (recbole-bns doctor lists the devices)."
        )
