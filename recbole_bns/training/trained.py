"""What a trained model is for: recommendations, and embeddings, under the data set's own ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.model.abstract_recommender import GeneralRecommender
from torch import Tensor

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.mends import quiet
from recbole_bns.adapters.models import make_model, scoring_mode
from recbole_bns.adapters.scorers import all_scores, evaluated_vectors
from recbole_bns.adapters.split import everything, open_data, open_whole, pairs_of
from recbole_bns.adapters.tested import evaluated_model
from recbole_bns.common.errors import UsageError, nearest, refusals
from recbole_bns.datasets.check import check_files
from recbole_bns.runs import checkpoint
from recbole_bns.runs.folder import SETTINGS, folder_of, weights_in
from recbole_bns.runs.records import RunConfig
from recbole_bns.sampling import Catalogue
from recbole_bns.settings.declared import ALL_PARTS, EXCLUDED


@dataclass
class Trained:
    """A model with its weights and the data set that it was trained on."""

    config: RunConfig
    model: Any
    parts: dict[str, Any]
    """By phase; of a model of all interactions the training part is all of them."""
    file: Path | None = None
    """The weights."""
    of_all: bool = False
    """Whether it was trained on all interactions (``train_on: all``), and so never tested."""

    @property
    def users(self) -> list[str]:
        """Ids of users by number; the first is padding."""
        train = self.parts["train"]
        return [str(token) for token in train.field2id_token[train.uid_field]]

    @property
    def items(self) -> list[str]:
        """Ids of items by number; the first is padding."""
        train = self.parts["train"]
        return [str(token) for token in train.field2id_token[train.iid_field]]


def load(
    path: str | Path, model_class: type | None = None, data_path: str | Path | None = None
) -> Trained:
    """The model of a run.

    Args:
        path: the run's folder, or a checkpoint in it; without one named, the weights of
            ``train_on: all`` where there are some, else those that were tested.
        model_class: of a model that is not RecBole's.
        data_path: the folder of data sets, where it is no longer the one of the training.

    Raises:
        UsageError: there is no run, its data is gone, or the checkpoint is damaged.
    """
    path = Path(path)
    folder = folder_of(path, "--checkpoint")
    file = path if path.is_file() else weights_in(folder)
    if file is None:
        raise UsageError(f"--checkpoint: there is no checkpoint in '{folder}'; the run has none.")
    moved = {} if data_path is None else {"data_path": str(data_path)}
    config = BNSConfig(model_class, None, [str(folder / SETTINGS)], moved)
    check_files(config, keep=True)
    state = checkpoint.load(file, config["device"])
    of_all = state.get("train_on") == ALL_PARTS
    parts = (open_whole if of_all else open_data)(config).parts
    with quiet(), refusals(f"model {config['model']}"):
        model = make_model(config, parts["train"])
    checkpoint.check(state, file, config, "name the run that it belongs to")
    checkpoint.check_data(state, file, checkpoint.fingerprint(parts["train"]), "train anew")
    checkpoint.restore(model, state, file)
    scored_by = evaluated_model(config, model, state.get("sampler")).eval()
    return Trained(config, scored_by, parts, file, of_all)


def recommend(
    trained: Trained, users: Sequence[str] | None = None, k: int = 20, exclude: str = "all"
) -> pd.DataFrame:
    """The k best items of each user.

    Args:
        trained: of :func:`load`.
        users: ids, each of which counts once; all users of the data set where none are named.
        k: length of a list; shorter where a user has fewer items left.
        exclude: items that are not recommended: all that the user has touched, those of the
            training part, or none.

    Returns:
        columns user, item (as the data set calls them), ``rank`` from 1, ``score``.

    Raises:
        UsageError: an unknown user or ``exclude``, or a model that scores by more than ids.
    """
    if not isinstance(trained.model, GeneralRecommender):
        raise UsageError(
            f"model: {trained.config['model']} scores by an item sequence or features too, which "
            "predict does not serve; allowed are models that score by user and item, such as BPR, "
            "LightGCN, NeuMF."
        )
    train = trained.parts["train"]
    rows = _numbers(trained.users, users)
    seen = _seen(trained, exclude)
    names, tables = np.array(trained.items), []
    with torch.no_grad(), scoring_mode(trained.model):
        device = trained.config["device"]
        for numbers, found in all_scores(trained.model, train, rows, device):
            scores = found.cpu()
            scores[:, 0] = float("-inf")
            if seen is not None:
                scores = scores.masked_fill(seen.positive_mask(numbers), float("-inf"))
            best = scores.topk(min(k, train.item_num - 1))
            tables.append(_table(numbers, best.indices, best.values, names, trained.users))
    table = pd.concat(tables, ignore_index=True)
    return table.rename(columns={"user": train.uid_field, "item": train.iid_field})


def _table(
    users: Tensor, items: Tensor, scores: Tensor, names: Any, tokens: Sequence[str]
) -> pd.DataFrame:
    kept = scores > float("-inf")
    row, rank = kept.nonzero(as_tuple=True)
    return pd.DataFrame(
        {
            "user": [tokens[user] for user in users[row].tolist()],
            "item": names[items[kept].numpy()],
            "rank": rank.numpy() + 1,
            "score": scores[kept].numpy(),
        }
    )


def _seen(trained: Trained, exclude: str) -> Catalogue | None:
    if exclude not in EXCLUDED:
        raise UsageError(f"--exclude: got '{exclude}', allowed: {', '.join(EXCLUDED)}.")
    if exclude == "none":
        return None
    train = trained.parts["train"]
    parts = everything(trained.parts) if exclude == "all" else [train]
    users, items = pairs_of(parts)
    return Catalogue(users, items, train.user_num, train.item_num)


def _numbers(tokens: Sequence[str], wanted: Sequence[str] | None) -> Tensor:
    if wanted is None:
        return torch.arange(1, len(tokens))
    numbers = {token: number for number, token in enumerate(tokens) if number}
    for token in wanted:
        if token not in numbers:
            raise UsageError(
                f"--users: '{token}' is no user of the data set{nearest(token, numbers)}; it has "
                f"{len(numbers)} users, such as {', '.join(list(numbers)[:3])}."
            )
    return torch.tensor([numbers[token] for token in dict.fromkeys(wanted)])


def embeddings(trained: Trained) -> dict[str, tuple[list[str], np.ndarray]]:
    """Vectors of users and items (without padding), whose dot products are the scores.

    LightGCN's are those after propagation.

    Returns:
        ``users`` and ``items``: ids and a float32 array (N, D).

    Raises:
        UsageError: the model has no such vectors.
    """
    with torch.no_grad(), scoring_mode(trained.model):
        vectors = evaluated_vectors(trained.model)
    if vectors is None:
        raise UsageError(
            f"model: {trained.config['model']} has no vectors whose dot products are its scores; "
            "allowed are BPR, LightGCN, SpectralCF and models registered with "
            "recbole_bns.factors; predict works for every model that scores by user and item."
        )
    arrays = [rows.detach().cpu().float().numpy()[1:] for rows in vectors]
    return {"users": (trained.users[1:], arrays[0]), "items": (trained.items[1:], arrays[1])}
