"""``split``: each part against a slow loop, what a model could know of the future, refusals."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tiny import write_atomic

from recbole_bns import BNSConfig, UsageError, data_preparation
from recbole_bns.adapters.cuts import last_rows, starts, time_rows
from recbole_bns.adapters.foresight import split_facts
from recbole_bns.adapters.split import everything, open_data, open_whole
from recbole_bns.datasets.check import check_files
from recbole_bns.settings.splits import Split, in_words, number_of

Line = tuple[str, str, int]
"""User, item, time; lines stand as in the file."""
PHASES = ("train", "valid", "test")
HEADER = "user_id:token item_id:token timestamp:float"
START = 1_600_000_000
"""Of the times: one second is less than float32 can tell apart here."""

LINES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=25
)


FEW = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
"""Data sets that a property is tried on."""


# --- The rows against slow loops -----------------------------------------------------------------


def slow_last(users: list[int], k: int) -> list[list[int]]:
    """Rows of the parts, user by user, in the order of time."""
    found: list[list[int]] = [[], [], []]
    for user in set(users):
        rows = [row for row, other in enumerate(users) if other == user]
        for place in range(k):
            if len(rows) > 1 and place < k:
                found[2].append(rows.pop())
        for _ in range(k):
            if len(rows) > 1:
                found[1].append(rows.pop())
        found[0] += rows
    return [sorted(rows) for rows in found]


@given(users=st.lists(st.integers(1, 4), max_size=30), k=st.integers(1, 4))
def test_the_last_k_of_each_user_are_those_of_a_slow_loop(users: list[int], k: int) -> None:
    rows = last_rows(torch.tensor(users, dtype=torch.long), k)
    assert [each.tolist() for each in rows] == slow_last(users, k)


def slow_time(times: list[int], shares: tuple[float, ...], moments: list[int]) -> list[list[int]]:
    """Rows of the parts, one interaction after the other."""
    ordered = sorted(times)
    train, valid, test = shares
    if moments:
        test_from = moments[-1]
    else:
        size = int(test * len(times) + 1e-9)
        test_from = ordered[len(times) - size] if size else ordered[-1] + 1
    before = [time for time in ordered if time < test_from]
    if len(moments) == 2:
        valid_from = moments[0]
    else:
        size = int(valid / (train + valid) * len(before) + 1e-9)
        valid_from = before[len(before) - size] if size else test_from
    parts: list[list[int]] = [[], [], []]
    for row, time in enumerate(times):
        parts[(time >= valid_from) + (time >= test_from)].append(row)
    return parts


@given(
    times=st.lists(st.integers(0, 12), min_size=1, max_size=40),
    shares=st.tuples(st.integers(1, 8), st.integers(1, 4), st.integers(1, 4)),
    moments=st.lists(st.integers(-1, 13), max_size=2, unique=True).map(sorted),
)
def test_one_date_for_all_is_that_of_a_slow_loop(
    times: list[int], shares: tuple[int, ...], moments: list[int]
) -> None:
    parts = tuple(share / sum(shares) for share in shares)
    chosen = Split("time", 1, parts, "user", tuple(moments))
    known, ranks = np.unique(np.array(times), return_inverse=True)
    given_ranks = torch.from_numpy(ranks + 1)
    rows = time_rows(given_ranks, *starts(given_ranks, known, chosen))
    assert [each.tolist() for each in rows] == slow_time(times, parts, moments)


# --- Whole data sets -----------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Any]:
    """A maker of our Configs on ``<tmp_path>/odd``."""

    def make(model: str = "BPR", **more: Any) -> Any:
        base = {"data_path": str(tmp_path), "use_gpu": False, "topk": [1], "neg_sampler": "rns"}
        return BNSConfig(model, "odd", None, {**base, "metrics": ["Recall"], **more})

    return make


def write(folder: Path, lines: list[Line], header: str = HEADER) -> None:
    write_atomic(folder / "odd" / "odd.inter", header, [*lines])


def named(part: Any) -> list[tuple[str, str]]:
    feat = part.inter_feat
    ids = [part.field2id_token[name][feat[name].numpy()] for name in ("user_id", "item_id")]
    return list(zip(*(each.tolist() for each in ids), strict=True))


def drawn(seed: int = 0, users: int = 30, each: int = 10, items: int = 20) -> list[Line]:
    """Interactions with times of their own, a second apart, in no order."""
    draw = np.random.default_rng(seed)
    pairs = [
        (f"u{u}", f"i{i}") for u in range(users) for i in draw.choice(items, each, replace=False)
    ]
    times = START + draw.permutation(len(pairs))
    return [(user, item, int(time)) for (user, item), time in zip(pairs, times, strict=True)]


def parts_by_loop(lines: list[Line], k: int) -> dict[str, list[tuple[str, str]]]:
    """The parts of ``last_k``; equal times stand in the file's order."""
    by_user: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for user, item, _ in sorted(lines, key=lambda line: line[2]):
        by_user[user].append((user, item))
    parts: dict[str, list[tuple[str, str]]] = {phase: [] for phase in PHASES}
    for row in by_user.values():
        for phase in ("test", "valid"):
            for _ in range(k):
                if len(row) > 1:
                    parts[phase].append(row.pop())
        parts["train"] += row
    return {phase: sorted(pairs) for phase, pairs in parts.items()}


