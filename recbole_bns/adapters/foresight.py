"""What a model could know of the future: counted in the parts, and said in a sentence.

A training interaction is *later* where its time is after that of the first test interaction. A
model that trains on such ones knows what will be popular, or what the very user will take later,
and is tested on more than it could know in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recbole_bns.runs.records import RunConfig, SplitFacts
from recbole_bns.settings.splits import NONE, Split, chosen_split, in_words

from .cuts import ranks_of, time_of
from .split import left_out_of


def split_facts(config: RunConfig, parts: Mapping[str, Any]) -> SplitFacts | None:
    """How large the parts are and what of the future training knows, with a sentence.

    Args:
        config: of the run.
        parts: by phase, of :func:`.split.open_data`.

    Returns:
        None where no split was asked for and no times are loaded.
    """
    chosen = chosen_split(config.final_config_dict) if _is_ours(config) else None
    later = _later(parts)
    if chosen is None and later is None:
        return None
    facts: SplitFacts = {
        "split": NONE if chosen is None else chosen.kind,
        "interactions": {phase: len(part.inter_feat) for phase, part in parts.items()},
        "later": None,
        "later_of_user": None,
        "sentence": "",
    }
    if later is not None:
        facts["later"], facts["later_of_user"] = later
    if chosen is not None and chosen.kind == "time":
        facts["left_out"] = {
            phase: len(left_out_of(part)) for phase, part in parts.items() if phase != "train"
        }
        facts["first"] = _first_moments(parts)
    facts["sentence"] = f"{_how(config, chosen, facts)}; {_known(facts)}{_left_out(facts)}."
    return facts


def _is_ours(config: RunConfig) -> bool:
    return bool(getattr(type(config), "reads_truly", False))


# --- counted -------------------------------------------------------------------------------------


def _later(parts: Mapping[str, Any]) -> tuple[float, float] | None:
    """Shares of training later than the first test interaction, and of test with the user's later.

    The second is of the test interactions for whose user training has a later one.
    """
    train, test = ranks_of(parts["train"]), ranks_of(parts["test"])
    if train is None or test is None:
        return None
    share = (train > test.min()).double().mean()
    last = _last_of_users(parts["train"], train)
    users = parts["test"].inter_feat[parts["test"].uid_field]
    return float(share), float((last[users] > test).double().mean())


def _last_of_users(train: Any, ranks: Tensor) -> Tensor:
    """(U,) the rank of each user's last training interaction; 0 without one."""
    users = train.inter_feat[train.uid_field]
    empty = torch.zeros(train.user_num, dtype=ranks.dtype)
    return empty.scatter_reduce(0, users, ranks, "amax")


def _first_moments(parts: Mapping[str, Any]) -> dict[str, float | int]:
    """The time of the first interaction of validation and test, left out ones counted too."""
    first = {}
    for phase in [phase for phase in parts if phase != "train"]:
        every = [part for part in (parts[phase], left_out_of(parts[phase])) if len(part)]
        ranks = [ranks_of(part) for part in every]
        least = min(int(each.min()) for each in ranks if each is not None)
        first[phase] = time_of(parts[phase], least)
    return first


# --- said ----------------------------------------------------------------------------------------


def _how(config: RunConfig, chosen: Split | None, facts: SplitFacts) -> str:
    """How the parts are made."""
    if chosen is None:
        return _how_recbole(config)
    if chosen.kind == "ratio":
        of = "each user's" if chosen.group == "user" else "all"
        return f"split ratio: {_percent(chosen.shares)} % of {of} interactions, drawn at random"
    if chosen.kind == "time":
        return f"split time: {_moments(facts)}, for all users"
    return f"split {chosen.kind}: {_last(chosen.k)}"


def _last(k: int) -> str:
    if k == 1:
        return "each user's last interaction is tested, the one before it validates"
    return f"each user's last {k} interactions are tested, the {k} before them validate"


def _moments(facts: SplitFacts) -> str:
    first = {phase: in_words(time) for phase, time in facts["first"].items()}
    if "valid" not in first:
        return f"tested is what is of {first['test']} or later"
    return f"validation begins with {first['valid']}, the test with {first['test']}"


def _percent(shares: Any) -> str:
    total = sum(shares)
    return "/".join(f"{100 * share / total:.4g}" for share in shares)


def _how_recbole(config: RunConfig) -> str:
    """How ``eval_args`` or the files make the parts."""
    if config["benchmark_filename"] is not None:
        return "split: files fix the parts (benchmark_filename)"
    args = config["eval_args"]
    kind, value = next(iter(args["split"].items()))
    drawn = "by time" if args["order"] == "TO" else "at random"
    if kind == "LS":
        return f"split LS, {args['order']}: one interaction of each user is left out, {drawn}"
    of = "all" if str(args["group_by"]).lower() == "none" else "each user's"
    return f"split RS, {args['order']}: {_percent(value)} % of {of} interactions, {drawn}"


def _known(facts: SplitFacts) -> str:
    """What of the future training knows."""
    later, own = facts["later"], facts["later_of_user"]
    number = f"{facts['interactions']['train']:,} training interactions"
    if later is None or own is None:
        return (
            "what the model knows of the future is not measured, since no times are loaded "
            "(load_col)"
        )
    if not later:
        return (
            f"the model knows nothing of the future: none of the {number} is later than the first "
            "test one"
        )
    measured = f"{_share(later)} of the {number} are later than the first test one"
    if not own:
        return f"the model knows of the future what others did later: {measured}"
    return (
        f"the model knows of the future what others and the users themselves did later: {measured},"
        f" and for {_share(own)} of the test interactions training has a later one of the same user"
    )


def _share(value: float) -> str:
    if 0.9995 <= value < 1:
        return "over 99.9 %"
    return f"{100 * value:.1f} %" if value >= 0.0005 else "under 0.1 %"


def _left_out(facts: SplitFacts) -> str:
    left = facts.get("left_out", {})
    if not sum(left.values()):
        return ""
    kinds = {"valid": "validation", "test": "test"}
    counts = " and ".join(
        f"{left[phase]:,} of {left[phase] + facts['interactions'][phase]:,} {kinds[phase]}"
        for phase in left
    )
    return f"; {counts} interactions are left out: training lacks their user or their item"
