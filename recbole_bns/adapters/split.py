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


def split(config: RunConfig, dataset: Any) -> dict[str, Any]:
    """Parts of the data set by phase: two (train, test) or three.

    Raises:
        UsageError: the split leaves one of them empty.
    """
    built = dataset.build()
    ratio = config["valid_ratio"]
    if len(built) == 2 and ratio is None:
        ratio = 0.1
    if ratio is None:
        parts = dict(zip(PHASES, built, strict=True))
    else:
        feat = built[0].inter_feat
        columns = {
            name: torch.cat([part.inter_feat[name] for part in built[:-1]])
            for name in feat.interaction
        }
        parts = _cut(built[0], type(feat)(columns), ratio, config["seed"])
        parts["test"] = built[-1]
    for phase, part in parts.items():
        if not len(part):
            raise UsageError(
                f"data set '{config['dataset']}': the {phase} part is empty; check eval_args.split,"
                " benchmark_filename and valid_ratio."
            )
    return parts


def _cut(dataset: Any, feat: Any, ratio: float, seed: int) -> dict[str, Any]:
    """Cut a random share of the rows off, the same for the same seed."""
    order = torch.randperm(len(feat), generator=torch.Generator().manual_seed(int(seed)))
    size = round(ratio * len(feat))
    if not ratio:
        return {"train": dataset.copy(feat)}
    kept, cut = order[size:].sort().values, order[:size].sort().values
    return {"train": dataset.copy(feat[kept]), "valid": dataset.copy(feat[cut])}


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
