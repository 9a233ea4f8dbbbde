"""One trial: a training that reports every evaluation to Ray and can go on from a checkpoint."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.keys import without_unread
from recbole_bns.adapters.mends import quiet
from recbole_bns.adapters.split import open_data
from recbole_bns.common.errors import UsageError
from recbole_bns.datasets.check import check_files
from recbole_bns.runs import checkpoint
from recbole_bns.settings.declared import NO_SAMPLER
from recbole_bns.settings.words import merge
from recbole_bns.training.loaders import loaders
from recbole_bns.training.train import make_trainer
from recbole_bns.training.trainer import Watch

from .ray_versions import names
from .space import plain

FILE = "trial.pt"
"""In a trial's checkpoint."""


@dataclass(frozen=True)
class Recipe:
    """What all trials have in common.

    Attributes:
        model: RecBole's name.
        dataset: its name.
        settings: of all trials, files of settings read into it.
    """

    model: str
    dataset: str
    settings: Mapping[str, Any]

    def config(self, found: Mapping[str, Any] | None = None) -> BNSConfig:
        """The settings of a trial, resolved.

        Args:
            found: what was drawn for it.

        Raises:
            UsageError: a setting is not allowed.
        """
        return BNSConfig(
            self.model, self.dataset, None, merge(dict(self.settings), dict(found or {}))
        )


def make_recipe(
    model: str | None = None,
    dataset: str | None = None,
    config_files: list[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Recipe:
    """Read the files and name model and data set.

    Raises:
        UsageError: a file cannot be read, or a setting is not allowed.
    """
    given: dict[str, Any] = {"tuned": False, "show_progress": False}
    config = BNSConfig(model, dataset, config_files, settings)  # which names the file of a fault
    for remark in config.remarks:
        print(f"note: {remark}", file=sys.stderr)
    merge(given, without_unread(config))
    config = BNSConfig(model, dataset, None, given)
    return Recipe(str(config["model"]), str(config["dataset"]), given)


def read_parts(recipe: Recipe) -> dict[str, Any]:
    """Read and split the data, once for all trials; the test part is left out.

    Raises:
        UsageError: a file is missing or malformed, or there is no validation part.
    """
    config = recipe.config()
    check_files(config, keep=True)
    parts = open_data(config).parts
    if "valid" not in parts:
        raise UsageError(
            "valid_ratio: got 0, but trials are compared on a validation part; set "
            "--valid_ratio=0.1, or leave it out."
        )
    return {phase: parts[phase] for phase in ("train", "valid")}


def train(
    config: Mapping[str, Any], recipe: Recipe, parts: Mapping[str, Any], *, use_gpu: bool = True
) -> None:
    """Train one trial and report every evaluation with a checkpoint; a trainable of Ray Tune.

    Args:
        config: what Ray drew.
        recipe: what all trials have in common.
        parts: of :func:`read_parts`.
        use_gpu: False keeps the trial off the GPUs of its node.

    Raises:
        UsageError: a setting is not allowed, or the training diverged.
    """
    drawn = plain(config) | ({} if use_gpu else {"gpu_id": ""})
    resolved = recipe.config(drawn)
    ray = names()
    with quiet(), tempfile.TemporaryDirectory() as place:
        resolved["checkpoint_dir"] = place
        found = loaders(resolved, dict(parts))
        trainer = make_trainer(resolved, found["train"], Path(place))
        start = ray.get_checkpoint()
        if start is not None:
            with start.as_directory() as folder:
                trainer.resume_checkpoint(Path(folder) / FILE)
        watch = Watch(after_epoch=_reporter(trainer, ray))
        with closing(trainer.tensorboard):
            trainer.fit(found["train"], found["valid"], verbose=False, saved=False, watch=watch)


def _reporter(trainer: Any, ray: Any) -> Callable[[Any], None]:
    import ray as ray_core

    seconds, node = 0.0, ray_core.get_runtime_context().get_node_id()

    def report(epoch: Any) -> None:
        nonlocal seconds
        seconds += epoch.seconds
        if epoch.valid_result is None:
            return
        metrics = {
            "epoch": epoch.epoch,
            "train_loss": epoch.train_loss,
            "train_seconds": seconds,
            **epoch.valid_result,
        }
        state = trainer.state_after(epoch)
        final = state.pop("stops") or epoch.epoch == trainer.epochs
        words = {"reported": " ".join(metrics), "node": node, "final": final}
        with tempfile.TemporaryDirectory() as folder:
            checkpoint.save(state, Path(folder) / FILE)
            ray.report(metrics | words, checkpoint=ray.Checkpoint.from_directory(folder))

    return report


def trainable(
    model: str | None = None,
    dataset: str | None = None,
    config_files: list[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    use_gpu: bool = False,
) -> Any:
    """A trainable for ``ray.tune.Tuner``: the data is read and split once, here.

    Each evaluation reports all validation metrics (``ndcg@20`` …), ``epoch``, ``train_loss`` and
    ``train_seconds``, with a checkpoint to go on from.

    Args:
        model: name; LightGCN where nothing says otherwise.
        dataset: name; ml-100k where nothing says otherwise.
        config_files: YAML files of settings.
        settings: of all trials; dotted keys are allowed.
        use_gpu: whether trials run on the GPU that Ray gives them.

    Returns:
        a function of the drawn configuration; ``tune.with_resources`` says what it needs.

    Raises:
        UsageError: bad settings or data.
    """
    from ray import tune

    recipe = make_recipe(model, dataset, config_files, settings)
    if recipe.config()["neg_sampler"] == NO_SAMPLER:
        raise UsageError(
            "neg_sampler: got 'none', allowed in a sweep is a sampler of this package."
        )
    return tune.with_parameters(train, recipe=recipe, parts=read_parts(recipe), use_gpu=use_gpu)
