"""Trainings whose negatives are made: what they come to, go on with, and refuse."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from test_resume import Killed, assert_same, die_at
from tiny import LOSS, Settings, assert_refused, build_model, prepare, run_fresh

from recbole_bns import BNSConfig, UsageError, get_trainer, run_recbole_bns
from recbole_bns.adapters.models import make_model
from recbole_bns.adapters.split import open_data
from recbole_bns.losses import available as losses
from recbole_bns.mixers import available as mixers
from recbole_bns.runs import checkpoint
from recbole_bns.sampling import available as samplers
from recbole_bns.training.loaders import loaders as make_loaders
from recbole_bns.training.recording import recorder as recording
from recbole_bns.training.trained import load

pytestmark = pytest.mark.filterwarnings("ignore:torch.sparse.SparseTensor:UserWarning")
Make = Callable[..., Any]
OURS = [
    [name for name, cls in room().items() if "recbole_bns." in cls.__module__]
    for room in (samplers, mixers, losses)
]
OWN_LISTS = [name for name in OURS[0] if not getattr(samplers()[name], "only_shared", False)]
LISTS = [name for name in OURS[0] if name not in OWN_LISTS]
SMALL: Settings = {"mixer_args.candidate_num": 3, "neg_sample_num": 2, "epochs": 1}
FEW: dict[str, Settings] = {
    "srns": {"neg_sampler_args.memory_num": 12, "neg_sampler_args.new_num": 4},
}


def opened(make: Make, given: Settings) -> Any:
    return open_data(make("BPR", **given))


def trained(config: Any, parts: Any) -> Any:
    """The trainer, after its epochs, without validation."""
    train = make_loaders(config, {"train": parts["train"]})["train"]
    model = make_model(config, train._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.fit(train, saved=False)
    trainer.tensorboard.close()
    return trainer


# --- All of them train -------------------------------------------------------------------------


@pytest.mark.parametrize("mixer", OURS[1])
@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
def test_every_mixer_trains_by_its_name_alone(make: Make, model: str, mixer: str) -> None:
    config = make(model, mixer=mixer, epochs=1)
    cls = mixers()[mixer]
    found = [config[key] for key in ("neg_sampler", "loss", "neg_sample_num", "mixer_args")]
    assert found[:3] == ["rns", "kpair", 1]
    assert found[3]["candidate_num"] == cls.Params().candidate_num
    trainer = trained(config, opened(make, {}).parts)
    weights = trainer.model.state_dict().values()
    assert all(bool(value.isfinite().all()) for value in weights)
    assert 0 < trainer.reports[0].train_loss < 20


def of_cross(sampler: str, mixer: str, loss: str) -> Settings:
    return {
        **LOSS.get(sampler, {}),
        "neg_sampler": sampler,
        "mixer": mixer,
        "loss": loss,
        **SMALL,
        **FEW.get(sampler, {}),
    }


@pytest.mark.parametrize("sampler", OWN_LISTS)
def test_each_pair_of_sampler_mixer_and_loss_takes_a_step(make: Make, sampler: str) -> None:
    """All losses with this sampler, mixers in turn: over all samplers each pair is met."""
    first = make("BPR", **of_cross(sampler, OURS[1][0], OURS[2][0]))
    train = make_loaders(first, {"train": open_data(first).parts["train"]})["train"]
    for number, loss in enumerate(OURS[2]):
        mixer = OURS[1][(number + OWN_LISTS.index(sampler)) % len(OURS[1])]
        config = make("BPR", **of_cross(sampler, mixer, loss))
        model = make_model(config, train._dataset)
        train.model = None
        train.get_model(model)
        model.train()
        if not number:
            rows = next(iter(train))
            assert rows["neg_item_id"].shape == (256, 6)
        model.begin_epoch(0)
        value = model.calculate_loss(rows)
        value.backward()
        assert 0 < float(value.detach()) < 100, (loss, mixer)
        for weight in model.parameters():
            if weight.grad is not None:
                assert bool(weight.grad.isfinite().all()), (loss, mixer)
        assert bool(model.item_embedding.weight.grad.any())


def test_pairs_are_all_met() -> None:
    met = {
        (sampler, OURS[1][(number + place) % len(OURS[1])], loss)
        for place, sampler in enumerate(OWN_LISTS)
        for number, loss in enumerate(OURS[2])
    }
    for one, other in ((0, 1), (1, 2), (0, 2)):
        every = set(product((OWN_LISTS, *OURS[1:])[one], (OWN_LISTS, *OURS[1:])[other]))
        assert {(cell[one], cell[other]) for cell in met} == every


@pytest.mark.slow
@pytest.mark.parametrize("mixer", OURS[1])
@pytest.mark.parametrize("sampler", OURS[0])
def test_the_whole_cross_trains_or_says_why_not(make: Make, sampler: str, mixer: str) -> None:
    parts = opened(make, {}).parts
    for loss in [*OURS[2], "model"]:
        given = of_cross(sampler, mixer, loss)
        if sampler in LISTS or loss == "model":
            with pytest.raises(UsageError, match=f"mixer: {mixer} m"):
                make("BPR", dataset="nowhere", **given)
            continue
        trainer = trained(make("BPR", **given), parts)
        assert 0 < trainer.reports[0].train_loss < 200
        assert all(bool(w.isfinite().all()) for w in trainer.model.parameters())


# --- What is refused ---------------------------------------------------------------------------

REFUSED: list[tuple[str, str]] = [
    ("--mixer=mixgfc", "mixer: got 'mixgfc'; did you mean 'mixgcf'?; allowed: none, "),
    (
        "--mixer=dens --neg_sampler=none",
        "mixer: got 'dens', but neg_sampler 'none' is RecBole's own sampling, which draws no cand",
    ),
    (
        "--mixer=dens --loss=model",
        "loss: got 'model', but mixer: dens makes vectors, which no model's own loss takes",
    ),
    (
        "--mixer=dens --neg_sampler=inbatch",
        "neg_sampler: got 'inbatch', which gives all positives of a batch one list, but mixer: de",
    ),
    ("--mixer=dens --neg_sampler=all", "neg_sampler: got 'all', which gives all positives of a"),
    ("--mixer=dens --neg_shared", "neg_shared: got True, which gives all positives of a batch one"),
    (
        "--mixer=dens --loss=ssm --loss_log_q=both",
        "loss_log_q: got 'both', but mixer: dens makes negatives that are no items",
    ),
    (
        "--mixer=dens --loss_weight=posterior",
        "loss_weight: got 'posterior', but mixer: dens makes negatives that are no items",
    ),
    (
        "--mixer=dens --model=SASRec",
        "mixer: got 'dens', but SASRec scores the rows of a batch, which have no vectors by layer",
    ),
    (
        "--mixer=dens --model=NeuMF",
        "mixer: got 'dens', but NeuMF scores pairs, and has no vectors to be mixed",
    ),
    (
        "--mixer=dens --model=NGCF",
        "mixer: got 'dens', but NGCF has no vectors by layer that are known here; allowed is mixer",
    ),
    ("--mixer=dens --model=MultiDAE", "neg_sampler: got 'rns', but MultiDAE trains without"),
    ("--mixer_args.alpha=1", "mixer_args: got {'alpha': 1}, but they act only with a mixer; name"),
    ("--mixer=dens --mixer_args.gama=1", "mixer_args.gama: no such parameter; did you mean 'gamm"),
    ("--mixer=dins --mixer_args.alpha=0", "mixer_args.alpha: got 0"),
    ("--mixer=dins --alpha=2", "did you mean 'mixer_args.alpha', a parameter of dins?"),
    ("--mixing=dins", "did you mean 'mixer'?"),
    ("--dens.gamma=2", "in a run a parameter of dens is written 'mixer_args.KEY', with mixer: d"),
]


@pytest.mark.parametrize(("words", "sentence"), REFUSED)
def test_what_a_mixer_cannot_be_with_is_refused_before_the_data_are_read(
    in_tmp: Path, capsys: pytest.CaptureFixture[str], words: str, sentence: str
) -> None:
    assert_refused(words, sentence, in_tmp, capsys)


def test_a_subclass_of_lightgcn_has_layers_of_its_own_if_any(make: Make) -> None:
    from recbole.model.general_recommender import BPR, LightGCN

    with pytest.raises(UsageError, match="but Theirs has no vectors by layer that are known"):
        make(type("Theirs", (LightGCN,), {}), mixer="dens")
    assert make(type("Theirs", (BPR,), {}), mixer="dens")["loss"] == "kpair"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"mixer": "dens"}, ("rns", "kpair", "dens", 1)),
        ({"mixer": "DENS", "neg_sampler": "dns"}, ("dns", "kpair", "dens", 1)),
        ({"mixer": "dens", "loss": "ssm"}, ("rns", "ssm", "dens", 1)),
        ({"mixer": "dens", "loss": "ssm", "neg_sample_num": 4}, ("rns", "ssm", "dens", 4)),
        ({"mixer": "none"}, ("bns", "model", "none", 1)),
        ({"mixer": None, "loss": "ssm"}, ("bns", "ssm", "none", 64)),
    ],
    ids=str,
)
def test_what_is_not_said_is_the_mixers(
    make: Make, given: Settings, expected: tuple[Any, ...]
) -> None:
    config = make("BPR", **given)
    keys = ("neg_sampler", "loss", "mixer", "neg_sample_num")
    assert tuple(config[key] for key in keys) == expected
    again = BNSConfig("BPR", "tiny", None, {**given, "data_path": config["data_path"]})
    assert again["train_neg_sample_args"]["sample_num"] == expected[3]


# --- Going on ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("BPR", {"mixer": "dens", "mixer_args.warmup": 4, "neg_sampler": "dns"}),
        ("LightGCN", {"mixer": "mixgcf", "mixer_args.candidate_num": 4, "neg_sample_num": 2}),
    ],
    ids=lambda each: each if isinstance(each, str) else each["mixer"],
)
def test_a_run_with_a_mixer_goes_on_bit_for_bit(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    given: Settings,
) -> None:
    own = {**settings, "epochs": 4, **given}
    result = run_recbole_bns(model, "tiny", None, own, out=tmp_path / "whole")
    with monkeypatch.context() as patch:
        die_at(patch, 2, "batch")
        with pytest.raises(Killed):
            run_recbole_bns(model, "tiny", None, own, out=tmp_path / "ended")
    run_recbole_bns(resume=tmp_path / "ended")
    assert_same(tmp_path / "whole", tmp_path / "ended")
    assert result["mixer"] == given["mixer"]
    assert (
        result["mixer_args"].keys() == mixers()[given["mixer"]].Params.__dataclass_fields__.keys()
    )


def test_gates_are_trained_kept_and_loaded(settings: Settings, tmp_path: Path) -> None:
    own = {**settings, "mixer": "dens", "learning_rate": 0.01}
    result = run_recbole_bns("BPR", "tiny", None, own, out=tmp_path / "run")
    state = checkpoint.load(result["checkpoint"])
    kept = {name: w for name, w in state["state_dict"].items() if "mixer_of" in name}
    assert len(kept) == 8
    fresh = make_model(
        config := BNSConfig("BPR", "tiny", None, own), open_data(config).parts["train"]
    )
    held = load(tmp_path / "run").model
    for name, weight in kept.items():
        assert float((weight - fresh.state_dict()[name]).abs().max()) > 1e-3, "it has been trained"
        assert torch.equal(held.state_dict()[name], weight)
    with pytest.raises(UsageError, match="its mixer is 'dens', wanted is 'none'"):
        checkpoint.check(state, "x.pt", replace_mixer(own), "begin anew")
    assert "-rns+kpair+dens-" in str(named_folder(config))
    with pytest.raises(UsageError, match=r"has mixer_args\.gamma 0\.3, got 0\.5"):
        run_recbole_bns(
            "BPR", "tiny", None, {**own, "mixer_args.gamma": 0.5}, resume=tmp_path / "run"
        )


def replace_mixer(own: Settings) -> Any:
    return BNSConfig(
        "BPR", "tiny", None, {**own, "mixer": "none", "loss": "kpair", "neg_sampler": "rns"}
    )


def named_folder(config: Any) -> Path:
    from recbole_bns.runs.folder import make_folder

    folder = make_folder(None, config)
    folder.rmdir()
    return folder


# --- Who looks on ------------------------------------------------------------------------------


def test_the_recorder_is_told_what_negatives_were_made_of(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "EVERY", 1)
    given = {"mixer": "mixgcf", "mixer_args.candidate_num": 4, "neg_sample_num": 2, "epochs": 1}
    config = make("LightGCN", n_layers=2, neg_record=True, **given)
    train, valid, _ = prepare(config)
    model = build_model(config, train)
    trainer = get_trainer(config["MODEL_TYPE"], "LightGCN")(config, model)
    made: list[Any] = []
    forward = type(model.mixer_of_negatives).forward

    def watched(self: Any, batch: Any) -> Any:
        made.append(forward(self, batch))
        return made[-1]

    monkeypatch.setattr(type(model.mixer_of_negatives), "forward", watched)
    trainer.fit(train, valid, saved=False)
    trainer.tensorboard.close()
    ids = torch.cat([each.ids.flatten() for each in made])
    (row,) = train.recorder.rows
    assert row["negatives"] == row["scored"] == len(ids)
    assert torch.equal(train.recorder.draws, torch.bincount(ids, minlength=61))
    assert len(ids) == 2 * 3 * sum(len(each.ids) for each in made)
    hard = row["true_negative_rate"], row["informativeness"]
    assert all(-1 < value < 1 for value in hard)


def test_a_recorder_changes_nothing_that_a_mixer_does(make: Make) -> None:
    parts = opened(make, {}).parts
    weights = []
    for record in (False, True):
        config = make("LightGCN", mixer="dens", neg_record=record, epochs=1)
        train = make_loaders(config, {p: parts[p] for p in ("train", "test")})["train"]
        trainer = get_trainer(config["MODEL_TYPE"], "LightGCN")(
            config, make_model(config, train._dataset)
        )
        trainer.fit(train, saved=False)
        trainer.tensorboard.close()
        weights.append(trainer.model.state_dict())
    assert all(torch.equal(weights[0][name], weight) for name, weight in weights[1].items())


def test_processes_draw_apart(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from recbole_bns.adapters import many_negatives
    from recbole_bns.adapters.team import Team

    config = make("BPR", mixer="mixgcf")
    train = make_loaders(config, {"train": open_data(config).parts["train"]})["train"]
    model = make_model(config, train._dataset)
    train.get_model(model)
    like, drawn = torch.zeros(1), []
    for rank in (0, 1, 0):
        monkeypatch.setattr(many_negatives, "current", lambda rank=rank: Team(rank, 2))
        model.begin_epoch(1)
        drawn.append(model.mixer_of_negatives.uniform(9, like=like))
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])


# --- RecBole's own calls -----------------------------------------------------------------------

ENABLED = """
import sys
import torch
import recbole_bns
recbole_bns.enable()

