"""The mixer in any ``Config``: its name, its parameters, and what it cannot be beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import parse
from recbole_bns.mixers import available, get
from recbole_bns.runs.records import RunConfig
from recbole_bns.sampling import SharedList
from recbole_bns.sampling import available as samplers
from recbole_bns.settings.declared import NO_MIXER, NO_SAMPLER, OWN_LOSS

from .sampler_settings import is_sampled, mapping_of
from .vectors import has_layers, has_pair_scores, has_queries, has_vectors


@dataclass(frozen=True)
class MixerChoice:
    """What the settings say of the mixer."""

    name: str
    params: Any
    """An instance of the mixer's ``Params``."""

    @property
    def candidates(self) -> int:
        """M, the candidates of a negative."""
        return int(self.params.candidate_num)


def mixer_name(config: RunConfig) -> str:
    """The name of the mixer in any ``Config``; :data:`.NO_MIXER` where nothing is said.

    RecBole's own ``Config`` may have a setting of this name for a model of its own, which has no
    say where RecBole samples.
    """
    name = config["mixer"]
    return NO_MIXER if name in (None, False) else str(name).lower()


def chosen_mixer(config: RunConfig) -> MixerChoice | None:
    """The mixer; None where candidates are the negatives.

    Raises:
        UsageError: unknown mixer or parameter, wrong type or out of range.
    """
    name = mixer_name(config)
    if name == NO_MIXER:
        return None
    args = mapping_of(config, "mixer_args")
    return MixerChoice(name, parse(get(name).Params, args, "mixer_args", f"mixer {name}"))


OF_A_MIXER = ("mixer", "mixer_args")
"""Settings of a mixer."""


def check_mixer(config: RunConfig, given: Mapping[str, Any]) -> None:
    """Refuse a mixer beside what it cannot be with, before the data are read.

    Args:
        config: of the run.
        given: settings that the user wrote and that differ from what holds without.

    Raises:
        UsageError: names what cannot be, and what to write.
    """
    choice = chosen_mixer(config)
    if choice is None:
        if given.get("mixer_args"):
            raise UsageError(
                f"mixer_args: got {dict(given['mixer_args'])!r}, but they act only with a mixer; "
                "name one with mixer (recbole-bns mixers lists them), or leave them out."
            )
        return
    if not is_sampled(config):
        raise UsageError(
            f"mixer: got '{choice.name}', but neg_sampler '{NO_SAMPLER}' is RecBole's own "
            "sampling, which draws no candidates for it; name a sampler with neg_sampler."
        )
    if str(config["loss"] or "").lower() == OWN_LOSS:
        raise UsageError(
            f"loss: got '{OWN_LOSS}', but mixer: {choice.name} makes vectors, which no model's own "
            f"loss takes for negatives; leave it out ({get(choice.name).loss}), or name another "
            "one (recbole-bns losses lists them)."
        )
    _check_model(config.model_class, choice.name)
    _check_beside(config, choice.name)


def _check_model(model: type[Any], name: str) -> None:
    if has_layers(model):
        return
    if has_queries(model) and not has_vectors(model):
        reason = "scores the rows of a batch, which have no vectors by layer to be mixed"
    elif has_pair_scores(model):
        reason = "scores pairs, and has no vectors to be mixed"
    else:
        reason = "has no vectors by layer that are known here"
    raise UsageError(
        f"mixer: got '{name}', but {model.__name__} {reason}; allowed is mixer: {NO_MIXER}, or a "
        "model such as BPR, LightGCN, SpectralCF (your own: recbole_bns.layers)."
    )


def _check_beside(config: RunConfig, name: str) -> None:
    """Refuse lists that are shared, and what is known of items alone."""
    cls = samplers().get(str(config["neg_sampler"]).lower())
    only = cls is not None and issubclass(cls, SharedList) and cls.only_shared
    if only or config["neg_shared"]:
        got = f"neg_sampler: got '{config['neg_sampler']}'" if only else "neg_shared: got True"
        own = [n for n, c in samplers().items() if not getattr(c, "only_shared", False)]
        remedy = f"allowed with it: {', '.join(own)}" if only else "leave it out"
        raise UsageError(
            f"{got}, which gives all positives of a batch one list, but mixer: {name} mixes "
            f"candidates of each positive's own; {remedy}."
        )
    for key, what in (("loss_log_q", "the probability of a draw"), ("loss_weight", "a posterior")):
        if config[key] not in (None, "none"):
            raise UsageError(
                f"{key}: got '{config[key]}', but mixer: {name} makes negatives that are no items "
                f"and have no such thing as {what}; allowed beside a mixer is none."
            )


def known_mixers() -> list[str]:
    """Names of mixers, and the word for none of them first."""
    return [NO_MIXER, *available()]
