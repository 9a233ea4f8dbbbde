"""What a prior of BNS may need beside the interactions: columns, held-out pairs, model values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from recbole.utils import get_model
from torch import Tensor

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.dataloader import on_device
from recbole_bns.adapters.mends import quiet
from recbole_bns.adapters.models import scoring_mode
from recbole_bns.adapters.scorers import Columns, best_scorer
from recbole_bns.adapters.split import pairs_of
from recbole_bns.common.errors import UsageError, nearest
from recbole_bns.sampling import Catalogue
from recbole_bns.sampling.priors.build import MODEL
from recbole_bns.sampling.priors.pairs import TABLE_LIMIT
from recbole_bns.settings.declared import NO_SAMPLER

WHERE = "neg_sampler_args.prior"

MODELS = ("EASE", "ItemKNN", "SLIMElastic", "ADMMSLIM")
"""RecBole's models that are made by their constructor. (Pop counts an item once a batch.)"""

STEP = 1 << 22
"""Scores at once."""

PAIRS = 1_000_000
"""Pairs that a checkpoint's scores are made probabilities by."""


def prior_values(prior: Any, config: Any, train: Any, catalogue: Catalogue, held: Tensor) -> Tensor:
    """Values of all pairs by a RecBole model.

    Args:
        prior: ``{model: NAME, setting: value}``, or the path of a checkpoint of a run.
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
    size = 2 * train.user_num * train.item_num
    if size > TABLE_LIMIT:
        raise UsageError(
            f"{WHERE}: a model's values of {train.user_num} x {train.item_num} pairs take "
            f"{size >> 20} MiB, allowed are {TABLE_LIMIT >> 20}; use prior: ease, which keeps none."
        )
    if isinstance(prior, Mapping):
        return _trained(dict(prior), config, train)
    return _from_checkpoint(prior, train, catalogue, held)


def _trained(settings: dict[str, Any], config: Any, train: Any) -> Tensor:
    name = settings.pop("model", None)
    if name not in MODELS:
        close = nearest(str(name), MODELS)
        raise UsageError(
            f"{WHERE}.model: got {name!r}{close}; allowed are models that are made without epochs: "
            f"{', '.join(MODELS)}; of others the path of a run's checkpoint."
        )
    with quiet():
        own = BNSConfig(
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
        unknown = [key for key in settings if key not in own.internal_config_dict]
        if unknown:
            raise UsageError(
                f"{WHERE}.{unknown[0]}: no setting of {name}"
                f"{nearest(unknown[0], own.internal_config_dict)}; see RecBole's properties/model."
            )
        model = get_model(name)(own, train).to(config["device"])
    return _values(model.eval(), config, train)


def _values(model: Any, config: Any, train: Any) -> Tensor:
    """All scores of a model ``(U, I)``; the padding user's are 0."""
    columns = Columns(
        train.uid_field,
        train.iid_field,
        train.item_num,
        on_device(train.item_feat, config["device"]),
    )
    table = torch.zeros((train.user_num, train.item_num), dtype=torch.half)
    with torch.no_grad(), scoring_mode(model):
        scorer = best_scorer(model, columns)(None)
        for users in torch.arange(1, train.user_num).split(max(STEP // train.item_num, 1)):
            scores = scorer.catalogue(users.to(config["device"])).float()
            table[users] = scores.nan_to_num(0.0).cpu().half()
    return table


def _from_checkpoint(path: Any, train: Any, catalogue: Catalogue, held: Tensor) -> Tensor:
    """Probabilities of a trained model, whose scores a logistic curve turns into them.

    The curve tells the model's own training interactions from other pairs.
    """
    from .trained import load

    try:
        trained = load(path)
    except UsageError as error:
        raise UsageError(f"{WHERE}: {error}") from error
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
            f"{WHERE}: the model of '{path}' was trained on {seen} of the {held.shape[1]} pairs "
            "that this run holds out for validation and test; allowed is a model that knows none "
            "of them: train it with the same split (data set, eval_args, valid_ratio and seed)."
        )
    scores = _values(trained.model, trained.config, theirs)[users][:, items]
    return _logistic(scores, catalogue.cpu())


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


def side_data(
    need: str, params: Any, config: Any, train: Any, catalogue: Catalogue, held_out: list[Any]
) -> Tensor:
    """One of the data that a sampler's ``side_data`` names.

    Args:
        need: ``held_out``, ``prior:model`` or ``user:<column>``.
        params: of the sampler.
        config: of the run.
        train: the training part.
        catalogue: its interactions.
        held_out: validation and test parts.

    Raises:
        UsageError: there is no such column, or no such model.
    """
    if need == "held_out":
        return pairs_of(held_out)
    if need == MODEL:
        return prior_values(params.prior, config, train, catalogue, pairs_of(held_out))
    column = need.removeprefix("user:")
    known = list(train.user_feat.interaction) if train.user_feat is not None else []
    if column not in known:
        found = ", ".join(name for name in known if name != train.uid_field) or "none"
        raise UsageError(
            f"neg_sampler_args.prior: '{column}' is no column of the data set's .user file (loaded "
            f"columns: {found}); allowed: popularity, uniform, ease, itemknn, oracle, a .npy, "
            ".npz or .pt file, {model: NAME}, or such a column, loaded with load_col: "
            f"{{user: [{train.uid_field}, {column}]}}."
        )
    return train.user_feat[column].long()
