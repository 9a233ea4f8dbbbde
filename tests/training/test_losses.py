"""Trainings with a loss over many negatives: what they come to, go on with, and refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from test_resume import Killed, assert_same, die_at
from tiny import LOSS, WITH_FEATURES, Settings, assert_refused, build_model, prepare, run_quickly

from recbole_bns import BNSConfig, UsageError, get_trainer, run_recbole_bns
from recbole_bns.adapters.acting import remarks
from recbole_bns.adapters.models import make_model
from recbole_bns.adapters.split import open_data, pairs_of
from recbole_bns.losses import available as losses
from recbole_bns.runs import checkpoint
from recbole_bns.sampling import available as samplers
from recbole_bns.training.loaders import make_loaders
from recbole_bns.training.model import Model
from recbole_bns.training.trained import load
from recbole_bns.training.trainer import TrainerMixin

pytestmark = pytest.mark.filterwarnings(
    "ignore:torch.sparse.SparseTensor:UserWarning",
    "ignore:enable_nested_tensor is True:UserWarning",
)

Make = Callable[..., Any]
OUR_SAMPLERS = [name for name, cls in samplers().items() if "recbole_bns." in cls.__module__]
OUR_LOSSES = [name for name, cls in losses().items() if "recbole_bns." in cls.__module__]
FEW: dict[str, Settings] = {
    "srns": {"neg_sampler_args.memory_num": 12, "neg_sampler_args.new_num": 4},
    "ahns": {"neg_sampler_args.candidate_num": 4},
    "bns_plus": {"neg_sampler_args.candidate_num": 4},
}


def weights_of(config: Any, watch: list[Any] | None = None) -> dict[str, torch.Tensor]:
    """Weights after a training without validation."""
    loaders = make_loaders(config, open_data(config))
    model = make_model(config, loaders["train"]._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.fit(loaders["train"], saved=False)
    trainer.tensorboard.close()
    if watch is not None:
        watch.extend(report.train_loss for report in trainer.reports)
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], **to: Any) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], **to)


# --- One loss is another -----------------------------------------------------------------------


@pytest.mark.parametrize("reg_weight", [0.0, 0.05])
@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
def test_ssm_of_one_negative_trains_what_bpr_trains(
    make: Make, model: str, reg_weight: float
) -> None:
    given = {"neg_sampler": "dns", "neg_sample_num": 1, "reg_weight": reg_weight}
    given |= {"learning_rate": 0.01, "loss_similarity": "dot"}
    bpr = weights_of(make(model, loss="bpr", **given))
    ssm = weights_of(make(model, loss="ssm", **{"loss_args.temperature": 1}, **given))
    fresh = build_model(config := make(model, **given, loss="bpr"), prepare(config)[0])
    for name, weight in fresh.named_parameters():
        assert (bpr[name] - weight).abs().max() > 0.02, "the weights have been trained"
    assert_close(ssm, bpr, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize("reg_weight", [0.0, 0.05])
def test_bpr_is_recboles_own_loss_but_for_its_small_number(
    make: Make, reg_weight: float, num: int
) -> None:
    given = {"neg_sampler": "rns", "neg_sample_num": num, "reg_weight": reg_weight}
    own, ours = [], []
    stock = weights_of(make("BPR", learning_rate=0.01, **given), own)
    many = weights_of(make("BPR", learning_rate=0.01, loss="bpr", **given), ours)
    assert ours == pytest.approx(own, rel=1e-5)
    assert_close(many, stock, rtol=1e-4, atol=1e-5)


# --- All of them train -------------------------------------------------------------------------


@pytest.mark.parametrize("loss", OUR_LOSSES)
def test_every_loss_trains_by_its_name_alone(make: Make, loss: str) -> None:
    config = make("LightGCN", loss=loss, epochs=1)
    assert config["neg_sampler"] == "bns"
    assert config["neg_sample_num"] == losses()[loss].negatives
    values: list[float] = []
    weights = weights_of(config, values)
    assert all(bool(value.isfinite().all()) for value in weights.values())
    assert 0 < values[0] < 100


@pytest.mark.parametrize("shared", [False, True])
def test_the_temperature_of_the_catalogue_is_said_and_trained_with(
    make: Make, caplog: pytest.LogCaptureFixture, shared: bool
) -> None:
    given = {"neg_sampler": "rns", "neg_shared": shared, "loss": "ssm", "epochs": 1}
    with caplog.at_level("INFO"):
        auto = weights_of(make("BPR", **given, **{"loss_args.temperature": "auto"}))
    assert "loss ssm: temperature is 0.25, decided by the catalogue" in caplog.text
    assert_close(
        auto, weights_of(make("BPR", **given, **{"loss_args.temperature": 0.25})), rtol=0, atol=0
    )
    other = weights_of(make("BPR", **given, **{"loss_args.temperature": 0.2}))
    assert any(not torch.equal(value, other[name]) for name, value in auto.items())


CELLS = [
    *((name, False) for name in OUR_SAMPLERS),
    *((name, True) for name in ("rns", "pns", "mixed")),
]


@pytest.mark.parametrize(("sampler", "shared"), CELLS)
def test_every_sampler_draws_for_a_loss(make: Make, sampler: str, shared: bool) -> None:
    given = {"loss": "ssm", "neg_sample_num": 6, "epochs": 1, **FEW.get(sampler, {})}
    given = {**LOSS.get(sampler, {}), **given}
    config = make("BPR", neg_sampler=sampler, neg_shared=shared, **given)
    train = prepare(config)[0]
    train.get_model(build_model(config, train))
    rows = next(iter(train))
    users, ids = rows["user_id"], rows["neg_item_id"]
    count = {"inbatch": len(users), "all": 60}.get(sampler, 6)
    assert ids.shape == (256, count)
    catalogue = train._sampler.core.catalogue
    met = catalogue.is_positive(users.unsqueeze(1), ids)
    assert bool(met.any()) is (shared or sampler in {"inbatch", "all"})
    assert all(bool(value.isfinite().all()) for value in weights_of(config).values())


SEQUENCES: Settings = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "MAX_ITEM_LIST_LENGTH": 5,
    "hidden_size": 8,
}


@pytest.mark.parametrize(
    ("model", "own", "given"),
    [
        ("SASRec", SEQUENCES, {"loss": "gbce"}),
        ("SASRec", SEQUENCES, {"loss": "ssm", "neg_sampler": "rns", "neg_shared": True}),
        ("SASRec", SEQUENCES, {"loss": "bce", "neg_sampler": "inbatch"}),
        ("GRU4Rec", SEQUENCES, {"loss": "bce", "neg_sampler": "dns"}),
        ("GRU4Rec", SEQUENCES, {"loss": "ssm", "loss_weight": "posterior"}),
        ("GRU4Rec", SEQUENCES, {"loss": "gbce", "neg_sampler": "pns", "neg_shared": True}),
        ("NeuMF", {}, {"loss": "bce"}),
        ("NeuMF", {}, {"loss": "ssm", "neg_sampler": "rns", "neg_shared": True}),
        ("NeuMF", {}, {"loss": "slk", "loss_args.refresh_every": 1, "epochs": 2}),
        ("FM", WITH_FEATURES, {"loss": "bce", "neg_sampler": "dns"}),
        ("FM", WITH_FEATURES, {"loss": "ssm", "neg_sampler": "rns", "neg_shared": True}),
    ],
)
def test_models_that_score_by_rows_train(
    settings: Settings, tmp_path: Path, model: str, own: Settings, given: Settings
) -> None:
    base = {key: value for key, value in settings.items() if key != "embedding_size"}
    more = {"epochs": 1, "neg_sample_num": 5, **own, **given}
    result = run_recbole_bns(model, "tiny", None, {**base, **more}, out=tmp_path / "run")
    assert 0 < result["test_result"]["recall@20"] <= 1


# --- Evaluation, predict, export ---------------------------------------------------------------


@pytest.mark.parametrize("scored", ["cosine", "dot"])
@pytest.mark.parametrize("model", ["BPR", "LightGCN"])
def test_evaluation_predict_and_export_compare_alike(
    settings: Settings, tmp_path: Path, model: str, scored: str
) -> None:
    given = {**settings, "loss": "ssm", "neg_sampler": "rns", "neg_sample_num": 8}
    given |= {"score_similarity": scored, "learning_rate": 0.02, "epochs": 3}
    result = run_recbole_bns(model, "tiny", None, given, out=tmp_path / "run")
    trained = load(tmp_path / "run")
    served = Model(trained)
    users, items = (
        torch.from_numpy(table.to_numpy()) for table in (served.user_vectors, served.item_vectors)
    )
    assert (abs(float(users.norm(dim=1).std())) < 1e-5) is (scored == "cosine")
    products = users @ items.T
    with torch.no_grad():
        rows = {"user_id": torch.arange(1, 41)}
        from recbole.data.interaction import Interaction

        ranked = trained.model.full_sort_predict(Interaction(rows)).view(40, -1)[:, 1:]
    torch.testing.assert_close(products, ranked, rtol=1e-5, atol=1e-6)

    table = served.recommend(k=5, exclude="none")
    for number, user in enumerate(served.users):
        mine = table[table["user_id"] == user]
        best = products[number].topk(5)
        assert list(mine["item_id"]) == [served.items[place] for place in best.indices]
        assert list(mine["score"]) == pytest.approx(best.values.tolist(), abs=1e-5)

    hits, recalls = trained.parts, []
    for phase in ("train", "valid"):
        known = pairs_of([hits[phase]])
        products[known[0] - 1, known[1] - 1] = float("-inf")
    wanted = pairs_of([hits["test"]])
    best_ten = products.topk(10).indices + 1
    for user in wanted[0].unique():
        liked = wanted[1][wanted[0] == user]
        recalls.append(float(torch.isin(best_ten[user - 1], liked).sum()) / len(liked))
    found = sum(recalls) / len(recalls)
    assert result["test_result"]["recall@10"] == pytest.approx(found, abs=1e-6)


# --- What is refused ---------------------------------------------------------------------------

REFUSED: list[tuple[str, str]] = [
    (
        "--model=MultiDAE --loss=ssm --neg_sampler=none",
        "loss: got 'ssm', but neg_sampler 'none' is RecBole's own sampling",
    ),
    ("--model=MultiDAE --loss=ssm", "neg_sampler: got 'bns', but MultiDAE trains without"),
    (
        "--model=NCL --loss=ssm",
        "loss: got 'ssm', but NCL has neither vectors nor pair scores that are known here",
    ),
    (
        "--model=NGCF --loss=ssm",
        "loss: got 'ssm', but NGCF has neither vectors nor pair scores that are known here",
    ),
    (
        "--model=NeuMF --loss=ssm --loss_similarity=cosine",
        "loss_similarity: got 'cosine', but NeuMF has no vectors of its own to compare",
    ),
    (
        "--model=NeuMF --loss=bce --score_similarity=cosine",
        "score_similarity: got 'cosine', but NeuMF has no vectors of its own to compare",
    ),
    (
        "--loss=ssm --neg_sampler=dns --neg_shared",
        "neg_shared: got True, but neg_sampler 'dns' draws for each positive; allowed with all,",
    ),
    (
        "--loss=gbce --loss_log_q=corrected",
        "loss_log_q: got 'corrected', which the loss 'gbce' has no form for; allowed: none.",
    ),
    (
        "--loss=ssm --neg_sampler=dns --loss_log_q=both",
        "loss_log_q: neg_sampler 'dns' does not know how likely its draws are; allowed with it is "
        "none (given, inbatch, mixed, pns, rns know).",
    ),
    (
        "--model=SASRec --loss=slk --neg_sampler=rns",
        "loss: got 'slk', which looks at scores between batches, but SASRec scores by the rows",
    ),
    (
        "--model=SASRec --loss=gbce --neg_sampler=rns --loss_type=CE",
        "loss_type: got 'CE', but loss: gbce takes its place; leave one of them out.",
    ),
    ("--loss=smm", "loss: got 'smm'; did you mean 'ssm'?; allowed: model, bce, "),
    ("--loss=none", "loss: got 'none'; allowed: model, bce, "),
    (
        "--loss=ssm --neg_sampler=inbatch --train_batch_size=1",
        "train_batch_size: got 1, but neg_sampler 'inbatch' makes a batch's list of its own rows",
    ),
    (
        "--loss=ssm --loss_args.temprature=1",
        "loss_args.temprature: no such parameter; did you mean",
    ),
    (
        "--loss=bpr --loss_args.temperature=1",
        "loss_args.temperature: no such parameter; allowed with loss bpr: no parameter at all.",
    ),
    ("--loss=ssm --loss_args.temperature=0", "loss_args.temperature: got 0"),
    *(
        (
            f"{words} --loss_args.temperature=auto",
            "loss_args.temperature: got 'auto', which is laid for scores of the similarity "
            "'cosine', but they are of 'dot' here (loss_similarity); write a number (without "
            "temperature: 0.2).",
        )
        for words in ("--loss=ssm --loss_similarity=dot", "--model=NeuMF --loss=ssm")
    ),
    ("--loss=ssm --loss_similarity=euclid", "loss_similarity: got 'euclid', allowed is one of"),
    (
        "--loss=ssm --score_similarity=cos",
        "score_similarity: got 'cos'; did you mean 'cosine'?, allowed",
    ),
    (
        "--loss=ssm --loss_weight=prior",
        "loss_weight: got 'prior'; did you mean 'posterior'?, allowed",
    ),
    ("--loss=ssm --loss_weight_args.gamma=1", "loss_weight_args: it needs loss_weight: posterior"),
    (
        "--loss=ssm --loss_weight=posterior --loss_weight_args.prio=ease",
        "loss_weight_args.prio: no such parameter; did you mean 'prior'?",
    ),
    (
        "--loss=ssm --loss_weight=posterior --loss_weight_args.gamma={start:1,step:-1}",
        "loss_weight_args.gamma",
    ),
    *(
        (f"--{key}={value}", f"{key}: got {value!r}, but it acts only with a loss over many")
        for key, value in (
            ("loss_similarity", "cosine"),
            ("score_similarity", "dot"),
            ("loss_log_q", "both"),
            ("loss_weight", "posterior"),
        )
    ),
    ("--neg_sampler=rns --neg_shared", "neg_shared: got True, but it acts only with a loss"),
    ("--loss_mask=False", "loss_mask: got False, but it acts only with a loss over many"),
    ("--loss_args.temperature=1", "loss_args: got {'temperature': 1}, but it acts only with"),
    ("--loss_weight_args.gamma=1", "loss_weight: got"),
    ("--neg_sampler=none --loss=ssm", "loss: got 'ssm', but neg_sampler 'none' is RecBole's own"),
    (
        "--neg_sampler=all",
        "neg_sampler 'all' needs a loss over many negatives, such as --loss=ssm; allowed without",
    ),
]


@pytest.mark.parametrize(("words", "sentence"), REFUSED)
def test_what_cannot_be_is_refused_before_the_data_are_read(
    in_tmp: Path, capsys: pytest.CaptureFixture[str], words: str, sentence: str
) -> None:
    assert_refused(f"--epochs=3 {words}", sentence, in_tmp, capsys)


def test_a_list_without_a_law_is_refused_before_the_training(make: Make) -> None:
    config = make("BPR", neg_sampler="all", loss="ssm", loss_log_q="negatives")
    with pytest.raises(UsageError, match="neg_sampler 'all' does not know how likely its draws"):
        prepare(config)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"neg_sampler": "rns", "loss_mask": False}, "loss_mask has no effect here: neg_sampler"),
        ({"neg_sampler": "inbatch", "neg_sample_num": 7}, "neg_sample_num has no effect here: a"),
        ({"neg_sampler": "rns", "require_pow": True}, "require_pow has no effect here: the L2"),
        ({"neg_sampler": "rns", "neg_shared": True, "neg_sample_num": 7, "loss_mask": False}, ""),
        ({"neg_sampler": "inbatch", "loss_mask": False}, ""),
        ({"neg_sampler": "rns", "loss": "model", "neg_sample_num": 7, "require_pow": True}, ""),
    ],
)
def test_a_setting_that_a_loss_or_its_list_switches_off_is_named(
    make: Make, given: Settings, sentence: str
) -> None:
    found = list(remarks(make("LightGCN", **{"loss": "ssm", **given})))
    assert len(found) == bool(sentence), found
    assert all(each.startswith(sentence) for each in found)


def test_the_optimiser_of_sparse_gradients_is_refused_for_dense_ones(make: Make) -> None:
    config = make("BPR", learner="sparse_adam", neg_sampler="rns", loss="ssm")
    model = build_model(config, prepare(config)[0])
    trainer = get_trainer(config["MODEL_TYPE"], "BPR")
    with pytest.raises(UsageError, match="learner: got 'sparse_adam', which trains tables with"):
        trainer(config, model)
    model.user_embedding.sparse = model.item_embedding.sparse = True
    trainer(config, model).tensorboard.close()


# --- Going on ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"loss": "slk", "loss_args.refresh_every": 1, "neg_sampler": "dns", "neg_sample_num": 4},
        {"loss": "ssm", "neg_sampler": "mixed", "neg_shared": True, "score_similarity": "dot"},
    ],
    ids=lambda given: given["loss"],
)
def test_a_run_goes_on_bit_for_bit(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Settings
) -> None:
    own = {**settings, "epochs": 5, **given}

    def run(folder: Path) -> None:
        run_recbole_bns("BPR", "tiny", None, own, out=folder)

    run(tmp_path / "whole")
    with monkeypatch.context() as patch:
        die_at(patch, 3, "batch")
        with pytest.raises(Killed):
            run(tmp_path / "ended")
    run_recbole_bns(resume=tmp_path / "ended")
    assert_same(tmp_path / "whole", tmp_path / "ended")
    state = checkpoint.load(tmp_path / "whole" / "checkpoints" / "best.pt")["state_dict"]
    if given["loss"] == "slk":  # its state is empty in a model that has not been trained
        quantile = state["over_negatives.quantile"]
        assert len(quantile) == 41
        assert float(quantile[1:].std()) > 0
        trained = load(tmp_path / "whole")
        assert torch.equal(trained.model.over_negatives.quantile, quantile)


def test_the_best_weights_may_be_of_an_epoch_before_the_state(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first estimate comes after the best epoch, whose checkpoint has none."""
    given = {"loss": "slk", "neg_sampler": "rns", "loss_args.refresh_every": 2, "epochs": 4}
    own = {**settings, **given, "neg_sample_num": 4}
    known = TrainerMixin._valid_epoch

    def worse(self: Any, *args: Any, **kwargs: Any) -> Any:
        return -self._epoch, known(self, *args, **kwargs)[1]

    monkeypatch.setattr(TrainerMixin, "_valid_epoch", worse)
    result = run_recbole_bns("BPR", "tiny", None, own, out=tmp_path / "run")
    state = checkpoint.load(result["checkpoint"])["state_dict"]
    assert (result["best_epoch"], result["epochs"]) == (1, 4)
    assert len(state["over_negatives.quantile"]) == 0
    assert len(load(tmp_path / "run").model.over_negatives.quantile) == 0


