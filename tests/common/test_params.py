"""Bad input and the sentence it gets; what is accepted and how it is read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from recbole_bns.common.errors import UsageError
from recbole_bns.common.params import (
    Above,
    OtherThan,
    as_mapping,
    check_schedules,
    defaults,
    idle,
)
from recbole_bns.sampling import (
    Catalogue,
    NegativeSampler,
    Schedule,
    available,
    build,
    get,
    param,
    parse,
    register,
    registry,
)
from recbole_bns.sampling.methods.bns import BNSParams


@dataclass(frozen=True)
class Everything:
    """One parameter of each kind."""

    candidate_num: int = param(5, "an integer or a word", low=1, also=("all",))
    depth: int = param(3, "an integer between bounds", low=1, high=9)
    rate: float = param(0.5, "a number in an open interval", above=0, below=1)
    share: float = param(0.5, "half open", above=0, high=1)
    lambda_: float | Schedule = param(5.0, "a number or a schedule", low=0, schedule=True)
    free: float = param(0.0, "any number")
    mode: str = param("hard", "a choice", choices=("hard", "linear"))
    title: str = param("x", "any string", array=True)
    flag: bool = param(True, "yes or no")


ALL_NAMES = "candidate_num, depth, rate, share, lambda, free, mode, title, flag"
NOT_A_COUNT = "allowed is an integer >= 1 or 'all'."
NOT_A_DEPTH = "allowed is an integer >= 1 and <= 9."
NOT_A_RATE = "allowed is a number > 0 and < 1."
NOT_A_LAMBDA = "allowed is a number >= 0 or a schedule {start, step, stop}."
NAN, INF = math.nan, math.inf

ERRORS: list[tuple[dict[Any, Any], str]] = [
    (
        {"candidate_nun": 3},
        "args.candidate_nun: no such parameter; did you mean 'candidate_num'?; "
        f"allowed: {ALL_NAMES}.",
    ),
    (
        {"LAMBDA": 3},
        f"args.LAMBDA: no such parameter; did you mean 'lambda'?; allowed: {ALL_NAMES}.",
    ),
    (
        {"lambda_": 3},
        f"args.lambda_: no such parameter; did you mean 'lambda'?; allowed: {ALL_NAMES}.",
    ),
    ({"zzz": 3}, f"args.zzz: no such parameter; allowed: {ALL_NAMES}."),
    ({7: 3}, f"args.7: no such parameter; allowed: {ALL_NAMES}."),
    ({"candidate_num": 0}, f"args.candidate_num: got 0, {NOT_A_COUNT}"),
    ({"candidate_num": -1}, f"args.candidate_num: got -1, {NOT_A_COUNT}"),
    ({"candidate_num": 2.5}, f"args.candidate_num: got 2.5, {NOT_A_COUNT}"),
    ({"candidate_num": True}, f"args.candidate_num: got True, {NOT_A_COUNT}"),
    ({"candidate_num": "5"}, f"args.candidate_num: got '5', {NOT_A_COUNT}"),
    ({"candidate_num": "All"}, f"args.candidate_num: got 'All', {NOT_A_COUNT}"),
    ({"candidate_num": None}, f"args.candidate_num: got None, {NOT_A_COUNT}"),
    ({"candidate_num": [5]}, f"args.candidate_num: got [5], {NOT_A_COUNT}"),
    ({"candidate_num": NAN}, f"args.candidate_num: got nan, {NOT_A_COUNT}"),
    ({"depth": 10}, f"args.depth: got 10, {NOT_A_DEPTH}"),
    ({"depth": "all"}, f"args.depth: got 'all', {NOT_A_DEPTH}"),
    ({"rate": 0}, f"args.rate: got 0.0, {NOT_A_RATE}"),
    ({"rate": 1.0}, f"args.rate: got 1.0, {NOT_A_RATE}"),
    ({"rate": False}, f"args.rate: got False, {NOT_A_RATE}"),
    ({"rate": INF}, f"args.rate: got inf, {NOT_A_RATE}"),
    ({"rate": {"start": 0.5}}, f"args.rate: got {{'start': 0.5}}, {NOT_A_RATE}"),
    ({"share": 1.01}, "args.share: got 1.01, allowed is a number > 0 and <= 1."),
    ({"free": NAN}, "args.free: got nan, allowed is a number."),
    ({"free": 1j}, "args.free: got 1j, allowed is a number."),
    ({"lambda": -0.1}, f"args.lambda: got -0.1, {NOT_A_LAMBDA}"),
    ({"lambda": "5"}, f"args.lambda: got '5', {NOT_A_LAMBDA}"),
    ({"lambda": {}}, f"args.lambda: got {{}}, {NOT_A_LAMBDA}"),
    ({"lambda": {"step": 1}}, f"args.lambda: got {{'step': 1}}, {NOT_A_LAMBDA}"),
    (
        {"lambda": {"start": 1, "end": 2}},
        f"args.lambda: got {{'start': 1, 'end': 2}}, {NOT_A_LAMBDA}",
    ),
    ({"lambda": {"start": "1"}}, f"args.lambda: got {{'start': '1'}}, {NOT_A_LAMBDA}"),
    ({"lambda": {"start": True}}, f"args.lambda: got {{'start': True}}, {NOT_A_LAMBDA}"),
    (
        {"lambda": {"start": 1, "step": NAN}},
        f"args.lambda: got {{'start': 1, 'step': nan}}, {NOT_A_LAMBDA}",
    ),
    ({"lambda": {"start": -1}}, f"args.lambda.start: got -1.0, {NOT_A_LAMBDA}"),
    ({"lambda": {"start": 1, "stop": -2}}, f"args.lambda.stop: got -2.0, {NOT_A_LAMBDA}"),
    ({"mode": "soft"}, "args.mode: got 'soft', allowed is one of hard, linear."),
    ({"mode": 1}, "args.mode: got 1, allowed is one of hard, linear."),
    ({"title": 3}, "args.title: got 3, allowed is a string."),
    ({"flag": 1}, "args.flag: got 1, allowed is True or False."),
    ({"flag": "no"}, "args.flag: got 'no', allowed is True or False."),
]


@pytest.mark.parametrize(("given", "sentence"), ERRORS, ids=[str(given) for given, _ in ERRORS])
def test_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(Everything, given, "args")
    assert str(error.value) == sentence


ACCEPTED: list[tuple[str, Any, Any]] = [
    ("candidate_num", "all", "all"),
    ("candidate_num", 7.0, 7),
    ("candidate_num", np.int64(7), 7),
    ("depth", 1, 1),
    ("depth", 9, 9),
    ("rate", np.float32(0.25), 0.25),
    ("share", 1, 1.0),
    ("free", -3, -3.0),
    ("lambda", 2, 2.0),
    ("lambda", {"start": 1}, Schedule(1.0)),
    ("lambda", {"start": 10, "step": -1, "stop": 2}, Schedule(10.0, -1.0, 2.0)),
    ("lambda", Schedule(3.0), Schedule(3.0)),
    ("mode", "linear", "linear"),
    ("title", "a file.npy", "a file.npy"),
    ("flag", False, False),
]


@pytest.mark.parametrize(("name", "given", "read"), ACCEPTED, ids=[str(row) for row in ACCEPTED])
def test_accepted(name: str, given: Any, read: Any) -> None:
    value = getattr(parse(Everything, {name: given}, "args"), {"lambda": "lambda_"}.get(name, name))
    assert value == read
    assert type(value) is type(read)


def test_arrays_pass_where_they_are_allowed() -> None:
    array = np.zeros(3)
    assert parse(Everything, {"title": array}, "args").title is array
    with pytest.raises(UsageError, match=r"^args.free: got array"):
        parse(Everything, {"free": array}, "args")


def test_mapping_and_back() -> None:
    given = {"lambda": {"start": 10.0, "step": -0.1}, "candidate_num": "all", "title": np.ones(3)}
    plain = as_mapping(parse(Everything, given, "args"))
    assert plain == {
        **defaults(Everything),
        "lambda": {"start": 10.0, "step": -0.1},
        "candidate_num": "all",
        "title": "array of shape (3,)",
    }
    assert list(plain) == ALL_NAMES.split(", ")


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Schedule(3.0), [3, 3, 3]),
        (Schedule(1.0, 2.0), [1, 3, 201]),
        (Schedule(1.0, 2.0, 4.0), [1, 3, 4]),
        (Schedule(10.0, -0.5, 2.0), [10, 9.5, 2]),
    ],
)
def test_schedule(schedule: Schedule, values: list[float]) -> None:
    assert [schedule.at(epoch) for epoch in (0, 1, 100)] == values


WRONG_WAY = [
    ({"start": 5, "step": 1, "stop": 2}, "starts at 5 and moves away from stop 2 with step 1"),
    ({"start": 2, "step": -1, "stop": 5}, "starts at 2 and moves away from stop 5 with step -1"),
    ({"start": 5, "stop": 2}, "starts at 5 and does not move with step 0"),
    (Schedule(2.0, 0.0, 5.0), "starts at 2 and does not move with step 0"),
]


@pytest.mark.parametrize(("given", "words"), WRONG_WAY)
def test_a_schedule_starts_at_start_and_moves_towards_stop(given: Any, words: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(Everything, {"lambda": given}, "args")
    assert str(error.value).startswith("args.lambda: got {'start': ")
    assert str(error.value).endswith(f", which {words}; allowed is a step towards the stop.")


def test_a_schedule_from_python_is_checked_as_a_mapping_is() -> None:
    with pytest.raises(UsageError, match=r"^args.lambda.start: got -1.0, allowed is a number >= 0"):
        parse(Everything, {"lambda": Schedule(-1.0)}, "args")
    with pytest.raises(UsageError, match=r"^args.lambda: got \{'start': nan"):
        parse(Everything, {"lambda": Schedule(NAN)}, "args")


LAMBDA = next(spec for spec in dataclasses.fields(Everything) if spec.name == "lambda_")
RATE = next(spec for spec in dataclasses.fields(Everything) if spec.name == "rate")


@pytest.mark.parametrize(
    ("schedule", "spec", "first"),
    [
        (Schedule(5.0, -0.1), LAMBDA, 51),
        (Schedule(5.0, -0.1, 0.0), LAMBDA, None),
        (Schedule(5.0, -5.0), LAMBDA, 2),
        (Schedule(0.0, 0.3), LAMBDA, None),
        (Schedule(3.0), LAMBDA, None),
        (Schedule(0.5, -0.25), RATE, 2),
        (Schedule(0.5, 0.1), RATE, 5),
        (Schedule(-1.0, 9.0), LAMBDA, 0),
    ],
)
def test_the_first_epoch_outside_of_the_range(
    schedule: Schedule, spec: Any, first: int | None
) -> None:
    for epochs in (1, 2, 5, 6, 51, 52, 300):
        wanted = first if first is not None and first < epochs else None
        assert schedule.first_outside(spec, epochs) == wanted
    assert schedule.first_outside(spec, 0) is None


def test_schedules_that_leave_the_range_are_refused_with_the_epoch() -> None:
    params = parse(Everything, {"lambda": {"start": 5, "step": -0.1}}, "args")
    check_schedules(params, 51, "args")
    with pytest.raises(UsageError) as error:
        check_schedules(params, 100, "args")
    assert str(error.value) == (
        "args.lambda: got {'start': 5.0, 'step': -0.1}, which is -0.1 in epoch 52 of 100, "
        f"{NOT_A_LAMBDA[:-1]}; give it a stop, as in {{start: 5, step: -0.1, stop: 0}}."
    )


@pytest.mark.parametrize("best", [3, 4])
def test_no_more_best_candidates_than_candidates(catalogue: Catalogue, best: int) -> None:
    args = {"candidate_num": 3, "best_num": best}
    if best == 3:
        assert build("dns", catalogue, args).params.best_num == 3
        return
    with pytest.raises(UsageError) as error:
        build("dns", catalogue, args)
    assert str(error.value) == (
        "neg_sampler_args.best_num: got 4, but candidate_num is 3; allowed is 1 to 3: the best are "
        "taken from the candidates."
    )


@pytest.fixture
def catalogue() -> Catalogue:
    users, items = torch.tensor([[1, 2], [1, 3]])
    return Catalogue(users, items, 3, 7)


@pytest.mark.parametrize(
    ("name", "args", "sentence"),
    [
        ("bsn", {}, "neg_sampler: got 'bsn'; did you mean 'bns'?; allowed: {names}."),
        ("DNS", {}, "neg_sampler: got 'DNS'; did you mean 'dns'?; allowed: {names}."),
        ("transformer", {}, "neg_sampler: got 'transformer'; allowed: {names}."),
        ("rns", {"x": 1}, "neg_sampler_args.x: no such parameter; allowed: no parameter at all."),
        (
            "bns",
            {"candidate_num": 7},
            "neg_sampler_args.candidate_num: got 7, but the data set has only 6 items; "
            "allowed is 1 to 6.",
        ),
        (
            "ahns",
            {},
            "neg_sampler_args.candidate_num: got 32, but the data set has only 6 items; "
            "allowed is 1 to 6.",
        ),
        (
            "bns",
            {"lambda": {"start": 1, "rate": 2}},
            "neg_sampler_args.lambda: got {'start': 1, 'rate': 2}, "
            "allowed is a number >= 0 or a schedule {start, step, stop}.",
        ),
        (
            "aobpr",
            {"lambda": 0},
            "neg_sampler_args.lambda: got 0.0, allowed is a number > 0.",
        ),
    ],
)
def test_sentence_of_build(
    catalogue: Catalogue, name: str, args: Mapping[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError) as error:
        build(name, catalogue, args)
    assert str(error.value) == sentence.replace("{names}", ", ".join(available()))


def test_as_many_candidates_as_items(catalogue: Catalogue) -> None:
    for size in (6, "all"):
        sampler = build("bns", catalogue, {"candidate_num": size}, seed=4)
        assert sampler.params == BNSParams(candidate_num=size)
        assert sampler.seed == 4


class Mine(NegativeSampler):
    """A sampler of another package."""

    name = "mine"

    def sample(self, users: Tensor, items: Tensor, n: int, scorer: Any) -> Tensor:
        """Item 1."""
        return torch.ones(len(users), n, dtype=torch.long)


class Other(Mine):
    """Another one of the same name."""


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry of its own."""
    monkeypatch.setattr(registry._registry, "classes", available())
    monkeypatch.setattr(registry._registry, "loaded", True)


