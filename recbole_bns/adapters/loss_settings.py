"""The loss over many negatives in any ``Config``: its name, parameters, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recbole.model.abstract_recommender import GeneralRecommender

from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import as_mapping, check_schedules, parse
from recbole_bns.common.threads import AUTO
from recbole_bns.losses import Loss, PosteriorParams, get
from recbole_bns.mixers import get as mixer_class
from recbole_bns.runs.records import LossFacts, RunConfig
from recbole_bns.sampling import NegativeSampler, SharedList
from recbole_bns.sampling import available as samplers
from recbole_bns.sampling import get as sampler_class
from recbole_bns.sampling.capabilities import OneList, of_type, serves_any_loss
from recbole_bns.settings.declared import NO_MIXER, NO_SAMPLER, OWN_LOSS, check_value, declared

from .mixer_settings import check_mixer, chosen_mixer, mixer_name
from .sampler_settings import is_sampled, mapping_of, parsed_settings
from .vectors import has_pair_scores, has_queries


@dataclass(frozen=True)
class LossChoice:
    """What the settings say of the loss."""

    name: str
    params: Any
    """An instance of the loss's ``Params``."""
    similarity: str
    """``dot`` or ``cosine``, in training."""
    score_similarity: str
    """The same, in evaluation, predict and export."""
    log_q: str
    mask: bool
    """Leave a user's training items out of a shared list."""
    weight: PosteriorParams | None
    """Of BNS's posterior, by which terms are weighed; None: they are not."""
    reg_weight: float


WORDS = (
    "loss_similarity",
    "score_similarity",
    "loss_log_q",
    "loss_mask",
    "loss_weight",
    "neg_shared",
)
"""Settings of a loss that are one of a few words, or yes or no."""


def loss_name(config: RunConfig) -> str:
    """The name of the loss in any ``Config``; where nothing is said a mixer's, else the model's."""
    name = config["loss"]
    if name is not None:
        return str(name).lower()
    mixer = mixer_name(config)
    return OWN_LOSS if mixer == NO_MIXER else mixer_class(mixer).loss


def chosen_loss(config: RunConfig) -> LossChoice | None:
    """The loss over many negatives; None where the model's own is trained.

    Raises:
        UsageError: unknown loss or parameter, wrong type, out of range, or a form that the loss
            does not have.
    """
    name = loss_name(config)
    if name == OWN_LOSS:
        return None
    loss = get(name)
    for key in WORDS:
        if config[key] is not None:  # RecBole's own Config lets everything pass
            check_value(declared()[key], config[key])
    vectors = has_queries(config.model_class)
    similarity = config["loss_similarity"] or (loss.similarity if vectors else "dot")
    log_q = config["loss_log_q"] or "none"
    if log_q not in loss.log_q:
        raise UsageError(
            f"loss_log_q: got '{log_q}', which the loss '{name}' has no form for; allowed: "
            f"{', '.join(loss.log_q)}."
        )
    posterior = config["loss_weight"] == "posterior"
    return LossChoice(
        name=name,
        params=parse(loss.Params, mapping_of(config, "loss_args"), "loss_args", f"loss {name}"),
        similarity=similarity,
        score_similarity=config["score_similarity"] or similarity,
        log_q=log_q,
        mask=config["loss_mask"] is not False,
        weight=posterior_params(config) if posterior else None,
        reg_weight=float(config["reg_weight"] or 0.0),
    )


def decided_args(choice: LossChoice, item_num: int) -> dict[str, float]:
    """The values, by parameter of the loss, that words such as ``auto`` stand for here.

    Args:
        choice: the loss.
        item_num: items of the catalogue, padding included.
    """
    return dict(get(choice.name)(choice.params).decided(item_num))


