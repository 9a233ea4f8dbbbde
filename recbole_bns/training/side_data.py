"""What a sampler may need beside the interactions: columns, held-out pairs, a model's values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.utils import FeatureType, get_model
from torch import Tensor

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.dislikes import known_pairs
from recbole_bns.adapters.mends import quiet
from recbole_bns.adapters.models import scoring_mode
from recbole_bns.adapters.scorers import all_scores
from recbole_bns.adapters.split import pairs_of
from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.runs.folder import BEST, LAST, weights_in
from recbole_bns.runs.records import RunConfig
from recbole_bns.sampling import Catalogue
from recbole_bns.sampling.capabilities import (
    HeldOutPairs,
    KnownPairs,
    ModelValues,
    Requirement,
    SideData,
    UserColumn,
)
from recbole_bns.sampling.priors.pairs import TABLE_LIMIT
from recbole_bns.settings.declared import NO_SAMPLER

MODELS = ("EASE", "ItemKNN", "SLIMElastic", "ADMMSLIM")
"""RecBole's models that are made by their constructor. (Pop counts an item once a batch.)"""


PAIRS = 1_000_000
"""Pairs that a checkpoint's scores are made probabilities by."""


def model_values(
    need: ModelValues, config: RunConfig, train: Any, catalogue: Catalogue, held: Tensor
) -> Tensor:
    """Values of all pairs by a RecBole model.

    Args:
        need: names the model: ``{model: NAME, setting: value}``, or the path of a checkpoint of a
            run.
        config: of this run.
        train: the training part.
        catalogue: its interactions.
        held: ``(2, N)`` pairs of the other parts, which the model must not know.

    Returns:
        ``(U, I)`` in half precision, on the CPU.

    Raises:
        UsageError: no such model, one that must be trained epoch by epoch, a checkpoint that has
            seen held-out pairs, or too many pairs for a table.
    """
    if 2 * train.user_num * train.item_num > TABLE_LIMIT:
        raise need.too_many(train.user_num, train.item_num, TABLE_LIMIT)
    if isinstance(need.model, Mapping):
        return _trained(need, config, train)
    return _from_checkpoint(need, train, catalogue, held)


def _trained(need: ModelValues, config: RunConfig, train: Any) -> Tensor:
    settings = dict(need.model)
    name = settings.pop("model", None)
    if name not in MODELS:
        close = nearest(str(name), MODELS)
        raise UsageError(
            f"{need.setting}.model: got {name!r}{close}; allowed are models that are made without "
            f"epochs: {', '.join(MODELS)}; of others the path of a run's checkpoint."
        )
    with quiet():
        theirs = BNSConfig(
            name,
            config["dataset"],
            None,
            {
                "neg_sampler": NO_SAMPLER,
                "allow_unknown": True,  # refused below, with the parameter's name
                "USER_ID_FIELD": train.uid_field,
                "ITEM_ID_FIELD": train.iid_field,
                **settings,
            },
        )
        unknown = [key for key in settings if key not in theirs.internal_config_dict]
        if unknown:
            raise UsageError(
                f"{need.setting}.{unknown[0]}: no setting of {name}"
                f"{nearest(unknown[0], theirs.internal_config_dict)}; see RecBole's "
                "properties/model."
            )
        model = get_model(name)(theirs, train).to(config["device"])
    return _values(model.eval(), config, train)


def _values(model: Any, config: RunConfig, train: Any) -> Tensor:
    """All scores of a model ``(U, I)``; the padding user's are 0."""
    table = torch.zeros((train.user_num, train.item_num), dtype=torch.half)
    with torch.no_grad(), scoring_mode(model):
        everyone = torch.arange(1, train.user_num)
        for users, scores in all_scores(model, train, everyone, config["device"]):
            table[users] = scores.nan_to_num(0.0).cpu().half()
    return table


def _from_checkpoint(need: ModelValues, train: Any, catalogue: Catalogue, held: Tensor) -> Tensor:
    """Probabilities of a trained model, whose scores a logistic curve turns into them.

    The curve tells the model's own training interactions from other pairs.
    """
    from .trained import load

    try:
        trained = load(_tested(Path(need.model)))
    except UsageError as error:
        raise UsageError(f"{need.setting}: {error}") from error
    theirs = trained.parts["train"]
    users = _places(trained.users, train.field2id_token[train.uid_field])
    items = _places(trained.items, train.field2id_token[train.iid_field])
    known = Catalogue(
        theirs.inter_feat[theirs.uid_field],
        theirs.inter_feat[theirs.iid_field],
        theirs.user_num,
        theirs.item_num,
    )
    seen = int(known.is_positive(users[held[0]], items[held[1]]).sum())
    if seen:
        raise UsageError(
            f"{need.setting}: the model of '{need.model}' was trained on {seen} of the "
            f"{held.shape[1]} pairs that this run holds out for validation and test; allowed is a "
            "model that knows none of them: train it with the same split (data set, eval_args, "
            "valid_ratio and seed)."
        )
    scores = _values(trained.model, trained.config, theirs)[users][:, items]
    return _logistic(scores, catalogue.cpu())