# --- Weights -----------------------------------------------------------------------------------


def test_weights_load_the_column_of_their_prior_and_the_oracles_say_what_they_see(
    settings: Settings, tmp_path: Path
) -> None:
    given = {**settings, "epochs": 1, "neg_sampler": "rns", "loss": "ssm", "neg_sample_num": 4}
    given["loss_weight"] = "posterior"
    labels = {}
    for prior in ("occupation", "oracle", "ease"):
        own = {**given, "loss_weight_args.prior": prior}
        result = run_recbole_bns("BPR", "tiny", None, own, out=tmp_path / prior)
        labels[prior] = result["neg_sampler_label"]
    assert labels == {
        "occupation": "rns",
        "ease": "rns",
        "oracle": "rns (oracle weights: see test labels)",
    }
    for prior, words in (
        ("job", r"loss_weight_args\.prior: 'job' is no column of the"),
        ("no.npy", r"loss_weight_args\.prior: cannot read 'no\.npy'"),
    ):
        own = {**given, "loss_weight_args.prior": prior}
        with pytest.raises(UsageError, match=words):
            run_recbole_bns("BPR", "tiny", None, own, out=tmp_path / "refused" / prior)


def test_a_folder_that_names_itself_says_that_weights_see_test_labels(
    settings: Settings, in_tmp: Path
) -> None:
    from recbole_bns.runs.folder import make_folder

    own = {
        **settings,
        "loss": "ssm",
        "loss_weight": "posterior",
        "loss_weight_args.prior": "oracle",
    }
    config = BNSConfig("BPR", "tiny", None, own)
    assert "-oracle-sees-test-labels-" in make_folder(None, config).name