@pytest.mark.usefixtures("known")
def test_register(catalogue: Catalogue) -> None:
    assert register(Mine) is Mine
    assert get("mine") is Mine
    assert isinstance(build("mine", catalogue), Mine)
    reloaded = type("Mine", (Mine,), {"__module__": Mine.__module__})
    assert register(reloaded) is reloaded
    assert get("mine") is reloaded


@pytest.mark.usefixtures("known")
def test_register_a_name_twice() -> None:
    register(Mine)
    with pytest.raises(UsageError) as error:
        register(Other)
    here = Mine.__module__
    assert str(error.value) == (
        f"neg_sampler 'mine' is registered twice: by {here}.Mine and {here}.Other; "
        "rename one of them."
    )
    assert get("mine") is Mine


@pytest.mark.usefixtures("known")
def test_entry_points_of_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def entries(*, group: str) -> list[EntryPoint]:
        assert group == "recbole_bns.samplers"
        return [EntryPoint("mine", f"{Mine.__module__}:Mine", group)]

    registry._registry.loaded = False
    monkeypatch.setattr("recbole_bns.common.registry.entry_points", entries)
    assert available()["mine"].__qualname__ == "Mine"


@pytest.mark.usefixtures("known")
def test_an_entry_point_that_is_no_sampler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [EntryPoint("mine", "math", "recbole_bns.samplers")]
    registry._registry.loaded = False
    monkeypatch.setattr("recbole_bns.common.registry.entry_points", lambda *, group: entries)
    with pytest.raises(UsageError, match=r"entry point 'mine' .*: got 'math', allowed is module:"):
        available()


