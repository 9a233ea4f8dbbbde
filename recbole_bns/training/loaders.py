"""From a RecBole data set to loaders: the split, the catalogue, the samplers."""

from __future__ import annotations

from logging import getLogger
from time import perf_counter
from typing import Any

import torch
from recbole.data import data_preparation as recbole_data_preparation

from recbole_bns.adapters.batch import decide_batch
from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.dataloader import BNSTrainDataLoader
from recbole_bns.adapters.dislikes import unused
from recbole_bns.adapters.evaluation import eval_loader, eval_samplers
from recbole_bns.adapters.loss_settings import check_loss, chosen_loss, decided_args, is_shared
from recbole_bns.adapters.many_negatives import Drawn
from recbole_bns.adapters.mine_settings import check_mine, mine_params
from recbole_bns.adapters.mixer_settings import chosen_mixer
from recbole_bns.adapters.sampler import BNSSampler
from recbole_bns.adapters.sampler_settings import derive_train_neg_sample_args, parsed_settings
from recbole_bns.adapters.scorers import check_served, columns_of
from recbole_bns.adapters.split import PHASES, Opened, catalogue_of, pairs_of, split
from recbole_bns.adapters.team import current
from recbole_bns.adapters.weights import check_weighed
from recbole_bns.adapters.whence import told_whence
from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import check_schedules
from recbole_bns.losses import PosteriorWeight
from recbole_bns.runs.records import RunConfig
from recbole_bns.sampling import Catalogue, NegativeSampler, build, get
from recbole_bns.sampling.capabilities import Negatives, of_type
from recbole_bns.sampling.mined import Miner, WithMined, mined_items
from recbole_bns.settings.declared import ALL_PARTS, NO_SAMPLER
from recbole_bns.settings.values import epochs_of

from .limits import check_team
from .recording.recorder import NegativeRecorder
from .side_data import Sides


def data_preparation(config: RunConfig, dataset: Any) -> tuple[Any, Any, Any]:
    """Split a data set and make its loaders; takes the place of RecBole's function.

    Args:
        config: a ``Config`` with ``neg_sampler``; ``valid_ratio`` cuts the validation part from
            everything that is not test, with the seed.
        dataset: what RecBole's ``create_dataset`` returned.

    Returns:
        loaders for training, validation (None where there is no validation part) and test.
    """
    if config["train_on"] == ALL_PARTS:
        raise UsageError(
            "train_on: got 'all', but only recbole-bns run and run_recbole_bns train a second "
            "time; allowed here is valid_best."
        )
    made = make_loaders(config, Opened(dataset, split(config, dataset)))
    return made["train"], made.get("valid"), made["test"]


def make_loaders(config: RunConfig, opened: Opened) -> dict[str, Any]:
    """A loader for each part: ours, or with ``neg_sampler: none`` RecBole's."""
    if config["neg_sampler"] == NO_SAMPLER:
        return stock_loaders(config, opened)
    return loaders(config, opened.parts)


def loaders(config: RunConfig, parts: dict[str, Any]) -> dict[str, Any]:
    """A loader for each part.

    Args:
        config: a ``Config`` with ``neg_sampler``.
        parts: by phase, of :func:`split`; the training part and others.

    Raises:
        UsageError: bad settings, or ``nproc`` where nobody has started the processes.
    """
    decide_batch(config, len(parts["train"]))
    check_team(config, parts["train"])
    with told_whence(config):
        train, evaluation = create_samplers(config, parts)
    recorder = recorder_of(config, parts, train) if config["neg_record"] else None
    made: dict[str, Any] = {
        "train": BNSTrainDataLoader(config, parts["train"], train, config["shuffle"], recorder)
    }
    for phase in parts:
        if phase != "train":
            sampler = evaluation[phase].set_phase(phase)
            loader = eval_loader(config, phase)
            made[phase] = loader(config, parts[phase], sampler, shuffle=False)
    return made


def recorder_of(config: RunConfig, parts: dict[str, Any], sampler: BNSSampler) -> NegativeRecorder:
    """What measures the training negatives; it alone is told the held-out labels."""
    return NegativeRecorder(
        sampler.core.catalogue.observed,
        pairs_of([part for phase, part in parts.items() if phase != "train"]),
        sampler.columns,
        epochs_of(config["neg_record_scores"], "neg_record_scores"),
        config["seed"],
    )


def stock_loaders(config: RunConfig, opened: Opened) -> dict[str, Any]:
    """``neg_sampler: none``: RecBole's loaders and training negatives on our split, by phase.

    The evaluation negatives are fixed by the seed here too, so that results can be compared.
    """
    if config["neg_record"]:
        getLogger().warning(
            "neg_record: RecBole's own sampling (neg_sampler: none) is not recorded."
        )
    dataset, parts = opened
    decide_batch(config, len(parts["train"]))
    check_weighed(config, parts["train"])
    nothing = parts["train"].copy(parts["train"].inter_feat[:0])
    dataset.build = lambda: [parts.get(phase, nothing) for phase in PHASES]
    made = dict(zip(PHASES, recbole_data_preparation(config, dataset), strict=True))
    for phase, sampler in eval_samplers(config, parts).items():
        made[phase]._sampler = sampler.set_phase(phase)
    return {phase: made[phase] for phase in parts}


