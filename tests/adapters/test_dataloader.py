"""Loaders: what a batch holds, the parts of the data, the negatives of the evaluation."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from recbole.data import create_dataset
from recbole.data import data_preparation as stock_preparation
from recbole.data.dataloader import NegSampleEvalDataLoader, TrainDataLoader
from recbole.sampler import Sampler
from recbole.utils import init_seed
from tiny import LOSS, build_model, prepare, write_atomic

from recbole_bns import BNSTrainDataLoader, UsageError
from recbole_bns.sampling import NegativeSampler, available, get
from recbole_bns.testing import generator_states

FEATURES = {
    "load_col": {
        "inter": ["user_id", "item_id", "rating", "timestamp"],
        "user": ["user_id", "age", "occupation"],
        "item": ["item_id", "year", "genre"],
    }
}


def pairs_of(dataset: Any) -> list[tuple[int, int]]:
    feat = dataset.inter_feat
    return list(zip(feat["user_id"].tolist(), feat["item_id"].tolist(), strict=True))


def epoch(train: Any, model: Any = None) -> list[Any]:
    if model is not None:
        train.get_model(model)
    return list(train)


# --- A batch -----------------------------------------------------------------------------------


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize(("model", "positives"), [("BPR", 100), ("NeuMF", 50)])
def test_the_number_of_negatives_leaves_the_positives_of_a_batch_alone(make, model, positives, num):
    settings = {"neg_sampler": "rns", "neg_sample_num": num, "train_batch_size": 100}
    train = prepare(make(model, **settings))[0]
    batches = epoch(train)
    pairwise = model == "BPR"
    rows = num if pairwise else 1 + num
    total = len(train._dataset)
    assert len(train) == len(batches) == -(-total // positives)
    sizes = [positives] * (total // positives) + [total % positives] * bool(total % positives)
    assert [len(batch) for batch in batches] == [size * rows for size in sizes]
    seen = []
    for batch, size in zip(batches, sizes, strict=True):
        assert torch.equal(batch["user_id"], batch["user_id"][:size].repeat(rows)), "not in tiles"
        if pairwise:
            assert torch.equal(batch["item_id"], batch["item_id"][:size].repeat(rows))
            negatives = batch["neg_item_id"].view(num, size)
        else:
            assert batch["label"].tolist() == [1.0] * size + [0.0] * (num * size)
            negatives = batch["item_id"][size:].view(num, size)
        seen += zip(batch["user_id"][:size].tolist(), batch["item_id"][:size].tolist(), strict=True)
        taken = train._sampler.core.catalogue.is_positive(batch["user_id"][:size], negatives)
        assert not taken.any()
        assert (negatives > 0).all()
        assert all(len(set(column)) == num for column in negatives.T.tolist()), "not distinct"
    assert Counter(seen) == Counter(pairs_of(train._dataset))


def test_the_same_seed_gives_the_same_batches_and_epochs_differ(make):
    def orders(seed: int) -> list[list[list[int]]]:
        train = prepare(make(neg_sampler="rns", seed=seed))[0]
        torch.rand(5)  # the global generator has no say
        return [
            [batch[name].tolist() for batch in epoch(train) for name in ("item_id", "neg_item_id")]
            for _ in range(2)
        ]

    first, again, other = orders(1), orders(1), orders(2)
    assert first == again
    assert first[0] != first[1]
    assert first != other


def test_without_shuffle_the_order_is_that_of_the_data(make):
    train = prepare(make(neg_sampler="rns", shuffle=False))[0]
    items = torch.cat([batch["item_id"] for batch in train])
    assert torch.equal(items, train._dataset.inter_feat["item_id"])


@pytest.mark.parametrize("name", sorted(available()))
def test_drawing_leaves_the_generators_of_the_host_alone(make, name):
    config = make(neg_sampler=name, **{"neg_sample_num": 2, **LOSS.get(name, {})})
    train = prepare(config)[0]
    model = build_model(config, train)
    before = generator_states()
    epoch(train, model)
    epoch(train)
    assert generator_states() == before


@pytest.mark.parametrize("model", ["BPR", "NeuMF"])
@pytest.mark.parametrize("num", [1, 2])
def test_features_are_joined_as_recbole_joins_them(make, model, num):
    config = make(model, neg_sampler="rns", neg_sample_num=num, shuffle=False, **FEATURES)
    train = prepare(config)[0]
    stock = make(
        model,
        neg_sampler="none",
        train_neg_sample_args={"distribution": "uniform", "sample_num": num},
        shuffle=False,
        train_batch_size=train.step * train.times,
        **FEATURES,
    )
    init_seed(config["seed"], True)
    theirs = stock_preparation(stock, create_dataset(stock))[0]
    assert type(theirs) is TrainDataLoader
    drawn: list[torch.Tensor] = []
    sample = train._sampler.sample

    def record(*args: Any) -> torch.Tensor:
        drawn.append(sample(*args))
        return drawn[-1]

    train._sampler.sample = record
    mine = epoch(train)
    replay = iter(drawn)
    theirs._sampler.sample_by_user_ids = lambda users, items, n: next(replay).T.reshape(-1)
    yours = list(theirs)
    assert len(mine) == len(yours) > 1
    for ours, other in zip(mine, yours, strict=True):
        assert set(ours.columns) == set(other.columns)
        assert {"age", "occupation", "year", "genre", "rating"} <= set(ours.columns)
        for column in ours.columns:
            assert torch.equal(ours[column], other[column]), column
            assert ours[column].dtype == other[column].dtype


class Upside:
    """A transform: marks the rows that it has seen."""

    def __init__(self, config: Any) -> None:
        pass

    def __call__(self, dataset: Any, interaction: Any) -> Any:
        interaction.interaction["seen"] = torch.ones(len(interaction))
        return interaction


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("worker", [0, pytest.param(2, marks=pytest.mark.process)])
def test_a_transform_sees_the_positives_and_workers_change_nothing(make, monkeypatch, worker):
    """Also: the negatives come from one stream, not from a copy of the generator a worker."""
    monkeypatch.setattr("recbole.data.transform.UserDefinedTransform", Upside)
    plain = prepare(make(neg_sampler="rns", shuffle=False))[0]
    settings = {"neg_sampler": "rns", "shuffle": False, "transform": "user_defined"}
    alone = prepare(make(**settings, worker=0))[0]
    train = prepare(make(**settings, worker=worker))[0]
    for _ in range(2):
        for batch, same, other in zip(epoch(train), epoch(alone), epoch(plain), strict=True):
            assert batch["seen"].all()
            for column in same.columns:
                assert torch.equal(batch[column], same[column])
            for column in set(other.columns) - {plain.neg_prefix + plain.iid_field}:
                assert torch.equal(batch[column], other[column])


def test_workers_are_refused_where_the_sampler_looks_at_the_model(make):
    with pytest.raises(UsageError, match=r"^worker: got 2, but neg_sampler 'dns'.*allowed is 0\.$"):
        prepare(make(neg_sampler="dns", worker=2))
    assert len(epoch(prepare(make(neg_sampler="pns", worker=2))[0])) > 1


def test_a_loader_without_a_model_says_what_to_do(make):
    train = prepare(make(neg_sampler="dns"))[0]
    with pytest.raises(UsageError, match=r"call sampler\.bind\(model\)"):
        next(iter(train))


def test_begin_epoch_is_told_once_an_epoch_and_counts(make, monkeypatch):
    told: list[int] = []
    monkeypatch.setattr(
        NegativeSampler, "begin_epoch", lambda self, epoch, scorer: told.append(epoch)
    )
    train = prepare(make(neg_sampler="rns"))[0]
    for _ in range(3):
        list(train)
    assert told == [0, 1, 2]


# --- Users without negatives, short users ------------------------------------------------------


def data_with_full_users(folder: Any, full: int) -> None:
    """10 users x 9 items; the first ``full`` users have all of them, the others 5 each."""
    rows = [
        (f"u{user}", f"i{item}")
        for user in range(10)
        for item in range(9)
        if user < full or (user + item) % 9 < 5
    ]
    write_atomic(folder / "full" / "full.train.inter", "user_id:token item_id:token", rows)
    tests = [(f"u{user}", f"i{(8 - user) % 9}") for user in range(10)]
    write_atomic(folder / "full" / "full.test.inter", "user_id:token item_id:token", tests)


@pytest.fixture
def full(make, tmp_path):
    def config(users: int, **more: Any) -> Any:
        data_with_full_users(tmp_path, users)
        return make(
            "BPR",
            "full",
            data_path=str(tmp_path),
            benchmark_filename=["train", "test"],
            valid_ratio=0,
            **more,
        )

    return config


def test_users_without_a_negative_are_left_out_and_reported_once(full, caplog):
    train = prepare(full(2, neg_sampler="rns"))[0]
    epochs = [torch.cat([batch["user_id"] for batch in train]) for _ in range(2)]
    taken = train._sampler.core.catalogue.negative_num[epochs[0]] == 0
    assert not taken.any()
    assert len(epochs[0]) == len(epochs[1]) == 8 * 5
    reports = [r.getMessage() for r in caplog.records if "left out of training" in r.getMessage()]
    assert reports == [
        "2 of 10 users have interacted with every item; they have no negative and are left out "
        "of training."
    ]


def test_candidates_are_clamped_to_what_a_user_has_and_reported_once(full, caplog):
    config = full(1, neg_sampler="bns", neg_sampler_args={"candidate_num": 6})
    train = prepare(config)[0]
    batches = epoch(train, build_model(config, train))
    assert sum(map(len, batches)) == 9 * 5
    reports = [r.getMessage() for r in caplog.records if "candidates are all" in r.getMessage()]
    assert reports == [
        "9 of 10 users have fewer than 6 negatives; their candidates are all that they have."
    ]


def test_a_data_set_without_any_negative_is_refused(full):
    with pytest.raises(UsageError, match=r"^data set 'full': no user has a negative left"):
        prepare(full(10))


# --- sample_by_user_ids ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_sample_by_user_ids_answers_in_tile_order(full, kind):
    """A user's only possible negatives tell to whom an answer belongs."""
    config = full(0, neg_sampler="rns")
    sampler = prepare(config)[0]._sampler
    assert isinstance(sampler, Sampler)
    users = [3, 7, 3, 1]
    items = [next(iter(sampler.used_ids[user])) for user in users]
    drawn = sampler.sample_by_user_ids(kind(users), kind(items), 4)
    assert drawn.dtype == torch.long
    assert drawn.shape == (16,)
    for place, item in enumerate(drawn.tolist()):
        assert item not in sampler.used_ids[users[place % 4]]
        assert 0 < item < sampler.item_num
    for row in range(4):
        own = set(range(1, 10)) - sampler.used_ids[users[row]]
        assert set(drawn[row::4].tolist()) == own, "4 negatives, 4 distinct draws"