# --- RecBole's own calls -----------------------------------------------------------------------

ENABLED = """
import sys
import torch
import recbole_bns
from recbole_bns import UsageError
recbole_bns.enable()

from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.dataloader import TrainDataLoader
from recbole.utils import get_model, get_trainer, init_seed
import recbole.data.utils as host

BASE = {"data_path": sys.argv.pop(), "gpu_id": "", "epochs": 2, "train_batch_size": 256,
        "embedding_size": 8, "state": "ERROR", "show_progress": False, "neg_sampler": "rns"}

def load(model="BPR", **more):
    config = Config(model, "tiny", config_dict={**BASE, **more})
    init_seed(config["seed"], True)
    return config, *data_preparation(config, create_dataset(config))

def train(config, data, *rest):
    init_seed(config["seed"], True)
    model = get_model(config["model"])(config, data._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.fit(data, saved=False)
    return trainer

for model, more, num in (
    ("BPR", {"loss": "SSM", "loss_args": {"temperature": 0.5}}, 64),
    ("LightGCN", {"loss": "ssm", "neg_shared": True, "neg_sample_num": 9}, 9),
    ("NeuMF", {"loss": "bce", "neg_sampler": "RNS", "embedding_size": None}, 64),
    ("SASRec", {"loss": "gbce", "loss_type": "BPR", "embedding_size": None, "neg_sample_num": 3,
                "load_col": {"inter": ["user_id", "item_id", "timestamp"]}}, 3),
):
    loaded = load(model, **more)
    trainer = train(*loaded)
    assert loaded[1].neg_sample_num == num, num
    assert type(trainer.model).__mro__[1].__name__.startswith("Many"), type(trainer.model).__mro__
    assert trainer.model.over_negatives.name == loaded[0]["loss"].lower()
    score = trainer.evaluate(loaded[3], load_best_model=False)["recall@10"]
    assert 0 < score < 1

for more, words in (
    ({"loss": "smm"}, "did you mean 'ssm'"),
    ({"loss": "ssm", "loss_args": {"temprature": 1}}, "loss_args.temprature: no such parameter"),
    ({"loss": "ssm", "loss_similarity": "cos"}, "loss_similarity: got 'cos'"),
    ({"loss": "ssm", "neg_sampler": "dns", "neg_shared": True}, "neg_shared: got True"),
    ({"loss": "ssm", "neg_shared": "no"}, "neg_shared: got 'no', allowed is True or False"),
    ({"loss": "ssm", "neg_sampler": "dns", "loss_log_q": "both"}, "loss_log_q: neg_sampler 'dns'"),
    ({"loss": "ssm", "model": "NGCF"}, "NGCF has neither vectors nor pair scores"),
    ({"loss_args": {"temperature": 1}}, "acts only with a loss over many"),
    ({"neg_sampler": "all"}, "needs a loss over many negatives"),
    ({"neg_sampler": "none", "loss": "ssm"}, "only this package's loader makes"),
):
    try:
        train(*load(**more))
    except UsageError as error:
        assert words in str(error), error
    else:
        raise AssertionError(more)

class Theirs(TrainDataLoader):
    pass

host.get_dataloader = lambda config, phase, chosen=host.get_dataloader: (
    Theirs if phase == "train" else chosen(config, phase))
recbole_bns.enable()
try:
    train(*load(loss="ssm"))
except UsageError as error:
    assert "whose batches only this package's loader makes" in str(error), error
else:
    raise AssertionError
"""


@pytest.mark.slow
@pytest.mark.process
def test_recboles_own_calls_train_with_a_loss(data_path: Path, in_tmp: Path) -> None:
    run_quickly(ENABLED, in_tmp, str(data_path))
