"""Mined positives in trainings: what a batch holds, what is measured, goes on, and is refused."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from test_resume import Killed, assert_same, die_at
from tiny import WITH_FEATURES, Settings, assert_refused, build_model, prepare

from recbole_bns import UsageError, run_recbole_bns
from recbole_bns.adapters.acting import remarks
from recbole_bns.adapters.split import open_data
from recbole_bns.runs.folder import make_folder, read_settings
from recbole_bns.sampling.mined import WithMined
from recbole_bns.training.loaders import loaders
from recbole_bns.training.recording.files import COLUMNS, WHEN_MINED

Make = Callable[..., Any]
MINE: Settings = {
    "mine.share": 0.5,
    "mine.items": 5,
    "mine.prior_l2": 20,
    "mine.full_until": 0,
}


def batches_of(config: Any) -> tuple[Any, list[Any]]:
    train = loaders(config, open_data(config).parts)["train"]
    train.get_model(build_model(config, train))
    return train, list(train)


def column(batches: list[Any], name: str) -> torch.Tensor:
    return torch.cat([batch[name] for batch in batches])


# --- A batch -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["rns", "dns", "bns_plus"])
def test_some_positives_make_way_and_are_nobodys_negatives(make: Make, sampler: str) -> None:
    train, batches = batches_of(make("BPR", neg_sampler=sampler, neg_sample_num=1, **MINE))
    both = train._sampler.core.catalogue
    assert isinstance(both, WithMined)
    users, items, negatives = (column(batches, n) for n in ("user_id", "item_id", "neg_item_id"))
    own = both.observed.is_positive(users, items)
    assert 0.4 < float(own.float().mean()) < 0.6
    assert bool(both.is_positive(users, items).all())
    assert not bool(both.is_positive(users, negatives).any())
    best = train.miner.mined.ids[users[~own]]
    assert bool((best == items[~own].unsqueeze(1)).any(1).all())


@pytest.mark.parametrize("sampler", ["rns", "dns", "bns_plus"])
def test_the_best_can_be_spared_and_nothing_mined(make: Make, sampler: str) -> None:
    spared = {"mine.share": 0, "mine.spare": 3, "mine.prior_l2": 20}
    train, batches = batches_of(make("BPR", neg_sampler=sampler, neg_sample_num=1, **spared))
    both = train._sampler.core.catalogue
    users, items, negatives = (column(batches, n) for n in ("user_id", "item_id", "neg_item_id"))
    assert bool(both.observed.is_positive(users, items).all())
    assert not bool(both.is_positive(users, negatives).any())
    own = both.observed.indptr.diff()
    assert torch.equal(both.indptr.diff()[1:], own[1:] + 3)


def test_users_and_order_of_a_batch_stay_and_where_nothing_is_mined_all_does(make: Make) -> None:
    plain, mined, none = (
        batches_of(make("BPR", neg_sampler="pns", **given))[1]
        for given in ({}, MINE, {**MINE, "mine.share": 0})
    )
    for one, other, third in zip(plain, mined, none, strict=True):
        assert torch.equal(one["user_id"], other["user_id"])
        assert not torch.equal(one["item_id"], other["item_id"])
        assert all(torch.equal(one[name], third[name]) for name in one.interaction)


def test_a_shared_list_leaves_out_what_may_be_mined(make: Make) -> None:
    given = {"loss": "ssm", "neg_shared": True, "neg_sample_num": 40, "neg_sampler": "rns"}
    train, batches = batches_of(make("LightGCN", **given, **MINE))
    rows = batches[0]
    users, ids = rows["user_id"], rows["neg_item_id"]
    left_out = train.drawn.masked(users, rows["item_id"], ids, True)
    core = train._sampler.core
    assert torch.equal(left_out, core.catalogue.is_positive(users.unsqueeze(1), ids))
    more = left_out & ~core.catalogue.observed.is_positive(users.unsqueeze(1), ids)
    assert bool(more.any())


@pytest.mark.parametrize("model", ["FM", "NeuMF"])
def test_features_and_labels_are_those_of_the_mined_item(make: Make, model: str) -> None:
    more = WITH_FEATURES if model == "FM" else {}
    train, batches = batches_of(make(model, neg_sampler="rns", **more, **MINE))
    items, labels = column(batches, "item_id"), column(batches, "label")
    own = train._sampler.core.catalogue.observed.is_positive(column(batches, "user_id"), items)
    assert bool((~own & (labels == 1)).any())
    assert not bool((own & (labels == 0)).any())
    if more:
        known = train._item_features["genre"]
        assert torch.equal(column(batches, "genre"), known[items])


def test_batches_that_are_collated_are_mined_too(make: Make) -> None:
    train, _ = batches_of(make("BPR", neg_sampler="rns", **MINE))
    sliced = list(train)
    train.begin_epoch(1)
    collated = list(train._collated())
    assert len(sliced) == len(collated)
    own = train._sampler.core.catalogue.observed
    rate = own.is_positive(column(collated, "user_id"), column(collated, "item_id")).float().mean()
    assert 0.4 < float(rate) < 0.6


# --- What is measured, written and gone on with -------------------------------------------------


def test_a_run_says_what_it_mined_and_goes_on_bit_for_bit(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {**settings, "neg_sampler": "pns", "epochs": 3, "neg_record": True, **MINE}
    own |= {"mine.share": "{start: 0.5, step: -0.2, stop: 0}", "loss": "ssm", "neg_sample_num": 4}

    def run(folder: Path) -> Any:
        return run_recbole_bns("BPR", "tiny", None, own, out=folder)

    result = run(tmp_path / "whole")
    with monkeypatch.context() as patch:
        die_at(patch, 2, "batch")
        with pytest.raises(Killed):
            run(tmp_path / "ended")
    run_recbole_bns(resume=tmp_path / "ended")
    assert_same(tmp_path / "whole", tmp_path / "ended")
    lines = {}
    for name in ("whole", "ended"):
        with (tmp_path / name / "negatives.csv").open(encoding="utf-8", newline="") as file:
            lines[name] = list(csv.DictReader(file))
    for one, other in zip(*lines.values(), strict=True):
        assert tuple(one) == COLUMNS + WHEN_MINED
        found, again = ([float(row[name]) for name in WHEN_MINED] for row in (one, other))
        assert found == pytest.approx(again, rel=1e-12)  # as CSV has it, read and written again
        assert 0 < float(one["mined_held_out"]) < 1
    counts = [int(line["mined"]) for line in lines["whole"]]
    assert counts[0] > counts[1] > counts[2] > 0
    expected = {"share": {"start": 0.5, "step": -0.2, "stop": 0}, "items": 5, "prior_l2": 20}
    expected["full_until"] = 0
    assert read_settings(tmp_path / "whole")["mine"] == expected
    others = {"prior_items": 0, "prior_dropout": 0.33, "prior_power": 0.25, "exponent": 2.0}
    others |= {"spare": 0}
    assert result["mine"] == {"prior": "ease", **others, **expected}


def test_the_recorders_share_is_that_of_a_slow_count(make: Make) -> None:
    config = make("BPR", neg_sampler="rns", neg_record=True, **MINE)
    parts = open_data(config).parts
    train = loaders(config, parts)["train"]
    train.get_model(build_model(config, train))
    held = {
        (int(u), int(i))
        for phase in ("valid", "test")
        for u, i in zip(*(parts[phase].inter_feat[n] for n in ("user_id", "item_id")), strict=True)
    }
    own = train._sampler.core.catalogue.observed
    found = [
        (int(u), int(i)) in held
        for batch in train
        for u, i in zip(batch["user_id"], batch["item_id"], strict=True)
        if not bool(own.is_positive(u, i))
    ]
    row = train.recorder.end_epoch(1, 1.0)
    assert row["mined"] == len(found)
    assert row["mined_held_out"] == pytest.approx(sum(found) / len(found))
    assert not math.isnan(row["mined_held_out"])


def test_held_out_interactions_decide_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make("BPR", neg_sampler="rns", **MINE)
    parts = open_data(config).parts
    whole = loaders(config, parts)["train"].miner.mined
    alone = loaders(config, {"train": parts["train"]})["train"].miner.mined
    assert torch.equal(whole.ids, alone.ids)
    assert torch.equal(whole.cumulative, alone.cumulative)


def test_a_model_of_recboles_mines(make: Make) -> None:
    prior = "{model: ItemKNN, k: 5}"
    train, _ = batches_of(make("BPR", neg_sampler="rns", **{**MINE, "mine.prior": prior}))
    assert bool(train.miner.mined.ids.any())
    train = prepare(make("BPR", neg_sampler="rns", **{**MINE, "mine.prior": "occupation"}))[0]
    assert bool(train.miner.mined.ids[1:].all())


def test_a_folder_that_names_itself_says_that_positives_are_mined(make: Make, in_tmp: Path) -> None:
    config = make("BPR", neg_sampler="rns", loss="ssm", **MINE)
    assert "-rns+ssm+mined-" in make_folder(None, config).name
    config = make("BPR", neg_sampler="rns", loss="ssm", **{"mine.share": 0, "mine.spare": 5})
    assert "-rns+ssm+spared-" in make_folder(None, config).name


# --- What is refused, and what is named --------------------------------------------------------

REFUSED: list[tuple[str, str]] = [
    ("--mine.share=2", "mine.share: got 2.0, allowed is a number >= 0 and <= 1 or a schedule"),
    ("--mine.items=0", "mine.items: got 0, allowed is an integer >= 1."),
    ("--mine.exponent=-1", "mine.exponent: got -1.0, allowed is a number >= 0."),
    ("--mine.shar=.5", "mine.shar: no such parameter; did you mean 'share'?"),
    ("--mine=ease", "mine: got 'ease', allowed is a mapping of parameters, such as {prior: ease"),
    ("--mine={}", "mine: got {}, which says nothing; allowed is a mapping such as {share: 0.5}"),
    (
        "--mine.prior=oracle",
        "mine.prior: got 'oracle', which sees the held-out labels, which would be trained on; all",
    ),
    ("--mine.prior=uniform", "mine.prior: got 'uniform', which finds all items alike, so that"),
    (
        "--mine.share=.5 --neg_sampler=none",
        "mine: got {'share': 0.5}, but neg_sampler 'none' is RecBole's own sampling, whose batch",
    ),
    (
        "--mine.share=.5 --model=SASRec --loss_type=BPR",
        "mine: SASRec learns the item that comes next in a user's history, and a mined one has no",
    ),
    (
        "--mine.share=.5 --loss=ssm --neg_sampler=inbatch --loss_log_q=both",
        "loss_log_q: got 'both', but neg_sampler 'inbatch' draws of the batch, in which mine puts",
    ),
    ("--mine.spare=-1", "mine.spare: got -1, allowed is an integer >= 0."),
    ("--mining=ease", "did you mean 'mine'?"),
]


@pytest.mark.parametrize(("words", "sentence"), REFUSED)
def test_what_cannot_be_mined_is_refused_before_the_data_are_read(
    in_tmp: Path, capsys: pytest.CaptureFixture[str], words: str, sentence: str
) -> None:
    assert_refused(words, sentence, in_tmp, capsys)


def test_groups_of_a_test_are_those_of_the_training_part(
    settings: Settings, tmp_path: Path
) -> None:
    """What may be mined of a user makes nobody more active."""
    given = {**settings, "neg_sampler": "rns", "epochs": 1}
    lines = []
    for name, more in (("plain", {}), ("mined", MINE)):
        run_recbole_bns("BPR", "tiny", None, {**given, **more}, out=tmp_path / name)
        with (tmp_path / name / "groups.csv").open(encoding="utf-8") as file:
            keys = ("kind", "group", "members", "interactions", "least", "most")
            lines.append([[line[key] for key in keys] for line in csv.DictReader(file)])
    assert lines[0] == lines[1]
    assert lines[0]


def test_a_share_may_not_leave_its_range(make: Make) -> None:
    share = {"start": 0.9, "step": 0.1}
    with pytest.raises(UsageError, match=r"mine\.share: got .* which is 1\.1 in epoch 3 of 9, all"):
        make("BPR", neg_sampler="rns", epochs=9, **{**MINE, "mine.share": share})


def test_a_column_that_is_not_there_is_named_by_the_setting(make: Make) -> None:
    with pytest.raises(UsageError, match=r"mine\.prior: 'job' is no column of the") as told:
        prepare(make("BPR", neg_sampler="rns", **{**MINE, "mine.prior": "job"}))
    assert "ease, itemknn, a .npy" in str(told.value)
    assert "oracle" not in str(told.value)


def test_a_parameter_that_another_switches_off_is_named(make: Make) -> None:
    given = {**MINE, "mine.prior": "popularity", "neg_sampler": "rns"}
    assert list(remarks(make("BPR", **given))) == [
        "mine.prior_l2 has no effect here: it acts only with prior ease."
    ]
    assert list(remarks(make("BPR", neg_sampler="rns", **MINE))) == []
    spared = {"mine.share": 0, "mine.spare": 3, "mine.exponent": 1, "neg_sampler": "rns"}
    assert list(remarks(make("BPR", **spared))) == [
        "mine.exponent has no effect here: it acts only with share other than 0.0."
    ]
    nothing = {"mine.share": 0, "mine.exponent": 1, "neg_sampler": "rns"}
    assert len(list(remarks(make("BPR", **nothing)))) == 1
    of_batch = {"neg_sampler": "inbatch", "loss": "ssm", "loss_log_q": "both"}
    make("BPR", **spared | of_batch)  # the law of the batch stays


@pytest.mark.parametrize("share", [0, None])
def test_mining_can_be_switched_off_again(make: Make, share: Any) -> None:
    given = {"mine": None} if share is None else {"mine": {"share": 0}}
    train = prepare(make("BPR", neg_sampler="rns", **given))[0]
    assert train.miner is None
    assert not isinstance(train._sampler.core.catalogue, WithMined)


def test_a_loader_that_would_not_mine_is_refused(make: Make) -> None:
    from recbole_bns.training.enable import _get_dataloader

    config = make("BPR", neg_sampler="rns", **MINE)
    theirs = type("Theirs", (), {"__module__": "elsewhere"})
    with pytest.raises(UsageError, match="mine: BPR trains with a loader of its own, Theirs"):
        _get_dataloader(lambda config, phase: theirs, config, "train")
    plain = make("BPR", neg_sampler="rns")
    assert _get_dataloader(lambda config, phase: theirs, plain, "train") is theirs