@FEW
@given(lines=LINES, k=st.integers(1, 3))
def test_last_and_last_k_of_a_file(lines: Any, k: int, tmp_path: Path, config: Any) -> None:
    whole = [(f"u{user}", f"i{item}", START + time) for user, item, time in lines]
    whole += [("full", f"i{item}", START + item) for item in range(2 * k + 1)]  # no part is empty
    write(tmp_path, whole)
    more = {"split": "last"} if k == 1 else {"split": "last_k", "split_k": k}
    parts = open_data(config(**more)).parts
    assert {phase: sorted(named(parts[phase])) for phase in PHASES} == parts_by_loop(whole, k)


@FEW
@given(lines=LINES)
def test_by_time_no_training_interaction_is_later_than_any_other(
    lines: Any, tmp_path: Path, config: Any
) -> None:
    whole = [(f"u{user}", f"i{item}", START + time) for user, item, time in lines]
    whole += [("u0", "i0", START + time) for time in (-1, 10, 11)]  # no part is empty
    write(tmp_path, whole)
    made = config(split="time", split_time=[START + 4, START + 11])
    parts = open_data(made).parts
    times: dict[tuple[str, str], set[int]] = defaultdict(set)
    for user, item, time in whole:
        times[user, item].add(time)
    bounds = {"train": (-1, 3), "valid": (4, 10), "test": (11, 11)}
    train = {(u, i) for u, i, time in whole if time < START + 4}
    users, items = {user for user, _ in train}, {item for _, item in train}
    for phase, (low, high) in bounds.items():
        wanted = [
            (u, i)
            for u, i, time in whole
            if low <= time - START <= high and u in users and i in items
        ]
        assert sorted(named(parts[phase])) == sorted(wanted)
    facts = split_facts(made, parts)
    assert facts is not None
    assert facts["later"] == facts["later_of_user"] == 0
    assert facts["sentence"].count(".") == 1
    assert "knows nothing of the future" in facts["sentence"]
    left = {
        phase: sum(low <= time - START <= high for *_, time in whole) - len(named(parts[phase]))
        for phase, (low, high) in bounds.items()
        if phase != "train"
    }
    assert facts["left_out"] == left
    every = [pair for part in everything(parts) for pair in named(part)]
    assert sorted(every) == sorted((user, item) for user, item, _ in whole)
    assert sorted(named(open_whole(made).parts["train"])) == sorted(every)


