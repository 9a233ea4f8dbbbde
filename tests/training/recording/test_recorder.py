"""The recorder: its numbers against slow loops over what was drawn, its files, its silence."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from tiny import LOSS, Settings, build_model, prepare

from recbole_bns import get_trainer, run_recbole_bns
from recbole_bns.cli import main
from recbole_bns.sampling import available
from recbole_bns.settings.values import epochs_of
from recbole_bns.training import loaders as data
from recbole_bns.training.recording import recorder as module
from recbole_bns.training.recording.files import COLUMNS, RecordFolder

Make = Callable[..., Any]
Draw = tuple[int, int, int, float, float]
"""User, positive, negative and their scores."""


def trainer_of(config: Any) -> tuple[Any, Any, Any, Any]:
    train, valid, test = prepare(config)
    model = build_model(config, train)
    return get_trainer(config["MODEL_TYPE"], config["model"])(config, model), train, valid, test


def watched(make: Make, monkeypatch: pytest.MonkeyPatch, **more: Any) -> tuple[Any, list[Draw]]:
    """Train an epoch with every batch scored; the recorder and all that it was shown."""
    monkeypatch.setattr(module, "EVERY", 1)
    trainer, train, valid, _ = trainer_of(make("BPR", neg_record=True, epochs=1, **more))
    recorder, draws = train.recorder, []
    see = recorder.see

    def slow(users: Any, items: Any, ids: Any, rows: Any) -> None:
        p, q = (
            w.weight.detach() for w in (trainer.model.user_embedding, trainer.model.item_embedding)
        )
        for user, item, row in zip(users.tolist(), items.tolist(), ids.tolist(), strict=True):
            for negative in filter(None, row):  # 0 is left out by the loss
                scores = (float(p[user] @ q[i]) for i in (item, negative))
                draws.append((user, item, negative, *scores))
        see(users, items, ids, rows)

    monkeypatch.setattr(recorder, "see", slow)
    trainer.fit(train, valid, saved=False)
    return recorder, draws


@pytest.mark.parametrize(
    "given",
    [
        {"neg_sampler": "dns"},
        {"neg_sampler": "dns", "neg_sample_num": 3},
        {"neg_sampler": "inbatch", "loss": "ssm", "loss_similarity": "dot", "train_batch_size": 99},
    ],
    ids=lambda given: "-".join(map(str, given.values())),
)
def test_a_row_says_what_a_slow_loop_finds(
    make: Make, monkeypatch: pytest.MonkeyPatch, given: Settings
) -> None:
    recorder, draws = watched(make, monkeypatch, **given)
    users, negatives = (torch.tensor([draw[place] for draw in draws]) for place in (0, 2))
    assert not recorder.catalogue.is_positive(users, negatives).any(), "the loss meets none"
    held = set(zip(*held_out_of(make).tolist(), strict=True))
    (row,) = recorder.rows
    false = [(user, negative) in held for user, _, negative, _, _ in draws]
    info = [1 - 1 / (1 + math.exp(-(i - j))) for *_, i, j in draws]
    pairs = Counter((user, negative) for user, _, negative, _, _ in draws)
    items = Counter(negative for _, _, negative, _, _ in draws)
    popularity = recorder.catalogue.item_counts.tolist()
    size = len(draws)
    expected = {
        "epoch": 1,
        "negatives": size,
        "scored": size,
        "true_negative_rate": 1 - sum(false) / size,
        "informativeness": sum(-v if f else v for v, f in zip(info, false, strict=True)) / size,
        "information": sum(info) / size,
        "hardness": median(j / i for *_, i, j in draws),
        "popularity": sum(popularity[negative] for _, _, negative, _, _ in draws) / size,
        "repeated": 1 - len(pairs) / size,
        "coverage": len(items) / 60,
    }
    assert 0 < sum(false) < size
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    assert 0 < row["sampling_share"] < 1
    assert 0 < row["recording_share"] < 1
    assert recorder.draws.tolist() == [items.get(item, 0) for item in range(61)]


def held_out_of(make: Make) -> Any:
    """Pairs (2, N) of validation and test, from the loaders that evaluate them."""
    _, *loaders = prepare(make("BPR"))
    feats = [loader._dataset.inter_feat for loader in loaders]
    return torch.cat([torch.stack([f["user_id"], f["item_id"]]) for f in feats], 1)


def test_recording_changes_nothing_that_is_trained(make: Make) -> None:
    weights = []
    for record in (False, True):
        config = make(
            "LightGCN",
            neg_sampler="rns",
            neg_record=record,
            neg_record_scores=[1] if record else None,
        )
        trainer, train, valid, _ = trainer_of(config)
        trainer.fit(train, valid, saved=False)
        weights.append(trainer.model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize(("model", "share"), [("BPR", 16), ("LightGCN", 16), ("NeuMF", 32)])
def test_scores_come_from_a_share_of_the_batches(make: Make, model: str, share: int) -> None:
    trainer, train, valid, _ = trainer_of(
        make(model, neg_sampler="rns", neg_record=True, train_batch_size=16, epochs=1)
    )
    trainer.fit(train, valid, saved=False)
    (row,) = train.recorder.rows
    assert row["negatives"] == len(train.rows)
    assert row["scored"] == pytest.approx(len(train.rows) / share, abs=16)
    assert math.isfinite(row["informativeness"])


@pytest.mark.parametrize("every", [1, 16, 32])
@pytest.mark.parametrize("batches", [1, 2, 3, 15, 16, 17, 32, 33, 40, 160, 1001])
def test_scored_batches_are_the_centres_of_equal_stretches(batches: int, every: int) -> None:
    scored = sorted(module.centres(batches, every))
    stretches = math.ceil(batches / every)
    length = batches / stretches
    assert len(scored) == stretches
    assert all(i * length <= batch < (i + 1) * length for i, batch in enumerate(scored))
    assert sum(scored) / stretches == pytest.approx((batches - 1) / 2, abs=0.5)


@pytest.mark.parametrize(
    ("size", "batches", "scored"), [(20, 36, [6, 18, 30]), (100, 8, [4]), (1000, 1, [0])]
)
def test_scores_are_taken_throughout_the_epoch(
    make: Make, monkeypatch: pytest.MonkeyPatch, size: int, batches: int, scored: list[int]
) -> None:
    config = make("BPR", neg_sampler="rns", neg_record=True, train_batch_size=size, epochs=2)
    trainer, train, valid, _ = trainer_of(config)
    recorder, shown, ends = train.recorder, [], []
    see, end = recorder.see, recorder.end_epoch

    def watch(users: Any, items: Any, ids: Any, rows: Any) -> None:
        before = len(recorder._seen.scored)
        see(users, items, ids, rows)
        shown.append(len(recorder._seen.scored) > before)

    def ended(epoch: int, seconds: float) -> Any:
        ends.append(len(shown))
        return end(epoch, seconds)

    monkeypatch.setattr(recorder, "see", watch)
    monkeypatch.setattr(recorder, "end_epoch", ended)
    trainer.fit(train, valid, saved=False)
    assert ends == [batches, 2 * batches]
    assert [batch for batch, was in enumerate(shown) if was] == [
        batch + epoch * batches for epoch in (0, 1) for batch in scored
    ]


def test_what_few_batches_show_is_what_all_of_them_do(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights before the epoch, at which all scores are near 0, tell nothing of it."""

    def information(every: int) -> float:
        monkeypatch.setattr(module, "EVERY", every)
        given = {"neg_record": True, "train_batch_size": 100, "learning_rate": 0.05, "epochs": 1}
        trainer, train, valid, _ = trainer_of(make("BPR", neg_sampler="rns", **given))
        trainer.fit(train, valid, saved=False)
        return float(train.recorder.rows[0]["information"])

    before, throughout = 0.5, information(1)
    assert abs(information(16) - throughout) < abs(before - throughout) / 2


