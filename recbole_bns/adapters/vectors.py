"""What a model of RecBole compares: vectors, or pairs of ids.

Four registrations, by the model's class. :func:`factors`: vectors of all users and items.
:func:`query_vectors`: of the rows of a batch (a sequence's vector) and of all items, with their
graph, which a loss over many negatives trains. :func:`pair_scores`: scores of single pairs, for
models without vectors. :func:`layers`: the vectors that :func:`factors` are pooled of, layer by
layer, which a mixer mixes. Register your own where a model of yours has one of these.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache, singledispatch
from typing import Any, NamedTuple, TypeVar

import torch
from recbole.data.interaction import Interaction
from recbole.model.general_recommender import BPR, LightGCN, SpectralCF
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize

Vectors = tuple[Tensor, Tensor]
"""Of users or rows, and of all items."""
T = TypeVar("T")


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


def _by_forward(model: Any, rows: Interaction) -> Vectors:
    return _of_sequence(model, rows), model.item_embedding.weight


def _npe(model: Any, rows: Interaction) -> Vectors:
    return _of_sequence(model, rows), model.relu(model.item_embedding.weight)


def _fpmc(model: Any, rows: Interaction) -> Vectors:
    """The user's part and the last item's, side by side."""
    last = rows[model.ITEM_SEQ].gather(1, rows[model.ITEM_SEQ_LEN].unsqueeze(1) - 1).squeeze(1)
    vectors = torch.cat((model.UI_emb(rows[model.USER_ID]), model.LI_emb(last)), 1)
    return vectors, torch.cat((model.IU_emb.weight, model.IL_emb.weight), 1)


def _by_rows(model: Any, rows: Interaction) -> Tensor:
    scores: Tensor = model.forward(rows)
    return scores.reshape(-1)


def _neumf(model: Any, rows: Interaction) -> Tensor:
    scores: Tensor = model.forward(rows[model.USER_ID], rows[model.ITEM_ID])
    return scores


SEQUENTIAL: dict[str, Callable[[Any, Interaction], Vectors]] = {
    **dict.fromkeys(("GRU4Rec", "GRU4RecF", "SASRec", "SASRecF", "FDSA", "NARM"), _by_forward),
    **dict.fromkeys(("STAMP", "SRGNN", "LightSANs", "HRM", "SINE"), _by_forward),
    "NPE": _npe,
    "FPMC": _fpmc,
}
"""Models of RecBole whose scores are products of what ``forward`` gives and the table of items, and
whose loss is that of the scores alone. By name: importing them all takes a second, and SINE
switches autograd's search for anomalies on, which makes every training slow."""
PAIRS: dict[str, Callable[[Any, Interaction], Tensor]] = {
    "NeuMF": _neumf,
    **dict.fromkeys(("AutoInt", "DeepFM", "DSSM", "FFM", "FiGNN", "FM", "FwFM"), _by_rows),
    **dict.fromkeys(("LR", "NFM", "WideDeep"), _by_rows),
}
"""Models of RecBole whose loss is binary cross-entropy of what ``forward`` gives, and no more."""


def _of_recbole(model_class: type[nn.Module], known: Mapping[str, T]) -> T | None:
    """What is known of RecBole's model that a class is, or is made of; None: nothing."""
    for each in model_class.__mro__:
        if each.__module__.startswith("recbole.model.") and each.__name__ in known:
            return known[each.__name__]
    return None


@singledispatch
def query_vectors(model: Any, rows: Interaction) -> Vectors | None:
    """Vectors (B, D) of the rows of a batch, and of all items (I, D), with their graph.

    Their dot products are the model's scores. Where :func:`factors` is registered it follows from
    that; None for a model without. Register your own sequential model::

        @recbole_bns.query_vectors.register
        def _(model: MyModel, rows):
            return model(rows["item_id_list"], rows["item_length"]), model.item_embedding.weight
    """
    of_sequence = _of_recbole(type(model), SEQUENTIAL)
    if of_sequence is not None:
        return of_sequence(model, rows)
    found = factors(model)
    return None if found is None else (embedding(rows[model.USER_ID], found[0]), found[1])


@singledispatch
def pair_scores(model: Any, rows: Interaction) -> Tensor | None:
    """Scores (N,) of rows, each a user and an item with their features, with their graph.

    They are logits, as a loss wants them, and not probabilities. None for a model without.
    """
    by_rows = _of_recbole(type(model), PAIRS)
    return None if by_rows is None else by_rows(model, rows)


def has_vectors(model_class: type[nn.Module]) -> bool:
    """Whether models of this class have vectors of all users and items."""
    return factors.dispatch(model_class) is not factors.dispatch(object)


def has_queries(model_class: type[nn.Module]) -> bool:
    """Whether models of this class have vectors of the rows of a batch."""
    own = query_vectors.dispatch(model_class) is not query_vectors.dispatch(object)
    return own or has_vectors(model_class) or _of_recbole(model_class, SEQUENTIAL) is not None


def has_pair_scores(model_class: type[nn.Module]) -> bool:
    """Whether single pairs of models of this class can be scored with their graph."""
    own = pair_scores.dispatch(model_class) is not pair_scores.dispatch(object)
    return own or _of_recbole(model_class, PAIRS) is not None


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


class Layers(NamedTuple):
    """Vectors of all users and items in each of L layers, with their graph."""

    users: Sequence[Tensor]
    """``(U, D)`` each; layer 0 is the trained table, all are of one width."""
    items: Sequence[Tensor]
    """``(I, D)`` each."""
    pooling: str = "mean"
    """How they are put together: ``mean``, or ``concat``, side by side; of one layer it is one."""


@singledispatch
def layers(model: nn.Module) -> Layers | None:
    """The vectors whose pooling :func:`factors` gives, layer by layer; None for a model without.

    What a mixer makes negatives of. Register your own model that has :func:`factors`::

        @recbole_bns.layers.register
        def _(model: MyModel):
            users, items = model.propagated()                # lists of (U, D) and (I, D)
            return recbole_bns.Layers(users, items, "mean")
    """
    return None


@layers.register
def _(model: BPR) -> Layers:
    return Layers((model.user_embedding.weight,), (model.item_embedding.weight,))


@layers.register
def _(model: SpectralCF) -> Layers:
    users, items = model()
    return Layers(users.split(model.emb_dim, 1), items.split(model.emb_dim, 1), "concat")


def has_layers(model_class: type[nn.Module]) -> bool:
    """Whether models of this class have vectors by layer.

    LightGCN itself, as :mod:`.lightgcn` makes it; what a subclass does in ``forward`` is its own.
    """
    return model_class is LightGCN or layers.dispatch(model_class) is not layers.dispatch(object)


def layer_width(model: nn.Module) -> int:
    """D, the width of the layers of a model that has some."""
    tables = layer_zero(model)
    if tables is not None:
        return tables[0].shape[1]
    found = layers(model)
    assert found is not None
    return found.users[0].shape[1]


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
