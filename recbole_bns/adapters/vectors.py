"""What a model of RecBole compares: vectors, or pairs of ids.

Three registrations, by the model's class. :func:`factors`: vectors of all users and items.
:func:`query_vectors`: of the rows of a batch (a sequence's vector) and of all items, with their
graph, which a loss over many negatives trains. :func:`pair_scores`: scores of single pairs, for
models without vectors. Register your own where a model of yours has one of these.
"""

from __future__ import annotations

import inspect
from functools import cache, singledispatch
from typing import Any

import torch
from recbole.data.interaction import Interaction
from recbole.model import context_aware_recommender as context
from recbole.model import sequential_recommender as sequential
from recbole.model.general_recommender import BPR, LightGCN, NeuMF, SpectralCF
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize


@singledispatch
def factors(model: nn.Module) -> tuple[Tensor, Tensor] | None:
    """User vectors (U, D) and item vectors (I, D) whose dot products are the model's scores.

    None for a model without. Register your own dot-product model::

        @recbole_bns.factors.register
        def _(model: MyModel):
            return model.user_embedding.weight, model.item_embedding.weight
    """
    return None


@factors.register
def _(model: BPR) -> tuple[Tensor, Tensor]:
    return model.user_embedding.weight, model.item_embedding.weight


@factors.register(LightGCN)
@factors.register(SpectralCF)
def _(model: nn.Module) -> tuple[Tensor, Tensor]:
    users, items = model()
    return users, items


@singledispatch
def query_vectors(model: nn.Module, rows: Interaction) -> tuple[Tensor, Tensor] | None:
    """Vectors (B, D) of the rows of a batch, and of all items (I, D), with their graph.

    Their dot products are the model's scores. Where :func:`factors` is registered it follows from
    that; None for a model without. Register your own sequential model::

        @recbole_bns.query_vectors.register
        def _(model: MyModel, rows):
            return model(rows["item_id_list"], rows["item_length"]), model.item_embedding.weight
    """
    found = factors(model)
    return None if found is None else (embedding(rows[model.USER_ID], found[0]), found[1])


SEQUENTIAL = (
    sequential.GRU4Rec,
    sequential.GRU4RecF,
    sequential.SASRec,
    sequential.SASRecF,
    sequential.FDSA,
    sequential.NARM,
    sequential.STAMP,
    sequential.SRGNN,
    sequential.LightSANs,
    sequential.HRM,
    sequential.SINE,
)
"""Models of RecBole whose scores are products of ``forward`` and the table of items, and whose
loss is that of the scores alone."""

_COLUMNS = {
    "item_seq": "ITEM_SEQ",
    "seq_item": "ITEM_SEQ",
    "item_seq_len": "ITEM_SEQ_LEN",
    "seq_item_len": "ITEM_SEQ_LEN",
    "user": "USER_ID",
}
"""Argument of ``forward`` -> the model's attribute that names its column."""


@cache
def _arguments(model_class: Any) -> tuple[str, ...]:
    """Names of the arguments of ``forward``."""
    return tuple(inspect.signature(model_class.forward).parameters)[1:]


def _of_sequence(model: Any, rows: Interaction) -> Tensor:
    model_class: Any = type(model)
    columns = [getattr(model, _COLUMNS[name]) for name in _arguments(model_class)]
    vectors: Tensor = model.forward(*(rows[column] for column in columns))
    return vectors


def _by_forward(model: Any, rows: Interaction) -> tuple[Tensor, Tensor]:
    return _of_sequence(model, rows), model.item_embedding.weight


for each in SEQUENTIAL:
    query_vectors.register(each, _by_forward)


@query_vectors.register
def _(model: sequential.NPE, rows: Interaction) -> tuple[Tensor, Tensor]:
    return _of_sequence(model, rows), model.relu(model.item_embedding.weight)


@query_vectors.register
def _(model: sequential.FPMC, rows: Interaction) -> tuple[Tensor, Tensor]:
    """The user's part and the last item's, side by side."""
    last = rows[model.ITEM_SEQ].gather(1, rows[model.ITEM_SEQ_LEN].unsqueeze(1) - 1).squeeze(1)
    vectors = torch.cat((model.UI_emb(rows[model.USER_ID]), model.LI_emb(last)), 1)
    return vectors, torch.cat((model.IU_emb.weight, model.IL_emb.weight), 1)


@singledispatch
def pair_scores(model: nn.Module, rows: Interaction) -> Tensor | None:
    """Scores (N,) of rows, each a user and an item with their features, with their graph.

    They are logits, as a loss wants them, and not probabilities. None for a model without.
    """
    return None


@pair_scores.register
def _(model: NeuMF, rows: Interaction) -> Tensor:
    scores: Tensor = model.forward(rows[model.USER_ID], rows[model.ITEM_ID])
    return scores


CONTEXT = (
    context.AutoInt,
    context.DeepFM,
    context.DSSM,
    context.FFM,
    context.FiGNN,
    context.FM,
    context.FwFM,
    context.LR,
    context.NFM,
    context.WideDeep,
)
"""Models of RecBole whose loss is binary cross-entropy of what ``forward`` gives, and no more."""


def _by_rows(model: Any, rows: Interaction) -> Tensor:
    scores: Tensor = model.forward(rows)
    return scores.reshape(-1)


for each in CONTEXT:
    pair_scores.register(each, _by_rows)


def has_vectors(model_class: type[nn.Module]) -> bool:
    """Whether models of this class have vectors of all users and items."""
    return factors.dispatch(model_class) is not factors.dispatch(object)


def has_queries(model_class: type[nn.Module]) -> bool:
    """Whether models of this class have vectors of the rows of a batch."""
    own = query_vectors.dispatch(model_class) is not query_vectors.dispatch(object)
    return own or has_vectors(model_class)


def has_pair_scores(model_class: type[nn.Module]) -> bool:
    """Whether single pairs of models of this class can be scored with their graph."""
    return pair_scores.dispatch(model_class) is not pair_scores.dispatch(object)


@singledispatch
def layer_zero(model: nn.Module) -> tuple[Tensor, Tensor] | None:
    """The trained tables of users (U, D) and items (I, D), before any propagation.

    What an L2 term of a loss is on. None where a model has no such term.
    """
    return None


@layer_zero.register(BPR)
@layer_zero.register(LightGCN)
@layer_zero.register(SpectralCF)
def _(model: Any) -> tuple[Tensor, Tensor]:
    return model.user_embedding.weight, model.item_embedding.weight


def alike(vectors: Tensor, similarity: str) -> Tensor:
    """Vectors (..., D) whose dot products are what ``similarity`` names: ``dot`` or ``cosine``."""
    return normalize(vectors, dim=-1) if similarity == "cosine" else vectors


def forget_evaluation(model: nn.Module) -> None:
    """Drop the vectors that a model of RecBole keeps from one evaluation batch to the next.

    Its own loss does so; who takes that one's place, or changes what is compared, has to.
    """
    for name in getattr(model, "other_parameter_name", []):
        if "restore" in name:
            setattr(model, name, None)
