"""From a RecBole data set to loaders: the split, the catalogue, the samplers."""

from __future__ import annotations

from logging import getLogger
from time import perf_counter
from typing import Any

import torch
from recbole.data import data_preparation as recbole_data_preparation
from recbole.data.dataloader import FullSortEvalDataLoader, NegSampleEvalDataLoader

from .analysis.recorder import NegativeRecorder
from .checks import record_epochs
from .dataloader import BNSTrainDataLoader, on_device
from .errors import UsageError
from .nproc import check_team
from .sampler import BNSSampler, EvalSampler, RepeatableEvalSampler
from .sampling import ALL, Catalogue, NegativeSampler, build, get, parse
from .scorers import Columns, check_served
from .settings import derive_train_neg_sample_args, sampler_settings
from .side_data import pairs_of, side_data
from .team import current

PHASES = ["train", "valid", "test"]


def data_preparation(config: Any, dataset: Any) -> tuple[Any, Any, Any]:
    """Split a data set and make its loaders; takes the place of RecBole's function.

    Args:
        config: a ``Config`` with ``neg_sampler``; ``valid_ratio`` cuts the validation part from
            everything that is not test, with the seed.
        dataset: what RecBole's ``create_dataset`` returned.

    Returns:
        loaders for training, validation (None where there is no validation part) and test.
    """
    found = loaders(config, split(config, dataset))
    return found["train"], found.get("valid"), found["test"]


def loaders(config: Any, parts: dict[str, Any]) -> dict[str, Any]:
    """A loader for each part.

    Args:
        config: a ``Config`` with ``neg_sampler``.
        parts: by phase, of :func:`split`; the training part and others.

    Raises:
        UsageError: bad settings, or ``nproc`` where nobody has started the processes.
    """
    check_team(config, parts["train"])
    train, evaluation = create_samplers(config, parts)
    train_data = BNSTrainDataLoader(config, parts["train"], train, shuffle=config["shuffle"])
    if config["neg_record"]:
        train_data.recorder = recorder_of(config, parts, train)
    found: dict[str, Any] = {"train": train_data}
    for phase in parts:
        if phase != "train":
            sampler = evaluation[phase].set_phase(phase)
            loader = eval_loader(config, phase)
            found[phase] = loader(config, parts[phase], sampler, shuffle=False)
    return found


def recorder_of(config: Any, parts: dict[str, Any], sampler: BNSSampler) -> NegativeRecorder:
    """What measures the training negatives; it alone is told the held-out labels."""
    return NegativeRecorder(
        sampler.core.catalogue,
        pairs_of([part for phase, part in parts.items() if phase != "train"]),
        sampler.columns,
        record_epochs(config["neg_record_scores"]),
        config["seed"],
    )


def stock_data_preparation(config: Any, dataset: Any) -> tuple[Any, Any, Any]:
    """``neg_sampler: none``: RecBole's loaders and training negatives on our split.

    The evaluation negatives are fixed by the seed here too, so that results can be compared.
    """
    if config["neg_record"]:
        getLogger().warning(
            "neg_record: RecBole's own sampling (neg_sampler: none) is not recorded."
        )
    parts = split(config, dataset)
    nothing = parts["train"].copy(parts["train"].inter_feat[:0])
    dataset.build = lambda: [parts.get(phase, nothing) for phase in PHASES]
    train, *loaders = recbole_data_preparation(config, dataset)
    for phase, loader in zip(PHASES[1:], loaders, strict=True):
        if phase in parts:
            loader._sampler = eval_samplers(config, parts)[phase].set_phase(phase)
    return train, loaders[0] if "valid" in parts else None, loaders[1]


def split(config: Any, dataset: Any) -> dict[str, Any]:
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


def create_samplers(config: Any, parts: dict[str, Any]) -> tuple[BNSSampler, dict[str, Any]]:
    """The training sampler, and for each other phase RecBole's with fixed negatives."""
    config["train_neg_sample_args"] = derive_train_neg_sample_args(config)
    held_out = [part for phase, part in parts.items() if phase != "train"]
    return training_sampler(config, parts["train"], held_out), eval_samplers(config, parts)


def eval_samplers(config: Any, parts: dict[str, Any]) -> dict[str, Any]:
    """For each phase but training RecBole's sampler, with fixed negatives."""
    cls: Any = RepeatableEvalSampler if config["repeatable"] else EvalSampler
    known: dict[str, Any] = {}
    chosen = {}
    for phase in parts:
        if phase != "train":
            name = config[f"{phase}_neg_sample_args"]["distribution"]
            name = "uniform" if name == "none" else name
            if name not in known:
                known[name] = cls(parts, name, config["seed"])
            chosen[phase] = known[name]
    return chosen


def eval_loader(config: Any, phase: str) -> type:
    """RecBole's loader for the evaluation mode of this phase."""
    full = config["eval_args"]["mode"][phase] == "full"
    return FullSortEvalDataLoader if full else NegSampleEvalDataLoader


def training_sampler(config: Any, train: Any, held_out: list[Any]) -> BNSSampler:
    """Build the sampler that ``neg_sampler`` names from the training part.

    Args:
        config: with ``neg_sampler``, ``neg_sampler_args`` and ``seed``.
        train: the training part; nothing else decides what a negative is.
        held_out: validation and test parts: read for the oracle prior, else not.

    Raises:
        UsageError: bad settings, or a column that the prior needs is missing.
    """
    name, args, num = sampler_settings(config)
    catalogue = catalogue_of(train).to(config["device"])
    cls = get(name)
    params = parse(cls.Params, args, "neg_sampler_args")
    start, needs = perf_counter(), cls.side_data(params)
    side = {need: side_data(need, params, config, train, catalogue, held_out) for need in needs}
    core = build(name, catalogue, args, seed=config["seed"], side=side).to(config["device"])
    getLogger().info(f"neg_sampler {core.label}: made in {perf_counter() - start:.1f} s")
    check_served(core, config.model_class)
    if current().size > 1:
        core.divide(current())
    columns = Columns(
        train.uid_field,
        train.iid_field,
        train.item_num,
        on_device(train.item_feat, config["device"]),
    )
    for note in shortfalls(core, train, num):
        getLogger().warning(note)
    return BNSSampler(core, columns, config)


def catalogue_of(dataset: Any) -> Catalogue:
    """The training interactions of a data set, item sequences of sequential models included."""
    feat = dataset.inter_feat
    users, items = feat[dataset.uid_field], feat[dataset.iid_field]
    history = getattr(dataset, "item_id_list_field", None)
    if history is not None and history in feat:
        past = feat[history]
        users = torch.cat((users, users.repeat_interleave(past.shape[1])))
        items = torch.cat((items, past.reshape(-1)))
    return Catalogue(users, items, dataset.user_num, dataset.item_num)


def shortfalls(core: NegativeSampler, train: Any, num: int) -> list[str]:
    """What the data set cannot give, in sentences: reported once, training goes on."""
    users = train.inter_feat[train.uid_field]
    negatives = core.catalogue.negative_num.cpu()[users.unique()]
    notes = []
    none = int((negatives <= 0).sum())
    if 0 < none < len(negatives):
        notes.append(
            f"{none} of {len(negatives)} users have interacted with every item; they have no "
            "negative and are left out of training."
        )
    wanted = getattr(core.params, "candidate_num", 1)
    distinct = num > 1 or not getattr(core.params, "replacement", True)
    if wanted != ALL and distinct and (few := int((negatives < wanted * num).sum()) - none):
        notes.append(
            f"{few} of {len(negatives)} users have fewer than {wanted * num} negatives; their "
            "candidates are all that they have."
        )
    return notes