from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.trainer import Trainer
from recbole.utils import get_model, init_seed

BASE = {"data_path": sys.argv.pop(), "gpu_id": "", "epochs": 2, "train_batch_size": 256,
        "embedding_size": 8, "state": "ERROR", "show_progress": False, "neg_sampler": "rns"}

def load(model="BPR", **more):
    config = Config(model, "tiny", config_dict={**BASE, **more})
    init_seed(config["seed"], True)
    return config, *data_preparation(config, create_dataset(config))

def trainer_of(config, data):
    init_seed(config["seed"], True)
    return Trainer(config, get_model(config["model"])(config, data._dataset))

for model, more, num in (
    ("BPR", {"mixer": "DENS"}, 1),
    ("LightGCN", {"mixer": "mixgcf", "mixer_args": {"candidate_num": 4}, "neg_sample_num": 2}, 2),
    ("BPR", {"mixer": "dens", "loss": "ssm", "neg_sampler": "dns"}, 1),
):
    config, train, _, test = load(model, **more)
    trainer = trainer_of(config, train)
    assert train.neg_sample_num == num, num
    before = {name: w.clone() for name, w in trainer.model.state_dict().items()}
    trainer.fit(train, saved=False)
    for name, weight in trainer.model.state_dict().items():
        assert not torch.equal(before[name], weight), name
    assert 0 < trainer.evaluate(test, load_best_model=False)["recall@10"] < 1