def _tested(path: Path) -> Path:
    """Of a run's folder the weights that were tested: those of all interactions know our test."""
    return (weights_in(path, (BEST, LAST)) or path) if path.is_dir() else path


def _places(theirs: list[str], ours: Any) -> Tensor:
    """Where each of our ids is among theirs; 0 where they do not have it."""
    place = {token: number for number, token in enumerate(theirs)}
    return torch.tensor([0, *(place.get(str(token), 0) for token in ours[1:])])


def _logistic(scores: Tensor, catalogue: Catalogue) -> Tensor:
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(0)
    users = torch.from_numpy(draw.integers(1, catalogue.user_num, PAIRS))
    items = torch.from_numpy(draw.integers(1, catalogue.item_num, PAIRS))
    labels = catalogue.is_positive(users, items).numpy()
    values = scores[users, items].double().numpy()
    if labels.all() or not labels.any():
        return torch.full_like(scores, float(labels.mean()))
    model = LogisticRegression(C=1e9).fit(values[:, None], labels)
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return torch.sigmoid(scores.float() * slope + offset).half()


class Sides:
    """What the sampler, mining and weights of a run need beside the interactions.

    The file of known dislikes is read, and what there is to say of it logged, for the first that
    asks; whoever comes later has the same pairs.

    Args:
        config: of the run.
        train: the training part.
        catalogue: its interactions.
        held_out: validation and test parts.
    """

    def __init__(
        self, config: RunConfig, train: Any, catalogue: Catalogue, held_out: list[Any]
    ) -> None:
        self.config, self.train, self.catalogue = config, train, catalogue
        self.held_out = held_out
        self._known: dict[str, Tensor | None] = {}

    def of(self, needs: Iterable[Requirement]) -> dict[str, Tensor]:
        """By name, what there is of those requirements that are of data.

        Raises:
            UsageError: the data set or the host does not have it, and it is not optional.
        """
        found = {need.name: self._one(need) for need in needs if isinstance(need, SideData)}
        return {name: value for name, value in found.items() if value is not None}

    def _one(self, need: SideData) -> Tensor | None:
        match need:
            case KnownPairs():
                if need.name not in self._known:
                    self._known[need.name] = self._read_known(need)
                return self._known[need.name]
            case HeldOutPairs():
                return pairs_of(self.held_out)
            case ModelValues():
                held = pairs_of(self.held_out)
                return model_values(need, self.config, self.train, self.catalogue, held)
            case UserColumn():
                return user_groups(need, self.train)
        raise UsageError(f"{need.setting}: '{need.name}' is nothing that RecBole's data sets have.")

    def _read_known(self, need: KnownPairs) -> Tensor | None:
        """The known dislikes; what is left out of them, and what is doubtful, is logged."""
        held = pairs_of(self.held_out) if self.held_out else torch.zeros(2, 0, dtype=torch.long)
        pairs, notes = known_pairs(need, self.config, self.train, held, self.catalogue)
        for note in notes:
            getLogger().warning(note)
        return pairs


def user_groups(need: UserColumn, train: Any) -> Tensor:
    """The group of each user ``(U,)``; 0 is the padding's.

    Users without a value, or without a line in the file, are a group of their own, the last.

    Raises:
        UsageError: there is no such column, or its values are no groups.
    """
    columns = list(train.user_feat.interaction) if train.user_feat is not None else []
    if need.column not in columns:
        raise need.missing([x for x in columns if x != train.uid_field], train.uid_field)
    kind = train.field2type[need.column]
    if kind != FeatureType.TOKEN:
        raise need.not_groups(kind.value)
    groups: Tensor = train.user_feat[need.column].long().clone()
    unknown = groups == 0
    unknown[0] = False  # the padding
    if bool(unknown.any()):
        groups[unknown] = groups.max() + 1
        getLogger().info(
            f"{need.setting}: {int(unknown.sum())} of {len(groups) - 1} users have no "
            f"'{need.column}'; they are a group of their own."
        )
    return groups
