"""Models that score by the rows of a batch: item sequences, features of users and items."""

from __future__ import annotations

import copy
import inspect
from pathlib import Path
from typing import Any

import pytest
import recbole.model.context_aware_recommender as context
import recbole.model.sequential_recommender as sequential
import torch
from recbole.data.interaction import Interaction
from recbole.model.context_aware_recommender import FM
from recbole.model.loss import BPRLoss
from recbole.utils import InputType, get_model
from tiny import WITH_FEATURES, Settings, build_model, prepare

from recbole_bns import BNSConfig, UsageError, get_trainer, run_recbole_bns
from recbole_bns.adapters.checks import known_models
from recbole_bns.adapters.evaluation import PerUserEvaluator
from recbole_bns.adapters.reads import known_keys
from recbole_bns.adapters.scorers import CatalogueScorer, PairScorer, scorer_kind
from recbole_bns.cli import main
from recbole_bns.runs import checkpoint
from recbole_bns.training.state import Keeper

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning")


class PairwiseFM(FM):
    """A context-aware model with the BPR loss, as a user would write it; RecBole has none.

    RecBole's loaders tell the data set of a column ``neg_item_id``, for which its context-aware
    models would make a table; this one does not look at it.
    """

    input_type = InputType.PAIRWISE

    def __init__(self, config: Any, dataset: Any) -> None:
        own = copy.copy(dataset)
        own.field2type = {k: v for k, v in own.field2type.items() if not k.startswith("neg_")}
        super().__init__(config, own)

    def calculate_loss(self, interaction: Any) -> torch.Tensor:
        fields = interaction.interaction
        other = {name: fields.get(f"neg_{name}", value) for name, value in fields.items()}
        return BPRLoss()(self.forward(interaction), self.forward(Interaction(other)))


FULL = {"valid": "full", "test": "full"}
UNI20 = {"valid": "uni20", "test": "uni20"}
SEQUENCES: Settings = {
    "loss_type": "BPR",
    "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "genre"]},
    "MAX_ITEM_LIST_LENGTH": 5,
    "train_batch_size": 300,
    "learning_rate": 0.05,
}
FEATURES: Settings = {
    **WITH_FEATURES,
    "train_batch_size": 300,
    "learning_rate": 0.05,
}
ATTENTION = {"hidden_size": 8, "n_layers": 1, "n_heads": 1, "inner_size": 8}
MODELS: dict[str, tuple[Any, type, Settings]] = {
    "GRU4Rec": ("GRU4Rec", CatalogueScorer, {**SEQUENCES, "hidden_size": 8, "embedding_size": 8}),
    "SASRec": ("SASRec", CatalogueScorer, {**SEQUENCES, **ATTENTION}),
    "SASRecF": (
        "SASRecF",
        CatalogueScorer,
        {**SEQUENCES, **ATTENTION, "selected_features": ["genre"]},
    ),
    "FPMC": ("FPMC", CatalogueScorer, {**SEQUENCES, "embedding_size": 8}),
    "FM": ("FM", PairScorer, FEATURES),
    "PairwiseFM": (PairwiseFM, PairScorer, {**FEATURES, "embedding_size": 8}),
}
"""Model, kind of scorer, settings: the loss of all but FM is pairwise."""
SAMPLERS: dict[str, Settings] = {
    "rns": {},
    "pns": {},
    "inbatch": {},
    "mixed": {},
    "dns": {"candidate_num": 4},
    "aobpr": {"definition": "global", "ranks": "step", "lambda": 5.0},
    "bns": {"candidate_num": 4},
    "ahns": {"candidate_num": 4},
    "srns": {"memory_num": 6, "new_num": 6, "alpha": 0.0},
}


def base(settings: Settings) -> Settings:
    """Settings that models of every kind know."""
    return {key: value for key, value in settings.items() if key != "embedding_size"}


