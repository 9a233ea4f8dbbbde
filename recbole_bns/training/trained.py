"""A trained model and its data, read again; :mod:`.model` is what it is asked by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_bns.adapters.config import BNSConfig
from recbole_bns.adapters.mends import quiet
from recbole_bns.adapters.models import make_model
from recbole_bns.adapters.split import open_data, open_whole
from recbole_bns.adapters.tested import evaluated_model
from recbole_bns.common.errors import UsageError, refusals
from recbole_bns.datasets.check import check_files
from recbole_bns.runs import checkpoint
from recbole_bns.runs.folder import SETTINGS, folder_of, weights_in
from recbole_bns.runs.records import RunConfig
from recbole_bns.settings.declared import ALL_PARTS


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