@pytest.mark.parametrize("group", ["user", "all"])
def test_a_ratio_is_recboles_own(group: str, tmp_path: Path, config: Any) -> None:
    write(tmp_path, drawn())
    ours = open_data(config(split="ratio", split_shares=[6, 2, 2], split_group=group)).parts
    args = {
        "split": {"RS": [6, 2, 2]},
        "order": "RO",
        "group_by": {"all": "none"}.get(group, group),
    }
    theirs = open_data(config(eval_args=args)).parts
    assert [named(ours[phase]) for phase in PHASES] == [named(theirs[phase]) for phase in PHASES]
    assert {phase: len(ours[phase]) for phase in PHASES} == {"train": 180, "valid": 60, "test": 60}


def test_last_is_recboles_own(tmp_path: Path, config: Any) -> None:
    write(tmp_path, drawn())
    times = {"load_col": {"inter": ["user_id", "item_id", "timestamp"]}}
    args = {"split": {"LS": "valid_and_test"}, "order": "TO"}
    ours, theirs = open_data(config(split="last")).parts, open_data(config(eval_args=args, **times))
    for phase in PHASES:
        assert named(ours[phase]) == named(theirs.parts[phase])


@pytest.mark.parametrize(
    "more", [{"split": "last"}, {"split": "last_k", "split_k": 3}, {"split": "time"}]
)
def test_a_sequential_model_has_the_same_targets_and_no_later_history(
    more: dict[str, Any], tmp_path: Path, config: Any
) -> None:
    lines = drawn()
    write(tmp_path, lines)
    time = {(user, item): at for user, item, at in lines}
    general = open_data(config(**more)).parts
    made = config("SASRec", loss_type="BPR", **more)
    parts = open_data(made).parts
    facts = split_facts(made, parts)
    assert facts is not None
    assert (facts["later"] == 0) == (more["split"] == "time")
    if more["split"] != "time":  # whose shares are of those interactions that have a history
        assert sorted(named(parts["test"])) == sorted(named(general["test"]))
    latest = {phase: max(time[pair] for pair in named(parts[phase])) for phase in PHASES}
    for phase in PHASES:
        feat = parts[phase].inter_feat
        for (user, item), history in zip(named(parts[phase]), feat["item_id_list"], strict=True):
            past = parts[phase].field2id_token["item_id"][history[history > 0].numpy()].tolist()
            assert all(time[user, other] < time[user, item] for other in past)
    if more["split"] == "time":
        assert latest["train"] < min(time[pair] for pair in named(parts["valid"]))
        assert latest["valid"] < min(time[pair] for pair in named(parts["test"]))


# --- What could be known of the future -----------------------------------------------------------


def later_by_loop(parts: dict[str, Any], time: dict[tuple[str, str], int]) -> tuple[float, float]:
    train, test = named(parts["train"]), named(parts["test"])
    first = min(time[pair] for pair in test)
    later = sum(time[pair] > first for pair in train) / len(train)
    own = sum(
        any(u == user and time[u, i] > time[user, item] for u, i in train) for user, item in test
    )
    return later, own / len(test)


TIMES = {"load_col": {"inter": ["user_id", "item_id", "timestamp"]}}
SPLITS: list[tuple[dict[str, Any], str]] = [
    ({"split": "last"}, "split last: each user's last interaction is tested, .* what others did"),
    ({"split": "last_k"}, "split last_k: each user's last 2 interactions are .* what others did"),
    ({"split": "ratio", **TIMES}, "split ratio: 80/10/10 % of each user's .* users themselves did"),
    ({**TIMES}, "split RS, RO: 80/10/10 % of each user's interactions, at random; .* themselves"),
    ({**TIMES, "eval_args.order": "TO"}, "split RS, TO: .*, by time; .* what others did later: "),
    ({**TIMES, "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"}}, "split LS, TO"),
    ({**TIMES, "valid_ratio": 0.2}, "split RS, RO"),
    ({**TIMES, "eval_args": {"order": "TO", "group_by": "none"}}, "none of the .* is later than"),
]