@dataclass(frozen=True)
class Later:
    """A version of parameters in which some have gone, and some act at times."""

    REMOVED: ClassVar[Mapping[str, tuple[Any, str]]] = {
        "old": ("none", "it has gone; write mode: linear."),
        "size": (0, "it has gone; leave it out."),
    }

    mode: str = param("hard", "a choice", choices=("hard", "linear"))
    num: int = param(5, "a count", low=1, also=("all",))
    slope: float = param(0.5, "of the line", when={"mode": "linear"})
    bend: float = param(0.0, "of the slope", when={"slope": OtherThan(0.0)})
    best: int = param(1, "of several", when={"num": Above(1), "mode": ("hard", "soft")})
    lambda_: float = param(1.0, "of the hard", when={"mode": "hard"})


def test_what_has_gone_passes_at_its_old_default_and_else_says_what_to_write() -> None:
    assert parse(Later, {"old": "none", "size": 0, "num": 3}, "args") == Later(num=3)
    for given, sentence in [
        ({"old": "isotonic"}, "args.old: it has gone; write mode: linear."),
        ({"old": None}, "args.old: it has gone; write mode: linear."),
        ({"size": False}, "args.size: it has gone; leave it out."),
    ]:
        with pytest.raises(UsageError) as error:
            parse(Later, given, "args")
        assert str(error.value) == sentence
    with pytest.raises(UsageError, match="no such parameter"):
        parse(Everything, {"old": "none"}, "args")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"slope": 0.1}, {"slope": "mode linear"}),
        ({"slope": 0.1, "mode": "linear"}, {}),
        ({"slope": 0.5}, {}),  # at its default: settings that hold all parameters
        ({"bend": 0.1}, {"bend": "mode linear"}),
        (
            {"bend": 0.1, "slope": 0.0},
            {"slope": "mode linear", "bend": "mode linear and slope other than 0.0"},
        ),
        ({"bend": 0.1, "mode": "linear"}, {}),
        ({"best": 2}, {}),
        ({"best": 2, "num": "all"}, {}),
        ({"best": 2, "num": 1}, {"best": "num > 1"}),
        ({"best": 2, "num": 1, "mode": "linear"}, {"best": "num > 1 and mode hard or soft"}),
        ({"lambda": 3, "mode": "linear"}, {"lambda": "mode hard"}),
    ],
)
def test_what_another_parameter_switches_off_is_named(
    given: dict[str, Any], expected: dict[str, str]
) -> None:
    assert idle(parse(Later, given, "args"), given) == expected