@pytest.mark.parametrize(
    ("users", "items"), [([99], [1]), ([-1], [1]), ([1], [99]), ([1, 2], [1, -5])]
)
def test_sample_by_user_ids_refuses_ids_that_do_not_exist(full, users, items):
    sampler = prepare(full(0, neg_sampler="rns"))[0]._sampler
    with pytest.raises(ValueError, match=r"_id outside 0 to"):
        sampler.sample_by_user_ids(users, items, 1)


def test_sample_by_user_ids_refuses_a_user_without_negatives(full):
    sampler = prepare(full(1, neg_sampler="rns"))[0]._sampler
    poor = int((sampler.core.catalogue.negative_num == 0).nonzero()[0])
    with pytest.raises(ValueError, match=f"user_id {poor} has interacted with every item"):
        sampler.sample_by_user_ids([poor], [1], 1)


def test_a_training_sampler_never_serves_another_phase(full):
    sampler = prepare(full(0, neg_sampler="rns"))[0]._sampler
    assert sampler.set_phase("train") is sampler
    for phase in ("valid", "test"):
        with pytest.raises(ValueError, match="never serves the phase"):
            sampler.set_phase(phase)


# --- Evaluation negatives ----------------------------------------------------------------------


def evaluation(loader: Any) -> list[tuple[list[int], ...]]:
    """Users and items of every row that is scored, the negatives included."""
    return [
        (batch["user_id"].tolist(), batch["item_id"].tolist(), where.tolist())
        for batch, where, _, _ in loader
    ]


