"""One training of the study, in a process of its own: planted or looked at, tested every epoch."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.mends import quiet
from recbole_bns.adapters.scorers import best_scorer
from recbole_bns.adapters.split import open_data, pairs_of
from recbole_bns.datasets.check import check_files
from recbole_bns.runner.jobs import Job
from recbole_bns.runs.results import EpochReport, epochs_table, versions
from recbole_bns.sampling import Catalogue, NegativeSampler
from recbole_bns.sampling.planted import Plantable, Planted
from recbole_bns.training.loaders import loaders
from recbole_bns.training.train import core_of, make_trainer
from recbole_bns.training.trainer import TrainerMixin, Watch

from . import scores

DIFFICULTIES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Candidates of which the highest is taken, for the share of false ones among them."""
POINTS = 41
"""Of a distribution function, from 0 to 1."""
LOOKS = 5
"""Epochs whose distribution functions are kept."""


def train(job: Job) -> dict[str, Any]:
    """Train and test after every epoch; the job's record says what is planted.

    Returns:
        ``evaluations``: ``[epoch, metrics]`` of the test part; ``planted`` and ``available``
        pairs; ``versions``; of a run that nothing is planted in also what Fig. 1 needs.

    Raises:
        UsageError: bad settings or data, or a training that diverged.
    """
    config = BNSConfig(job.model, job.dataset, job.config_files, job.settings)
    check_files(config, keep=True)
    parts = open_data(config).parts
    job.folder.mkdir(parents=True)
    config["checkpoint_dir"] = str(job.folder)
    held_out = pairs_of([parts["test"]]).to(config["device"])
    false, available = chosen(held_out, job.record)
    with quiet():
        made = loaders(config, {phase: parts[phase] for phase in ("train", "test")})
        core = core_of(made["train"])
        assert core is not None
        planted = job.record["sigma"] is not None
        if planted:
            plant(core, held_out, available, job.record["seed"])
        trainer = make_trainer(config, made["train"], job.folder)
        columns = made["train"]._sampler.columns
        look = None if planted else Look(trainer.model, columns, core.catalogue, false, job)
        _fit(trainer, made, job.folder, look)
    return {
        "evaluations": [[report.epoch, report.valid_result] for report in trainer.reports],
        "planted": false.shape[1],
        "available": available.shape[1],
        "versions": versions(),
        **({"figures": look.found} if look is not None else {}),
    }


def _fit(trainer: TrainerMixin, made: Mapping[str, Any], folder: Path, look: Look | None) -> None:
    """Train, with a test and, where asked for, a look after each epoch, and ``epochs.csv``."""
    with (folder / "epochs.csv").open("w", newline="", encoding="utf-8") as table:
        write = epochs_table(table, lambda report: None, trainer.reports)

        def tell(report: EpochReport) -> None:
            write(report)
            if look is not None:
                look(report)

        watch = Watch(after_epoch=tell)
        with closing(trainer.tensorboard):
            trainer.fit(made["train"], made["test"], verbose=False, saved=False, watch=watch)


def chosen(held_out: Tensor, record: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """F and the share sigma of F that is available, (2, M) each, by the seed alone.

    With a larger sigma more of the same are available.

    Args:
        held_out: ``(2, N)`` records of the test part.
        record: of a job: ``share`` of the records that is F, ``sigma`` or None, ``seed``.
    """
    source = torch.Generator().manual_seed(int(record["seed"]))
    order = torch.randperm(held_out.shape[1], generator=source).to(held_out.device)
    false = held_out[:, order[: round(record["share"] * len(order))]]
    return false, false[:, : round((record["sigma"] or 0.0) * false.shape[1])]


def plant(core: NegativeSampler, held_out: Tensor, available: Tensor, seed: int) -> None:
    """Let a sampler choose among planted items, and meet no other held-out one."""
    assert isinstance(core, Plantable)
    core.plant(Planted(core.catalogue, held_out, available, seed).to(held_out.device))


class Look:
    """What the scores of all pairs show after each epoch (SRNS's Fig. 1).

    Args:
        model: that is trained.
        columns: how the data set names users and items.
        catalogue: the training interactions.
        false: ``(2, M)`` F.
        job: with its number of epochs and its seed.

    Attributes:
        found: ``ccdf``, ``errors`` and ``levels`` of :data:`LOOKS` epochs, ``medians`` and
            ``deviations`` of all, a mapping a line.
    """

    def __init__(
        self, model: nn.Module, columns: Any, catalogue: Catalogue, false: Tensor, job: Job
    ) -> None:
        self._factory = best_scorer(model, columns)
        self._weight = catalogue.indptr.diff()
        self._users = (self._weight > 0).nonzero()[:, 0]
        users, items = false
        of_users = Catalogue(users, items, catalogue.user_num, catalogue.item_num, bitmap=False)
        self._negative = ~catalogue.positive_mask(self._users)
        self._negative[:, 0] = False
        self._false = of_users.positive_mask(self._users) & self._negative
        source = torch.Generator().manual_seed(int(job.record["seed"]))
        u = torch.rand(len(self._users), generator=source, dtype=torch.float64)
        place = (u.to(false.device) * self._weight[self._users]).long()
        first = catalogue.indptr[self._users]
        self._items = catalogue.positives[first + place].long()
        self._epochs = {max(1, round(job.epochs * k / (LOOKS - 1))) for k in range(LOOKS)}
        self._history: deque[Tensor] = deque(maxlen=scores.HISTORY)
        self.found: dict[str, list[dict[str, float]]] = {
            name: [] for name in ("ccdf", "errors", "levels", "medians", "deviations")
        }

    def __call__(self, report: EpochReport) -> None:
        """Look at the model after an epoch."""
        with torch.no_grad():
            values = self._factory(None).catalogue(self._users).float()
            positive = values.gather(1, self._items.unsqueeze(1))
            probability = torch.sigmoid(values - positive)
            self._look(report.epoch, values, probability)

    def _look(self, epoch: int, values: Tensor, probability: Tensor) -> None:
        true = self._negative & ~self._false
        kinds = {
            "false": self._false,
            "hard": scores.hardest(values, true),
            "all": self._negative,
        }
        self.found["medians"].append({"epoch": epoch, **scores.medians(values, kinds)})
        self._history.append(probability)
        if len(self._history) == scores.HISTORY:
            deviation = scores.relative_deviation(torch.stack(tuple(self._history)))
            self.found["deviations"].append({"epoch": epoch, **scores.medians(deviation, kinds)})
            if epoch in self._epochs:
                of_kinds = {"false": self._false, "true": true}
                self.found["levels"] += [
                    {"epoch": epoch, **line}
                    for line in scores.by_level(probability, deviation, of_kinds)
                ]
        if epoch in self._epochs:
            self._distribution(epoch, values, probability)

    def _distribution(self, epoch: int, values: Tensor, probability: Tensor) -> None:
        points = torch.linspace(0, 1, POINTS, device=values.device)
        shares = scores.share_above(probability[self._negative], points)
        self.found["ccdf"] += [
            {"epoch": epoch, "p": p, "share": share}
            for p, share in zip(points.tolist(), shares, strict=True)
        ]
        of_users = values, self._negative, self._false, self._weight[self._users]
        self.found["errors"] += [
            {"epoch": epoch, "difficulty": d, "share": scores.label_errors(*of_users, d)}
            for d in DIFFICULTIES
        ]