config, train, valid, test = load(mixer="dens")
trainer = trainer_of(config, train)
trainer.fit(train, valid)
again = trainer_of(config, train)
again.resume_checkpoint(trainer.saved_model_file)
name = "mixer_of_negatives.of_user.weight"
assert torch.equal(again.model.state_dict()[name], torch.load(trainer.saved_model_file,
                   weights_only=False)["state_dict"][name])

for more, words in (
    ({"mixer": "dnes"}, "mixer: got 'dnes'"),
    ({"mixer": "dens", "loss": "model"}, "loss: got 'model', but mixer: dens makes vectors"),
    ({"mixer": "dens", "model": "NGCF"}, "NGCF has no vectors by layer"),
    ({"mixer_args": {"gamma": 1}}, "they act only with a mixer"),
):
    try:
        config, train, *_ = load(**more)
        trainer_of(config, train).fit(train, saved=False)
    except recbole_bns.UsageError as error:
        assert words in str(error), error
    else:
        raise AssertionError(more)
"""

BEFORE = """
import sys
import torch
import recbole_bns
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.trainer import Trainer
from recbole.utils import get_model, init_seed

recbole_bns.adapters = __import__("recbole_bns.adapters.mends", fromlist=["mend"])
recbole_bns.adapters.mend()
config = Config("BPR", "tiny", config_dict={
    "data_path": sys.argv.pop(), "gpu_id": "", "epochs": 2, "train_batch_size": 256,
    "mixer": "dens",
    "embedding_size": 8, "state": "ERROR", "show_progress": False, "neg_sampler": "rns"})
data = create_dataset(config)
model = get_model("BPR")(config, data)
trainer = Trainer(config, model)
recbole_bns.enable()
init_seed(1, True)
train, *_ = data_preparation(config, data)
trainer.fit(train, saved=False)
gate = trainer.model.mixer_of_negatives.of_user.weight
assert gate.grad is not None
known = {id(w) for group in trainer.optimizer.param_groups for w in group["params"]}
assert all(id(w) in known for w in model.parameters()), "a gate is not trained"
"""


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("script", [ENABLED, BEFORE], ids=["after", "before"])
def test_recboles_own_calls_train_with_a_mixer(data_path: Path, in_tmp: Path, script: str) -> None:
    run_fresh(script, in_tmp, str(data_path))