def loss_facts(config: RunConfig, item_num: int) -> LossFacts | None:
    """What a run's ``result.json`` says of the loss; None where the model's own is trained.

    Args:
        config: of the run.
        item_num: items of the catalogue, padding included.

    Raises:
        UsageError: see :func:`chosen_loss`.
    """
    choice = chosen_loss(config)
    if choice is None:
        return None
    facts = LossFacts(
        loss=choice.name,
        loss_args=as_mapping(choice.params),
        loss_similarity=choice.similarity,
        score_similarity=choice.score_similarity,
    )
    if decided := decided_args(choice, item_num):
        facts["loss_decided"] = decided
    mixer = chosen_mixer(config)
    if mixer is not None:
        facts |= {"mixer": mixer.name, "mixer_args": as_mapping(mixer.params)}
    return facts


def is_shared(config: RunConfig) -> bool:
    """Whether a batch has one list of negatives for all of its positives.

    Raises:
        UsageError: it is asked for of a sampler that draws for each positive.
    """
    cls: Any = sampler_class(str(config["neg_sampler"]).lower())
    lists = issubclass(cls, SharedList)
    if config["neg_shared"] and not lists:
        names = [name for name, each in samplers().items() if issubclass(each, SharedList)]
        raise UsageError(
            f"neg_shared: got True, but neg_sampler '{cls.name}' draws for each positive; allowed "
            f"with {', '.join(names)}."
        )
    return lists and (cls.only_shared or bool(config["neg_shared"]))


def posterior_params(config: RunConfig) -> PosteriorParams:
    """The parameters of ``loss_weight: posterior``.

    Raises:
        UsageError: an unknown one, wrong type, or out of range.
    """
    return parse(PosteriorParams, mapping_of(config, "loss_weight_args"), "loss_weight_args")


NEEDS_LOSS = ("loss_args", "loss_similarity", "score_similarity", "loss_log_q", "loss_mask")
"""Settings that act only with a loss over many negatives, beside those of its weights and lists."""

OF_A_LOSS = (*NEEDS_LOSS, "loss_weight", "loss_weight_args", "neg_shared")
"""All settings that act only with a loss over many negatives."""


def check_loss(config: RunConfig, given: Mapping[str, Any]) -> None:
    """Refuse a loss that the model or the sampler cannot be trained with, before the data are read.

    Args:
        config: of the run.
        given: settings that the user wrote and that differ from what holds without.

    Raises:
        UsageError: names what cannot be, and what to write.
    """
    check_mixer(config, given)
    choice = chosen_loss(config)
    if choice is None:
        _check_own_loss(config, given)
        return
    if not is_sampled(config):
        raise UsageError(
            f"loss: got '{choice.name}', but neg_sampler '{NO_SAMPLER}' is RecBole's own sampling, "
            "which gives the model's own loss its negatives; name a sampler with neg_sampler."
        )
    _check_model(config.model_class, choice)
    _check_decided(choice)
    if is_shared(config):
        _check_batch(config)
    elif choice.log_q != "none":
        cls: Any = sampler_class(str(config["neg_sampler"]).lower())
        if cls.log_prob is NegativeSampler.log_prob:
            raise law_unknown(cls.name)
    if choice.weight is None and given.get("loss_weight_args"):
        raise UsageError("loss_weight_args: it needs loss_weight: posterior, whose they are.")
    if choice.weight is not None:
        check_schedules(choice.weight, config["epochs"], "loss_weight_args")


def law_unknown(sampler: str) -> UsageError:
    """For ``loss_log_q`` with a sampler that does not know how likely its draws are."""
    known = [n for n, c in samplers().items() if c.log_prob is not NegativeSampler.log_prob]
    return UsageError(
        f"loss_log_q: neg_sampler '{sampler}' does not know how likely its draws are; allowed with "
        f"it is none ({', '.join(known)} know)."
    )


def check_loss_type(config: RunConfig, given: Mapping[str, Any]) -> None:
    """Refuse ``loss_type`` beside ``loss``, in a ``Config`` of ours, which sets it by itself.

    Raises:
        UsageError: both are given, and they contradict one another.
    """
    name = loss_name(config)
    if name != OWN_LOSS and "loss_type" in given:
        raise UsageError(
            f"loss_type: got '{given['loss_type']}', but loss: {name} takes its place; leave one "
            "of them out."
        )


