"""In somebody's RecBole project: ``enable()``, or our two functions in place of RecBole's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.config import Config
from recbole.data import create_dataset
from recbole.model.general_recommender import BPR
from recbole.utils import init_seed
from tiny import run_quickly

from recbole_bns import BNSTrainDataLoader, data_preparation, get_trainer
from recbole_bns.sampling import get
from recbole_bns.training.trainer import Watch

START = """
import sys, types
import numpy as np
import torch
import recbole_bns
from recbole_bns import UsageError
from recbole_bns.sampling import get
recbole_bns.enable()
recbole_bns.enable()

from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.dataloader import TrainDataLoader
from recbole.sampler import Sampler
from recbole.utils import get_model, get_trainer, init_seed

SETTINGS = {"data_path": sys.argv.pop(), "gpu_id": "", "epochs": 2, "train_batch_size": 256,
            "embedding_size": 8, "state": "ERROR", "show_progress": False}

def load(model="BPR", **more):
    config = Config(model, "tiny", config_dict={**SETTINGS, **more})
    init_seed(config["seed"], True)
    return config, *data_preparation(config, create_dataset(config))

def train(config, data):
    init_seed(config["seed"], True)
    model = get_model(config["model"])(config, data._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.fit(data, saved=False)
    return trainer

events = []
def spy(name):
    cls = get(name)
    begin, sample = cls.begin_epoch, cls.sample
    def begin_epoch(self, epoch, scorer):
        events.append(epoch)
        begin(self, epoch, scorer)
    def draw(self, users, items, n, scorer):
        ids = sample(self, users, items, n, scorer)
        events.append((users, ids))
        return ids
    cls.begin_epoch, cls.sample = begin_epoch, draw
spy("bns")
spy("dns")

def epochs():
    seen = [event for event in events if isinstance(event, int)]
    drawn = [event for event in events if not isinstance(event, int)]
    events.clear()
    return seen, drawn
"""


def run_enabled(script: str, folder: Path, *words: str) -> None:
    """Run a script after ``enable()`` in a process of its own: it changes RecBole for good."""
    run_quickly(START + script, folder, *words)


@pytest.mark.process
def test_recboles_own_calls_train_on_our_negatives(data_path, in_tmp):
    run_enabled(
        """
from recbole.quick_start import run_recbole
from recbole_bns import BNSTrainDataLoader
from recbole_bns.adapters.evaluation import EvalSampler
import recbole.model.general_recommender.bpr as module

batches = []
inner = module.BPR.calculate_loss
module.BPR.calculate_loss = lambda self, batch: batches.append(batch) or inner(self, batch)
given = {**SETTINGS, "neg_sampler": "bns", "neg_sampler_args": {"cdf": "paper"},
         "neg_sample_num": 2, "fused_step": False}
sys.argv.append("--neg_sampler_args.candidate_num=7")
result = run_recbole("BPR", "tiny", config_dict=given)
sys.argv.pop()
assert 0 < result["test_result"]["ndcg@10"] < 1
seen, drawn = epochs()
assert seen == [0, 1]
assert len(drawn) == len(batches) == 6
for (users, ids), batch in zip(drawn, batches):
    assert torch.equal(batch["neg_item_id"], ids.T.reshape(-1))
    assert torch.equal(batch["user_id"], users.repeat(2))

config, train_data, valid, test = load(**{
    "neg_sampler": "bns", "neg_sampler_args.candidate_num": 7, "eval_args": {"mode": "uni20"}})
assert type(train_data) is BNSTrainDataLoader
assert train_data._sampler.core.params.candidate_num == 7
assert type(valid._sampler) is type(test._sampler) is EvalSampler
assert (valid._sampler.phase, test._sampler.phase) == ("valid", "test")

# Without neg_sampler all is RecBole's.
for more in ({}, {"neg_sampler": "none"}):
    config, train_data, valid, test = load(**more)
    assert type(train_data) is TrainDataLoader
    assert type(train_data._sampler) is type(valid._sampler) is Sampler
    assert config["train_neg_sample_args"]["dynamic"] is False
    train(config, train_data)
    assert epochs() == ([], [])

# A model is made whole wherever the settings name a sampler; BPR's loss has the L2 term then.
for more, name in (
    ({}, "BPR"),
    ({"neg_sampler": "none"}, "RegularisedBPR"),
    ({"neg_sampler": "rns", "fused_step": False}, "RegularisedBPR"),
    ({"neg_sampler": "rns"}, "FusedBPR"),
):
    trainer = train(*load(reg_weight=0.1, **more)[:2])
    assert type(trainer.model).__name__ == name, more
    epochs()

# What cannot be is said.
for more, words in (
    ({"model": "MultiVAE"}, "MultiVAE trains with RecBole's UserDataLoader"),
    ({"train_neg_sample_args": {"distribution": "popularity"}}, "contradicts neg_sampler 'bns'"),
    ({"worker": 2}, "worker: got 2"),
    ({"neg_sampler_args": {"candidat_num": 3}}, "did you mean 'candidate_num'"),
    ({"valid_ratio": 0.1}, "use recbole_bns.data_preparation in its place"),
    ({"lr_schedule": {"gamma": 0.5}}, "use recbole_bns.get_trainer in its place"),
):
    try:
        train(*load(**{"neg_sampler": "bns", **more})[:2])
    except UsageError as error:
        assert words in str(error), error
    else:
        raise AssertionError(more)
""",
        in_tmp,
        str(data_path),
    )


@pytest.mark.process
def test_loaders_and_trainers_of_others_are_served(data_path, in_tmp):
    run_enabled(
        """
import recbole.data.utils as host

class Theirs(TrainDataLoader):
    \"\"\"Does nothing of its own, so it asks its sampler as RecBole's loaders do.\"\"\"

class Manual(TrainDataLoader):
    def _neg_sampling(self, inter_feat):
        users, items = inter_feat["user_id"].numpy(), inter_feat["item_id"].numpy()
        ids = self._sampler.sample_by_user_ids(users, items, self.neg_sample_num)
        self.asked = getattr(self, "asked", 0) + 1
        return self.sampling_func(inter_feat, ids)

chosen = host.get_dataloader
for cls in (Theirs, Manual):
    host.get_dataloader = lambda config, phase: (
        cls if phase == "train" else chosen(config, phase))
    recbole_bns.enable()  # after somebody else replaced the function
    config, train_data, _, _ = load(neg_sampler="bns", neg_sample_num=2)
    assert type(train_data) is cls
    batches = []
    iterate = cls.__iter__
    cls.__iter__ = lambda self: (batches.append(batch) or batch for batch in iterate(self))
    train(config, train_data)
    seen, drawn = epochs()
    assert seen == [0, 1]
    assert len(drawn) == len(batches) > 2
    for (users, ids), batch in zip(drawn, batches):
        assert torch.equal(batch["user_id"][: len(users)], users)
        assert torch.equal(batch["neg_item_id"], ids.T.reshape(-1))
    assert cls is Theirs or train_data.asked == len(drawn)

# NCL has a training loop of its own.
class Kmeans:
    def __init__(self, d, k, gpu):
        self.k, self.index = k, self
    def train(self, x):
        self.centroids = x[1 : self.k + 1]
    def search(self, x, n):
        return None, np.arange(len(x))[:, None] % self.k
stub = types.ModuleType("faiss")
stub.Kmeans = Kmeans
sys.modules.setdefault("faiss", stub)
host.get_dataloader = chosen
config, train_data, _, _ = load("NCL", neg_sampler="dns", num_clusters=3)
train(config, train_data)
seen, drawn = epochs()
assert seen == [0, 1] and len(drawn) == 2 * len(train_data)

# Our own recipe goes on working.
result = recbole_bns.run_recbole_bns("LightGCN", "tiny", None, {**SETTINGS, "epochs": 1}, out="x")
assert result["epochs"] == 1 and epochs()[0] == [0]
""",
        in_tmp,
        str(data_path),
    )


@pytest.fixture
def stock_config(data_path: Path, in_tmp: Path) -> Any:
    """RecBole's own Config, with our keys in it."""

    def config(**more: Any) -> Config:
        base = {
            "data_path": str(data_path),
            "gpu_id": "",
            "epochs": 2,
            "embedding_size": 8,
            "train_batch_size": 256,
            "state": "ERROR",
        }
        return Config("BPR", "tiny", config_dict={**base, **more})

    return config


@pytest.mark.parametrize("sampler", ["bns", "SRNS", "rns"])
def test_our_functions_take_the_place_of_recboles(stock_config, sampler, in_tmp):
    config = stock_config(neg_sampler=sampler, reg_weight=0.1)
    init_seed(config["seed"], True)
    train, valid, test = data_preparation(config, create_dataset(config))
    assert type(train) is BNSTrainDataLoader
    assert isinstance(train._sampler.core, get(sampler.lower()))
    model = BPR(config, train._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    score, result = trainer.fit(train, valid)
    found = trainer.evaluate(test)
    trainer.tensorboard.close()
    assert type(model).__name__ == "FusedBPR"
    assert score == result["mrr@10"]
    assert 0 < found["ndcg@10"] < 1
    assert Path(trainer.saved_model_file).suffix == ".pt"
    state = torch.load(trainer.saved_model_file, weights_only=True)
    assert state["epoch"] == trainer.best_epoch - 1
    assert [report.epoch for report in trainer.reports] == [1, 2]


def test_our_loader_works_under_recboles_own_trainer(stock_config):
    """Only ``data_preparation`` replaced: RecBole's ``fit`` hands the model to the loader."""
    from recbole.trainer import Trainer

    config = stock_config(neg_sampler="dns")
    train, _, _ = data_preparation(config, create_dataset(config))
    trainer = Trainer(config, BPR(config, train._dataset))
    trainer.fit(train, saved=False)
    trainer.tensorboard.close()
    assert train.epoch == 2
    assert train._sampler.core.epoch == 1


def test_our_trainer_tells_of_every_epoch_when_it_never_validates(stock_config):
    config = stock_config(neg_sampler="rns", eval_step=0)
    train, valid, _ = data_preparation(config, create_dataset(config))
    trainer = get_trainer(config["MODEL_TYPE"], "BPR")(config, BPR(config, train._dataset))
    told: list[int] = []
    trainer.fit(train, valid, watch=Watch(after_epoch=lambda report: told.append(report.epoch)))
    trainer.tensorboard.close()
    assert told == [1, 2]
    assert trainer.best_epoch == 2
