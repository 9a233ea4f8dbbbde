"""Known dislikes in the numbers of a RecBole data set, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from recbole_bns.common.errors import UsageError
from recbole_bns.datasets.dislikes import Dislikes, default_path, path_of, read_dislikes
from recbole_bns.runs.records import RunConfig
from recbole_bns.sampling import Catalogue, get
from recbole_bns.sampling.capabilities import KnownPairs, of_type

from .sampler_settings import is_sampled, parsed_settings


def check_known_pairs(config: RunConfig) -> None:
    """Refuse a sampler of known dislikes where there is no file of them, before the data are read.

    Raises:
        UsageError: there is none, or the file that is named is missing.
    """
    if not is_sampled(config):
        path_of(config)
        return
    name, params, _ = parsed_settings(config)
    need = of_type(get(name).requirements_of(params), KnownPairs)
    if path_of(config) is None and need is not None and not need.optional:
        raise need.missing(name, str(default_path(config)), "the data set has no file of them")


def known_pairs(
    need: KnownPairs, config: RunConfig, train: Any, held_out: Tensor, catalogue: Catalogue
) -> tuple[Tensor | None, list[str]]:
    """The known dislikes of a data set, with remarks for who trains on them.

    Args:
        need: of the sampler.
        config: of the run.
        train: the training part.
        held_out: ``(2, N)`` pairs of the other parts. They stay dislikes where they are such:
            training knows nothing of them.
        catalogue: the training interactions.

    Returns:
        ``(2, N)`` users and items, no training interaction among them, or None; and sentences.

    Raises:
        UsageError: the sampler cannot do without, and there are none.
    """
    path = path_of(config)
    if path is None:
        if need.optional:
            return None, list(_no_file(config))
        raise _missing(need, config, "the data set has no file of them")
    fields = train.uid_field, train.iid_field
    found = read_dislikes(config, path, tuple(train.field2token_id[name] for name in fields))
    pairs = torch.from_numpy(found.pairs)
    positive = catalogue.is_positive(*pairs.to(catalogue.device)).cpu()
    if not need.optional and bool(positive.all()):
        raise _missing(need, config, f"none of the {found.lines} pairs of {path} is one here")
    left = pairs[:, ~positive]
    both = _overlap(left, held_out, train.item_num)
    return left, list(_said(found, int(positive.sum()), both, left.shape[1]))


def _missing(need: KnownPairs, config: RunConfig, reason: str) -> UsageError:
    return need.missing(str(config["neg_sampler"]).lower(), str(default_path(config)), reason)


def _no_file(config: RunConfig) -> Iterator[str]:
    given, known = (
        (getattr(config, layer, None) or {}).get("neg_sampler_args") or {}
        for layer in ("external_config_dict", "internal_config_dict")
    )
    share = given.get("given_share")
    if share and share != known.get("given_share"):  # a run's settings hold the default, too
        yield (
            f"neg_sampler_args.given_share: got {share}, but the data set has no "
            f"known dislikes ({default_path(config)}, or what negatives names): no effect here."
        )


def _overlap(pairs: Tensor, others: Tensor, item_num: int) -> int:
    """How many of pairs (2, N), different ones, are among others (2, M)."""
    keys = (each[0].cpu() * item_num + each[1].cpu() for each in (pairs, others))
    return int(torch.isin(*keys).sum())


def _said(found: Dislikes, positive: int, held_out: int, left: int) -> Iterator[str]:
    """One sentence about a file, all that was left out in it."""
    counts = (
        (found.unknown, "are of a user or an item that the data set does not have"),
        (found.doubles, "are there twice"),
        (positive, "are interactions of the training part too, where the positive wins"),
    )
    out = [f"{number} {words}" for number, words in counts if number]
    if out:
        yield f"{found.path}: {left} known dislikes; of its {found.lines} lines {'; '.join(out)}."
    if held_out:
        yield (
            f"{found.path}: {held_out} known dislikes are interactions of the validation or test "
            "part; they stay dislikes, since training knows nothing of those."
        )


def unused(config: RunConfig, needs: Sequence[Any]) -> list[str]:
    """A remark where a file of known dislikes is there and the sampler does not look at it."""
    path = path_of(config)
    if path is None or of_type(needs, KnownPairs) is not None:
        return []
    return [
        f"{path}: neg_sampler '{config['neg_sampler']}' does not look at known dislikes; given, "
        "bns and bns_plus do."
    ]