@pytest.mark.parametrize("mode", ["uni20", "pop20"])
def test_evaluation_negatives_are_the_same_whatever_trains(make, mode):
    expected = None
    for name in [*sorted(available()), "none"]:
        config = make(neg_sampler=name, eval_args={"mode": mode}, **LOSS.get(name, {}))
        train, valid, test = prepare(config)
        if name != "none":
            assert isinstance(test, NegSampleEvalDataLoader)
            assert type(test._sampler) is not type(train._sampler)
            train.get_model(build_model(config, train))
        before = [evaluation(valid), evaluation(test)]
        next(iter(train))
        np.random.random(len(name))  # noqa: NPY002 - what a model may do while it trains
        assert [evaluation(valid), evaluation(test)] == before, "training moved them"
        assert expected in (None, before), name
        expected = before
    assert expected[0] != expected[1]


@pytest.mark.parametrize("repeatable", [False, True])
def test_evaluation_negatives_follow_the_seed(make, repeatable):
    def rows(seed: int) -> Any:
        config = make(eval_args={"mode": "uni20"}, repeatable=repeatable, seed=seed)
        init_seed(1, True)  # the same split
        from recbole_bns import data_preparation

        _, valid, test = data_preparation(config, create_dataset(config))
        state = generator_states()
        first = evaluation(valid)
        assert generator_states() == state, "the generators of the host moved"
        random.random()
        np.random.random()  # noqa: NPY002
        assert evaluation(valid) == first
        drawn = [loader._sampler.sample_by_user_ids([3], [1], 60) for loader in (valid, test)]
        assert (drawn[0] == drawn[1]).float().mean() < 0.5, "valid and test share their draws"
        return first

    assert rows(3) == rows(3) != rows(4)


