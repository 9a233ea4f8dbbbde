"""The parts of a data set, and what is known of their interactions."""

from __future__ import annotations

from logging import getLogger
from typing import Any, NamedTuple

import recbole.data.utils as host
import torch
from recbole.utils import init_seed
from torch import Tensor

from recbole_bns.common.errors import UsageError, refusals
from recbole_bns.datasets.check import check_cuts
from recbole_bns.datasets.weights import weight_field
from recbole_bns.runs.records import RunConfig
from recbole_bns.sampling import Catalogue
from recbole_bns.settings.splits import NONE

from .batch import decide_batch
from .cuts import put_ranks, ranks_of
from .mends import quiet
from .weights import weights_of

PHASES = ["train", "valid", "test"]


class Opened(NamedTuple):
    """A data set that has been read."""

    dataset: Any
    """Of RecBole, with all interactions."""
    parts: dict[str, Any]
    """By phase; see :func:`split`."""


def open_data(config: RunConfig) -> Opened:
    """Read the data set of a ``Config`` and split it; the split depends on the seed alone.

    Every command opens its data here, so that a run, what is predicted from it and a sweep's
    trials have the same parts.

    Raises:
        UsageError: RecBole cannot read it, a metric is cut off beyond the catalogue, or the split
            leaves a part empty.
    """
    init_seed(config["seed"], config["reproducibility"])  # RecBole's split draws from it
    with quiet(), refusals(f"data set '{config['dataset']}'"):
        dataset = host.create_dataset(config)
        getLogger().info(dataset)
        check_cuts(config, dataset)
        return Opened(dataset, split(config, dataset))


def open_whole(config: RunConfig) -> Opened:
    """Read the data set with all of its interactions in one part, that of training.

    What the training part decides stays as it decided it, also where this goes on another day.
    """
    dataset, parts = open_data(config)
    decide_batch(config, len(parts["train"]))
    return Opened(dataset, {"train": joined(everything(parts))})


def split(config: RunConfig, dataset: Any) -> dict[str, Any]:
    """Parts of the data set by phase: two (train, test) or three.

    Of ``split: time`` validation and test are without users and items that training lacks.

    Raises:
        UsageError: the split leaves one of them empty, or is asked of a ``Config`` of RecBole's.
    """
    refuse_stock(config)
    built = _built(config, dataset)
    ratio = config["valid_ratio"]
    if len(built) == 2 and ratio is None:
        ratio = 0.1
    if ratio is None:
        parts = dict(zip(PHASES, built, strict=True))
    else:
        parts = _cut(joined(built[:-1]), ratio, config["seed"])
        parts["test"] = built[-1]
    if config["split"] == "time":
        _leave_out_unknown(config, parts)
    for phase, part in parts.items():
        if not len(part):
            raise UsageError(
                f"data set '{config['dataset']}': the {phase} part is empty; check "
                f"{_settings_of_parts(config)}."
            )
    return parts


def refuse_stock(config: RunConfig) -> None:
    """Refuse ``split`` in a ``Config`` of RecBole's own, which does not read its times.

    Raises:
        UsageError: it is there.
    """
    if config["split"] not in (None, NONE) and not getattr(type(config), "reads_truly", False):
        raise UsageError(
            f"split: got {config['split']!r}, which RecBole's own Config does not know; use "
            "recbole_bns.BNSConfig in its place, or write eval_args."
        )


def _built(config: RunConfig, dataset: Any) -> list[Any]:
    """RecBole's parts, each with the ranks of its times."""
    built: list[Any] = dataset.build()
    if config["benchmark_filename"] is not None:  # RecBole slices the rows as they are
        ranks = ranks_of(dataset)
        sizes = [len(part) for part in built]
        cut_up = [None] * len(built) if ranks is None else ranks.split(sizes)
        for part, each in zip(built, cut_up, strict=True):
            put_ranks(part, each)
    return built


def _settings_of_parts(config: RunConfig) -> str:
    if config["split"] in (None, NONE):
        return "eval_args.split, benchmark_filename and valid_ratio"
    return f"split: {config['split']}, its split_... settings and valid_ratio"