def create_samplers(config: RunConfig, parts: dict[str, Any]) -> tuple[BNSSampler, dict[str, Any]]:
    """The training sampler, and for each other phase RecBole's with fixed negatives."""
    config["train_neg_sample_args"] = derive_train_neg_sample_args(config)
    held_out = [part for phase, part in parts.items() if phase != "train"]
    return training_sampler(config, parts["train"], held_out), eval_samplers(config, parts)


def training_sampler(config: RunConfig, train: Any, held_out: list[Any]) -> BNSSampler:
    """Build the sampler that ``neg_sampler`` names from the training part.

    Args:
        config: with ``neg_sampler``, ``neg_sampler_args`` and ``seed``.
        train: the training part; nothing else decides what a negative is.
        held_out: validation and test parts: read for the oracle prior, else not.

    Raises:
        UsageError: bad settings, or a column that the prior needs is missing.
    """
    if not isinstance(config, BNSConfig):  # which has checked it
        check_loss(config, config.external_config_dict)
        check_mine(config, config.external_config_dict)
    name, params, num = parsed_settings(config)
    catalogue = catalogue_of(train).to(config["device"])
    check_schedules(params, config["epochs"], "neg_sampler_args")
    start = perf_counter()
    needs = get(name).requirements_of(params)
    for note in unused(config, needs):
        getLogger().warning(note)
    sides = Sides(config, train, catalogue, held_out)
    side = sides.of(needs)
    miner, catalogue = _mine(config, sides)
    core = build(name, catalogue, params, seed=config["seed"], side=side).to(config["device"])
    getLogger().info(f"neg_sampler {core.label}: made in {perf_counter() - start:.1f} s")
    core.epochs = config["epochs"]
    check_served(core, config.model_class)
    if current().size > 1:
        core.divide(current())
    columns = columns_of(train, config["device"])
    drawn = _drawn(config, core, sides)
    num *= (drawn.candidates if drawn else None) or 1
    for note in shortfalls(core, train, num, drawn is not None and drawn.shared):
        getLogger().warning(note)
    return BNSSampler(core, columns, config, drawn, miner)


def _mine(config: RunConfig, sides: Sides) -> tuple[Miner | None, Catalogue]:
    """What puts mined positives into batches, and whose negatives are none of them."""
    params, catalogue = mine_params(config), sides.catalogue
    if params is None:
        return None, catalogue
    start = perf_counter()
    mined = mined_items(catalogue, params, sides.of(params.requirements()))
    users, items = mined.pairs
    getLogger().info(
        f"mine: {len(items)} items are {'mined or ' if params.mines else ''}spared, "
        f"{len(items.unique())} different ones of {len(users.unique())} users; found in "
        f"{perf_counter() - start:.1f} s"
    )
    miner = Miner(mined, params.share, current().seed(config["seed"])) if params.mines else None
    return miner, WithMined(catalogue, mined)


def _drawn(config: RunConfig, core: NegativeSampler, sides: Sides) -> Drawn | None:
    """What a loss over many negatives asks of a sampler; None where the model's own is trained."""
    choice = chosen_loss(config)
    if choice is None:
        return None
    for name, value in decided_args(choice, sides.catalogue.item_num).items():
        getLogger().info(f"loss {choice.name}: {name} is {value:.3g}, decided by the catalogue")
    weigher = None
    if choice.weight is not None:
        side = sides.of(choice.weight.requirements())
        weigher = PosteriorWeight(core.catalogue, choice.weight, seed=config["seed"], side=side)
        weigher = weigher.to(config["device"])
    mixer = chosen_mixer(config)
    candidates = None if mixer is None else mixer.candidates
    drawn = Drawn(core, is_shared(config), weigher, candidates)
    if choice.log_q != "none":  # a sampler may know its law and that of its lists not
        one = torch.ones(1, dtype=torch.long, device=core.catalogue.device)
        drawn.log_probs(one, one, one if drawn.shared else one.unsqueeze(1))
    return drawn


def shortfalls(core: NegativeSampler, train: Any, num: int, shared: bool = False) -> list[str]:
    """What the data set cannot give, in sentences: reported once, training goes on.

    Args:
        core: the sampler.
        train: the training part.
        num: negatives that a positive is to have.
        shared: all positives of a batch have one list, which no user's negatives limit.
    """
    users = train.inter_feat[train.uid_field]
    negatives = core.catalogue.negative_num.cpu()[users.unique()]
    notes = []
    none = int((negatives <= 0).sum())
    if 0 < none < len(negatives):
        notes.append(
            f"{none} of {len(negatives)} users have interacted with every item; they have no "
            "negative and are left out of training."
        )
    if shared:
        return notes
    need = of_type(core.requirements(), Negatives)
    wanted = need.wanted(num) if need else 1
    if few := int((negatives < wanted).sum()) - none:
        notes.append(
            f"{few} of {len(negatives)} users have fewer than {wanted} negatives; their "
            "candidates are all that they have."
        )
    return notes