@pytest.mark.parametrize("mode", ["uni30", "pop30"])
def test_evaluation_negatives_are_spread_as_recboles(make, mode):
    """The same candidates, and frequencies that differ by chance only."""
    ours = prepare(make(eval_args={"mode": mode}))[2]
    config = make(neg_sampler="none", eval_args={"mode": mode})
    init_seed(config["seed"], True)
    theirs = stock_preparation(config, create_dataset(config))[2]
    counts = []
    for loader, repeats in ((ours, 1), (theirs, 20)):
        seen = np.zeros(61)
        for _ in range(repeats):
            for batch, _, _, _ in loader:
                for user, item in zip(
                    batch["user_id"].tolist(), batch["item_id"].tolist(), strict=True
                ):
                    if item not in loader._sampler.used_ids[user]:
                        seen[item] += 1
        counts.append(seen)
    assert pairs_of(ours._dataset) == pairs_of(theirs._dataset)
    assert counts[0].sum() == counts[1].sum() / 20
    shares = [count / count.sum() for count in counts]
    assert ((shares[1] == 0) <= (shares[0] == 0)).all(), "an item that RecBole never draws"
    spread = np.sqrt(shares[1] * (1 - shares[1]) / counts[0].sum())
    assert (np.abs(shares[0] - shares[1]) < 5 * spread + 1e-12).all()