@pytest.mark.parametrize(("more", "words"), SPLITS)
def test_the_share_that_is_later_is_counted_by_exact_times(
    more: dict[str, Any], words: str, tmp_path: Path, config: Any
) -> None:
    """A second apart, which float32 rounds to a minute or two."""
    lines = drawn()
    write(tmp_path, lines)
    made = config(**more)
    parts = open_data(made).parts
    facts = split_facts(made, parts)
    assert facts is not None
    time = {(user, item): at for user, item, at in lines}
    assert (facts["later"], facts["later_of_user"]) == pytest.approx(later_by_loop(parts, time))
    assert facts["interactions"] == {phase: len(part) for phase, part in parts.items()}
    assert re.search(words, facts["sentence"]), facts["sentence"]
    assert facts["sentence"].count(". ") == 0
    assert "\n" not in facts["sentence"]


def test_files_that_fix_the_split_are_looked_at_too(tmp_path: Path, config: Any) -> None:
    lines = drawn()
    for name, some in (("train", lines[:200]), ("test", lines[200:])):
        write_atomic(tmp_path / "odd" / f"odd.{name}.inter", HEADER, [*some])
    made = config(benchmark_filename=["train", "test"], **TIMES)
    parts = open_data(made).parts
    facts = split_facts(made, parts)
    assert facts is not None
    time = {(user, item): at for user, item, at in lines}
    assert (facts["later"], facts["later_of_user"]) == pytest.approx(later_by_loop(parts, time))
    assert facts["sentence"].startswith("split: files fix the parts (benchmark_filename); ")


def test_nothing_is_said_without_times_but_of_a_split_that_was_asked_for(
    tmp_path: Path, config: Any
) -> None:
    write(tmp_path, drawn())
    made = config()
    assert split_facts(made, open_data(made).parts) is None
    made = config(split="ratio")
    facts = split_facts(made, open_data(made).parts)
    assert facts is not None
    assert facts["later"] is None
    assert "is not measured, since no times are loaded" in facts["sentence"]


# --- Dates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_a_date_is_a_time_in_the_units_of_the_column(
    unit: int, tmp_path: Path, config: Any
) -> None:
    lines = [(u, i, at * unit) for u, i, at in drawn()]  # from 2020-09-13 12:26:40
    write(tmp_path, lines)
    made = config(split="time", split_time=["2020-09-13T12:28", "2020-09-13 12:28:20"])
    facts = split_facts(made, open_data(made).parts)
    assert facts is not None
    assert facts["first"] == {"valid": (START + 80) * unit, "test": (START + 100) * unit}
    assert facts["sentence"].startswith(
        "split time: validation begins with 2020-09-13 12:28, the test with 2020-09-13 12:28, "
    )


def test_dates_in_words_and_numbers_that_are_none() -> None:
    assert number_of("1970-01-02", 1e9) == 86400
    assert number_of("1970-01-02T01:00+01:00", 1e9) == 86400
    assert number_of(7.5, 1e9) == 7.5
    assert (in_words(12), in_words(0.5), in_words(START)) == ("12", "0.5", "2020-09-13 12:26")


# --- Refused -------------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"split": "lst"}, r"^split: got 'lst'; did you mean 'last'\?, allowed is one of last, last_k"),
    ({"split": "last", "split_k": 3}, "^split_k: got 3, but split is 'last', which does not read"),
    ({"split_shares": [1, 1, 1]}, "^split_shares: got .*, but split is 'none'"),
    ({"split": "last_k", "split_k": 0}, "^split_k: got 0, allowed"),
    ({"split": "ratio", "split_shares": [0.8, 0.2]}, "^split_shares: .* allowed are three shares"),
    ({"split": "ratio", "split_shares": [1, 0, 1]}, "^split_shares: .* allowed are three shares"),
    ({"split": "ratio", "split_group": "item"}, "^split_group: got 'item', allowed is one of user"),
    ({"split": "time", "split_time": "May"}, "^split_time: got 'May', allowed is the first moment"),
    ({"split": "time", "split_time": [2, 1]}, "^split_time: got .*of which the first, .* earlier"),
    ({"split": "time", "split_time": [1, "2020-01-01"]}, "^split_time: got .*, allowed is the"),
    (
        {"split": "time", "split_time": [1, 2], "split_shares": [1, 1, 1]},
        "^split_shares: got .* names the",
    ),
    ({"split": "last", "eval_args.order": "RO"}, "^eval_args.order: got 'RO', but split: last"),
    ({"split": "time", "eval_args": {"split": {"RS": [8, 1, 1]}}}, "^eval_args.split: got .* time"),
    ({"split": "ratio", "eval_args.group_by": "none"}, "^eval_args.group_by: got 'none', but"),
    ({"split": "last", "benchmark_filename": ["a", "b"]}, "^split: got 'last', but benchmark_file"),
    ({"split": "last", "valid_ratio": 0.1}, "^valid_ratio: got 0.1, but split: last makes the"),
    ({"model": "SASRec", "split": "ratio"}, "^split: got 'ratio', but SASRec is a sequential"),
]