def joined(parts: list[Any]) -> Any:
    """One part with the interactions of several, one after the other."""
    feats = [part.inter_feat for part in parts]
    columns = {name: torch.cat([feat[name] for feat in feats]) for name in feats[0].interaction}
    whole = parts[0].copy(type(feats[0])(columns))
    ranks = [ranks_of(part) for part in parts]
    known = [each for each in ranks if each is not None]
    put_ranks(whole, torch.cat(known) if len(known) == len(ranks) else None)
    return whole


def _cut(whole: Any, ratio: float, seed: int) -> dict[str, Any]:
    """Cut a random share of the rows off, the same for the same seed."""
    feat = whole.inter_feat
    order = torch.randperm(len(feat), generator=torch.Generator().manual_seed(int(seed)))
    size = round(ratio * len(feat))
    if not ratio:
        return {"train": whole}
    kept, cut_off = order[size:].sort().values, order[:size].sort().values
    return {"train": rows_of(whole, kept), "valid": rows_of(whole, cut_off)}


def rows_of(part: Any, rows: Tensor) -> Any:
    """A part of some interactions of another one."""
    ranks = ranks_of(part)
    chosen = part.copy(part.inter_feat[rows])
    put_ranks(chosen, None if ranks is None else ranks[rows])
    return chosen


def _leave_out_unknown(config: RunConfig, parts: dict[str, Any]) -> None:
    """Take away from the other parts who and what is not in training, in place.

    Raises:
        UsageError: nothing is left of a part.
    """
    train = parts["train"]
    known = catalogue_of(train)
    users, items = known.negative_num < known.item_num - 1, known.item_counts > 0
    for phase in [phase for phase in parts if phase != "train"]:
        feat = parts[phase].inter_feat
        kept = users[feat[train.uid_field]] & items[feat[train.iid_field]]
        left_out = rows_of(parts[phase], (~kept).nonzero().squeeze(1))
        if len(kept) and not kept.any():
            raise UsageError(
                f"data set '{config['dataset']}': all {len(kept)} interactions of the {phase} part "
                "are of users or items that training does not have; choose another split_time, or "
                "larger split_shares of training."
            )
        parts[phase] = rows_of(parts[phase], kept.nonzero().squeeze(1))
        setattr(parts[phase], _LEFT_OUT, left_out)


_LEFT_OUT = "_recbole_bns_left_out"


def left_out_of(part: Any) -> Any:
    """What a part would have beside, of users or items that training lacks; None: nothing."""
    return getattr(part, _LEFT_OUT, None)


def everything(parts: dict[str, Any]) -> list[Any]:
    """All parts, and what was left out of them: together the whole data set."""
    beside = [left_out_of(part) for part in parts.values()]
    return [*parts.values(), *(each for each in beside if each is not None)]


def catalogue_of(dataset: Any) -> Catalogue:
    """The training interactions of a data set, item sequences of sequential models included."""
    feat = dataset.inter_feat
    users, items = feat[dataset.uid_field], feat[dataset.iid_field]
    weights = weights_of(dataset)
    history = getattr(dataset, "item_id_list_field", None)
    if history is not None and history in feat:
        past = feat[history]
        weights = None if weights is None else _with_past(dataset, weights, past.shape[1])
        users = torch.cat((users, users.repeat_interleave(past.shape[1])))
        items = torch.cat((items, past.reshape(-1)))
    return Catalogue(users, items, dataset.user_num, dataset.item_num, weights=weights)


def _with_past(dataset: Any, weights: Tensor, length: int) -> Tensor:
    """Weights of interactions (N,), then those of the histories before them (N · length)."""
    name = f"{weight_field(dataset.config)}{dataset.config['LIST_SUFFIX']}"
    feat = dataset.inter_feat
    past = feat[name].reshape(-1) if name in feat else weights.repeat_interleave(length)
    return torch.cat((weights, past))


def pairs_of(parts: list[Any]) -> Tensor:
    """``(2, N)`` user and item of each interaction of these parts."""
    fields = (parts[0].uid_field, parts[0].iid_field)
    return torch.stack([torch.cat([part.inter_feat[f] for part in parts]) for f in fields])