def test_an_evaluation_user_with_every_item_is_named(full):
    config = full(0, neg_sampler="rns", eval_args={"mode": "uni5"})
    data = prepare(config)
    assert len(evaluation(data[2])) == 1
    sampler = data[2]._sampler
    sampler.used_ids[2] = set(range(1, 10))
    with pytest.raises(UsageError, match=r"user 2 \(internal id\).*use mode: full"):
        evaluation(data[2])


def test_full_ranking_masks_the_items_seen_before(make):
    config = make(neg_sampler="rns")
    _, valid, test = prepare(config)
    init_seed(config["seed"], True)
    stock = make(neg_sampler="none")
    theirs = stock_preparation(stock, create_dataset(stock))
    for ours, other in zip((valid, test), theirs[1:], strict=True):
        assert pairs_of(ours._dataset) == pairs_of(other._dataset)
        for user in range(1, 41):
            assert set(ours.uid2history_item[user].tolist()) == set(
                other.uid2history_item[user].tolist()
            )
            assert set(ours.uid2positive_item[user].tolist()) == set(
                other.uid2positive_item[user].tolist()
            )


# --- The parts of the data ---------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.1, 0.25])
def test_valid_ratio_cuts_from_all_but_the_test_part(make, ratio):
    plain = prepare(make(neg_sampler="rns"))
    cut = prepare(make(neg_sampler="rns", valid_ratio=ratio))
    before, after = ([pairs_of(loader._dataset) for loader in parts] for parts in (plain, cut))
    rest = before[0] + before[1]
    assert sorted(after[2]) == sorted(before[2])
    assert len(after[1]) == round(ratio * len(rest))
    assert sorted(after[0] + after[1]) == sorted(rest)
    assert not set(after[0]) & set(after[1])


def test_the_cut_follows_the_seed(make):
    def valid(seed: int) -> list[tuple[int, int]]:
        from recbole_bns.adapters.split import split

        config = make(valid_ratio=0.3, seed=seed)
        init_seed(0, True)  # the same test part
        return sorted(pairs_of(split(config, create_dataset(config))["valid"]))

    assert valid(1) == valid(1) != valid(2)


@pytest.mark.parametrize("sampler", ["rns", "none"])
def test_valid_ratio_zero_leaves_no_validation(make, sampler):
    train, valid, test = prepare(make(neg_sampler=sampler, valid_ratio=0))
    assert valid is None
    assert len(train._dataset) + len(test._dataset) == 880
    masked = {
        (user, item) for user in range(1, 41) for item in test.uid2history_item[user].tolist()
    }
    assert masked == set(pairs_of(train._dataset))


@pytest.mark.parametrize("ratio", [1e-5, 0.9999])
def test_a_part_without_rows_is_an_error_not_a_shortfall(make, ratio):
    with pytest.raises(UsageError, match=r"the (valid|train) part is empty; check"):
        prepare(make(valid_ratio=ratio))


def test_a_split_in_two_has_its_validation_cut_from_training(make):
    config = make(neg_sampler="rns", eval_args={"split": {"RS": [0.8, 0.2]}, "group_by": "none"})
    sizes = [len(loader._dataset) for loader in prepare(config)]
    assert sizes == [634, 70, 176]


@pytest.fixture
def benchmark(make, tmp_path):
    header = "user_id:token item_id:token"
    for part, items in (("train", range(10)), ("valid", range(10, 12)), ("test", range(12, 14))):
        rows = [(f"u{user}", f"i{item}") for user in range(6) for item in items]
        write_atomic(tmp_path / "fixed" / f"fixed.{part}.inter", header, rows)

    def config(parts: list[str], **more: Any) -> Any:
        return make(
            "BPR",
            "fixed",
            data_path=str(tmp_path),
            benchmark_filename=parts,
            neg_sampler="rns",
            **more,
        )

    return config