@pytest.mark.parametrize(("more", "words"), REFUSED)
def test_what_contradicts_a_split_is_refused(more: Any, words: str, config: Any) -> None:
    more = {**more}
    model = more.pop("model", "BPR")
    with pytest.raises(UsageError, match=words):
        config(model, **more, **({"loss_type": "BPR"} if model == "SASRec" else {}))


def test_what_agrees_is_not_nor_the_defaults_in_the_settings_of_a_run(
    tmp_path: Path, config: Any
) -> None:
    made = config(split="last", valid_ratio=0, eval_args={"order": "TO", "mode": "uni20"})
    assert made["eval_args"]["mode"] == {"valid": "uni20", "test": "uni20"}
    file = tmp_path / "settings.yaml"
    file.write_text("eval_args: {split: {RS: [0.8, 0.1, 0.1]}, order: RO}\n", encoding="utf-8")
    assert BNSConfig("BPR", "odd", [str(file)], {"split": "last"})["eval_args"]["order"] == "TO"
    file.write_text("eval_args: {split: {RS: [0.7, 0.2, 0.1]}, order: RO}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"eval_args\.split: got .*0\.7"):
        BNSConfig("BPR", "odd", [str(file)], {"split": "last"})


@pytest.mark.parametrize("split", ["last", "last_k", "time"])
def test_data_without_times_are_refused_with_the_remedy(
    split: str, tmp_path: Path, config: Any
) -> None:
    write(tmp_path, [line[:2] for line in drawn()], "user_id:token item_id:token")  # type: ignore[misc]
    with pytest.raises(UsageError) as error:
        check_files(config(split=split))
    assert str(error.value) == (
        f"split: got '{split}', which goes by the time of each interaction, but "
        f"{tmp_path}/odd/odd.inter has no column 'timestamp' (columns: user_id:token, item_id:token"
        "); name the one of times with TIME_FIELD, or write split: ratio."
    )
    write(tmp_path, drawn())
    with pytest.raises(
        UsageError, match=rf"^split: got '{split}', .* load_col\.inter is \['user_id"
    ):
        check_files(config(split=split, load_col={"inter": ["user_id", "item_id"]}))


def test_a_part_that_nothing_is_left_of_is_named(tmp_path: Path, config: Any) -> None:
    write(tmp_path, drawn())
    with pytest.raises(UsageError, match=r"the test part is empty; check split: time, its split_"):
        open_data(config(split="time", split_time=[START + 60, START + 10**6]))
    strangers = [(f"v{n}", "i1", START + 1000 + n) for n in range(30)]
    write(tmp_path, drawn() + strangers)
    with pytest.raises(UsageError, match=r"all 30 interactions of the test part are of users or"):
        open_data(config(split="time", split_time=[START + 60, START + 1000]))


def test_a_config_of_recboles_own_does_not_know_it(tmp_path: Path, data_path: Path) -> None:
    from recbole.config import Config
    from recbole.data import create_dataset

    given = {"data_path": str(data_path), "neg_sampler": "rns", "split": "last", "use_gpu": False}
    stock = Config("BPR", "tiny", config_dict=given)
    with pytest.raises(UsageError, match=r"split: got 'last', which RecBole's own Config does not"):
        data_preparation(stock, create_dataset(stock))