def test_an_epoch_that_was_left_halfway_is_forgotten(make: Make) -> None:
    trainer, train, valid, _ = trainer_of(
        make("BPR", neg_sampler="rns", neg_record=True, train_batch_size=64, epochs=1)
    )
    trainer.model.train()
    train.get_model(trainer.model)
    next(iter(train))
    trainer.fit(train, valid, saved=False)
    assert train.recorder.rows[0]["negatives"] == len(train.rows)


def test_dear_scores_rest_on_few_rows(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", 5)
    trainer, train, valid, _ = trainer_of(
        make("NeuMF", neg_sampler="rns", neg_record=True, epochs=1, neg_sample_num=2)
    )
    trainer.fit(train, valid, saved=False)
    assert train.recorder.rows[0]["scored"] == 5 * 2


def test_no_sampler_sees_held_out_labels_but_the_declared_oracle(make: Make) -> None:
    """A marked held-out part: whatever a sampler keeps is the same without it."""
    config = make("BPR", neg_record=True)
    train = prepare(config)[0]
    part = train._dataset
    nothing = part.copy(part.inter_feat[:0])
    for name in available():
        drawn = []
        for held in ([train_marks(part)], [nothing]):
            own = make("BPR", neg_sampler=name, **LOSS.get(name, {}))
            sampler = data.training_sampler(own, part, held)
            assert not sampler.core.side
            drawn.append(list(sampler.core.buffers()))
        same = zip(*drawn, strict=True)
        assert all(torch.equal(a, b) for a, b in same), name
    oracle = make("BPR", neg_sampler="bns", neg_sampler_args={"prior": "oracle"})
    labels = data.training_sampler(oracle, part, [train_marks(part)]).core.prior.labels
    assert len(labels.positives) > 0


def train_marks(part: Any) -> Any:
    """Held-out interactions that a sampler could learn from: item 7 for everyone."""
    marks = part.copy(part.inter_feat[:40])
    marks.inter_feat["user_id"] = torch.arange(1, 41)
    marks.inter_feat["item_id"] = torch.full((40,), 7)
    return marks


def test_a_sampler_is_not_connected_to_the_recorder(make: Make) -> None:
    trainer, train, valid, _ = trainer_of(make("BPR", neg_sampler="bns", neg_record=True))
    trainer.fit(train, valid, saved=False)
    held, reached, waiting = train.recorder.held_out, set(), [train._sampler]
    while waiting:
        thing = waiting.pop()
        if id(thing) in reached or isinstance(thing, (torch.Tensor, str, type)):
            continue
        reached.add(id(thing))
        assert thing is not train.recorder
        assert thing is not held
        inner = list(thing) if isinstance(thing, (list, tuple, set)) else []
        inner += list(thing.values()) if isinstance(thing, dict) else []
        inner += list(getattr(thing, "__dict__", {}).values())
        inner += [getattr(thing, "__self__", None)]
        inner += [c.cell_contents for c in getattr(thing, "__closure__", None) or ()]
        waiting += inner


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_its_tables(settings: Settings, tmp_path: Path) -> None:
    given = {**settings, "neg_sampler": "dns", "neg_record": True, "neg_record_scores": "1,2"}
    result = run_recbole_bns("BPR", "tiny", None, given, out=tmp_path / "run")
    lines = rows_of(tmp_path / "run" / "negatives.csv")
    assert [line["epoch"] for line in lines] == ["1", "2"]
    assert tuple(lines[0]) == COLUMNS
    assert all(math.isfinite(float(value)) for line in lines for value in line.values())
    scores = rows_of(tmp_path / "run" / "scores.csv")
    assert {line["epoch"] for line in scores} == {"1", "2"}
    for epoch in "12":
        bins = [line for line in scores if line["epoch"] == epoch]
        false = sum(int(line["false_negatives"]) for line in bins)
        true = sum(int(line["true_negatives"]) for line in bins)
        assert 0 < false < true < 40 * 60
        assert all(a["high"] == b["low"] for a, b in pairwise(bins))
    items = rows_of(tmp_path / "run" / "items.csv")
    assert len(items) == 60
    assert sum(int(line["drawn"]) for line in items) == 2 * int(lines[0]["negatives"])
    assert sum(int(line["recommended"]) for line in items) == 40 * 20
    assert {line["item"] for line in items} == {f"i{item}" for item in range(60)}
    events = list((tmp_path / "run" / "tensorboard").rglob("events*"))
    assert any(b"Negatives/true_negative_rate" in file.read_bytes() for file in events)
    assert result["test_result"]


def test_without_the_setting_nothing_is_recorded(settings: Settings, tmp_path: Path) -> None:
    run_recbole_bns("BPR", "tiny", None, {**settings, "epochs": 1}, out=tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert not names & {"negatives.csv", "scores.csv", "items.csv"}


def test_weights_and_biases_are_told(make: Make) -> None:
    trainer, train, *_ = trainer_of(make("BPR", neg_sampler="rns", neg_record=True))
    told: list[Any] = []
    logger = type("Logger", (), {"log_metrics": lambda self, m, head: told.append((head, m))})
    trainer.wandblogger = logger()
    trainer.fit(train, saved=False)
    rates = [m["true_negative_rate"] for head, m in told if head == "negatives"]
    assert rates == [row["true_negative_rate"] for row in train.recorder.rows]
    assert len(rates) == 2


def test_tables_go_on_after_the_epochs_that_are_kept(tmp_path: Path) -> None:
    first = RecordFolder(tmp_path)
    for epoch in (1, 2, 3):
        first.negatives({"epoch": epoch, "hardness": epoch / 2})
    RecordFolder(tmp_path, before=2).negatives({"epoch": 3, "hardness": 9.0})
    rows = rows_of(tmp_path / "negatives.csv")
    assert [(row["epoch"], row["hardness"]) for row in rows] == [
        ("1", "0.5"),
        ("2", "1.0"),
        ("3", "9.0"),
    ]
    RecordFolder(tmp_path).negatives({"epoch": 1, "hardness": 7.0})
    assert [row["hardness"] for row in rows_of(tmp_path / "negatives.csv")] == ["7.0"]


def test_models_that_score_by_rows_go_without_histograms(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = make("FM", neg_sampler="rns", neg_record=True, neg_record_scores=[1], epochs=1)
    trainer, train, *_ = trainer_of(config)
    train.recorder.write_to(RecordFolder(tmp_path))
    trainer.fit(train, saved=False)
    assert "no score histograms" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["negatives.csv"]
    assert math.isfinite(train.recorder.rows[0]["informativeness"])


@pytest.mark.parametrize(
    ("value", "epochs"),
    [(None, ()), ("1,10,50", (1, 10, 50)), ([1, 10], (1, 10)), (3, (3,)), ("2", (2,))],
)
def test_epochs_of_histograms(value: Any, epochs: tuple[int, ...]) -> None:
    assert epochs_of(value, "neg_record_scores") == epochs


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--neg_record=yes please"], "neg_record: got 'yes please'"),
        (["--neg_record=True", "--neg_record_scores=0,5"], "neg_record_scores: got"),
        (["--neg_record=True", "--neg_record_scores=often"], "neg_record_scores: got 'often'"),
        (["--neg_record_scores=5"], "needs neg_record: True"),
        (["--neg_record=True", "--neg_record_format=parquet"], "it has gone, the files are CSV"),
        (["--neg_recrod=True"], "did you mean 'neg_record'?"),
    ],
)
def test_bad_settings_end_in_a_sentence(
    flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str], in_tmp: Path
) -> None:
    assert main(["run", "--model=BPR", *flags]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not list(in_tmp.iterdir())