def test_benchmark_files_in_threes_are_kept(benchmark):
    parts = [loader._dataset for loader in prepare(benchmark(["train", "valid", "test"]))]
    assert [len(part) for part in parts] == [60, 12, 12]


@pytest.mark.parametrize(("more", "sizes"), [({}, [54, 6]), ({"valid_ratio": 0.5}, [30, 30])])
def test_benchmark_files_in_twos_have_their_validation_cut_from_training(benchmark, more, sizes):
    train, valid, test = prepare(benchmark(["train", "test"], **more))
    assert [len(train._dataset), len(valid._dataset)] == sizes
    assert len(test._dataset) == 12
    assert not set(pairs_of(train._dataset)) & set(pairs_of(valid._dataset))
    history = set(test.uid2history_item[1].tolist())
    known = pairs_of(train._dataset) + pairs_of(valid._dataset)
    assert history == {item for user, item in known if user == 1}


def test_benchmark_files_in_twos_without_validation(benchmark):
    train, valid, test = prepare(benchmark(["train", "test"], valid_ratio=0))
    assert valid is None
    assert [len(train._dataset), len(test._dataset)] == [60, 12]


# --- What a sampler is told --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args"),
    [
        *((name, {}) for name in sorted(available())),
        ("bns", {"prior": "uniform"}),
        ("bns", {"prior": "occupation"}),
        ("bns", {"prior": "oracle"}),
    ],
)
def test_only_the_oracle_is_given_held_out_pairs(make, monkeypatch, name, args):
    given: dict[str, Any] = {}
    cls = get(name)
    construct = cls.__init__

    def spy(self, catalogue, params=None, *, seed=0, side=None) -> None:
        given.update(side or {}, pairs=(catalogue.owners, catalogue.positives.long()))
        construct(self, catalogue, params, seed=seed, side=side)

    monkeypatch.setattr(cls, "__init__", spy)
    train, valid, test = prepare(
        make(neg_sampler=name, neg_sampler_args=args, **LOSS.get(name, {}))
    )
    users, items = (part.tolist() for part in given.pop("pairs"))
    assert sorted(zip(users, items, strict=True)) == sorted(set(pairs_of(train._dataset)))
    held_out = given.pop("held_out", None)
    if args.get("prior") == "oracle":
        assert sorted(map(tuple, held_out.T.tolist())) == sorted(
            pairs_of(valid._dataset) + pairs_of(test._dataset)
        )
        assert train._sampler.core.label == "bns (oracle: sees test labels)"
    else:
        assert held_out is None
        assert "oracle" not in train._sampler.core.label
    expected = {"user:occupation"} if args.get("prior") == "occupation" else set()
    told = given.pop("known_negatives", None)
    assert (told is not None) == (name == "given"), "only where there is a file"
    assert set(given) == expected
    for groups in given.values():
        assert len(groups.unique()) == 4, "3 occupations and the padding"


def test_the_loader_is_recboles_and_says_how_many_batches(make):
    train = prepare(make(neg_sampler="rns"))[0]
    assert isinstance(train, TrainDataLoader)
    assert isinstance(train, BNSTrainDataLoader)
    assert len(epoch(train)) == len(train)


def test_features_of_users_change_no_negatives(make):
    """Joining them puts a copy of the ids in the batch's place of them."""
    drawn = []
    for columns in ({}, {"user": ["user_id", "occupation"]}):
        config = make(
            neg_sampler="rns", load_col={"inter": ["user_id", "item_id"], **columns}, seed=3
        )
        loader = prepare(config)[0]
        batches = [batch["neg_item_id"] for batch in loader]
        assert ("occupation" in loader._dataset.field2type) is bool(columns)
        drawn.append(torch.cat(batches))
    assert torch.equal(*drawn)