@pytest.fixture
def trained(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """Train an epoch; what the sampler was given and what it drew, checked as it happens."""

    def train(name: str, sampler: str, **args: Any) -> tuple[Any, list[dict[str, Any]]]:
        model_name, kind, own = MODELS[name]
        config = BNSConfig(
            model_name,
            "tiny",
            None,
            {
                **base(settings),
                **own,
                "neg_sampler": sampler,
                "neg_sampler_args": args,
                "epochs": 1,
                "checkpoint_dir": str(tmp_path),
            },
        )
        loader = prepare(config)[0]
        if isinstance(model_name, str):
            model = build_model(config, loader)
        else:
            model = model_name(config, loader._dataset)
        seen: list[dict[str, Any]] = []
        core, columns = loader._sampler.core, loader._sampler.columns
        inner = loader._sampler.sample

        def sample(users: Any, items: Any, num: int, rows: Any = None) -> Any:
            entry = {"users": users, "items": items, "rows": rows}
            if len(seen) < 2 and core.scorer_needed() is not None:
                entry["scores"] = every_score(model, columns, rows, users)
            seen.append(entry)
            entry["ids"] = inner(users, items, num, rows)
            return entry["ids"]

        def kept(key: str, of: Any) -> None:
            known = getattr(of, key)

            def call(self: Any, *given: Any) -> Any:
                found = known(self, *given)
                seen[-1].setdefault(key, []).append((given, found))
                return found

            monkeypatch.setattr(of, key, call)

        assert scorer_kind(type(model)) is kind
        for key in ("pairs", "catalogue", "block"):
            kept(key, kind)
        if hasattr(core, "propose"):
            kept("propose", type(core))
            known = type(core).choose

            def choose(self: Any, candidates: Any, scores: Any, *rest: Any) -> Any:
                seen[-1]["chosen from"] = candidates, scores
                return known(self, candidates, scores, *rest)

            monkeypatch.setattr(type(core), "choose", choose)
        monkeypatch.setattr(loader._sampler, "sample", sample)
        before = {k: v.clone() for k, v in model.state_dict().items()}
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
        trainer.fit(loader, saved=False)
        trainer.tensorboard.close()
        moved = [not torch.equal(before[k], v) for k, v in model.state_dict().items()]
        assert sum(moved) > len(moved) / 2
        assert trainer.reports[0].train_loss > 0
        assert_legal(loader, seen)
        return core, seen

    return train


def every_score(model: Any, columns: Any, rows: Any, users: Any) -> Any:
    """Scores (B, 61) by ``predict``, an item at a time; column 0 means nothing."""
    flags = [(module, module.training) for module in model.modules()]
    model.eval()
    found = [torch.zeros(len(users))]
    with torch.no_grad():
        for item in range(1, 61):
            fields = dict(rows.interaction)
            if columns.item_features is not None:
                for name, values in columns.item_features.interaction.items():
                    fields[name] = values[item].expand(len(users), *values.shape[1:])
            fields["item_id"] = torch.full_like(users, item)
            found.append(model.predict(Interaction(fields)).reshape(-1))
    for module, flag in flags:
        module.training = flag
    return torch.stack(found, 1)


def assert_legal(loader: Any, seen: list[dict[str, Any]]) -> None:
    """No id is padding, or an item of the user in training, its sequence's included."""
    feat = loader._dataset.inter_feat
    known = {(int(u), int(i)) for u, i in zip(feat["user_id"], feat["item_id"], strict=True)}
    for name in {"item_id_list"} & set(feat.interaction):
        for user, past in zip(feat["user_id"], feat[name], strict=True):
            known |= {(int(user), item) for item in past.tolist() if item}
    assert len(seen) == len(loader)
    for entry in seen:
        ids = entry["ids"]
        assert ids.dtype == torch.int64
        assert ids.shape == (len(entry["users"]), 1)
        assert 1 <= int(ids.min()) <= int(ids.max()) <= 60
        drawn = zip(entry["users"].tolist(), ids.view(-1).tolist(), strict=True)
        assert not known & set(drawn)


QUICK = ("SASRec", "PairwiseFM")
CASES = [
    pytest.param(
        name,
        sampler,
        marks=[] if name in QUICK or sampler in {"rns", "dns"} else pytest.mark.slow,
        id=f"{name}-{sampler}",
    )
    for name in MODELS
    for sampler in SAMPLERS
]


@pytest.mark.parametrize(("name", "sampler"), CASES)
def test_negatives_are_legal_and_chosen_by_the_models_scores(trained, name, sampler):
    core, seen = trained(name, sampler, **SAMPLERS[sampler])
    close = {"rtol": 1e-4, "atol": 1e-5}
    looks = [entry for entry in seen if "scores" in entry]
    assert len(looks) == (2 if core.scorer_needed() else 0)
    assert any("pairs" in e or "catalogue" in e or "block" in e for e in seen) == bool(looks)
    for entry in looks:
        scores = entry["scores"]
        assert scores[:, 1:].std() > 1e-4, "the scores tell nothing apart"
        for (_, items), found in entry.get("pairs", []):
            mine = scores.gather(1, items)
            torch.testing.assert_close(found.where(items > 0, mine), mine, **close)
        for _, found in entry.get("catalogue", []):
            torch.testing.assert_close(found[:, 1:], scores[:, 1:], **close)
        for (_, items), found in entry.get("block", []):
            torch.testing.assert_close(found, scores[:, items], **close)
        for _, candidates in entry.get("propose", []):
            assert (candidates.squeeze(1) == entry["ids"]).any(1).all(), "not a candidate"
            mine = scores.gather(1, candidates.squeeze(1))
            chosen = scores.gather(1, entry["ids"])
            if sampler == "dns":
                torch.testing.assert_close(chosen, mine.amax(1, keepdim=True), **close)
                assert (mine.amax(1) > mine.amin(1)).float().mean() > 0.5
        if sampler == "aobpr":
            taken = core.catalogue.positive_mask(entry["users"])
            taken[:, 0] = True
            free = scores.masked_fill(taken, float("-inf"))
            rank = (free > scores.gather(1, entry["ids"])).sum(1)
            assert rank.float().mean() < 10, "of 38 to 59, at lambda 5"


@pytest.mark.parametrize("name", ["GRU4Rec", "SASRecF", "FM", "PairwiseFM"])
@pytest.mark.parametrize(
    ("sampler", "args", "sentence"),
    [
        (
            "srns",
            {},
            "neg_sampler: it needs scores outside of a batch, but {model} scores by the "
            "rows of a batch .*, or srns with neg_sampler_args.alpha: 0",
        ),
        (
            "aobpr",
            {"definition": "global"},
            "neg_sampler: it needs scores outside of a batch, but "
            "{model} scores by the rows of a batch .*aobpr with neg_sampler_args.ranks: step",
        ),
        (
            "aobpr",
            {},
            r"neg_sampler 'aobpr' needs user and item vectors, which {model} does not "
            r"have.* \(aobpr works with neg_sampler_args.definition: global\)",
        ),
    ],
)
def test_what_needs_more_is_refused_with_what_works(trained, name, sampler, args, sentence):
    with pytest.raises(UsageError, match=sentence.format(model=name)):
        trained(name, sampler, **args)


def test_recboles_context_aware_models_are_all_pointwise():
    found = {name for name in vars(context) if name in known_models()}
    assert "FM" in found
    for name in found - {"XGBoost", "LightGBM"}:
        assert get_model(name).input_type == InputType.POINTWISE


@pytest.mark.parametrize("name", ["SASRecF", "FM"])
def test_a_run_tests_the_weights_that_it_kept(settings, tmp_path, name, monkeypatch):
    """SASRecF counts its feature tables among its 'other parameters': modules, not values."""
    given = {**base(settings), **MODELS[name][2], "neg_sampler": "bns"}
    trainers: list[Any] = []
    monkeypatch.setattr(Keeper, "finish", lambda self: trainers.append(self.trainer))
    tested: list[Any] = []
    known = PerUserEvaluator.evaluate
    monkeypatch.setattr(
        PerUserEvaluator, "evaluate", lambda *given: tested.append(given) or known(*given)
    )
    result = run_recbole_bns(name, "tiny", None, given, out=tmp_path / "run")
    assert len(tested) == result["epochs"] + 1, "validated after each epoch, tested once"
    assert 0 < result["test_result"]["ndcg@20"] < 1
    model = trainers[0].model
    best = checkpoint.load(result["checkpoint"])
    assert all(torch.equal(best["state_dict"][k], v) for k, v in model.state_dict().items())
    for weight in model.parameters():
        weight.data += 1
    checkpoint.restore(model, best, "best.pt")
    assert all(torch.equal(best["state_dict"][k], v) for k, v in model.state_dict().items())
    tables = [key for key in best["state_dict"] if "token" in key]
    assert tables, "its feature tables are among its weights"


@pytest.mark.parametrize(
    ("model", "dataset", "more", "wanted"),
    [
        (
            "SASRec",
            "ml-100k",
            {"loss_type": "BPR"},
            {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": FULL},
        ),
        (
            "SASRec",
            "tiny",
            {"loss_type": "BPR", "eval_args": {"mode": "uni20"}},
            {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": UNI20},
        ),
        ("FM", "tiny", {}, {"mode": FULL}),
        (
            "FM",
            "tiny",
            {"neg_sampler": "none", "metrics": ["AUC"], "valid_metric": "AUC"},
            {"mode": {"valid": "labeled", "test": "labeled"}},
        ),
        ("BPR", "ml-100k", {}, {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "mode": FULL}),
    ],
)
def test_models_of_every_kind_are_tested_in_their_way(data_path, model, dataset, more, wanted):
    config = BNSConfig(model, dataset, None, {"data_path": str(data_path), **more})
    assert {key: config["eval_args"][key] for key in wanted} == wanted


def test_a_sequence_needs_its_times(data_path, tmp_path, capsys):
    words = [
        "run",
        "--model=SASRec",
        "--loss_type=BPR",
        "--dataset=tiny",
        f"--data_path={data_path}",
        f"--out={tmp_path / 'run'}",
    ]
    assert main(words) == 2
    assert capsys.readouterr().err == (
        "recbole-bns: load_col.inter: got ['user_id', 'item_id'], allowed are lists with "
        "['user_id', 'item_id', 'timestamp'] in them (eval_args.order: TO sorts by time, as "
        "sequential models need it).\n"
    )
    more = ["--TIME_FIELD=year", "--load_col={inter: [user_id, item_id, year]}"]
    assert main([*words, *more]) == 2
    assert "tiny.inter, line 1: there is no column 'year'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("RepeatNet", "trains without negatives"),
        ("CORE", "trains without negatives"),
        ("BERT4Rec", "draws negatives of its own for the items that it masks"),
        ("S3Rec", "draws negatives of its own for the items that it masks"),
    ],
)
def test_a_sequential_model_that_would_not_see_our_negatives_is_refused(data_path, name, reason):
    given = {"data_path": str(data_path), "loss_type": "BPR"}
    with pytest.raises(UsageError) as caught:
        BNSConfig(name, "tiny", None, given)
    assert str(caught.value) == (f"neg_sampler: got 'bns', but {name} {reason}; allowed is 'none'.")
    if name == "S3Rec":
        BNSConfig(name, "tiny", None, {**given, "train_stage": "finetune"})


def test_the_losses_of_all_other_sequential_models_read_them(data_path):
    """RecBole's attribute for the column of negatives, or the labels that mark them."""
    checked = 0
    for name in sorted({n for n in vars(sequential) if n in known_models()}):
        try:
            loss = {"loss_type": "BPR"} if "loss_type" in known_keys(name) else {}
            BNSConfig(name, "tiny", None, {"data_path": str(data_path), **loss})
        except UsageError:
            continue
        text = Path(inspect.getfile(get_model(name))).read_text(encoding="utf-8")
        assert "self.NEG_ITEM_ID]" in text or "self.LABEL_FIELD]" in text, name
        checked += 1
    assert checked > 20


def test_a_model_whose_loss_takes_no_negatives_is_refused(data_path):
    for name in ("SASRec", "GRU4Rec", "SASRecF"):
        with pytest.raises(UsageError, match=f"{name} has loss_type CE, .*--loss_type=BPR"):
            BNSConfig(name, "tiny", None, {"data_path": str(data_path)})