def _check_model(model: type[Any], choice: LossChoice) -> None:
    """Refuse a model that the loss cannot train."""
    if not (has_queries(model) or has_pair_scores(model)):
        raise UsageError(
            f"loss: got '{choice.name}', but {model.__name__} has neither vectors nor pair scores "
            "that are known here, or a loss with terms of its own; allowed is loss: model, or a "
            "model such as BPR, LightGCN, NeuMF, SASRec, GRU4Rec (your own: "
            "recbole_bns.query_vectors)."
        )
    if not has_queries(model):
        for key, value in (
            ("loss_similarity", choice.similarity),
            ("score_similarity", choice.score_similarity),
        ):
            if value == "cosine":
                raise UsageError(
                    f"{key}: got 'cosine', but {model.__name__} has no vectors of its own to "
                    "compare; allowed is dot, its scores as they are."
                )
    state = get(choice.name).begin_epoch is not Loss.begin_epoch
    if state and not issubclass(model, GeneralRecommender):
        raise UsageError(
            f"loss: got '{choice.name}', which looks at scores between batches, but "
            f"{model.__name__} scores by the rows of a batch; allowed with it are the others "
            "(recbole-bns losses)."
        )


def _check_decided(choice: LossChoice) -> None:
    """Refuse a word that stands for a value of scores that these are not."""
    loss = get(choice.name)
    if choice.similarity == loss.similarity:
        return
    for name in decided_args(choice, item_num=2):
        raise UsageError(
            f"loss_args.{name}: got '{getattr(choice.params, name)}', which is laid for scores of "
            f"the similarity '{loss.similarity}', but they are of '{choice.similarity}' here "
            f"(loss_similarity); write a number (without {name}: "
            f"{getattr(loss.Params(), name):g})."
        )


def _check_batch(config: RunConfig) -> None:
    """Refuse batches that are too small for their lists, of which nothing would be learned."""
    cls: Any = sampler_class(str(config["neg_sampler"]).lower())
    rows = config["train_batch_size"]
    if rows != AUTO and rows < cls.least_rows:
        raise UsageError(
            f"train_batch_size: got {rows}, but neg_sampler '{cls.name}' makes a batch's list of "
            f"its own rows, and of so few there is no negative; allowed is {cls.least_rows} or "
            "more."
        )


def idle_beside_loss(config: RunConfig) -> dict[str, str]:
    """Settings that a loss over many negatives, or the form of these, switches off.

    Returns:
        ``loss_mask`` -> why it has no effect; empty where the model's own loss is trained.
    """
    name = loss_name(config)
    if name == OWN_LOSS:
        return {}
    idle = {"require_pow": f"the L2 term beside loss: {name} is always one of squares"}
    cls: Any = sampler_class(str(config["neg_sampler"]).lower())
    if not is_shared(config):
        idle["loss_mask"] = (
            f"neg_sampler '{cls.name}' draws negatives of each positive's own here, of which none "
            "is a training item of its user"
        )
    elif cls.only_shared:
        idle["neg_sample_num"] = (
            f"a list of neg_sampler '{cls.name}' is as long as the batch or the catalogue is"
        )
    return idle


def _check_own_loss(config: RunConfig, given: Mapping[str, Any]) -> None:
    posterior = given.get("loss_weight", "none") != "none" or given.get("loss_weight_args")
    idle = [key for key in NEEDS_LOSS if given.get(key) not in (None, {})]
    idle += ["loss_weight"] if posterior else []
    idle += ["neg_shared"] if given.get("neg_shared") else []
    if idle:
        raise UsageError(
            f"{idle[0]}: got {given.get(idle[0])!r}, but it acts only with a loss over many "
            "negatives; name one with loss (recbole-bns losses lists them), or leave it out."
        )
    if not is_sampled(config):
        return
    name, params, _ = parsed_settings(config)
    need = of_type(sampler_class(name).requirements_of(params), OneList)
    if need is not None:
        raise need.refusal(name, [n for n, c in samplers().items() if serves_any_loss(c)])
